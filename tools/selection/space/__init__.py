"""The embedding space: where augmentations and tasks lie, and how that changes with what worked.

A text encoder, frozen, places everything by its description. A `Space` moves things from there as outcomes come in: a
tool that solved certain tasks is found for tasks like them. Outcomes are in the journal, so that a space can be rebuilt
from it. `Described` learns nothing, `Rocchio` is the one in use; `Toolken` and `Projection` are other ways to the same
end, measured beside it (docs/benchmarks.md, "retrieval").
"""

from habilis.tools.selection.space.described import Described
from habilis.tools.selection.space.projection import Projection
from habilis.tools.selection.space.protocol import Space
from habilis.tools.selection.space.rocchio import Rocchio
from habilis.tools.selection.space.toolken import Toolken

__all__ = ["Described", "Projection", "Rocchio", "Space", "Toolken"]

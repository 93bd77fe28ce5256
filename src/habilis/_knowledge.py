"""What an agent is given to read: documents added to its home, and offered to its writer."""

from __future__ import annotations

import warnings
from pathlib import Path

from habilis.core import Cost, InputError
from habilis.tools import Added, KnowledgeBase


class KnowledgeWarning(UserWarning):
    """Some of the files that an agent was given to read could not be taken; the others were."""


def learn_from(base: KnowledgeBase, path: Path | str, cost: Cost | None = None) -> Added:
    """Add a file or folder. Raises `InputError` where nothing of it could be taken; else it warns of
    what was refused."""
    if not isinstance(path, (str, Path)):
        raise InputError(f"documents are given by the path of a file or folder, not by {path!r:.80}")
    if cost is not None and not isinstance(cost, Cost):
        raise InputError(f"cost= is of type {type(cost).__name__}; give Cost(usd=…)")
    told = base.add(path, cost=cost)
    if told.refused:
        first = told.refused[0]
        said = f"{len(told.refused)} of the files of {path} cannot be read, such as {first.path}: {first.why}"
        if not (told.added or told.replaced or told.unchanged):
            raise InputError(said)
        warnings.warn(said, KnowledgeWarning, stacklevel=2)
    return told


__all__ = ["KnowledgeWarning", "learn_from"]

"""The agent: the loop, the curriculum, the writers and the local mind.

Follow a task from `curriculum` to `loop`, `working`, `writers`, `planning` and `admission`; experience that nobody
asked for comes of `practice`. May import `habilis.core`, `habilis.worlds`, `habilis.memory` and `habilis.tools`.
"""

from habilis.agent.curriculum import Curriculum, CurriculumSettings, Proposal
from habilis.agent.loop import Loop, LoopSettings, Parts

__all__ = ["Curriculum", "CurriculumSettings", "Loop", "LoopSettings", "Parts", "Proposal"]

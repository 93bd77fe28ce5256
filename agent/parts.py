"""What the loop works with: its settings, what can help with a task, and the parts that the roof hands to it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from habilis.agent.curriculum import Curriculum
from habilis.agent.pacing import RunPace
from habilis.agent.reflexes import Practice
from habilis.agent.tape import TaskTape
from habilis.core import (
    Action,
    Affording,
    Augmentation,
    Budget,
    Context,
    Declaring,
    Episode,
    EventStream,
    Imaginable,
    Judge,
    Ledger,
    Reading,
    Reflex,
    RunLimits,
    Runner,
    Skill,
    Task,
    ToolCall,
    ToolCaller,
    Verifier,
    World,
    Writer,
)
from habilis.memory.contracts import ContractBook
from habilis.memory.images import ImageStore
from habilis.memory.journal import Journal
from habilis.memory.library import SkillLibrary
from habilis.worlds.runner import asked, look_at


@dataclass(frozen=True)
class LoopSettings:
    """``task_budget``: the most one task may cost, verification included (search and world steps are counts, so that
    runs repeat). ``limits``: of one run of a program; the verifier's should be the same. ``rounds``: drafts run or
    verified per task. ``upkeep_every``: iterations after which the library is kept up (`habilis.agent.upkeep`), at a
    task's budget; 0: never. ``transfer``: whether skills of the home's other worlds are offered for a task, and proven
    at up to half of its budget."""

    task_budget: Budget = field(
        default_factory=lambda: Budget(usd=None, search_steps=12_000, world_steps=60_000, calls=None)
    )
    limits: RunLimits = field(default_factory=RunLimits)
    rounds: int = 24
    upkeep_every: int = 10
    keep_skills: bool = True
    keep_contracts: bool = True
    transfer: bool = True


class Help(Protocol):
    """What can help with a task: picks augmentations, and lets programs call the picked tools."""

    def know(self, skills: Iterable[Skill]) -> None: ...
    def remember(self, episodes: Iterable[Episode]) -> None: ...
    def pick(self, task: Task, ledger: Ledger) -> tuple[Augmentation, ...]: ...
    def reading(
        self, picked: Sequence[Augmentation], ledger: Ledger, tape: TaskTape
    ) -> Callable[[], tuple[Reading, ...]]: ...
    def tools_in_all(self) -> int: ...
    def caller(self, names: Sequence[str], ledger: Ledger, tape: TaskTape) -> ToolCaller | None: ...
    def replay(self, names: Sequence[str], tape: TaskTape, ledger: Ledger) -> ToolCaller | None: ...
    def record(
        self, task: Task, picked: Sequence[Augmentation], tape: Sequence[ToolCall], skills: Set[str], ok: bool
    ) -> None: ...


@runtime_checkable
class Credited(Protocol):
    """A writer that learns from what became of its tasks. ``conclusive``: the end says something about the writer; not
    so where the clock or an error from outside made it."""

    def credit(self, episode: Episode, conclusive: bool) -> None: ...


@dataclass
class Parts:
    """What the roof hands to the loop. ``pace``: of the run's budget, None where its tasks are not paced. ``stop``:
    whether someone asked to stop, which ends a user's task between two programs (others are done to their end).
    ``images``: where pictures are kept; None: nowhere. ``practice``: makes a fresh world with further reflexes, and
    ``beside``: puts learned ones to work, where they are to be learned; else None."""

    world: World
    book: ContractBook
    library: SkillLibrary
    journal: Journal
    runner: Runner
    judge: Judge
    writer: Writer
    curriculum: Curriculum
    ledger: Ledger
    events: EventStream
    help: Help | None = None
    pace: RunPace | None = None
    images: ImageStore | None = None
    stop: Callable[[], bool] = lambda: False
    practice: Practice | None = None
    beside: Callable[[Sequence[Reflex]], None] | None = None

    @property
    def verifier(self) -> Verifier | None:
        """The library's: None where the world cannot be made afresh."""
        return self.library.verifier

    def skills(self, settings: LoopSettings) -> Mapping[str, Skill]:
        """The active skills by name."""
        return self.library.active() if settings.keep_skills else {}

    def declare(self) -> None:
        """Take in the contracts that the world declares now."""
        world = self.world
        if isinstance(world, Declaring) and "contracts" in world.spec.capabilities:
            self.book.declare(asked(world, "when asked for its contracts", world.contracts))

    def context(
        self, settings: LoopSettings, picked: tuple[Augmentation, ...] = (), caller: ToolCaller | None = None
    ) -> Context:
        """What a writer may use in the world as it stands."""
        world = self.world
        self.book.look_at(world.spec)
        self.declare()
        capabilities = world.spec.capabilities
        affordances: tuple[Action, ...] = ()
        if isinstance(world, Affording) and "affordances" in capabilities:
            affordances = asked(world, "when asked for its affordances", lambda: tuple(world.affordances()))
        simulator = None
        if isinstance(world, Imaginable) and "simulator" in capabilities:
            simulator = asked(world, "when asked for its simulator", world.simulator)
        return Context(world.spec, look_at(world), self.skills(settings), picked, simulator, affordances, caller)

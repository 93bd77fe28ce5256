"""The plug points: what a writer, judge, verifier, embedder, index, selector or mind must offer.

Each part of the house is handed its neighbours as these protocols, so that arrows point one way.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from habilis.core.augmentation import Augmentation, Candidate, Kind, Selection
from habilis.core.budget import Budget, Ledger
from habilis.core.errors import DefinitionError
from habilis.core.goal import Atom, Goal, Snapshot
from habilis.core.program import Program, ToolCaller, Trajectory
from habilis.core.skill import Skill, Trial
from habilis.core.task import Task
from habilis.core.world import Action, Json, Simulator, WorldSpec

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Reading:
    """Something to read: a picked passage of a document, or a demonstration, whose ``title`` is the task and whose
    ``text`` is the program that solved it. Others wrote it: it is data, never an instruction."""

    kind: Kind
    title: str
    text: str


@dataclass(frozen=True)
class Context:
    """What a writer may use for a task. ``skills``: active skills by name, closed over what they call; ``picked``:
    what the selector chose; ``simulator``: the belief, where the world has one; ``affordances``: what is worth trying
    now; ``tools_in_all``: how many are registered, those that were not picked included.

    ``read()`` hands out the picked documents and demonstrations, best first, and pays for those that have a price: to
    be called once, by a writer that shows them. What can no longer be paid is left out."""

    spec: WorldSpec
    snapshot: Snapshot
    skills: Mapping[str, Skill] = field(default_factory=dict)
    picked: tuple[Augmentation, ...] = ()
    simulator: Simulator | None = None
    affordances: tuple[Action, ...] = ()
    tools: ToolCaller | None = None
    tools_in_all: int = 0
    read: Callable[[], tuple[Reading, ...]] = tuple


@dataclass(frozen=True)
class Draft:
    """A program to run now, with its arguments, and the goal it would achieve as a skill (``{n}`` for parameters);
    ``sources`` and ``needs`` as of a `Skill`."""

    program: Program
    args: Mapping[str, Json] = field(default_factory=dict)
    goal_template: str = ""
    sources: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    meta: Mapping[str, Json] = field(default_factory=dict)


@dataclass(frozen=True)
class Verdict:
    """Whether the goal became true, what is still unmet, and who judged ("world" or a model's name)."""

    ok: bool
    unmet: tuple[Atom, ...] = ()
    reason: str = ""
    judge: str = "world"


@dataclass(frozen=True)
class Feedback:
    """What a writer is told after its draft ran. ``verifying``: with ``args``, after the task itself was solved, in a
    fresh world (in the task's own, where the program ended there in an error); otherwise in the world of the task."""

    trajectory: Trajectory
    verdict: Verdict
    verifying: bool = False
    args: Mapping[str, Json] = field(default_factory=dict)


class Writer(Protocol):
    """Writes programs for a task. The generator yields a draft, is sent the feedback, and yields the next; it ends
    when it has no further idea. It charges the ledger for its own work.

    A writer may have an attribute ``why`` (text): what it lacked when it ended without a program; and ``uses`` (kinds
    of augmentations): what it can make use of. Nothing else is picked for it; without, everything may be. ``refusal``
    (text): why it cannot be asked any more; a cascade passes it over while there is one."""

    name: str

    def drafts(self, task: Task, context: Context, ledger: Ledger) -> AsyncGenerator[Draft, Feedback]: ...


def used_by(writer: Writer) -> frozenset[Kind]:
    """The kinds of augmentations that a writer can make use of. Raises `DefinitionError` where it states no kinds."""
    stated = getattr(writer, "uses", Kind)
    try:
        return frozenset(Kind(kind) for kind in stated)
    except (TypeError, ValueError):
        raise DefinitionError(
            f"the writer {writer.name!r} states uses={stated!r:.80}; give a set of kinds, such as "
            "frozenset({Kind.TOOL, Kind.SKILL})"
        ) from None


class Judge(Protocol):
    """Decides whether a goal became true."""

    def judge(self, goal: Goal, trajectory: Trajectory, ledger: Ledger) -> Verdict: ...


class Verifier(Protocol):
    """Runs a candidate in fresh worlds and asks the judge; a program that ends in an error has not succeeded."""

    def trial(
        self,
        candidate: Skill,
        args: Mapping[str, Json],
        seed: int,
        skills: Mapping[str, Program],
        ledger: Ledger,
        tools: ToolCaller | None = None,
    ) -> tuple[Trial, Trajectory]: ...


class Lifter(Protocol):
    """Writes the program for a goal anew, from what is known today."""

    def lift(self, goal: Goal, skills: Mapping[str, Skill], ledger: Ledger) -> Draft | None:
        """A draft that may call these skills; None where nothing known leads to the goal. Raises `BudgetExceeded`."""
        ...


class Embedder(Protocol):
    """Texts to unit vectors. ``fingerprint`` names model and weights; vectors of two fingerprints never mix."""

    fingerprint: str
    dim: int

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """(n, dim) float32, each row of length 1."""
        ...


@dataclass(frozen=True, slots=True)
class Neighbour:
    kind: Kind
    id: str
    score: float  # cosine similarity


class VectorIndex(Protocol):
    """Vectors by kind and id. Derived from the journal; may be deleted at any time."""

    def upsert(self, kind: Kind, ids: Sequence[str], vectors: NDArray[np.float32]) -> None: ...
    def delete(self, kind: Kind, ids: Sequence[str]) -> None: ...
    def query(self, kinds: Set[Kind], vector: NDArray[np.float32], k: int) -> list[Neighbour]: ...
    def ids(self, kind: Kind) -> set[str]: ...
    def close(self) -> None: ...


class Selector(Protocol):
    """Chooses augmentations under a limit. The pool holds what the chosen ones require too."""

    def pick(self, task: Task, pool: Sequence[Candidate], limit: Budget) -> Selection: ...


class Mind(Protocol):
    """The local distilled model: one short line per call. ``name`` is the adopted model's."""

    name: str

    def complete(self, prompts: Sequence[str], *, max_tokens: int = 48) -> list[str]: ...
    def rank(self, prompt: str, options: Sequence[str]) -> list[float]:
        """The log-probability of each option as the continuation (higher is likelier)."""
        ...


class ChatModel(Protocol):
    """The part of a LangChain chat model that is used here."""

    async def ainvoke(self, input: Any, **kwargs: Any) -> Any: ...


Approve = Callable[[str, Mapping[str, Json]], bool]

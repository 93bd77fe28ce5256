"""Programs, and the host's record of running one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Protocol

from habilis.core.budget import Ledger
from habilis.core.errors import InputError
from habilis.core.goal import Snapshot
from habilis.core.image import Image
from habilis.core.world import Action, Json, Outcome, Parameter, World


@dataclass(frozen=True, slots=True)
class Program:
    """Python source that defines one function ``name`` and acts through ``world``, ``skills`` and ``tools`` only.

    Inside, ``world.<primitive>(…)`` acts (and raises ``ActionFailed`` when the action did), ``world.<predicate>(…)``
    reads what was observed, ``skills.<name>(…)`` calls another skill, ``tools.<name>(…)`` calls a tool on the host.
    ``calls`` lists the skills it may call. ``writer`` says who wrote it.
    """

    name: str
    source: str
    parameters: tuple[Parameter, ...] = ()
    calls: tuple[str, ...] = ()
    writer: str = ""


@dataclass(frozen=True, slots=True)
class Step:
    """One action and what the host saw it do."""

    action: Action
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class ToolCall:
    """One entry of the tape."""

    tool: str
    args: Mapping[str, Json]
    value: Json = None
    error: str | None = None


@dataclass(frozen=True, slots=True)
class ProgramError:
    """Why a program ended early. ``kind``: the exception's name, or "time", "memory", "output", "steps", "calls",
    "protocol", "forged" (a simulated trace that repeating does not confirm), "ended" (the world has), "died".
    ``line`` is the line of the program's own source, ``source_line`` its text."""

    kind: str
    message: str
    line: int | None = None
    source_line: str = ""
    where: str = ""


@dataclass(frozen=True, slots=True)
class Picture:
    """What could be seen after so many steps of a run."""

    step: int
    image: Image


@dataclass(frozen=True)
class Trajectory:
    """The host's record of one run: nothing in it was claimed by the program except ``returned`` and ``printed``.

    ``tier``: what confined it, as in `Runner.tier`; ``pictures``: some of what could be seen meanwhile, evenly spaced,
    where the world shows pictures.
    """

    steps: tuple[Step, ...] = ()
    tape: tuple[ToolCall, ...] = ()
    printed: str = ""
    returned: Json = None
    error: ProgramError | None = None
    before: Snapshot = field(default_factory=Snapshot)
    after: Snapshot = field(default_factory=Snapshot)
    world_steps: int = 0
    seconds: float = 0.0
    tier: int = 0
    pictures: tuple[Picture, ...] = ()

    @property
    def inconclusive(self) -> bool:
        """Whether the clock ended the run: on a machine less busy it might not have, so it proves nothing."""
        return self.error is not None and self.error.kind == "time"

    @property
    def cut_off(self) -> bool:
        """Whether the world came to its end before the program did, which says little about the program."""
        if self.error is None:
            return False
        return self.error.kind == "ended" or (bool(self.steps) and self.steps[-1].outcome.done)


_MOST = 10**12
_MAY_BE_NONE = ("output_bytes", "world_steps", "calls", "tool_calls", "images")  # at all


@dataclass(frozen=True, slots=True, kw_only=True)
class RunLimits:
    """What one run may use. All finite by default; None means off.

    ``seconds`` wall clock (a program that hangs must end while a person still watches), ``idle_seconds`` without a word
    to the host (who only computes has this long), ``cpu_seconds``, ``memory_mb`` address space (a warm worker takes
    about 60), ``output_bytes`` printed, ``world_steps`` taken by the world, ``calls`` requests to the host, each action
    of a batch counted, ``tool_calls`` to tools. ``images``: pictures kept of a run (a strip that a person takes in at a
    glance, and a short film).
    """

    seconds: float | None = 20.0
    idle_seconds: float | None = 10.0
    cpu_seconds: int | None = 20
    memory_mb: int | None = 512
    output_bytes: int | None = 64_000
    world_steps: int | None = 2_500
    calls: int | None = 20_000
    tool_calls: int | None = 50
    images: int | None = 24

    def __post_init__(self) -> None:
        """Raises `InputError` for a limit that is no number, or not one that a system can keep."""
        for name in (limit.name for limit in fields(self)):
            value, whole = getattr(self, name), name not in ("seconds", "idle_seconds")
            if value is None:
                continue
            least = 0 if name in _MAY_BE_NONE else 1 if whole else 1e-3
            fits = not isinstance(value, bool) and isinstance(value, int if whole else (int, float))
            if not fits or not least <= value <= _MOST:
                kind = "whole number" if whole else "number"
                raise InputError(f"{name}={value!r} is no {kind} from {least} to {_MOST}; None means no limit")


class ToolCaller(Protocol):
    """How a running program reaches tools: on the host, through the ledger, onto the tape."""

    def names(self) -> tuple[str, ...]: ...
    def call(self, name: str, args: tuple[Json, ...], kwargs: Mapping[str, Json]) -> Json:
        """Raises `ToolError` (shown to the program) or `BudgetExceeded` (ends it)."""
        ...


class Runner(Protocol):
    """Runs programs under confinement. The world stays with the host."""

    @property
    def tier(self) -> int:
        """What confines the runs: 3 seccomp, Landlock and namespaces, 2 seccomp and Landlock, 1 seccomp, 0 nothing
        (only where the user said so)."""
        ...

    def run(
        self,
        program: Program,
        world: World,
        *,
        args: Mapping[str, Json] | None = None,
        skills: Mapping[str, Program] | None = None,
        tools: ToolCaller | None = None,
        limits: RunLimits | None = None,
        seed: int = 0,
        ledger: Ledger | None = None,
    ) -> Trajectory:
        """Run to the end, or to a limit. World steps are reserved on the ledger before each action.

        A program's failure is in ``Trajectory.error``; `WorldError` is raised when the world itself raised, and
        `BudgetExceeded` when the ledger (not ``limits``) ran out, with the world left where it stood.
        """
        ...

    def close(self) -> None: ...

"""A world in which reflexes run beside whoever acts.

Before each action, and between two steps of one that walks, the reflexes look at what is observed. Where one is due its
program runs, confined as any, in the world itself; the action is then answered as `preempted`, and was not done. One
that is doing nothing (no step, an error, its trigger as before) rests for a while, so that none can hold up the others
for ever; one that hangs is ended by the runner's limits. While one runs, those of a higher priority may come before it.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from habilis.core import (
    Action,
    Change,
    InputError,
    Interruptible,
    Observation,
    Outcome,
    Preempted,
    Reflex,
    RunLimits,
    Runner,
    Snapshot,
    World,
    WorldSpec,
)
from habilis.worlds._handing_on import OPTIONAL
from habilis.worlds.runner import look_at

__all__ = ["Beside", "bare", "reflexive"]

_SECONDS = 5.0  # wall clock that one firing may take
_IDLE = 1.0  # of it without a word to the host


class Beside:
    """Reflexes at work: those given, and others that are learned while worlds have them, in all of these at once."""

    def __init__(self, given: Sequence[Reflex] = ()) -> None:
        self._given = tuple(given)
        self.now = _ordered(given)

    def learned(self, reflexes: Sequence[Reflex]) -> None:
        """Put these to work beside the given ones, in place of all that were learned before."""
        names = {one.name for one in self._given}
        self.now = _ordered([*self._given, *(one for one in reflexes if one.name not in names)])


def reflexive(world: World, reflexes: Sequence[Reflex] | Beside, runner: Runner) -> World:
    """The same world, with these reflexes at work in it; without any, the world itself, unless others may be added
    (`Beside`).

    Its clones have them too; what its simulator imagines has none: search plans without them. Programs always take the
    live path there, for a copy beside them would have no reflexes. Raises `InputError` for a trigger or a mask that
    names what the world does not have.
    """
    if not reflexes and not isinstance(reflexes, Beside):
        return world
    beside = reflexes if isinstance(reflexes, Beside) else Beside(reflexes)
    spec = world.spec
    known = {p.name for p in spec.predicates}
    for one in beside.now:
        for goal in one.triggers:
            strange = sorted({a.fact.predicate for a in goal.atoms} - known) if known else []
            if strange:
                raise InputError(
                    f"the trigger {str(goal)!r} of the reflex {one.name!r} asks for {strange[0]}, which {spec.name!r} "
                    f"does not show; it shows {', '.join(sorted(known))}"
                )
        unknown = sorted(one.mask - {p.name for p in spec.primitives})
        if unknown:
            raise InputError(f"the mask of the reflex {one.name!r} names {unknown[0]}, no action of {spec.name!r}")
    # Capabilities are looked up on the class, so it gets those that this world has and no others.
    body: dict[str, Any] = {}
    for name in OPTIONAL:
        if inspect.getattr_static(world, name, None) is not None:
            body[name] = _handing_on(name)
    if inspect.getattr_static(world, "clone", None) is not None:
        body["clone"] = lambda self: reflexive(self.inner.clone(), self.beside, self.runner)
    made: World = type(f"Reflexive{type(world).__name__}", (_Reflexive,), body)(world, beside, runner)
    return made


def bare(world: World) -> World:
    """The world itself, without the reflexes that are at work in it."""
    return world.inner if isinstance(world, _Reflexive) else world


def _ordered(reflexes: Sequence[Reflex]) -> tuple[Reflex, ...]:
    return tuple(sorted(reflexes, key=lambda r: (-r.priority, r.name)))


@dataclass
class _Clock:
    """Steps since the world began, and until which of them each reflex rests."""

    passed: int = 0
    resting: dict[str, int] = field(default_factory=dict)


class _Reflexive:
    def __init__(self, inner: World, beside: Beside, runner: Runner, clock: _Clock | None = None) -> None:
        self.inner, self.beside, self.runner = inner, beside, runner
        self._clock = clock or _Clock()
        self._spec: tuple[WorldSpec, tuple[Reflex, ...], WorldSpec] | None = None

    @property
    def reflexes(self) -> tuple[Reflex, ...]:
        """Those at work now, the first of those that are due first."""
        return self.beside.now

    @property
    def spec(self) -> WorldSpec:
        """The world's; an action may take a reflex's steps besides."""
        inner = self.inner.spec  # a world of functions learns predicates as it sees them
        if self._spec is None or self._spec[0] is not inner or self._spec[1] is not self.reflexes:
            most = max((one.steps for one in self.reflexes), default=0)
            primitives = tuple(replace(p, max_steps=p.max_steps + most) for p in inner.primitives)
            offered = inner.capabilities - {"portable"}
            self._spec = inner, self.reflexes, replace(inner, primitives=primitives, capabilities=offered)
        return self._spec[2]

    def reset(self, seed: int) -> Observation:
        self._clock = _Clock()
        return self.inner.reset(seed)

    def observe(self) -> Observation:
        return self.inner.observe()

    def act(self, action: Action) -> Outcome:
        before = look_at(self.inner)
        due = self._due(before, action)
        if due is not None:
            return self._preempted(due, before, 0)
        if not isinstance(self.inner, Interruptible):
            outcome = self.inner.act(action)
        else:
            self.inner.watch(lambda now: self._due(now, action) is not None)
            try:
                outcome = self.inner.act(action)
            finally:
                self.inner.watch(None)
        self._clock.passed += outcome.steps
        if outcome.ok or outcome.done:
            return outcome
        due = self._due(look_at(self.inner), action) if outcome.steps > 1 else None
        return outcome if due is None else self._preempted(due, before, outcome.steps)

    def _due(self, now: Snapshot, action: Action) -> Reflex | None:
        for one in self.reflexes:
            rested = self._clock.resting.get(one.name, -1) < self._clock.passed
            if rested and action.name not in one.mask and one.due(now):
                return one
        return None

    def _preempted(self, one: Reflex, before: Snapshot, taken: int) -> Outcome:
        """Run a reflex. ``taken``: steps of the action before it was broken off."""
        clock, above = self._clock, tuple(r for r in self.reflexes if r.priority > one.priority)
        world: Any = type(self)(self.inner, Beside(above), self.runner, clock) if above else self.inner
        most = max(p.max_steps for p in world.spec.primitives) + one.steps  # what may come before it is not counted
        limits = RunLimits(seconds=_SECONDS, idle_seconds=_IDLE, cpu_seconds=int(_SECONDS), world_steps=most)
        passed = clock.passed
        run = self.runner.run(one.program, world, skills=one.skills, limits=limits)
        clock.passed = passed + run.world_steps
        after = look_at(self.inner)
        if not run.world_steps or run.error is not None or one.due(after):
            clock.resting[one.name] = clock.passed + one.rest
        last = run.steps[-1].outcome if run.steps else None
        ended = last is not None and last.done
        message = last.message if last is not None and ended else f"{one.name} came first"
        steps = taken + run.world_steps
        return Outcome(False, _changes(before, after), None, message, None, steps, ended, Preempted(one.name, steps))


def _changes(before: Snapshot, after: Snapshot) -> tuple[Change, ...]:
    found = []
    for fact in sorted({**before.facts, **after.facts}):
        was, now = before.facts.get(fact), after.facts.get(fact)
        if was != now:
            absent = False if isinstance(was if now is None else now, bool) else 0
            found.append(Change(fact, absent if was is None else was, absent if now is None else now))
    return tuple(found)


def _handing_on(name: str) -> Any:
    def hand_on(self: _Reflexive, *args: Any) -> Any:
        return getattr(self.inner, name)(*args)

    return hand_on

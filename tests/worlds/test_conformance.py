"""The conformance suite accepts our worlds and catches each broken one."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from habilis.core import (
    Action,
    Atom,
    Change,
    Fact,
    Goal,
    InputError,
    Outcome,
    Parameter,
    Predicate,
    Primitive,
    Snapshot,
    WorldSpec,
)
from habilis.testing.worlds import check_world
from habilis.worlds.craft import CraftWorld


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"view": "full", "recipes": "declared"},
        {"reasons": "none", "recipes": "hidden"},
        {"shuffled": 3},
    ],
    ids=str,
)
def test_craft_conforms(options: dict[str, Any]) -> None:
    check_world(lambda: CraftWorld(**options), seeds=(0, 5), steps=30)


TICK, TOCK = Fact("level"), Fact("lit", ("lamp",))


class Lamp:
    """A small correct world with every capability but contracts: a level that goes up, a lamp that takes level 2."""

    spec = WorldSpec(
        name="lamp",
        doc="Raise the level and light the lamp.",
        primitives=(
            Primitive("up", "raise the level"),
            Primitive("light", "light something", (Parameter("thing"),)),
        ),
        predicates=(
            Predicate("level", "how high", numeric=True),
            Predicate("lit", "whether it is lit", (Parameter("thing"),)),
        ),
        fingerprint="lamp-1",
        capabilities=frozenset({"seed", "clone", "simulator", "checkpoint", "affordances", "goals", "reasons"}),
    )

    def __init__(self) -> None:
        self.level, self.lit = 0, False

    def reset(self, seed: int) -> Snapshot:
        self.level, self.lit = seed % 2, False
        return self.observe()

    def observe(self) -> Snapshot:
        return Snapshot({TICK: self.level, TOCK: self.lit})

    def act(self, action: Action) -> Outcome:
        if action.name == "up":
            self.level += 1
            return Outcome(True, (Change(TICK, self.level - 1, self.level),))
        if action.name == "light":
            if self.level < 2:
                return Outcome(False, unmet=(Atom(TICK, ">=", 2),))
            was, self.lit = self.lit, True
            return Outcome(True, () if was else (Change(TOCK, False, True),))
        raise InputError(f"no primitive {action.name!r}; it has up and light")

    def affordances(self) -> list[Action]:
        return [Action("light", ("lamp",)), Action("up")]

    def goals(self) -> list[Goal]:
        return [Goal.parse('lit("lamp")'), Goal.parse(f"level() >= {self.level + 1}")]

    def clone(self) -> Lamp:
        twin = type(self)()
        twin.level, twin.lit = self.level, self.lit
        return twin

    def save(self) -> Any:
        return {"level": self.level, "lit": self.lit}

    def load(self, state: Any) -> None:
        self.level, self.lit = state["level"], state["lit"]

    def simulator(self) -> Any:
        known = self.clone()

        class Belief:
            def imagine(self, seed: int) -> Lamp:
                return known.clone()

        return Belief()


def test_a_correct_world_passes() -> None:
    check_world(Lamp)


class UndeclaredFact(Lamp):
    def observe(self) -> Snapshot:
        return Snapshot({**super().observe().facts, Fact("mood"): True})


class WrongKind(Lamp):
    def observe(self) -> Snapshot:
        return Snapshot({TICK: self.level, TOCK: int(self.lit)})


class MissingChange(Lamp):
    def act(self, action: Action) -> Outcome:
        return replace(super().act(action), changes=())


class WrongBefore(Lamp):
    def act(self, action: Action) -> Outcome:
        outcome = super().act(action)
        return replace(outcome, changes=tuple(c._replace(before=99) if c.fact == TICK else c for c in outcome.changes))


class InventedReason(Lamp):
    def act(self, action: Action) -> Outcome:
        outcome = super().act(action)
        return outcome if outcome.ok else replace(outcome, unmet=(Atom(TICK, ">=", 0),))


class NoReason(Lamp):
    def act(self, action: Action) -> Outcome:
        return replace(super().act(action), unmet=None)


class TooManySteps(Lamp):
    def act(self, action: Action) -> Outcome:
        return replace(super().act(action), steps=3)


class NotJson(Lamp):
    def act(self, action: Action) -> Outcome:
        return replace(super().act(action), value={1: "one"})


class Raises(Lamp):
    def act(self, action: Action) -> Outcome:
        if action.name == "light":
            raise RuntimeError("short circuit")
        return super().act(action)


class AcceptsAnything(Lamp):
    def act(self, action: Action) -> Outcome:
        return super().act(action) if action.name in ("up", "light") else Outcome(True)


class LeftOver(Lamp):
    def reset(self, seed: int) -> Snapshot:
        self.level += seed % 2
        return self.observe()


class SharedState(Lamp):
    def __init__(self) -> None:
        self.state = {"level": 0}
        self.lit = False

    @property
    def level(self) -> int:
        return self.state["level"]

    @level.setter
    def level(self, value: int) -> None:
        self.state["level"] = value

    def clone(self) -> Lamp:
        twin = SharedState()
        twin.state, twin.lit = self.state, self.lit
        return twin


class Forgetful(Lamp):
    def save(self) -> Any:
        return {"level": self.level, "lit": False}


class HandsOutItsState(Lamp):
    def __init__(self) -> None:
        super().__init__()
        self.done: list[str] = []

    def act(self, action: Action) -> Outcome:
        self.done.append(str(action))
        return super().act(action)

    def save(self) -> Any:
        return {"level": self.level, "lit": self.lit, "done": self.done}


class Clairvoyant(Lamp):
    def simulator(self) -> Any:
        known = self.clone()
        known.level += 1

        class Belief:
            def imagine(self, seed: int) -> Lamp:
                return known.clone()

        return Belief()


class SharedBelief(Lamp):
    def simulator(self) -> Any:
        known = self

        class Belief:
            def imagine(self, seed: int) -> Lamp:
                return known

        return Belief()


class UnknownAffordance(Lamp):
    def affordances(self) -> list[Action]:
        return [*super().affordances(), Action("down")]


class BadArity(Lamp):
    def affordances(self) -> list[Action]:
        return [Action("light")]


class BadGoal(Lamp):
    def goals(self) -> list[Goal]:
        return [Goal.parse("level()")]


class BadTag(Lamp):
    spec = replace(Lamp.spec, tags={"lamps": frozenset({"lamp"})})


class UnknownCapability(Lamp):
    spec = replace(Lamp.spec, capabilities=Lamp.spec.capabilities | {"telepathy"})


class EmptyPromise(Lamp):
    spec = replace(Lamp.spec, capabilities=Lamp.spec.capabilities | {"contracts"})


class TwoOfAName(Lamp):
    spec = replace(Lamp.spec, primitives=(*Lamp.spec.primitives, Lamp.spec.primitives[0]))


class OneNameForTwo(Lamp):
    spec = replace(Lamp.spec, primitives=(*Lamp.spec.primitives, Primitive("lit", "light it")))


class HiddenName(Lamp):
    spec = replace(Lamp.spec, primitives=(*Lamp.spec.primitives, Primitive("_up", "raise it")))


class TakenName(Lamp):
    spec = replace(Lamp.spec, predicates=(*Lamp.spec.predicates, Predicate("facts", "how many are known")))


@pytest.mark.parametrize(
    ("broken", "says"),
    [
        (UndeclaredFact, "does not declare"),
        (WrongKind, "declared as a truth value"),
        (MissingChange, "changes must be complete"),
        (WrongBefore, "says level\\(\\) was 99"),
        (InventedReason, "which held"),
        (NoReason, "without reasons"),
        (TooManySteps, "max_steps is 1"),
        (NotJson, "does not survive JSON|is not JSON"),
        (Raises, "raised RuntimeError: short circuit"),
        (AcceptsAnything, "refuse what is no primitive"),
        (LeftOver, "begins differently"),
        (SharedState, "on a clone changed the original"),
        (Forgetful, "loaded from a checkpoint"),
        (HandsOutItsState, "changed a checkpoint that was made before"),
        (Clairvoyant, "disagrees with what was observed"),
        (SharedBelief, "part|changed the true one"),
        (UnknownAffordance, "which is no primitive"),
        (BadArity, "takes 1 to 1"),
        (BadGoal, "never met"),
        (BadTag, "does not begin with #"),
        (UnknownCapability, "telepathy"),
        (EmptyPromise, "does not satisfy Declaring"),
        (TwoOfAName, "are called"),
        (OneNameForTwo, "both called \\['lit'\\]"),
        (HiddenName, "'_up' begins with _"),
        (TakenName, "predicates are called \\['facts'\\]"),
    ],
)
def test_a_broken_world_is_caught(broken: type[Lamp], says: str) -> None:
    with pytest.raises(AssertionError, match=says):
        check_world(broken)

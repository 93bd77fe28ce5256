"""A small world to run programs in. It imports nothing but Habilis, for it also runs where no test library is."""

from __future__ import annotations

import random

from habilis.core import (
    Action,
    Atom,
    Change,
    Fact,
    InputError,
    Outcome,
    Parameter,
    Predicate,
    Primitive,
    Snapshot,
    WorldSpec,
)

_NAME = Parameter("name")


class CounterWorld:
    """Things are counted. ``hidden`` is never observed."""

    spec = WorldSpec(
        name="counter",
        doc="Counts things.",
        primitives=(
            Primitive("add", "Add n of a thing.", (_NAME, Parameter("n", "int", 1, required=False))),
            Primitive("take", "Take one, if there is one.", (_NAME,)),
            Primitive("walk", "Walk five steps.", max_steps=5),
            Primitive(
                "pick", "The first that is there.", (_NAME, Parameter("depth", "int", required=False)), variadic=True
            ),
            Primitive("crash", "Raises."),
        ),
        predicates=(
            Predicate("count", "How many.", (_NAME,), numeric=True),
            Predicate("near", "Whether it is near.", (_NAME,)),
        ),
        fingerprint="counter-1",
        tags={"#wood": frozenset({"oak", "birch"})},
        capabilities=frozenset({"seed", "reasons"}),
    )

    def __init__(self) -> None:
        self.reset(0)

    def reset(self, seed: int) -> Snapshot:
        self.counts: dict[str, int] = {"seeded": random.Random(seed).randrange(1, 100)}
        self.hidden = "canary-hidden-state"
        self.acts = 0
        return self.observe()

    def observe(self) -> Snapshot:
        facts = {Fact("count", (name,)): n for name, n in self.counts.items()}
        return Snapshot({**facts, Fact("near", ("oak",)): True})

    def act(self, action: Action) -> Outcome:
        self.acts += 1
        if action.name == "crash":
            raise ZeroDivisionError("the world's own bug")
        if action.name == "walk":
            return Outcome(True, steps=5)
        if action.name == "pick":
            return Outcome(True, value=next((a for a in action.args if self.counts.get(str(a))), None))
        name = str(action.args[0])
        if name == "forbidden":
            raise InputError("no such thing as 'forbidden'; try 'oak'")
        before = self.counts.get(name, 0)
        if action.name == "take" and before == 0:
            return Outcome(False, unmet=(Atom(Fact("count", (name,)), ">=", 1),), message="nothing there")
        change = int(action.args[1]) if len(action.args) > 1 else 1
        self.counts[name] = after = before + (change if action.name == "add" else -1)
        return Outcome(True, (Change(Fact("count", (name,)), before, after),), value=after)

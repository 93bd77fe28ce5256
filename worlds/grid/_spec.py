"""What the grid world offers, in words: its primitives, predicates and the page that a writer of programs reads."""

from __future__ import annotations

from functools import lru_cache

from habilis.core import Parameter, Predicate, Primitive, WorldSpec

WALK_STEPS = 300  # enough to look into each of nine rooms once
_THING = Parameter("thing", doc='words for things: "red ball", "door", "object behind", "locked door", "key alike"')
_OTHER = Parameter("other", doc="words for things")
_TURN = Parameter("turn", "int", doc="the turn of the mission in which it was done", low=1, high=9)

PRIMITIVES = (
    Primitive(
        "go_to",
        "Walk until one of these is before you, looking for one where none is known. It only walks: where a shut door "
        "or a thing is in the way, it stops before it and fails; before a locked door always.",
        (_THING,),
        seeks="before",
        max_steps=WALK_STEPS,
        stops="barred",
    ),
    Primitive(
        "go_beside",
        "Walk until you face a free cell that is next to one of these; it stops and fails as go_to does.",
        (_THING,),
        seeks="beside",
        max_steps=WALK_STEPS,
        stops="barred",
    ),
    Primitive(
        "go_aside",
        "Walk until you face a free cell where something can lie without being in the way of a door.",
        seeks="clear",
        max_steps=WALK_STEPS,
        stops="barred",
    ),
    Primitive("pick_up", "Pick up what is before you; it must be one of these.", (_THING,)),
    Primitive("toggle", "Open what is before you, a door or a box; it must be one of these.", (_THING,)),
    Primitive("drop", "Put down what you hold in the free cell that you face; not where it is in the way of a door."),
    Primitive(
        "put",
        "Put down what you hold, which must be one of these, in the free cell that you face, which must be next to one "
        "of the others.",
        (_THING, _OTHER),
    ),
    Primitive("turn_left", "Turn left."),
    Primitive("turn_right", "Turn right."),
    Primitive("forward", "Go forward one cell, if it is free or an open door."),
    Primitive("look", "The view as the outcome's value, at no step: rows of what is in each cell, yours the last."),
)  # fmt: skip
PREDICATES = (
    Predicate("went_to", "whether you stood before one", (_THING, _TURN), phrase="go to {0} in turn {1}", past=True),
    Predicate("took", "whether you picked one up", (_THING, _TURN), phrase="pick up {0} in turn {1}", past=True),
    Predicate("opened", "whether you opened one", (_THING, _TURN), phrase="open {0} in turn {1}", past=True),
    Predicate(
        "put_next", "whether you put one down next to another", (_THING, _OTHER, _TURN),
        phrase="put {0} next to {1} in turn {2}", past=True,
    ),
    Predicate("holding", "what you hold", (_THING,), phrase="hold {0}"),
    Predicate("empty_handed", "whether you hold nothing", phrase="hold nothing"),
    Predicate("before", "what is in the cell that you face; no locked door", (_THING,), phrase="face {0}"),
    Predicate("barred", "what lies, or is shut, in the cell that you face", (_THING,), phrase="have {0} in the way"),
    Predicate("beside", "what is next to the free cell that you face", (_THING,), phrase="face a cell next to {0}"),
    Predicate("clear", "whether you face a free cell that is in the way of no door", phrase="face a free cell"),
)  # fmt: skip
_DOC = """\
BabyAI (Chevalier-Boisvert et al. 2018), by the rules of the package `minigrid`: rooms with doors, keys, balls and boxes
of six colours, and a mission in words. A life ends when the mission is done, or with its steps.

You see the seven by seven cells before you, not through walls and shut doors, and remember what you saw. One call is
one step, but for go_to, go_beside and go_aside, which walk, and look, which takes none. An action fails where nothing
came of it; nobody says why. No call picks up, opens or puts down more than what is right before you.

Words for things are "[colour ]kind[ place]": the kind is door, key, ball, box or object; the place, left, right, front
or behind, is where it lay when you began, seen from where you stood. "locked door" is one that is locked, "key alike" a
key of the colour of the locked door that you stood before last.

What a mission asks for is what you have done: `went_to("red ball", 1)`, `took("key behind", 1)`, `opened("door", 1)`,
`put_next("box", "blue ball", 1)`. The last argument is the turn: "go to the door, then pick up the key" is
`went_to("door", 1) and took("key", 2)`, and the second counts only once the first was done. You can hold one thing.
Read the state with `holding("key")`, `empty_handed()`, `before("ball")`, `barred("door")`, `clear()`."""


@lru_cache(maxsize=16)
def spec(fingerprint: str, pictures: bool) -> WorldSpec:
    found = {"seed", "clone", "checkpoint", "affordances", "goals", "missions", "orders", "ends"}
    return WorldSpec(
        name="grid",
        doc=_DOC,
        primitives=PRIMITIVES,
        predicates=PREDICATES,
        fingerprint=fingerprint,
        capabilities=frozenset(found | ({"images"} if pictures else set())),
    )

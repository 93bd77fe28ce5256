"""What the household world offers, in words: primitives, predicates and the page that a writer of programs reads."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from functools import lru_cache

from habilis.core import Parameter, Predicate, Primitive, WorldSpec
from habilis.worlds.household._rules import RULES
from habilis.worlds.household._search import MAX_STEPS

EDITION = 1  # of the rules and of the houses; raise it when either changes
_THING = Parameter("thing")


def _names(*names: str) -> tuple[Parameter, ...]:
    return tuple(Parameter(name) for name in names)


_SEEKERS = (
    Primitive(
        "walk",
        "Walk to a thing or into a room, so that it is close; what was not seen yet is looked for through the house. "
        "May be given several names or tags: any one will do.",
        (Parameter("thing", doc="a name, a room or a tag such as #apple"),),
        seeks="close_to",
        variadic=True,
        max_steps=MAX_STEPS,
    ),
    Primitive(
        "find",
        "As walk; and what the thing is shut in is opened, so that it is in reach of the hands.",
        (Parameter("thing", doc="a name or a tag"),),
        seeks="in_reach",
        variadic=True,
        max_steps=MAX_STEPS,
    ),
)
PRIMITIVES = (
    *_SEEKERS,
    *(Primitive(r.name, r.doc, _names(*r.parameters)) for r in RULES),
)
PREDICATES = (
    Predicate("close_to", "whether a thing is close to you", (_THING,), phrase="be close to {0}"),
    Predicate("in_reach", "whether a hand can be laid on it", (_THING,), phrase="have {0} in reach"),
    Predicate("in_sight", "whether something to watch is in sight", (_THING,), phrase="see {0}", context=True),
    Predicate("facing", "whether you face it", (_THING,), phrase="face {0}"),
    Predicate("holding", "whether you hold it", (_THING,), phrase="hold {0}", place="in your hands"),
    Predicate(
        "held_by",
        "whether somebody else holds it",
        _names("thing", "person"),
        phrase="have {0} held by {1}",
        context=True,
        place="held by {1}",
    ),
    Predicate("wearing", "whether you wear it", (_THING,), phrase="wear {0}", place="on you"),
    Predicate(
        "worn_by",
        "whether somebody else wears it",
        _names("thing", "person"),
        phrase="have {0} worn by {1}",
        context=True,
        place="worn by {1}",
    ),
    Predicate(
        "on_top", "whether a thing is on another", _names("thing", "surface"), phrase="put {0} on {1}", place="on {1}"
    ),
    Predicate(
        "inside",
        "whether a thing is in another",
        _names("thing", "container"),
        phrase="put {0} into {1}",
        place="in {1}",
    ),
    Predicate(
        "in_room",
        "the room that a thing or a person is in",
        _names("thing", "room"),
        phrase="have {0} be in {1}",
        place="on the floor of {1}",
    ),
    Predicate("is_open", "whether it is open", (_THING,), phrase="open {0}", context=True),
    Predicate("is_closed", "whether it is closed", (_THING,), phrase="close {0}"),
    Predicate("is_on", "whether it is switched on", (_THING,), phrase="switch on {0}"),
    Predicate("plugged_in", "whether it is plugged in", (_THING,), phrase="plug in {0}"),
    Predicate("unplugged", "whether its plug is out", (_THING,), phrase="unplug {0}"),
    Predicate("dirty", "whether it is dirty", (_THING,), phrase="have {0} dirty"),
    Predicate("edible", "whether it is food, or food is on it", (_THING,), phrase="have {0} edible", context=True),
    Predicate(
        "no_seat", "whether nobody more can sit on it", (_THING,), phrase="have {0} taken by sitters", context=True
    ),
    Predicate(
        "no_bed", "whether nobody more can lie on it", (_THING,), phrase="have {0} taken by sleepers", context=True
    ),
    Predicate("carried", "whether it is in or on what you hold", (_THING,), phrase="carry {0} along", context=True),
    Predicate("poured", "whether one was poured into the other", _names("thing", "into"), phrase="pour {0} into {1}"),
    Predicate("done", "what you did that leaves no trace", _names("deed", "thing"), phrase="{0} done to {1}"),
    Predicate("sitting_on", "whether you sit on it", (_THING,), phrase="sit on {0}"),
    Predicate("lying_on", "whether you lie on it", (_THING,), phrase="lie on {0}"),
    Predicate("sitting", "whether you sit", phrase="be seated"),
    Predicate("lying", "whether you lie", phrase="be lying down"),
    Predicate("resting", "whether you sit or lie", phrase="be at rest"),
    Predicate("hand_free", "whether a hand of yours is free", phrase="free a hand"),
)
_DOC = """\
A house with its things, after VirtualHome: the same classes of things, properties, states and rules of action. You are
the `agent`; you have two hands.

You know the rooms, the furniture with its states, and what the household owns. `find("apple_1")` goes up to a thing and
lays it in reach, looking through rooms and cupboards if need be; `walk` only goes there. Then `grab("apple_1")`,
`put_on("apple_1", "table_1")`, `put_in("plate_1", "dishwasher_1")`, `open`, `close`, `switch_on`, `wash`, `sit`, …
Things are named by their class and a number; a name with # stands for a set: `#apple` is any apple, `#foods` any food.

Read the state with `holding("apple_1")`, `inside("plate_1", "dishwasher_1")`, `on_top`, `is_open`, `is_on`, `dirty`,
`close_to`, `sitting_on`. What does not last is on record: `done("read", "book_1")`."""
_VIEWS = {
    "partial": "\nWhere things lie you know once you have seen them; closed things hide what is in them. You see "
    "what is around you when you walk or find; what you saw stays in mind as it was.",
    "full": "\nYou know where everything is.",
}
_PEOPLE = "\nSomebody else may live there too, `person_1`, who does things of their own."


@lru_cache(maxsize=64)
def _fingerprint(kind: str) -> str:
    return hashlib.sha256(f"household:{EDITION}:{kind}".encode()).hexdigest()[:12]


def spec(
    view: str, told: bool, reasons: bool, people: str, source: str, tags: Mapping[str, frozenset[str]]
) -> WorldSpec:
    """``source``: what tells this kind of house from others: the size of generated ones, or a scene's hash."""
    capabilities = {"seed", "clone", "simulator", "checkpoint", "affordances", "goals", "chores"}
    if reasons:
        capabilities.add("reasons")
    if told:
        capabilities.add("contracts")
    if people != "none":
        capabilities.add("questions")
    return WorldSpec(
        name="household",
        doc=_DOC + _VIEWS[view] + (_PEOPLE if people != "none" else ""),
        primitives=PRIMITIVES,
        predicates=PREDICATES,
        fingerprint=_fingerprint(source),
        tags=tags,
        capabilities=frozenset(capabilities),
    )

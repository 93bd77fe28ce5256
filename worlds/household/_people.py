"""The second person of a house: aims of their own, followed one action per world step.

A person knows the house, chooses one of a few activities by chance, and follows it action by action; what cannot be
done at that moment (the other has taken the book) is skipped. What their aim is, the world's owner may ask
(`HouseholdWorld.aim_of`), to put questions to the agent; the agent sees only what the person does before its eyes.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from habilis.worlds.household._house import House
from habilis.worlds.household._plan import DIRTY, Plan
from habilis.worlds.household._rules import BY_NAME, WALK, Rule
from habilis.worlds.household.generator import places_for

Deed = tuple[str, tuple[int, ...]]  # an action by name, with the things it is done to

_PAUSE = 6  # steps that a person rests between two aims, at most


class Mind(NamedTuple):
    """What a person is at: the aim, what is left to do, and the state of their luck."""

    aim: str
    left: tuple[Deed, ...]
    luck: int
    who: int = 1


def step(house: House, mind: Mind) -> tuple[Mind, Deed | None]:
    """One action of a person, or none; the house is changed. Returns the mind afterwards, and what was done."""
    left = mind.left
    while left:
        (name, things), left = left[0], left[1:]
        if name == "wait":
            return mind._replace(left=left), None
        rule = _rule(name)
        if not rule.refusal(house, things) and not rule.lacks(house, mind.who, things):
            rule.run(house, mind.who, things)
            return mind._replace(left=left), (name, things)
    return choose(house, mind), None


def choose(house: House, mind: Mind) -> Mind:
    """Another aim, by chance among those that this house allows; it begins after a pause."""
    rng = random.Random(mind.luck)
    names = sorted(ACTIVITIES)
    rng.shuffle(names)
    pause: list[Deed] = [("wait", ())] * rng.randrange(1, _PAUSE)
    for name in names:
        deeds = ACTIVITIES[name](house, rng, mind.who)
        if deeds:
            return Mind(name, (*pause, *_ready(house, mind.who), *deeds), rng.getrandbits(60), mind.who)
    return Mind("nothing", tuple(pause), rng.getrandbits(60), mind.who)


def _rule(name: str) -> Rule:
    return WALK if name == "walk" else BY_NAME[name]


def _ready(house: House, who: int) -> list[Deed]:
    """What one does before anything else: get up, and put down what is held."""
    person = house.people[who]
    deeds: list[Deed] = [("stand_up", ())] if person.pose else []
    return deeds + [("drop", (x,)) for x in person.hands]


# -- activities: what to do, as a list of actions; none where the house does not allow it -----------------------------


def _fetch(house: House, thing: int) -> list[Deed]:
    at = house.place(thing)
    if at.how not in ("on", "in", "room"):
        return []
    if at.how != "in":
        return [("walk", (thing,)), ("grab", (thing,))]
    shut = house.is_closed(at.at)
    opened: list[Deed] = [("walk", (at.at,)), ("open", (at.at,)), ("grab", (thing,))]
    return opened + ([("close", (at.at,))] if shut else [])


def _store(house: House, rng: random.Random, thing: int) -> list[Deed]:
    """Bring a held thing where it usually lies."""
    plan = house.plan
    fixed = [k if i in plan.furniture else "" for i, k in enumerate(plan.kinds)]
    options = places_for(plan.kinds[thing], fixed) or [(1.0, p) for p in [plan.things[thing].place] if p is not None]
    place = rng.choices([p for _, p in options], [w for w, _ in options])[0]
    if place.how == "on":
        return [("walk", (place.at,)), ("put_on", (thing, place.at))]
    if place.how == "in":
        return [("walk", (place.at,)), ("open", (place.at,)), ("put_in", (thing, place.at)), ("close", (place.at,))]
    return [("drop", (thing,))]


def _one(rng: random.Random, things: Iterable[int]) -> int | None:
    options = sorted(things)
    return rng.choice(options) if options else None


def _of_kind(plan: Plan, *kinds: str) -> list[int]:
    return [i for i, k in enumerate(plan.kinds) if k in kinds]


def _free(house: House, things: Iterable[int]) -> list[int]:
    return [x for x in things if house.place(x).how in ("on", "in", "room")]


def _watch(house: House, rng: random.Random, who: int) -> list[Deed]:
    screen, seat = _one(rng, _of_kind(house.plan, "television")), _one(rng, _of_kind(house.plan, "sofa", "couch"))
    if screen is None or seat is None:
        return []
    on: list[Deed] = [("walk", (screen,)), ("switch_on", (screen,)), ("walk", (seat,)), ("sit", (seat,))]
    look: list[Deed] = [("turn_to", (screen,)), *[("watch", (screen,))] * rng.randrange(3, 9)]
    return [*on, *look, ("stand_up", ()), ("walk", (screen,)), ("switch_off", (screen,))]


def _read(house: House, rng: random.Random, who: int) -> list[Deed]:
    text = _one(rng, _free(house, house.plan.read & house.plan.grabbed))
    seat = _one(rng, _of_kind(house.plan, "sofa", "chair", "bed", "love_seat"))
    if text is None or seat is None:
        return []
    there: list[Deed] = [("walk", (seat,)), ("sit", (seat,)), *[("read", (text,))] * rng.randrange(3, 9)]
    return [*_fetch(house, text), *there, ("stand_up", ()), *_store(house, rng, text)]


def _drink(house: House, rng: random.Random, who: int) -> list[Deed]:
    glass = _one(rng, _free(house, _of_kind(house.plan, "water_glass", "cup", "mug")))
    tap = _one(rng, _of_kind(house.plan, "faucet", "sink"))
    if glass is None or tap is None:
        return []
    return [
        *_fetch(house, glass),
        ("walk", (tap,)),
        ("drink", (glass,)),
        ("wash", (glass,)),
        *_store(house, rng, glass),
    ]


def _eat(house: House, rng: random.Random, who: int) -> list[Deed]:
    food = _one(rng, _free(house, house.plan.eaten))
    seat = _one(rng, _of_kind(house.plan, "chair"))
    if food is None or seat is None:
        return []
    sit: list[Deed] = [("walk", (seat,)), ("sit", (seat,)), ("eat", (food,)), ("eat", (food,)), ("stand_up", ())]
    return [*_fetch(house, food), *sit, *_store(house, rng, food)]


def _wash_up(house: House, rng: random.Random, who: int) -> list[Deed]:
    dirty = [x for x in _free(house, house.plan.grabbed - house.plan.worn) if house.bits(x) & DIRTY]
    thing, sink = _one(rng, dirty), _one(rng, _of_kind(house.plan, "sink"))
    if thing is None or sink is None:
        return []
    return [*_fetch(house, thing), ("walk", (sink,)), ("wash", (thing,)), *_store(house, rng, thing)]


def _tidy(house: House, rng: random.Random, who: int) -> list[Deed]:
    astray = [x for x in house.plan.grabbed if house.place(x).how in ("on", "room")]
    thing = _one(rng, astray)
    return [] if thing is None else [*_fetch(house, thing), *_store(house, rng, thing)]


def _sleep(house: House, rng: random.Random, who: int) -> list[Deed]:
    bed = _one(rng, _of_kind(house.plan, "bed"))
    if bed is None:
        return []
    return [
        ("walk", (bed,)),
        ("lie", (bed,)),
        *[("sleep", ())] * rng.randrange(5, 15),
        ("wake_up", ()),
        ("stand_up", ()),
    ]


def _work(house: House, rng: random.Random, who: int) -> list[Deed]:
    screen, seat = _one(rng, _of_kind(house.plan, "computer", "laptop")), _one(rng, _of_kind(house.plan, "chair"))
    if screen is None or seat is None:
        return []
    on: list[Deed] = [("walk", (screen,)), ("switch_on", (screen,)), *[("type", (screen,))] * rng.randrange(3, 9)]
    return [*on, ("switch_off", (screen,))]


ACTIVITIES: Mapping[str, Callable[[House, random.Random, int], list[Deed]]] = {
    "watch television": _watch,
    "read": _read,
    "drink water": _drink,
    "eat something": _eat,
    "wash the dishes": _wash_up,
    "tidy up": _tidy,
    "sleep": _sleep,
    "work at the computer": _work,
}

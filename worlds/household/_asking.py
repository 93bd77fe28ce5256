"""Questions about the second person of a house, by whoever holds it: what they are doing, and whether they need help.

What is told is what was done before the agent's eyes, in its own room; the answers are the person's true aim, and the
next thing that somebody else could do for it.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from habilis.core import Action, Question
from habilis.worlds.household._people import Deed, Mind
from habilis.worlds.household._plan import Plan

if TYPE_CHECKING:
    from habilis.worlds.household.world import HouseholdWorld

_SHOWN = 6  # deeds in one question: the last ones
_FEWEST = 2  # of one deed nobody can tell what it is for
_PER_AIM = 2  # questions of each family about one aim: more would repeat themselves
_BETWEEN = frozenset({"walk", "open", "close", "turn_to", "sit", "stand_up", "lie", "wake_up", "wait"})
_WANTED: Mapping[str, str] = {
    "read": "bring something to read",
    "eat something": "bring something to eat",
    "drink water": "bring something to drink from",
    "wash the dishes": "bring the dishes",
    "tidy up": "bring what lies about",
}
NO_HELP = "no"


class _Glimpse(NamedTuple):
    """The deeds seen of one aim so far, and what help there is after the last of them."""

    person: str
    aim: str
    seen: tuple[str, ...]
    help: str


def questions(world: HouseholdWorld, seed: int, actions: Sequence[Action]) -> list[Question]:
    """Live these actions again, and ask about what was seen; where nobody else lives there is nothing to ask. The world
    is left at their end."""
    world.reset(seed)
    if len(world.house.plan.people) < 2:
        return []
    aims: list[list[_Glimpse]] = [[]]

    def witness(mind: Mind, deed: Deed | None) -> None:
        if deed is None:  # resting between two aims, or waiting
            if aims[-1] and aims[-1][-1].aim != mind.aim:
                aims.append([])
            return
        house, plan = world.house, world.house.plan
        who = plan.people[mind.who]
        if house.room(who) != house.room(plan.people[0]) or house.hidden(who):
            return
        before = aims[-1][-1].seen if aims[-1] and aims[-1][-1].aim == mind.aim else ()
        if aims[-1] and not before:
            aims.append([])
        told = str(Action(deed[0], tuple(plan.names[x] for x in deed[1])))
        seen = before if before[-1:] == (told,) else (*before, told)  # it goes on reading, sleeping, …
        aims[-1].append(_Glimpse(plan.names[who], mind.aim, seen, _help(mind, plan)))

    world.witness = witness
    try:
        for action in actions:
            world.act(action)
    finally:
        world.witness = None
    rng = random.Random(f"asking:{seed}")
    found: list[Question] = []
    for glimpses in aims:
        telling = [g for g in glimpses if len(g.seen) >= _FEWEST]
        for g in rng.sample(telling, min(_PER_AIM, len(telling))):
            found.append(Question("person", _told(g), g.aim))
        wanting = [g for g in glimpses if g.help != NO_HELP and _shows(g)]  # seldom, so one deed may tell it
        content = [g for g in telling if g.help == NO_HELP]
        for g in [*rng.sample(wanting, min(_PER_AIM, len(wanting))), *rng.sample(content, min(1, len(content)))]:
            found.append(Question("help", _told(g), g.help))
    return found


def _told(glimpse: _Glimpse) -> dict[str, str]:
    return {"who": glimpse.person, "seen": "; ".join(glimpse.seen[-_SHOWN:])}


def _shows(glimpse: _Glimpse) -> bool:
    """Whether the things that the answer names were seen."""
    named = [word for word in glimpse.help.split() if "_" in word]
    return all(f'"{name}"' in deed for name in named for deed in ["; ".join(glimpse.seen[-_SHOWN:])])


def _help(mind: Mind, plan: Plan) -> str:
    """What somebody else could do now for what is left of an aim."""
    name, things = next(((n, t) for n, t in mind.left if n not in _BETWEEN), ("", ()))
    if name == "grab":
        return _WANTED.get(mind.aim, NO_HELP)
    if name == "switch_on":
        return f"switch on {plan.names[things[0]]}"
    if name == "switch_off":
        return f"switch off {plan.names[things[0]]}"
    if name in ("put_on", "put_in", "drop"):
        return f"put {plan.names[things[0]]} away"
    return NO_HELP

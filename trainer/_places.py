"""Families about things and their places: how many are there, where is one now, where was it on the way.

For any world whose predicates tell places (``Predicate.place``). All that is needed for the answer is in the question:
only stretches are asked about in which what matters was changed by what the agent did, not by what it found or somebody
else did, and of which the answer names nothing that the question does not.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence, Set
from typing import NamedTuple

from habilis.core import Action, Fact, WorldSpec
from habilis.memory import prompts
from habilis.trainer._example import Example, kind_of
from habilis.trainer._life import Life

_DEEDS = 8  # in one question: as many as a plan line shows
_TRIES = 12  # stretches looked at for each family of a life
_MOST = 3  # questions of each family from one life
_LISTED = 8  # things that a question lists


class _Stretch(NamedTuple):
    """Some deeds of a life in a row, without looking for things, and where everything was before and after each."""

    deeds: tuple[Action, ...]
    before: tuple[Mapping[str, Fact], ...]
    after: tuple[Mapping[str, Fact], ...]

    @property
    def places(self) -> tuple[Mapping[str, Fact], ...]:
        """Where everything was at first, and after each deed."""
        return (self.before[0], *self.after)


def place_in_words(fact: Fact, spec: WorldSpec) -> str:
    return spec.places[fact.predicate].format(*fact.args)


def location(life: Life, rng: random.Random) -> Iterator[Example]:
    """Where a thing is after it was moved."""
    yield from _followed(life, rng, "location", least=2)


def path(life: Life, rng: random.Random) -> Iterator[Example]:
    """All places that a thing was in, in order."""
    yield from _followed(life, rng, "path", least=3)


def count_at(life: Life, rng: random.Random) -> Iterator[Example]:
    """How many things are on or in something, after some were put there or taken away."""
    made = 0
    coarsest = [*life.spec.places][-1] if len(life.spec.places) > 1 else ""  # the room: nobody counts there
    for stretch in _stretches(life, rng):
        where = [{(f.predicate, f.args[1]): set[str]() for f in at.values() if f.args[1:]} for at in stretch.places]
        for held, at in zip(where, stretch.places, strict=True):
            for thing, fact in at.items():
                if fact.args[1:]:
                    held[fact.predicate, fact.args[1]].add(thing)
        first, last = where[0], where[-1]
        changed = sorted(p for p in {*first, *last} if first.get(p) != last.get(p) and p[0] != coarsest)
        if not changed or made >= _MOST:
            continue
        place = rng.choice(changed)
        before, after = first.get(place, set()), last.get(place, set())
        come = after - before
        put = {t for t in come if any({t, place[1]} <= set(action.args) for action in stretch.deeds)}
        if len(before) > _LISTED or put != come or not _explained(stretch, before ^ after):
            continue
        words = life.spec.places[place[0]].format("", place[1])
        told = {"place": words, "start": ", ".join(sorted(before)) or "nothing", "done": _line(stretch)}
        made += 1
        yield life.example("count_at", told, str(len(after)), rng, f"at {kind_of(str(place[1]))}")


def _followed(life: Life, rng: random.Random, family: str, least: int) -> Iterator[Example]:
    """One thing that is moved in a stretch, from where it lies at first. ``least``: places it must have been in."""
    spec, made = life.spec, 0
    for stretch in _stretches(life, rng):
        if made >= _MOST:
            return
        movable = sorted({str(a) for action in stretch.deeds for a in action.args[:1]})
        rng.shuffle(movable)
        for thing in movable:
            facts = [at.get(thing) for at in stretch.places]
            if facts[0] is None or None in facts or not facts[0].args[1:]:
                continue  # unseen; or held at first, and where it would be put back to is not told
            places = [place_in_words(f, spec) for f in facts if f is not None]
            way = [p for p, before in zip(places, ["", *places], strict=False) if p != before]
            if len(way) < least or not _explained(stretch, {thing}):
                continue
            told = {"thing": thing, "start": way[0], "done": _line(stretch)}
            said = f"{way[0]} {told['done']}"
            if any(str(a) not in said for f in facts if f is not None for a in f.args[1:]):
                continue  # dropped somewhere that the question does not name
            made += 1
            answer = "; ".join(way) if family == "path" else way[-1]
            yield life.example(family, told, answer, rng, f"where {kind_of(thing)}")
            break


def _explained(stretch: _Stretch, things: Set[str]) -> bool:
    """Whether each of these things changed its place by what was done to it alone."""
    for action, before, after in zip(stretch.deeds, stretch.before, stretch.after, strict=True):
        if any(before.get(t) != after.get(t) for t in things - {str(a) for a in action.args}):
            return False
    between = zip(stretch.after, stretch.before[1:], strict=False)
    return all(one.get(t) == other.get(t) for one, other in between for t in things)


def _stretches(life: Life, rng: random.Random) -> Iterator[_Stretch]:
    """Stretches drawn by chance."""
    doing = [i for i, s in enumerate(life.steps) if s.action.name not in life.spec.seeking]
    if len(doing) < 2 or not life.spec.places:
        return
    places = life.whereabouts
    for _ in range(_TRIES):
        start = rng.randrange(len(doing) - 1)
        chosen = doing[start : start + rng.randint(2, _DEEDS)]
        deeds = tuple(life.steps[i].action for i in chosen)
        yield _Stretch(deeds, tuple(places[i] for i in chosen), tuple(places[i + 1] for i in chosen))


def _line(stretch: _Stretch) -> str:
    return prompts.plan_line(stretch.deeds, limit=_DEEDS)


def deeds_of(line: str) -> Sequence[Action]:
    """The deeds of a question, read back."""
    return prompts.parse_plan(line, limit=_DEEDS) or ()

"""The state of a house, and what changes it: where everything is, what is open and on, and what people are about.

The tables are lists over a plan's things, and are shared by a house and its clones until one of them writes
(`_own`): a clone costs a handful of references, the first change after it one copy of what it touches.

*Close* is VirtualHome's word and rule: what someone walked to is close, with what it is in or on; so is what is close
to that by the plan, and what lies on it.
"""

from __future__ import annotations

from collections.abc import Iterator

from habilis.worlds.household._plan import OPEN, Place, Plan

__all__ = ["House", "Person"]

_NONE: frozenset[int] = frozenset()
_PLACES, _INSIDE, _BITS, _LINKS = 1, 2, 4, 8  # which tables are ours to write


class Person:
    """What one person is about. Never changed in place: `House` puts another in its stead.

    ``near``: what they are close to by having gone there; ``hands``: what they hold, the longest held first;
    ``pose``: "", "sitting" or "lying", on ``seat``; ``origin``: where what they hold was taken from.
    """

    __slots__ = ("done", "facing", "hands", "near", "origin", "pose", "seat")

    def __init__(
        self,
        near: frozenset[int] = _NONE,
        hands: tuple[int, ...] = (),
        facing: frozenset[int] = _NONE,
        pose: str = "",
        seat: int = -1,
        origin: tuple[tuple[int, Place], ...] = (),
        done: frozenset[tuple[str, int]] = frozenset(),
    ) -> None:
        self.near, self.hands, self.facing = near, hands, facing
        self.pose, self.seat, self.origin, self.done = pose, seat, origin, done

    def but(self, **changed: object) -> Person:
        """The same but for these."""
        return Person(**{name: changed.get(name, getattr(self, name)) for name in Person.__slots__})  # type: ignore[arg-type]


class House:
    """One state of one house."""

    __slots__ = ("_bits", "_inside", "_links", "_owns", "_places", "moved", "people", "plan", "poured", "touched")

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self._places: list[Place | None] = [t.place for t in plan.things]
        self._bits = [t.bits for t in plan.things]
        inside: list[frozenset[int]] = [_NONE] * len(plan.things)
        for i, place in enumerate(self._places):
            if place is not None:
                inside[place.at] |= {i}
        self._inside = inside
        self._links: dict[int, frozenset[int]] = {}  # closeness of what was moved
        self._owns = _PLACES | _INSIDE | _BITS | _LINKS
        self.moved: frozenset[int] = _NONE  # what is no longer where the plan says that it is close to things
        self.poured: frozenset[tuple[int, int]] = frozenset()
        people = []
        for i in plan.people:
            held = tuple(x for x in sorted(inside[i]) if plan.things[x].place == Place("held", i))
            thing = plan.things[i]
            pose = next((s.lower() for s in thing.extra if s in ("SITTING", "LYING")), "")
            near = thing.close | frozenset(held)
            people.append(Person(near, held, thing.facing, pose, thing.seat if pose else -1))
        self.people: tuple[Person, ...] = tuple(people)
        self.touched: list[int] = []  # what changed, until someone looks

    def clone(self) -> House:
        """An independent copy, in less than a microsecond."""
        twin = House.__new__(House)
        twin.plan, twin._places, twin._bits = self.plan, self._places, self._bits
        twin._inside, twin._links, twin.moved = self._inside, self._links, self.moved
        twin.poured, twin.people, twin.touched = self.poured, self.people, []
        self._owns = twin._owns = 0
        return twin

    # -- what is so ----------------------------------------------------------------------------------------------------

    def place(self, thing: int) -> Place:
        """Where it is. A room is in itself."""
        return self._places[thing] or Place("room", thing)

    def bits(self, thing: int) -> int:
        return self._bits[thing]

    def contents(self, thing: int) -> frozenset[int]:
        """What is directly in, on, held or worn by it."""
        return self._inside[thing]

    def room(self, thing: int) -> int:
        places = self._places
        at: Place | None = places[thing]
        while at is not None:
            if at.how == "room":
                return at.at
            thing = at.at
            at = places[thing]
        return thing

    def above(self, thing: int) -> Iterator[int]:
        """What it is in, on or held by; what that is in; and so on, up to the room."""
        at = self._places[thing]
        while at is not None:
            yield at.at
            at = self._places[at.at]

    def is_closed(self, thing: int) -> bool:
        return thing in self.plan.opened and not self._bits[thing] & OPEN

    def hidden(self, thing: int) -> bool:
        """Whether something closed is around it, at any depth."""
        at = self._places[thing]
        while at is not None:
            if at.how == "in" and self.is_closed(at.at):
                return True
            at = self._places[at.at]
        return False

    def in_reach(self, who: int, thing: int) -> bool:
        """Whether a hand can be laid on it: close, not directly in something closed, and not somebody else's now."""
        if not self.is_close(who, thing):
            return False
        at = self._places[thing]
        if at is None or at.how in ("on", "room"):
            return True
        return not self.is_closed(at.at) if at.how == "in" else at.at == self.plan.people[who]

    def is_close(self, who: int, thing: int) -> bool:
        near = self.people[who].near
        if thing in near:
            return True
        at = self._places[thing]
        if at is not None and at.how == "on" and at.at in near:
            return True
        if thing not in self.moved:
            linked = self.plan.close[thing]
            if not linked.isdisjoint(near) and (not self.moved or not (linked & near) <= self.moved):
                return True
        links = self._links.get(thing)
        return links is not None and not links.isdisjoint(near)

    def close(self, who: int) -> frozenset[int]:
        """All that someone is close to."""
        near = self.people[who].near
        found = set(near)
        for thing in near:
            if thing not in self.moved:
                found |= self.plan.close[thing] - self.moved
            found |= self._links.get(thing, _NONE)
            found.update(x for x in self._inside[thing] if self._places[x] == ("on", thing))
        found.discard(self.plan.people[who])
        return frozenset(found)

    def is_facing(self, who: int, thing: int) -> bool:
        facing = self.people[who].facing
        return thing in facing or any(thing in self.plan.facing[f] for f in facing)

    def faced(self, who: int) -> frozenset[int]:
        facing = self.people[who].facing
        return facing.union(*(self.plan.facing[f] for f in facing))

    def load(self, thing: int) -> int:
        """How many things and people are on it."""
        on = sum(self._places[x] == ("on", thing) for x in self._inside[thing])
        return on + sum(p.seat == thing and p.pose != "" for p in self.people)

    def is_edible(self, thing: int) -> bool:
        """Whether it is food, or food lies on it."""
        eaten = self.plan.eaten
        return thing in eaten or any(x in eaten and self._places[x] == ("on", thing) for x in self._inside[thing])

    def is_carried(self, who: int, thing: int) -> bool:
        """Whether it is in or on something that this person holds."""
        hands = self.people[who].hands
        return bool(hands) and any(above in hands for above in self.above(thing))

    # -- changing it ---------------------------------------------------------------------------------------------------

    def person(self, who: int, **changed: object) -> None:
        people = list(self.people)
        people[who] = people[who].but(**changed)
        self.people = tuple(people)

    def set_bits(self, thing: int, on: int, off: int = 0) -> None:
        if not self._owns & _BITS:
            self._bits = self._bits.copy()
            self._owns |= _BITS
        self._bits[thing] = self._bits[thing] & ~off | on
        self.touched.append(thing)

    def put(self, thing: int, place: Place) -> None:
        """Move it there, with all that is in or on it."""
        if not self._owns & _PLACES:
            self._places = self._places.copy()
            self._owns |= _PLACES
        if not self._owns & _INSIDE:
            self._inside = self._inside.copy()
            self._owns |= _INSIDE
        old = self._places[thing]
        if old is not None:
            self._inside[old.at] -= {thing}
            self.touched.append(old.at)
        self._places[thing] = place
        self._inside[place.at] |= {thing}
        self.touched += [thing, place.at]

    def go(self, who: int, thing: int) -> None:
        """Walk to a thing, or into a room."""
        plan, person = self.plan, self.people[who]
        me = plan.people[who]
        room = self.room(thing)
        near = set(person.hands)
        if room != thing:
            near |= plan.body
            near.add(thing)
            at = self._places[thing]
            if at is not None and at.how in ("in", "on"):
                near.add(at.at)
            if thing in plan.opened:
                near.update(x for x in self._inside[thing] if self._places[x] == ("in", thing))
        self.person(who, near=frozenset(near), facing=_NONE)
        if self._places[me] != ("room", room):
            self.put(me, Place("room", room))
            self.touched.extend(self._carried(me))

    def take(self, who: int, thing: int) -> None:
        """Into a free hand."""
        person, me = self.people[who], self.plan.people[who]
        was = self.place(thing)
        near = person.near | {thing}
        if was.how in ("on", "in"):
            near |= {was.at}
        self.put(thing, Place("held", me))
        self._loosen(thing)
        self.touched.extend(self._carried(thing))
        for other, someone in enumerate(self.people):
            if other != who and thing in someone.near:
                self.person(other, near=someone.near - {thing})
        self.person(who, hands=(*person.hands, thing), near=near, origin=(*person.origin, (thing, was)))

    def lay(self, who: int, thing: int, place: Place) -> None:
        """Out of the hand, to a place."""
        person = self.people[who]
        hands = tuple(x for x in person.hands if x != thing)
        origin = tuple(o for o in person.origin if o[0] != thing)
        near = person.near | {thing}
        self.put(thing, place)
        if place.how in ("on", "in"):
            near = near | {place.at}
            self._link(thing, place.at)
        self.touched.extend(self._carried(thing))
        self.person(who, hands=hands, origin=origin, near=near)

    def origin(self, who: int, thing: int) -> Place | None:
        return next((place for x, place in self.people[who].origin if x == thing), None)

    def settle(self, who: int, pose: str, seat: int) -> None:
        person = self.people[who]
        facing = person.facing | self.plan.facing[seat] if pose == "sitting" else person.facing
        self.touched += [seat, *([person.seat] if person.seat >= 0 else [])]
        self.person(who, pose=pose, seat=seat, facing=facing)

    def stand(self, who: int) -> None:
        self.touched.append(self.people[who].seat)
        self.person(who, pose="", seat=-1)

    def did(self, who: int, deed: str, thing: int) -> None:
        if (deed, thing) not in self.people[who].done:
            self.person(who, done=self.people[who].done | {(deed, thing)})

    def _carried(self, thing: int) -> Iterator[int]:
        for x in sorted(self._inside[thing]):
            yield x
            yield from self._carried(x)

    def _loosen(self, thing: int) -> None:
        self.moved |= {thing}
        links = self._links.get(thing)
        if links:
            self._own_links()
            for other in links:
                self._links[other] = self._links.get(other, _NONE) - {thing}
            del self._links[thing]

    def _link(self, one: int, other: int) -> None:
        self._own_links()
        self._links[one] = self._links.get(one, _NONE) | {other}
        self._links[other] = self._links.get(other, _NONE) | {one}

    def _own_links(self) -> None:
        if not self._owns & _LINKS:
            self._links = self._links.copy()
            self._owns |= _LINKS

    # -- as data -------------------------------------------------------------------------------------------------------

    def tables(self) -> tuple[list[Place | None], list[int], dict[int, frozenset[int]]]:
        """Places, states and closeness of what was moved, to be read only."""
        return self._places, self._bits, self._links

    def restore(
        self, places: list[Place | None], bits: list[int], links: dict[int, frozenset[int]], moved: frozenset[int]
    ) -> None:
        """Put the tables back; what is inside what follows from the places."""
        self._places, self._bits, self._links, self.moved = places, bits, links, moved
        self._inside = [_NONE] * len(places)
        for i, place in enumerate(places):
            if place is not None:
                self._inside[place.at] |= {i}
        self._owns = _PLACES | _INSIDE | _BITS | _LINKS

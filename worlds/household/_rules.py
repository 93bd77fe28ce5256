"""The actions: what each is for, what it needs and what it brings about, and the change itself.

The needs are those of VirtualHome's own executor. One table serves behaviour, reasons and contracts: an action works
if and only if its needs hold, and what it lacks is the complete list of those that do not.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from habilis.worlds.household._house import House
from habilis.worlds.household._plan import CLEAN, DIRTY, ON, OPEN, PLUGGED, Place

Do = Callable[[House, int, tuple[int, ...]], None]
NOBODY = -1  # what a deed without an object is done to


class Need(NamedTuple):
    """A predicate of arguments of the action (by position), or of a ``tag``, that must hold or (``so=False``) not."""

    predicate: str
    args: tuple[int, ...] = ()
    so: bool = True
    tag: str = ""


class Lack(NamedTuple):
    """A need with things of the house in place of arguments."""

    predicate: str
    things: tuple[int, ...] = ()
    so: bool = True
    tag: str = ""


@dataclass(frozen=True)
class Rule:
    """One action. ``script``: its name in VirtualHome; ``suits``: by argument, the plan's set that it must be in, and
    what is said otherwise; ``deed``: what is on record as done afterwards."""

    name: str
    doc: str
    parameters: tuple[str, ...] = ()
    script: str = ""
    suits: tuple[tuple[str, str] | None, ...] = ()
    needs: tuple[Need, ...] = ()
    effects: tuple[Need, ...] = ()
    do: Do | None = None
    deed: bool = False
    tests: tuple[tuple[Need, Callable[..., bool]], ...] = field(default=(), repr=False)

    def refusal(self, house: House, args: tuple[int, ...]) -> str:
        """Why no state of this house would let it be done to these things; empty where one might."""
        for thing, suit in zip(args, self.suits, strict=False):
            if suit is not None and thing not in getattr(house.plan, suit[0]):
                return f"{house.plan.names[thing]} {suit[1]}"
        extra = _REFUSALS.get(self.name)
        return extra(house, args) if extra is not None else ""

    def lacks(self, house: House, who: int, args: tuple[int, ...]) -> list[Lack]:
        """What of its needs does not hold."""
        found = [
            Lack(n.predicate, tuple(args[i] for i in n.args), n.so, n.tag)
            for n, test in self.tests
            if test(house, who, args) is not n.so
        ]
        if self.name == "put_back":
            found += [n for n in origin_needs(house, who, args[0]) if holds(house, who, n) is not n.so]
        return found

    def run(self, house: House, who: int, args: tuple[int, ...]) -> None:
        """Do it; its needs hold."""
        if self.do is not None:
            self.do(house, who, args)
        if self.deed:
            house.did(who, self.name, args[0] if args else NOBODY)


# -- predicates -------------------------------------------------------------------------------------------------------

PREDICATES: Mapping[str, Callable[..., bool]] = {
    "close_to": House.is_close,
    "in_reach": House.in_reach,
    "facing": House.is_facing,
    "holding": lambda h, w, x: x in h.people[w].hands,
    "wearing": lambda h, w, x: h.place(x) == ("worn", h.plan.people[w]),
    "in_sight": lambda h, w, x: h.room(x) == h.room(h.plan.people[w]) and not h.hidden(x),
    "at": lambda h, w, x: h.room(h.plan.people[w]) == x,
    "carried": lambda h, w, x: h.is_carried(w, x),
    "edible": lambda h, w, x: h.is_edible(x),
    "hand_free": lambda h, w: len(h.people[w].hands) < 2,
    "resting": lambda h, w: h.people[w].pose != "",
    "sitting": lambda h, w: h.people[w].pose == "sitting",
    "lying": lambda h, w: h.people[w].pose == "lying",
    "is_open": lambda h, w, x: bool(h.bits(x) & OPEN),
    "is_closed": lambda h, w, x: h.is_closed(x),
    "is_on": lambda h, w, x: bool(h.bits(x) & ON),
    "plugged_in": lambda h, w, x: bool(h.bits(x) & PLUGGED),
    "unplugged": lambda h, w, x: x in h.plan.plugs and not h.bits(x) & PLUGGED,
    "can_go": lambda h, w, x: h.people[w].pose == "" or h.is_close(w, x),
    "no_seat": lambda h, w, x: h.load(x) >= h.plan.seats(x),
    "no_bed": lambda h, w, x: h.load(x) >= h.plan.beds(x),
}


def holds(house: House, who: int, lack: Lack) -> bool:
    return PREDICATES[lack.predicate](house, who, *lack.things)


def origin_needs(house: House, who: int, thing: int) -> list[Lack]:
    """What putting a held thing back takes beyond holding it; this depends on where it was taken from."""
    origin = house.origin(who, thing)
    if origin is None:
        return []
    if origin.how not in ("on", "in"):
        return [Lack("at", (house.room(origin.at),))]
    more = [Lack("is_closed", (origin.at,), False)] if origin.how == "in" else []
    return [Lack("close_to", (origin.at,)), Lack("carried", (origin.at,), False), *more]


def _test(need: Need) -> Callable[..., bool]:
    holds = PREDICATES[need.predicate]
    if need.tag:
        tag = need.tag[1:]  # things are held, at most two
        return lambda h, w, a: not getattr(h.plan, tag).isdisjoint(h.people[w].hands)
    if not need.args:
        return lambda h, w, a: holds(h, w)
    (place,) = need.args
    return lambda h, w, a: holds(h, w, a[place])


def need(text: str) -> Need:
    """``not is_on $0``, ``holding #knives``, ``hand_free``."""
    so = not text.startswith("not ")
    predicate, *args = text.removeprefix("not ").split()
    tag = next((a for a in args if a.startswith("#")), "")
    return Need(predicate, tuple(int(a[1:]) for a in args if a.startswith("$")), so, tag)


# -- changes ----------------------------------------------------------------------------------------------------------


def _go(house: House, who: int, args: tuple[int, ...]) -> None:
    house.go(who, args[0])


def _find(house: House, who: int, args: tuple[int, ...]) -> None:
    if house.is_close(who, args[0]):
        house.person(who, near=house.people[who].near | {args[0]}, facing=frozenset())
    else:
        house.go(who, args[0])


def _grab(house: House, who: int, args: tuple[int, ...]) -> None:
    house.take(who, args[0])


def _on(house: House, who: int, args: tuple[int, ...]) -> None:
    house.lay(who, args[0], Place("on", args[1]))


def _in(house: House, who: int, args: tuple[int, ...]) -> None:
    house.lay(who, args[0], Place("in", args[1]))


def _drop(house: House, who: int, args: tuple[int, ...]) -> None:
    house.lay(who, args[0], Place("room", house.room(house.plan.people[who])))


def _free_hand(house: House, who: int, args: tuple[int, ...]) -> None:
    if len(house.people[who].hands) == 2:
        _drop(house, who, house.people[who].hands[:1])


def _put_back(house: House, who: int, args: tuple[int, ...]) -> None:
    origin = house.origin(who, args[0])
    if origin is None or origin.how in ("held", "worn"):
        _drop(house, who, args)
    else:
        house.lay(who, args[0], origin)


def _wear(house: House, who: int, args: tuple[int, ...]) -> None:
    house.lay(who, args[0], Place("worn", house.plan.people[who]))


def _take_off(house: House, who: int, args: tuple[int, ...]) -> None:
    _drop(house, who, args)


def _pour(house: House, who: int, args: tuple[int, ...]) -> None:
    if house.plan.kinds[args[0]] == "water":
        house.lay(who, args[0], Place("in", args[1]))
    house.poured |= {args}  # type: ignore[arg-type]  # two things


def _turn(house: House, who: int, args: tuple[int, ...]) -> None:
    house.person(who, facing=frozenset(args))


def _settle(pose: str) -> Do:
    return lambda house, who, args: house.settle(who, pose, args[0])


def _stand(house: House, who: int, args: tuple[int, ...]) -> None:
    house.stand(who)


def _set(on: int, off: int = 0) -> Do:
    return lambda house, who, args: house.set_bits(args[0], on, off)


def _into_itself(house: House, args: tuple[int, ...]) -> str:
    thing, goal = args
    names = house.plan.names
    if thing == goal:
        return f"{names[thing]} cannot be put on or into itself"
    if goal in house.plan.rooms or goal in house.plan.people:
        return f"nothing can be put on or into {names[goal]}; use drop to put a thing down in a room"
    return ""


_REFUSALS: Mapping[str, Callable[[House, tuple[int, ...]], str]] = {
    "put_on": _into_itself,
    "put_in": _into_itself,
    "pour": _into_itself,
}

# -- the table --------------------------------------------------------------------------------------------------------


def _rule(
    name: str,
    doc: str,
    parameters: str = "thing",
    script: str = "",
    suits: tuple[tuple[str, str] | None, ...] = (),
    needs: str = "",
    effects: str = "",
    do: Do | None = None,
    deed: bool = False,
) -> Rule:
    wanted = tuple(need(text.strip()) for text in needs.split(",") if text.strip())
    brought = tuple(need(text.strip()) for text in effects.split(",") if text.strip())
    tests = tuple((n, _test(n)) for n in wanted)
    script = script or name.replace("_", "").upper()
    return Rule(name, doc, tuple(parameters.split()), script, suits, wanted, brought, do, deed, tests)


_GRABBED = ("grabbed", "cannot be held")
_OPENED = ("opened", "cannot be opened or closed")
_SWITCHED = ("switched", "has no switch")
_PLUGS = ("plugs", "has no plug")
_CLOTHES = ("worn", "is not clothes")

RULES: tuple[Rule, ...] = (
    _rule("grab", "Take a thing into a free hand.", suits=(_GRABBED,), do=_grab,
          needs="in_reach $0, hand_free, not holding $0", effects="holding $0"),
    _rule("put_on", "Put a held thing on another.", "thing surface", "PUTBACK", do=_on,
          needs="holding $0, close_to $1, not carried $1",
          effects="on_top $0 $1, not holding $0, hand_free"),
    _rule("put_in", "Put a held thing into another, which must not be closed.", "thing container", "PUTIN", do=_in,
          needs="holding $0, close_to $1, not is_closed $1, not carried $1",
          effects="inside $0 $1, not holding $0, hand_free"),
    _rule("put_back", "Put a held thing back where it was taken from.", script="PUTOBJBACK", do=_put_back,
          needs="holding $0", effects="not holding $0, hand_free"),
    _rule("drop", "Put a held thing down on the floor.", do=_drop, needs="holding $0",
          effects="not holding $0, hand_free"),
    _rule("free_hand", "If both hands are full, put down on the floor what was held longest.", "", "-", do=_free_hand,
          effects="hand_free"),
    _rule("open", "Open a thing. What is switched on stays shut.", suits=(_OPENED,), do=_set(OPEN),
          needs="close_to $0, hand_free, not is_open $0, not is_on $0", effects="is_open $0, not is_closed $0"),
    _rule("close", "Close a thing.", suits=(_OPENED,), do=_set(0, OPEN),
          needs="close_to $0, is_open $0", effects="is_closed $0, not is_open $0"),
    _rule("switch_on", "Switch a thing on.", suits=(_SWITCHED,), do=_set(ON),
          needs="close_to $0, not is_on $0, not unplugged $0", effects="is_on $0"),
    _rule("switch_off", "Switch a thing off.", suits=(_SWITCHED,), do=_set(0, ON),
          needs="close_to $0, is_on $0", effects="not is_on $0"),
    _rule("plug_in", "Plug a thing in.", script="PLUGIN", suits=(_PLUGS,), do=_set(PLUGGED),
          needs="close_to $0, hand_free, not plugged_in $0", effects="plugged_in $0, not unplugged $0"),
    _rule("plug_out", "Unplug a thing.", script="PLUGOUT", suits=(_PLUGS,), do=_set(0, PLUGGED),
          needs="close_to $0, hand_free, plugged_in $0", effects="unplugged $0, not plugged_in $0"),
    _rule("wash", "Wash a thing.", do=_set(CLEAN, DIRTY), needs="close_to $0", effects="not dirty $0"),
    _rule("rinse", "Rinse a thing.", do=_set(CLEAN, DIRTY), needs="close_to $0", effects="not dirty $0"),
    _rule("scrub", "Scrub a thing.", do=_set(CLEAN, DIRTY), needs="close_to $0", effects="not dirty $0"),
    _rule("wipe", "Wipe a thing with whatever is held.", do=_set(CLEAN, DIRTY),
          needs="close_to $0, holding #grabbed", effects="not dirty $0"),
    _rule("sit", "Sit down on a thing.", suits=(("sat_on", "is nothing to sit on"),), do=_settle("sitting"),
          needs="close_to $0, not sitting, not no_seat $0", effects="sitting_on $0, sitting, resting"),
    _rule("lie", "Lie down on a thing.", suits=(("lain_on", "is nothing to lie on"),), do=_settle("lying"),
          needs="close_to $0, not lying, not no_bed $0", effects="lying_on $0, lying, resting"),
    _rule("stand_up", "Stand up.", "", "STANDUP", do=_stand, needs="resting",
          effects="not resting, not sitting, not lying"),
    _rule("sleep", "Sleep, sitting or lying.", "", needs="resting", deed=True),
    _rule("wake_up", "Wake up, sitting or lying.", "", "WAKEUP", needs="resting", deed=True),
    _rule("wear", "Put on clothes that are held.", script="PUTON", suits=(_CLOTHES,), do=_wear,
          needs="holding $0", effects="wearing $0, not holding $0, hand_free"),
    _rule("take_off", "Take off clothes that are worn, onto the floor.", script="PUTOFF", suits=(_CLOTHES,),
          do=_take_off, needs="wearing $0", effects="not wearing $0"),
    _rule("pour", "Pour from a held thing into another.", "thing into", do=_pour, needs="holding $0, close_to $1",
          suits=(("poured", "cannot be poured"), ("poured_into", "takes nothing poured")), effects="poured $0 $1"),
    _rule("drink", "Drink, or drink from, a held thing.", needs="holding $0", deed=True,
          suits=(("drunk", "cannot be drunk, or drunk from"),)),
    _rule("eat", "Eat a thing.", needs="close_to $0, edible $0", deed=True),
    _rule("cut", "Cut food, holding a knife in one hand.", suits=(("cut", "cannot be cut"),), deed=True,
          needs="close_to $0, hand_free, holding #knives"),
    _rule("read", "Read a held thing.", suits=(("read", "cannot be read"),), needs="holding $0", deed=True),
    _rule("type", "Type on a thing.", suits=(("typed_on", "has no switch or keys"),), needs="close_to $0", deed=True),
    _rule("watch", "Watch a thing that is in sight, from wherever you face it.", deed=True,
          suits=(("looked_at", "is nothing to watch"),), needs="in_sight $0, facing $0"),
    _rule("turn_to", "Turn to a thing, near or far.", script="TURNTO", do=_turn, effects="facing $0"),
    _rule("look_at", "Look at a thing that you face.", script="LOOKAT", needs="facing $0", deed=True),
    _rule("point_at", "Point at a thing that you face.", script="POINTAT", needs="facing $0", deed=True),
    _rule("touch", "Touch a thing.", needs="in_reach $0", deed=True),
    _rule("push", "Push a thing, with a free hand.", needs="in_reach $0, hand_free", deed=True),
    _rule("pull", "Pull a thing, with a free hand.", needs="in_reach $0, hand_free", deed=True,
          suits=(("moved", "cannot be moved"),)),
    _rule("move", "Move a thing about, with a free hand.", needs="in_reach $0, hand_free", deed=True,
          suits=(("moved", "cannot be moved"),)),
    _rule("squeeze", "Squeeze a thing, with a free hand.", needs="close_to $0, hand_free", deed=True,
          suits=(("squeezed", "cannot be squeezed"),)),
    _rule("greet", "Greet a person, near or far.", "person", suits=(("greeted", "is not a person"),), deed=True),
)  # fmt: skip
BY_NAME: Mapping[str, Rule] = {rule.name: rule for rule in RULES}
# Going about; programs do it by looking for things (`habilis.worlds.household._search`).
WALK = _rule("walk", "Walk to a thing or into a room.", do=_go, needs="not resting")
FIND = _rule("find", "Go up to a thing.", do=_find, needs="can_go $0")

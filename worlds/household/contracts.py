"""The rules as contracts: one per action, for all things (``$0``, ``$1``)."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

from habilis.core import Action, Atom, Condition, Contract, Effect, Fact, Term
from habilis.worlds.household._house import House
from habilis.worlds.household._plan import AGENT, Plan
from habilis.worlds.household._rules import BY_NAME, RULES, Lack, Need, origin_needs
from habilis.worlds.household._tags import OF_PLAN

__all__ = ["atom_of", "declared", "put_back_contracts", "watch_contracts"]


def atom_of(plan: Plan, lack: Lack) -> Atom:
    """A need of named things as an atom."""
    if lack.predicate == "at":
        fact = Fact("in_room", (AGENT, plan.names[lack.things[0]]))
    else:
        names: tuple[Term, ...] = tuple(plan.names[t] for t in lack.things)
        fact = Fact(lack.predicate, (*names, OF_PLAN[lack.tag]) if lack.tag else names)
    return Atom(fact, "==", lack.so)


@lru_cache(maxsize=4)
def declared(fingerprint: str) -> tuple[Contract, ...]:
    """The contracts that hold in every house."""
    found = []
    for rule in RULES:
        action = Action(rule.name, tuple(f"${i}" for i in range(len(rule.parameters))))
        effects = [_effect(e) for e in rule.effects]
        if rule.deed:
            effects.append(Effect(Fact("done", (rule.name, "$0" if rule.parameters else AGENT)), value=True))
        conditions = tuple(Condition(_open_atom(n), known=True) for n in rule.needs)
        found.append(Contract(action, fingerprint, conditions, tuple(effects), source="declared"))
    up = Condition(Atom(Fact("resting"), "==", False), known=True)
    for seeker in ("walk", "find"):
        found.append(Contract(Action(seeker, ("$0",)), fingerprint, (up,), source="declared"))
    return tuple(found)


def watch_contracts(plan: Plan, fingerprint: str) -> Iterable[Contract]:
    """Walking to something to watch brings it in sight."""
    up = Condition(Atom(Fact("resting"), "==", False), known=True)
    for thing in sorted(plan.looked_at):
        name = plan.names[thing]
        seen = Effect(Fact("in_sight", (name,)), value=True)
        yield Contract(Action("walk", (name,)), fingerprint, (up,), (seen,), source="declared")


def put_back_contracts(house: House, fingerprint: str) -> Iterable[Contract]:
    """What putting back each held thing takes: that depends on where it was taken from."""
    names = house.plan.names
    for thing in house.people[0].hands:
        needs = [Lack("holding", (thing,)), *origin_needs(house, 0, thing)]
        bound = [
            Effect(Fact(e.predicate, tuple(names[thing] for _ in e.args)), value=e.so)
            for e in BY_NAME["put_back"].effects
        ]
        yield Contract(
            Action("put_back", (names[thing],)),
            fingerprint,
            tuple(Condition(atom_of(house.plan, n), known=True) for n in needs),
            tuple(bound),
            source="declared",
        )


def _open_atom(need: Need) -> Atom:
    args: tuple[Term, ...] = tuple(f"${i}" for i in need.args)
    return Atom(Fact(need.predicate, (*args, OF_PLAN[need.tag]) if need.tag else args), "==", need.so)


def _effect(need: Need) -> Effect:
    return Effect(Fact(need.predicate, tuple(f"${i}" for i in need.args)), value=need.so)

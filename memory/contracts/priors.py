"""What actions did in other worlds: supposed here until it is tested, and never believed.

A contract that was induced in another world of the home says what an action of the same name and signature *may* do
here. It is planned with where nothing that was seen here leads on, and is nobody's evidence: the first success here
takes its place. How such suppositions fared is counted by the world that they come from and the action's name; where
more than two in three were refuted, the rest of them is dropped too.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import replace

from habilis.core import Action, Contract, Fact, Json, Outcome, Record, Snapshot, WorldSpec
from habilis.memory.contracts._stored import rises
from habilis.memory.interfaces import interface_of, interfaces
from habilis.memory.journal import Journal

__all__ = ["Priors", "priors_of"]

_DOUBTED = 1 / 3  # mean of Beta(1 + held, 1 + refuted) below which what a world says of an action's name is dropped
_UNLUCKY = 0.02  # chance of taking a supposition for refuted although it holds
_RAREST = 0.05  # chance of an action that is reckoned with: no more than some eighty failures in a row
_USUAL = 0.5  # share of the successes from which on an effect is the action's own


def priors_of(journal: Journal, spec: WorldSpec) -> list[Contract]:
    """The contracts that succeeded in other worlds of the home and use nothing that is not here too, and alike."""
    here, found = interface_of(spec), []
    for fingerprint, there in interfaces(journal).items():
        if fingerprint == spec.fingerprint:
            continue
        for contract in journal.contracts(fingerprint):
            names = {contract.action.name}
            for fact in (*(c.atom.fact for c in contract.conditions), *(e.fact for e in contract.effects)):
                names |= {fact.predicate, *(a for a in fact.args if isinstance(a, str) and a.startswith("#"))}
            if contract.successes and contract.effects and all(n in there and here.get(n) == there[n] for n in names):
                found.append(contract)
    return found


class Priors:
    """The suppositions of one world's book. ``state``: how they fared before, as of `save`."""

    def __init__(self, spec: WorldSpec, contracts: Iterable[Contract] = (), state: Json = None) -> None:
        self._spec = spec
        self._by_action: dict[Action, list[Contract]] = {}
        self._produces: dict[tuple[Fact, bool], list[Action]] = {}
        for one in sorted(contracts, key=lambda c: (-c.successes, c.fingerprint)):
            self._by_action.setdefault(one.action, []).append(one)
        for action in sorted(self._by_action, key=str):
            for fact, up in dict.fromkeys((e.fact, rises(e)) for c in self._by_action[action] for e in c.effects):
                self._produces.setdefault((fact, up), []).append(action)
        told = state if isinstance(state, Mapping) else {}
        self._records = {str(k): Record(*v) for k, v in told.get("records", {}).items()}
        self._refuted = {str(one) for one in told.get("refuted", [])}
        self._vain = {str(k): int(v) for k, v in told.get("vain", {}).items()}
        self.changed = False  # since it was last saved

    def save(self) -> dict[str, Json]:
        self.changed = False
        return {
            "records": {k: [r.successes, r.failures] for k, r in sorted(self._records.items())},
            "refuted": sorted(self._refuted),
            "vain": dict(sorted(self._vain.items())),
        }

    def producers(self, fact: Fact, up: bool) -> list[Action]:
        """The actions that brought a fact about elsewhere (``up=False``: ended it), in a fixed order."""
        return [a for a in self._produces.get((fact, up), ()) if self._found(a) is not None]

    def of(self, action: Action) -> Contract | None:
        """What is supposed of an action. Where the world gives reasons, only what it does: what it needs is told by
        the first failure, which is cheaper than to bring about what it needed elsewhere."""
        found = self._found(action)
        if found is None:
            return None
        reasons = "reasons" in self._spec.capabilities
        effects = tuple(replace(e, seen=0) for e in found.effects if e.seen > _USUAL * found.successes)
        return replace(
            found,
            fingerprint=self._spec.fingerprint,
            conditions=() if reasons else tuple(replace(c, confirmed=0) for c in found.conditions),
            effects=effects,
            successes=0,
            failures=0,
            source="supposed",
            held=(),
        )

    def hear(self, action: Action, outcome: Outcome, before: Snapshot) -> bool:
        """Test what is supposed of an action that has never succeeded here by what came of it; whether that changes
        what is supposed."""
        found = self._found(action)
        if found is None:
            return False
        key = f"{found.fingerprint} {action}"
        if outcome.ok:
            self._count(found, _came(found, outcome))
            return True
        if outcome.unmet is not None or any(not before.holds(c.atom) for c in found.conditions):
            return False  # what it lacks says nothing of what it does
        self.changed = True
        self._vain[key] = self._vain.get(key, 0) + 1
        if self._vain[key] <= _patience(found.chance):
            return False
        self._refuted.add(key)
        self._vain.pop(key, None)
        self._count(found, False)
        return True

    def _found(self, action: Action) -> Contract | None:
        for one in self._by_action.get(action, ()):
            record = self._records.get(_source(one), Record())
            if f"{one.fingerprint} {action}" not in self._refuted and record.mean >= _DOUBTED:
                return one
        return None

    def _count(self, contract: Contract, held: bool) -> None:
        name = _source(contract)
        self._records[name] = self._records.get(name, Record()).plus(held)
        self.changed = True


def _source(contract: Contract) -> str:
    return f"{contract.fingerprint} {contract.action.name}"


def _came(contract: Contract, outcome: Outcome) -> bool:
    """Whether a success did what was supposed: each effect that is no matter of luck."""
    rose: dict[Fact, bool] = {
        c.fact: bool(c.after) if isinstance(c.after, bool) else c.after > c.before for c in outcome.changes
    }
    for effect in contract.effects:
        if effect.seen < contract.successes:
            continue
        up = rises(effect)
        if rose.get(effect.fact, up if isinstance(effect.value, bool) else None) != up:  # it may have been so before
            return False
    return True


def _patience(chance: float) -> int:
    """How often in a row an action that works by this chance may fail."""
    return math.ceil(math.log(_UNLUCKY) / math.log(1 - max(chance, _RAREST))) if chance < 1 else 0

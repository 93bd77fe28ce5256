"""A tally as the contract that is stored and planned with, and back."""

from __future__ import annotations

from habilis.core import (
    Action,
    Condition,
    Contract,
    Effect,
)
from habilis.memory.contracts._tally import TalliedCondition, Tally, rate

_BELIEVED = 8.0  # times that a told effect should have come by now; if it never did, it is false (e^-8)


def built(action: Action, entry: Tally, fingerprint: str) -> Contract:
    """The contract that a tally amounts to."""
    conditions = tuple(
        Condition(c.atom, rounded(rate(c)), c.weighed > 0, c.confirmed)
        for _, c in sorted(entry.conditions.items(), key=lambda item: str(item[1].atom))
    )
    effects = []
    for fact in sorted(set(entry.seen) | set(entry.told), key=str):
        seen = entry.seen[fact]
        if fact in entry.values:
            effects.append(Effect(fact, 0.0, entry.values[fact], seen))
        elif seen:
            effects.append(Effect(fact, rounded(entry.amounts[fact] / entry.successes), None, seen))
        elif abs(entry.told[fact]) * entry.successes < _BELIEVED:
            effects.append(Effect(fact, rounded(entry.told[fact] / (1 + abs(entry.told[fact]) * entry.successes))))
    tries = entry.successes + entry.failures
    return Contract(
        action,
        fingerprint,
        conditions,
        tuple(effects),
        entry.successes,
        entry.failures,
        entry.source,
        tuple(sorted(entry.context.items(), key=str)),
        rounded(entry.steps / tries) if tries else 1.0,
        tuple(sorted(entry.held, key=str)),
        rounded(entry.chance),
    )


def restored(contract: Contract) -> Tally:
    """The tally that a stored contract was built from, as far as it tells."""
    entry = Tally(successes=contract.successes, failures=contract.failures, source=contract.source)
    for c in contract.conditions:
        weighed = max(1, contract.successes) if c.known else 0
        consumed = c.consumed * weighed if c.known else c.consumed
        entry.conditions[c.atom.fact, c.atom.op] = TalliedCondition(c.atom, consumed, weighed, c.confirmed)
    for effect in contract.effects:
        if effect.value is not None:
            entry.values[effect.fact] = bool(effect.value)
        elif effect.seen:
            entry.amounts[effect.fact] = effect.amount * contract.successes
        if effect.seen:
            entry.seen[effect.fact] = effect.seen
        else:
            faded = 1 - abs(effect.amount) * contract.successes  # undoes what `built` did
            entry.told[effect.fact] = effect.amount / faded if effect.amount and faded > 0 else effect.amount or 1.0
        entry.produce(effect.fact, rises(effect))
    entry.context.update(dict(contract.context))
    entry.steps = round(contract.cost * (contract.successes + contract.failures))
    entry.held = frozenset(contract.held)
    entry.chance = contract.chance
    return entry


def rises(effect: Effect) -> bool:
    """Whether a number grows by it, or a fact becomes true."""
    return effect.value if isinstance(effect.value, bool) else effect.amount > 0


def rounded(number: float) -> float:
    """Enough digits to plan with; few enough that a stored contract reads back equal."""
    return round(number, 6)

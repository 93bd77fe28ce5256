"""What an action needs and does, with the evidence for and against."""

from __future__ import annotations

from dataclasses import dataclass, field

from habilis.core.goal import Atom, Fact, Value
from habilis.core.world import Action


@dataclass(frozen=True, slots=True)
class Condition:
    """One required atom. ``consumed`` is how much of a numeric fact the action uses up (0: it is kept).

    ``known`` says whether the consumption was seen (or declared) rather than assumed. ``confirmed`` counts the
    observations for it; a success without it takes it away.
    """

    atom: Atom
    consumed: float = 0.0
    known: bool = False
    confirmed: int = 0


@dataclass(frozen=True, slots=True)
class Effect:
    """A change the action makes. ``amount``: mean change of a numeric fact per success; ``value``: of a truth value."""

    fact: Fact
    amount: float = 0.0
    value: Value | None = None
    seen: int = 0


@dataclass(frozen=True, slots=True)
class Contract:
    """What one action requires, keeps, consumes, adds and deletes in a world of this fingerprint.

    Conditions with ``consumed`` > 0 are consumed; numeric ones without are kept; the rest are required. ``successes``
    and ``failures`` count the evidence. ``source``: "declared", "told" (by a document), "induced", or "supposed" (so it
    was in another world, and was not tested here). ``context``: where the action has succeeded, as (atom, times).
    ``held``: in a world without reasons, the facts that were true at every success: one of them is to blame where the
    action fails. ``chance``: how often it works with all that it needs, where experiments have told.
    """

    action: Action
    fingerprint: str
    conditions: tuple[Condition, ...] = ()
    effects: tuple[Effect, ...] = ()
    successes: int = 0
    failures: int = 0
    source: str = "induced"
    context: tuple[tuple[Atom, int], ...] = field(default=())
    cost: float = 1.0
    held: tuple[Fact, ...] = ()
    chance: float = 1.0

    def effect_on(self, fact: Fact, up: bool = True) -> Effect | None:
        """The effect that raises this fact or makes it true (``up=False``: lowers it, makes it false), if any."""
        for effect in self.effects:
            if effect.fact != fact:
                continue
            rises = effect.value if isinstance(effect.value, bool) else effect.amount > 0
            if rises is up:
                return effect
        return None

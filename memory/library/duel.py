"""Which of two programs for one goal is better: both run in the same fresh worlds with the same arguments."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from habilis.core import BudgetExceeded, Json, Ledger, Program, Skill, Trajectory, Trial, Verifier

__all__ = ["Duel", "Side", "duel"]


@dataclass(frozen=True)
class Side:
    """One of the two: a skill, the choices that are meant, and the programs that it calls."""

    skill: Skill
    choices: Mapping[str, Json]
    skills: Mapping[str, Program]

    def args(self, values: Sequence[Json]) -> dict[str, Json]:
        """The values as arguments, for the parameters that are no choices, in their order."""
        names = [p.name for p in self.skill.program.parameters if not p.choices]
        return {**dict(zip(names, values, strict=False)), **self.choices}


@dataclass(frozen=True)
class Duel:
    """How it went. ``wins`` and ``losses`` of the newer one, pair by pair: who succeeded, else who took fewer world
    steps. ``alike``: both did the same actions in all pairs."""

    old: tuple[Trial, ...]
    new: tuple[Trial, ...]
    trajectories: tuple[Trajectory, ...]
    wins: int
    losses: int
    alike: bool

    @property
    def better(self) -> bool:
        """Whether the newer one wins: success first, then world steps."""
        old, new = sum(t.ok for t in self.old), sum(t.ok for t in self.new)
        if new != old:
            return new > old
        return bool(new) and self.wins > self.losses and self.steps("new") < self.steps("old")

    @property
    def worse(self) -> bool:
        """Whether the newer one succeeds less often."""
        return sum(t.ok for t in self.new) < sum(t.ok for t in self.old)

    def steps(self, side: str) -> int:
        return sum(t.world_steps for t in (self.new if side == "new" else self.old))

    def __str__(self) -> str:
        old, new = sum(t.ok for t in self.old), sum(t.ok for t in self.new)
        pairs = len(self.new)
        return (
            f"{new} of {pairs} against {old} of {pairs} in the same worlds, "
            f"{self.steps('new')} world steps against {self.steps('old')}"
        )


def duel(
    new: Side, old: Side, pairs: Sequence[tuple[int, Sequence[Json]]], verifier: Verifier, ledger: Ledger
) -> Duel | None:
    """Run both on each pair of a seed and values for the parameters; the newer one first.

    Ends early where the newer one fails and the older one does not: it cannot win any more. None where the clock, or
    what the run can pay, ended it: then it shows nothing.
    """
    olds: list[Trial] = []
    news: list[Trial] = []
    seen: list[Trajectory] = []
    wins = losses = 0
    alike = True
    for seed, values in pairs:
        try:
            runs = [verifier.trial(side.skill, side.args(values), seed, side.skills, ledger) for side in (new, old)]
        except BudgetExceeded:
            return None
        if any(run.inconclusive and not trial.ok for trial, run in runs):
            return None
        (mine, ran), (other, did) = runs
        news.append(mine)
        olds.append(other)
        seen += [ran, did]
        alike = alike and [s.action for s in ran.steps] == [s.action for s in did.steps]
        if (mine.ok, -mine.world_steps) != (other.ok, -other.world_steps):
            won = (mine.ok, -mine.world_steps) > (other.ok, -other.world_steps)
            wins, losses = wins + won, losses + (not won)
        if other.ok and not mine.ok:
            break
    return Duel(tuple(olds), tuple(news), tuple(seen), wins, losses, alike)

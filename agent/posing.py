"""Tasks that a world's own missions pose: each life has one, and the curriculum takes it as it comes.

Of a few lives that might begin now, the one is lived whose mission is most worth practising: of a form (its predicates,
whatever things they name) that is new, or is done sometimes and sometimes not. What always works teaches no more, and
what never did is for later.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field

from habilis.core import Goal, GoalGiving, Json, World
from habilis.worlds.runner import asked, reset

__all__ = ["Missions", "form_of"]

_LIVES = 4  # that might begin, of which one does: beginning a life costs next to nothing
_ALWAYS = 0.05  # of the interest in what is half mastered is left in what is mastered, and in what never worked


@dataclass
class Missions:
    """How often missions of each form were done (solved, failed)."""

    forms: dict[str, list[int]] = field(default_factory=dict)

    def record(self, goal: Goal, solved: bool) -> None:
        counts = self.forms.setdefault(form_of(goal), [0, 0])
        counts[not solved] += 1

    def interest(self, goal: Goal) -> float:
        """1 for what is new or done half of the time, less for what is mastered, or was never done in many tries."""
        solved, failed = self.forms.get(form_of(goal), (0, 0))
        chance = (solved + 1) / (solved + failed + 2)
        return _ALWAYS + (1 - _ALWAYS) * 4 * chance * (1 - chance)

    def begin(self, world: GoalGiving, rng: random.Random) -> tuple[int, Goal, float] | None:
        """Begin the life whose mission is most worth practising: its seed, the mission, and how much it is. None where
        no life that was looked at has one."""
        found: list[tuple[float, int, Goal]] = []
        for _ in range(_LIVES):
            seed = rng.getrandbits(31)
            goal = _mission(world, seed)
            if goal is not None:
                found.append((self.interest(goal) * (1 + 0.1 * rng.random()), seed, goal))
        if not found:
            return None
        worth, seed, goal = max(found, key=lambda one: one[:2])
        reset(world, seed)
        return seed, goal, worth

    def save(self) -> dict[str, Json]:
        return {form: list(counts) for form, counts in sorted(self.forms.items())}

    def load(self, state: Json) -> None:
        self.forms = {str(form): [int(n) for n in counts] for form, counts in (state or {}).items()}


def form_of(goal: Goal) -> str:
    """What a goal asks for, whatever it is asked of: its predicates, with the numbers that they are given."""
    parts = [[a.fact.predicate, *(str(arg) for arg in a.fact.args if isinstance(arg, int))] for a in goal.atoms]
    return " and ".join(" ".join(part) for part in parts)


def _mission(world: World, seed: int) -> Goal | None:
    reset(world, seed)
    goals = asked(world, "when asked for its mission", world.goals) if isinstance(world, GoalGiving) else ()
    return goals[0] if goals else None

"""What it is worth to test on beliefs of other seeds what is left out of a plan.

    python -m benchmarks._plans 24

Chores of the household in so many small houses (a share of them is done already, or no plan is found): tree search
plans on one belief; what can be left out is left out where the rest works there, or there and in two other beliefs as
well. How long the plans are, whether they do it in the true house, which the search never saw, and what they took.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from habilis.agent.planning.meter import SearchMeter
from habilis.agent.planning.tree import TreeSearch
from habilis.core import Goal, Ledger
from habilis.worlds.household import HouseholdWorld

_SIZE = 0.2  # of the houses
_SEEDS = 1_000  # the first house


def planned(world: HouseholdWorld, goal: Goal, seed: int, others: int) -> tuple[int, bool, int] | None:
    """The length of the plan, whether it does it in this house, and the search steps; None where none was found."""
    ledger, belief = Ledger(), world.simulator()
    with SearchMeter(ledger) as meter:
        elsewhere = [belief.imagine(k) for k in range(1, others + 1)]
        plan = TreeSearch().plan(goal, belief.imagine(0), meter, seed, elsewhere)
    if plan is None:
        return None
    true = world.clone()
    done = all(true.act(action).ok for action in plan) and not goal.unmet(true.observe())
    return len(plan), done, ledger.spent.search_steps


def main(argv: Sequence[str]) -> None:
    world = HouseholdWorld(size=_SIZE)
    chores = world.chores()
    words = sorted(chores)
    rows: list[tuple[tuple[int, bool, int], ...]] = []
    for k in range(int(argv[0]) if argv else 24):
        goal = chores[words[k * 7 % len(words)]]
        world.reset(_SEEDS + k)
        if goal.unmet(world.observe()):
            both = [found for others in (0, 2) if (found := planned(world, goal, k, others)) is not None]
            rows += [tuple(both)] if len(both) == 2 else []
    print(f"{'tested on':16}{'plans':>7}{'actions':>9}{'done':>6}{'search steps':>14}")
    for i, name in enumerate(("one belief", "three beliefs")):
        mine = [row[i] for row in rows]
        actions, steps = (sum(one[j] for one in mine) / max(1, len(mine)) for j in (0, 2))
        print(f"{name:16}{len(mine):7}{actions:9.2f}{sum(one[1] for one in mine):6}{steps:14,.0f}")


if __name__ == "__main__":
    main(sys.argv[1:])

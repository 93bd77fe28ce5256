"""Short lives in houses, as an exploration would have recorded them, without an agent."""

from __future__ import annotations

import random
from collections.abc import Sequence

from habilis.core import Action, Attempt, Episode, Goal, Program, Snapshot, Step, Task, Trajectory
from habilis.worlds.household import HouseholdWorld

THINGS = ("plate_1", "fork_1", "cup_1", "apple_1", "milk_1", "book_1", "towel_1", "shirt_1", "keys_1", "pen_1")
SPOTS = ("table_1", "desk_1", "bed_1", "sofa_1", "kitchen_counter_1", "coffee_table_1")


def house() -> HouseholdWorld:
    return HouseholdWorld(people="always", size=0.3)


def random_life(index: int, steps: int = 40) -> Episode:
    world, rng = house(), random.Random(index)
    world.reset(1000 + index)
    actions = []
    before = _copy(world.observe())
    taken: list[Step] = []
    for _ in range(steps):
        by_name: dict[str, list[Action]] = {}
        for action in world.affordances():
            by_name.setdefault(action.name, []).append(action)
        actions.append(rng.choice(by_name[rng.choice(sorted(by_name))]))
        taken.append(Step(actions[-1], world.act(actions[-1])))
    return _episode(index, Goal(), "explore at random", world, before, taken, "explored")


def errand(index: int) -> Episode:
    """One or two things are brought to places; what for is named in words that do not name them."""
    world, rng = house(), random.Random(f"errand {index}")
    world.reset(5000 + index)
    before = _copy(world.observe())
    jobs = [(rng.choice(THINGS), rng.choice(SPOTS))]
    if index % 2:
        jobs.append((rng.choice([t for t in THINGS if t != jobs[0][0]]), rng.choice(SPOTS)))
    taken: list[Step] = []
    for thing, spot in jobs:
        for action in (
            Action("find", (thing,)),
            Action("grab", (thing,)),
            Action("walk", (spot,)),
            Action("put_on", (thing, spot)),
        ):
            taken.append(Step(action, world.act(action)))
    goal = Goal.parse(" and ".join(f'on_top("{thing}", "{spot}")' for thing, spot in jobs))
    status = "solved" if not goal.unmet(world.observe()) else "failed"
    return _episode(index, goal, f"do errand {index}", world, before, taken, status)


def _episode(
    index: int, goal: Goal, text: str, world: HouseholdWorld, before: Snapshot, steps: Sequence[Step], status: str
) -> Episode:
    kind = "achieve" if goal.atoms else "explore"
    task = Task(goal, "household", world.seed, text, kind, origin="exploration", fingerprint=world.spec.fingerprint)
    trajectory = Trajectory(tuple(steps), before=before, after=_copy(world.observe()))
    return Episode(index, task, status, (Attempt(Program("lived", ""), trajectory, status == "solved"),))


def _copy(snapshot: Snapshot) -> Snapshot:
    return Snapshot(dict(snapshot.facts))


def lives(random_ones: int = 60, errands: int = 120) -> list[Episode]:
    return [*(random_life(i) for i in range(random_ones)), *(errand(i) for i in range(errands))]

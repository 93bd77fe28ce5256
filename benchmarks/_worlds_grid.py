"""The grid world: what an agent learns in BabyAI's levels, on unseen seeds and in levels that it has never practised.

    python -m benchmarks._worlds_grid --quick
    python -m benchmarks._worlds_grid --data FOLDER    # keeps the lives there, and goes on where it stopped

A life: an agent finds out about its actions by experiments in lives of the train split of seven levels, and then works
on missions there; it never sees one of the four others. Then its skills alone carry out missions of the test split, in
worlds without clones, seeds and checkpoints: the skill that fits the mission, or those that fit its parts one after the
other, run as a program, again if it ended before the life did (`RUNS` times at most). Nothing is learned or looked for
meanwhile. A mission is done where the package's reward is above 0; our reading of its text does not count.
*babyai_success* is the mean over the seven levels of the share of missions done, *babyai_unseen_levels* that of the
four. BossLevel, the hardest one, is told apart (``babyai_BossLevel``): results are published on it.

Each stage of a life is measured, so that success can be held against practice (``_1``, ``_2``, …, with the steps taken
until there), and beside it what the same agent does without its library: programs planned from its contracts for each
mission anew (``_none``). Beside both: *random* (the environment's six actions, each as likely, for a whole life),
*by_hand* (a program of ours that knows the rules, `benchmarks._grid_policy`), and *bot*, the package's own, which sees
the whole level.
"""

from __future__ import annotations

import random
import sys
import tempfile
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks._harness import Figure, Options, main
from habilis import Agent, AgentSettings
from habilis.agent.planning.calls import needed
from habilis.agent.planning.fitting import composed, fits
from habilis.agent.planning.lifting import lift
from habilis.agent.planning.regression import Regression
from habilis.core import Draft, Goal, Parameter, Program, RunLimits, Runner, Skill
from habilis.memory.contracts import ContractBook
from habilis.memory.home import Home
from habilis.worlds import for_evaluation
from habilis.worlds.grid import GridWorld
from habilis.worlds.runner import ConfinedRunner

AIMS = {"babyai_success": ">= 0.9", "babyai_unseen_levels": ">= 0.5"}
SEEDS = (3, 1)  # lives, and in the quick form
PRACTISED = ("GoToLocal", "PickupLoc", "Open", "UnlockLocal", "PutNextLocal", "GoTo", "Pickup")
UNSEEN = ("UnblockPickup", "GoToSeq", "Synth", "SynthSeq")
MISSIONS, OF_A_STAGE, QUICK = 30, 6, 5  # of each level: at the end of a life, after its other stages, in the quick form
STAGES = ((4, 5), (8, 10), (16, 20), (24, 40))  # worlds experimented in, and missions practised, in all
STEPS = 600  # of one world's experiments
RUNS = 3  # of a program in one life
_LIMITS = RunLimits(seconds=120.0, cpu_seconds=60, idle_seconds=60.0, world_steps=None, calls=20_000)
_HERE = Path(__file__).resolve().parent

Plan = Callable[[GridWorld, Goal], tuple[Draft, Mapping[str, Program]] | None]


@dataclass(frozen=True)
class Learned:
    """What an agent has at one stage of its life."""

    skills: Mapping[str, Skill]
    book: ContractBook
    steps: float  # of its experiments and of its tasks, proofs included
    missions: int


def measure(options: Options) -> dict[str, Figure]:
    """One life for each seed. ``options.data``: where the lives are kept."""
    samples: dict[str, list[float]] = defaultdict(list)
    stages = STAGES[:2] if options.quick else STAGES
    with ConfinedRunner() as runner, tempfile.TemporaryDirectory() as passing:
        homes = options.data or Path(passing)
        for seed in range(options.seeds):
            for number, stage in enumerate(stages, 1):
                last = stage == stages[-1]
                count = QUICK if options.quick else MISSIONS if last else OF_A_STAGE
                known = practised(homes / f"life-{seed}", stage, seed)
                told = rates(with_skills(known.skills), runner, count)
                bare = rates(without_library(known.book), runner, QUICK if options.quick else OF_A_STAGE)
                for kind, found in (("", told), ("_none", bare)):
                    samples[f"babyai_success_{number}{kind}"].append(_mean(found, PRACTISED))
                    samples[f"babyai_unseen_levels_{number}{kind}"].append(_mean(found, UNSEEN))
                samples[f"babyai_steps_{number}"].append(known.steps)
                samples[f"babyai_missions_{number}"].append(float(known.missions))
                samples[f"babyai_skills_{number}"].append(float(len(known.skills)))
            samples["babyai_success"].append(_mean(told, PRACTISED))
            samples["babyai_unseen_levels"].append(_mean(told, UNSEEN))
            hardest = rates(with_skills(known.skills), runner, count, ("BossLevel",))
            for level, rate in (*told.items(), *hardest.items()):
                samples[f"babyai_{level}"].append(rate)
        count = QUICK if options.quick else MISSIONS
        for name, rivals in (
            ("random", {level: _share(at_random, level, count) for level in (*PRACTISED, *UNSEEN)}),
            ("by_hand", rates(by_hand, runner, count)),
            ("bot", {level: _share(by_bot, level, count) for level in (*PRACTISED, *UNSEEN)}),
        ):
            samples[f"babyai_{name}"] = [_mean(rivals, PRACTISED)]
            samples[f"babyai_{name}_unseen_levels"] = [_mean(rivals, UNSEEN)]
            print(f"{name}: {_told(rivals)}", file=sys.stderr)
    return {name: Figure.of(values) for name, values in samples.items()}


def practised(home: Path, stage: tuple[int, int], seed: int) -> Learned:
    """An agent that has experimented in so many worlds and worked on so many missions; where it was before, it goes
    on."""
    worlds, missions = stage
    settings = AgentSettings(index="exact", embedder="hash", seed=seed)
    level = ",".join(PRACTISED)
    with Agent(GridWorld(level=level), home=home, settings=settings) as agent:
        agent.explore_now(worlds, steps=STEPS, policy="experiments")
    with Agent(GridWorld(level=level), home=home, settings=settings) as agent:
        agent.run_now(missions)
        skills = {name: bound.skill for name, bound in agent.skills.items()}
        spec = agent.world.spec
    with Home.open(home) as opened:
        book = ContractBook(spec, opened.journal.contracts(spec.fingerprint))
        spent = [run.spent for run in opened.journal.runs()]
    return Learned(skills, book, float(sum(s.world_steps + s.search_steps for s in spent)), missions)


def with_skills(skills: Mapping[str, Skill]) -> Plan:
    """The skill that fits a mission, or a program of those that fit its parts."""

    def plan(world: GridWorld, goal: Goal) -> tuple[Draft, Mapping[str, Program]] | None:
        found = fits(skills.values(), goal)
        draft = Draft(found[0][0].program, found[0][1]) if found else composed(skills.values(), goal, world.spec)
        return None if draft is None else (draft, needed(draft.program, skills))

    return plan


def without_library(book: ContractBook) -> Plan:
    """A program that is planned from contracts for this mission alone."""

    def plan(world: GridWorld, goal: Goal) -> tuple[Draft, Mapping[str, Program]] | None:
        regression = Regression(book, world.spec, {}, world.affordances(), facts=world.observe().facts)
        draft = lift(regression, goal)
        return None if draft is None else (draft, {})

    return plan


def by_hand(world: GridWorld, goal: Goal) -> tuple[Draft, Mapping[str, Program]]:
    text = (_HERE / "_grid_policy.py").read_text("utf-8")
    program = Program("policy", text[text.index("def policy(") :], (Parameter("parts", "json"),))
    return Draft(program, {"parts": [[a.fact.predicate, *a.fact.args] for a in goal.atoms]}), {}


def rates(plan: Plan, runner: Runner, count: int, levels: Sequence[str] = (*PRACTISED, *UNSEEN)) -> dict[str, float]:
    """The share of missions of each level that are done."""
    return {level: sum(done(plan, level, seed, runner) for seed in range(count)) / count for level in levels}


def done(plan: Plan, level: str, seed: int, runner: Runner) -> bool:
    """Whether the package rewards a life of the test split. A program that ended early runs again."""
    inner = GridWorld(level=level, split="test")
    world = for_evaluation(inner, seed)
    for _ in range(RUNS):
        goals = inner.goals()
        made = plan(inner, goals[0]) if goals else None
        if made is None:
            break
        draft, programs = made
        runner.run(draft.program, world, args=draft.args, skills=programs, limits=_LIMITS, seed=seed)
    return inner.reward > 0


def at_random(level: str, seed: int) -> bool:
    """The environment's own actions, each as likely, until its steps are over."""
    env, rng = GridWorld(level=level, split="test").environment(seed), random.Random(f"{level}:{seed}")
    while True:
        _, reward, terminated, truncated, _ = env.step(rng.randrange(6))
        if terminated or truncated:
            return bool(reward > 0)


def by_bot(level: str, seed: int) -> bool:
    """The package's own bot, which sees the whole level."""
    from minigrid.utils.baby_ai_bot import BabyAIBot

    env = GridWorld(level=level, split="test").environment(seed)
    bot: Any = BabyAIBot(env)
    action = None
    try:
        while True:
            action = bot.replan(action)
            _, reward, terminated, truncated, _ = env.step(action)
            if terminated or truncated:
                return bool(reward > 0)
    except Exception as error:  # it gives some missions up by an exception of its own
        print(f"the bot gave up {level} at seed {seed}: {type(error).__name__}: {error}", file=sys.stderr)
        return False


def _share(life: Callable[[str, int], bool], level: str, count: int) -> float:
    return sum(life(level, seed) for seed in range(count)) / count


def _mean(found: Mapping[str, float], levels: Sequence[str]) -> float:
    return sum(found[level] for level in levels) / len(levels)


def _told(found: Mapping[str, float]) -> str:
    return ", ".join(f"{level} {rate:.2f}" for level, rate in found.items())


if __name__ == "__main__":
    main("_worlds_grid", measure, aims=AIMS, seeds=SEEDS[0], quick_seeds=SEEDS[1])

"""The crafter world: the official score of learned skills on unseen seeds, beside random actions and a policy by hand.

    python -m benchmarks._worlds_crafter --quick

One life a seed, of the game's own length; each arm lives in the same seeds. *Learned*: an agent practises in worlds of
its own (experiments on clones, then tasks of its curriculum) and its skills are then called one after the other in a
life that it has never seen, each for a goal of the world's that is not met, the cheapest first, without look-ahead:
programs see the local view alone. *Policy*: a program of ours that knows the rules (`benchmarks._crafter_policy`).
*Random*: the game's 17 actions, each as likely. With the four reflexes of ``examples/crafter_reflexes.py``, or without
(``_none``). The score is exp(mean(log(1 + rate in per cent))) - 1 over the 22 achievements, unlocked by the package's
own count (Hafner 2021, section 4); its interval is a bootstrap over lives. What a reflex unlocked first is
told apart.
"""

from __future__ import annotations

import random
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from benchmarks._harness import Figure, Options, main
from habilis import Agent, AgentSettings
from habilis.agent.calls import needed
from habilis.agent.regression import direction, skills_by_fact
from habilis.core import Action, Observation, Outcome, Program, RunLimits, Runner, Skill, World, load_reflexes
from habilis.worlds.crafter import ACHIEVEMENTS, CrafterWorld, achievement_goals, score
from habilis.worlds.reflexive import reflexive
from habilis.worlds.runner import ConfinedRunner

AIMS = {"crafter_score": ">= 45"}
SEEDS = (100, 10)  # lives of each arm, and in the quick form
FIRST = 20_000  # of the seeds that are measured on; practice draws its own, and nothing was tuned on these
EXPERIMENTS = 8_000  # steps of one practice episode
TASKS = 40  # of the curriculum, after the last practice episode
ONE_SKILL = 1_000  # world steps that one skill may take before the next has its turn
REST = 50  # steps for which one that could do nothing is left alone
_HERE = Path(__file__).resolve().parent
_REFLEXES = str(_HERE.parent / "examples" / "crafter_reflexes.py")
_ALL = RunLimits(seconds=None, cpu_seconds=None, world_steps=None, calls=None, idle_seconds=30.0)


class Watched:
    """A life, with what was unlocked in it, and what of that first while a reflex ran."""

    def __init__(self, inner: CrafterWorld, world: World) -> None:
        self.spec, self._inner, self._world = world.spec, inner, world
        self.by_reflex: set[str] = set()
        self.steps = 0

    def reset(self, seed: int) -> Observation:
        return self._world.reset(seed)

    def observe(self) -> Observation:
        return self._world.observe()

    def act(self, action: Action) -> Outcome:
        before = self._inner.unlocked()
        outcome = self._world.act(action)
        self.steps += outcome.steps
        if outcome.preempted is not None:
            self.by_reflex |= self._inner.unlocked() - before
        return outcome

    @property
    def over(self) -> bool:
        return bool(self._inner.ended())

    @property
    def unlocked(self) -> frozenset[str]:
        return self._inner.unlocked()


Life = Callable[[Watched, Runner, int], None]


def at_random(life: Watched, runner: Runner, seed: int) -> None:
    """The game's own actions, each as likely."""
    rng = random.Random(seed)
    names = [
        (p.name, str(c)) for p in life.spec.primitives for q in p.parameters for c in q.choices if p.name != "go_near"
    ]
    while not life.over:
        name, argument = rng.choice([*names, ("do", ""), ("sleep", ""), ("noop", "")])
        if name == "do":
            argument = next(str(f.args[0]) for f in life.observe().facts if f.predicate == "facing")
        life.act(Action(name, (argument,) if argument else ()))


def by_policy(life: Watched, runner: Runner, seed: int) -> None:
    text = (_HERE / "_crafter_policy.py").read_text("utf-8")
    runner.run(Program("policy", text[text.index("def policy(") :]), life, limits=_ALL, seed=seed)


def by_skills(skills: Mapping[str, Skill]) -> Life:
    """Goals of the world's that are not met, by the skill for each, the cheapest first; round after round."""
    known = skills_by_fact(skills.values())
    able = []
    for goal in achievement_goals().values():
        atom = goal.atoms[0]
        up = direction(atom)
        found = known.get((atom.fact, up)) if up is not None else None
        if found is not None:
            counts = any(p.name == "n" for p in found.skill.program.parameters)
            args = dict(found.case.args) | ({"n": atom.value} if counts else {})
            able.append((found.case.cost, str(goal), goal, found.skill.program, args))
    able.sort(key=lambda one: one[:2])

    def live(life: Watched, runner: Runner, seed: int) -> None:
        limits = RunLimits(seconds=60.0, cpu_seconds=60, world_steps=ONE_SKILL + 500, calls=20_000)
        done: set[str] = set()
        rests: dict[str, int] = {}  # until which step a skill is left alone that did nothing
        while not life.over:
            before = life.steps
            for _, name, goal, program, args in able:
                if life.over or name in done or rests.get(name, 0) > life.steps:
                    continue
                if not goal.unmet(life.observe()):
                    done.add(name)
                    continue
                called, began = needed(program, skills), life.steps
                run = runner.run(program, life, args=args, skills=called, limits=limits, seed=seed)
                if not goal.unmet(run.after):
                    done.add(name)
                elif life.steps == began:
                    rests[name] = began + REST
            if life.steps == before and not life.over:
                life.act(Action("noop"))

    return live


def practised(home: Path, episodes: int, tasks: int) -> dict[str, Skill]:
    """The skills of an agent that has experimented in so many worlds and then worked on so many tasks. Where it was
    before, it goes on."""
    settings = AgentSettings(index="exact", embedder="hash", seed=7)
    with Agent(CrafterWorld(), home=home, reflexes=[_REFLEXES], settings=settings) as agent:
        agent.explore_now(episodes, steps=EXPERIMENTS, policy="experiments")
    with Agent(CrafterWorld(), home=home, reflexes=[_REFLEXES], settings=settings) as agent:
        agent.run_now(tasks)
        return {name: bound.skill for name, bound in agent.skills.items()}


def lives(arm: Life, seeds: Sequence[int], runner: Runner, *, reflexes: bool) -> list[Watched]:
    found = []
    beside = load_reflexes(_REFLEXES) if reflexes else ()
    for seed in seeds:
        inner = CrafterWorld()
        life = Watched(inner, reflexive(inner, beside, runner))
        life.reset(seed)
        arm(life, runner, seed)
        found.append(life)
    return found


def scored(found: Sequence[Watched]) -> Figure:
    """The official score with its interval over lives."""
    unlocked = [life.unlocked for life in found]

    def of(chosen: Sequence[float]) -> float:
        return score({a: sum(a in unlocked[int(i)] for i in chosen) / len(chosen) for a in ACHIEVEMENTS})

    return Figure.of([float(i) for i in range(len(found))], "%", of)


def measure(options: Options) -> dict[str, Figure]:
    """The crafter figures of `benchmarks.worlds`. ``options.seeds``: lives of each arm."""
    seeds = [FIRST + i for i in range(options.seeds)]
    stages = (4, 12) if options.quick else (4, 12, 24, 48)
    found: dict[str, Figure] = {}

    def tell(name: str, arm: Life, *, reflexes: bool) -> None:
        done = lives(arm, seeds, runner, reflexes=reflexes)
        found[name] = scored(done)
        found[f"{name}_steps"] = Figure.of([float(life.steps) for life in done], "steps")
        rates = {a: round(100 * sum(a in life.unlocked for life in done) / len(done)) for a in ACHIEVEMENTS}
        by_reflex = sorted({a for life in done for a in life.by_reflex})
        print(
            f"{name}: {found[name].value:.1f} %; {rates}; by a reflex: {', '.join(by_reflex) or 'none'}",
            file=sys.stderr,
        )

    with ConfinedRunner() as runner, tempfile.TemporaryDirectory() as folder:
        tell("crafter_random", at_random, reflexes=False)
        tell("crafter_policy_none", by_policy, reflexes=False)
        tell("crafter_policy", by_policy, reflexes=True)
        for stage in stages:
            skills = practised(Path(folder) / "home", stage, TASKS * (stages.index(stage) + 1))
            found[f"crafter_skills_{stage}"] = Figure.of([float(len(skills))], "skills")
            tell(f"crafter_score_{stage}", by_skills(skills), reflexes=True)
        found["crafter_score"] = found[f"crafter_score_{stages[-1]}"]
        tell("crafter_score_none", by_skills(skills), reflexes=False)
    return found


if __name__ == "__main__":
    main("_worlds_crafter", measure, aims=AIMS, seeds=SEEDS[0], quick_seeds=SEEDS[1])

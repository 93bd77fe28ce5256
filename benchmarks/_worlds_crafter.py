"""The crafter world: the official score of learned skills on unseen seeds, beside random actions and a policy by hand.

    python -m benchmarks._worlds_crafter --quick

One life a seed, of the game's own length; each arm lives in the same seeds. *Learned*: an agent practises in worlds of
its own (experiments on clones, then tasks of its curriculum) and its skills are then called one after the other in a
life that it has never seen, each for a goal of the world's that is not met, as `habilis.agent.living` chooses, without
look-ahead: programs see the local view alone. *Policy*: a program of ours that knows the rules
(`benchmarks._crafter_policy`).
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
from habilis.agent.living import Living
from habilis.agent.planning.calls import needed
from habilis.core import Action, Contract, Observation, Outcome, Program, RunLimits, Runner, Skill, World, load_reflexes
from habilis.memory.home import Home
from habilis.worlds.crafter import ACHIEVEMENTS, CrafterWorld, achievement_goals, score
from habilis.worlds.reflexive import reflexive
from habilis.worlds.runner import ConfinedRunner

AIMS = {"crafter_score": ">= 45"}
SEEDS = (100, 10)  # lives of each arm, and in the quick form
FIRST = 20_000  # of the seeds that are measured on; practice draws its own, and nothing was tuned on these
EXPERIMENTS = 8_000  # steps of one practice episode
TASKS = {4: 40, 12: 80, 24: 120, 48: 160}  # of the curriculum in all, after so many practice episodes
LONGEST = 500  # steps of one action with a reflex that comes before it, which a skill needs to begin it
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


def by_skills(skills: Mapping[str, Skill], contracts: Sequence[Contract] = ()) -> Life:
    """Goals of the world's that are not met, by the skill for each, as `Living` chooses."""

    def live(life: Watched, runner: Runner, seed: int) -> None:
        living = Living(skills.values(), achievement_goals().values(), life.spec, contracts)
        while not life.over:
            turn = living.next(life.observe(), life.steps)
            if turn is None:
                life.act(Action("noop"))
                continue
            program, args = turn.skill.program, turn.args
            limits = RunLimits(seconds=60.0, cpu_seconds=60, world_steps=turn.steps + LONGEST, calls=20_000)
            run = runner.run(program, life, args=args, skills=needed(program, skills), limits=limits, seed=seed)
            living.ended(turn, run.after, life.steps)

    return live


def practised(home: Path, episodes: int, tasks: int) -> tuple[dict[str, Skill], list[Contract]]:
    """The skills of an agent that has experimented in so many worlds and then worked on so many tasks, and what it
    knows of actions. Where it was before, it goes on."""
    settings = AgentSettings(index="exact", embedder="hash", seed=7)
    with Agent(CrafterWorld(), home=home, reflexes=[_REFLEXES], settings=settings) as agent:
        agent.explore_now(episodes, steps=EXPERIMENTS, policy="experiments")
    with Agent(CrafterWorld(), home=home, reflexes=[_REFLEXES], settings=settings) as agent:
        agent.run_now(tasks)
        skills = {name: bound.skill for name, bound in agent.skills.items()}
    return skills, known(home)


def known(home: Path) -> list[Contract]:
    """What the agent of this home knows of actions."""
    with Home.open(home, create=False) as opened:
        return [c for c in opened.journal.contracts(CrafterWorld().spec.fingerprint) if c.successes]


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
    stages = (12,) if options.quick else (4, 12, 24, 48)
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
            learned = practised(Path(folder) / "home", stage, TASKS[stage])
            found[f"crafter_skills_{stage}"] = Figure.of([float(len(learned[0]))], "skills")
            tell(f"crafter_score_{stage}", by_skills(*learned), reflexes=True)
        found["crafter_score"] = found[f"crafter_score_{stages[-1]}"]
        tell("crafter_score_none", by_skills(*learned), reflexes=False)
    return found


if __name__ == "__main__":
    main("_worlds_crafter", measure, aims=AIMS, seeds=SEEDS[0], quick_seeds=SEEDS[1])

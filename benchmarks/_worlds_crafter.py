"""The crafter world: the official score of learned skills on unseen seeds, beside random actions and a policy by hand.

    python -m benchmarks._worlds_crafter --quick
    python -m benchmarks._worlds_crafter --data FOLDER     # practice and lives are kept there; goes on where it stopped

One life a seed, of the game's own length; each arm lives in the same seeds. *Learned*: an agent practises in worlds of
its own (experiments on clones, then tasks of its curriculum) and its skills are then called one after the other in a
life that it has never seen, each for a goal of the world's that is not met, as `habilis.agent.living` chooses, without
look-ahead: programs see the local view alone. *Contracts*: the same practice without its library; a program for each
goal is planned in the life itself, from what is known of actions, the cheapest first. *Policy*: a program of ours that
knows the rules (`benchmarks._crafter_policy`). *Random*: the game's 17 actions, each as likely. With the four reflexes
of ``examples/crafter_reflexes.py``, or without (``_none``). Learned and contracts are measured after each stage of the
practice, the next of which goes on from there: the growth curve.

The score is exp(mean(log(1 + rate in per cent))) - 1 over the 22 achievements, unlocked by the package's own count
(Hafner 2021, section 4); its interval is a bootstrap over lives. What a reflex unlocked first is told apart.
"""

from __future__ import annotations

import random
import shutil
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks._harness import Figure, Options, commit, main
from benchmarks._kept import keep, kept
from habilis import Agent, AgentSettings
from habilis.agent.living import Living
from habilis.agent.planning.calls import needed
from habilis.agent.planning.lifting import lift
from habilis.agent.planning.regression import Regression, direction
from habilis.core import Action, Contract, Observation, Outcome, Program, RunLimits, Runner, Skill, World, load_reflexes
from habilis.memory.contracts import ContractBook
from habilis.memory.home import Home
from habilis.worlds.crafter import ACHIEVEMENTS, CrafterWorld, achievement_goals, score
from habilis.worlds.reflexive import reflexive
from habilis.worlds.runner import ConfinedRunner

AIMS = {"crafter_score": ">= 45"}
SEEDS = (100, 10)  # lives of each arm, and in the quick form
FIRST = 20_000  # of the seeds that are measured on; practice draws its own, and nothing was tuned on these
EXPERIMENTS = 8_000  # steps of one practice episode
QUICK = 12  # practice episodes of the quick form
TASKS = {4: 40, 12: 80, 24: 120, 48: 160}  # of the curriculum in all, after so many practice episodes
# As in `habilis.agent.living`, for what is planned without a library.
LEAST, PATIENCE, MOST_PATIENCE, REST = 60, 4, 2.0**60, 50
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


@dataclass(frozen=True)
class Lived:
    """What came of a life: the achievements, those of them that a reflex unlocked, and the steps."""

    unlocked: frozenset[str]
    by_reflex: frozenset[str]
    steps: int


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


def by_contracts(contracts: Sequence[Contract]) -> Life:
    """Goals of the world's that are not met, each by a program that is planned for it then and there; the cheapest
    first, for four times what it is expected to take, and twice as patiently after each time in vain."""

    def live(life: Watched, runner: Runner, seed: int) -> None:
        goals = achievement_goals()
        book, patience, rests = ContractBook(life.spec, contracts), dict.fromkeys(goals, 1.0), dict.fromkeys(goals, 0)
        own = {n for n, g in goals.items() if any(a.fact.predicate in life.spec.contexts for a in g.atoms)}
        worked, tried = set[str](), set[str]()
        while not life.over:
            now = life.observe()
            worked |= {n for n, g in goals.items() if not g.unmet(now) and (n in tried or n not in own)}
            regression = Regression(book, life.spec, facts=now.facts)
            ways: dict[str, float] = {}
            for name, goal in goals.items():
                if name not in worked and rests[name] <= life.steps:
                    way = regression.solve(goal.atoms[0].fact, direction(goal.atoms[0]) is not False)
                    if way is not None:
                        ways[name] = way.cost * patience[name]
            name = min(ways, key=lambda n: (ways[n], n), default="")
            draft = lift(regression, goals[name]) if name else None
            if draft is None:
                life.act(Action("noop"))
                continue
            tried.add(name)
            before, steps = life.steps, max(LEAST, round(PATIENCE * ways[name]))
            limits = RunLimits(seconds=60.0, cpu_seconds=60, world_steps=steps + LONGEST, calls=20_000)
            run = runner.run(draft.program, life, args=draft.args, limits=limits, seed=seed)
            if goals[name].unmet(run.after):
                patience[name] = min(2 * patience[name], MOST_PATIENCE)
                rests[name] = life.steps + REST if life.steps == before else 0

    return live


def practise(home: Path, episodes: int, tasks: int) -> None:
    """An agent experiments in so many worlds and works on so many tasks, in all; where it was before, it goes on."""
    settings = AgentSettings(index="exact", embedder="hash", seed=7)
    with Agent(CrafterWorld(), home=home, reflexes=[_REFLEXES], settings=settings) as agent:
        agent.explore_now(episodes, steps=EXPERIMENTS, policy="experiments")
    with Agent(CrafterWorld(), home=home, reflexes=[_REFLEXES], settings=settings) as agent:
        agent.run_now(tasks)


def practised(folder: Path, stage: int) -> Path:
    """The home of this stage of practice; it began as that of the stage before, if there is one."""
    home, working = folder / f"practice-{stage}", folder / f"practising-{stage}"
    if not home.exists():
        before = [s for s in TASKS if s < stage and (folder / f"practice-{s}").exists()]
        if before and not working.exists():
            copy = folder / f"copying-{stage}"
            shutil.rmtree(copy, ignore_errors=True)  # of a copy that was cut short
            shutil.copytree(folder / f"practice-{before[-1]}", copy)
            copy.rename(working)
        practise(working, stage, TASKS[stage])
        working.rename(home)
    return home


def learned(home: Path) -> tuple[dict[str, Skill], list[Contract], float]:
    """The active skills of a home, what is known of actions, and the steps of experiments and tasks that it took."""
    spec = CrafterWorld().spec
    with Home.open(home, create=False) as opened:
        journal = opened.journal
        skills = {s.name: s for s in journal.skills() if s.fingerprint == spec.fingerprint}
        contracts = [c for c in journal.contracts(spec.fingerprint) if c.successes]
        spent = [run.spent for run in journal.runs()]
    return skills, contracts, float(sum(s.world_steps + s.search_steps for s in spent))


def lived(arm: Life, seed: int, runner: Runner, *, reflexes: bool) -> Lived:
    inner = CrafterWorld()
    life = Watched(inner, reflexive(inner, load_reflexes(_REFLEXES) if reflexes else (), runner))
    life.reset(seed)
    arm(life, runner, seed)
    return Lived(life.unlocked, frozenset(life.by_reflex), life.steps)


class Lives:
    """The lives of every arm, kept in a file as they come: one that is there is not lived again."""

    def __init__(self, path: Path, runner: Runner, seeds: Sequence[int]) -> None:
        self._path, self._runner, self._seeds = path, runner, seeds
        self._kept = {
            (row["arm"], row["seed"]): Lived(frozenset(row["unlocked"]), frozenset(row["by_reflex"]), row["steps"])
            for row in kept(path)
        }

    def of(self, name: str, arm: Life, *, reflexes: bool) -> list[Lived]:
        for seed in self._seeds:
            if (name, seed) not in self._kept:
                one = self._kept[name, seed] = lived(arm, seed, self._runner, reflexes=reflexes)
                told = {"unlocked": sorted(one.unlocked), "by_reflex": sorted(one.by_reflex), "steps": one.steps}
                keep(self._path, {"arm": name, "seed": seed, **told, "commit": commit()})
        return [self._kept[name, seed] for seed in self._seeds]


def scored(found: Sequence[Lived]) -> Figure:
    """The official score with its interval over lives."""
    unlocked = [life.unlocked for life in found]

    def of(chosen: Sequence[float]) -> float:
        return score({a: sum(a in unlocked[int(i)] for i in chosen) / len(chosen) for a in ACHIEVEMENTS})

    return Figure.of([float(i) for i in range(len(found))], "%", of)


def measure(options: Options) -> dict[str, Figure]:
    """The crafter figures of `benchmarks.worlds`. ``options.seeds``: lives of each arm; ``options.data``: where the
    practice and the lives are kept."""
    seeds = [FIRST + i for i in range(options.seeds)]
    stages = (QUICK,) if options.quick else tuple(TASKS)
    found: dict[str, Figure] = {}

    def tell(name: str, arm: Life, *, reflexes: bool) -> None:
        done = lives.of(name, arm, reflexes=reflexes)
        found[name] = scored(done)
        found[f"{name}_steps"] = Figure.of([float(life.steps) for life in done], "steps")
        rates = {a: round(100 * sum(a in life.unlocked for life in done) / len(done)) for a in ACHIEVEMENTS}
        by_reflex = sorted({a for life in done for a in life.by_reflex})
        print(
            f"{name}: {found[name].value:.1f} %; {rates}; by a reflex: {', '.join(by_reflex) or 'none'}",
            file=sys.stderr,
        )

    with ConfinedRunner() as runner, tempfile.TemporaryDirectory() as passing:
        folder = options.data or Path(passing)
        lives = Lives(folder / "lives.jsonl", runner, seeds)
        tell("crafter_random", at_random, reflexes=False)
        tell("crafter_policy_none", by_policy, reflexes=False)
        tell("crafter_policy", by_policy, reflexes=True)
        for stage in stages:
            skills, contracts, steps = learned(practised(folder, stage))
            found[f"crafter_skills_{stage}"] = Figure.of([float(len(skills))], "skills")
            found[f"crafter_practice_steps_{stage}"] = Figure.of([steps], "steps")
            tell(f"crafter_score_{stage}", by_skills(skills, contracts), reflexes=True)
            tell(f"crafter_score_{stage}_none", by_skills(skills, contracts), reflexes=False)
            tell(f"crafter_score_{stage}_contracts", by_contracts(contracts), reflexes=True)
        found["crafter_score"] = found[f"crafter_score_{stages[-1]}"]
        found["crafter_score_none"] = found[f"crafter_score_{stages[-1]}_none"]
    return found


if __name__ == "__main__":
    main("_worlds_crafter", measure, aims=AIMS, seeds=SEEDS[0], quick_seeds=SEEDS[1])

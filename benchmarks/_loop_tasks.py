"""The tasks of the loop benchmark, and how one is worked on: cold, where no rule is told and no reason given.

The rules of the world are the corpus' own. Only what the agent is told of them differs: no contracts, no reasons.
"""

from __future__ import annotations

import asyncio
import random
import re
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks._life import _ROUNDS
from habilis import Agent, AgentSettings
from habilis._corpus import corpus_of
from habilis._worlds import open_world
from habilis.agent.loop import describe
from habilis.agent.planning.advice import Guesser, Orders
from habilis.agent.words import goal_to_words
from habilis.agent.writers.search import SearchSettings, SearchWriter
from habilis.core import (
    Affording,
    Budget,
    BudgetExceeded,
    Context,
    Cost,
    Episode,
    Feedback,
    Goal,
    GoalGiving,
    HavingChores,
    Imaginable,
    InputError,
    Ledger,
    RunLimits,
    Task,
    World,
)
from habilis.memory.contracts import ContractBook
from habilis.memory.home import Home
from habilis.trainer import Corpus, build_corpus, load_corpus
from habilis.trainer.families import group_of
from habilis.worlds.runner import ConfinedRunner
from habilis.worlds.verify import GoalJudge

HIDDEN: Mapping[str, Mapping[str, str]] = {
    "household": {"contracts": "hidden", "reasons": "none"},
    "craft": {"recipes": "hidden", "reasons": "none"},
}
_OWN = ("household", {"people": "some", "size": 0.3})
_CHORES = 0.5  # share of chores among the goals, as in an exploration
_HOUSES = 500  # drawn for one task, at most


@dataclass(frozen=True)
class Ground:
    """A world with hidden rules, and what was learned in worlds of the same rules. ``model``: the folder of the model
    distilled from it, if any; ``taught``: what that and the experience took."""

    make: Callable[[], World]
    corpus: Corpus
    name: str = ""
    model: Path | None = None
    taught: Mapping[str, float] = field(default_factory=dict)


def of_home(path: Path, scratch: Path) -> Ground:
    """The experience of a home, and its model: the adopted one, else the last that was distilled, whatever the gate
    said. Nothing is written there; of a model that was not adopted the weights are merged again, in ``scratch``.

    Raises `SystemExit` where there is no experience that can be used.
    """
    with Home.open(path, read_only=True) as home:
        journal = home.journal
        runs = [r for r in journal.runs() if isinstance(r.config, dict) and r.config.get("world") in HIDDEN]
        if not runs:
            raise SystemExit(f"--data {path}: no run there was in {' or '.join(HIDDEN)}; see habilis explore")
        config: Any = runs[-1].config
        name, options = config["world"], dict(config.get("world_options") or {})
        open_ = open_world(name, options)
        spec = open_().spec
        kept = path / f"corpus-{spec.fingerprint}.jsonl"
        if kept.exists():
            corpus = load_corpus(kept)
        else:
            skills = [s for s in journal.skills() if s.fingerprint == spec.fingerprint]
            known = list(journal.contracts(spec.fingerprint))
            corpus = build_corpus(list(journal.episodes()), skills, known, spec, ask=open_)
        spent = [r.spent for r in runs if r.config.get("fingerprint") == spec.fingerprint]
        taught = {f"taught_{k}": float(sum(getattr(s, k) for s in spent)) for k in ("world_steps", "search_steps")}
        mine = [m for m in journal.models() if m.fingerprint in (spec.fingerprint, "")]
        record = journal.adopted_model(spec.fingerprint) or (mine[-1] if mine else None)
    folder = path / record.path if record is not None else None
    if folder is not None and record is not None and not any(folder.glob("*.safetensors")):
        folder = _merged(folder, record.base, scratch / folder.name)
    if record is not None:
        took: Any = (record.figures or {}).get("seconds", {}) if isinstance(record.figures, dict) else {}
        taught["model_adopted"] = float(record.adopted)
        taught |= {f"distil_seconds_{part}": float(took[part]) for part in ("train", "total") if part in took}
    return Ground(open_world(name, options | dict(HIDDEN[name])), corpus, name, folder, taught)


def _merged(model: Path, base: str, target: Path) -> Path | None:
    """The weights of a model that was not adopted, of which only the adapter is kept; None where that is no LoRA."""
    if not (model / "adapter" / "adapter_config.json").exists():
        print(f"{model} keeps no LoRA adapter: no model arm", file=sys.stderr)
        return None
    from peft import PeftModel

    from habilis.trainer.base import get_base, load_model

    loaded, tokenizer = load_model(get_base(base).path)
    PeftModel.from_pretrained(loaded, str(model / "adapter")).merge_and_unload().save_pretrained(target)
    tokenizer.save_pretrained(target)
    return target


def explored(episodes: int, seed: int = 0) -> Ground:
    """Experience in small houses, from nothing, and no model."""
    name, options = _OWN
    with tempfile.TemporaryDirectory(prefix="habilis-loop-") as folder:
        settings = AgentSettings(seed=seed, index="exact", embedder="hash")
        with Agent(name, home=Path(folder) / "home", settings=settings, world_options=options) as agent:
            spent = agent.explore_now(episodes, policy="regression").spent
            corpus = corpus_of(agent._parts)
    taught = {"taught_world_steps": float(spent.world_steps), "taught_search_steps": float(spent.search_steps)}
    return Ground(open_world(name, {**options, **HIDDEN[name]}), corpus, name, None, taught)


def tasks(ground: Ground, seed: int, count: int) -> list[Task]:
    """So many tasks, each in a house of its own that the corpus does not know, with a goal about what neither training
    nor validation is about: not of these kinds of things together under this predicate, whatever their numbers. In each
    house one of the goals that were given least often so far.

    Raises `SystemExit` where so many are not found.
    """
    kinds = {_kinds(e.group) for e in (*ground.corpus.train, *ground.corpus.validation)}
    lived_in = {e.house for part in ground.corpus.splits.values() for e in part}
    world, found, drawn = ground.make(), list[Task](), 0
    spec, given = world.spec, Counter[Goal]()
    while len(found) < count:
        if drawn >= _HOUSES * count:
            raise SystemExit(f"{len(found)} of {count} tasks found in {drawn} houses: too much of it was trained on")
        house = random.Random(f"loop {seed} {drawn}").getrandbits(31)
        drawn += 1
        if f"{spec.name} {house}" in lived_in:
            continue
        world.reset(house)
        rng = random.Random(f"goal {house}")
        pools = [
            [g for g in sorted(set(p), key=str) if _kinds(group_of(g)) not in kinds] for p in wanted(world, ground)
        ]
        least = min((given[g] for pool in pools for g in pool), default=0)
        pools = [p for p in ([g for g in pool if given[g] == least] for pool in pools) if p]
        if pools:
            goal = rng.choice(pools[0] if len(pools) == 1 or rng.random() < _CHORES else pools[1])
            given[goal] += 1
            text = goal_to_words(goal, spec)
            found.append(Task(goal, spec.name, house, text, origin="user", fingerprint=spec.fingerprint))
    return found


def wanted(world: World, ground: Ground) -> Iterator[list[Goal]]:
    """What may be wanted here and is not so: what has a name, then what the world and held-out tasks give."""
    now = world.observe()
    capable = world.spec.capabilities
    chores = world.chores().values() if isinstance(world, HavingChores) and "chores" in capable else ()
    goals = [*(world.goals() if isinstance(world, GoalGiving) and "goals" in capable else ())]
    names = getattr(world, "names", None)
    known = set(names()) if callable(names) else None
    goals += [p.task.goal for p in ground.corpus.plans if p.split == "test"]
    for pool in (chores, goals):
        yield [
            g
            for g in pool
            if g.atoms
            and g.unmet(now)
            and (known is None or all(a in known for atom in g.atoms for a in atom.fact.args if isinstance(a, str)))
        ]


def _kinds(group: str) -> str:
    return re.sub(r'_\d+"', '"', group)


@dataclass(frozen=True)
class Worked:
    """How a task went. ``seconds`` of everything in it."""

    ok: bool
    search_steps: int
    world_steps: int
    seconds: float
    reason: str


def come_true(make: Callable[[], World], task: Task, guesser: Guesser) -> tuple[bool, str]:
    """The guesser's first proposal, carried out in the world itself (an action that fails is passed over): whether the
    goal is so afterwards, and the plan. No search takes part."""
    world = make()
    world.reset(task.seed)
    state = world.observe()
    actions = world.affordances() if isinstance(world, Affording) else ()
    said = [*(f.args for f in state.facts), *(a.args for a in actions), *(a.fact.args for a in task.goal.atoms)]
    plan = guesser.plan(task.goal, state, {str(n) for args in said for n in args} | set(world.spec.tags))
    for action in plan or ():
        try:
            world.act(action)
        except InputError:
            continue
    return bool(plan) and not task.goal.unmet(world.observe()), "; ".join(map(str, plan or ()))


def work(
    make: Callable[[], World],
    task: Task,
    runner: ConfinedRunner,
    *,
    search_steps: int,
    guesser: Guesser | None = None,
    orders: Orders | None = None,
) -> Worked:
    """Work on a task in its own fresh world, with no skill and no contract, and so many search steps in all."""
    return asyncio.run(_work(make, task, runner, search_steps, guesser, orders))


async def _work(
    make: Callable[[], World],
    task: Task,
    runner: ConfinedRunner,
    search_steps: int,
    guesser: Guesser | None,
    orders: Orders | None,
) -> Worked:
    began = time.monotonic()
    world, judge = make(), GoalJudge()
    world.reset(task.seed)
    assert isinstance(world, Imaginable)
    book = ContractBook(world.spec)
    settings = SearchSettings(blind_steps=search_steps)
    writer = SearchWriter(book, runner, settings, orders=orders, guesser=guesser)
    ledger = Ledger(Budget(usd=None, search_steps=search_steps))
    affordances: Sequence[Any] = world.affordances() if isinstance(world, Affording) else ()
    context = Context(world.spec, world.observe(), {}, simulator=world.simulator(), affordances=tuple(affordances))
    ok, reason = False, "no program was found"
    drafts = writer.drafts(task, context, ledger)
    feedback: Feedback | None = None
    try:
        for _ in range(_ROUNDS):
            draft = await (anext(drafts) if feedback is None else drafts.asend(feedback))
            limits = RunLimits()
            trajectory = runner.run(
                draft.program, world, args=draft.args, skills={}, limits=limits, seed=task.seed, ledger=ledger
            )
            book.learn(trajectory)
            verdict = judge.judge(task.goal, trajectory, ledger)
            if verdict.ok:
                ok, reason = True, ""
                break
            reason = describe(trajectory, verdict)
            feedback = Feedback(trajectory, verdict, False, draft.args)
    except StopAsyncIteration:
        pass
    except BudgetExceeded as error:
        reason = f"{error} (before: {reason})"
    finally:
        await drafts.aclose()
    spent = ledger.spent
    cost = Cost(search_steps=spent.search_steps, world_steps=spent.world_steps)
    writer.credit(Episode(0, task, "solved" if ok else "failed", cost=cost), True)
    return Worked(ok, spent.search_steps, spent.world_steps, time.monotonic() - began, reason)

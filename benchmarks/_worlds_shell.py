"""The shell world: what an agent learns there by itself, and how fast the world is.

    python -m benchmarks._worlds_shell --quick
    python -m benchmarks._worlds_shell --seeds 2 --data FOLDER    # keeps the lives there, and goes on where it stopped

Sixteen families of orders at three levels (`habilis.worlds.shell.orders`, frozen with their hash). A life: each of the
48 kinds is asked for once in a folder of the train stream, the easier levels first; the search writer puts commands
together on copies, and what is proven in fresh folders is kept. No language model takes part. Then the skills that were
learned carry out orders of the test stream, in folders without practice: the skill whose goal fits is run once, and the
host looks. *shell_success* is the mean over families and levels of the share of the held-out orders.

Beside it: a *random* policy (up to 20 of the forms of commands that search begins with, drawn at random, with holes
filled as search fills them; it succeeds if the order is ever carried out), and *ours*, one command for each kind,
written by hand.
"""

from __future__ import annotations

import random
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks._harness import Figure, Options, main
from benchmarks._kept import keep, kept
from habilis import Agent, AgentSettings
from habilis.agent.planning.fitting import fits
from habilis.agent.planning.forms import Piece, filled
from habilis.core import Action, Atom, Budget, Fact, Goal, Ledger, Skill
from habilis.worlds.runner import ConfinedRunner
from habilis.worlds.shell import Sandbox, ShellWorld
from habilis.worlds.shell.orders import HELD_OUT, KINDS, fingerprint
from habilis.worlds.verify import GoalJudge, WorldVerifier

AIMS = {"shell_success": ">= 0.5", "shell_commands_per_s": ">= 20", "shell_protocol_ratio": ">= 0.8"}
SEEDS = (2, 1)  # lives, and in the quick form
RANDOM_COMMANDS = 20
RIVALS = 5  # held-out orders of each kind that the rivals are asked for
FROZEN = "722cef42f6f8714748814d013b7d5748c872982f02d245d89c6e80eab1538559"  # of the held-out orders


def measure(options: Options) -> dict[str, Figure]:
    """One life for each seed, what it can do, and the speed of the world."""
    if fingerprint("test", HELD_OUT) != FROZEN:
        raise RuntimeError("the held-out orders are not those that were frozen; nothing was measured")
    seeds = range(3) if options.quick else HELD_OUT
    found = speeds(200 if options.quick else 1_000)
    with tempfile.TemporaryDirectory() as passing:
        homes = options.data or Path(passing)
        lives = [life(seed, homes / f"life-{seed}", quick=options.quick) for seed in range(options.seeds)]
    shares: dict[str, list[float]] = defaultdict(list)
    for learned, told in lives:
        with ConfinedRunner() as runner:
            rates = {name: share(learned, name, seeds, runner) for name in KINDS}
        shares["shell_success"].append(_mean(rates))
        for level in (1, 2, 3):
            of_level = {n: r for n, r in rates.items() if KINDS[n].level == level}
            shares[f"shell_success_level_{level}"].append(_mean(of_level))
        for name, value in told.items():
            shares[name].append(value)
        missed = sorted(n for n, r in rates.items() if r < 1)
        print(f"not carried out in every held-out folder: {', '.join(missed) or 'none'}", file=sys.stderr)
    found |= {name: Figure.of(values) for name, values in shares.items()}
    few = seeds[:RIVALS]
    chance = {name: sum(at_random(name, seed) for seed in few) / len(few) for name in KINDS}
    hand = {name: sum(by_hand(name, seed) for seed in few) / len(few) for name in KINDS}
    found["shell_random"] = Figure.of(list(chance.values()))
    found["shell_by_hand"] = Figure.of(list(hand.values()))
    return found


def life(seed: int, place: Path, *, quick: bool) -> tuple[Mapping[str, Skill], dict[str, float]]:
    """What was learned from practice, and what that took. The home stands in ``place``, with what was done; a life that
    was cut short goes on there."""
    place.mkdir(parents=True, exist_ok=True)
    ledger = place / "done.jsonl"
    done: list[Any] = list(kept(ledger))
    orders = sorted(KINDS, key=lambda n: (KINDS[n].level, n))
    world = ShellWorld(split="train")
    budget = Budget(usd=None, search_steps=1_500 if quick else 20_000, world_steps=60_000, calls=None)
    settings = replace(AgentSettings(seed=seed), task_budget=budget)
    with Agent(world=world, home=place / "home", settings=settings) as agent:
        if len(done) < len(orders):
            agent.solve_now(_there(world))  # the first goal of an agent sets its world to the beginning
        for name in orders[len(done) :]:
            began = time.monotonic()
            episode = agent.solve_now(posed(world, name, seed * 1_000))
            cost = episode.cost
            one = [name, episode.solved, len(agent.skills), cost.search_steps, cost.world_steps]
            done.append([*one, time.monotonic() - began])
            keep(ledger, done[-1])
        learned = {name: bound.skill for name, bound in agent.skills.items()}
    world.close()
    step = len(orders) // 8
    print(f"seed {seed}: skills after each {step} orders: {[d[2] for d in done[step - 1 :: step]]}", file=sys.stderr)
    told = {
        "shell_skills": float(len(learned)),
        "shell_practice_solved": sum(d[1] for d in done) / len(done),
        "shell_search_steps": float(sum(d[3] for d in done)),
        "shell_world_steps": float(sum(d[4] for d in done)),
        "shell_minutes": sum(d[5] for d in done) / 60,
    }
    return learned, told


def share(learned: Mapping[str, Skill], name: str, seeds: Sequence[int], runner: ConfinedRunner) -> float:
    """The share of held-out orders that the skill which fits carries out at once. None fits: 0."""
    like = Goal((Atom(Fact(name, posed_args(name))),))
    fitting = fits(learned.values(), like)
    if not fitting:
        return 0.0
    skill, _ = fitting[0]
    programs = {n: s.program for n, s in learned.items()}
    verifier = WorldVerifier(lambda: ShellWorld(split="test", practice=False), runner, GoalJudge())
    return sum(verifier.trial(skill, {}, seed, programs, Ledger())[0].ok for seed in seeds) / len(seeds)


def posed(world: ShellWorld, name: str, seed: int) -> Goal:
    goal = world.pose(Goal((Atom(Fact(name)),)), seed)
    assert goal is not None
    return goal


def posed_args(name: str) -> tuple[str | int, ...]:
    from habilis.worlds.shell.orders import order

    return order(name, 0).args


def at_random(name: str, seed: int) -> bool:
    """Whether commands drawn at random ever carry the order out."""
    rng = random.Random(f"{name}:{seed}")
    world = ShellWorld(split="test", practice=True)
    try:
        goal = posed(world, name, seed)
        args = goal.atoms[0].fact.args
        pieces = filled(world.forms(), world.observe(), args)
        for _ in range(RANDOM_COMMANDS):
            world.act(Action("run", (_random_command(pieces, rng), *args)))
            if not goal.unmet(world.observe()):
                return True
        return False
    finally:
        world.close()


def by_hand(name: str, seed: int) -> bool:
    world = ShellWorld(split="test", practice=False)
    try:
        goal = posed(world, name, seed)
        world.act(Action("run", (KINDS[name].solution, *goal.atoms[0].fact.args)))
        return not goal.unmet(world.observe())
    finally:
        world.close()


def speeds(count: int) -> dict[str, Figure]:
    """Commands a second through the world, beside the sandbox alone and a sandbox for each command."""
    world = ShellWorld(practice=False)
    goal = posed(world, "lines_sorted", 0)
    command, args = 'sort -- "$1" | uniq > "$2"', goal.atoms[0].fact.args
    texts = tuple(map(str, args))
    action = Action("run", (command, *args))
    bare = Sandbox(world.place)
    through, alone, anew = [], [], []
    for _ in range(5):  # in turn, for the machine is shared
        through.append(_rate(count // 5, lambda: world.act(action)))
        alone.append(_rate(count // 5, lambda: bare.run(command, texts)))
        anew.append(_rate(10, lambda: _begun_anew(bare, command, texts)))
    bare.close()
    clones = [_rate(10, lambda: world.clone().close()) for _ in range(3)]
    world.close()
    return {
        "shell_commands_per_s": Figure.of(through, "1/s"),
        "shell_protocol_ratio": Figure.of([a / b for a, b in zip(through, alone, strict=True)]),
        "shell_commands_per_s_bare": Figure.of(alone, "1/s"),
        "shell_commands_per_s_anew": Figure.of(anew, "1/s"),
        "shell_clones_per_s": Figure.of(clones, "1/s"),
    }


def _begun_anew(sandbox: Sandbox, command: str, texts: tuple[str, ...]) -> None:
    sandbox.close()
    sandbox.run(command, texts)


def _rate(count: int, do: Callable[[], object]) -> float:
    began = time.perf_counter()
    for _ in range(count):
        do()
    return count / (time.perf_counter() - began)


def _random_command(pieces: Mapping[str, Sequence[Piece]], rng: random.Random) -> str:
    """A whole command, a pipeline into a file or onto the screen, or a loop."""

    def one(role: str) -> str:
        return rng.choice(pieces[role]).text

    kinds = [k for k, needs in (("whole", "whole"), ("pipe", "source"), ("loop", "select")) if pieces[needs]]
    kind = rng.choice(kinds)
    if kind == "whole":
        return one("whole")
    if kind == "loop" and pieces["deed"]:
        return f'mapfile -t all < <({one("select")}); for path in "${{all[@]}}"; do {one("deed")}; done'
    start = one("source") if pieces["source"] else "ls"
    parts = [start, *(one("filter") for _ in range(rng.randint(0, 2)))]
    return " | ".join(parts) + (f" {one('sink')}" if pieces["sink"] and rng.random() < 0.7 else "")


def _there(world: ShellWorld) -> Goal:
    return Goal((Atom(next(f for f in world.observe().facts if f.predicate == "exists")),))


def _mean(rates: Mapping[str, float]) -> float:
    return sum(rates.values()) / len(rates)


if __name__ == "__main__":
    main("_worlds_shell", measure, aims=AIMS, seeds=SEEDS[0], quick_seeds=SEEDS[1])

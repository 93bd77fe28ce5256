"""How much an agent learns without a language model: kinds of items, held-out goals, what the library is worth.

    python -m benchmarks.growth                             5 seeds of every arm
    python -m benchmarks.growth --quick                     one seed of the arms that the aims need
    python -m benchmarks.growth --json out.json             resumes from the cells in out.jsonl, and adds to them
    python -m benchmarks.growth --cell full:3 --json out.json    one cell

The world is ``craft``; an iteration is one proposal of the curriculum, and a life is 160 of them. What was ever held in
the world of the life counts, wood and colour variants merged. The arms:

``full``            the agent: demand curriculum, contracts, library
``random_unlocked`` the same, but tasks are drawn at random among what is known or unlocked
``no_library``      the same as ``full``, but no skill is kept
``random``          any affordance at random, for as many world steps as ``full`` took (verification included)
``planner``         told every recipe, every source and how to place at the start; chooses its tasks as ``full`` does
``policy``          the same, but works through a hand-written order of goals
``shuffled``        ``full`` in a world whose recipes are exchanged among one another
``held_out``        ``full``, never proposed the goals of ``growth_goals.json``; then each of them from nothing in a
                    fresh world, within 50, 300 and 5,000 search steps, with skills and contracts, either, or neither
``blind``           no reasons, no recipes told: a ladder of goals up to a stone pickaxe in 20,000 search steps
``blind_bare``      the same, keeping no skill
``blind_alone``     ``blind``, but the agent sets its own tasks
"""

from __future__ import annotations

import hashlib
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks._harness import Figure, Options, commit, main, parse
from benchmarks._kept import keep, kept
from benchmarks._life import LADDER, Life, Setting, have, live, live_at_random, policy, solve_cold
from habilis.core import Fact, Goal, InputError
from habilis.worlds.craft import item_class, rules
from habilis.worlds.runner import ConfinedRunner

AIMS = {
    "item_classes": ">= 110",
    "over_random_unlocked": ">= 1.8",
    "iron_rate": ">= 0.9",
    "diamond_rate": ">= 0.7",
    "shuffled_classes": ">= 80",
    "cold_success": ">= 0.6",
    "cold_gain": ">= 0.25",
    "world_step_ratio": "<= 1.2",
    "blind_ladder": ">= 0.6",
}
ITERATIONS = 160
GOALS = Path(__file__).with_name("growth_goals.json")
GOALS_SHA256 = "81904ed71bed94a8d6ff129b4543e62d0d32962b0c13f5d9dc513890845f90e8"
BUDGETS = (50, 300, 5_000)
KNOWING = ("both", "contracts", "skills", "neither")
IRON_TOOLS = tuple(f"iron_{tool}" for tool in ("pickaxe", "axe", "shovel", "hoe", "sword"))
_BLIND = Setting(
    options={"reasons": "none", "recipes": "hidden"},
    script=tuple(have(item) for item in LADDER[: LADDER.index("stone_pickaxe") + 1]),
    search_steps=20_000,
    until="stone_pickaxe",
)


def held_out() -> tuple[tuple[Goal, int], ...]:
    """The goals that no training sees, with the seeds of their worlds. Raises `InputError` if the file was changed."""
    text = GOALS.read_bytes()
    found = hashlib.sha256(text).hexdigest()
    if found != GOALS_SHA256:
        raise InputError(f"{GOALS.name} was changed: sha256 {found}, frozen {GOALS_SHA256}; restore it from the commit")
    return tuple((Goal.parse(g["goal"]), int(g["seed"])) for g in json.loads(text)["goals"])


def excluded() -> frozenset[Fact]:
    """What training must not propose: the held-out items with all their variants, and tags of nothing else."""
    classes = {item_class(str(a.fact.args[0])) for goal, _ in held_out() for a in goal.atoms}
    items = {item for item in rules().items if item_class(item) in classes}
    items |= {tag for tag, members in rules().tags.items() if members <= items}
    return frozenset(Fact("count", (item,)) for item in items)


def setting(arm: str, seed: int) -> Setting:
    """What an arm differs in."""
    arms: dict[str, Callable[[], Setting]] = {
        "full": Setting,
        "random_unlocked": lambda: Setting(strategy="random"),
        "no_library": lambda: Setting(keep_skills=False),
        "planner": lambda: Setting(options={"recipes": "declared"}, told=True),
        "policy": lambda: Setting(options={"recipes": "declared"}, told=True, script=policy()),
        "shuffled": lambda: Setting(options={"shuffled": seed}),
        "held_out": lambda: Setting(exclude=excluded()),
        "blind": lambda: _BLIND,
        "blind_bare": lambda: replace(_BLIND, keep_skills=False),
        "blind_alone": lambda: replace(_BLIND, script=()),
    }
    return arms[arm]()


ARMS = (
    *("full", "random_unlocked", "random", "planner", "policy", "no_library", "shuffled", "held_out"),
    *("blind", "blind_bare", "blind_alone"),
)
QUICK_ARMS = ("full", "random_unlocked", "random", "shuffled", "held_out", "blind")

Cell = Mapping[str, Any]


def run_cell(arm: str, seed: int, *, iterations: int = ITERATIONS, world_steps: int | None = None) -> Cell:
    """One arm with one seed. ``world_steps``: how many the arm ``random`` takes."""
    began = time.monotonic()
    extra: dict[str, Any] = {}
    if arm == "random":
        if world_steps is None:
            raise InputError(f"random:{seed} takes as many world steps as full:{seed}; run that cell first")
        life = live_at_random({}, seed, world_steps)
    else:
        life = live(setting(arm, seed), seed, iterations)
        if arm == "held_out":
            extra["cold"] = cold(life)
    return {
        "schema_version": 1,
        "arm": arm,
        "seed": seed,
        "limit": iterations,
        **life.record(),
        **extra,
        "seconds": round(time.monotonic() - began, 1),
        "commit": commit(),
    }


def cold(life: Life) -> list[Cell]:
    """Every held-out goal, at every budget, with what the life learned and with parts of it."""
    rows: list[Cell] = []
    facts = excluded()
    # An effect that was lifted in passing would make a held-out goal a known one.
    skills = {n: s for n, s in life.skills.items() if not any(a.fact in facts for g in s.goals() for a in g.atoms)}
    if len(skills) != len(life.skills):
        raise RuntimeError(f"training saw held-out goals: {sorted(life.skills.keys() - skills.keys())}")
    with ConfinedRunner() as runner:
        for goal, seed in held_out():
            for knowing in KNOWING:
                for budget in BUDGETS:
                    done = solve_cold(
                        goal,
                        seed,
                        contracts=life.contracts if knowing in ("both", "contracts") else (),
                        skills=skills if knowing in ("both", "skills") else {},
                        search_steps=budget,
                        runner=runner,
                    )
                    rows.append(
                        {
                            "goal": str(goal),
                            "knowing": knowing,
                            "budget": budget,
                            "ok": done.ok,
                            "world_steps": done.world_steps,
                            "search_steps": done.search_steps,
                            "reason": done.reason,
                        }
                    )
    return rows


class Cells:
    """The results of cells, one JSON object a line; a cell that is there is not run again."""

    def __init__(self, path: Path, iterations: int = ITERATIONS) -> None:
        self.path, self.iterations = path, iterations
        self.done: dict[tuple[str, int], Cell] = {}
        for cell in kept(path):
            if cell["limit"] == iterations:
                self.done[cell["arm"], cell["seed"]] = cell

    def get(self, arm: str, seed: int) -> Cell:
        """The cell, run now if it is not there yet."""
        if (arm, seed) not in self.done:
            steps = self.get("full", seed)["world_steps"] if arm == "random" else None
            cell = run_cell(arm, seed, iterations=self.iterations, world_steps=steps)
            keep(self.path, cell)
            self.done[arm, seed] = cell
            print(f"{arm}:{seed}  {cell['classes']} classes  {cell['seconds']} s", file=sys.stderr, flush=True)
        return self.done[arm, seed]


def figures(cells: Mapping[str, Sequence[Cell]]) -> dict[str, Figure]:
    """All figures from the cells of each arm, seed by seed in the same order. What has no cells is left out."""
    found: dict[str, Figure] = {}
    classes = {arm: [float(c["classes"]) for c in done] for arm, done in cells.items() if done}
    if "full" in classes:
        full = cells["full"]
        found["item_classes"] = _median(classes["full"])
        if "random_unlocked" in classes:
            pairs = zip(classes["full"], classes["random_unlocked"], strict=True)
            found["over_random_unlocked"] = Figure.of([a / b for a, b in pairs if b], "", statistics.median)
        found["iron_rate"] = _rate(full, IRON_TOOLS)
        found["diamond_rate"] = _rate(full, ("diamond",))
        found["items"] = Figure.of([float(len(c["items"])) for c in full], "items", statistics.median)
        found["world_steps"] = Figure.of([float(c["world_steps"]) for c in full], "per life")
        found["search_steps"] = Figure.of([float(c["search_steps"]) for c in full], "per life")
        found["life_seconds"] = Figure.of([float(c["seconds"]) for c in full], "s")
    for arm in ("random", "random_unlocked", "no_library", "planner", "policy", "shuffled"):
        if arm in classes:
            found["shuffled_classes" if arm == "shuffled" else f"classes_{arm}"] = _median(classes[arm])
    for arm in ("planner", "policy"):
        if arm in classes:
            found[f"iron_rate_{arm}"] = _rate(cells[arm], IRON_TOOLS)
            found[f"diamond_rate_{arm}"] = _rate(cells[arm], ("diamond",))
    for arm, name in (("blind", "blind_ladder"), ("blind_bare", "blind_ladder_bare"), ("blind_alone", "blind_alone")):
        if arm in classes:
            found[name] = _rate(cells[arm], ("stone_pickaxe",))
    if cells.get("held_out"):
        found.update(_cold_figures(cells["held_out"]))
    return found


def _cold_figures(done: Sequence[Cell]) -> dict[str, Figure]:
    found: dict[str, Figure] = {}
    shares = {
        (knowing, budget): [_share(cell, knowing, budget) for cell in done] for knowing in KNOWING for budget in BUDGETS
    }
    found["cold_success"] = Figure.of(shares["both", 50], "of goals")
    gains = [a - b for a, b in zip(shares["both", 50], shares["contracts", 50], strict=True)]
    found["cold_gain"] = Figure.of(gains, "of goals")
    ratios = [ratio for cell in done if (ratio := _step_ratio(cell)) is not None]
    if ratios:
        found["world_step_ratio"] = Figure.of(ratios, "")
    for (knowing, budget), values in shares.items():
        if (knowing, budget) != ("both", 50):
            found[f"cold_{knowing}_{budget}"] = Figure.of(values, "of goals")
    return found


def _share(cell: Cell, knowing: str, budget: int) -> float:
    return statistics.fmean(r["ok"] for r in cell["cold"] if r["knowing"] == knowing and r["budget"] == budget)


def _step_ratio(cell: Cell) -> float | None:
    """World steps with skills over those replanned from the contracts, for the goals that both reach."""
    most = max(BUDGETS)
    with_skills, replanned = (
        {r["goal"]: r["world_steps"] for r in cell["cold"] if r["ok"] and r["budget"] == most and r["knowing"] == k}
        for k in ("both", "contracts")
    )
    both = sorted(with_skills.keys() & replanned.keys())
    below = sum(replanned[g] for g in both)
    return sum(with_skills[g] for g in both) / below if below else None


def _median(values: Sequence[float]) -> Figure:
    return Figure.of(values, "classes", statistics.median)


def _rate(cells: Sequence[Cell], items: Sequence[str]) -> Figure:
    """The share of seeds that ever held one of these."""
    return Figure.rate(sum(not set(items).isdisjoint(c["items"]) for c in cells), len(cells), "of seeds")


def measure(options: Options) -> dict[str, Figure]:
    with tempfile.TemporaryDirectory(prefix="habilis-growth-cells-") as folder:
        cells = Cells(_results(options, Path(folder)))
        found: dict[str, list[Cell]] = {arm: [] for arm in (QUICK_ARMS if options.quick else ARMS)}
        for seed in range(options.seeds):  # seed by seed, so that what an interrupted run leaves can be compared
            for arm, done in found.items():
                done.append(cells.get(arm, seed))
        return figures(found)


def _results(options: Options, folder: Path) -> Path:
    return options.json.with_suffix(".jsonl") if options.json is not None else folder / "growth.jsonl"


def _one_cell(options: Options) -> None:
    arm, _, seed = (options.cell or "").partition(":")
    if arm not in ARMS or not seed.isdecimal():
        raise SystemExit(f"--cell {options.cell}: write ARM:SEED with ARM one of {', '.join(ARMS)}")
    with tempfile.TemporaryDirectory(prefix="habilis-growth-cells-") as folder:
        cell = Cells(_results(options, Path(folder))).get(arm, int(seed))
    print(json.dumps({k: v for k, v in cell.items() if k not in ("cold", "failed")}))


if __name__ == "__main__":
    given = parse("growth", 5, 1)
    if given.cell is not None:
        _one_cell(given)
    else:
        main("growth", measure, aims=AIMS, seeds=5, quick_seeds=1)

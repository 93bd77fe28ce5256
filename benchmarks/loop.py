"""The loop before and after a distillation: what the model's hunches save where no rule is told.

    python -m benchmarks.loop --data HOME --json loop.json    # 3 seeds of 150 tasks; kept in loop.jsonl and resumed
    python -m benchmarks.loop --quick                         # 20 tasks, own experience, no distilled model
    python -m benchmarks.loop --data HOME --cell model:1 --json loop.json     # one arm and seed
    python -m benchmarks.loop --data HOME --tasks 40 --search-steps 5000 --arms none,nearest_substituted,model

HOME has explored and distilled (`habilis explore --policy regression`, `habilis distil`), in the household or the
craft world; its model is the adopted one, or the last, whatever the gate said. Without HOME the benchmark
explores by itself, and there is no model. Tasks are in houses and about goals that the corpus does not know; contracts
are hidden and no reason is given. Each begins with no skill and no contract, and has 20,000 search steps in all. The
arms differ in who has hunches:

``none``        nobody: the loop before
``lookup``      the corpus' plan of the same goal (there is none, by construction)
``nearest``     the plan of the most similar training question, as it stands
``nearest_substituted``   the same, with the new goal's names in place of the old one's, by position
``model``       the distilled model, asked while its record says that this pays
``model_prior`` the same, and it orders what search tries first, in every task (the agent lets it where that pays)
``shuffled``    the negative control: the model is told of a world in which all names are exchanged
``tiny``        a model of random weights: whether it is left alone

An arm's *first proposal* is made at the start of a task and carried out without any search, whether or not asking pays.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from benchmarks._harness import Figure, Options, main, parse
from benchmarks._kept import keep, kept
from benchmarks._loop_guessers import Metered, Record, Rival, ShuffledNames, lived, lookup, model_line, nearest_plan
from benchmarks._loop_tasks import Ground, come_true, explored, of_home, tasks, work
from habilis.agent.local.hunches import Hunches, HunchSettings
from habilis.agent.local.mind import open_mind
from habilis.agent.local.ordering import Ordering, OrderingSettings
from habilis.agent.planning.advice import Guesser
from habilis.core import Task
from habilis.worlds.runner import ConfinedRunner

AIMS = {"search_step_ratio": ">= 2", "over_nearest_neighbour": ">= 0.2", "success_change": ">= 0"}
RIVALS = ("lookup", "nearest", "nearest_substituted")
MODELS = ("model", "model_prior", "shuffled")
ARMS = ("none", *RIVALS, *MODELS, "tiny")
_STRONG = "nearest_substituted"

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Scale:
    """``tasks`` of a seed; ``search_steps`` of a task, in all; ``episodes`` of own experience, if no home is given."""

    tasks: int = 150
    search_steps: int = 20_000
    episodes: int = 500


_ALWAYS = OrderingSettings(tries=1)  # one that has no record is asked
QUICK = Scale(tasks=20, search_steps=3_000, episodes=120)


class Cells:
    """The results, a line of JSON for each arm, seed and task. What is there is not run again."""

    def __init__(self, path: Path, scale: Scale, ground: Ground, minds: Mapping[str, Metered]) -> None:
        self.path, self.scale, self.ground, self.minds = path, scale, ground, minds
        self.spec = ground.make().spec
        self.key = [scale.search_steps, ground.name, self.spec.fingerprint, ground.corpus.fingerprint]
        self.known = lived(ground.corpus)
        self.rows: dict[tuple[str, int, int], Row] = {}
        for row in kept(path):
            if row["key"] == self.key and row["model"] == self._model(row["arm"]):
                self.rows[row["arm"], row["seed"], row["task"]] = row

    def get(self, arm: str, seed: int, runner: ConfinedRunner) -> list[Row]:
        """The rows of a cell, run now where they are not there yet."""
        given = tasks(self.ground, seed, self.scale.tasks)
        for i, task in enumerate(given):
            if (arm, seed, i) not in self.rows:
                before = self.rows.get((arm, seed, i - 1), {})
                self._keep(self._run(arm, seed, i, task, runner, before.get("record", {})))
        rows = [self.rows[arm, seed, i] for i in range(len(given))]
        solved, first = sum(r["ok"] for r in rows), sum(bool(r["first"]) for r in rows)
        told = f"{solved} of {len(rows)} solved, {first} at once, {sum(r['search_steps'] for r in rows):,} search steps"
        print(f"{arm}:{seed}  {told}", file=sys.stderr, flush=True)
        return rows

    def _model(self, arm: str) -> str:
        """The name of the model behind an arm."""
        return self.minds["model"].name if arm in MODELS and "model" in self.minds else ""

    def _run(self, arm: str, seed: int, i: int, task: Task, runner: ConfinedRunner, record: Mapping[str, Any]) -> Row:
        none = self.rows.get(("none", seed, i))
        if arm == "lookup" and none is not None and all(one.goal != task.goal for one in self.known):
            return {**none, "arm": arm, "first": False}  # a table without the goal is nobody
        proposes, loop, store, mind = self._guessers(arm, seed, record)
        first, plan, first_seconds = None, "", 0.0
        if proposes is not None:
            started = _account(mind)
            first, plan = come_true(self.ground.make, task, proposes)
            first_seconds = _account(mind)[0] - started[0]
        line = mind.last if mind is not None else plan
        started, lines = _account(mind), mind.lines if mind is not None else 0
        orders = Ordering(lambda: mind, self.spec, settings=_ALWAYS) if arm == "model_prior" else None
        worked = work(self.ground.make, task, runner, search_steps=self.scale.search_steps, guesser=loop, orders=orders)
        ended = _account(mind)
        worked = replace(worked, seconds=worked.seconds + ended[2] - started[2])
        return {
            "arm": arm,
            "seed": seed,
            "task": i,
            "key": self.key,
            "model": self._model(arm),
            "goal": str(task.goal),
            "house": task.seed,
            **asdict(worked),
            "first": first,
            "plan": plan,
            "line": line,
            "first_seconds": first_seconds,
            "model_seconds": ended[0] - started[0],
            "tokens": ended[1] - started[1],
            "asked": (mind.lines if mind is not None else 0) - lines,
            "blind": loop.times if isinstance(loop, _Counted) else 0,
            "record": store.state,
        }

    def _guessers(
        self, arm: str, seed: int, record: Mapping[str, Any]
    ) -> tuple[Guesser | None, Guesser | None, Record, Metered | None]:
        """Who makes the first proposal, who has the hunches of the loop, their record, and the model behind them."""
        store = Record(record)
        if arm == "none":
            return None, None, store, None
        if arm in RIVALS:
            rival: Rival = (
                lookup(self.known, self.spec)
                if arm == "lookup"
                else nearest_plan(self.known, self.spec, substituted=arm == _STRONG)
            )
            return rival, rival, store, None
        mind = self.minds["tiny" if arm == "tiny" else "model"]
        first: Guesser = model_line(mind, self.spec)
        loop: Guesser = Hunches(lambda: mind, self.spec, store=store)
        if arm == "shuffled":
            first, loop = ShuffledNames(first, self.spec, seed), ShuffledNames(loop, self.spec, seed)
        return first, _Counted(loop), store, mind

    def _keep(self, row: Row) -> None:
        keep(self.path, row)
        self.rows[row["arm"], row["seed"], row["task"]] = row


class _Counted:
    """A guesser, and how often search was blind and came to it."""

    def __init__(self, guesser: Guesser) -> None:
        self._guesser, self.times = guesser, 0
        self.tried, self.credit = guesser.tried, guesser.credit

    def plan(self, *told: Any) -> Any:
        self.times += 1
        return self._guesser.plan(*told)


def _account(mind: Metered | None) -> tuple[float, int, float]:
    return (0.0, 0, 0.0) if mind is None else (mind.seconds, mind.tokens, mind.unspent)


def figures(cells: Mapping[str, Sequence[Row]], taught: Mapping[str, float]) -> dict[str, Figure]:
    """All figures; of two arms over the tasks of both. What has no cells is left out."""
    found: dict[str, Figure] = {}
    none, model = cells.get("none", ()), cells.get("model", ())
    for arm, rows in cells.items():
        if rows:
            found |= _arm(arm, rows)
        if rows and none and arm not in ("none", "tiny"):
            pairs = list(zip(none, rows, strict=True))
            change = Figure.of([b["ok"] - a["ok"] for a, b in pairs])
            ratio = _ratio(pairs)
            headline = arm == "model"
            found["success_change" if headline else f"success_change_{arm}"] = change
            if ratio is not None:
                found["search_step_ratio" if headline else f"search_step_ratio_{arm}"] = ratio
    for rival in RIVALS:
        if model and cells.get(rival):
            over = [bool(m["first"]) - bool(r["first"]) for m, r in zip(model, cells[rival], strict=True)]
            found["over_nearest_neighbour" if rival == _STRONG else f"over_{rival}"] = Figure.of(over)
    steps = sum(r["search_steps"] for r in none)
    if steps:
        each = sum(r["seconds"] for r in none) / steps
        found["search_step_seconds"] = Figure.of([each], "s")
        lines = [r["first_seconds"] for r in model]
        if lines:
            found["line_seconds"] = Figure.of(lines, "s", statistics.median)
            found["line_worth_steps"] = Figure.of([x / each for x in lines], "search steps", statistics.median)
            found["line_steps_assumed"] = Figure.of([float(HunchSettings().line_steps)], "search steps")
    return found | {name: Figure.of([value]) for name, value in taught.items()}


def _arm(arm: str, rows: Sequence[Row]) -> dict[str, Figure]:
    solved = sum(r["ok"] for r in rows)
    found = {f"success_{arm}": Figure.rate(solved, len(rows))}
    if arm != "none":
        found[f"first_{arm}"] = Figure.rate(sum(bool(r["first"]) for r in rows), len(rows))
    if solved:
        for key in ("search_steps", "world_steps", "seconds"):
            found[f"{key}_{arm}"] = _per_solved(rows, key)
        if arm in (*MODELS, "tiny"):
            found[f"tokens_{arm}"] = _per_solved(rows, "tokens")
    blind = sum(r["blind"] > 0 for r in rows)
    if blind:
        found[f"asked_{arm}"] = Figure.rate(sum(r["asked"] > 0 for r in rows), blind)
        late = [r for r in rows if r["task"] >= 10 and r["blind"]]
        if late:
            found[f"asked_after_10_{arm}"] = Figure.rate(sum(r["asked"] > 0 for r in late), len(late))
    return found


def _per_solved(rows: Sequence[Row], key: str) -> Figure:
    """What all tasks took, over the tasks that were solved; resampled by task."""

    def each(chosen: Sequence[float]) -> float:
        some = [rows[int(i)] for i in chosen]
        return float(sum(r[key] for r in some) / max(1, sum(r["ok"] for r in some)))

    return Figure.of(range(len(rows)), f"{key} / solved", each)


def _ratio(pairs: Sequence[tuple[Row, Row]]) -> Figure | None:
    """Search steps per solved task, before over after; None where either solved nothing."""

    def ratio(chosen: Sequence[float]) -> float:
        before, after = [pairs[int(i)][0] for i in chosen], [pairs[int(i)][1] for i in chosen]
        per = [sum(r["search_steps"] for r in part) / max(1, sum(r["ok"] for r in part)) for part in (before, after)]
        return float(per[0] / max(1.0, per[1]))

    if not any(a["ok"] for a, _ in pairs) or not any(b["ok"] for _, b in pairs):
        return None
    return Figure.of(range(len(pairs)), "before / after", ratio)


def minds_of(ground: Ground, folder: Path) -> dict[str, Metered]:
    """The distilled model, where there is one, and one of random weights."""
    from transformers import AutoTokenizer

    from habilis.trainer import tiny_random_model

    found = {"tiny": tiny_random_model(folder / "tiny").path}
    if ground.model is not None:
        found["model"] = ground.model

    def counter(path: Path) -> Callable[[str], int]:
        tokenizer = AutoTokenizer.from_pretrained(str(path), local_files_only=True)
        return lambda text: len(tokenizer(text, add_special_tokens=False).input_ids)

    return {name: Metered(open_mind(path), counter(path)) for name, path in found.items()}


def measure(options: Options, given: argparse.Namespace) -> dict[str, Figure]:
    with tempfile.TemporaryDirectory(prefix="habilis-loop-cells-") as folder, ConfinedRunner() as runner:
        cells = _cells(options, given, Path(folder))
        found: dict[str, list[Row]] = {arm: [] for arm in _arms(given, cells)}
        for seed in range(options.seeds):  # seed by seed, so that what an interrupted run leaves can be compared
            for arm, rows in found.items():
                rows += cells.get(arm, seed, runner)
        return figures(found, cells.ground.taught)


def _arms(given: argparse.Namespace, cells: Cells) -> list[str]:
    """The arms to run: those asked for, else all that can be."""
    can = [a for a in ARMS if a not in MODELS or "model" in cells.minds]
    wanted = given.arms.split(",") if given.arms else can
    for arm in wanted:
        if arm not in ARMS:
            raise SystemExit(f"there is no arm {arm!r}; there are {', '.join(ARMS)}")
        if arm not in can:
            raise SystemExit(f"the arm {arm} takes a distilled model: --data HOME, after habilis distil in it")
    return wanted


def _cells(options: Options, given: argparse.Namespace, folder: Path) -> Cells:
    scale = QUICK if options.quick else Scale()
    scale = Scale(given.tasks or scale.tasks, given.search_steps or scale.search_steps, scale.episodes)
    ground = of_home(options.data, folder) if options.data is not None else explored(scale.episodes)
    path = options.json.with_suffix(".jsonl") if options.json is not None else folder / "loop.jsonl"
    return Cells(path, scale, ground, minds_of(ground, folder))


def _one_cell(options: Options, given: argparse.Namespace) -> None:
    arm, _, seed = (options.cell or "").partition(":")
    if arm not in ARMS or not seed.isdecimal():
        raise SystemExit(f"--cell {options.cell}: write ARM:SEED with ARM one of {', '.join(ARMS)}")
    with tempfile.TemporaryDirectory(prefix="habilis-loop-cells-") as folder, ConfinedRunner() as runner:
        cells = _cells(options, given, Path(folder))
        given.arms = arm
        _arms(given, cells)
        cells.get(arm, int(seed), runner)


def own(argv: Sequence[str]) -> tuple[argparse.Namespace, list[str]]:
    """The options that only this benchmark has, and the rest."""
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--arms")
    parser.add_argument("--tasks", type=int)
    parser.add_argument("--search-steps", type=int)
    given, rest = parser.parse_known_args(argv)
    for name in ("tasks", "search_steps"):
        value = getattr(given, name)
        if value is not None and value < 1:
            raise SystemExit(f"--{name.replace('_', '-')} {value}: at least 1 is needed")
    return given, rest


if __name__ == "__main__":
    mine, others = own(sys.argv[1:])
    asked_for = parse("loop", 3, 1, others)
    if asked_for.cell is not None:
        _one_cell(asked_for, mine)
    else:
        main("loop", lambda options: measure(options, mine), aims=AIMS, seeds=3, quick_seeds=1, argv=others)

"""The loop benchmark: its rivals, its control, its tasks, its cells (without a trained model), and its figures."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path

import pytest
from benchmarks._loop_guessers import Metered, Rival, ShuffledNames, lived, lookup, nearest_plan
from benchmarks._loop_tasks import Ground, explored, of_home, tasks
from benchmarks.loop import AIMS, Cells, Scale, _arms, figures, own

from habilis.core import Fact, Goal, Snapshot
from habilis.trainer import Corpus, Example
from habilis.worlds.household import HouseholdWorld
from habilis.worlds.runner import ConfinedRunner

SPEC = HouseholdWorld(size=0.0).spec
STATE = Snapshot({Fact("hand_free"): True})
KNOWN = {"cup_1", "fork_1", "plate_1", "table_1", "desk_1", "lamp_1"}
NEW = Goal.parse('on_top("fork_1", "desk_1")')
PUT = 'find("{0}"); grab("{0}"); walk("{1}"); put_on("{0}", "{1}")'


def example(goal: str, line: str) -> Example:
    told = {"goal": goal, "state": "hand_free"}
    return Example(f"{goal}?\n", line, "plan", goal, told=told)


CORPUS = Corpus(
    (
        example('on_top("cup_1", "table_1")', PUT.format("cup_1", "table_1")),
        example('holding("fork_1") and holding("desk_1")', 'find("fork_1"); grab("fork_1")'),
        Example("how many?\n", "2", "count", "x"),
    ),
    (),
    (),
)


def line(rival: Rival | ShuffledNames, goal: Goal = NEW, known: set[str] | None = None) -> str:
    return "; ".join(map(str, rival.plan(goal, STATE, KNOWN if known is None else known) or ()))


def test_the_rivals_know_the_plans_of_the_training_part() -> None:
    known = lived(CORPUS)
    assert len(known) == 2
    table = lookup(known, SPEC)
    assert line(table, known[0].goal) == PUT.format("cup_1", "table_1")
    assert line(table) == ""
    # By words the holding goal is nearer; of the same predicates there is only one, whose names are exchanged.
    assert line(nearest_plan(known, SPEC, substituted=False)) == 'find("fork_1"); grab("fork_1")'
    strong = nearest_plan(known, SPEC, substituted=True)
    assert line(strong) == PUT.format("fork_1", "desk_1")
    assert line(strong, known={"fork_1"}) == ""  # a line with an unknown name is no plan, as of a model
    # Where no training goal has these predicates, the nearest of all.
    assert line(strong, Goal.parse('is_on("fork_1")')) == 'find("fork_1"); grab("fork_1")'
    assert line(nearest_plan([], SPEC, substituted=True)) == ""


def test_the_control_keeps_the_form_of_plans_and_hides_the_names() -> None:
    told: list[Goal] = []

    def by_form(goal: Goal, state: Snapshot) -> str:
        told.append(goal)
        return PUT.format(*goal.atoms[0].fact.args)

    def by_heart(goal: Goal, state: Snapshot) -> str:
        return PUT.format("fork_1", "desk_1")

    assert line(ShuffledNames(Rival(SPEC, by_form), SPEC, 1)) == PUT.format("fork_1", "desk_1")
    assert told[0] != NEW
    assert line(ShuffledNames(Rival(SPEC, by_heart), SPEC, 1)) not in ("", PUT.format("fork_1", "desk_1"))


class Scripted:
    """A mind that writes the plan for putting one thing on or in another, or always the same line."""

    def __init__(self, name: str, line: str | None = None) -> None:
        self.name, self._line = name, line

    def complete(self, prompts: Sequence[str], *, max_tokens: int = 48) -> list[str]:
        return [self._line if self._line is not None else self._plan(p) for p in prompts]

    def _plan(self, prompt: str) -> str:
        goal = Goal.parse(prompt.partition("Goal: ")[2].partition("\n")[0])
        return "; ".join(f'find("{a}"); grab("{a}")' for a in goal.atoms[0].fact.args)

    def rank(self, prompt: str, options: Sequence[str]) -> list[float]:
        return [0.0] * len(options)


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Ground:
    patch = pytest.MonkeyPatch()
    patch.setenv("HABILIS_CACHE", str(tmp_path_factory.mktemp("cache")))
    found = explored(40)
    patch.undo()
    return found


def test_tasks_are_about_what_was_never_trained_on(ground: Ground) -> None:
    given = tasks(ground, 0, 12)
    assert given == tasks(ground, 0, 12)
    assert given[:3] == tasks(ground, 0, 3)
    assert {t.seed for t in given}.isdisjoint(t.seed for t in tasks(ground, 1, 12))
    known = {e.group for e in (*ground.corpus.train, *ground.corpus.validation)}
    houses = {e.house for e in ground.corpus.train}
    for task in given:
        assert str(task.goal) not in known
        assert f"household {task.seed}" not in houses
    assert len({t.goal for t in given}) == len(given)
    assert ground.make().spec.capabilities.isdisjoint({"reasons"})
    assert lookup(lived(ground.corpus), SPEC).plan(given[0].goal, STATE, KNOWN) is None


def test_cells_append_resume_and_give_the_figures(ground: Ground, tmp_path: Path) -> None:
    def cells(model: str = "told", count: int = 4) -> Cells:
        minds = {"model": Metered(Scripted(model), len), "tiny": Metered(Scripted("tiny", "nonsense"), len)}
        return Cells(tmp_path / "loop.jsonl", Scale(tasks=count, search_steps=300), ground, minds)

    with ConfinedRunner() as runner:
        one = cells(count=2)
        one.get("tiny", 0, runner)
        first = cells()
        arms = ("none", "lookup", "nearest_substituted", "model", "model_prior", "shuffled", "tiny")
        found = {arm: first.get(arm, 0, runner) for arm in arms}
        whole = (tmp_path / "loop.jsonl").read_text()
        (tmp_path / "loop.jsonl").write_text(whole + '{"arm": "none", "se')
        again = cells()
        assert {arm: again.get(arm, 0, runner) for arm in arms} == found
        assert (tmp_path / "loop.jsonl").read_text() == whole + '{"arm": "none", "se'  # nothing was run again
        other = cells("another model")
        assert ("model", 0, 0) not in other.rows
        assert ("none", 0, 0) in other.rows
    # A mind whose lines never come true is asked until its record says that this does not pay, also over a restart.
    asked = [r["asked"] for r in found["tiny"] if r["blind"]]
    assert asked[0] == 1
    assert asked[-1] == 0
    assert found["tiny"][-1]["ok"] == found["none"][-1]["ok"]
    for arm in ("none", "lookup"):
        assert all(r["tokens"] == 0 and not r["first"] for r in found[arm])
    assert sum(r["tokens"] for r in found["model"]) > 0
    told = figures(found, {"training_seconds": 7.0})
    assert {"success_none", "first_model", "success_change", "over_nearest_neighbour", "over_lookup"} <= set(told)
    assert told["training_seconds"].value == 7.0
    assert told["line_steps_assumed"].value == 800
    rows = list(zip(found["model"], found["nearest_substituted"], strict=True))
    assert told["over_nearest_neighbour"].value == sum(bool(a["first"]) - bool(b["first"]) for a, b in rows) / 4


def test_the_ratio_is_of_search_steps_per_solved_task() -> None:
    def row(ok: bool, steps: int, first: bool | None = None) -> dict[str, object]:
        told = {"ok": ok, "search_steps": steps, "world_steps": 1, "seconds": 1.0, "first": first, "tokens": 3}
        return told | {"blind": 1, "asked": 1, "task": 0, "first_seconds": 0.5}

    before = [row(True, 100), row(False, 300)]
    after = [row(True, 50, True), row(True, 50, False)]
    told = figures({"none": before, "model": after}, {})
    assert told["search_step_ratio"].value == 8.0
    assert told["success_change"].value == 0.5
    assert told["line_worth_steps"].value == 100.0
    assert set(AIMS) - set(told) == {"over_nearest_neighbour"}  # no rival was measured
    assert "search_step_ratio" not in figures({"none": [row(False, 9)], "model": [row(True, 9)]}, {})


def test_what_cannot_be_run_is_said(ground: Ground, tmp_path: Path) -> None:
    cells = Cells(tmp_path / "loop.jsonl", Scale(), ground, {"tiny": Metered(Scripted("tiny"), len)})
    assert _arms(Namespace(arms=None), cells) == ["none", "lookup", "nearest", "nearest_substituted", "tiny"]
    with pytest.raises(SystemExit, match="takes a distilled model: --data HOME"):
        _arms(Namespace(arms="none,model"), cells)
    with pytest.raises(SystemExit, match="no arm 'magic'"):
        _arms(Namespace(arms="magic"), cells)
    with pytest.raises(SystemExit, match="--tasks 0"):
        own(["--tasks", "0"])
    from habilis.memory import Home

    Home.open(tmp_path / "empty").close()
    with pytest.raises(SystemExit, match="no run there was in household or craft"):
        of_home(tmp_path / "empty", tmp_path)

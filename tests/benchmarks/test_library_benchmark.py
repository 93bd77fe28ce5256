"""The library benchmark's helpers: what counts as near, baked, closed; what is made up; cells and figures."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from benchmarks import library
from benchmarks._library_cells import Scale, failures
from benchmarks._library_parts import (
    KINDS,
    arguments,
    baked,
    closed,
    composing_share,
    distractors,
    in_order,
    largest,
    near_duplicate_share,
    near_duplicates,
    polluted,
)
from benchmarks._life import Setting, live

from habilis.core import Evidence, EvidenceLevel, InputError, Parameter, Program, Skill
from habilis.memory.home import Home
from habilis.worlds.craft import CraftWorld
from habilis.worlds.runner import ConfinedRunner
from habilis.worlds.verify import GoalJudge, WorldVerifier

_PLANKS = """def have_oak_planks(n: int = 1):
    while world.count("oak_planks") < n:
        times = -((world.count("oak_planks") - n) // 4)
        if world.count("#oak_logs") < times:
            skills.have_oak_log(times)
            continue
        world.craft("oak_planks")
"""
_LOG = """def have_oak_log(n: int = 1):
    while world.count("oak_log") < n:
        if world.here("oak_log") < 1:
            world.find("oak_log", 0)
        world.gather("oak_log")
"""


def skill(source: str, goal: str, *calls: str, parameters: tuple[Parameter, ...] | None = None) -> Skill:
    name = source.partition("(")[0].removeprefix("def ")
    given = (Parameter("n", "int", 1, required=False),) if parameters is None else parameters
    return Skill(
        name=name,
        version=1,
        program=Program(name, source, given, calls),
        doc=name,
        goal_template=goal,
        world="craft",
        fingerprint=CraftWorld().spec.fingerprint,
        evidence=Evidence(EvidenceLevel.VERIFIED, successes=4),
        cost=4.0,
    )


LOG = skill(_LOG, 'count("oak_log") >= {n}')
PLANKS = skill(_PLANKS, 'count("oak_planks") >= {n}', "have_oak_log")
BIRCH = skill(_PLANKS.replace("oak", "birch"), 'count("birch_planks") >= {n}', "have_birch_log")
BOTH = {s.name: s for s in (LOG, PLANKS)}


def test_near_are_programs_that_share_their_shingles_and_blinded_those_that_differ_in_constants() -> None:
    again = skill(_PLANKS.replace("times", "often").replace("have_oak_planks", "other"), PLANKS.goal_template)
    assert near_duplicates({**BOTH, "other": again}) == {"have_oak_planks", "other"}
    three = {**BOTH, BIRCH.name: BIRCH}
    assert near_duplicate_share(three) == 0
    assert near_duplicate_share(three, blind=True) == pytest.approx(2 / 3)
    assert composing_share(three) == pytest.approx(2 / 3)
    assert near_duplicate_share({}) == composing_share({}) == 0


@pytest.mark.parametrize(
    ("source", "goal", "fixed"),
    [
        (_PLANKS, 'count("oak_planks") >= {n}', False),
        (_PLANKS, 'count("oak_planks") >= 4', True),
        (_PLANKS.replace("< n:", "< 4:").replace("- n)", "- 4)"), 'count("oak_planks") >= {n}', True),
        (_PLANKS.replace('planks") < n:', 'planks") < 4:'), 'count("oak_planks") >= {n}', True),
        (_LOG.replace('here("oak_log") < 1', 'here("oak_log") < 2'), 'count("oak_log") >= {n}', False),
    ],
)
def test_an_amount_is_baked_in_where_the_goal_or_the_loop_has_a_number(source: str, goal: str, fixed: bool) -> None:
    assert baked(skill(source, goal)) is fixed


def test_the_first_skills_come_with_what_they_call() -> None:
    assert list(closed(["have_oak_planks"], BOTH)) == ["have_oak_log", "have_oak_planks"]
    assert list(closed(["have_oak_log", "gone"], BOTH)) == ["have_oak_log"]
    assert in_order(BOTH, ["have_oak_planks", "gone"]) == ["have_oak_planks", "have_oak_log"]


def test_the_largest_library_has_few_enough_near_duplicates() -> None:
    again = skill(_PLANKS.replace("have_oak_planks", "other"), PLANKS.goal_template, "have_oak_log")
    three = {**BOTH, "other": again}
    order = ["have_oak_log", "have_oak_planks", "other"]
    assert list(largest(order, three, 0.1)) == ["have_oak_log", "have_oak_planks"]
    assert len(largest(order, three, 1.0)) == 3


def test_arguments_vary_the_amount_within_its_range() -> None:
    small = Parameter("n", "int", 1, required=False, high=3)
    kind = Parameter("kind", "str", "a", required=False, choices=("a", "b"))
    one = skill(_LOG, LOG.goal_template, parameters=(small, kind))
    found = arguments(one, {"kind": "b"})
    assert [a["n"] for a in found] == [1, 3, 2]
    assert all(a["kind"] == "b" for a in found)


def test_what_is_made_up_promises_the_same_and_is_of_three_kinds() -> None:
    names = [f"have_{chr(97 + i)}" for i in range(6)]
    genuine = {n: skill(_PLANKS.replace("have_oak_planks", n), PLANKS.goal_template) for n in names}
    made_up = polluted(genuine, 0)
    assert len(made_up) == len(genuine)
    assert sorted(n.rpartition("_")[2] for n in made_up) == sorted(KINDS * 2)
    assert polluted(genuine, 0) == made_up != polluted(genuine, 1)
    for name, one in made_up.items():
        assert one.name == one.program.name == name
        assert f"def {name}(" in one.program.source
        assert one.goal_template == PLANKS.goal_template
        assert one.cost < PLANKS.cost
        kind = name.rpartition("_")[2]
        assert ("#oak_logs" not in one.program.source) is (kind == "stale")
        assert ("_of_old" in one.program.source) is (kind == "broken")
        assert ("not world.count" in one.program.source) is (kind == "near")


def test_made_up_skills_do_what_they_are_for_in_the_world() -> None:
    names = ("have_oak_planks", "have_b", "have_c")
    genuine = {n: skill(_PLANKS.replace("have_oak_planks", n), PLANKS.goal_template, "have_oak_log") for n in names}
    with ConfinedRunner() as runner:
        verifier = WorldVerifier(CraftWorld, runner, GoalJudge())
        shares = {
            name.rpartition("_")[2]: failures(verifier, one, [{"n": 2}], {LOG.name: LOG.program}, 0, 2)
            for name, one in polluted(genuine, 0).items()
        }
    assert shares["near"] == (0.0, "")
    assert shares["stale"][0] == shares["broken"][0] == 1.0
    assert "unmet" in shares["stale"][1]
    assert "_of_old" in shares["broken"][1]


def test_variants_are_as_many_as_asked_and_never_cheaper() -> None:
    crowd = distractors(BOTH, 7)
    assert len(crowd) == 7
    assert not crowd.keys() & BOTH.keys()
    assert all(s.cost > LOG.cost and s.origin == "made up" for s in crowd.values())
    same = sum(s.goal_template in (LOG.goal_template, PLANKS.goal_template) for s in crowd.values())
    assert same == 4
    with pytest.raises(InputError):
        distractors({}, 1)


def test_a_life_goes_on_in_its_home(tmp_path: Path) -> None:
    seen: list[int] = []
    first = live(Setting(), 0, 6, folder=tmp_path, watch=lambda episode, _: seen.append(episode.index))
    second = live(Setting(), 0, 2, folder=tmp_path, resume=True, watch=lambda episode, _: seen.append(episode.index))
    assert seen == list(range(8))
    assert first.skills.keys() <= second.skills.keys()
    assert len(second.contracts) >= len(first.contracts)
    with Home.open(tmp_path, read_only=True) as home:
        assert [r.id for r in home.journal.runs()] == [1]


def cell(arm: str, seed: int, **more: Any) -> dict[str, Any]:
    counts = dict.fromkeys(("skills", "cases", "superseded", "retired", "quarantined"), 1)
    base = {"arm": arm, "seed": seed, "limit": 160, "unseen": 50, "composing": 0.5, "near": 0.1, "near_blind": 0.2}
    return {**base, **counts, "baked": [], "seconds": 1.0, **more}


def test_figures_add_up() -> None:
    plain = cell(
        "plain",
        0,
        proven={"cases": 4, "failing": {"a": [0.2, ""], "b": [0.1, ""]}},
        once={"cases": 2, "failing": {"c": [1.0, ""]}},
        transfer={"old": {"classes": 12}, "new": {"classes": 10}, "carried": 3},
    )
    labels = ("10", "25", "50", "largest", "crowd_500")
    rows = [
        {"label": label, "skills": i, "budget": budget, "success": i / 10, "seconds": 1.0}
        for i, label in enumerate(labels)
        for budget in (20, 50)
    ]
    polluting = {
        "made_up": 9,
        "before": 0.9,
        "unhandled": 0.5,
        "clean": 0.9,
        "handled": 0.8,
        "unhandled_steps": 2.0,
        "handled_steps": None,
        "statuses": {"stale active": 1, "stale quarantined": 3, "near active": 5},
    }
    held = cell("held_out", 0, slope=rows, pollution=polluting, cold=0.9, ratio=1.1)
    found = library.figures({"plain": [plain], "held_out": [held], "no_merge": [cell("x", 0, cold=0.5, ratio=None)]})
    assert found["false_admissions"].value == 0.25
    assert found["false_admissions_after_one_success"].value == 0.5
    assert found["shuffled_transfer"].value == pytest.approx(0.2)
    assert found["success_slope"].value == pytest.approx(0.3)
    assert found["largest_library"].value == 3
    assert found["pollution_drop"].value == pytest.approx(0.1)
    assert found["pollution_drop_unhandled"].value == pytest.approx(0.4)
    assert found["pollution_stale_still_active"].value == 0.25
    assert "pollution_broken_still_active" not in found
    assert "pollution_world_step_ratio_handled" not in found
    assert found["no_merge_cold_success"].value == 0.5
    assert "no_merge_world_step_ratio" not in found
    assert library.AIMS.keys() <= found.keys()


def test_cells_are_run_once_and_those_of_another_size_are_left(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    ran: list[tuple[str, int]] = []

    def run_cell(arm: str, seed: int, scale: Scale) -> dict[str, Any]:
        ran.append((arm, seed))
        return cell(arm, seed, unseen=scale.unseen)

    monkeypatch.setattr(library, "run_cell", run_cell)
    path = tmp_path / "out.jsonl"
    path.write_text('{"arm": "plain", "se', "utf-8")
    for _ in range(2):
        library.Cells(path, Scale()).get("plain", 0)
    assert ran == [("plain", 0)]
    library.Cells(path, library.QUICK).get("plain", 0)
    assert ran == [("plain", 0)] * 2
    assert [json.loads(line)["unseen"] for line in path.read_text("utf-8").splitlines()[1:]] == [50, 10]

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
from collections import Counter
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from habilis.core import Action, Change, Episode, Fact, Goal, InputError, Outcome, Step, Task
from habilis.memory import prompts
from habilis.trainer import FAMILIES, Corpus, Example, build_corpus
from habilis.trainer.corpus import split_examples, split_groups
from habilis.trainer.held_out import PlanTask

names = st.text(st.characters(codec="ascii", categories=["L", "N"]) | st.just("_"), min_size=1, max_size=8)
actions = st.lists(st.builds(Action, st.sampled_from(["find", "mine", "go"]), st.tuples(names)), max_size=30)


def build(workshop: SimpleNamespace, n: int = 60, seed: int = 0) -> Corpus:
    return build_corpus(workshop.make_episodes(n, seed), [], workshop.contracts, workshop.spec, seed)


@given(seed=st.integers(0, 1000), n=st.integers(40, 90))
@settings(max_examples=15, deadline=None)
def test_nothing_leaks_between_the_splits(workshop: SimpleNamespace, seed: int, n: int) -> None:
    corpus = build(workshop, n, seed)
    parts = [corpus.train, corpus.validation, corpus.test]
    for i, part in enumerate(parts):
        for other in parts[i + 1 :]:
            assert not {e.group for e in part} & {e.group for e in other}
            assert not {e.prompt for e in part} & {e.prompt for e in other}
            assert not {e.episode for e in part if e.episode is not None} & {e.episode for e in other}
    assert not {e.prompt for e in corpus.train} & {p.prompt for p in corpus.plans}


def test_what_an_earlier_corpus_had_elsewhere_is_no_task_to_be_done_either() -> None:
    def plan(number: int, origin: str) -> PlanTask:
        task = Task(Goal.parse(f'count("thing_{number}") >= 1'), "forge", number, "", origin=origin)
        return PlanTask(f"Goal: {number}\n", task, split="test")

    plans = (plan(1, "exploration"), plan(2, "exploration"), plan(3, "exploration"), plan(1, "curriculum"))
    before = {"group": {'count("thing_3")': "train"}, "house": {"forge 1": "train", "forge 2": "test"}}
    assert Corpus((), (), (), plans).apart_from(before).plans == (plans[1], plans[3])


@given(seed=st.integers(0, 1000))
@settings(max_examples=10, deadline=None)
def test_no_constant_answer_scores(workshop: SimpleNamespace, seed: int) -> None:
    corpus = build(workshop, 60, seed)
    for part in (corpus.train, corpus.validation, corpus.test):
        for family in {e.family for e in part}:
            answers = Counter(e.answer for e in part if e.family == family)
            assert max(answers.values()) <= 0.2 * answers.total() + 1e-9


def test_every_family_is_there_and_its_answers_are_true(workshop: SimpleNamespace) -> None:
    corpus = build(workshop, 80)
    everything = [*corpus.train, *corpus.validation, *corpus.test]
    assert {e.family for e in corpus.train} == set(FAMILIES) - set(corpus.missing)
    assert {e.family for e in corpus.train} >= {"activity", "changes", "count", "goal", "needs", "next", "plan"}
    rules = {str(c.action): c for c in workshop.contracts}
    for e in everything:
        assert e.prompt.endswith("\n")
        assert "\n" not in e.answer
        if e.family == "needs":
            rule = rules[e.prompt.split("\n")[0].removeprefix("Action: ")]
            assert set(Goal.parse(e.answer).atoms) == {c.atom for c in rule.conditions}
        if e.family == "yields":
            fact = e.prompt.split("\n")[0].removeprefix("Wanted: ")
            assert any(str(x.fact) == fact and x.amount > 0 for x in rules[e.answer].effects)
        if e.family in ("goal", "activity"):
            assert str(Goal.parse(e.answer)) == e.answer


def test_the_words_of_a_goal_say_its_amount_and_thing(workshop: SimpleNamespace) -> None:
    numerals = {
        "a": 1,
        "one": 1,
        "two": 2,
        "three": 3,
        "four": 4,
        "five": 5,
        "six": 6,
        "seven": 7,
        "eight": 8,
        "nine": 9,
    }
    asked = [e for e in build(workshop).train if e.family == "goal" and e.answer.startswith("count")]
    assert len({e.prompt for e in asked}) > 50
    for e in asked:
        (atom,) = Goal.parse(e.answer).atoms
        words = e.prompt.removeprefix("Words: ").split("\n")[0]
        assert str(atom.fact.args[0]).replace("_", " ") in words
        said = [numerals.get(w) or (int(w) if w.isdigit() else 0) for w in words.replace(",", " ").split()]
        assert atom.value in said


def test_what_changed_in_a_step_that_failed_is_part_of_the_state(workshop: SimpleNamespace) -> None:
    dust = Fact("count", ("dust",))
    spilled = Step(Action("mine", ("oak_rock",)), Outcome(False, (Change(dust, 0, 7),), message="it fell to dust"))
    told = Step(Action("mine", ("oak_rock",)), Outcome(True, (Change(dust, 7, 9),)))

    def after_a_failure(episode: Episode) -> Episode:
        (attempt,) = episode.attempts
        steps = (spilled, *attempt.trajectory.steps, spilled, told)
        attempts = (dataclasses.replace(attempt, trajectory=dataclasses.replace(attempt.trajectory, steps=steps)),)
        return dataclasses.replace(episode, attempts=attempts)

    episodes = list(map(after_a_failure, workshop.make_episodes(60)))
    corpus = build_corpus(episodes, [], workshop.contracts, workshop.spec)
    everything = [*corpus.train, *corpus.validation, *corpus.test]
    following = [e for e in everything if e.family == "next"]
    assert len(following) > 20
    assert all("dust" in e.prompt for e in following)
    # What fell to dust beside a window of actions cannot be counted from them.
    counted = [e for e in everything if e.family == "count" and e.told["fact"] == str(dust)]
    assert all((e.told["start"], e.answer) == ("7", "9") for e in counted)


def test_plans_of_the_corpus_work_when_run(workshop: SimpleNamespace) -> None:
    episodes = workshop.make_episodes(80)
    corpus = build_corpus(episodes, [], workshop.contracts, workshop.spec)
    tasks = {e.index: e.task for e in episodes}
    plans = [(tasks[e.episode or 0], prompts.parse_plan(e.answer)) for e in corpus.train if e.family == "plan"]
    assert len(plans) > 20
    assert all(workshop.run_plans(plans))
    assert not any(workshop.run_plans([(task, plan[:-1]) for task, plan in plans]))


def test_counting_answers_are_what_the_host_recorded(workshop: SimpleNamespace) -> None:
    rules = {c.action: c for c in workshop.contracts}
    asked = [e for e in build(workshop).train if e.family == "count"]
    assert len(asked) > 50
    for e in asked:
        before, done, _ = e.prompt.split("\n", 2)
        fact, start = before.removeprefix("Before: ").split(" == ")
        made = [rules[a] for a in prompts.parse_plan(done.removeprefix("Done: ")) if a in rules]
        change = sum(effect.amount for rule in made for effect in rule.effects if str(effect.fact) == fact)
        assert int(e.answer) == int(start) + change
        assert change  # repeating what was given never scores


def test_the_same_input_gives_the_same_corpus_under_any_hash_seed() -> None:
    code = (
        "import importlib.util as u; s=u.spec_from_file_location('c', 'tests/trainer/conftest.py'); "
        "c=u.module_from_spec(s); s.loader.exec_module(c); from habilis.trainer import build_corpus; "
        "print(build_corpus(c.make_episodes(40),[],c.CONTRACTS,c.SPEC,3).fingerprint)"
    )
    prints = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": str(seed)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in (0, 1, 2)
    }
    assert len(prints) == 1
    assert len(prints.pop().strip()) == 64


def test_a_group_keeps_its_split_as_the_journal_grows() -> None:
    few, many = split_groups(f"g{i}" for i in range(50)), split_groups(f"g{i}" for i in range(500))
    assert all(many[g] == s for g, s in few.items())
    assert {"train", "validation", "test"} == set(split_groups(["a", "b", "c"]).values())


@st.composite
def _families(draw: st.DrawFn) -> list[Example]:
    """Families of some groups, in houses that are mostly about one of them."""
    found = []
    for family in "abc":
        for group in range(draw(st.integers(1, 30))):
            for _ in range(draw(st.integers(1, 5))):
                house = draw(st.sampled_from(["", f"{family}{group}", f"house {group % 7}"]))
                found.append(Example(f"{len(found)}?", "", family, f"{family}{group}", house=house))
    return found


@given(_families(), st.integers(0, 50))
@settings(max_examples=60, deadline=None)
def test_every_family_is_held_out_where_its_groups_allow_it(examples: list[Example], seed: int) -> None:
    split_of, house_of = split_examples(examples, seed)
    assert (split_of, house_of) == split_examples(examples[::-1], seed)
    assert set(split_of) == {e.group for e in examples}
    assert set(house_of) == {e.house for e in examples} - {""}
    for family in "abc":
        sizes = Counter(e.group for e in examples if e.family == family)
        held = Counter({split: sum(n for g, n in sizes.items() if split_of[g] == split) for split in _SPLITS})
        spare = [n for g, n in sizes.items() if split_of[g] == "train" and held["train"] - n >= sizes.total() / 2]
        for split in ("validation", "test"):
            assert held[split] >= sizes.total() / 10 or not spare, (family, held)
    for house, split in house_of.items():  # where it is about one task alone it goes with the task
        about = {split_of[e.group] for e in examples if e.house == house}
        assert split in about


_SPLITS = ("train", "validation", "test")


def test_a_house_keeps_its_split_as_the_journal_grows() -> None:
    many = [Example(f"{i}?", "", "plan", f"task {i % 40}", house=f"house {i // 2}") for i in range(400)]
    few, all_of_them = split_examples(many[:200]), split_examples(many)
    assert few[0] == all_of_them[0]
    assert all(all_of_them[1][h] == split for h, split in few[1].items())


def test_a_world_of_the_same_name_and_other_rules_teaches_nothing(workshop: SimpleNamespace) -> None:
    def told(fingerprint: str) -> list[Episode]:
        episodes = workshop.make_episodes(60, 0)
        return [dataclasses.replace(e, task=dataclasses.replace(e.task, fingerprint=fingerprint)) for e in episodes]

    old = build(workshop)  # whose episodes do not tell their fingerprint
    both = build_corpus([*told("forge-1"), *told("forge-2")], [], workshop.contracts, workshop.spec)
    assert (both.fingerprint, both.figures) == (old.fingerprint, old.figures)
    with pytest.raises(InputError, match="holds 0 solved episodes"):
        build_corpus(told("forge-2"), [], workshop.contracts, workshop.spec)


def test_too_few_episodes_is_said_with_numbers(workshop: SimpleNamespace) -> None:
    with pytest.raises(InputError, match=r"0 solved episodes on 0 .* at least 8 on 6"):
        build_corpus([], [], workshop.contracts, workshop.spec)
    failed = [dataclasses.replace(e, status="failed") for e in workshop.make_episodes(40)]
    with pytest.raises(InputError, match="0 solved"):
        build_corpus(failed, [], workshop.contracts, workshop.spec)


@given(actions)
@settings(deadline=None)
def test_a_plan_line_reads_back(done: list[Action]) -> None:
    line = prompts.plan_line(done, limit=100)
    assert "\n" not in line
    assert prompts.parse_plan(line, limit=100) == (tuple(done) or None)


@given(st.text(max_size=60))
def test_no_text_breaks_the_plan_reader(text: str) -> None:
    plan = prompts.parse_plan(text)
    assert plan is None or all(isinstance(a, Action) for a in plan)


def test_an_endless_plan_is_refused() -> None:
    assert prompts.parse_plan('mine("log") x256') is not None
    assert prompts.parse_plan('mine("log") x257') is None
    assert prompts.parse_plan("; ".join(['mine("a")', 'mine("b")'] * 5)) is None

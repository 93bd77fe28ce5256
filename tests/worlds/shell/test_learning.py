"""An agent in the shell world: search in practice, skills with parameters, chat where search finds nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from habilis import Agent
from habilis.agent.planning.fitting import fits
from habilis.agent.planning.forms import FormSearch, FormSettings
from habilis.agent.planning.meter import SearchMeter
from habilis.core import Action, Atom, Budget, Draft, Fact, Goal, Ledger
from habilis.testing.chat import serve_openai
from habilis.worlds.runner import ConfinedRunner
from habilis.worlds.shell import ShellWorld
from habilis.worlds.verify import GoalJudge, WorldVerifier


def pose(world: ShellWorld, name: str, seed: int) -> Goal:
    goal = world.pose(Goal((Atom(Fact(name)),)), seed)
    assert goal is not None
    return goal


def found(name: str, *, steps: int = 1_500, budget: int | None = None) -> tuple[Draft | None, Ledger, FormSearch]:
    world = ShellWorld(orders=1)
    goal = pose(world, name, 1)
    before = world.observe().facts
    ledger, search = Ledger(Budget(search_steps=budget)), FormSearch(world.spec, FormSettings(steps=steps))
    with SearchMeter(ledger) as meter:
        draft = next(search.drafts(goal, world.simulator(), meter, 3), None)
    assert world.observe().facts == before  # all of it happened on copies
    return draft, ledger, search


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("file_renamed", ["mv --"]),
        ("lines_with", ["grep -F", "| ", "> "]),
        ("files_larger", ["find", "-size"]),
        ("modes_set", ["for path in world.lines(", "chmod"]),
    ],
)
def test_search_writes_pipes_and_loops_with_the_goals_arguments_for_parameters(name: str, parts: list[str]) -> None:
    draft, ledger, _ = found(name)
    assert draft is not None
    assert all(part in draft.program.source for part in parts)
    assert 0 < ledger.spent.search_steps <= 1_500 + 60
    assert draft.goal_template.startswith(f"{name}(")
    assert not {"{", "}"} & set(draft.goal_template.format(**draft.args))
    for argument in draft.args.values():  # it stands in the head alone
        assert repr(argument) not in draft.program.source.partition("\n")[2]


def test_search_says_that_it_finds_nothing_and_keeps_to_its_steps() -> None:
    draft, ledger, search = found("folder_mirrored", steps=150)
    assert draft is None
    assert "folder_mirrored" in search.why
    assert ledger.spent.search_steps <= 150 + 40


def test_a_skill_learned_in_practice_does_unseen_orders_without_looking_ahead(tmp_path: Path) -> None:
    world = ShellWorld(orders=1)
    with Agent(world=world, home=tmp_path) as agent:
        there = next(f for f in world.observe().facts if f.predicate == "exists")
        agent.solve_now(Goal((Atom(there),)))
        first = agent.solve_now(pose(world, "lines_counted_with", 1))
        assert first.skill == "lines_counted_with", first.reason
        assert first.cost.search_steps > 0
        skill = agent.skill("lines_counted_with").skill
        assert len({str(sorted(t.args.items())) for t in skill.evidence.trials}) == len(skill.evidence.trials) >= 4
        again = agent.solve_now(pose(world, "lines_counted_with", 2))
        assert again.solved
        assert again.cost.search_steps == 0
        # Words in place of the goal, and one's own call.
        goal = pose(world, "lines_counted_with", 3)
        text = world.spec.predicate("lines_counted_with").phrase.format(*goal.atoms[0].fact.args)  # type: ignore[union-attr]
        assert agent.solve_now(text).solved, text
    with ConfinedRunner() as runner:
        verifier = WorldVerifier(lambda: ShellWorld(split="test", practice=False), runner, GoalJudge())
        for seed in range(3):
            trial, _ = verifier.trial(skill, {}, seed, {}, Ledger())
            assert trial.ok, trial.why
    (fit,) = fits([skill], goal)
    assert fit[1] == dict(zip(("folder", "suffix", "word"), goal.atoms[0].fact.args, strict=True))


def test_without_practice_nothing_is_tried(tmp_path: Path) -> None:
    world = ShellWorld(orders=1, practice=False)
    with Agent(world=world, home=tmp_path) as agent:
        goal = world.goals()[0]
        episode = agent.solve_now(goal)
    assert not episode.solved
    assert not episode.attempts
    assert "practice" in episode.reason


MIRRORED = """\
```python
# goal: folder_mirrored("{folder}", "{suffix}", "{into}")
def folder_mirrored(folder: str = %r, suffix: str = %r, into: str = %r):
    for path in world.lines('cd "$1" && find . -type f -name "*$2"', folder, suffix).value:
        target = into + path[1:]
        world.run('mkdir -p -- "${1%%/*}" && cp -- "$2" "$1"', target, folder + path[1:])
```"""


def test_what_search_cannot_write_a_chat_model_can(tmp_path: Path) -> None:
    world = ShellWorld(orders=1)
    goal = pose(world, "folder_mirrored", 0)
    args = goal.atoms[0].fact.args

    def reply(request: dict[str, object]) -> str:
        asked.append(str(request["messages"]))
        return MIRRORED % args

    asked: list[str] = []
    with (
        serve_openai(reply) as server,
        Agent(
            world=world, home=tmp_path, writer="chat", model="openai:scripted", base_url=server.base_url, prices=(0, 0)
        ) as agent,
    ):
        agent.solve_now(Goal((Atom(next(f for f in world.observe().facts if f.predicate == "exists")),)))
        goal = pose(world, "folder_mirrored", 0)
        episode = agent.solve_now(goal)
        assert episode.skill == "folder_mirrored", episode.reason
        again = pose(world, "folder_mirrored", 5)
        assert (
            agent.call(
                agent.skill("folder_mirrored").skill,
                dict(zip(("folder", "suffix", "into"), again.atoms[0].fact.args, strict=True)),
            )
            is None
        )
    assert any("world.run(command: str" in text for text in asked)
    assert world.act(Action("run", ("true",))).ok

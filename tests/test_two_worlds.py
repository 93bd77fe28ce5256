"""One home, several worlds: what was learned in one is neither used nor replaced in another."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from pathlib import Path
from typing import Any

import pytest

from habilis import Agent, AgentSettings, World
from habilis.core import Context, Draft, Feedback, Kind, Ledger, Parameter, Program, Task
from habilis.memory.home import Home
from habilis.trainer import DistilResult

N = Parameter("n", "int", 1, required=False)


def orchard() -> World:
    bag = {"fig": 0}

    def pick() -> None:
        """Pick a fig."""
        bag["fig"] += 1

    return _world(pick, bag, "orchard")


def shop(name: str = "shop") -> World:
    bag = {"fig": 0}

    def buy() -> None:
        """Buy a fig."""
        bag["fig"] += 1

    return _world(buy, bag, name)


def _world(get: Callable[[], None], bag: dict[str, int], name: str) -> World:
    return World.from_functions([get], observe=lambda: {"count": bag}, reset=lambda: bag.update(fig=0), name=name)


class HaveFig:
    """Writes the same skill for every goal, with the verb of its world; remembers which skills it was shown."""

    name = "have-fig"

    def __init__(self, verb: str) -> None:
        self.verb = verb
        self.shown: list[str] = []

    async def drafts(self, task: Task, context: Context, ledger: Ledger) -> AsyncGenerator[Draft, Feedback]:
        self.shown = [*context.skills, *(a.name for a in context.picked if a.kind is Kind.SKILL)]
        source = f'def have_fig(n: int = 1):\n    while world.count("fig") < n:\n        world.{self.verb}()\n'
        yield Draft(Program("have_fig", source, (N,), (), self.name), {"n": 2}, 'count("fig") >= {n}')


def test_a_skill_of_one_world_is_not_seen_in_another(tmp_path: Path) -> None:
    for make, verb in ((orchard, "pick"), (shop, "buy")):
        writer = HaveFig(verb)
        with Agent(make(), home=tmp_path / "home", writer=writer) as agent:
            assert dict(agent.skills) == {}
            assert agent.solve_now("have 2 fig").skill == "have_fig"
            assert writer.shown == []
    for make, verb in ((orchard, "pick"), (shop, "buy")):
        writer = HaveFig(verb)
        with Agent(make(), home=tmp_path / "home", writer=writer) as agent:
            assert f"world.{verb}()" in agent.skill("have_fig").source
            agent.skill("have_fig")(n=1)
            assert agent.solve_now("have 2 fig").solved
            assert set(writer.shown) == {"have_fig"}


def test_the_same_name_with_other_rules_is_another_world(tmp_path: Path) -> None:
    with Agent(orchard(), home=tmp_path / "home", writer=HaveFig("pick")) as agent:
        assert agent.solve_now("have 2 fig").skill == "have_fig"
        one = agent.world.spec
    with Agent(shop(name="orchard"), home=tmp_path / "home") as agent:
        assert dict(agent.skills) == {}
        assert agent.solve_now("have 2 fig").solved
        other = agent.world.spec
    with Home.open(tmp_path / "home", read_only=True) as home:
        told = [(e.task.world, e.task.fingerprint) for e in home.journal.episodes()]
    assert told == [(one.name, one.fingerprint), (one.name, other.fingerprint)]
    assert one.fingerprint != other.fingerprint


class Named(str):
    """In place of a corpus: the name of its world."""

    train = ()


class Trainer:
    """In place of training: adopts at once, and keeps what it was asked for."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def __call__(self, corpus: str, out: Path, **_: Any) -> DistilResult:
        self.asked.append(corpus)
        return DistilResult(out, True, ("better",), {})


def test_each_world_distils_and_uses_a_model_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trainer = Trainer()
    monkeypatch.setattr("habilis._distil.corpus_of", lambda parts, **_: Named(parts.world.spec.name))
    monkeypatch.setattr("habilis.trainer.distil_corpus", trainer)
    monkeypatch.setattr("habilis._distil.can_train", lambda: True)
    monkeypatch.setattr("habilis.agent.local.mind.open_mind", lambda info: info["name"])

    def adopted(world: World) -> object:
        with Agent(world, home=tmp_path / "home") as agent:
            return agent._parts.minds.adopted()

    # The second world's skill is its first: what was kept in the other one does not count.
    for make, verb, distilled in ((orchard, "pick", ["orchard"]), (shop, "buy", ["orchard", "shop"])):
        settings = AgentSettings(distil_every=1)
        with Agent(make(), home=tmp_path / "home", writer=HaveFig(verb), settings=settings) as agent:
            assert agent._parts.minds.adopted() is None
            assert agent.run_now().skills == 1
        assert trainer.asked == distilled
    assert (adopted(orchard()), adopted(shop())) == ("smollm2-1", "smollm2-2")
    assert adopted(shop("orchard")) is None


def test_what_is_mastered_elsewhere_is_still_to_be_learned_here(tmp_path: Path) -> None:
    with Agent(orchard(), home=tmp_path / "home") as agent:
        alone = agent.run_now()
        assert alone.skills == 1
    with Agent(shop(), home=tmp_path / "home") as agent:
        other = agent.run_now()
    assert (other.tried, other.solved, other.skills) == (alone.tried, alone.solved, alone.skills)

"""The agent as users hold it in their code, most of it with a chat model that is served on loopback."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from habilis import Agent, AgentSettings, Goal, HabilisError, World, tool
from habilis.core import (
    Budget,
    Context,
    Cost,
    Draft,
    Feedback,
    InputError,
    Ledger,
    ModelError,
    NotFoundError,
    Program,
    SkillError,
    Task,
    Trajectory,
    judged,
)
from habilis.memory import Home
from habilis.testing.chat import Response, Server, serve_openai
from habilis.worlds import FunctionWorld, action, from_functions
from habilis.worlds.runner import ConfinedRunner

ROOT = Path(__file__).parent.parent

WRONG = """```python
# goal: count("{item}") >= {n}
def boil_some(item: str = "egg", n: int = 2):
    while world.count(item) < n:
        world.boil(item)
```"""
RIGHT = WRONG.replace("    while", '    if not world.lit("stove"):\n        world.light("stove")\n    while', 1)


@pytest.fixture(autouse=True)
def _offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is fetched, and no key of whoever runs the tests is used."""
    monkeypatch.setenv("HABILIS_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)


def kitchen() -> FunctionWorld:
    """Boiling needs a lit stove, which only the failure tells."""
    pot: dict[str, int] = {}
    lit: set[str] = set()

    @action()
    def light(thing: str) -> None:
        """Light a thing, such as the stove."""
        if thing != "stove":
            raise ValueError("that does not burn")
        lit.add(thing)

    @action()
    def boil(item: str) -> str:
        """Boil an egg or a potato."""
        if not lit:
            raise ValueError("the stove is cold")
        pot[item] = pot.get(item, 0) + 1
        return f"boiled {item}"

    def reset(seed: int) -> None:
        pot.clear()
        lit.clear()

    return from_functions(
        [light, boil],
        observe=lambda: {
            "count": {"egg": 0, "potato": 0} | pot,
            "lit": {"stove": bool(lit)},
            "there": {"stove", "sink"},
        },
        reset=reset,
        name="kitchen",
    )


class Script:
    """Answers as a model would, by what it is asked: a goal, a proposal, a verdict, or a program."""

    def __init__(
        self,
        programs: Callable[[str, int], str] = lambda told, turn: WRONG if turn == 0 else RIGHT,
        *,
        goal: str = "JUDGED",
        proposals: str = "",
        verdict: str = '{"ok": true, "reason": "it is boiled"}',
    ) -> None:
        self.programs, self.goal, self.proposals, self.verdict = programs, goal, proposals, verdict
        self.asked: list[str] = []

    def __call__(self, request: Mapping[str, Any]) -> str:
        system, *said = (m["content"] for m in request["messages"])
        for start, kind, answer in (
            ("You turn a wish", "goal", self.goal),
            ("You choose what", "proposal", self.proposals),
            ("You write programs", "program", None),
        ):
            if system.startswith(start):
                self.asked.append(kind)
                return self.programs(said[0], (len(said) - 1) // 2) if answer is None else answer
        self.asked.append("verdict")
        return self.verdict


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Callable[..., Agent]]:
    """Makes agents with a chat model at ``server``, and closes them."""
    made: list[Agent] = []

    def one(server: Server | None, world: Any = None, **more: Any) -> Agent:
        chat: dict[str, Any] = {}
        if server is not None:
            chat = {"writer": "chat", "model": "openai:x", "base_url": server.base_url, "prices": (1, 1)}
            chat["budget"] = "usd=1"
        given = {"home": tmp_path / f"home{len(made)}"} | chat | more
        made.append(Agent(kitchen() if world is None else world, **given))
        return made[-1]

    yield one
    for agent in made:
        agent.close()


# ---------------------------------------------------------------------- the chat writer in an agent


def test_a_wrong_program_is_corrected_by_its_feedback_and_kept(make: Any) -> None:
    with serve_openai(Script()) as server:
        agent = make(server)
        episode = agent.solve_now('count("egg") >= 2')
    assert (episode.status, episode.skill, episode.writer) == ("solved", "boil_some", "chat")
    assert [a.ok for a in episode.attempts] == [False, True]
    assert "the stove is cold" in episode.attempts[0].feedback
    told = server.requests[1]["messages"][-1]["content"]
    assert "the stove is cold" in told
    assert 'count("egg") >= 2 (now 0)' in told
    skill = agent.skill("boil_some").skill
    assert skill.goal_template == 'count("{item}") >= {n}'
    assert [p.name for p in skill.program.parameters] == ["item", "n"]


def test_money_is_charged_as_the_server_counts(make: Any) -> None:
    def counted(request: Any) -> Response:
        return Response(Script()(request), usage_counts=(1000, 500))

    with serve_openai(counted) as server:
        agent = make(server, prices=(2.0, 8.0))
        episode = agent.solve_now('count("egg") >= 2')
    assert len(server.requests) == 2
    assert episode.cost.usd == pytest.approx(2 * (1000 * 2 + 500 * 8) / 1e6)
    assert episode.cost.tokens == 3000
    assert episode.cost.calls == 2
    assert agent.spent == episode.cost


def test_what_can_be_made_afresh_is_verified_and_the_rest_is_observed(make: Any) -> None:
    with serve_openai(Script()) as server:
        verified = make(server, fresh=kitchen)
        seen = make(server, world=from_live())
        for agent in (verified, seen):
            assert agent.solve_now('count("egg") >= 2').solved
    assert verified.skill("boil_some").skill.evidence.level == "verified"
    assert verified.skill("boil_some").skill.evidence.successes >= 3
    assert seen.skill("boil_some").skill.evidence.level == "observed"
    assert seen.skill("boil_some").skill.evidence.successes == 1


def from_live() -> FunctionWorld:
    """The kitchen without a way back to a start."""
    world = kitchen()
    world.spec = type(world.spec)(
        **{f: getattr(world.spec, f) for f in world.spec.__dataclass_fields__ if f != "capabilities"},
        capabilities=frozenset({"affordances", "live"}),
    )
    return world


def test_a_program_that_works_only_here_goes_back_to_the_model(make: Any) -> None:
    lazy = RIGHT.replace('if not world.lit("stove"):', 'if n == 2 and item == "egg":')

    def programs(told: str, turn: int) -> str:
        return lazy if turn == 0 else RIGHT

    with serve_openai(Script(programs)) as server:
        agent = make(server, fresh=kitchen)
        episode = agent.solve_now('count("egg") >= 2')
    assert episode.skill == "boil_some"
    assert agent.skill("boil_some").source == RIGHT.split("\n", 2)[2].rsplit("```", 1)[0]
    assert "fresh world" in server.requests[1]["messages"][-1]["content"]


def test_craft_with_a_chat_model(make: Any) -> None:
    def programs(told: str, turn: int) -> str:
        if turn == 0:
            return "```python\ndef get(n: int = 2):\n    world.craft('stick')\n```"
        return (
            '```python\n# goal: count("dirt") >= {n}\ndef get(n: int = 2):\n    while world.count("dirt") < n:\n'
            '        if not world.here("dirt"):\n            world.find("dirt")\n        world.gather("dirt")\n```'
        )

    with serve_openai(Script(programs)) as server:
        agent = make(server, world="craft")
        episode = agent.solve_now("have 2 dirt")
    assert (episode.status, episode.skill) == ("solved", "get")
    assert agent.skill("get").skill.evidence.level == "verified"
    assert {t.args["n"] for t in agent.skill("get").skill.evidence.trials} > {2}
    assert "craft" in server.requests[0]["messages"][1]["content"]


def test_a_model_that_writes_no_program_fails_the_task(make: Any) -> None:
    with serve_openai(Script(lambda told, turn: "I would rather not.")) as server:
        episode = make(server).solve_now('count("egg") >= 2')
    assert (episode.status, episode.attempts) == ("failed", ())
    assert len(server.requests) == 4


# ---------------------------------------------------------------------- money


@pytest.mark.parametrize("usd", [0.0, 0.002, 0.004, 0.006, 0.012])
def test_a_budget_is_never_passed_and_ends_the_work_cleanly(make: Any, usd: float) -> None:
    def dear(request: Any) -> Response:
        return Response(WRONG, usage_counts=(1000, 500))

    with serve_openai(dear) as server:
        agent = make(server, budget={"usd": usd})
        episode = agent.solve_now('count("egg") >= 2')
        assert agent.spent.usd <= usd
        assert agent.spent.usd == pytest.approx(len(server.requests) * 0.0015)
        assert (episode.status == "stopped") == (len(server.requests) < 4)
        if episode.status == "stopped":
            assert f"usd={usd:g}" in episode.reason
            assert "--max-usd" in episode.reason


def test_a_run_stopped_by_its_budget_is_topped_up(make: Any, tmp_path: Path) -> None:
    script = Script(proposals='count("egg") >= 2')
    settings = {"home": tmp_path / "home", "settings": AgentSettings(seed=1)}
    with serve_openai(script) as server:
        first = make(server, budget="usd=0.0025", **settings)
        summary = first.run_now(3)
        assert summary.status == "stopped"
        assert "usd=0.0025" in summary.reason
        assert summary.spent.usd <= 0.0025
        first.close()
        again = make(server, **settings)
        second = again.run_now(3)
    assert (second.run_id, second.status, second.tried) == (1, "finished", 3)
    assert second.spent.usd > again.spent.usd > 0  # what was spent before counts in the run, not for this agent


def test_an_unreachable_model_is_told_and_the_run_can_go_on(make: Any, tmp_path: Path) -> None:
    with serve_openai(lambda request: Response("out of order", status=400)) as server:
        agent = make(server, home=tmp_path / "home")
        with pytest.raises(ModelError, match="out of order"):
            agent.run_now(2)
        agent.close()
    with Home.open(tmp_path / "home", create=False, read_only=True) as home:
        assert home.journal.runs()[0].status == "failed"
    with serve_openai(Script()) as server:
        summary = make(server, home=tmp_path / "home").run_now(2)
    assert (summary.run_id, summary.status) == (1, "finished")


def test_what_one_task_may_cost_can_be_set(make: Any, tmp_path: Path) -> None:
    def solve(task_budget: Any) -> Any:
        settings = AgentSettings(task_budget=task_budget)
        return make(None, world="craft", settings=settings, budget="search_steps=100000").solve_now("have 1 stick")

    for little in ("search_steps=20", Budget(usd=None, search_steps=20)):
        failed = solve(little)
        assert (failed.status, failed.cost.search_steps <= 20) == ("failed", True)
        assert "the limit of one task, search_steps=20 is reached" in failed.reason
        assert "--max-search-steps" not in failed.reason
        assert "AgentSettings(task_budget=" in failed.reason
    assert solve("search_steps=90000").cost.search_steps > 20
    with pytest.raises(InputError, match="cannot read 'much=1'"):
        solve("much=1")


# ---------------------------------------------------------------------- what else a chat model is asked


def test_words_become_a_goal_that_the_world_checks(make: Any) -> None:
    script = Script(goal='count("egg") >= 2')
    with serve_openai(script) as server:
        episode = make(server).solve_now("I could do with a pair of boiled breakfast things")
    assert episode.task.goal == Goal.parse('count("egg") >= 2')
    assert script.asked == ["goal", "program", "program"]


@pytest.mark.parametrize("ok", [True, False])
def test_what_no_predicate_says_is_judged_by_the_model(make: Any, ok: bool) -> None:
    verdict = '{"ok": %s, "reason": "the stove %s warm"}' % (("true", "is") if ok else ("false", "is not"))
    script = Script(lambda told, turn: RIGHT.replace('# goal: count("{item}") >= {n}\n', ""), verdict=verdict)
    with serve_openai(script) as server:
        agent = make(server)
        episode = agent.solve_now("make the kitchen cosy")
    assert episode.task.goal == judged("make the kitchen cosy")
    assert episode.solved is ok
    assert script.asked[:3] == ["goal", "program", "verdict"]
    if ok:
        assert agent.skill("boil_some").skill.evidence.level == "model_judged"
    else:
        assert "is not warm" in server.requests[3]["messages"][-1]["content"]
        assert not agent.skills


def test_the_model_s_proposals_become_tasks(make: Any) -> None:
    wanted = 'count("potato") >= 2'
    script = Script(
        lambda told, turn: RIGHT.replace('"egg"', '"potato"'), proposals=f"- {wanted}\n- fly(1)\n- make it nice"
    )
    with serve_openai(script) as server:
        agent = make(server)
        proposed = []
        agent.events.subscribe(lambda e: proposed.append(e.data["goal"]) if e.kind == "task_proposed" else None)
        summary = agent.run_now(9)
    assert wanted in proposed
    assert not any("fly" in goal or "nice" in goal for goal in proposed)
    assert script.asked.count("proposal") in (2, 3)  # every five tasks, and before it gives up
    assert summary.status == "finished"


def test_the_proposing_model_is_told_names_and_goals_in_order(make: Any) -> None:
    wanted = ['count("sand") >= 1', 'count("dirt") >= 1', 'count("dirt") >= 2']
    source = """```python
def get(n: int = 1):
    while world.count("dirt") < 2:
        if not world.here("dirt"):
            world.find("dirt")
        world.gather("dirt")
```"""
    script = Script(lambda told, turn: source if turn == 0 else "no idea", proposals="\n".join(wanted))
    with serve_openai(script) as server:
        make(server, world="craft").run_now(6)
        asked = [r["messages"][1]["content"] for r in server.requests]
    first, *_, later = (a for a in asked if "Propose 5." in a)
    assert "# Names that arguments may have" in first
    assert "acacia_log" in first
    solved, failed = later.split("# Solved\n")[1].split("\n\n# Tried in vain so far\n")
    tried = [*solved.split("\n"), *failed.split("\n\n")[0].split("\n")]
    assert all(Goal.parse(t) for t in tried if not t.startswith("nothing"))
    assert not any(t.startswith("try ") for t in tried)


def test_a_cascade_asks_the_model_only_where_search_has_no_idea(make: Any) -> None:
    doors: set[str] = set()

    @action(adds='open("gate")')
    def push() -> None:
        """Push the gate open."""
        doors.add("gate")

    @action()
    def enter_code(code: int) -> None:
        """Type a code at the safe. The code is on the note: 4711."""
        if code != 4711:
            raise ValueError("the safe beeps")
        doors.add("safe")

    def world() -> FunctionWorld:
        return from_functions(
            [push, enter_code],
            observe=lambda: {"open": {"gate": "gate" in doors, "safe": "safe" in doors}},
            name="bank",
        )

    source = '```python\n# goal: open("safe")\ndef open_safe():\n    world.enter_code(4711)\n```'
    script = Script(lambda told, turn: source)
    with serve_openai(script) as server:
        agent = make(server, world=world(), writer="cascade")
        first = agent.solve_now('open("gate")')
        assert (first.solved, first.writer, script.asked) == (True, "search", [])
        second = agent.solve_now('open("safe")')
    assert (second.solved, second.writer, script.asked) == (True, "chat", ["program"])


def test_a_cascade_learns_which_of_several_models_to_ask(make: Any, tmp_path: Path) -> None:
    opened: set[str] = set()

    @action()
    def enter_code(safe: str, code: int) -> None:
        """Type a code at a safe. The code is on a note: 4711."""
        if code != 4711:
            raise ValueError("the safe beeps")
        opened.add(safe)

    def bank() -> FunctionWorld:
        return from_functions(
            [enter_code], observe=lambda: {"open": {f"safe{i}": f"safe{i}" in opened for i in range(9)}}
        )

    def reply(request: Mapping[str, Any]) -> str:
        told = request["messages"][1]["content"]
        safe = next(f"safe{i}" for i in range(9) if f'open("safe{i}")' in told.split("# Task")[-1])
        code = 4711 if request["model"] == "able" else 1
        return f'```python\n# goal: open("{safe}")\ndef open_{safe}():\n    world.enter_code("{safe}", {code})\n```'

    home = tmp_path / "bank"
    with serve_openai(reply) as server:
        models = ["openai:poor", "openai:able"]
        given = {"world": bank(), "writer": "cascade", "model": models, "home": home}
        agent = make(server, **given)
        asked = []
        for i in range(5):
            before = len(server.requests)
            assert agent.solve_now(f'open("safe{i}")').solved
            asked.append([r["model"] for r in server.requests[before:]])
        agent.close()
        assert asked[0] == ["poor"] * 4 + ["able"]
        assert asked[-1] == ["able"]
        with Home.open(home) as kept:
            told = [e for run in kept.journal.runs() for e in kept.journal.events(run.id) if e.kind == "writer_chosen"]
        assert [e.data["writer"] for e in told if e.iteration == 0] == ["search", "chat:poor", "chat:able"]
        assert all("chance" in str(e.data["why"]) for e in told)
        again = make(server, **given)  # what was learned is in the journal
        before = len(server.requests)
        assert again.solve_now('open("safe6")').solved
        assert [r["model"] for r in server.requests[before:]] == ["able"]
        with pytest.raises(InputError, match="2 models are for the cascade"):
            make(server, world=bank(), writer="chat", model=models)


# ---------------------------------------------------------------------- events


def test_a_run_streams_its_events(make: Any) -> None:
    async def watch(agent: Agent) -> list[str]:
        return [event.kind async for event in agent.stream(3)]

    kinds = asyncio.run(watch(make(None, world="craft")))
    assert kinds[0] == "run_started"
    assert kinds[-1] == "run_ended"
    assert kinds.count("task_proposed") == kinds.count("task_ended") == 3


@tool
def weather(place: str) -> str:
    """What the weather is like."""
    return "fine"


@pytest.mark.parametrize(
    "other",
    [
        {"settings": AgentSettings(keep_skills=False)},
        {"settings": AgentSettings(keep_contracts=False)},
        {"settings": AgentSettings(seed=7)},
        {"tools": [weather]},
        {"writer": "cascade", "model": "openai:x"},
    ],
    ids=["skills", "contracts", "seed", "tools", "writer"],
)
def test_a_run_goes_on_only_with_its_own_configuration(make: Any, tmp_path: Path, other: dict[str, Any]) -> None:
    local = {"home": tmp_path / "home", "base_url": "http://127.0.0.1:9/v1", "prices": (1, 1)}

    def run(**how: Any) -> int:
        agent = make(None, world="craft", **local, **how)
        found: int = agent.run_now(1).run_id
        agent.close()
        return found

    assert [run(), run(**other), run(), run(**other)] == [1, 2, 1, 2]
    assert run(settings=AgentSettings(distil_every=50)) == 1


def test_another_model_makes_another_run(make: Any, tmp_path: Path) -> None:
    local = {"home": tmp_path / "home", "base_url": "http://127.0.0.1:9/v1", "prices": (1, 1), "writer": "cascade"}
    runs = []
    for model in ("openai:x", "openai:y", "openai:x"):
        agent = make(None, world="craft", model=model, **local)
        runs.append(agent.run_now(1).run_id)
        agent.close()
    assert runs == [1, 2, 1]


def test_a_stream_that_is_left_stops_the_run(make: Any) -> None:
    agent = make(None, world="craft")

    async def leave() -> None:
        stream = agent.stream(200)
        async for event in stream:
            if event.kind == "task_ended":
                break
        await stream.aclose()

    asyncio.run(leave())
    summary = agent.run_now(4)
    assert (summary.run_id, summary.tried, summary.status) == (1, 4, "finished")


def test_an_error_comes_out_of_the_stream(make: Any) -> None:
    async def watch(agent: Agent) -> None:
        async for _ in agent.stream(2):
            pass

    with serve_openai(lambda request: Response("out of order", status=400)) as server:
        agent = make(server)
        with pytest.raises(ModelError, match="out of order"):
            asyncio.run(watch(agent))


def test_a_goal_that_someone_stops_goes_on_when_it_is_asked_for_again(make: Any, tmp_path: Path) -> None:
    with serve_openai(Script()) as server:
        agent = make(server, home=tmp_path / "home")
        agent.events.subscribe(lambda e: agent.stop() if e.kind == "attempt_ended" else None)
        stopped = agent.solve_now('count("egg") >= 2')
        assert (stopped.status, len(stopped.attempts)) == ("stopped", 1)
        assert stopped.reason == "asked to stop; run again to continue"
        assert len(server.requests) == 1
        agent.close()
        again = make(server, home=tmp_path / "home")
        assert again.solve_now('count("egg") >= 2').solved
        assert again._parts.run_id == 1
    episodes = again._parts.home.journal.episodes()
    assert [e.status for e in episodes] == ["stopped", "solved"]


# ---------------------------------------------------------------------- approval


RING = """```python
# goal: count("{item}") >= {n}
def ring_and_boil(item: str = "egg", n: int = 1):
    tools.ring_for_egg_boiling(item)
    world.light("stove")
    while world.count(item) < n:
        world.boil(item)
```"""


@pytest.mark.parametrize("answer", [True, False, None])
def test_a_tool_with_side_effects_is_used_only_when_approved(make: Any, answer: bool | None) -> None:
    rung: list[str] = []
    asked: list[tuple[str, dict[str, Any]]] = []

    @tool(side_effects=True)
    def ring_for_egg_boiling(item: str) -> str:
        """Ring before you boil an egg (count egg): have egg."""
        rung.append(item)
        return "rung"

    def approve(name: str, args: Mapping[str, Any]) -> bool:
        asked.append((name, dict(args)))
        return bool(answer)

    with serve_openai(Script(lambda told, turn: RING)) as server:
        agent = make(server, tools=[ring_for_egg_boiling], approve=None if answer is None else approve)
        episode = agent.solve_now('count("egg") >= 1')
    assert "tools.ring_for_egg_boiling" in server.requests[0]["messages"][1]["content"]
    assert episode.solved is (answer is True)
    assert rung == (["egg"] if answer else [])
    assert asked[:1] == ([] if answer is None else [("ring_for_egg_boiling", {"item": "egg"})])
    if not answer:
        assert "approve" in episode.attempts[0].feedback


@pytest.mark.parametrize("answer", [True, False, None])
def test_an_action_with_side_effects_is_done_only_when_approved(make: Any, answer: bool | None) -> None:
    sent: list[str] = []
    asked: list[tuple[str, dict[str, Any]]] = []

    @action(adds='sent("{text}")', side_effects=True)
    def send(text: str) -> None:
        """Send a letter."""
        sent.append(text)

    @action(adds='drafted("letter")')
    def draft() -> None:
        """Write it down."""

    def approve(name: str, args: Mapping[str, Any]) -> bool:
        asked.append((name, dict(args)))
        return bool(answer)

    world = from_functions(
        [send, draft], observe=lambda: {"sent": {"hello": "hello" in sent}, "drafted": {"letter": True}}, name="post"
    )
    agent = make(None, world=world, approve=None if answer is None else approve)
    episode = agent.solve_now('sent("hello")')
    assert agent.world is world
    assert episode.solved is (answer is not False)
    assert bool(sent) is (answer is not False)
    assert asked[:1] == ([] if answer is None else [("send", {"text": "hello"})])
    if answer is False:
        assert any("not approved" in a.feedback for a in episode.attempts)


# ---------------------------------------------------------------------- skills in users' hands


def test_a_skill_is_a_function_and_a_langchain_tool(make: Any) -> None:
    from langchain_core.tools import BaseTool

    with serve_openai(Script()) as server:
        agent = make(server)
        agent.solve_now('count("egg") >= 2')
    skill = agent.skill("boil_some")
    assert skill(item="egg", n=3) is None
    assert agent.world.observe().holds(Goal.parse('count("egg") == 3').atoms[0])
    as_tool = skill.as_tool()
    assert isinstance(as_tool, BaseTool)
    assert as_tool.name == "boil_some"
    assert as_tool.args["n"] == {"default": 2, "title": "N", "type": "integer"}
    assert 'count("potato") >= 1' in as_tool.invoke({"item": "potato", "n": 1})
    assert agent.world.observe().holds(Goal.parse('count("potato") == 1').atoms[0])
    with pytest.raises(NotFoundError, match=r"'items'.*did you mean 'item'"):
        skill(items="egg")
    with pytest.raises(NotFoundError, match=r"'boil'.*did you mean 'boil_some'"):
        agent.skill("boil")
    assert 'def boil_some(item: str = "egg", n: int = 2):' in skill.source


def test_a_skill_that_does_not_reach_its_goal_says_so(make: Any) -> None:
    with serve_openai(Script()) as server:
        agent = make(server)
        agent.solve_now('count("egg") >= 2')
        broken = from_functions(
            [world_light, world_boil], observe=lambda: {"count": {"egg": 0}, "lit": {"stove": False}}, name="broken"
        )
        agent._parts.loop_parts.world = broken
        agent._parts.world = broken
    with pytest.raises(SkillError, match=r"boil_some failed: .*(power cut|light)"):
        agent.skill("boil_some")(item="egg", n=1)


def world_light(thing: str) -> None:
    """Light a thing."""
    raise RuntimeError("power cut")


def world_boil(item: str) -> None:
    """Boil."""


def test_a_closed_agent_does_nothing_more(make: Any, tmp_path: Path) -> None:
    with serve_openai(Script()) as server:
        agent = make(server, home=tmp_path / "home")
        agent.solve_now('count("egg") >= 2')
        skill = agent.skill("boil_some")
        agent.close()
        agent.close()

        async def watch() -> None:
            async for _ in agent.stream(1):
                pass

        for act in (
            lambda: skill(n=3),
            lambda: skill.as_tool().invoke({"n": 3}),
            lambda: agent.solve_now('count("egg") >= 3'),
            lambda: agent.run_now(1),
            lambda: asyncio.run(watch()),
            lambda: agent.ask("needs", 'boil("egg")'),
            agent.report,
        ):
            with pytest.raises(InputError, match="the agent is closed"):
                act()
    assert agent.world.observe().holds(Goal.parse('count("egg") == 2').atoms[0])
    assert agent._parts.runner.processes == ()
    assert (skill.name, "def boil_some" in skill.source) == ("boil_some", True)


def test_a_home_keeps_what_was_learned(make: Any, tmp_path: Path) -> None:
    with serve_openai(Script()) as server:
        first = make(server, home=tmp_path / "home")
        first.solve_now('count("egg") >= 2')
        asked = len(server.requests)
        first.close()
        later = make(server, home=tmp_path / "home", writer="search")
        episode = later.solve_now('count("egg") >= 3')
    assert episode.solved
    assert "boil_some" in later.skills
    assert len(server.requests) == asked


def test_wrong_arguments_are_told_at_once(make: Any, tmp_path: Path) -> None:
    for wrong, message in (
        ({"writer": "serch"}, "did you mean 'search'"),
        ({"writer": "chat"}, "needs a model"),
        ({"settings": AgentSettings(images=True)}, "none is given: add model="),
        ({"budget": "usd=lots"}, "cannot read 'usd=lots'"),
        ({"budget": {"dollars": 1.0}}, "dollars"),
        ({"world": "crft"}, "did you mean 'craft'"),
        ({"world": "craft", "world_options": {"view": "blind"}}, "view='blind'"),
        ({"tools": [len]}, "len"),
    ):
        with pytest.raises(HabilisError, match=message):
            make(None, **({"home": tmp_path / "h"} | wrong))
    agent = make(None, home=tmp_path / "h")  # nothing of the above holds the home
    with pytest.raises(InputError, match="at least 1"):
        agent.run_now(0)
    with pytest.raises(InputError, match="goal is empty"):
        agent.solve_now("  ")
    with pytest.raises(HabilisError, match="in use by process"):
        make(None, home=tmp_path / "h")


@pytest.mark.parametrize("flags", [[], ["-O"]], ids=["plain", "optimised"])
def test_where_programs_cannot_be_confined_no_agent_is_made(flags: list[str], tmp_path: Path) -> None:
    code = f"""
from habilis import Agent
from habilis.core import IsolationError
from habilis.worlds.runner import ConfinedRunner

def refuse(self):
    raise IsolationError("nothing here confines programs")

ConfinedRunner.tier = property(refuse)
try:
    Agent("craft", home={str(tmp_path / "home")!r})
except IsolationError as error:
    print("refused:", error)
"""
    done = subprocess.run([sys.executable, *flags, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.stdout.strip() == "refused: nothing here confines programs", done.stderr


# ---------------------------------------------------------------------- what is loaded


@pytest.mark.parametrize("writer", ["search", "chat"])
def test_neither_torch_nor_transformers_is_loaded(writer: str, tmp_path: Path) -> None:
    code = f"""
import sys, tempfile
from habilis import Agent
from habilis.testing.chat import serve_openai
reply = '```python\\n# goal: count("dirt") >= {{n}}\\ndef get(n: int = 1):\\n    world.gather("dirt")\\n```'
with serve_openai(lambda request: reply) as server:
    chat = {{"model": "openai:x", "base_url": server.base_url, "prices": (1, 1), "budget": "usd=1"}}
    chat = chat | {{"writer": "chat"}} if {writer!r} == "chat" else {{}}
    with Agent("craft", home={str(tmp_path / "home")!r}, **chat) as agent:
        status = agent.solve_now("have 1 dirt").status
    print(status, [m for m in ("torch", "transformers", "peft", "openai") if m in sys.modules])
"""
    env = {**os.environ, "HABILIS_CACHE": str(tmp_path / "cache")}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    status, _, loaded = done.stdout.strip().partition(" ")
    assert status in ("solved", "failed")
    assert loaded == ("['openai']" if writer == "chat" else "[]")


# ---------------------------------------------------------------------- the example


def test_the_example_of_a_folder_runs_as_it_stands(tmp_path: Path) -> None:
    folder = tmp_path / "papers"
    for name in ("bills", "notes"):
        (folder / name).mkdir(parents=True)
        for i in range(6):
            (folder / name / f"{name}{i}.txt").write_text(name)
    (folder / "a.txt").write_text("one two three")
    (folder / "b.txt").write_text("four")
    before = sorted(folder.rglob("*"))
    done = subprocess.run(
        [sys.executable, str(ROOT / "examples" / "folder_world.py"), str(folder), "--yes"],
        env={**os.environ, "HABILIS_CACHE": str(tmp_path / "cache")},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("solved")
    assert (folder / "notes" / "a.txt").read_text() == "one two three"
    assert sorted({*folder.rglob("*")} ^ {*before}) == [folder / "a.txt", folder / "notes" / "a.txt"]  # one move
    with Home.open(tmp_path / "papers-habilis", create=False, read_only=True) as home:
        (episode,) = home.journal.episodes()
        levels = {s.evidence.level.value for s in home.journal.skills(None)}
    assert episode.solved
    assert levels <= {"observed"}


@pytest.mark.parametrize(
    ("args", "code", "said"),
    [
        ([], 2, "required: folder"),
        (["nosuch"], 2, "no folder"),
        (["/"], 2, "no folder"),
        (["."], 1, "not approved"),  # nobody is there to say yes
        ([".", "--yes"], 0, "solved"),
    ],
    ids=str,
)
def test_the_example_of_a_folder_answers_whatever_it_is_given(
    tmp_path: Path, args: list[str], code: int, said: str
) -> None:
    folder = tmp_path / "papers"
    (folder / "notes").mkdir(parents=True)
    (folder / "a.txt").write_text("one")
    done = subprocess.run(
        [sys.executable, str(ROOT / "examples" / "folder_world.py"), *args],
        cwd=folder,
        env={**os.environ, "HABILIS_CACHE": str(tmp_path / "cache")},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == code, done.stderr
    assert said in done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    assert (folder / "notes" / "a.txt").exists() is (code == 0)


def test_the_example_s_paid_tool_can_be_called_and_is_charged(make: Any, tmp_path: Path) -> None:
    import runpy

    example = runpy.run_path(str(ROOT / "examples" / "folder_world.py"))
    folder = tmp_path / "papers"
    (folder / "notes").mkdir(parents=True)
    (folder / "a.txt").write_text("one")
    source = """```python
def tidy(name: str = "a.txt"):
    world.move(name, ".", tools.topic_of(name))
```"""
    with serve_openai(Script(lambda told, turn: source)) as server:
        agent = make(server, world=example["make_world"](folder), tools=[example["topic_of"]])
        episode = agent.solve_now("guess from each file's name which folder it belongs to, and put it there")
    assert episode.solved, episode.reason
    assert (folder / "notes" / "a.txt").exists()
    assert "tool:topic_of" in episode.picked
    assert episode.attempts[-1].trajectory.tape[0].tool == "topic_of"
    assert episode.cost.usd > 0.001
    assert agent.skill("tidy").skill.evidence.level == "model_judged"


def test_what_was_spent_before_the_model_failed_is_in_the_journal(tmp_path: Path) -> None:
    """The first program ran and cost world steps; then the model was gone."""

    class Breaks:
        name = "breaks"

        async def drafts(self, task: Task, context: Context, ledger: Ledger) -> AsyncGenerator[Draft, Feedback]:
            source = "def look():\n    world.boil()\n"
            yield Draft(Program("look", source, (), (), "breaks"))
            raise ModelError("the model is gone")

    stock = {"water": 3, "hot_water": 0}

    def boil() -> None:
        """Boil one water."""
        stock["water"] -= 1
        stock["hot_water"] += 1

    world = World.from_functions([boil], observe=lambda: {"count": stock})
    with Agent(world, home=tmp_path / "home", writer=Breaks()) as agent:
        with pytest.raises(ModelError, match="gone"):
            asyncio.run(agent.solve('count("hot_water") >= 3'))
        episodes = list(agent._parts.home.journal.episodes())
    assert [e.status for e in episodes] == ["failed"]
    assert episodes[0].cost.world_steps == 1
    assert "the model is gone" in episodes[0].reason


def test_a_run_without_time_for_its_tools_stops(make: Any) -> None:
    @tool(cost=Cost(seconds=0.2))
    def slow(text: str) -> str:
        """Take long to boil an egg (light, stove)."""
        time.sleep(0.4)
        return text

    @tool
    def quick(text: str) -> str:
        """Take no time to boil an egg (light, stove)."""
        return text

    class Both:
        name = "both"

        async def drafts(self, task: Task, context: Context, ledger: Ledger) -> AsyncGenerator[Draft, Feedback]:
            slow = '    try:\n        tools.slow("x")\n    except ToolFailed:\n        pass\n'
            source = f'def both():\n{slow}    tools.quick("y")\n'
            yield Draft(Program("both", source, (), (), "both"))

    agent = make(None, writer=Both(), tools=[slow, quick], budget="seconds=0.2")
    summary = agent.run_now(5)
    assert (summary.status, summary.tried) == ("stopped", 1)
    assert "seconds=0.2" in summary.reason


# ---------------------------------------------------------------------- arguments of the wrong type


class Idle:
    """A writer without an idea."""

    name = "idle"

    async def drafts(self, task: Task, context: Context, ledger: Ledger) -> AsyncGenerator[Draft, Feedback]:
        return
        yield


def lamp() -> World:
    state = {"on": False}

    def switch() -> None:
        """Switch the lamp on."""
        state["on"] = True

    return World.from_functions([switch], observe=lambda: {"lit": state["on"]}, name="lamp")  # type: ignore[return-value]


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"world": None}, "world= is of type NoneType"),
        ({"world": Idle}, "world= is the class Idle"),
        ({"writer": 5}, "writer= is of type int"),
        ({"writer": Idle}, "writer= is the class Idle"),
        ({"budget": 5}, "a budget is a Budget, a mapping or a text"),
        ({"home": "\0"}, "names no folder"),
        ({"home": ""}, "names no folder"),
        ({"home": 5}, "home= is of type int"),
        ({"tools": "os:getcwd"}, "tools= is of type str"),
        ({"tools": 5}, "tools= is of type int"),
        ({"settings": {"seed": 1}}, "settings= is of type dict"),
        ({"world_options": 5}, "world_options= is of type int"),
        ({"prices": 5}, "prices= is a pair"),
        ({"base_url": 5}, "base_url= is of type int"),
        ({"approve": "yes"}, "approve= is of type str"),
        ({"fresh": lamp().spec}, "fresh= is of type WorldSpec"),
    ],
    ids=lambda v: str(v)[:40],
)
def test_an_argument_of_the_wrong_type_is_named(tmp_path: Path, options: dict[str, Any], named: str) -> None:
    with pytest.raises(InputError, match=named):
        Agent(**{"world": lamp(), "home": tmp_path / "home", **options})
    assert not (tmp_path / "home" / "home.lock").exists()


def test_wrong_arguments_of_an_agent_s_methods_are_named(tmp_path: Path) -> None:
    with Agent(lamp(), home=tmp_path / "home") as agent:
        calls: list[tuple[Any, str]] = [
            (lambda: agent.solve_now(None), "not None; say what should be true"),  # type: ignore[arg-type]
            (lambda: agent.run_now("a"), "number of tasks, not 'a'"),  # type: ignore[arg-type]
            (lambda: agent.run_now(2.5), "number of tasks, not 2.5"),  # type: ignore[arg-type]
            (lambda: agent.run_now(True), "number of tasks, not True"),
            (lambda: agent.skill(5), "by its name"),  # type: ignore[arg-type]
            (lambda: agent.ask("needs", None), "two texts"),  # type: ignore[arg-type]
            (lambda: agent.report(5), "path of a file"),  # type: ignore[arg-type]
        ]
        for call, named in calls:
            with pytest.raises(InputError, match=named):
                call()
        assert agent.solve_now("lit()").solved


class Wrong(Idle):
    """A writer that does what it should not."""

    name = "wrong"

    def __init__(self, how: str) -> None:
        self.how = how

    def drafts(self, task: Task, context: Context, ledger: Ledger) -> Any:
        if self.how == "raises at once":
            raise KeyError("colour")
        if self.how == "gives a list":
            return [Draft(Program("p", "def p():\n    pass\n", (), (), "wrong"))]
        return self._drafts()

    async def _drafts(self) -> AsyncGenerator[Any, Any]:
        yield Draft(Program("look", "def look():\n    return 1\n", (), (), "wrong"))
        if self.how == "raises later":
            raise KeyError("colour")
        yield "def p(): pass"


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ("raises at once", "the writer 'wrong' raised KeyError: 'colour'"),
        ("raises later", "the writer 'wrong' raised KeyError: 'colour'"),
        ("yields a text", "the writer 'wrong' yielded 'def p(): pass', which is no Draft; yield Draft("),
        ("gives a list", "the writer 'wrong' gives list from drafts(), not an asynchronous generator"),
    ],
)
def test_a_writer_that_breaks_fails_the_task_and_is_named(tmp_path: Path, how: str, said: str) -> None:
    with Agent(lamp(), home=tmp_path / "home", writer=Wrong(how)) as agent:
        episode = agent.solve_now("lit()")
    assert episode.status == "failed"
    assert episode.reason.startswith(f"WriterError: {said}")


def test_all_runs_of_programs_have_the_same_limits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen, run = [], ConfinedRunner.run

    def watched(self: ConfinedRunner, *args: Any, **options: Any) -> Trajectory:
        seen.append(options["limits"])
        return run(self, *args, **options)

    def orchard() -> FunctionWorld:
        bag = {"fig": 0}

        def pick() -> None:
            """Pick a fig."""
            bag["fig"] += 1

        return from_functions([pick], observe=lambda: {"count": bag}, reset=lambda: bag.update(fig=0), name="orchard")

    monkeypatch.setattr(ConfinedRunner, "run", watched)
    with Agent(orchard(), fresh=orchard, home=tmp_path / "home") as agent:
        agent.skill(agent.solve_now("have 2 fig").skill)(n=3)
    assert len(seen) >= 5  # the task, three proofs, the call
    assert all(replace(limits, images=0) == replace(seen[0], images=0) for limits in seen)  # proofs show no pictures


def test_a_function_whose_arguments_nothing_shows_is_named_when_a_run_ends_for_it(tmp_path: Path) -> None:
    total = {"x": 0}

    def add(n: int) -> None:
        total["x"] += n

    def rest() -> None:
        """Nothing comes of it."""

    settings = AgentSettings(index="exact", embedder="hash")
    world = from_functions([add, rest], observe=lambda: dict(total), name="sums")
    with Agent(world, home=tmp_path / "home", settings=settings) as agent:
        reason = agent.run_now(20).reason
    assert reason.startswith("nothing is left to try; nothing that was observed gives values for add(n): let observe")
    assert "rest" not in reason

"""Agents in environments that others wrote: what they learn, what they saw, and runs that go on when one fails."""

from __future__ import annotations

import base64
import importlib.util
import io
import itertools
import json
import re
import textwrap
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image as Pillow

from habilis import Agent, AgentSettings
from habilis.agent.chat.model import Prices, open_chat_model
from habilis.core import Budget, Event, Fact, Image, Ledger
from habilis.testing.chat import ScriptedChatModel, serve_openai
from habilis.testing.worlds import check_world
from habilis.worlds import from_functions
from habilis.worlds.gym import from_gymnasium
from tests.worlds.gym.envs import Corridor, Faulty

ROOT = Path(__file__).parent.parent
SETTINGS = AgentSettings(embedder="hash", index="exact")
NAMES = ["left", "right"]
WALK = """```python
# goal: place() >= {n}
def walk(n: int = 3):
    while world.place() < n:
        world.right()
```"""


def corridor(render: bool = True) -> Any:
    return from_gymnasium(
        lambda: Corridor(length=6, wind=0.0, render_mode="rgb_array" if render else None),
        actions=NAMES,
        describe=lambda at: {"place": int(at)},
        context=["place"],
        goal="place() >= 3",
    )


def test_the_example_learns_to_walk_along_the_cliff(tmp_path: Path) -> None:
    spec = importlib.util.spec_from_file_location("cliff_world", ROOT / "examples" / "cliff_world.py")
    assert spec is not None
    assert spec.loader is not None
    example = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(example)
    with Agent(example.make_world(), home=tmp_path / "home", settings=SETTINGS) as agent:
        agent.run_now(8)
        found = [b for b in agent.skills.values() if "to_the_right() <= {n1}" in b.skill.goal_template]
        assert found
        skill = found[0].skill
        assert skill.evidence.level.value == "verified"
        assert "have_above_the_cliff" in skill.program.calls
        assert 13 in [trial.world_steps for trial in skill.evidence.trials]  # nobody gets there in fewer
        assert agent.solve_now("to_the_right() <= 0 and below() <= 0").solved


def test_what_the_pages_show_can_be_followed_to_the_letter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HABILIS_CACHE", str(tmp_path / "cache"))
    page = (ROOT / "docs" / "worlds.md").read_text("utf-8")
    bridge, back = re.findall(r"```python\n(.*?)```", page, flags=re.DOTALL)
    known: dict[str, Any] = {}
    exec(bridge, known)
    with Agent(known["world"], home=tmp_path / "cliff-home") as agent:
        assert any("to_the_right() <= {n1}" in b.skill.goal_template for b in agent.skills.values())
    exec(back, known)
    assert known["env"].reset(seed=0)[0].shape == known["env"].observation_space.shape
    told = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
    shown = told[told.index("       def where(observation):") : told.index("   Describe what an action *needs*")]
    exec(textwrap.dedent(shown), known)
    check_world(known["make_world"], seeds=(0,), steps=20)


def test_the_world_can_be_named_on_the_command_line(tmp_path: Path) -> None:
    from typer.testing import CliRunner

    from habilis.cli._app import app

    world = "habilis.worlds.gym:from_gymnasium"  # which an installed package calls "gym"
    told = ["run", "--world", world, "-o", "env=CliffWalking-v1", "-o", 'actions=["up", "right", "down", "left"]']
    done = CliRunner().invoke(app, [*told, "-n", "2", "--home", str(tmp_path / "home"), "--embedder", "hash", "--json"])
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["tried"] == 2


@pytest.mark.parametrize(("fault", "said"), [("raises", "the motor is hot"), ("hangs", "did not answer within")])
def test_a_run_goes_on_when_an_environment_fails(tmp_path: Path, fault: str, said: str) -> None:
    world = from_gymnasium(
        lambda: Faulty(fault),
        actions=NAMES,
        describe=lambda seen: {"place": int(seen[0])},
        context=["place"],
        goal="place() >= 3",
        step_seconds=0.5,
    )
    with Agent(world, home=tmp_path / "home", settings=SETTINGS) as agent:
        agent.run_now(2)  # what left and right do
        world.reset(2)
        failed = agent.solve_now("place() >= 5")
        assert (failed.status, said in failed.reason) == ("failed", True)
        assert said in world.ended()
        world._kind.origin.left = 0
        summary = agent.run_now(4)
    assert summary.tried == 4
    assert summary.status == "finished"


def test_an_exploration_goes_on_when_an_environment_fails(tmp_path: Path) -> None:
    world = from_gymnasium(lambda: Faulty("raises"), actions=NAMES, describe=lambda seen: {"place": int(seen[0])})
    with Agent(world, home=tmp_path / "home", settings=SETTINGS) as agent:
        summary = agent.explore_now(6, steps=8)
        told = list(agent._parts.home.journal.episodes(summary.run_id))
    assert summary.status == "finished"
    assert {e.status for e in told} == {"failed", "explored"}
    assert all("the motor is hot" in e.reason for e in told if e.status == "failed")


def test_a_world_that_ended_begins_anew_with_the_next_task(tmp_path: Path) -> None:
    world = corridor(render=False)
    with Agent(world, home=tmp_path / "home", settings=SETTINGS, writer="chat", model=_scripted(WALK)) as agent:
        walked = agent.solve_now("place() >= 5")
        assert walked.solved
        assert world.ended() == "terminated"
        assert agent.solve_now("place() <= 1").reason == "it was already true; nothing was done"
        assert world.ended() == ""
        skill = agent.skill(walked.skill)
        skill(n=5)
        assert world.ended() == "terminated"
        skill(n=2)  # it begins anew for that, too


def _scripted(reply: str) -> Any:
    return ScriptedChatModel(lambda messages: reply.replace("n: int = 3", "n: int = 5"))


def test_what_was_seen_is_kept_by_hash_and_shown_in_the_report(tmp_path: Path) -> None:
    with Agent(corridor(), home=tmp_path / "home", settings=SETTINGS) as agent:
        agent.run_now(4)
        page = agent.report().read_text("utf-8")
        attempts = [a for e in agent._parts.home.journal.episodes(1) for a in e.attempts]
    kept = {p.stem for p in (tmp_path / "home" / "images").rglob("*.png")}
    seen = {i.sha256 for a in attempts for i in (*a.trajectory.before.images, *a.trajectory.after.images)}
    seen |= {p.image.sha256 for a in attempts for p in a.trajectory.pictures}
    assert seen == kept
    assert 2 <= len(kept) <= 6  # of six places
    assert all(p.image.data == b"" for a in attempts for p in a.trajectory.pictures)
    assert b"\x89PNG" not in (tmp_path / "home" / "journal.sqlite").read_bytes()
    assert "img-src data:" in page
    assert "What it saw" in page
    moving = re.findall(r"data:image/gif;base64,([^']+)'", page)
    with Pillow.open(io.BytesIO(base64.b64decode(moving[0]))) as film:
        assert film.n_frames >= 2  # type: ignore[attr-defined]
    for file in (tmp_path / "home" / "images").rglob("*.png"):
        file.unlink()
    with Agent(corridor(), home=tmp_path / "home", settings=SETTINGS) as agent:
        page = agent.report().read_text("utf-8")
    assert "are not there any more" in page
    assert "<img" not in page


def test_a_long_run_keeps_few_pictures_evenly_spaced(tmp_path: Path) -> None:
    at = {"x": 0}

    def go() -> None:
        """On."""
        at["x"] += 1

    world = from_functions(
        [go],
        observe=lambda: {"x": at["x"]},
        reset=lambda: at.update(x=0),
        picture=lambda: np.full((4, 4), at["x"] % 251, np.uint8),
    )
    program = (
        "```python\n# goal: x() >= {n}\ndef walk(n: int = 400):\n    while world.x() < n:\n        world.go()\n```"
    )
    with Agent(
        world, home=tmp_path / "home", settings=SETTINGS, writer="chat", model=ScriptedChatModel([program])
    ) as agent:
        ran = agent.solve_now("x() >= 400").attempts[0].trajectory
    steps = [p.step for p in ran.pictures]
    assert len(ran.steps) == 400
    assert 12 <= len(steps) <= 24
    assert len({b - a for a, b in itertools.pairwise(steps)}) == 1


def test_a_full_disk_costs_only_the_pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: Path, data: bytes) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    told: list[Event] = []
    with Agent(corridor(), home=tmp_path / "home", settings=SETTINGS) as agent:
        agent.events.subscribe(told.append)
        summary = agent.run_now(3)
    said = [str(e.data["message"]) for e in told if e.kind == "warning"]
    assert [("no space is left" in s, "all else goes on" in s) for s in said] == [(True, True)]
    assert summary.status == "finished"
    assert summary.solved >= 1


@pytest.mark.parametrize("images", [True, None])
def test_a_chat_model_that_takes_pictures_sees_them(tmp_path: Path, images: bool | None) -> None:
    replies = iter([WALK.replace("world.right()", "world.left()\n        return"), WALK])
    with serve_openai(lambda request: next(replies)) as server:
        settings = AgentSettings(embedder="hash", index="exact", images=images)
        given = {"model": "seeing", "base_url": server.base_url, "prices": (0, 0)}
        with Agent(corridor(), home=tmp_path / "home", writer="chat", settings=settings, **given) as agent:  # type: ignore[arg-type]
            episode = agent.solve_now("place() >= 3")
    assert episode.solved
    asked = [[m["content"] for m in request["messages"]] for request in server.requests]
    if images is None:  # nobody knows that it does
        assert all(isinstance(content, str) for one in asked for content in one)
        return
    first, last = asked[0][-1], asked[1][-1]
    shown = [[p["image_url"]["url"] for p in content if p["type"] == "image_url"] for content in (first, last)]
    whites = []
    for (url,) in shown:
        data = base64.b64decode(url.removeprefix("data:image/png;base64,"))
        with Pillow.open(io.BytesIO(data)) as picture:
            whites.append(int(np.asarray(picture)[0, :, 0].argmax()) // 16)
    began = int(episode.attempts[0].trajectory.before.facts[Fact("place")])
    assert whites == [began, max(0, began - 1)]  # where it stood, and after one step to the left
    assert "The world checks" in first[0]["text"]


def test_pictures_are_reserved_and_large_ones_made_smaller() -> None:
    large = Image.of(np.zeros((900, 600, 3), np.uint8))
    with serve_openai(lambda request: "fine") as server:
        model = open_chat_model("seeing", base_url=server.base_url, prices=Prices(1, 1), images=True)
        blind, seeing = (model.most([("user", content)]) for content in ("look", ["look", large]))
        assert seeing.tokens - blind.tokens == model.image_tokens == 3000
        assert model.ask_now([("user", ["look", large])], Ledger(Budget(usd=1))) == "fine"
    url = server.requests[0]["messages"][0]["content"][1]["image_url"]["url"]
    with Pillow.open(io.BytesIO(base64.b64decode(url.partition(",")[2]))) as picture:
        assert picture.size == (341, 512)


def test_what_langchain_knows_to_see_is_shown_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "none")
    assert open_chat_model("openai:gpt-4o-mini").images
    assert not open_chat_model("openai:gpt-4o-mini", images=False).images
    assert not open_chat_model("openai:gpt-3.5-turbo").images

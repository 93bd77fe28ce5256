"""The live view: a panel on a terminal, one line a task elsewhere, and no raw text of others."""

from __future__ import annotations

import io
import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from habilis.core import Cost, Event, EventStream, Json
from habilis.core.events import EVENTS
from habilis.live import LiveView

SPENT = Cost(usd=0.004, seconds=75.0, world_steps=3300)
COLOURS = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


@dataclass(frozen=True)
class Summary:
    status: str = "finished"
    reason: str = ""
    tried: int = 8
    solved: int = 6
    skills: int = 5
    calling: int = 3
    spent: Cost = SPENT
    distillations: Sequence[Mapping[str, Json]] = ()
    report: Path | None = None
    explored: int = 0


def _pipe() -> Console:
    return Console(file=io.StringIO(), width=60, force_terminal=False)


def _terminal() -> Console:
    return Console(file=io.StringIO(), width=100, force_terminal=True, legacy_windows=False, _environ={"TERM": "xterm"})


def _text(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def _picture(view: LiveView) -> str:
    """What the panel shows now, without its colours."""
    console = _terminal()
    console.print(view)
    return COLOURS.sub("", _text(console))


def _started(view: LiveView, iterations: int = 160) -> EventStream:
    events = EventStream()
    view.watch(events)
    events.emit(
        "run_started", run=7, world="craft", writer="search", seed=3, iterations=iterations, budget={"usd": 0.0}
    )
    return events


def test_a_pipe_gets_one_line_a_task() -> None:
    console = _pipe()
    with LiveView(console) as view:
        events = _started(view)
        for i, status in enumerate(("solved", "failed")):
            events.emit("task_proposed", i, text=f"have {i + 1} sticks", goal="", kind="achieve", why="new")
            events.emit("attempt_ended", i, writer="search", ok=status == "solved", feedback="", world_steps=1, round=0)
            events.emit(
                "task_ended",
                i,
                text=f"have {i + 1} sticks",
                status=status,
                reason="" if status == "solved" else "no plan was found within 200 search steps, which is the limit",
                skill="get_stick" if status == "solved" else None,
                cost={},
            )
        events.emit("run_ended", run=7, status="stopped", reason="the limit calls=2 is reached")
    assert _text(console).splitlines() == [
        "run 7: world craft, writer search, seed 3",
        "[  1/160] solved   have 1 sticks  -> get_stick",
        "[  2/160] failed   have 2 sticks  (no plan was found within 200 search steps, which is the limit)",
        "run stopped: the limit calls=2 is reached",
    ]


def test_a_pipe_gets_no_escape_codes() -> None:
    console = _pipe()
    with LiveView(console) as view:
        events = _started(view)
        for kind in EVENTS:
            events.emit(kind, 0)
        view.final_table(Summary())
    assert "\x1b" not in _text(console)


def test_the_panel_shows_task_attempts_skills_and_score() -> None:
    view = LiveView(_terminal())
    events = _started(view)
    events.emit("task_proposed", 0, text="have a log", goal="", kind="achieve", why="new")
    events.emit("skill_admitted", 0, name="get_log", version=1, goal="", calls=[], evidence={})
    events.emit("task_ended", 0, text="have a log", status="solved", reason="", skill="get_log", cost={})
    events.emit("task_proposed", 11, text="have 4 sticks", goal="", kind="achieve", why="wanted by 3 other goals")
    events.emit("attempt_ended", 11, writer="search", ok=False, feedback="line 4: no planks", world_steps=9, round=0)
    events.emit("skill_admitted", 11, name="get_plank", version=1, goal="", calls=["get_log"], evidence={})
    picture = _picture(view)
    assert "Habilis · craft" in picture
    assert "[ 12/160] have 4 sticks  attempt 2" in picture
    assert "wanted by 3 other goals" in picture
    assert "✗ line 4: no planks" in picture
    assert "+ get_plank  calls get_log" in picture
    assert "1 of 1 tasks solved   2 skills kept" in picture


def test_the_attempts_of_the_last_task_are_gone_with_the_next() -> None:
    view = LiveView(_terminal())
    events = _started(view)
    events.emit("task_proposed", 0, text="one", goal="", kind="achieve", why="")
    events.emit("attempt_ended", 0, writer="search", ok=False, feedback="old trouble", world_steps=9, round=0)
    assert "old trouble" in _picture(view)
    events.emit("task_proposed", 1, text="two", goal="", kind="achieve", why="")
    assert "old trouble" not in _picture(view)
    assert "attempt" not in _picture(view)


def test_only_costs_with_a_limit_above_zero_have_a_bar() -> None:
    view = LiveView(_terminal())
    events = _started(view)
    events.emit(
        "budget",
        spent={"usd": 0.0, "world_steps": 30_000, "seconds": 61, "calls": 4},
        limit={"usd": 0.0, "world_steps": 60_000, "seconds": 600, "calls": None},
    )
    picture = _picture(view)
    assert re.search(r"world steps  ━{12}╌{12}  30,000 of 60,000", picture)
    assert "61 s of 10 min" in picture
    assert "money" not in picture
    assert "calls" not in picture


def test_distillation_has_its_own_line_and_a_rejection_is_told_as_a_result() -> None:
    view = LiveView(_terminal())
    events = _started(view)
    events.emit("distil_started", 9, episodes=20, examples=300)
    events.emit("distil_progress", 9, phase="training", step=30, steps=60, loss=1.2345)
    assert "distilling  training  ━━━━━━━━━━━━╌╌╌╌╌╌╌╌╌╌╌╌ 30/60  loss 1.234" in _picture(view)
    events.emit("distil_ended", 9, model="small+1", adopted=False, reasons=["success 0.41 -> 0.40"], figures={})
    picture = _picture(view)
    assert "small+1: not adopted, the gate kept what was in use (success 0.41 -> 0.40)" in picture
    assert "distilling" not in picture


@pytest.mark.parametrize("kind", EVENTS)
def test_an_event_may_lack_any_of_its_data(kind: str) -> None:
    view = LiveView(_terminal())
    view(Event(kind, {}))
    view(Event(kind, {}, 3))
    assert "Habilis" in _picture(view)


def test_events_of_a_later_version_are_passed_over() -> None:
    console = _pipe()
    LiveView(console)(Event("invented_later", {"x": 1}, 0))
    assert _text(console) == ""


nasty = st.text(st.one_of(st.characters(), st.sampled_from("\x1b\x07\r\n\b\x00\u202e[]\x9b")), max_size=40)


@settings(max_examples=60, deadline=None)
@given(nasty, st.booleans())
def test_control_characters_never_reach_the_terminal(text: str, terminal: bool) -> None:
    console = _terminal() if terminal else _pipe()
    view = LiveView(console)
    events = _started(view)
    events.emit("task_proposed", 0, text=text, goal=text, kind="achieve", why=text)
    events.emit("attempt_ended", 0, writer=text, ok=False, feedback=text, world_steps=1, round=0)
    events.emit("skill_admitted", 0, name=text, version=1, goal=text, calls=[text], evidence={})
    events.emit("warning", 0, message=text)
    console.print(view)
    events.emit("distil_progress", 0, phase=text, step=1, steps=2, loss=float("nan"))
    events.emit("distil_ended", 0, model=text, adopted=True, reasons=[text], figures={})
    console.print(view)
    events.emit("task_ended", 0, text=text, status=text, reason=text, skill=None, cost={})
    view.final_table(Summary(reason=text, distillations=[{"model": text, "reasons": text}], report=Path("a\x1b[2Jb")))
    shown = COLOURS.sub("", _text(console)) if terminal else _text(console)
    assert not {c for c in shown if c != "\n" and unicodedata.category(c) in ("Cc", "Cf", "Cs")}


def test_an_escape_sequence_is_cut_out_whole() -> None:
    console = _pipe()
    with LiveView(console) as view:
        _started(view).emit("warning", message="a \x1b[31mred\x1b[0m \x1b]0;title\x07word")
    assert _text(console).splitlines()[-1] == "warning: a red word"


def test_texts_are_not_read_as_markup() -> None:
    console = _pipe()
    view = LiveView(console)
    events = _started(view)
    events.emit("warning", message="[bold]loud[/bold] [/nonsense]")
    assert "[bold]loud[/bold] [/nonsense]" in _text(console)
    events.emit("task_proposed", 0, text="[red]x[/red]", goal="", kind="achieve", why="")
    assert "[red]x[/red]" in _picture(view)


def test_the_panel_gives_the_terminal_back_even_when_the_run_raises() -> None:
    console = _terminal()

    def run() -> None:
        events = EventStream()
        with LiveView(console).watch(events):
            events.emit("warning", message="mind the gap")
            raise RuntimeError("boom")

    with pytest.raises(RuntimeError, match="boom"):
        run()
    assert "warning: mind the gap" in COLOURS.sub("", _text(console))
    assert _text(console).rindex("\x1b[?25h") > _text(console).rindex("\x1b[?25l")


def test_after_the_block_nothing_is_heard() -> None:
    console = _pipe()
    with LiveView(console) as view:
        events = _started(view)
    before = _text(console)
    events.emit("warning", message="too late")
    assert _text(console) == before


def test_a_console_that_cannot_write_the_signs_gets_plain_lines() -> None:
    raw = io.BytesIO()
    console = Console(file=io.TextIOWrapper(raw, encoding="ascii", write_through=True), force_terminal=True)
    with LiveView(console) as view:
        _started(view).emit("warning", message="größer ✓")
        view.final_table(Summary())
    assert b"warning: gr??er ?" in raw.getvalue()
    assert b"6 solved" in raw.getvalue()


def test_the_closing_table() -> None:
    summary = Summary(
        reason="the limit usd=0 is reached",
        distillations=[
            {"model": "small+1", "adopted": False, "reasons": ["success fell"]},
            {"model": "small+2", "adopted": True, "reasons": ["success 0.41 -> 0.60"]},
        ],
        report=Path("home/reports/7.html"),
    )
    for console in (_pipe(), _terminal()):
        LiveView(console).final_table(summary)
        shown = " ".join(COLOURS.sub("", _text(console)).split())
        for part in (
            "finished: the limit usd=0 is reached",
            "8 tried, 6 solved (75%)",
            "5 kept, 3 of them call another",
            "$0.004, 75 s, 3,300 world steps",
            "small+1: not adopted, the gate kept what was in use (success fell)",
            "small+2: adopted (success 0.41 -> 0.60)",
            str(Path("home/reports/7.html")),
        ):
            assert part in shown


def test_a_run_that_did_nothing_has_a_table_too() -> None:
    console = _pipe()
    LiveView(console).final_table(Summary(tried=0, solved=0, skills=0, calling=0, spent=Cost()))
    assert "0 tried, 0 solved\n" in _text(console)
    assert "nothing" in _text(console)


def test_what_had_nothing_to_solve_is_not_counted_as_unsolved() -> None:
    for explored, told in ((8, "tasks         8 explored\n"), (2, "6 tried, 3 solved (50%); 2 explored\n")):
        console = _pipe()
        LiveView(console).final_table(Summary(tried=8, solved=3 if explored == 2 else 0, explored=explored))
        assert told in _text(console)

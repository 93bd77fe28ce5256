"""The host's side of the protocol against a worker that may say anything, by the harness that ``make fuzz`` uses."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.fuzz import harness
from tests.fuzz.harness import DUMP, ENDS, NEWLINE, OUTPUT, PACKET, READY, SILENCE, check
from tests.fuzz.host import reached_by

from habilis.worlds.runner import _session

USUAL, FAST = b"\0\0\0\0\1", b"\1\0\0\0\1"  # setups: the live path and the fast one, no limit low
_ODD = st.characters(exclude_categories=["Cs"])


def script(setup: bytes, *lines: bytes) -> bytes:
    return b"\n".join([setup, *(line.replace(b"\n", NEWLINE) for line in lines)])


def packet(*message: Any) -> bytes:
    return PACKET + json.dumps(message).encode()


# ---- any worker

_names = st.sampled_from(["add", "take", "walk", "pick", "crash", "odd", "wrong", "win", ""])
_plain = st.one_of(st.sampled_from(["oak", "forbidden", "x"]), st.integers(-(2**54), 2**54))
_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(_ODD, max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(_ODD, max_size=5), inner, max_size=3),
    max_leaves=10,
)
_actions = st.tuples(_names, st.lists(_plain | _json, max_size=3))
_told = st.tuples(_names, st.lists(_plain, max_size=3), st.lists(_plain | st.booleans(), max_size=4))
_tools = st.sampled_from(["echo", "down", "dear", "odd", "long", "changes", "shell"])
_frames = st.lists(st.tuples(st.sampled_from(["main", "helper", "x"]), st.integers(-2, 9) | _json, _json), max_size=4)
_messages = st.one_of(
    st.builds(packet, st.just("act"), _names, st.lists(_plain | _json, max_size=3)),
    st.builds(packet, st.just("steps"), st.lists(_actions, max_size=12)),
    st.builds(packet, st.just("tool"), _tools, st.lists(_json, max_size=3), st.dictionaries(st.text("ab"), _json)),
    st.builds(packet, st.just("trace"), st.lists(_told, max_size=12)),
    st.builds(lambda actions: harness.trace(*actions)[0], st.lists(st.tuples(st.just("add"), _plain), max_size=9)),
    st.builds(packet, st.just("state"), _json),
    st.builds(packet, st.just("error"), st.text(_ODD), st.text(_ODD), _frames),
    st.builds(packet, st.just("done"), _json),
    st.just(packet("observe")),
    st.builds(packet, st.sampled_from(["ready", "act", "steps", "error", "win"]), _json),
    st.builds(PACKET.__add__, st.binary(max_size=50)),
)
_lines = st.one_of(
    _messages,
    _messages,
    st.builds(OUTPUT.__add__, st.binary(max_size=80) | st.text(_ODD).map(str.encode)),
    st.builds(DUMP.__add__, st.binary(max_size=80) | st.just(b'  File "<skill main>", line 3 in main\nserver.py')),
    st.just(SILENCE),
    st.tuples(st.sampled_from("trf"), st.integers(0, 2_000)).map(lambda two: f"{two[0]}{two[1]}".encode()),
    st.tuples(st.sampled_from("POD"), st.integers(0, 70_000)).map(lambda two: f"{two[0]}{two[1]} [1,".encode()),
    st.sampled_from([b"e", b"c", b"x"]),
)
_setups = st.binary(min_size=5, max_size=5).map(lambda raw: raw.replace(b"\n", b"\0"))


@settings(max_examples=400, derandomize=True, deadline=None, database=None)
@given(_setups, st.lists(_lines, max_size=12))
def test_whatever_a_worker_says_after_it_began_the_host_stands(setup: bytes, lines: list[bytes]) -> None:
    check(script(setup, READY, *lines))


@settings(max_examples=100, derandomize=True, deadline=None, database=None)
@given(_setups, st.lists(_lines, max_size=4))
def test_whatever_a_worker_says_before_it_began_the_host_stands(setup: bytes, lines: list[bytes]) -> None:
    check(script(setup, *lines))


@settings(max_examples=200, derandomize=True, deadline=None, database=None)
@given(st.sampled_from(harness.honest()), st.lists(st.tuples(st.integers(0, 2**16), st.binary(max_size=4)), max_size=4))
def test_honest_words_with_bytes_changed_are_stood_too(honest: bytes, changes: list[tuple[int, bytes]]) -> None:
    changed = bytearray(honest)
    for place, new in changes:
        place %= len(changed)
        changed[place : place + len(new)] = new
    check(bytes(changed))


# ---- honest ones


@pytest.mark.parametrize("honest", harness.honest(), ids=lambda raw: raw[5:60].decode(errors="replace"))
def test_what_fuzzing_begins_from_holds(honest: bytes) -> None:
    check(honest)


def test_honest_words_are_understood() -> None:
    told = harness.trace(("add", "oak", 2), ("take", "oak"), ("walk",))
    session = check(script(FAST, READY, *told, OUTPUT + b"two\nlines", packet("done", [1])))
    assert (session.error, session.returned, session.printed) == (None, [1], "two\nlines")
    assert [str(step.action) for step in session.steps] == ['add("oak", 2)', 'take("oak")', "walk()"]
    live = check(script(USUAL, READY, packet("act", "add", ["oak", 2]), packet("tool", "echo", [1], {}), ENDS))
    assert live.error is not None
    assert (live.error.kind, len(live.steps), live.tape[0].value) == ("died", 1, [[1], {}])


def test_what_fuzzing_begins_from_reaches_nearly_all_of_the_host() -> None:
    (name, reached, lines), *_ = reached_by(harness.honest())
    assert name == "_session"
    assert len(reached & lines) > 0.9 * len(lines), sorted(lines - reached)


# ---- floods


@pytest.mark.parametrize(
    "lines",
    [
        [b"O60000 x", b"r5000"],
        [b'P60000 "x",', b"r5000"],
        [packet("observe"), b"r5000"],
        [packet("act", "add", ["x" * 1_000]), b"r5000"],
        [packet("tool", "echo", ["x" * 50_000], {}), b"r5000"],
        [packet("tool", "long", [], {}), b"r5000"],
        [packet("trace", [["add", ["x" * 1_000], [True, 1, n]] for n in range(1, 41)]), b"r5000"],
    ],
    ids=["output", "packets", "observe", "actions", "tools", "results", "traces"],
)
def test_a_flood_takes_little_memory(lines: Sequence[bytes]) -> None:
    assert _peak(script(FAST, READY, *lines)) < 12e6


def _peak(raw: bytes) -> int:
    check(raw)  # what is made once only is made
    tracemalloc.start()
    try:
        check(raw)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


# ---- found by fuzzing

_FORGED = '["trace",[["pick",["{}"],[true,1,7]]]]'


@pytest.mark.parametrize(
    "raw",
    [
        script(USUAL, READY, OUTPUT + "\u061c".encode(), packet("done", 1)),
        script(FAST, READY, PACKET + _FORGED.format("\u202egnp.exe").encode()),
        script(FAST, READY, packet("trace", [["pick", ["x" * 1_000] * 60, [True, 1, 7]]])),
        script(USUAL, READY, PACKET + '["act","crash",["\u202e"]]'.encode()),
        script(USUAL, READY, packet("act", "odd", ["x" * 1_000] * 60)),
        script(USUAL, b"D70000 9", ENDS),
        script(USUAL, READY, b"D70000 9", SILENCE, b"D70000 9", SILENCE, packet("done", 1)),
    ],
    ids=[
        "a mark that turns text",
        "odd text in a forged trace",
        "a long forged trace",
        "odd text in a world's error",
        "long text in a world's error",
        "long words before the run",
        "last words without end",
    ],
)
def test_found_by_fuzzing(raw: bytes) -> None:
    check(raw)


# ---- the harness notices


_WALK = packet("act", "walk", [])


@pytest.fixture
def broken(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    monkeypatch.setattr(*request.param)


@pytest.mark.parametrize(
    ("broken", "raw"),
    [
        ((_session, "clean", str), script(USUAL, READY, OUTPUT + b"\x1b[2J", packet("done", 1))),
        ((_session, "clean", str), script(USUAL, READY, packet("error", "\u202e", "", []))),
        ((_session.WorldSteps, "before", lambda *_: None), script(b"\0\x20\0\0\0", READY, _WALK, b"r3")),
        ((_session.Session, "_count", lambda _: None), script(b"\0\x40\0\0\0", READY, _WALK, b"r12")),
        ((_session, "read_message", json.loads), script(USUAL, READY, PACKET + b"[", packet("done", 1))),
    ],
    ids=["odd output", "odd error", "steps", "calls", "another's error"],
    indirect=["broken"],
)  # fmt: skip
@pytest.mark.usefixtures("broken")
def test_the_harness_notices_a_host_that_does_not_hold(raw: bytes) -> None:
    with pytest.raises((AssertionError, ValueError)):
        check(raw)

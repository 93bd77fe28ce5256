"""The fast path: the same run as on the live path, only sooner. What is forged is in ``attacks/test_integrity.py``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from habilis.core import Budget, BudgetExceeded, Ledger, Program, RunLimits, ToolError, Trajectory, WorldError
from habilis.worlds.craft import CraftWorld
from habilis.worlds.runner import ConfinedRunner
from habilis.worlds.runner.worker.simulate import digest

LOOP = """
def main(what="dirt", n=10):
    world.find(what)
    for _ in range(n):
        world.gather(what)
        world.place(what)
    return [world.count(what), world.here(what), world.facts("here"), world.depth()]
"""


def craft(seed: int = 3, **options: Any) -> CraftWorld:
    world = CraftWorld(view="full", **options)
    world.reset(seed)
    return world


@pytest.fixture(scope="module")
def fast() -> Iterator[ConfinedRunner]:
    with ConfinedRunner(fast=True) as runner:
        yield runner


@pytest.fixture(scope="module")
def live() -> Iterator[ConfinedRunner]:
    with ConfinedRunner(fast=False) as runner:
        yield runner


def same(one: Trajectory, other: Trajectory) -> None:
    for name in ("steps", "tape", "printed", "returned", "error", "before", "after", "world_steps", "tier"):
        assert getattr(one, name) == getattr(other, name), name


def both(fast: ConfinedRunner, live: ConfinedRunner, source: str, **options: Any) -> Trajectory:
    """The run on both paths, which must be one and the same."""
    here, there = craft(), craft()
    one, other = (r.run(Program("main", source), w, **options) for r, w in ((fast, here), (live, there)))
    same(one, other)
    assert digest(here) == digest(there)
    return one


@pytest.mark.parametrize(
    "source",
    [
        LOOP,
        "def main(): pass",
        "def main():\n    world.find('dirt')\n    print(world.gather('dirt'))\n    world.craft('stick')",
        "def main():\n    try: world.craft('none')\n    except ActionFailed as e: return e.action, e.unmet, e.message",
        "def main():\n    return [r.value for r in world.steps([('gather', 'dirt'), 'observe'] * 2)]",
        "def main():\n    try: world.steps([('move', 'east'), ('craft', 'stick'), ('move', 'west')])\n"
        "    except ActionFailed as e: return [e.action, len(e.results), world.explored()]",
        "def main():\n    world.move('up')",
        "def main():\n    return world.find('coal_ore', 'dirt', 0).value",
        "def main():\n    world.observe()\n    return world.observe().value",
        "def main():\n    for i in range(600): world.move('east' if i % 2 else 'west')\n    raise ValueError(i)",
    ],
)
def test_a_run_is_the_same_on_both_paths(fast: ConfinedRunner, live: ConfinedRunner, source: str) -> None:
    both(fast, live, source)


@settings(max_examples=15, deadline=None)
@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("move"), st.sampled_from(["north", "south", "east", "west", "up", "down", "out"])),
            st.tuples(st.sampled_from(["gather", "find", "place", "craft"]), st.sampled_from(["dirt", "oak_log", "x"])),
        ),
        max_size=60,
    )
)
def test_any_actions_are_the_same_on_both_paths(
    fast: ConfinedRunner, live: ConfinedRunner, actions: list[tuple[str, str]]
) -> None:
    source = (
        "def main(actions):\n    done = []\n    for name, arg in actions:\n"
        "        try: done.append(getattr(world, name)(arg).changes)\n"
        "        except ActionFailed as e: done.append(e.unmet)\n    return done"
    )
    both(fast, live, source, args={"actions": actions})


@pytest.mark.parametrize(
    ("limits", "kind", "says"),
    [
        (RunLimits(world_steps=40), "steps", "world_steps=40"),
        (RunLimits(calls=30), "calls", "calls=30"),
    ],
)
def test_limits_end_a_run_at_the_same_step(
    fast: ConfinedRunner, live: ConfinedRunner, limits: RunLimits, kind: str, says: str
) -> None:
    t = both(fast, live, LOOP.replace("world.find(what)", "pass"), limits=limits, args={"n": 1000})
    assert t.error is not None
    assert (t.error.kind, t.error.line) in ((kind, 5), (kind, 6))
    assert says in t.error.message


def test_a_hanging_program_keeps_what_it_has_told(fast: ConfinedRunner) -> None:
    world = craft()
    source = "def main():\n    for i in range(600): world.move('east' if i % 2 else 'west')\n    while True: pass"
    t = fast.run(Program("main", source), world, limits=RunLimits(seconds=2))
    assert t.error is not None
    assert (t.error.kind, t.error.line) == ("time", 3)
    assert len(t.steps) == 512
    assert t.after.facts == world.observe().facts


def test_a_ledger_ends_the_run_where_the_world_stands(fast: ConfinedRunner) -> None:
    world, ledger = craft(), Ledger(Budget(usd=None, world_steps=50))
    with pytest.raises(BudgetExceeded, match="world_steps=50"):
        fast.run(Program("main", LOOP.replace("world.find(what)", "pass")), world, args={"n": 1000}, ledger=ledger)
    assert ledger.spent.world_steps == 50
    assert fast.run(Program("main", "def main(): return 1"), world).returned == 1


class Tools:
    def __init__(self, world: CraftWorld, harm: bool = False) -> None:
        self._world, self._harm = world, harm

    def names(self) -> tuple[str, ...]:
        return ("seen", "broken")

    def call(self, name: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        if name == "broken":
            raise ToolError("down")
        if self._harm:
            self._world._gain("diamond", 3, {})
        return sum(fact.predicate == "count" for fact in self._world.observe().facts)


@pytest.mark.parametrize("harm", [False, True])
def test_tools_see_the_world_where_the_program_is_and_may_change_it(
    fast: ConfinedRunner, live: ConfinedRunner, harm: bool
) -> None:
    source = (
        "def main():\n    world.find('dirt'); world.gather('dirt')\n    n = tools.seen()\n"
        "    try: tools.broken()\n    except ToolFailed: n += 10\n"
        "    world.observe() if False else None\n    world.gather('dirt')\n    return n"
    )
    results = []
    for runner in (fast, live):
        world = craft()
        t = runner.run(Program("main", source), world, tools=Tools(world, harm))
        results.append((t.returned, t.tape, t.steps, t.error, digest(world)))
    assert results[0] == results[1]
    assert results[0][0] == (12 if harm else 11)


def test_a_trace_always_replays_to_the_same_state(fast: ConfinedRunner) -> None:
    states = set()
    for _ in range(3):
        world = craft()
        t = fast.run(Program("main", LOOP), world, args={"n": 300})
        again = craft()
        for step in t.steps:
            assert again.act(step.action) == step.outcome
        states |= {digest(world), digest(again)}
    assert len(states) == 1


def test_a_world_that_raises_is_the_hosts_error(fast: ConfinedRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    world = craft()

    def broken(self: Any, action: Any) -> Any:
        raise ZeroDivisionError("the world's own bug")

    fast.run(Program("main", "def main(): world.move('east')"), world)
    monkeypatch.setattr(CraftWorld, "act", broken)
    with pytest.raises(WorldError, match="craft raised on move"):
        fast.run(Program("main", "def main(): world.move('east')"), world)


def _raise(*_: Any) -> Any:
    raise ZeroDivisionError("the world's own bug")


def _leave(*_: Any) -> Any:
    raise SystemExit


@pytest.mark.parametrize(
    ("method", "does", "says"),
    [
        ("maker", _raise, "the world craft raised when asked for its maker: ZeroDivisionError"),
        ("maker", lambda self: 7, r'the maker of the world craft is 7, not \("module:name", options as JSON\); mend'),
        ("maker", lambda self: ("a:b", {"c": {1}}), r"is \('a:b', .*\), not"),
        ("maker", lambda self: ("no_such_module:W", {}), "makes cannot be made beside a program: ModuleNotFoundError"),
        ("maker", lambda self: ("habilis.worlds.craft:No", {}), "has no attribute 'No'; mend what maker"),
        ("maker", lambda self: ("habilis.worlds.craft:CraftWorld", {"vu": 1}), "unexpected keyword argument 'vu'"),
        ("save", _raise, "the world craft raised when saved: ZeroDivisionError"),
        ("save", lambda self: {1, 2}, "what the world craft shows or saves has no JSON form: Object of type set"),
        ("observe", _raise, "the world craft raised when observed: ZeroDivisionError"),
        ("observe", lambda self: None, "the world craft shows NoneType when observed, not Snapshot"),
        ("act", _leave, r"the world craft raised on move\(\"east\"\): SystemExit"),
        ("act", lambda self, action: None, r"the world craft answered move\(\"east\"\) with NoneType, not Outcome"),
    ],
)
def test_whatever_a_worlds_code_does_wrongly_is_an_error_that_names_it(
    fast: ConfinedRunner, monkeypatch: pytest.MonkeyPatch, method: str, does: Any, says: str
) -> None:
    program, world = Program("main", "def main(): return world.move('east').value"), craft()
    with monkeypatch.context() as patch:
        patch.setattr(CraftWorld, method, does)
        with pytest.raises(WorldError, match=says):
            fast.run(program, world)
    assert fast.run(program, craft()).error is None  # and the next run is as ever


def test_a_state_that_cannot_be_loaded_says_so(fast: ConfinedRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    world = craft()
    monkeypatch.setattr(CraftWorld, "save", lambda self: {"schema_version": 1})
    error = fast.run(Program("main", "def main(): pass"), world).error
    assert error is not None
    assert "the world's state cannot be loaded beside the program: " in error.message


def test_worlds_with_secrets_are_never_simulated() -> None:
    world = CraftWorld()
    world.reset(3)
    with ConfinedRunner(fast=True) as runner:
        t = runner.run(Program("main", "def main(): return world._ways.simulation is None"), world)
    assert t.returned is True


def test_a_long_program_is_simulated_from_its_second_run_on() -> None:
    program = Program("main", LOOP.replace("return [", "return [world._ways.simulation is None, "))
    with ConfinedRunner() as runner:
        short = [runner.run(program, craft()).returned[0] for _ in range(2)]
        limits = RunLimits(world_steps=None)
        long = [runner.run(program, craft(), args={"n": 700}, limits=limits).returned[0] for _ in range(2)]
    assert (short, long) == ([True, True], [True, False])


@pytest.mark.parametrize("caught", [True, False])
def test_a_program_too_deep_in_calls_is_no_forger(fast: ConfinedRunner, caught: bool) -> None:
    world = craft()
    source = (
        "def main():\n    def f(d):\n        world.move('east' if d % 2 else 'west'); f(d + 1)\n"
        + ("    try: f(0)\n    except RecursionError: pass\n" if caught else "    f(0)\n")
        + "    world.move('north')\n    world.observe()\n    return world.explored()"
    )
    t = fast.run(Program("main", source), world)
    assert (t.error.kind if t.error else None) == (None if caught else "RecursionError"), t.error
    assert len(t.steps) > 100
    again = craft()
    for step in t.steps:
        assert again.act(step.action) == step.outcome
    assert digest(again) == digest(world)
    if caught:
        assert t.returned == next(v for f, v in t.after.facts.items() if f.predicate == "explored")


def test_a_world_that_raises_in_the_copy_alone_is_followed(fast: ConfinedRunner) -> None:
    """What the copy cannot do the host does, and the copy goes on from where the host's world is."""
    world = craft()
    source = (
        "def main():\n    world.find('dirt')\n    w = world._ways.simulation\n    act = w._act\n"
        "    w._act = None\n    world.gather('dirt')\n    w._act = act\n    world.place('dirt')\n"
        "    for _ in range(300): world.gather('dirt'); world.place('dirt')\n    return world.count('dirt')"
    )
    t = fast.run(Program("main", source), world)
    assert (t.error, t.returned, len(t.steps)) == (None, 0, 603)


def test_arguments_are_the_same_on_both_paths(fast: ConfinedRunner, live: ConfinedRunner) -> None:
    source = (
        "from fractions import Fraction\ndef main():\n    out = []\n    for n in (0, 0.0, False, Fraction(0), '0'):\n"
        "        try: out.append(world.find('dirt', n).value)\n"
        "        except (TypeError, ActionFailed) as e: out.append(type(e).__name__)\n    return out"
    )
    t = both(fast, live, source)
    assert t.returned[3] == "TypeError"

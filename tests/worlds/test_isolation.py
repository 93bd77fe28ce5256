"""Which tier a system has, found by attack; what is missing; refusals; and workers that cannot start."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import textwrap
import warnings
from pathlib import Path
from typing import Any

import pytest
from tests.worlds.sabotage import sabotaged

from habilis import Agent, World
from habilis.core import InputError, IsolationError, Program, RunLimits
from habilis.memory import Home
from habilis.run import AgentSettings
from habilis.worlds.runner import ConfinedRunner, Isolation, UnconfinedWarning, WeakerWarning, probe
from habilis.worlds.runner import _local as local
from habilis.worlds.runner import isolation as isolations

ONE = Program("main", "def main(): return 1")


@pytest.fixture(autouse=True)
def _forget() -> Any:
    yield
    isolations._NO_BUBBLEWRAP.clear()


# ---- what is found is what holds


@pytest.mark.parametrize(
    ("replaced", "tier", "says"),
    [
        ({"seccomp__install": "raise OSError(1, 'forbidden here')"}, 0, "seccomp: forbidden here"),
        (
            {"landlock__version": "raise OSError(38, 'Function not implemented')"},
            1,
            "landlock: Function not implemented",
        ),
        # A kernel or container that says yes and does nothing is found out, for the attack gets through.
        ({"seccomp__install": "return None"}, 0, "seccomp: installed, yet a program could open a folder and"),
        ({"landlock__restrict": "return 7"}, 1, "landlock: installed, yet a program could open a folder and"),
        ({"confine___open": "raise OSError", "confine___attacks": "return {'open': _open}"}, 0, "nothing was proven"),
    ],
)
def test_a_feature_that_does_not_hold_is_not_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, world: Any, replaced: dict[str, str], tier: int, says: str
) -> None:
    sabotaged(tmp_path, monkeypatch, **replaced)
    found = probe()
    assert found.tier == tier
    assert any(says in problem for problem in found.missing), found
    assert found.fix
    with ConfinedRunner() as runner:
        if tier:
            t = runner.run(ONE, world)
            assert (t.returned, t.tier) == (1, tier)
        else:
            with pytest.raises(IsolationError, match=r"cannot confine.*--unsafe-no-isolation"):
                runner.run(ONE, world)
    with ConfinedRunner(isolation="landlock") as runner, pytest.raises(IsolationError, match="does not hold here"):
        runner.run(ONE, world)


@pytest.mark.skipif(shutil.which("bwrap") is None, reason="bubblewrap is not installed")
def test_namespaces_that_hide_nothing_are_not_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if probe().tier < 3:
        pytest.skip("bubblewrap does not work here")
    fake = tmp_path / "bwrap"  # runs what it is given, and isolates nothing
    fake.write_text(
        f"#!{os.path.realpath(sys.executable)}\nimport os, sys\n"
        "start = next(i for i, a in enumerate(sys.argv) if '/bin/python' in a and sys.argv[i - 1] not in\n"
        "             ('--ro-bind', '--symlink') and sys.argv[i - 2] != '--ro-bind')\n"
        "os.execv(sys.argv[start], sys.argv[start:])\n"
    )
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    isolations._NO_BUBBLEWRAP.clear()
    found = probe()
    assert (found.tier, found.backend) == (2, "")
    assert "bubblewrap: started, yet a program could see the host's files and reach the host's sockets" in found.missing


@pytest.mark.parametrize("how", ["absent", "forbidden"])
def test_without_bubblewrap_the_tier_is_two_and_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, world: Any, how: str
) -> None:
    if how == "forbidden":
        (tmp_path / "bwrap").write_text("#!/bin/sh\necho 'bwrap: No permissions to create new namespace' >&2\nexit 1\n")
        (tmp_path / "bwrap").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    isolations._NO_BUBBLEWRAP.clear()
    found = probe()
    assert found.tier < 3
    assert any(p.startswith("bubblewrap: ") for p in found.missing)
    assert "install bubblewrap" in (found.fix or "")
    with pytest.raises(IsolationError, match="No permissions" if how == "forbidden" else "not installed"):
        probe("bubblewrap")
    with ConfinedRunner() as runner:
        assert runner.run(ONE, world).tier == found.tier


def test_the_highest_tier_has_nothing_missing() -> None:
    found = probe()
    assert (found.tier == 3) == (not found.missing) == (found.fix is None)
    assert Isolation(0).fix


def test_less_than_before_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, world: Any) -> None:
    """A worker is started again, and finds less to hold."""
    server = sabotaged(tmp_path, monkeypatch)
    with ConfinedRunner() as runner:
        before = runner.run(ONE, world).tier
        if before < 2:
            pytest.skip("there is no less than tier 1")
        landlock = server.with_name("landlock.py")
        landlock.write_text(landlock.read_text() + "\n\ndef version():\n    raise OSError(38, 'gone')\n")
        runner.close()
        with pytest.warns(WeakerWarning, match=f"at tier 1 now, and were at tier {before} before .*landlock: gone"):
            assert runner.run(ONE, world).tier == 1
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # it is said once
            assert runner.run(ONE, world).tier == 1


def test_a_worker_that_dies_everywhere_says_nothing_of_bubblewrap(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, world: Any
) -> None:
    server = sabotaged(tmp_path, monkeypatch)
    good = server.read_text()
    with ConfinedRunner() as runner:
        server.write_text("raise SystemExit('no worker today')\n")
        with pytest.raises(IsolationError, match="no worker today"):
            runner.run(ONE, world)
        server.write_text(good)
        assert runner.run(ONE, world).tier == probe().tier
        assert "no worker today" not in " ".join(runner.isolation.missing)


# ---- going around it


def test_going_around_is_loud_and_recorded(world: Any) -> None:
    with ConfinedRunner(unsafe_no_isolation=True) as runner:
        with pytest.warns(UnconfinedWarning, match="may do anything that you may"):
            t = runner.run(ONE, world)
        assert (t.returned, t.tier) == (1, 0)
        assert runner.isolation.missing == ("confinement was switched off: --unsafe-no-isolation",)


def test_every_attempt_records_its_tier(world: Any) -> None:
    for name, tier in (("seccomp", 1), ("landlock", 2)):
        if probe().tier >= tier:
            with ConfinedRunner(isolation=name) as runner:
                assert runner.run(ONE, world).tier == tier


# ---- workers that do not start, or end


def test_a_worker_that_dies_at_start_is_a_clear_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, world: Any
) -> None:
    server = sabotaged(tmp_path, monkeypatch)
    good = server.read_text()
    server.write_text("raise SystemExit('no worker today')\n")
    with ConfinedRunner(isolation="landlock") as runner:
        with pytest.raises(IsolationError, match="did not start: no worker today"):
            runner.run(ONE, world)
        server.write_text(good)
        assert runner.run(ONE, world).returned == 1  # nothing is lost: the next run starts a new one


def test_forks_that_die_before_their_run_are_an_error_in_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, world: Any
) -> None:
    sabotaged(tmp_path, monkeypatch, language__serve="raise EOFError")
    with ConfinedRunner(isolation="landlock") as runner, pytest.raises(IsolationError, match="3 times before a run"):
        runner.run(ONE, world)
    assert world.acts == 0


def test_a_run_that_cannot_be_confined_does_not_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, world: Any
) -> None:
    """The probe's processes could be, but this one is not: the program is never sent."""
    sabotaged(tmp_path, monkeypatch, confine__limit_the_rest="raise OSError(1, 'not this one')")
    with ConfinedRunner(isolation="landlock") as runner, pytest.raises(IsolationError, match="not this one"):
        runner.run(ONE, world)


def test_a_worker_without_pidfds_works_as_well(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, world: Any) -> None:
    """gVisor and Linux before 5.3 have none; the host then asks the worker for signals."""
    server = sabotaged(tmp_path, monkeypatch)
    server.write_text(server.read_text().replace("os.pidfd_open(pid)", "os.no_pidfd(pid)"))
    monkeypatch.setattr(local, "_pidfd", lambda: None)
    with ConfinedRunner(isolation="landlock") as runner:
        loop = Program("main", "def main():\n    x = 1\n    while True: pass")
        error = runner.run(loop, world, limits=RunLimits(seconds=0.3)).error
        assert error is not None
        assert (error.kind, error.line) == ("time", 3)
        assert runner.run(ONE, world).returned == 1


def test_memory_that_cannot_be_had_ends_the_run_and_not_the_host(world: Any) -> None:
    with ConfinedRunner(isolation="seccomp") as runner:
        t = runner.run(Program("main", "def main(): bytearray(1 << 24)"), world, limits=RunLimits(memory_mb=1))
        assert t.error is not None
        assert t.error.kind in ("memory", "died")
        assert runner.run(ONE, world).returned == 1


# ---- limits, modules


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("seconds", float("nan")),
        ("seconds", float("inf")),
        ("seconds", 0),
        ("seconds", "5"),
        ("idle_seconds", -1),
        ("memory_mb", -1),
        ("memory_mb", 1.5),
        ("memory_mb", 10**15),
        ("cpu_seconds", 0),
        ("world_steps", -1),
        ("calls", True),
    ],
)
def test_a_limit_that_cannot_be_kept_is_refused(name: str, value: Any) -> None:
    with pytest.raises(InputError, match=f"{name}=.* is no (whole )?number"):
        RunLimits(**{name: value})


def test_numpy_is_there_when_asked_for_and_repeats(world: Any) -> None:
    source = (
        "import numpy as np\n"
        "def main(): return [float(np.arange(5).sum()), np.random.rand(), np.random.default_rng().random(),"
        " float(np.linalg.norm(np.ones(4))), np.random.default_rng(3).integers(9, size=3).tolist()]"
    )
    program = Program("main", source)
    said = []
    for _ in range(2):
        with ConfinedRunner(modules=("numpy",)) as runner:
            t = runner.run(program, world, seed=5)
            assert t.error is None, t.error
            said.append(t.returned)
            assert runner.run(program, world, seed=6).returned[1] != said[0][1]
    assert said[0] == said[1]
    assert said[0][0] == 10.0
    with ConfinedRunner() as runner:
        error = runner.run(program, world).error
        assert error is not None
        assert (error.kind, error.line) == ("import", 1)
        assert "may import" in error.message


def test_a_module_that_is_not_there_is_a_clear_error(world: Any) -> None:
    with (
        ConfinedRunner(modules=("no_such_module",)) as runner,
        pytest.raises(IsolationError, match="No module named 'no_such_module'"),
    ):
        runner.run(ONE, world)


# ---- batches


def test_a_batch_is_one_request_and_many_steps(runner: ConfinedRunner, world: Any) -> None:
    source = "def main(n):\n    return [r.value for r in world.steps([('add', 'oak'), ['add', 'oak', 2]] * n)][-1]"
    t = runner.run(Program("main", source), world, args={"n": 1200})
    assert (t.error, t.returned, len(t.steps), world.acts) == (None, 3600, 2400, 2400)


def test_a_batch_stops_at_the_first_failure_and_keeps_what_was_done(runner: ConfinedRunner, world: Any) -> None:
    source = (
        "def main():\n    try: world.steps([('add', 'oak'), ('take', 'oak'), ('take', 'oak'), ('add', 'birch')])\n"
        "    except ActionFailed as e: return e.action, e.unmet, len(e.results), world.count('oak')"
    )
    t = runner.run(Program("main", source), world)
    assert t.returned == ['take("oak")', ['count("oak") >= 1'], 2, 0]
    assert "birch" not in world.counts
    assert [s.outcome.ok for s in t.steps] == [True, True, False]


@pytest.mark.parametrize(
    ("call", "says"),
    [
        ("world.steps([('fly',)])", "no action 'fly'"),
        ("world.steps([('add',)])", "needs 'name'"),
        ("world.steps([('add', ['a'])])", "not list"),
        ("world.steps(7)", "not iterable"),
        ("world.steps([[]])", "not enough values"),
    ],
)
def test_a_wrong_batch_is_told_how_and_does_nothing(runner: ConfinedRunner, world: Any, call: str, says: str) -> None:
    t = runner.run(Program("main", f"def main():\n    world.add('a')\n    {call}"), world)
    assert t.error is not None
    assert says in t.error.message
    assert (t.error.line, world.acts) == (3, 1)


@pytest.mark.parametrize(("limits", "most"), [(RunLimits(calls=50), 50), (RunLimits(world_steps=70), 70)])
def test_a_batch_is_held_to_the_limits_step_by_step(
    runner: ConfinedRunner, world: Any, limits: RunLimits, most: int
) -> None:
    t = runner.run(Program("main", "def main(): world.steps([('add', 'a')] * 100)"), world, limits=limits)
    assert t.error is not None
    assert t.error.kind in ("calls", "steps")
    assert world.acts == most


def test_an_empty_batch_does_nothing(runner: ConfinedRunner, world: Any) -> None:
    t = runner.run(Program("main", "def main(): return world.steps([])"), world)
    assert (t.returned, world.acts) == ([], 0)


# ---- honest programs that go too far are told so, and not called forgers


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ("world.add('a', 2**70)", "at most 53 bits"),
        ("world.add('\\ud800')", "surrogate"),
        ("world.add('x' * 1001)", "at most 1000 characters"),
        ("world.add('a' * 70_000)", "at most 1000 characters"),
        ("tools.plus('x' * 70_000)", "too long"),
    ],
)
def test_arguments_that_the_host_would_not_take(runner: ConfinedRunner, world: Any, body: str, says: str) -> None:
    class Tools:
        def names(self) -> tuple[str, ...]:
            return ("plus",)

        def call(self, name: str, args: Any, kwargs: Any) -> Any:
            return 1

    t = runner.run(Program("main", f"def main():\n    {body}"), world, tools=Tools())
    assert t.error is not None
    assert (t.error.kind, t.error.line) == ("ValueError", 2)
    assert says in t.error.message


def test_a_value_nested_too_deep_is_named_by_its_type(runner: ConfinedRunner, world: Any) -> None:
    source = "def main():\n    x = []\n    for _ in range(40): x = [x]\n    return x"
    assert runner.run(Program("main", source), world).returned == "<list nested deeper than 32>"


# ---- the host


def test_an_interrupted_host_ends_the_run() -> None:
    """Ctrl-C is the host's: the worker is in a session of its own, and the next run finds it ready."""
    source = textwrap.dedent("""
        import os, signal, threading
        from habilis.core import *
        from habilis.worlds.runner import ConfinedRunner
        class W:
            spec = WorldSpec("w", "", (), (), "1")
            def observe(self): return Snapshot()
        with ConfinedRunner() as runner:
            threading.Timer(0.8, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
            try: runner.run(Program("main", "def main():\\n    while True: pass"), W())
            except KeyboardInterrupt: print("interrupted")
            print(runner.run(Program("main", "def main(): return 5"), W()).returned)
    """)
    done = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, timeout=60)
    assert done.stdout.split() == ["interrupted", "5"], done.stderr


def test_the_probe_of_an_ordinary_process_is_json(world: Any) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert json.dumps(probe().missing)


def test_a_batch_of_long_odd_texts_goes_in_parts(runner: ConfinedRunner, world: Any) -> None:
    source = "def main():\n    world.steps([('add', chr(0x1F642) * 900 + str(i)) for i in range(50)])"
    t = runner.run(Program("main", source), world)
    assert (t.error, world.acts) == (None, 50)


def test_the_journal_keeps_the_tier_of_every_attempt(tmp_path: Path) -> None:
    count = {"n": 0}

    def more() -> None:
        """One more."""
        count["n"] += 1

    for name, tier in (("seccomp", 1), ("landlock", 2)):
        if probe().tier < tier:
            continue
        world = World.from_functions([more], observe=lambda: {"count": count}, name="counting")
        with Agent(world, home=tmp_path / name, settings=AgentSettings(isolation=name)) as agent:
            agent.solve_now(f'count("n") >= {count["n"] + 2}')
        with Home.open(tmp_path / name) as home:
            (run,) = home.journal.runs()
            attempts = [a for e in home.journal.episodes(run.id) for a in e.attempts]
            assert attempts
            assert {a.trajectory.tier for a in attempts} == {tier}

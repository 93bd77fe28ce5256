"""kill -9 of `habilis run` at random moments: no process outlives it, the journal is whole, the next run continues.

    python -m tests.soak.kills --kills 200

The moments are seeded: within 0.3 s of the host's own start, within 0.3 s of its worker's start, and while it works on
its tasks. Every kill hits the home that the one before left behind; after `PER_HOME` of them a run is let through to
its end and must have come to the same as one that was never killed. Homes take turns with the ways to confine.

What descends from the host is found in three ways: as read from /proc just before the kill; as what this process, made
the "subreaper" of all below it, is given to look after when the host is gone, namespaces or not; and by command line.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.soak import _processes as processes

from habilis.core import IsolationError, dump
from habilis.memory import Home
from habilis.worlds.runner import probe

PER_HOME = 25  # kills
WITHIN = 3.0  # seconds after the kill by which everything has to be gone
_LONGEST = 120.0  # seconds that a run may take to come where it is to be killed
_MOMENTS = {"host starts": 45, "worker starts": 40, "works": 15}  # how often of a hundred
_SUBREAPER = 36  # PR_SET_CHILD_SUBREAPER


class Run:
    """``habilis run`` in a process of its own, its output read as it comes."""

    def __init__(self, home: Path, tasks: int, isolation: str, folder: Path) -> None:
        env = {k: v for k, v in os.environ.items() if not k.endswith("_API_KEY") and not k.startswith("HABILIS")}
        env |= {"HABILIS_CACHE": str(folder / "cache"), "TMPDIR": str(folder / "tmp")}
        env |= {"COLUMNS": "200", "PYTHONUNBUFFERED": "1"}
        more = ["-n", str(tasks), "--seed", "3", "--distil-every", "0", "--home", str(home), "--isolation", isolation]
        self.process = subprocess.Popen(
            [sys.executable, "-c", "from habilis.cli import main; main()", "run", *more],
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.lines: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        self.lines += iter(self.process.stdout.readline, "")

    @property
    def tasks(self) -> int:
        """Those that it has told of so far, by their number."""
        told = [line[1:].partition("/")[0] for line in self.lines if line.startswith("[")]
        return max((int(number) for number in told if number.isdigit()), default=0)

    def wait_for(self, what: Callable[[], Any]) -> bool:
        """Whether that came about; False if the run ended first."""
        until = time.monotonic() + _LONGEST
        while not what():
            if self.process.poll() is not None:
                return False
            if time.monotonic() > until:
                raise TimeoutError(f"a run took more than {_LONGEST:g} s: {''.join(self.lines[-5:])}")
            time.sleep(0.005)
        return True

    def end(self) -> int:
        code = self.process.wait(_LONGEST)
        self._reader.join(5)
        return code


@dataclass
class Kills:
    """What came of the kills so far. ``gone``: seconds after each by which nothing was left."""

    folder: Path
    tasks: int  # of a run
    draw: random.Random
    wrong: list[str] = field(default_factory=list)
    moments: Counter[str] = field(default_factory=Counter)
    gone: list[float] = field(default_factory=list)
    below: int = 0  # processes that descended from a host when it was killed, in all
    with_worker: int = 0  # kills at which there was a worker
    continued: int = 0  # runs that said where they continue
    same: int = 0  # homes that came to the same as the one that was never killed

    @property
    def kills(self) -> int:
        return len(self.gone)

    def one(self, home: Path, isolation: str) -> bool:
        """Start a run and kill it; False if it ended by itself before."""
        moment = self.draw.choices(list(_MOMENTS), list(_MOMENTS.values()))[0]
        delay = self.draw.uniform(0, 0.3 if moment != "works" else 1.0)
        done = _episodes(home)
        run = Run(home, self.tasks, isolation, self.folder)
        started = processes.process(run.process.pid)
        if moment == "worker starts":
            there = run.wait_for(
                lambda: any(processes.is_worker(p.pid) for p in processes.descendants(run.process.pid))
            )
        elif moment == "works":
            there = run.wait_for(lambda: run.tasks > done)
        else:
            there = True
        time.sleep(delay)
        below = processes.descendants(run.process.pid)
        if not there or run.process.poll() is not None:
            self._finished(run, home)
            return False
        run.process.kill()
        then = time.monotonic()
        run.end()
        self.moments[moment] += 1
        self.below += len(below)
        self.with_worker += any(processes.is_worker(p.pid) or p.name == "bwrap" for p in below)
        left = _left(below, started)
        while left and time.monotonic() - then < WITHIN:
            time.sleep(0.01)
            left = _left(below, started)
        self.gone.append(time.monotonic() - then)
        where = f"kill {self.kills} ({moment}, {delay:.3f} s, {isolation})"
        self.wrong += [f"{where}: {one} outlived its host by {WITHIN:g} s" for one in left]
        for one in left:
            with contextlib.suppress(ProcessLookupError):  # it went with another of them
                os.kill(one.pid, signal.SIGKILL)
        self._check(where, run, home, done)
        return True

    def _check(self, where: str, run: Run, home: Path, done: int) -> None:
        """The journal opens, is whole, has all that was told, and the run went on from where the last one stood."""
        try:
            now = _episodes(home)
            wrong = _unsound(home)
        except Exception as error:
            self.wrong.append(f"{where}: the journal cannot be read: {error!r}")
            return
        self.wrong += [f"{where}: {one}" for one in wrong]
        if now < max(done, run.tasks):
            self.wrong.append(f"{where}: {now} episodes are kept of {max(done, run.tasks)}")
        told = [line for line in run.lines if "resuming run" in line]
        if done and run.tasks and not told:
            self.wrong.append(f"{where}: it began anew over {done} episodes")
        for line in told:
            self.continued += 1
            if not re.search(rf"at iteration {done}\b", line):
                self.wrong.append(f"{where}: {done} episodes were kept, and the run said: {line.strip()}")
        if any("Traceback" in line or "error" in line.lower() for line in run.lines):
            self.wrong.append(f"{where}: the run said {''.join(run.lines)[-500:]}")

    def _finished(self, run: Run, home: Path) -> None:
        code = run.end()
        if code or _episodes(home) != self.tasks:
            self.wrong.append(
                f"after kill {self.kills}: a run ended with {code} after {_episodes(home)} of {self.tasks} tasks: "
                f"{''.join(run.lines)[-500:]}"
            )

    def through(self, home: Path, isolation: str, never_killed: Any) -> None:
        """Let a run come to its end; it must have come to the same as one that was never killed."""
        self._finished(Run(home, self.tasks, isolation, self.folder), home)
        if _memory(home) == never_killed:
            self.same += 1
        else:
            self.wrong.append(f"after kill {self.kills}: the run came to something else than one never killed")
        left = processes.descendants(os.getpid())
        _reap()
        self.wrong += [f"after kill {self.kills}: {one} is left" for one in left if processes.lives(one)]


def _left(below: list[processes.Process], started: processes.Process | None) -> list[processes.Process]:
    """What is left of a host that has ended."""
    _reap()
    found = {one.pid: one for one in below if processes.lives(one)}
    found |= {one.pid: one for one in processes.descendants(os.getpid()) if one.state not in "ZX"}
    for one in processes.everything().values():
        orphan = one.parent in (1, os.getpid()) and started is not None and one.started >= started.started
        if orphan and one.state not in "ZX" and processes.is_worker(one.pid):
            found[one.pid] = one
    return list(found.values())


def _reap() -> None:
    """Wait for those that were given to this process and have ended."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        pass


def _episodes(home: Path) -> int:
    if not (home / "home.json").exists():
        return 0
    with Home.open(home, create=False, read_only=True) as opened:
        return opened.journal.count_episodes()


def _unsound(home: Path) -> list[str]:
    """What is wrong with a journal."""
    if not (home / "home.json").exists():
        return []
    with Home.open(home, create=False, read_only=True) as opened:
        wrong = [f"the journal is damaged: {one}" for one in opened.journal.check()]
        runs = opened.journal.runs()
        if len(runs) > 1:
            wrong.append(f"{len(runs)} runs where there should be one")
        for run in runs:
            indices = [episode.index for episode in opened.journal.episodes(run.id)]
            if indices != list(range(len(indices))):
                wrong.append(f"episodes {indices} of run {run.id} are not in a row")
        opened.journal.skills(status=None)
    return wrong


def _memory(home: Path) -> Any:
    """What must be the same: episodes with every step of every attempt, and skills with their evidence."""
    with Home.open(home, create=False, read_only=True) as opened:
        (run,) = opened.journal.runs()
        return _timeless(
            [[dump(e) for e in opened.journal.episodes(run.id)], *map(dump, opened.journal.skills(status=None))]
        )


def _timeless(data: Any) -> Any:
    """Without clock readings and the tier, which may differ."""
    if isinstance(data, dict):
        return {k: _timeless(v) for k, v in data.items() if k not in ("seconds", "tier")}
    return [_timeless(v) for v in data] if isinstance(data, list) else data


def isolations() -> list[str]:
    found = []
    for name in ("bubblewrap", "landlock", "seccomp"):
        try:
            probe(name)
            found.append(name)
        except IsolationError as error:
            print(f"{name} NOT COVERED: {error}")
    return found


def kill(kills: int, tasks: int, seed: int, seconds: float, folder: Path) -> Kills:
    """So many kills, or as many as there is time for."""
    ctypes.CDLL(None).prctl(_SUBREAPER, 1, 0, 0, 0)
    (folder / "tmp").mkdir()
    made = Kills(folder, tasks, random.Random(seed))
    began, ways = time.monotonic(), isolations()
    run = Run(folder / "never-killed", tasks, ways[0], folder)
    made._finished(run, folder / "never-killed")
    never_killed = _memory(folder / "never-killed")
    print(f"{'kills':>6} {'s':>5} {'below':>6} {'with worker':>12} {'gone by':>9} {'continued':>10} {'same':>5}")
    homes = 0
    while made.kills < kills and time.monotonic() - began < seconds and len(made.wrong) < 20:
        home, isolation = folder / f"home-{homes}", ways[homes % len(ways)]
        homes += 1
        until = min(made.kills + PER_HOME, kills)
        while made.kills < until and time.monotonic() - began < seconds and made.one(home, isolation):
            pass
        made.through(home, isolation, never_killed)
        print(
            f"{made.kills:6} {time.monotonic() - began:5.0f} {made.below:6} {made.with_worker:12} "
            f"{max(made.gone, default=0):7.2f} s {made.continued:10} {made.same:5}",
            flush=True,
        )
    if made.kills < kills:
        made.wrong.append(f"only {made.kills} of {kills} kills in {seconds:g} s")
    left = len(list((folder / "tmp").iterdir()))
    print(f"moments: {dict(sorted(made.moments.items()))}; homes: {homes}; files left in the temporary folder: {left}")
    return made


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.soak.kills", description="kill -9 at random moments.")
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--tasks", type=int, default=60, help="of a run")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=1_800, help="no kill begins after so long")
    options = parser.parse_args()
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        made = kill(options.kills, options.tasks, options.seed, options.seconds, Path(folder))
    for what in made.wrong[:20]:
        print(what)
    print(
        f"{'FAILED' if made.wrong else 'ok'}: {made.kills} kills in {time.monotonic() - began:.0f} s, "
        f"{made.below} processes below the hosts, the last gone after {max(made.gone, default=0):.2f} s; "
        f"{len(made.wrong)} wrong"
    )
    sys.exit(bool(made.wrong))


if __name__ == "__main__":
    main()

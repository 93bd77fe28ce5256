"""kill -9 of a skill library at work, at random moments: nothing that it acknowledged is lost, and all fits together.

    python -m tests.soak.library --kills 200

A process of its own opens a home and lives a random life in it (`tests.memory.lives`): admits, merges, verifies, lifts,
retires, restores, prunes; another thread searches all the while. After each step it tells how the journal stands. It is
killed within half a second of its start, or of one of its steps, and after each kill another process opens the home as
it was left and looks at it: whole, beginning with all that was told, with an index that holds what is active, nothing
that calls what is not, and the same as a library whose index is made anew. Every kill hits the home that the one before
left behind, `PER_HOME` times; homes take turns with the index.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import os
import random
import signal
import sys
import tempfile
import threading
import time
import traceback
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

from tests.memory.lives import SMALL, random_step
from tests.memory.toys import EMBEDDER, Direct, Toy, sound, view

from habilis.core import VectorIndex, dump
from habilis.memory import Home
from habilis.memory.index import ChromaIndex, MemoryIndex
from habilis.memory.library import SkillLibrary
from habilis.worlds.verify import GoalJudge, WorldVerifier

PER_HOME = 25  # kills
INDEXES = ("chroma", "memory")
_LONGEST = 60.0  # seconds that a process may take to tell something
_MOMENTS = {"it starts": 30, "it works": 70}  # how often of a hundred


def _opened(home: Home, toy: Toy | None, index: str, warn: Callable[[str], None]) -> SkillLibrary:
    made: VectorIndex = MemoryIndex(EMBEDDER.dim)
    if index == "chroma":
        made = ChromaIndex(home.index_path, EMBEDDER.fingerprint, EMBEDDER.dim)
    verifier = WorldVerifier(toy.make, Direct(), GoalJudge()) if toy is not None else None
    return SkillLibrary.open(home, embedder=EMBEDDER, index=made, verifier=verifier, settings=SMALL, warn=warn)


@dataclass(frozen=True)
class Standing:
    """How a journal stands: what only ever grows, so that of two the later begins with the earlier.

    ``history``: the digest of each change of status; ``versions``: of each version's texts, with the runs that are
    known of it; ``settled``: tasks that skills were offered for.
    """

    history: tuple[str, ...]
    versions: dict[str, tuple[str, int]]
    settled: int

    @classmethod
    def of(cls, home: Home) -> Standing:
        skills = home.journal.skills(None)
        changes = [dump(t) for name in sorted({s.name for s in skills}) for t in home.journal.transitions(name)]
        account = home.journal.get_state("withheld:", {})
        return cls(
            tuple(sorted(map(_digest, changes))),
            {
                f"{s.name}@{s.version}": (
                    _digest([s.program.source, s.goal_template, s.doc, dump(s.program.parameters)]),
                    len(s.evidence.trials) + sum(r.runs for r in s.evidence.contexts.values()),
                )
                for s in skills
            },
            sum(sum(row) for which in ("skills", "closed") for row in account.get(which, {}).values()),
        )

    def lacks(self, earlier: Standing) -> list[str]:
        """What an earlier one had and this one has not."""
        gone = Counter(earlier.history) - Counter(self.history)
        wrong = [f"{gone.total()} changes of status are lost"] if gone else []
        for id, (text, known) in earlier.versions.items():
            now = self.versions.get(id, ("", 0))
            if now[0] != text or now[1] < known:
                wrong.append(f"{id} had {known} runs, now {now[1]}, or another text")
        if self.settled < earlier.settled:
            wrong.append(f"{earlier.settled} tasks were settled, now {self.settled}")
        return wrong


def _digest(data: Any) -> str:
    return hashlib.sha256(json.dumps(data, sort_keys=True, default=str).encode()).hexdigest()[:16]


# ---------------------------------------------------------------------- in processes of their own


def _live(path: Path, index: str, seed: str, out: TextIO) -> None:
    """Go on with a life until killed, telling after each step."""
    toy, warned = Toy(), list[str]()
    with Home.open(path) as home:
        library = _opened(home, toy, index, warned.append)
        threading.Thread(target=_search, args=(library,), daemon=True).start()
        number = 0
        while True:
            done = random_step(library, toy, random.Random(f"{seed}:{number}"))
            stands = Standing.of(home)
            out.write(json.dumps([done.partition(":")[0], stands.history, stands.versions, stands.settled, warned]))
            out.write("\n")
            out.flush()
            number += 1


def _search(library: SkillLibrary) -> None:
    while True:
        for text in ("get oak plank", "have sticks", "ash birch pine"):
            library.search(text, k=9)


def _look(path: Path, index: str, out: TextIO) -> None:
    """What a home that was left behind looks like."""
    wrong: list[str] = []
    with Home.open(path) as home, _opened(home, None, index, wrong.append) as library:
        stands = Standing.of(home)
        try:
            sound(library)
        except AssertionError as error:
            wrong.append(f"it does not fit together: {error!r} {traceback.format_exc()[-300:]}")
        skills, _, due, credits = view(library)
        anew = _opened(home, None, "memory", wrong.append)
        if (skills, due, credits) != (view(anew)[0], *view(anew)[2:]):
            wrong.append("it is not as one that is opened anew")
        for skill in library.active().values():
            outdone = skill.cases and all(case.successor for case in skill.cases)
            if not outdone and all(hit.skill != skill for hit in library.search(skill.name.replace("_", " "), k=99)):
                wrong.append(f"{skill.name} is not found")
    out.write(json.dumps([stands.history, stands.versions, stands.settled, wrong, len(library.active())]) + "\n")


class Child:
    """A fork of this process that does one thing and tells about it, line by line."""

    def __init__(self, work: Callable[[TextIO], None]) -> None:
        read, write = os.pipe()
        self.pid = os.fork()
        if not self.pid:
            os.close(read)
            code = 1
            try:
                with open(write, "w", encoding="utf-8") as out:
                    try:
                        work(out)
                        code = 0
                    except BaseException:
                        out.write(json.dumps(traceback.format_exc()[-900:]) + "\n")
            finally:
                os._exit(code)
        os.close(write)
        self.lines: list[Any] = []
        self._reader = threading.Thread(target=self._read, args=(read,), daemon=True)
        self._reader.start()

    def _read(self, read: int) -> None:
        with open(read, encoding="utf-8") as lines:
            for line in lines:
                if line.endswith("\n"):  # the last may be cut short
                    self.lines.append(json.loads(line))

    def wait_for(self, lines: int) -> None:
        until = time.monotonic() + _LONGEST
        while len(self.lines) < lines and self._reader.is_alive():
            if time.monotonic() > until:
                raise TimeoutError(f"nothing was told for {_LONGEST:g} s")
            time.sleep(0.002)

    def end(self, kill: bool = False) -> int:
        if kill:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)
        status = os.waitpid(self.pid, 0)[1]
        self._reader.join(10)
        return os.waitstatus_to_exitcode(status)


# ---------------------------------------------------------------------- the kills


@dataclass
class Kills:
    """What came of the kills so far."""

    folder: Path
    seed: int
    wrong: list[str] = field(default_factory=list)
    kills: int = 0
    told: int = 0  # steps that were acknowledged
    unacknowledged: int = 0  # kills after which more was kept than had been told
    active: int = 0  # skills, most at a time
    steps: Counter[str] = field(default_factory=Counter)
    moments: Counter[str] = field(default_factory=Counter)

    def one(self, home: Path, index: str, before: Standing | None, draw: random.Random) -> Standing | None:
        """Let it live, kill it, and look; how the journal stands then."""
        moment = draw.choices(list(_MOMENTS), list(_MOMENTS.values()))[0]
        life = Child(lambda out: _live(home, index, f"{self.seed}:{self.kills}", out))
        if moment == "it works":
            life.wait_for(draw.randint(1, 12))
        time.sleep(draw.uniform(0, 0.5 if moment == "it starts" else 0.05))
        code = life.end(kill=True)
        self.kills += 1
        where = f"kill {self.kills} ({moment}, {index})"
        if code != -signal.SIGKILL:
            self.wrong.append(f"{where}: it had ended with {code}: {life.lines[-1:]}")
            return before
        self.moments[moment] += 1
        self.told += len(life.lines)
        self.steps.update(line[0] for line in life.lines)
        if life.lines:
            _, history, versions, settled, warned = life.lines[-1]
            before = _standing(history, versions, settled)
            self.wrong += [f"{where}: it warned: {text}" for text in warned]
        look = Child(lambda out: _look(home, index, out))
        if look.end() or not look.lines:
            self.wrong.append(f"{where}: it cannot be opened: {look.lines}")
            return before
        history, versions, settled, wrong, active = look.lines[0]
        now = _standing(history, versions, settled)
        self.active = max(self.active, active)
        self.unacknowledged += before is not None and now != before
        self.wrong += [f"{where}: {text}" for text in (*wrong, *(now.lacks(before) if before is not None else []))]
        return now


def _standing(history: list[str], versions: dict[str, list[Any]], settled: int) -> Standing:
    return Standing(tuple(history), {id: (text, known) for id, (text, known) in versions.items()}, settled)


def kill(kills: int, seed: int, seconds: float, folder: Path) -> Kills:
    """So many kills, or as many as there is time for."""
    import chromadb  # noqa: F401  # once, and not in every fork

    made, draw, began, homes = Kills(folder, seed), random.Random(seed), time.monotonic(), 0
    print(f"{'kills':>6} {'s':>5} {'index':>7} {'told':>6} {'kept untold':>12} {'active':>7}")
    while made.kills < kills and time.monotonic() - began < seconds and len(made.wrong) < 20:
        home, index = folder / f"home-{homes}", INDEXES[homes % len(INDEXES)]
        homes += 1
        stands: Standing | None = None
        for _ in range(min(PER_HOME, kills - made.kills)):
            if time.monotonic() - began > seconds:
                break
            stands = made.one(home, index, stands, draw)
        print(
            f"{made.kills:6} {time.monotonic() - began:5.0f} {index:>7} {made.told:6} {made.unacknowledged:12} "
            f"{made.active:7}",
            flush=True,
        )
    if made.kills < kills:
        made.wrong.append(f"only {made.kills} of {kills} kills in {seconds:g} s")
    print(f"moments: {dict(sorted(made.moments.items()))}; steps: {dict(sorted(made.steps.items()))}")
    return made


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.soak.library", description="kill -9 of a library at work.")
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=1_800, help="no kill begins after so long")
    options = parser.parse_args()
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        made = kill(options.kills, options.seed, options.seconds, Path(folder))
    for what in made.wrong[:20]:
        print(what)
    print(
        f"{'FAILED' if made.wrong else 'ok'}: {made.kills} kills in {time.monotonic() - began:.0f} s, after "
        f"{made.told} steps that were told and {made.unacknowledged} that were kept untold; {len(made.wrong)} wrong"
    )
    sys.exit(bool(made.wrong))


if __name__ == "__main__":
    main()

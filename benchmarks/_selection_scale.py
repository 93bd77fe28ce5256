"""Picking out of 1,000, 100,000 and 1,000,000 augmentations, end to end through `Catalogue.pick`.

Each size in a process of its own. The vectors are synthetic, those of the speed half of `recall`: clusters around the
vectors of real texts, moved along the differences of other such texts, plus a little noise. The tasks are the vectors
of real questions. They lie in faiss (inverted lists from 10,000 of a kind on). Two fifths of the things are skills, a
few of them with a requirement; three tenths tools, a fifth of them with rivals; the rest demonstrations, documents and
a few models.

*Without embedding*, the task's vector is at hand; *with* it the encoder (MiniLM where it was fetched, else hashed
words) embeds the task's text, and the known vector is put in place of its result.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks._harness import ROOT, Figure
from benchmarks._recall_speed import DIM, around, encoder, texts

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from habilis.core import Augmentation, Embedder

TASKS = 200
MORE = 1_000  # that are added at once to a catalogue that is in use
UNITS = {
    "pick_p50_ms": "ms, without embedding",
    "pick_p99_ms": "ms, without embedding",
    "pick_cpu_ms": "ms of CPU, mean",
    "find_p50_ms": "ms, of it for finding",
    "choose_p50_ms": "ms, of it for choosing",
    "pick_embedding_p50_ms": "ms, with embedding",
    "pick_embedding_p99_ms": "ms, with embedding",
    "taken": "things, mean",
    "item_bytes": "bytes of memory an item",
    "item_with_index_bytes": "bytes of memory an item, its vector and its place in the index included",
    "put_us": "us an item",
    "index_us": "us an item, for the whole catalogue, its embedding given",
    "add_us": "us an item, 1,000 at once, until it can be picked, its embedding given",
    "learn_p50_ms": "ms",
    "learn_p99_ms": "ms",
}


def measure_scale(sizes: Sequence[int]) -> dict[str, Figure]:
    """The figures of each size, by names such as ``pick_p50_ms_1m``."""
    figures: dict[str, Figure] = {}
    with tempfile.TemporaryDirectory() as temporary:
        data = Path(temporary)
        prepare(data, max(sizes) + MORE)
        for size in sizes:
            print(f"picking out of {size:,} …", file=sys.stderr, flush=True)
            command = [sys.executable, "-m", "benchmarks._selection_scale", str(size), str(data)]
            done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=False)
            if done.returncode:
                print(f"{size:,} was not measured: it failed", file=sys.stderr)
                continue
            found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
            name = found.pop("encoder")
            for what, value in found.items():
                unit = UNITS[what] + (f" ({name})" if "embedding_p" in what else "")
                figures[f"{what}_{_told(size)}"] = Figure(value, value, value, unit)
    return figures


def _told(size: int) -> str:
    return {1_000: "1k", 100_000: "100k", 1_000_000: "1m"}.get(size, str(size))


def prepare(folder: Path, count: int) -> None:
    """Write the vectors of so many things (rows.npy), and of the tasks, with their texts."""
    import numpy as np

    embedder, _ = encoder()
    told, asked = texts(2_000, TASKS)
    base, draw = embedder.embed(told), np.random.default_rng(0)
    rows = np.lib.format.open_memmap(folder / "rows.npy", "w+", np.float32, (count, DIM))
    for start in range(0, count, 50_000):
        part = around(base, min(50_000, count - start), draw)
        rows[start : start + len(part)] = part
    rows.flush()
    np.save(folder / "tasks.npy", embedder.embed(asked))
    (folder / "asked.json").write_text(json.dumps(asked), "utf-8")


class Given:
    """An embedder that has the vectors: of a thing by the number that its text begins with, of a task by its text.

    ``encoder``: embeds tasks too, where it is there, for the time that this takes.
    """

    fingerprint = "given"
    dim = DIM

    def __init__(self, rows: NDArray[np.float32], tasks: dict[str, NDArray[np.float32]]) -> None:
        self._rows, self._tasks = rows, tasks
        self.encoder: Embedder | None = None

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        import numpy as np

        asked = [text for text in texts if text in self._tasks]
        if asked and self.encoder is not None:
            self.encoder.embed(asked)
        if not asked:  # many things at once
            found: NDArray[np.float32] = np.array(self._rows[[_number(text) for text in texts]])
            return found
        return np.array([self._tasks[t] if t in self._tasks else self._rows[_number(t)] for t in texts])


def _number(text: str) -> int:
    return int(text.split(" ", 1)[0])


def thing(i: int) -> Augmentation:
    """The thing of this number."""
    from habilis.core import Augmentation, Cost, Kind

    text = f"{i} does what things of its kind do, described in a line or two as people write them"
    part, context = i % 20, 20 + (37 * i) % 180
    if i % 1_000 == 999:
        cost = Cost(usd=0.001 * (1 + i % 7), tokens=2_000, calls=1)
        return Augmentation(Kind.MODEL, f"model_{i}", text, cost, provides="writer")
    if part < 8:
        requires = (f"skill:skill_{i - 20}",) if i % 200 == 20 + part else ()
        cost = Cost(world_steps=1 + (13 * i) % 40)
        return Augmentation(Kind.SKILL, f"skill_{i}", text, cost, requires=requires, context=context)
    if part < 14:
        cost = Cost(usd=0.001 * ((7 * i) % 10), seconds=0.1 * ((11 * i) % 30), calls=1)
        provides = f"p{i % 997}" if i % 5 == 0 else ""
        return Augmentation(Kind.TOOL, f"tool_{i}", text, cost, provides=provides, context=context)
    kind = Kind.DEMONSTRATION if part < 17 else Kind.DOCUMENT
    return Augmentation(kind, f"{kind.value}_{i}", text, Cost(tokens=10 * context), context=10 * context)


def at_size(size: int, data: Path, folder: Path) -> dict[str, Any]:
    """Everything that is measured of one size."""
    import numpy as np

    from habilis.core import Budget, Goal, Task
    from habilis.memory.index import FaissIndex
    from habilis.tools import BudgetSelector, Catalogue, TrackRecord

    rows = np.load(data / "rows.npy", mmap_mode="r")
    asked = json.loads((data / "asked.json").read_text("utf-8"))
    real, name = encoder()
    embedder = Given(rows, dict(zip(asked, np.load(data / "tasks.npy"), strict=True)))
    goal, limit = Goal.parse('count("stick") >= 1'), Budget(usd=0.02, seconds=5, tokens=8_000)
    tasks = [Task(goal, "craft", 0, text) for text in asked]
    found: dict[str, Any] = {}
    index = FaissIndex(folder, embedder.fingerprint, DIM)
    catalogue = Catalogue(index, embedder, BudgetSelector(), model=TrackRecord(embedder, TrackRecord(real).threshold))
    before = _private()
    spent = 0.0
    for start in range(0, size, 1_000):
        things = [thing(i) for i in range(start, min(start + 1_000, size))]
        spent += _seconds(lambda things=things: catalogue.put(*things))  # type: ignore[misc]
    found["put_us"] = 1e6 * spent / size
    found["item_bytes"] = (_private() - before) / size
    found["index_us"] = 1e6 * _seconds(catalogue.sync) / size
    found["item_with_index_bytes"] = (_private() - before) / size
    catalogue.pick(tasks[0], limit)  # the first one takes longer
    used = time.process_time()
    picks = [(1e3 * _seconds(lambda task=task: catalogue.pick(task, limit))) for task in tasks]  # type: ignore[misc]
    found["pick_cpu_ms"] = 1e3 * (time.process_time() - used) / len(picks)
    found |= _quantiles("pick_", picks)
    finding, choosing, taken, learning = [], [], [], []
    for task in tasks:
        began = time.perf_counter()
        pool = catalogue.candidates(task)
        halfway = time.perf_counter()
        selection = catalogue.selector.pick(task, pool, limit)
        choosing.append(1e3 * (time.perf_counter() - halfway))
        finding.append(1e3 * (halfway - began))
        taken.append(len(selection.taken))
        used_ids = [a.id for a in selection.taken]
        if used_ids:
            halfway = time.perf_counter()
            catalogue.learn(task.text, used_ids[:1], True)
            learning.append(1e3 * (time.perf_counter() - halfway))
    found["find_p50_ms"], found["choose_p50_ms"] = float(np.median(finding)), float(np.median(choosing))
    found["taken"] = float(np.mean(taken))
    found |= _quantiles("learn_", learning)
    embedder.encoder, found["encoder"] = real, name
    embedder.embed([asked[0]])
    with_it = [1e3 * _seconds(lambda task=task: catalogue.pick(task, limit)) for task in tasks]  # type: ignore[misc]
    found |= _quantiles("pick_embedding_", with_it)
    more = [thing(i) for i in range(size, size + MORE)]

    def add() -> None:
        catalogue.put(*more)
        catalogue.sync()

    found["add_us"] = 1e6 * _seconds(add) / MORE
    index.close()
    return found


def _private() -> float:
    """Bytes of memory that this process alone holds; mapped files are not among them."""
    import gc

    gc.collect()
    status = Path(f"/proc/{os.getpid()}/status").read_text()
    return 1024.0 * next(int(line.split()[1]) for line in status.splitlines() if line.startswith("RssAnon"))


def _seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def _quantiles(prefix: str, times: Sequence[float]) -> dict[str, float]:
    import numpy as np

    return {f"{prefix}p50_ms": float(np.median(times)), f"{prefix}p99_ms": float(np.quantile(times, 0.99))}


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as place:
        print(json.dumps(at_size(int(sys.argv[1]), Path(sys.argv[2]), Path(place))))

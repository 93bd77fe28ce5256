"""How fast recall is, at 1,000, 10,000, 100,000 and 1,000,000 vectors, and what else would do it.

Each system and size in two processes of its own: one adds the vectors, a thousand at once, and closes; one opens,
asks for the ten nearest of 200 queries, and is weighed. Without embedding: from the query's vector to ids and scores.
With: from the query's text. CPU time is there because other load on the machine does not blur it. *open* is to the
first answer, *memory* what the process grew by since before it opened (file pages that are mapped included; a server's
own, for a server), *recall* the share of the true ten nearest.

Ours: the indexes ``chroma``, ``server`` (``chroma run`` on loopback), ``faiss`` and ``exact``. Rivals, in the same run
where they are installed (``pip install habilis[bench]``): Chroma without us, langchain-chroma, sqlite-vec through apsw,
numpy. ``library`` is `SkillLibrary.search` as a whole: vectors, words, and the order of the two, over skills in a
journal.

The vectors are synthetic: clusters around the vectors of real texts in the form of skills (MiniLM; hashed words where
its weights were not fetched), moved along the differences of other such texts, so that they stay where texts lie, plus
a little noise. The queries are the vectors of real questions. Chroma is not filled with a million: at its rate of
adding that takes half an hour and more, each time; nor does ``library`` go beyond 10,000, which it opens too slowly.

    python -m benchmarks._recall_speed --quick
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

from benchmarks._harness import ROOT, Figure, Options, main
from benchmarks._recall_systems import SYSTEMS, installed, resident

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from habilis.core import Embedder

AIMS = {"p50_ms_100k": "<= 5", "p50_ms_1m": "<= 10"}
ENOUGH = 0.95  # recall@10 below which a back end is not called suitable
DIM = 384
OURS = ("chroma", "server", "faiss", "exact")
KEEPING = ("chroma", "server", "faiss")  # what recall is promised with: kept on disk
UP_TO = {"chroma": 100_000, "server": 100_000, "chroma_alone": 100_000, "langchain_chroma": 100_000, "library": 10_000}
QUICK_UP_TO = dict.fromkeys(UP_TO, 10_000)
VERBS = ("get", "craft", "gather", "find", "build", "smelt", "place", "carry", "repair", "trade for", "count", "light")
ASKED = ("how do I get hold of some {}?", "I am in need of {}", "make me {} please", "where does {} come from?")


def names_of(size: int) -> str:
    return {1_000: "1k", 10_000: "10k", 100_000: "100k", 1_000_000: "1m"}.get(size, str(size))


def texts(count: int, queries: int) -> tuple[list[str], list[str]]:
    """Texts in the form of a skill's, and questions, about the things of the craft world."""
    from habilis.worlds.craft.facts import rules

    things = [thing.replace("_", " ") for thing in sorted(rules().items)]
    told = [
        f'{verb} {thing}: {verb} {{n}} {thing} in the world\ncount("{thing}") >= {{n}}'
        for verb in VERBS
        for thing in things
    ]
    step = max(1, len(told) // count)
    asked = [ASKED[i % len(ASKED)].format(things[(7 * i) % len(things)]) for i in range(queries)]
    return told[::step][:count], asked


def prepare(folder: Path, sizes: Sequence[int], count: int, queries: int) -> str:
    """Write the vectors (rows.npy), the queries with their true neighbours for each size; the embedder's name."""
    import numpy as np

    embedder, name = encoder()
    told, asked = texts(count, queries)
    base, wanted = embedder.embed(told), embedder.embed(asked)
    draw = np.random.default_rng(0)
    rows = np.lib.format.open_memmap(folder / "rows.npy", "w+", np.float32, (max(sizes), DIM))
    for start in range(0, len(rows), 50_000):
        n = min(50_000, len(rows) - start)
        rows[start : start + n] = around(base, n, draw)
    rows[: min(len(base), len(rows))] = base[: len(rows)]
    rows.flush()
    np.save(folder / "queries.npy", wanted)
    (folder / "asked.json").write_text(json.dumps({"texts": asked}), "utf-8")
    for size in sizes:
        np.save(folder / f"nearest-{size}.npy", _nearest(rows[:size], wanted, 10))
    return name


def around(base: NDArray[np.float32], count: int, draw: np.random.Generator) -> NDArray[np.float32]:
    """Synthetic unit vectors where texts lie, given the vectors of some texts, (n, DIM)."""
    import numpy as np

    a, b, c = (base[draw.integers(0, len(base), count)] for _ in range(3))
    rows = a + draw.uniform(0.2, 0.7, (count, 1)) * (b - c) + draw.normal(0, 0.15 / DIM**0.5, (count, DIM))
    unit: NDArray[np.float32] = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    return unit


def encoder() -> tuple[Embedder, str]:
    from habilis.memory.embedding import HashEmbedder, open_embedder

    found = open_embedder("auto")
    return (found, "minilm") if found.fingerprint.startswith("minilm") else (HashEmbedder(DIM), "hash")


def _nearest(rows: NDArray[np.float32], queries: NDArray[np.float32], k: int) -> NDArray[np.int64]:
    import numpy as np

    best = np.full((len(queries), k), -2.0, np.float32)
    ids = np.zeros((len(queries), k), np.int64)
    for start in range(0, len(rows), 50_000):
        scores = np.hstack([best, queries @ rows[start : start + 50_000].T])
        new = np.arange(start, start + scores.shape[1] - k)
        here = np.hstack([ids, np.broadcast_to(new, (len(queries), len(new)))])
        top = np.argpartition(-scores, k - 1, axis=1)[:, :k]
        best, ids = np.take_along_axis(scores, top, 1), np.take_along_axis(here, top, 1)
    return ids


# ------------------------------------------------------------------ one system, one size


def fill(name: str, size: int, data: Path, folder: Path) -> dict[str, float]:
    """Add the vectors and close: how fast, and how much disk."""
    import numpy as np

    rows = np.load(data / "rows.npy", mmap_mode="r")[:size]
    system = SYSTEMS[name](folder, DIM)
    seconds = 0.0
    for start in range(0, size, 1000):
        part = np.ascontiguousarray(rows[start : start + 1000])
        ids = [f"skill_{i}@1" for i in range(start, start + len(part))]
        began = time.perf_counter()
        system.add(ids, part)
        seconds += time.perf_counter() - began
    began = time.perf_counter()
    system.close()
    seconds += time.perf_counter() - began
    disk = sum(p.stat().st_size for p in folder.rglob("*") if p.is_file())
    return {"adds_per_s": size / seconds, "disk_bytes": disk / size}


def ask(name: str, size: int, data: Path, folder: Path) -> dict[str, float]:
    """Open, and answer: how fast, how well, and how much memory."""
    import numpy as np

    queries, nearest = np.load(data / "queries.npy"), np.load(data / f"nearest-{size}.npy")
    told = json.loads((data / "asked.json").read_text("utf-8"))
    make = SYSTEMS[name]
    make.warm()
    before = resident(os.getpid())
    began = time.perf_counter()
    system = make(folder, DIM)
    if not make.keeps:
        rows = np.load(data / "rows.npy", mmap_mode="r")[:size]
        for start in range(0, size, 1000):
            part = np.array(rows[start : start + 1000])
            system.add([f"skill_{i}@1" for i in range(start, start + len(part))], part)
        del rows
    system.nearest(queries[0], 10)
    found = {"open_ms": 1e3 * (time.perf_counter() - began)}
    hits, times, used = 0, [], time.process_time()
    for row, true in zip(queries, nearest, strict=True):
        began = time.perf_counter()
        ids = system.nearest(row, 10)
        times.append(1e3 * (time.perf_counter() - began))
        hits += len({int(id[6:-2]) for id in ids} & set(true.tolist()))
        if sum(times) > 20_000:  # one by one through a million: enough was seen
            break
    found |= _quantiles("", times) | {"recall10": hits / (10 * len(times))}
    if make.inside:
        found["cpu_ms"] = 1e3 * (time.process_time() - used) / len(times)
    found["memory_bytes"] = max(0.0, system.weighs(before)) / size
    if name in OURS:
        embedder, _ = encoder()
        embedder.embed(["the first one takes longer"])
        times = _timed(told["texts"][:100], lambda text: system.nearest(embedder.embed([text])[0], 10))
        found |= _quantiles("embedding_", times)
    system.close()
    return found


def library(size: int, data: Path, folder: Path) -> dict[str, float]:
    """`SkillLibrary.search` over so many skills; the vectors of their texts are those of the other measurements."""
    import numpy as np

    from benchmarks._recall_systems import Known
    from habilis.memory.home import Home
    from habilis.memory.index import open_index
    from habilis.memory.library import SkillLibrary, skill_text
    from habilis.testing.journal import example_skill

    rows = np.load(data / "rows.npy", mmap_mode="r")[:size]
    told = json.loads((data / "asked.json").read_text("utf-8"))
    asked = dict(zip(told["texts"], np.load(data / "queries.npy"), strict=True))
    about, _ = texts(min(size, 2_000), 1)
    with Home.open(folder / "home") as home:
        known: dict[str, Any] = dict(asked)
        began = time.perf_counter()
        with home.journal.transaction():
            for i in range(size):
                doc = about[i % len(about)].split(":")[0]
                source = f"def skill_{i}(n=1):\n    world.craft('thing{i}', n)\n"
                skill = example_skill(f"skill_{i}", doc=doc, source=source, goal=f'count("thing{i}") >= {{n}}')
                home.journal.put_skill(skill, "for the benchmark")
                known[skill_text(skill)] = rows[i]
        embedder = Known(known, DIM)
        found = {"stored_per_s": size / (time.perf_counter() - began)}
        SkillLibrary.open(home, embedder=embedder, index=open_index("faiss", home.path, "known", DIM)).close()
        began = time.perf_counter()
        with SkillLibrary.open(home, embedder=embedder, index=open_index("faiss", home.path, "known", DIM)) as opened:
            found["open_ms"] = 1e3 * (time.perf_counter() - began)
            found |= _quantiles("", _timed(told["texts"], lambda text: opened.search(text, k=5)))
    return found


def _timed(inputs: Sequence[str], work: Callable[[str], object]) -> list[float]:
    times = []
    for one in inputs:
        began = time.perf_counter()
        work(one)
        times.append(1e3 * (time.perf_counter() - began))
    return times


def _quantiles(prefix: str, times: Sequence[float]) -> dict[str, float]:
    import numpy as np

    return {f"{prefix}p50_ms": float(np.median(times)), f"{prefix}p99_ms": float(np.quantile(times, 0.99))}


# ------------------------------------------------------------------ all of it

UNITS = {
    "p50_ms": "ms",
    "p99_ms": "ms",
    "cpu_ms": "ms of CPU, mean",
    "embedding_p50_ms": "ms with embedding",
    "embedding_p99_ms": "ms with embedding",
    "open_ms": "ms to the first answer",
    "adds_per_s": "vectors/s",
    "stored_per_s": "skills/s into the journal",
    "disk_bytes": "bytes a vector",
    "memory_bytes": "bytes a vector",
    "recall10": "of the true ten",
}


def measure_speed(options: Options) -> dict[str, Figure]:
    """The figures of all systems that are installed here; `p50_ms_100k` and `p50_ms_1m` are those of the fastest of
    ours that keeps what it holds and finds 95 of 100 neighbours."""
    sizes = (10_000, 100_000) if options.quick else (1_000, 10_000, 100_000, 1_000_000)
    limits = QUICK_UP_TO if options.quick else UP_TO
    systems = [name for name in SYSTEMS if installed(name)]
    figures: dict[str, Figure] = {}
    medians: dict[int, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as temporary:
        data = Path(temporary)
        embedder = prepare(data, sizes, 600 if options.quick else 2_000, 200)
        for size in sizes:
            for name in [*systems, "library"]:
                if size > limits.get(name, size):
                    continue
                print(f"{name} at {names_of(size)} …", file=sys.stderr, flush=True)
                with tempfile.TemporaryDirectory() as place:
                    steps = ("library",) if name == "library" else ("fill", "ask")
                    found: dict[str, float] = {}
                    for step in steps:
                        found |= _apart(step, name, size, data, Path(place))
                for what, value in found.items():
                    unit = UNITS[what] + (f" ({embedder})" if "embedding" in what else "")
                    figures[f"{name}_{names_of(size)}_{what}"] = Figure(value, value, value, unit)
                if name in KEEPING and found["recall10"] >= ENOUGH:
                    medians.setdefault(size, {})[name] = found["p50_ms"]
    for size in (100_000, 1_000_000):
        if size in medians:
            name = min(medians[size], key=lambda n: medians[size][n])
            value = medians[size][name]
            figures[f"p50_ms_{names_of(size)}"] = Figure(value, value, value, f"ms, {name}, without embedding")
    return figures


def _apart(step: str, name: str, size: int, data: Path, place: Path) -> dict[str, float]:
    """One step in a process of its own, so that nothing of the others is weighed."""
    command = [sys.executable, "-m", "benchmarks._recall_speed", "--step", step, name, str(size), str(data), str(place)]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        print(f"{name} at {names_of(size)} was not measured: {step} failed", file=sys.stderr)
        raise SystemExit(1)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def _step(step: str, name: str, size: str, data: str, place: str) -> None:
    if step == "library":
        found = library(int(size), Path(data), Path(place))
    else:
        found = {"fill": fill, "ask": ask}[step](name, int(size), Path(data), Path(place))
    print(json.dumps(found))


if __name__ == "__main__":
    if sys.argv[1:2] == ["--step"]:
        _step(*sys.argv[2:])
    else:
        main("recall_speed", measure_speed, aims=AIMS, seeds=1, quick_seeds=1)

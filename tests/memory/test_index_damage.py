"""Whatever happens to an index's files, nothing is lost silently: what is listed is found, the rest is filled in."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from habilis.core import HomeError, Kind, VectorIndex
from habilis.memory.index import ChromaIndex, ChromaServerIndex, FaissIndex, Synced, sync_index
from habilis.testing.embedding import HashEmbedder

EMBEDDER = HashEmbedder(32)
FEW = {Kind.SKILL: {f"s{i}": f"thing {i}" for i in range(90)}, Kind.TOOL: {"t": "the weather"}}
# Enough that Chroma writes its vector files; below, the write-ahead log holds them.
MANY = {Kind.SKILL: {f"s{i}": f"thing {i}" for i in range(1200)}}


def _chroma(path: Path) -> ChromaIndex:
    return ChromaIndex(path, EMBEDDER.fingerprint, EMBEDDER.dim)


def _faiss(path: Path) -> FaissIndex:
    return FaissIndex(path, EMBEDDER.fingerprint, EMBEDDER.dim)


def _lists(path: Path) -> FaissIndex:
    return FaissIndex(path, EMBEDDER.fingerprint, EMBEDDER.dim, train_from=32, spill=8)


def _delete(file: Path) -> None:
    file.unlink()


def _truncate(file: Path) -> None:
    os.truncate(file, file.stat().st_size // 2)


def _clear(file: Path) -> None:
    os.truncate(file, 0)


def _flip(file: Path) -> None:
    data = bytearray(file.read_bytes())
    if data:
        data[2 * len(data) // 3] ^= 0x10
    file.write_bytes(data)


def _garble(file: Path) -> None:
    file.write_bytes(b"garbage" * 1000)


DAMAGES = (_delete, _truncate, _clear, _flip, _garble)


def _check_whole(index: VectorIndex, wanted: dict[Kind, dict[str, str]], within: float = 1e-3) -> None:
    """Every id is listed and found, and some sixty are found first by the vector of their own text."""
    for kind, texts in wanted.items():
        assert index.ids(kind) == set(texts)
        assert {n.id for n in index.query({kind}, EMBEDDER.embed(["x"])[0], len(texts))} == set(texts)
        some = list(texts)[:: max(1, len(texts) // 60)]
        for id, row in zip(some, EMBEDDER.embed([texts[i] for i in some]), strict=True):
            (found,) = index.query({kind}, row, 1)
            assert found.score == pytest.approx(1, abs=within), id
            assert found.id == id or float(EMBEDDER.embed([texts[found.id]])[0] @ row) > 1 - within


@pytest.mark.parametrize(
    ("open_", "wanted"),
    [(_chroma, FEW), (_chroma, MANY), (_faiss, FEW), (_lists, FEW)],
    ids=["few", "many", "log", "lists"],
)
@pytest.mark.parametrize("damage", DAMAGES)
def test_any_damaged_file_is_noticed_and_made_good(
    tmp_path: Path,
    open_: Callable[[Path], VectorIndex],
    wanted: dict[Kind, dict[str, str]],
    damage: Callable[[Path], None],
) -> None:
    whole = tmp_path / "whole"
    first = open_(whole)
    sync_index(first, wanted, EMBEDDER)
    first.close()
    files = [p.relative_to(whole) for p in sorted(whole.rglob("*")) if p.is_file()]
    assert files
    for number, name in enumerate(files):
        if open_ is _chroma and wanted is MANY and not name.parts[1:] and name.name != "chroma.sqlite3":
            continue
        path = tmp_path / str(number)
        shutil.copytree(whole, path)
        damage(path / name)
        index = open_(path)
        sync_index(index, wanted, EMBEDDER)
        _check_whole(index, wanted, 0.02 if open_ is _lists else 1e-3)
        index.close()
        again = open_(path)
        assert sync_index(again, wanted, EMBEDDER) == Synced(0, 0), name
        again.close()


@pytest.mark.parametrize("open_", [_chroma, _faiss, _lists])
def test_a_folder_that_is_gone_is_rebuilt(tmp_path: Path, open_: Callable[[Path], VectorIndex]) -> None:
    first = open_(tmp_path / "index")
    sync_index(first, FEW, EMBEDDER)
    first.close()
    shutil.rmtree(tmp_path / "index")
    second = open_(tmp_path / "index")
    assert sync_index(second, FEW, EMBEDDER) == Synced(91, 0)
    _check_whole(second, FEW, 0.02)
    second.close()


# ------------------------------------------------------------------ Chroma, whose process was killed: there is no seal


def _unsealed(path: Path) -> None:
    first = _chroma(path)
    sync_index(first, MANY, EMBEDDER)
    first.close()
    (path / "sealed.json").unlink()


def _delete_vectors(path: Path) -> None:
    for file in path.glob("*/*"):
        file.unlink()


def _damage_database(path: Path) -> None:
    _garble(path / "chroma.sqlite3")


@pytest.mark.parametrize("damage", [_damage_database, _delete_vectors])
def test_damage_after_a_kill_is_found_by_asking(tmp_path: Path, damage: Callable[[Path], None]) -> None:
    _unsealed(tmp_path / "index")
    damage(tmp_path / "index")
    second = _chroma(tmp_path / "index")
    assert sync_index(second, MANY, EMBEDDER).added > 0
    _check_whole(second, MANY)
    second.close()


OPEN = """
import sys
from habilis.memory.index import ChromaIndex
index = ChromaIndex(sys.argv[1], sys.argv[2], int(sys.argv[3]))
index.close()
"""


def test_damage_that_ends_the_process_does_so_once(tmp_path: Path) -> None:
    path = tmp_path / "index"
    _unsealed(path)
    (vectors,) = path.glob("*/data_level0.bin")
    os.truncate(vectors, 0)
    arguments = [sys.executable, "-c", OPEN, str(path), EMBEDDER.fingerprint, str(EMBEDDER.dim)]
    # It may die of it or notice; both are well, as long as the next one starts.
    subprocess.run(arguments, capture_output=True, check=False)
    second = _chroma(path)
    assert sync_index(second, MANY, EMBEDDER) == Synced(1200, 0)
    second.close()


def test_what_is_listed_and_cannot_be_found_is_added_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = _chroma(tmp_path)
    sync_index(first, FEW, EMBEDDER)
    collection = type(first._collection(Kind.SKILL))
    first.close()
    whole = collection.query

    def losing(self: object, **asked: object) -> dict[str, list[list[str]]]:
        answer = whole(self, **asked)
        return {**answer, "ids": [[id for id in answer["ids"][0] if id not in ("s3", "s77")]]}

    with monkeypatch.context() as patch:
        patch.setattr(collection, "query", losing)
        second = _chroma(tmp_path)
    assert sync_index(second, FEW, EMBEDDER) == Synced(2, 0)
    _check_whole(second, FEW)
    second.close()


# ------------------------------------------------------------------ a server


def test_vectors_that_a_server_lost_are_filled_in(new_server: Callable[..., object]) -> None:
    mine = new_server()
    index = ChromaServerIndex(mine.url, "me", EMBEDDER.fingerprint, EMBEDDER.dim)  # type: ignore[attr-defined]
    sync_index(index, MANY, EMBEDDER)
    index.close()
    mine.stop()  # type: ignore[attr-defined]
    _delete_vectors(mine.folder)  # type: ignore[attr-defined]
    mine.start()  # type: ignore[attr-defined]
    index = ChromaServerIndex(mine.url, "me", EMBEDDER.fingerprint, EMBEDDER.dim)  # type: ignore[attr-defined]
    assert sync_index(index, MANY, EMBEDDER).added > 0
    _check_whole(index, MANY)
    index.close()


def test_single_vectors_that_a_server_lost_are_filled_in(server: object) -> None:
    index = ChromaServerIndex(server.url, "loser", EMBEDDER.fingerprint, EMBEDDER.dim)  # type: ignore[attr-defined]
    sync_index(index, FEW, EMBEDDER)
    index._collection(Kind.SKILL).delete(ids=["s1", "s2"])
    index.close()
    index = ChromaServerIndex(server.url, "loser", EMBEDDER.fingerprint, EMBEDDER.dim)  # type: ignore[attr-defined]
    assert sync_index(index, FEW, EMBEDDER) == Synced(2, 0)
    _check_whole(index, FEW)
    index.close()


# ------------------------------------------------------------------ faiss, whose process was killed while it wrote


@pytest.mark.parametrize("step", ["lists", "names", "log", "card"])
def test_files_that_are_half_written_change_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    from habilis.memory.index import _seal, faiss_ivf

    first = _lists(tmp_path)
    sync_index(first, FEW, EMBEDDER)
    before = {p.name: p.read_bytes() for p in tmp_path.iterdir()}

    class Killed(BaseException):
        pass

    written, replaced, opened = faiss_ivf._write, _seal.replace, faiss_ivf.Log

    def write(path: Path, fill: object) -> list[int]:
        if path.suffix == f".{step}":
            path.write_bytes(b"half")
            raise Killed
        return written(path, fill)  # type: ignore[arg-type]

    def replace(path: Path, data: bytes) -> None:
        if step == "card":
            raise Killed
        replaced(path, data)

    def log(path: Path, dim: int) -> object:
        if step == "log":
            raise Killed
        return opened(path, dim)

    with monkeypatch.context() as patch:
        patch.setattr(faiss_ivf, "_write", write)
        patch.setattr(_seal, "replace", replace)
        patch.setattr(faiss_ivf, "Log", log)
        patch.setattr(faiss_ivf._Shelf, "_sweep", lambda self: None)  # a killed process tidies nothing up
        with pytest.raises(Killed):
            first._shelves[Kind.SKILL]._write_if(True)
    second = _lists(tmp_path)
    assert sync_index(second, FEW, EMBEDDER) == Synced(0, 0)
    _check_whole(second, FEW, 0.02)
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == before
    second.close()


def test_a_log_that_was_cut_off_keeps_what_came_before(tmp_path: Path) -> None:
    first = _faiss(tmp_path)
    rows = EMBEDDER.embed(["a", "b", "c"])
    for i, id in enumerate("abc"):
        first.upsert(Kind.TOOL, [id], rows[i : i + 1])
    first.close()
    (log,) = tmp_path.glob("*.log")
    os.truncate(log, log.stat().st_size - 3)
    second = _faiss(tmp_path)
    assert second.ids(Kind.TOOL) == {"a", "b"}
    second.upsert(Kind.TOOL, ["d"], rows[2:])
    second.close()
    third = _faiss(tmp_path)
    assert third.ids(Kind.TOOL) == {"a", "b", "d"}
    third.close()


# ------------------------------------------------------------------ disks


def test_a_client_that_cannot_be_made_is_told_with_the_way_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class InternalError(Exception):
        """Chroma's own, which is no OSError."""

    def full(**options: object) -> None:
        raise InternalError("error returned from database: (code: 13) database or disk is full")

    with monkeypatch.context() as patch:
        patch.setattr("chromadb.PersistentClient", full)
        with pytest.raises(HomeError, match=r"InternalError: .*disk is full; free some space.*rebuilt"):
            ChromaIndex(tmp_path / "index", "hash:1", 8)
    ChromaIndex(tmp_path / "index", "hash:1", 8).close()


def test_what_chroma_raises_is_told_with_the_way_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    index = ChromaIndex(tmp_path / "index", "hash:1", 8)

    def full(kind: Kind) -> None:
        raise RuntimeError("database or disk is full")

    monkeypatch.setattr(index, "_collection", full)
    with pytest.raises(HomeError, match=r"disk is full.*rebuilt from the journal"):
        index.ids(Kind.SKILL)


def _may_mount() -> bool:
    if os.getuid() != 0 or not shutil.which("unshare"):
        return False
    return subprocess.run(["unshare", "--mount", "true"], capture_output=True).returncode == 0


FILL = """
import sys
from habilis.core import HomeError, Kind
from habilis.memory.index import open_index
from habilis.testing.index import unit_vectors
rows = unit_vectors(range(2000), 64)
try:
    index = open_index(sys.argv[1], sys.argv[2], "x", 64)
    for start in range(0, 2000, 100):
        index.upsert(Kind.SKILL, [f"n{i}" for i in range(start, start + 100)], rows[start:start + 100])
    print("all", flush=True)
    index.close()
except HomeError as error:
    print("error:", error, flush=True)
    index.close() if "index" in dir() else None
"""
CHECK = """
import sys
from habilis.core import Kind
from habilis.memory.index import open_index
from habilis.testing.index import unit_vectors
rows = unit_vectors(range(2000), 64)
index = open_index(sys.argv[1], sys.argv[2], "x", 64)
kept = index.ids(Kind.SKILL)
found = {n.id for n in index.query({Kind.SKILL}, rows[0], 5000)}
index.upsert(Kind.SKILL, [f"n{i}" for i in range(2000)], rows)
index.close()
print(found == kept, len(kept) < 2000, len(index.ids(Kind.SKILL)) if sys.argv[1] == "faiss" else 2000)
"""


@pytest.mark.skipif(not _may_mount(), reason="needs root and mount namespaces")
@pytest.mark.parametrize("name", ["chroma", "faiss"])
def test_a_full_disk_is_a_clear_error_and_heals(tmp_path: Path, name: str) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    script = f"""
        mount -t tmpfs -o size=400k tmpfs {disk}
        {sys.executable} -c '{FILL}' {name} {disk} >{tmp_path}/first 2>&1
        mount -o remount,size=64m {disk}
        {sys.executable} -c '{CHECK}' {name} {disk} >{tmp_path}/second 2>&1
    """
    subprocess.run(["unshare", "--mount", "sh", "-c", script], check=True, timeout=120)
    first, second = (tmp_path / "first").read_text(), (tmp_path / "second").read_text()
    assert first.startswith("error:"), first
    assert "space" in first
    assert "rebuilt from the journal" in first
    assert second == "True True 2000\n", second


@pytest.mark.skipif(not _may_mount(), reason="needs root and mount namespaces")
@pytest.mark.parametrize("name", ["chroma", "faiss"])
def test_a_disk_that_is_read_only_is_a_clear_error(tmp_path: Path, name: str) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    script = f"""
        mount -t tmpfs -o size=64m tmpfs {disk}
        {sys.executable} -c '{FILL}' {name} {disk} >{tmp_path}/first 2>&1
        mount -o remount,ro {disk}
        {sys.executable} -c '{FILL}' {name} {disk} >{tmp_path}/second 2>&1
    """
    subprocess.run(["unshare", "--mount", "sh", "-c", script], check=True, timeout=120)
    assert (tmp_path / "first").read_text() == "all\n"
    second = (tmp_path / "second").read_text()
    assert second.startswith("error: cannot write the index"), second
    assert "fix the rights" in second


def test_recall_of_the_lists_is_what_is_promised(tmp_path: Path) -> None:
    """Ten nearest of 6,000 vectors in 60 clusters, for queries as far from a vector as a paraphrase is."""
    draw = np.random.default_rng(3)

    def unit(
        rows: np.ndarray[tuple[int, ...], np.dtype[np.float64]],
    ) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
        return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)

    centres = draw.normal(size=(60, 64))
    rows = unit(centres[draw.integers(0, 60, 6000)] + 0.9 * draw.normal(size=(6000, 64)))
    queries = unit(rows[draw.integers(0, 6000, 200)] + 0.08 * draw.normal(size=(200, 64)))
    index = FaissIndex(tmp_path, "x", 64, train_from=2000, spill=500)
    for start in range(0, 6000, 250):
        index.upsert(Kind.SKILL, [str(i) for i in range(start, start + 250)], rows[start : start + 250])
    for _ in range(2):  # as it was built, and as it is read
        exact = np.argsort(-(queries @ rows.T), axis=1)[:, :10]
        hits = [
            len({int(n.id) for n in index.query({Kind.SKILL}, q, 10)} & set(near.tolist()))
            for q, near in zip(queries, exact, strict=True)
        ]
        assert sum(hits) / (10 * len(hits)) >= 0.95
        index.close()
        index = FaissIndex(tmp_path, "x", 64, train_from=2000, spill=500)
    index.close()

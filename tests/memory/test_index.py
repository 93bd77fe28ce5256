"""The index: conforms, heals, and never mixes the vectors of two embedders."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from habilis.core import HomeError, Kind
from habilis.memory.index import ChromaIndex, MemoryIndex, Synced, sync_index, text_id
from habilis.testing.embedding import HashEmbedder, check_index

EMBEDDER = HashEmbedder(32)
WANTED = {Kind.SKILL: {f"s{i}": f"get {i} sticks" for i in range(30)}, Kind.TOOL: {"t": "the weather"}}


def _open(path: Path, **options: bool) -> ChromaIndex:
    return ChromaIndex(path, EMBEDDER.fingerprint, EMBEDDER.dim, **options)


def test_memory_conforms() -> None:
    check_index(lambda: MemoryIndex(8))


def test_chroma_conforms(tmp_path: Path) -> None:
    check_index(lambda: ChromaIndex(tmp_path / "index", "x", 8))


def test_an_index_that_breaks_a_rule_is_caught() -> None:
    class Forgetful(MemoryIndex):
        def delete(self, kind: Kind, ids: object) -> None:
            pass

    with pytest.raises(AssertionError, match="deleted is gone"):
        check_index(lambda: Forgetful(8))


@pytest.fixture(params=["memory", "chroma"])
def index(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[MemoryIndex | ChromaIndex]:
    made = MemoryIndex(EMBEDDER.dim) if request.param == "memory" else _open(tmp_path / "index")
    yield made
    made.close()


def test_sync_adds_what_lacks_and_deletes_what_is_stale(index: MemoryIndex | ChromaIndex) -> None:
    assert sync_index(index, WANTED, EMBEDDER) == Synced(31, 0)
    assert sync_index(index, WANTED, EMBEDDER) == Synced(0, 0)
    changed = {Kind.SKILL: {**WANTED[Kind.SKILL], "new": "light a fire"}}
    del changed[Kind.SKILL]["s3"]
    assert sync_index(index, changed, EMBEDDER) == Synced(1, 1)
    assert index.ids(Kind.SKILL) == set(changed[Kind.SKILL])
    assert index.ids(Kind.TOOL) == {"t"}
    assert index.query({Kind.SKILL}, EMBEDDER.embed(["light a fire"])[0], 1)[0].id == "new"


def test_an_id_can_carry_its_text() -> None:
    assert text_id("weather", "sunny") != text_id("weather", "rainy")
    assert text_id("weather", "sunny") == text_id("weather", "sunny")


def test_what_was_written_is_there_again(tmp_path: Path) -> None:
    first = _open(tmp_path)
    sync_index(first, WANTED, EMBEDDER)
    first.close()
    second = _open(tmp_path)
    assert sync_index(second, WANTED, EMBEDDER) == Synced(0, 0)
    second.close()


def test_another_embedder_is_refused_until_rebuilt(tmp_path: Path) -> None:
    first = _open(tmp_path)
    sync_index(first, WANTED, EMBEDDER)
    first.close()
    other = HashEmbedder(64)
    with pytest.raises(HomeError, match=r"hash:v1-32 \(dim 32\).*hash:v1-64 \(dim 64\).*rebuild"):
        ChromaIndex(tmp_path, other.fingerprint, other.dim)
    again = _open(tmp_path)
    assert len(again.ids(Kind.SKILL)) == 30
    again.close()
    rebuilt = ChromaIndex(tmp_path, other.fingerprint, other.dim, rebuild=True)
    assert sync_index(rebuilt, WANTED, other) == Synced(31, 0)
    rebuilt.close()


def _damage_database(path: Path) -> None:
    (path / "chroma.sqlite3").write_bytes(b"garbage" * 1000)


def _delete_vectors(path: Path) -> None:
    for file in path.glob("*/*"):
        file.unlink()


def _delete_all(path: Path) -> None:
    shutil.rmtree(path)


@pytest.mark.parametrize("damage", [_damage_database, _delete_vectors, _delete_all])
def test_a_damaged_folder_is_rebuilt(tmp_path: Path, damage: object) -> None:
    path = tmp_path / "index"
    # Enough that Chroma writes its vector files; below, the write-ahead log holds them.
    wanted = {Kind.SKILL: {f"s{i}": f"thing {i}" for i in range(1200)}}
    first = _open(path)
    sync_index(first, wanted, EMBEDDER)
    first.close()
    damage(path)  # type: ignore[operator]
    second = _open(path)
    synced = sync_index(second, wanted, EMBEDDER)
    assert synced.added > 0
    found = second.query({Kind.SKILL}, EMBEDDER.embed(["thing 77"])[0], 1)
    assert [n.id for n in found] == ["s77"]
    assert second.ids(Kind.SKILL) == set(wanted[Kind.SKILL])
    second.close()


OPEN = """
import sys
from habilis.memory.index import ChromaIndex
index = ChromaIndex(sys.argv[1], sys.argv[2], int(sys.argv[3]))
index.close()
"""


def test_damage_that_ends_the_process_does_so_once(tmp_path: Path) -> None:
    path = tmp_path / "index"
    wanted = {Kind.SKILL: {f"s{i}": f"thing {i}" for i in range(1200)}}
    first = _open(path)
    sync_index(first, wanted, EMBEDDER)
    first.close()
    (vectors,) = path.glob("*/data_level0.bin")
    os.truncate(vectors, 0)
    arguments = [sys.executable, "-c", OPEN, str(path), EMBEDDER.fingerprint, str(EMBEDDER.dim)]
    # It may die of it or notice; both are well, as long as the next one starts.
    subprocess.run(arguments, capture_output=True, check=False)
    second = _open(path)
    assert sync_index(second, wanted, EMBEDDER) == Synced(1200, 0)
    second.close()


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

"""The index: every back end conforms, keeps what it holds, heals, and never mixes the vectors of two embedders."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from tests.memory.conftest import BackEnd

from habilis.core import HomeError, InputError, Kind, NotFoundError
from habilis.memory.index import (
    ChromaIndex,
    ChromaServerIndex,
    FaissIndex,
    MemoryIndex,
    OverlayIndex,
    Synced,
    open_index,
    sync_index,
    text_id,
)
from habilis.testing.embedding import HashEmbedder
from habilis.testing.index import Operation, check_index, check_operations, check_reopening, operations

EMBEDDER = HashEmbedder(32)
WANTED = {Kind.SKILL: {f"s{i}": f"get {i} sticks" for i in range(30)}, Kind.TOOL: {"t": "the weather"}}


def test_every_back_end_conforms(back_end: BackEnd) -> None:
    check_index(back_end.new)


def test_what_was_written_is_there_again(keeping: BackEnd) -> None:
    place = keeping.place()
    check_reopening(lambda: keeping.open(place, "x", 8))


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=operations(reopen=True))
def test_every_back_end_is_a_dictionary_of_vectors(back_end: BackEnd, steps: list[Operation]) -> None:
    place = back_end.place()
    lists = back_end.name == "faiss lists"
    check_operations(
        lambda: back_end.open(place, "x", 8),
        steps,
        again=(lambda: back_end.open(place, "x", 8)) if back_end.keeps else None,
        exact=not lists,
        within=0.05 if lists else 1e-3,
    )


def test_an_index_that_breaks_a_rule_is_caught() -> None:
    class Forgetful(MemoryIndex):
        def delete(self, kind: Kind, ids: object) -> None:
            pass

    class Short(MemoryIndex):
        def query(self, kinds: object, vector: object, k: int) -> list[object]:
            return super().query(kinds, vector, k)[:2]  # type: ignore[arg-type]

    with pytest.raises(AssertionError, match=r"deleted is gone|last counts"):
        check_index(lambda: Forgetful(8))
    steps = [Operation("upsert", (Kind.TOOL,), ("a", "b", "c"), (1, 2, 3)), Operation("delete", (Kind.TOOL,), ("a",))]
    with pytest.raises(AssertionError, match="lists"):
        check_operations(lambda: Forgetful(8), steps)
    with pytest.raises(AssertionError, match="2 found, of 3"):
        check_operations(lambda: Short(8), steps[:1])
    with pytest.raises(AssertionError, match="ids are kept"):
        check_reopening(lambda: MemoryIndex(8))


def test_sync_adds_what_lacks_and_deletes_what_is_stale(back_end: BackEnd) -> None:
    index = back_end.new(EMBEDDER.dim)
    assert sync_index(index, WANTED, EMBEDDER) == Synced(31, 0)
    assert sync_index(index, WANTED, EMBEDDER) == Synced(0, 0)
    changed = {Kind.SKILL: {**WANTED[Kind.SKILL], "new": "light a fire"}}
    del changed[Kind.SKILL]["s3"]
    assert sync_index(index, changed, EMBEDDER) == Synced(1, 1)
    assert index.ids(Kind.SKILL) == set(changed[Kind.SKILL])
    assert index.ids(Kind.TOOL) == {"t"}
    assert index.query({Kind.SKILL}, EMBEDDER.embed(["light a fire"])[0], 1)[0].id == "new"
    index.close()


def test_an_id_can_carry_its_text() -> None:
    assert text_id("weather", "sunny") != text_id("weather", "rainy")
    assert text_id("weather", "sunny") == text_id("weather", "sunny")


def test_another_embedder_is_refused_until_rebuilt(keeping: BackEnd) -> None:
    place = keeping.place()
    first = keeping.open(place, EMBEDDER.fingerprint, EMBEDDER.dim)
    sync_index(first, WANTED, EMBEDDER)
    first.close()
    other = HashEmbedder(64)
    with pytest.raises(HomeError, match=r"hash:v1-32 \(dim 32\).*hash:v1-64 \(dim 64\).*habilis index rebuild"):
        keeping.open(place, other.fingerprint, other.dim)
    with pytest.raises(HomeError, match="do not mix"):
        keeping.open(place, "another of the same length", EMBEDDER.dim)
    again = keeping.open(place, EMBEDDER.fingerprint, EMBEDDER.dim)
    assert len(again.ids(Kind.SKILL)) == 30
    again.close()
    rebuilt = keeping.open(place, other.fingerprint, other.dim, rebuild=True)
    assert sync_index(rebuilt, WANTED, other) == Synced(31, 0)
    rebuilt.close()


WRITE = """
import sys, os
from pathlib import Path
from habilis.core import Kind
from habilis.memory.index import open_index
from habilis.testing.index import unit_vectors
index = open_index(sys.argv[1], sys.argv[2], "x", 8)
for i in range(40):
    index.upsert(Kind.SKILL, [f"n{i}"], unit_vectors([i], 8))
print("written", flush=True)
os.kill(os.getpid(), 9)
"""


@pytest.mark.parametrize("name", ["chroma", "faiss"])
def test_a_kill_loses_nothing_that_was_acknowledged(tmp_path: Path, name: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", WRITE, name, str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert done.stdout == "written\n", done.stderr
    index = open_index(name, tmp_path, "x", 8)
    assert index.ids(Kind.SKILL) == {f"n{i}" for i in range(40)}
    index.close()


# ------------------------------------------------------------------ by name, by address


@pytest.mark.parametrize("name", ["chroma", "faiss", "server"])
def test_vectors_of_another_embedder_make_way_where_that_is_said(
    name: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    if name == "faiss":
        pytest.importorskip("faiss", reason="faiss is not installed (pip install habilis[faiss])")
    if name == "server":
        name = request.getfixturevalue("server").url
    first = open_index(name, tmp_path, EMBEDDER.fingerprint, EMBEDDER.dim)
    sync_index(first, WANTED, EMBEDDER)
    held = first.ids(Kind.SKILL)
    first.close()
    other = HashEmbedder(64)
    same = open_index(name, tmp_path, EMBEDDER.fingerprint, EMBEDDER.dim, replace=True)
    assert same.ids(Kind.SKILL) == held
    same.close()
    new = open_index(name, tmp_path, other.fingerprint, other.dim, replace=True)
    assert new.ids(Kind.SKILL) == set()
    sync_index(new, WANTED, other)
    assert new.ids(Kind.SKILL) == held
    new.close()


def test_indexes_are_opened_by_name(tmp_path: Path) -> None:
    for name, kind in (("chroma", ChromaIndex), ("faiss", FaissIndex), ("exact", MemoryIndex)):
        index = open_index(name, tmp_path, EMBEDDER.fingerprint, EMBEDDER.dim)
        assert isinstance(index, kind)
        index.close()
        reading = open_index(name, tmp_path, EMBEDDER.fingerprint, EMBEDDER.dim, read_only=True)
        assert isinstance(reading, MemoryIndex)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["index", "index-faiss"]
    with pytest.raises(NotFoundError, match=r"no index 'fais'; did you mean 'faiss'.*http://HOST:PORT"):
        open_index("fais", tmp_path, "x", 8)
    with pytest.raises(InputError, match="name one of chroma, faiss, exact"):
        open_index("", tmp_path, "x", 8)
    for wrong in (
        "ftp://127.0.0.1:1",
        "http://",
        "http://127.0.0.1:1/path",
        "http://127.0.0.1:99999",
        "http://a:b@c:1",
    ):
        with pytest.raises(InputError, match="no address of a Chroma server"):
            open_index(wrong, tmp_path, "x", 8)


def test_faiss_is_asked_for_where_it_is_not_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "faiss", None)
    with pytest.raises(ImportError, match=r"index 'faiss' needs 'faiss'.*pip install 'habilis\[faiss\]'"):
        open_index("faiss", tmp_path, "x", 8)


def test_an_overlay_changes_nothing_below() -> None:
    base = MemoryIndex(EMBEDDER.dim)
    sync_index(base, WANTED, EMBEDDER)
    over = OverlayIndex(base, EMBEDDER.dim)
    changed = {Kind.SKILL: {**WANTED[Kind.SKILL], "new": "light a fire"}, Kind.TOOL: {}}
    del changed[Kind.SKILL]["s3"]
    assert sync_index(over, changed, EMBEDDER) == Synced(1, 2)
    assert over.ids(Kind.SKILL) == set(changed[Kind.SKILL])
    assert over.ids(Kind.TOOL) == set()
    assert base.ids(Kind.SKILL) == set(WANTED[Kind.SKILL])
    assert over.query({Kind.SKILL}, EMBEDDER.embed(["light a fire"])[0], 1)[0].id == "new"
    assert "s3" not in {n.id for n in over.query({Kind.SKILL}, EMBEDDER.embed(["get 3 sticks"])[0], 40)}
    assert len(over.query({Kind.SKILL, Kind.TOOL}, EMBEDDER.embed(["get 3 sticks"])[0], 40)) == 30


def test_an_overlay_conforms() -> None:
    check_index(lambda: OverlayIndex(MemoryIndex(8), 8))


# ------------------------------------------------------------------ exact


def test_the_nearest_of_many_are_the_nearest() -> None:
    rows = np.random.default_rng(0).normal(size=(3000, 16)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    rows[10:20] = rows[5]  # ties
    index = MemoryIndex(16)
    index.upsert(Kind.TOOL, [f"{i:04}" for i in range(3000)], rows)
    index.delete(Kind.TOOL, [f"{i:04}" for i in range(0, 3000, 7)])
    left = [i for i in range(3000) if i % 7]
    wanted = sorted(left, key=lambda i: (-np.float32(rows[i] @ rows[5]), i))[:6]
    assert [int(n.id) for n in index.query({Kind.TOOL}, rows[5], 6)] == wanted


# ------------------------------------------------------------------ a server


def test_two_homes_on_one_server_do_not_mix(tmp_path: Path, server: object) -> None:
    url = server.url  # type: ignore[attr-defined]
    homes = [tmp_path / "one", tmp_path / "two"]
    first, second = (open_index(url, home, EMBEDDER.fingerprint, EMBEDDER.dim) for home in homes)
    sync_index(first, WANTED, EMBEDDER)
    sync_index(second, {Kind.SKILL: {"mine": "light a fire"}}, EMBEDDER)
    assert second.ids(Kind.SKILL) == {"mine"}
    assert {n.id for n in second.query({Kind.SKILL}, EMBEDDER.embed(["get 3 sticks"])[0], 9)} == {"mine"}
    assert first.ids(Kind.SKILL) == set(WANTED[Kind.SKILL])
    first.close()
    # The second one's embedder may change: it is the first one's that is asked.
    second.close()
    other = HashEmbedder(64)
    open_index(url, homes[1], other.fingerprint, other.dim, rebuild=True).close()
    again = open_index(url, homes[0], EMBEDDER.fingerprint, EMBEDDER.dim)
    assert again.ids(Kind.SKILL) == set(WANTED[Kind.SKILL])
    again.close()


def test_who_only_reads_changes_nothing_on_the_server(tmp_path: Path, server: object) -> None:
    url = server.url  # type: ignore[attr-defined]
    owner = open_index(url, tmp_path, EMBEDDER.fingerprint, EMBEDDER.dim)
    sync_index(owner, WANTED, EMBEDDER)
    reader = open_index(url, tmp_path, EMBEDDER.fingerprint, EMBEDDER.dim, read_only=True)
    assert sync_index(reader, {Kind.SKILL: {"s1": "get 1 sticks"}}, EMBEDDER) == Synced(0, 29)
    assert owner.ids(Kind.SKILL) == set(WANTED[Kind.SKILL])
    reader.close()
    owner.close()


def test_a_server_that_does_not_answer_is_named(tmp_path: Path) -> None:
    with pytest.raises(HomeError, match=r"no Chroma server answers at http://127\.0\.0\.1:9 .*chroma run --host"):
        open_index("http://127.0.0.1:9", tmp_path, "x", 8)


def test_what_answers_otherwise_is_no_chroma_server(tmp_path: Path) -> None:
    from habilis.testing.chat import serve_openai

    with serve_openai(lambda request: "hello") as other:
        address = other.base_url.removesuffix("/v1")
        with pytest.raises(HomeError, match="HTTP 404"):
            open_index(address, tmp_path, "x", 8)


def test_a_server_that_goes_away_is_told_and_what_it_lost_is_filled_in(tmp_path: Path, new_server: object) -> None:
    mine = new_server()  # type: ignore[operator]
    index = ChromaServerIndex(mine.url, "me", EMBEDDER.fingerprint, EMBEDDER.dim)
    sync_index(index, WANTED, EMBEDDER)
    mine.stop()
    with pytest.raises(HomeError, match=rf"the Chroma server at {mine.url} cannot be used.*filled in from the journal"):
        index.query({Kind.SKILL}, EMBEDDER.embed(["a"])[0], 1)
    index.close()
    mine.start()  # with what it kept
    index = ChromaServerIndex(mine.url, "me", EMBEDDER.fingerprint, EMBEDDER.dim)
    assert sync_index(index, WANTED, EMBEDDER) == Synced(0, 0)
    index.close()
    mine.stop()
    for path in mine.folder.iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    mine.start()  # with nothing
    index = ChromaServerIndex(mine.url, "me", EMBEDDER.fingerprint, EMBEDDER.dim)
    assert sync_index(index, WANTED, EMBEDDER) == Synced(31, 0)
    assert index.query({Kind.SKILL}, EMBEDDER.embed(["get 3 sticks"])[0], 1)[0].id == "s3"
    index.close()

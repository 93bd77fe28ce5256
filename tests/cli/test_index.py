"""``--index`` and ``--embedder``: where vectors are kept and what makes them, and what is wrong with a name."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.cli.conftest import Cli
from tests.memory.conftest import ChromaServer, chroma_program

from habilis.core import Kind
from habilis.memory.embedding import HashEmbedder
from habilis.memory.index import ChromaServerIndex
from habilis.memory.index.chroma_server import home_owner
from habilis.testing.chat import serve_openai


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ChromaServer]:
    if chroma_program() is None:
        pytest.skip("the program chroma, which comes with chromadb, is not there")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    (tmp_path / "server").mkdir()
    made = ChromaServer(tmp_path / "server", port)
    made.start()
    yield made
    made.stop()


def test_an_index_can_be_changed_from_command_to_command(cli: Cli, home: Path) -> None:
    found = {}
    for name in ("chroma", "faiss", "exact"):
        name_ = cli("skills", "list", "--json", "--home", home).json[0]["name"]
        retired = cli("skills", "retire", name_, "--index", name, "--home", home)
        assert retired.code == 0, retired.err
        assert cli("skills", "restore", name_, "--index", name, "--home", home).code == 0
        searched = cli("skills", "search", "get a log", "--index", name, "--json", "--home", home)
        found[name] = [row["name"] for row in searched.json]
    assert found["chroma"] == found["faiss"] == found["exact"] != []
    assert (home / "index-faiss" / "skill.json").exists()


def test_a_run_with_faiss(cli: Cli, tmp_path: Path) -> None:
    done = cli("run", "-n", "6", "--distil-every", "0", "--index", "faiss", "--home", tmp_path / "h", "--json")
    assert done.code == 0, done.err
    assert not (tmp_path / "h" / "index").exists()


def test_vectors_on_a_server(cli: Cli, home: Path, server: ChromaServer) -> None:
    done = cli("run", "-n", "18", "--distil-every", "0", "--index", server.url, "--home", home, "--json")
    assert done.code == 0, done.err
    embedder = HashEmbedder()
    skills = {f"{s['name']}@{s['version']}" for s in cli("skills", "list", "--json", "--home", home).json}
    index = ChromaServerIndex(server.url, home_owner(home), embedder.fingerprint, embedder.dim)
    held = index.ids(Kind.SKILL)
    assert {id.partition("#")[0] for id in held} == skills  # a skill with choices has a text for each case besides
    index.delete(Kind.SKILL, sorted(skills)[:2])
    here = cli("skills", "search", "get a log", "--json", "--home", home)
    there = cli("skills", "search", "get a log", "--index", server.url, "--json", "--home", home)
    assert [r["name"] for r in here.json] == [r["name"] for r in there.json] != []
    assert len(index.ids(Kind.SKILL)) == len(held) - 2  # a search changes nothing
    index.close()


@pytest.mark.parametrize(
    ("index", "said"),
    [
        ("chrome", "there is no index 'chrome'; did you mean 'chroma'?"),
        ("http://127.0.0.1:9", "no Chroma server answers at http://127.0.0.1:9"),
        ("http://", "is no address of a Chroma server"),
        ("", "name one of chroma, faiss, exact"),
    ],
)
def test_what_is_wrong_with_an_index_is_said(cli: Cli, home: Path, index: str, said: str) -> None:
    commands: tuple[tuple[str, ...], ...] = (
        ("skills", "search", "a log"),
        ("run", "-n", "1"),
        ("ask", "yields", 'count("stick")'),
    )
    for command in commands:
        done = cli(*command, "--index", index, "--home", home)
        assert done.code == 1
        assert said in done.err
        assert "Traceback" not in done.err


def test_an_index_of_another_embedder_names_the_folder_and_the_command(cli: Cli, home: Path) -> None:
    from habilis.memory.index import open_index

    open_index("faiss", home, "another", 512, rebuild=True).close()
    index = open_index("faiss", home, "another", 512)
    index.upsert(Kind.TOOL, ["a"], HashEmbedder().embed(["a"]))
    index.close()
    done = cli("run", "-n", "1", "--index", "faiss", "--home", home)
    assert done.code == 1
    assert f"the index {home / 'index-faiss'} holds vectors of another" in done.err
    assert "habilis index rebuild --home HOME --index faiss" in done.err
    assert cli("index", "rebuild", "--home", home, "--index", "faiss").code == 0
    assert cli("run", "-n", "17", "--distil-every", "0", "--index", "faiss", "--home", home).code == 0


def test_embeddings_of_a_server_are_used_and_kept(cli: Cli, tmp_path: Path) -> None:
    hashed: Callable[[list[str]], list[list[float]]] = lambda texts: HashEmbedder(64).embed(texts).tolist()  # noqa: E731
    home = tmp_path / "h"
    with serve_openai(vectors=hashed) as there:
        learn = ("run", "-n", "8", "--distil-every", "0", "--home", home, "--json")
        unpriced = cli(*learn, "--embedder", f"endpoint:bge@{there.base_url}")
        assert unpriced.code == 1
        assert "HABILIS_EMBEDDING_PRICE" in unpriced.err
        assert not there.embeddings
        dear = cli.apart(*learn, "--embedder", f"endpoint:bge@{there.base_url}", HABILIS_EMBEDDING_PRICE="10")
        assert dear.code == 1
        assert "usd=0 is reached" in dear.err
        done = cli.apart(*learn, "--embedder", f"endpoint:bge@{there.base_url}", HABILIS_EMBEDDING_PRICE="0")
        assert done.code == 0, done.err
        asked = len(there.embeddings)
        assert asked > 1
        found = cli.apart("skills", "search", "get a log", "--json", "--home", home, HABILIS_EMBEDDING_PRICE="0")
        assert found.code == 0, found.err
        assert len(there.embeddings) > asked
        other = cli("run", "-n", "9", "--embedder", "hash", "--home", home)
        assert other.code == 1
        assert f"made with the embedder endpoint:bge@{there.base_url}" in other.err
        assert f"habilis index rebuild --home {home} --embedder hash" in other.err
        asked = len(there.embeddings)
        made = cli.apart("index", "rebuild", "--home", home, HABILIS_EMBEDDING_PRICE="0")
        assert made.code == 0, made.err
        assert f"embedder endpoint:bge@{there.base_url}" in made.out
        assert len(there.embeddings) > asked
    gone = cli.apart("run", "-n", "9", "--distil-every", "0", "--home", home, HABILIS_EMBEDDING_PRICE="0")
    assert gone.code == 1
    assert "cannot be reached" in gone.err

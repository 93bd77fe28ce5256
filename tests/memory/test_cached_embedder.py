"""Vectors that outlive the process: never wrong, and never in the way."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from habilis.memory.embedding import CachedEmbedder, HashEmbedder
from habilis.testing.embedding import check_embedder


class Counting(HashEmbedder):
    """Counts the texts that it really embeds."""

    asked = 0

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        self.asked += len(texts)
        return super().embed(texts)


TEXTS = ["get four sticks", "melt iron", "half \udcff"]


def _asked(file: Path, texts: Sequence[str] = TEXTS, *, read_only: bool = False, dim: int = 64) -> int:
    """How many of the texts had to be embedded; the vectors are right in any case."""
    inner = Counting(dim)
    rows = CachedEmbedder(inner, file, read_only=read_only).embed(texts)
    assert np.array_equal(rows, HashEmbedder(dim).embed(texts))
    return inner.asked


def test_it_is_an_embedder_like_the_one_inside(tmp_path: Path) -> None:
    embedder = CachedEmbedder(HashEmbedder(64), tmp_path / "v")
    check_embedder(embedder)
    check_embedder(CachedEmbedder(HashEmbedder(64), tmp_path / "v"))
    assert (embedder.fingerprint, embedder.dim, embedder.dense_share) == ("hash:v1-64", 64, 0.3)


def test_a_text_is_embedded_once(tmp_path: Path) -> None:
    file = tmp_path / "v"
    assert _asked(file) == 3
    assert _asked(file) == _asked(file, read_only=True) == 0
    assert _asked(file, [*TEXTS, "new", "new"]) == 1
    assert _asked(file, dim=32) == 3  # another embedder
    assert _asked(file, [f"text {i}" for i in range(2_000)]) == 2_000
    assert _asked(file, [f"text {i}" for i in range(2_000)]) == 0
    file.unlink()
    assert _asked(file) == 3


def test_who_only_reads_writes_nothing(tmp_path: Path) -> None:
    file = tmp_path / "v"
    assert _asked(file, read_only=True) == 3
    assert not list(tmp_path.iterdir())
    _asked(file)
    before = file.read_bytes()
    assert _asked(file, ["new"], read_only=True) == 1
    assert file.read_bytes() == before
    file.write_bytes(b"damaged")
    assert _asked(file, read_only=True) == 3
    assert file.read_bytes() == b"damaged"


def _damage(file: Path, how: str) -> None:
    if how == "no database":
        file.write_bytes(b"damaged" * 1000)
    elif how == "a page":
        data = bytearray(file.read_bytes())
        data[4096 : 2 * 4096] = b"\xff" * 4096
        file.write_bytes(data)
    elif how == "cut short":
        file.write_bytes(file.read_bytes()[:5000])
    else:
        with closing(sqlite3.connect(file)) as db, db:
            db.execute(how)


@pytest.mark.parametrize(
    "how",
    [
        "no database",
        "a page",
        "cut short",
        "PRAGMA user_version = 7",
        "DROP TABLE vectors",
        "ALTER TABLE vectors RENAME COLUMN vector TO other",
        "UPDATE vectors SET vector = x'00'",
        "UPDATE vectors SET vector = zeroblob(256)",
        "UPDATE vectors SET vector = 'abc'",
    ],
)
def test_a_damaged_file_is_made_anew(tmp_path: Path, how: str) -> None:
    file = tmp_path / "v"
    _asked(file)
    _damage(file, how)
    assert _asked(file, read_only=True) == 3
    assert _asked(file) == 3
    assert _asked(file) == 0


def test_what_cannot_be_written_is_no_matter(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    assert _asked(tmp_path / "folder") == 3
    assert _asked(tmp_path / "none" / "v") == 3
    file = tmp_path / "v"
    _asked(file, ["one"])
    with closing(sqlite3.connect(file, isolation_level=None)) as db:
        db.execute("BEGIN EXCLUSIVE")  # another process is at it
        assert _asked(file) == 3
    assert _asked(file) == 3
    assert _asked(file) == 0


FULL = """
import resource, sys
import numpy as np
from pathlib import Path
from habilis.memory.embedding import CachedEmbedder, HashEmbedder
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
texts = [f"text {i}" for i in range(500)]
embedder = CachedEmbedder(HashEmbedder(64), Path(sys.argv[1]))
for start in range(0, 500, 50):
    part = texts[start : start + 50]
    assert np.array_equal(embedder.embed(part), HashEmbedder(64).embed(part))
"""


def test_a_full_disk_only_means_no_cache(tmp_path: Path) -> None:
    file = tmp_path / "v"
    subprocess.run([sys.executable, "-c", FULL, str(file)], check=True)
    assert file.stat().st_size <= 20_000
    assert _asked(file) == 3
    assert _asked(file) == 0


def test_the_oldest_vectors_make_room(tmp_path: Path) -> None:
    file = tmp_path / "v"
    embedder = CachedEmbedder(HashEmbedder(64), file, size=10)
    for start in range(0, 40, 4):
        embedder.embed([f"text {i}" for i in range(start, start + 4)])
    with closing(sqlite3.connect(file)) as db:
        assert db.execute("SELECT count(*) FROM vectors").fetchone() == (10,)
    assert _asked(file, ["text 39", "text 30", "text 29"]) == 1

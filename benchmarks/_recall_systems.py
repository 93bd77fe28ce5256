"""The systems that `_recall_speed` compares: our indexes and what else would do it, behind one small face."""

from __future__ import annotations

import importlib.util
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from habilis.core import HomeError, Kind, VectorIndex

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def resident(pid: int) -> float:
    """Bytes of memory that a process holds, pages of mapped files included."""
    status = Path(f"/proc/{pid}/status").read_text()
    return 1024.0 * next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS"))


class System:
    """Opened on a folder. ``keeps``: on disk; ``inside``: in this process. ``warm`` imports, so that this is not
    weighed."""

    keeps = inside = True

    def __init__(self, folder: Path, dim: int) -> None:
        raise NotImplementedError

    @classmethod
    def warm(cls) -> None:
        """Import what it needs."""

    def add(self, ids: list[str], rows: NDArray[np.float32]) -> None:
        raise NotImplementedError

    def nearest(self, row: NDArray[np.float32], k: int) -> list[str]:
        raise NotImplementedError

    def close(self) -> None:
        """Write and end."""

    def weighs(self, before: float) -> float:
        """Bytes that this process grew by."""
        return resident(os.getpid()) - before


class _Ours(System):
    index: VectorIndex

    def add(self, ids: list[str], rows: NDArray[np.float32]) -> None:
        self.index.upsert(Kind.SKILL, ids, rows)

    def nearest(self, row: NDArray[np.float32], k: int) -> list[str]:
        return [n.id for n in self.index.query({Kind.SKILL}, row, k)]

    def close(self) -> None:
        self.index.close()


class _Named(_Ours):
    name: str
    module: str

    def __init__(self, folder: Path, dim: int) -> None:
        from habilis.memory.index import open_index

        self.index = open_index(self.name, folder, "benchmark", dim)

    @classmethod
    def warm(cls) -> None:
        importlib.import_module(cls.module)


class Chroma(_Named):
    name, module = "chroma", "chromadb"


class Faiss(_Named):
    name, module = "faiss", "faiss"


class Exact(_Named):
    name, module, keeps = "exact", "numpy", False


class Server(_Ours):
    """``chroma run`` on loopback, started with it."""

    inside = False

    def __init__(self, folder: Path, dim: int) -> None:
        from habilis.memory.index import ChromaServerIndex

        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        command = [str(_chroma_program()), "run", "--path", str(folder), "--host", "127.0.0.1", "--port", str(port)]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=folder)
        for _ in range(600):
            try:
                self.index = ChromaServerIndex(f"http://127.0.0.1:{port}", "benchmark", "benchmark", dim)
                return
            except HomeError:
                time.sleep(0.05)
        raise RuntimeError("chroma run did not answer within 30 s")

    @classmethod
    def warm(cls) -> None:
        import chromadb  # noqa: F401

    def close(self) -> None:
        super().close()
        self.process.terminate()
        self.process.wait()

    def weighs(self, before: float) -> float:
        return resident(self.process.pid)


class ChromaAlone(System):
    """chromadb as its documentation shows it, but for a cosine space and vectors that are handed in."""

    def __init__(self, folder: Path, dim: int) -> None:
        import chromadb
        from chromadb.config import Settings

        self.client = chromadb.PersistentClient(str(folder), settings=Settings(anonymized_telemetry=False))
        told: dict[str, Any] = {"embedding_function": None, "configuration": {"hnsw": {"space": "cosine"}}}
        self.collection = self.client.get_or_create_collection("skills", **told)

    @classmethod
    def warm(cls) -> None:
        import chromadb  # noqa: F401

    def add(self, ids: list[str], rows: NDArray[np.float32]) -> None:
        self.collection.add(ids=ids, embeddings=rows)

    def nearest(self, row: NDArray[np.float32], k: int) -> list[str]:
        found: list[str] = self.collection.query(query_embeddings=[row], n_results=k)["ids"][0]
        return found

    def close(self) -> None:
        self.client.close()


class LangChainChroma(System):
    def __init__(self, folder: Path, dim: int) -> None:
        from langchain_chroma import Chroma as Store
        from langchain_core.embeddings import Embeddings

        known: dict[str, Any] = {}

        class Given(Embeddings):
            def embed_documents(self, texts: list[str]) -> list[list[float]]:
                return [known[text].tolist() for text in texts]

            def embed_query(self, text: str) -> list[float]:
                return self.embed_documents([text])[0]

        self.known = known
        self.store = Store("skills", Given(), str(folder), collection_configuration={"hnsw": {"space": "cosine"}})

    @classmethod
    def warm(cls) -> None:
        import langchain_chroma  # noqa: F401

    def add(self, ids: list[str], rows: NDArray[np.float32]) -> None:
        self.known.clear()
        self.known.update(zip(ids, rows, strict=True))
        self.store.add_texts(ids, ids=ids)

    def nearest(self, row: NDArray[np.float32], k: int) -> list[str]:
        return [document.page_content for document in self.store.similarity_search_by_vector(row.tolist(), k=k)]


class SqliteVec(System):
    """The extension through apsw, since the sqlite3 of many Python builds loads none. It compares one by one."""

    def __init__(self, folder: Path, dim: int) -> None:
        import apsw
        import sqlite_vec

        self.db = apsw.Connection(str(folder / "vectors.db"))
        self.db.enable_load_extension(True)
        self.db.load_extension(sqlite_vec.loadable_path())
        self.db.execute(f"CREATE VIRTUAL TABLE IF NOT EXISTS vectors USING vec0(row float[{dim}])")
        self.db.execute("CREATE TABLE IF NOT EXISTS names (id INTEGER PRIMARY KEY, name TEXT UNIQUE)")

    def add(self, ids: list[str], rows: NDArray[np.float32]) -> None:
        with self.db:
            for id, row in zip(ids, rows, strict=True):
                self.db.execute("INSERT INTO names (name) VALUES (?)", (id,))
                told = (self.db.last_insert_rowid(), row.tobytes())
                self.db.execute("INSERT INTO vectors (rowid, row) VALUES (?, ?)", told)

    def nearest(self, row: NDArray[np.float32], k: int) -> list[str]:
        found = "SELECT rowid, distance FROM vectors WHERE row MATCH ? AND k = ?"
        both = f"SELECT name FROM ({found}) JOIN names ON id = rowid ORDER BY distance"
        return [str(name) for (name,) in self.db.execute(both, (row.tobytes(), k))]

    def close(self) -> None:
        self.db.close()


class Numpy(System):
    """One matrix, one product, the ten largest."""

    def __init__(self, folder: Path, dim: int) -> None:
        import numpy as np

        self.file = folder / "rows.npy"
        self.parts: list[Any] = []
        self.rows: Any = np.load(self.file) if self.file.exists() else None

    def add(self, ids: list[str], rows: NDArray[np.float32]) -> None:
        self.parts.append(rows)

    def nearest(self, row: NDArray[np.float32], k: int) -> list[str]:
        import numpy as np

        scores = self.rows @ row
        top = np.argpartition(-scores, k)[:k]
        return [f"skill_{i}@1" for i in top[np.argsort(-scores[top])]]

    def close(self) -> None:
        import numpy as np

        if self.parts:
            np.save(self.file, np.concatenate(self.parts))


class Known:
    """An embedder that knows its texts by heart."""

    fingerprint = "known"

    def __init__(self, rows: Mapping[str, NDArray[np.float32]], dim: int) -> None:
        self.dim, self._rows = dim, rows

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        import numpy as np

        return np.stack([self._rows[text] for text in texts]) if texts else np.empty((0, self.dim), np.float32)


def _chroma_program() -> str | None:
    return shutil.which("chroma", path=os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")]))


SYSTEMS: dict[str, type[System]] = {
    "exact": Exact,
    "faiss": Faiss,
    "chroma": Chroma,
    "server": Server,
    "chroma_alone": ChromaAlone,
    "langchain_chroma": LangChainChroma,
    "sqlite_vec": SqliteVec,
    "numpy": Numpy,
}


def installed(name: str) -> bool:
    modules = {
        "faiss": ("faiss",),
        "langchain_chroma": ("langchain_chroma",),
        "sqlite_vec": ("apsw", "sqlite_vec"),
    }
    if name == "server" and _chroma_program() is None:
        return False
    return all(importlib.util.find_spec(module) is not None for module in modules.get(name, ()))

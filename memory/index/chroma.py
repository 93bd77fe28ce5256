"""Vectors in Chroma, in this process."""

from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path
from typing import Any

from habilis.core.errors import HabilisError, HomeError, MissingExtraError
from habilis.memory.index import _seal
from habilis.memory.index._chroma import ChromaCollections


class ChromaIndex(ChromaCollections):
    """Vectors in a Chroma folder, one collection per kind, cosine.

    One process at a time: two on one folder lose records silently, so the home's lock must be held.
    ``embedder_fingerprint`` and ``dim`` are stored with each collection; `HomeError` is raised when they differ, unless
    ``rebuild``, which empties the folder first. A folder that is damaged is emptied too: ask `sync_index` to fill it.
    The folder is sealed with checksums when it is closed, so that any change in between is noticed; of a folder whose
    process was killed, only the database and what can be found are checked.
    """

    def __init__(self, path: Path | str, embedder_fingerprint: str, dim: int, *, rebuild: bool = False) -> None:
        super().__init__(dim, {"embedder": embedder_fingerprint, "dim": dim})
        self.path = Path(path)
        self._closed = False
        # Damaged vector files do not raise, they end the process. So a mark is left while they are first read: who
        # finds it knows that this ended badly, and starts from an empty folder.
        mark = self.path / "opening"
        try:
            if rebuild or mark.exists() or _seal.broken(self.path) or not _is_sound(self.path / "chroma.sqlite3"):
                self._empty()
            self.path.mkdir(parents=True, exist_ok=True)
            mark.touch()
            try:
                self._client = self._open()
                self._audit()
            except (HomeError, MissingExtraError):
                if hasattr(self, "_client"):
                    self._client.close()
                raise
            except Exception:
                self._empty()
                self.path.mkdir(parents=True, exist_ok=True)
                self._client = self._open()
            finally:
                mark.unlink(missing_ok=True)
        except HabilisError:
            raise
        except Exception as error:  # a full disk is an OSError, or one of Chroma's own
            raise HomeError(
                f"cannot write the index {self.path}: {type(error).__name__}: {str(error)[:200]}; free some space or "
                "fix the rights, and run again: it is rebuilt from the journal"
            ) from error

    def close(self) -> None:
        """Close the folder and seal it. May be called twice."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            super().close()
            try:
                _seal.seal(self.path)
            except OSError:
                pass  # a full disk, or the folder is gone: an unsealed one is checked less, and nothing is lost

    def _told_as(self, said: str) -> str:
        return (
            f"the index cannot be used ({said}); free some space or fix the rights, and run again: it is rebuilt from "
            "the journal"
        )

    def _of_another(self, facts: dict[str, Any]) -> str:
        return (
            f"the index {self.path} holds vectors of {facts.get('embedder')} (dim {facts.get('dim')}), now it "
            f"is {self._facts['embedder']} (dim {self.dim}); the two do not mix. Use the first again, or make the "
            "index anew: habilis index rebuild --home HOME. Nothing is lost, it is derived from the journal"
        )

    def _open(self) -> Any:
        try:
            import chromadb
            from chromadb.config import Settings
        except ImportError as error:
            raise MissingExtraError("the index needs chromadb: pip install 'chromadb>=1.0,<2'") from error
        return chromadb.PersistentClient(path=str(self.path), settings=Settings(anonymized_telemetry=False))

    def _empty(self) -> None:
        shutil.rmtree(self.path, ignore_errors=True)
        try:
            from chromadb.api.shared_system_client import SharedSystemClient

            # Chroma keeps one system per path, also one that failed to start.
            SharedSystemClient._identifier_to_system.pop(str(self.path), None)
        except (ImportError, AttributeError):
            pass


def _is_sound(file: Path) -> bool:
    if not file.exists():
        return True
    try:
        connection = sqlite3.connect(f"file:{file.absolute()}?mode=ro", uri=True)
        try:
            return bool(connection.execute("PRAGMA quick_check(1)").fetchone()[0] == "ok")
        finally:
            connection.close()
    except sqlite3.Error:
        return False

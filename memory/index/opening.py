"""Indexes by name or address."""

from __future__ import annotations

from pathlib import Path

from habilis.core.errors import InputError, NotFoundError
from habilis.core.protocols import VectorIndex
from habilis.memory.index._vectors import ForeignVectors
from habilis.memory.index.chroma import ChromaIndex
from habilis.memory.index.chroma_server import ChromaServerIndex, home_owner
from habilis.memory.index.exact import MemoryIndex
from habilis.memory.index.faiss_ivf import FaissIndex
from habilis.memory.index.overlay import OverlayIndex

__all__ = ["INDEXES", "open_index"]

INDEXES = ("chroma", "faiss", "exact")


def open_index(
    url_or_name: str,
    home_path: Path | str,
    fingerprint: str,
    dim: int,
    *,
    read_only: bool = False,
    rebuild: bool = False,
    replace: bool = False,
) -> VectorIndex:
    """The index of a home: ``chroma`` (in its folder), ``faiss`` (in its folder, for read-mostly millions), ``exact``
    (in memory, filled anew each time) or the address of a Chroma server, ``http://HOST:PORT``.

    ``fingerprint`` and ``dim``: of the embedder. ``read_only``: for one who does not own the home; then what is in its
    folder is left alone (two processes must not share it) and the index is one in memory, and what is on a server is
    read but not changed. ``rebuild``: empty it first; ``replace``: where it holds another embedder's vectors.
    Fill it with `sync_index`.

    Raises `NotFoundError` for an unknown name, `InputError` for what is no address, `HomeError` where it holds another
    embedder's vectors, cannot be written or does not answer, `MissingExtraError` without faiss.
    """
    try:
        return _open(url_or_name, home_path, fingerprint, dim, read_only=read_only, rebuild=rebuild)
    except ForeignVectors:
        if not replace or read_only:
            raise
        return _open(url_or_name, home_path, fingerprint, dim, read_only=False, rebuild=True)


def _open(
    url_or_name: str, home_path: Path | str, fingerprint: str, dim: int, *, read_only: bool, rebuild: bool
) -> VectorIndex:
    if not isinstance(url_or_name, str) or not url_or_name.strip():
        raise InputError(f"index={url_or_name!r}: name one of {', '.join(INDEXES)}, or a server, http://HOST:PORT")
    home = Path(home_path)
    if "://" in url_or_name:
        owner = home_owner(home)
        server = ChromaServerIndex(url_or_name, owner, fingerprint, dim, rebuild=rebuild and not read_only)
        return OverlayIndex(server, dim) if read_only else server
    if url_or_name not in INDEXES:
        raise NotFoundError.of("index", url_or_name, INDEXES, "Or the address of a Chroma server, http://HOST:PORT.")
    if read_only or url_or_name == "exact":
        return MemoryIndex(dim)
    if url_or_name == "faiss":
        return FaissIndex(home / "index-faiss", fingerprint, dim, rebuild=rebuild)
    return ChromaIndex(home / "index", fingerprint, dim, rebuild=rebuild)

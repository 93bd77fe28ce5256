"""The embedder of a home, and where its vectors are kept."""

from __future__ import annotations

from collections.abc import Callable

from habilis.core import Embedder, HomeError, Ledger, NotFoundError
from habilis.memory.embedding import CachedEmbedder, HashEmbedder, RememberingEmbedder, open_embedder
from habilis.memory.home import Home, rebuild_command
from habilis.memory.library import skill_texts

__all__ = ["home_embedder", "keep_vectors", "kept"]

Payer = Ledger | Callable[[], Ledger]


def home_embedder(home: Home, wanted: str = "auto", ledger: Payer | None = None) -> Embedder:
    """The embedder that the home was made with; a home that names none gets ``wanted``, and keeps it once its index was
    opened. ``ledger``: of one that costs something. Raises `HomeError` where the two differ, or this version does not
    know the home's."""
    fixed = home.embedder
    if fixed is not None and wanted == "auto":
        wanted = fixed if fixed.startswith("endpoint:") else fixed.partition(":")[0]
        try:
            embedder = open_embedder(wanted, ledger=ledger)
        except NotFoundError as error:
            raise HomeError(
                f"{home.path / 'home.json'} names the embedder {fixed!r}, which this version does not know. Put back a "
                f"copy of it, or make the index anew with another: {rebuild_command(home.path, 'minilm')}"
            ) from error
    else:
        embedder = open_embedder(wanted, ledger=ledger)
    home.check_embedder(embedder.fingerprint)
    return kept(home, embedder)


def kept(home: Home, embedder: Embedder) -> Embedder:
    """The embedder, with what it gives kept in this process and in the home."""
    if isinstance(embedder, HashEmbedder):  # as fast as reading a file
        return RememberingEmbedder(embedder)
    return RememberingEmbedder(CachedEmbedder(embedder, home.vectors_path, read_only=home.read_only))


def keep_vectors(home: Home, embedder: Embedder) -> None:
    """See that the vectors of all skills are kept, also of those that the index had before they were. For it alone
    nobody is paid."""
    if not home.read_only and not embedder.fingerprint.startswith(("hash:", "endpoint:")):
        embedder.embed([text for s in home.journal.skills() for text in skill_texts(s).values()])

"""The embedder of a home, and where its vectors are kept."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

from habilis.core import Embedder, HabilisError, HomeError, Ledger, NotFoundError, Overrun, Overruns, PriceList
from habilis.memory.embedding import (
    CachedEmbedder,
    EndpointEmbedder,
    HashEmbedder,
    RememberingEmbedder,
    have_embedder,
    open_embedder,
)
from habilis.memory.home import Home, rebuild_command
from habilis.memory.index import open_index
from habilis.memory.library import SkillLibrary, skill_texts

__all__ = ["embedder_at_hand", "home_embedder", "keep_vectors", "kept", "library_at_hand", "open_library"]

Payer = Ledger | Callable[[], Ledger]


def home_embedder(
    home: Home,
    wanted: str = "auto",
    ledger: Payer | None = None,
    *,
    prices: PriceList | None = None,
    overruns: Overruns = "reprice",
    on_overrun: Callable[[Overrun], None] | None = None,
) -> Embedder:
    """The embedder that the home was made with; a home that names none gets ``wanted``, and keeps it once its index was
    opened. ``ledger``, ``prices``, ``overruns``: of one that costs something. Raises `HomeError` where the two differ,
    or this version does not know the home's."""
    fixed = home.embedder
    if fixed is not None and wanted == "auto":
        wanted = fixed if fixed.startswith("endpoint:") else fixed.partition(":")[0]
        try:
            embedder = open_embedder(wanted, ledger=ledger, prices=prices)
        except NotFoundError as error:
            raise HomeError(
                f"{home.path / 'home.json'} names the embedder {fixed!r}, which this version does not know. Put back a "
                f"copy of it, or make the index anew with another: {rebuild_command(home.path, 'minilm')}"
            ) from error
    else:
        embedder = open_embedder(wanted, ledger=ledger, prices=prices)
    if not home.read_only:  # who only reads mixes no vectors
        home.check_embedder(embedder.fingerprint)
        if isinstance(embedder, EndpointEmbedder):
            embedder.standing.keep(home.journal, overruns, on_overrun)
    return kept(home, embedder)


def embedder_at_hand(home: Home) -> Embedder | None:
    """The home's embedder, or None where its files would have to be fetched first."""
    fixed = home.embedder
    with contextlib.suppress(NotFoundError):  # told below
        if fixed is not None and not have_embedder(fixed):
            return None
    return home_embedder(home)


def open_library(home: Home, embedder: Embedder | None, index: str, **options: Any) -> SkillLibrary:
    """The home's library with this index (its name or address); without an embedder one without vectors."""
    if embedder is None:
        return SkillLibrary.open(home, embedder=None, **options)
    told = (index, home.path, embedder.fingerprint, embedder.dim)
    vectors = open_index(*told, read_only=home.read_only, replace=home.embedder is None)
    return SkillLibrary.open(home, embedder=embedder, index=vectors, **options)


def library_at_hand(home: Home, index: str, **options: Any) -> SkillLibrary:
    """The home's library for changing skills, which can wait for vectors: where the embedder cannot be had at once, the
    index follows at the next run."""
    embedder = None
    with contextlib.suppress(HabilisError):
        embedder = None if home.read_only else embedder_at_hand(home)
    return open_library(home, embedder, index, **options)


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

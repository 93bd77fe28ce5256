"""The embedder of a home."""

from __future__ import annotations

from collections.abc import Callable

from habilis.core import Embedder, HomeError, Ledger, NotFoundError
from habilis.memory.embedding import RememberingEmbedder, open_embedder
from habilis.memory.home import Home, rebuild_command

__all__ = ["home_embedder"]

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
    return RememberingEmbedder(embedder)

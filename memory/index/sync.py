"""Making an index agree with the texts that the journal holds."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import NamedTuple

from habilis.core.augmentation import Kind
from habilis.core.protocols import Embedder, VectorIndex

BATCH = 1000


class Synced(NamedTuple):
    """How many vectors were added and how many deleted."""

    added: int
    deleted: int


def text_id(name: str, text: str) -> str:
    """An id that changes whenever the text does."""
    return f"{name}#{hashlib.sha256(text.encode('utf-8', 'replace')).hexdigest()[:12]}"


def sync_index(index: VectorIndex, wanted: Mapping[Kind, Mapping[str, str]], embedder: Embedder) -> Synced:
    """Make the index hold exactly these texts, kind by kind (id -> text); kinds that are not named stay as they are.

    Only what lacks is embedded, so this is cheap when nothing changed and rebuilds all when the index is empty.
    """
    added = deleted = 0
    for kind in sorted(wanted):
        texts, held = wanted[kind], index.ids(kind)
        stale = sorted(held - set(texts))
        missing = sorted(set(texts) - held)
        if stale:
            index.delete(kind, stale)
        for start in range(0, len(missing), BATCH):
            ids = missing[start : start + BATCH]
            index.upsert(kind, ids, embedder.embed([texts[i] for i in ids]))
        added, deleted = added + len(missing), deleted + len(stale)
    return Synced(added, deleted)

"""Vectors by kind and id: nearest neighbours, derived from the journal and rebuilt at will.

An id stands for one text: where a text may change, put its digest into the id (`text_id`). Nothing here is a source of
truth, so whatever is damaged is thrown away and made again by `sync_index`. Which back end for what: docs/embedding.md.
LangChain's vector stores, both ways, are in `habilis.memory.index.langchain`.
"""

from habilis.memory.index.chroma import ChromaIndex
from habilis.memory.index.chroma_server import ChromaServerIndex
from habilis.memory.index.exact import MemoryIndex
from habilis.memory.index.faiss_ivf import FaissIndex
from habilis.memory.index.opening import INDEXES, open_index
from habilis.memory.index.overlay import OverlayIndex
from habilis.memory.index.sync import Synced, sync_index, text_id

__all__ = [
    "INDEXES",
    "ChromaIndex",
    "ChromaServerIndex",
    "FaissIndex",
    "MemoryIndex",
    "OverlayIndex",
    "Synced",
    "open_index",
    "sync_index",
    "text_id",
]

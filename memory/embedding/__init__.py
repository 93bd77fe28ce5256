"""Texts to unit vectors, without torch; offline, or through a server.

Three embedders work offline, best first (figures in docs/embedding.md):

- ``minilm``: all-MiniLM-L6-v2 (Wang et al. 2020; sentence-transformers), int8 ONNX, 384-d, English.
- ``wordllama``: a table of token vectors, averaged (WordLlama; 256-d). Fifty times faster, close on short descriptions.
- ``hash``: feature hashing of words and letter n-grams (Weinberger et al. 2009). Needs no file. It sees spelling, not
  meaning: the honest last resort, and fast enough for tests.

``endpoint:MODEL@URL`` asks any OpenAI-compatible server (`EndpointEmbedder`), under a budget.

A vector depends on its text alone, never on what else is in the batch, so a rebuilt index equals the old one.
"""

from habilis.memory.embedding.cached import CachedEmbedder
from habilis.memory.embedding.endpoint import EndpointEmbedder
from habilis.memory.embedding.hashing import HashEmbedder
from habilis.memory.embedding.minilm import MiniLmEmbedder
from habilis.memory.embedding.opening import fetch_embedder, have_embedder, open_embedder
from habilis.memory.embedding.remembering import RememberingEmbedder
from habilis.memory.embedding.wordllama import WordLlamaEmbedder

__all__ = [
    "CachedEmbedder",
    "EndpointEmbedder",
    "HashEmbedder",
    "MiniLmEmbedder",
    "RememberingEmbedder",
    "WordLlamaEmbedder",
    "fetch_embedder",
    "have_embedder",
    "open_embedder",
]

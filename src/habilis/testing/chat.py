"""Chat models for tests: one that follows a script, and a real OpenAI-compatible server on loopback.

with serve_openai(lambda request: "Hello") as server:
    model = open_chat_model("any", base_url=server.base_url, prices=Prices(0, 0))
"""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from habilis.testing._scripted import ScriptedChatModel

__all__ = ["Response", "ScriptedChatModel", "Server", "serve_openai"]


def __getattr__(name: str) -> Any:
    if name == "ScriptedChatModel":  # its base class costs a second to import; the server does without
        from habilis.testing._scripted import ScriptedChatModel

        return ScriptedChatModel
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


@dataclass(frozen=True)
class Response:
    """A reply with something wrong with it, or out of the ordinary.

    ``status``: an HTTP error with ``text`` as its message; ``headers`` to add; ``delay`` seconds before the reply;
    ``body``: sent as it is (malformed JSON, say); ``usage``: False leaves the counts out; ``drop``: close the
    connection without a word; ``usage_counts``: (input, output) tokens instead of a count of the words.
    """

    text: str = ""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    delay: float = 0.0
    body: str | None = None
    usage: bool = True
    usage_counts: tuple[int, int] | None = None
    drop: bool = False


@dataclass
class Server:
    """``base_url`` for the client; ``requests``: every chat request's JSON; ``headers``: theirs, in lower case;
    ``embeddings`` and ``embedding_headers``: the same of requests for embeddings."""

    base_url: str
    requests: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    embeddings: list[dict[str, Any]] = field(default_factory=list)
    embedding_headers: list[dict[str, str]] = field(default_factory=list)


@contextmanager
def serve_openai(
    reply: Callable[[dict[str, Any]], str | Response] = lambda request: "",
    *,
    models: tuple[str, ...] = ("scripted",),
    dim: int = 16,
    vectors: Callable[[list[str]], Sequence[Sequence[float]]] | None = None,
    embed: Callable[[dict[str, Any]], Response | None] = lambda request: None,
) -> Iterator[Server]:
    """Serve ``/v1/chat/completions`` (also streamed), ``/v1/embeddings`` and ``/v1/models`` on 127.0.0.1.

    ``reply`` is called with each chat request's JSON, in the server's thread. Embeddings are unit vectors of ``dim``
    numbers made from a hash of the text: equal texts, equal vectors, and nothing more; ``vectors`` makes others.
    ``embed`` is called with each request for embeddings first: what it returns is sent instead (``text`` counts only
    for errors). An exception in ``reply`` or ``embed`` becomes HTTP 500 with its text.
    """
    server = Server(base_url="")

    class Handler(_Handler):
        pass

    Handler.state, Handler.reply, Handler.models = server, staticmethod(reply), models
    Handler.embed = staticmethod(embed)
    Handler.vectors = staticmethod(vectors if vectors is not None else lambda texts: [_vector(t, dim) for t in texts])
    httpd = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    httpd.daemon_threads = True
    server.base_url = f"http://127.0.0.1:{httpd.server_address[1]}/v1"
    thread = threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        httpd.shutdown()
        httpd.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    state: Server
    reply: Callable[[dict[str, Any]], str | Response]
    models: tuple[str, ...]
    embed: Callable[[dict[str, Any]], Response | None]
    vectors: Callable[[list[str]], Sequence[Sequence[float]]]

    def log_message(self, format: str, *args: Any) -> None:
        """A test's output is no place for an access log."""

    def do_GET(self) -> None:
        if self.path.rstrip("/") == "/v1/models":
            listed = [{"id": m, "object": "model", "created": 0, "owned_by": "habilis"} for m in self.models]
            self._json(200, {"object": "list", "data": listed})
        else:
            self._error(404, f"no such path: {self.path}")

    def do_POST(self) -> None:
        raw = self.rfile.read(int(self.headers.get("content-length") or 0))
        try:
            request = json.loads(raw)
        except ValueError:
            return self._error(400, "the request is not JSON")
        if not isinstance(request, dict):
            return self._error(400, "the request is not a JSON object")
        path = self.path.partition("?")[0]
        if path == "/v1/embeddings":
            return self._embeddings(request)
        if path == "/v1/chat/completions":
            return self._chat(request)
        return self._error(404, f"no such path: {self.path}")

    def _chat(self, request: dict[str, Any]) -> None:
        self.state.requests.append(request)
        self.state.headers.append({k.lower(): v for k, v in self.headers.items()})
        try:
            answer = type(self).reply(request)
        except Exception as error:
            return self._error(500, f"{type(error).__name__}: {error}")
        answer = Response(answer) if isinstance(answer, str) else answer
        if self._odd(answer):
            return None
        said = sum(len(_text_of(m.get("content")).split()) for m in request.get("messages", []))
        counted = answer.usage_counts or (max(1, said), max(1, len(answer.text.split())))
        usage = {
            "prompt_tokens": counted[0],
            "completion_tokens": counted[1],
            "total_tokens": sum(counted),
        }
        head = {"id": f"chat-{len(self.state.requests)}", "created": 0, "model": request.get("model", "scripted")}
        if request.get("stream"):
            return self._stream(head, answer, usage, bool((request.get("stream_options") or {}).get("include_usage")))
        choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": answer.text}}
        body = head | {"object": "chat.completion", "choices": [choice]} | ({"usage": usage} if answer.usage else {})
        return self._json(answer.status, body, answer.headers)

    def _odd(self, answer: Response) -> bool:
        """Wait, and send an answer that is out of the ordinary; whether that was all."""
        if answer.delay:
            time.sleep(answer.delay)
        if answer.drop:
            self.close_connection = True
        elif answer.body is not None:
            self._send(answer.status, answer.body.encode(), dict(answer.headers))
        elif answer.status >= 400:
            self._error(answer.status, answer.text, answer.headers)
        else:
            return False
        return True

    def _stream(self, head: dict[str, Any], answer: Response, usage: dict[str, int], count: bool) -> None:
        head = head | {"object": "chat.completion.chunk"}
        words = [w for w in _pieces(answer.text) if w]
        deltas: list[dict[str, Any]] = [{"role": "assistant", "content": ""}, *({"content": w} for w in words), {}]
        events = [
            head | {"choices": [{"index": 0, "delta": d, "finish_reason": None if d else "stop"}]} for d in deltas
        ]
        if count and answer.usage:
            events.append(head | {"choices": [], "usage": usage})
        lines = [f"data: {json.dumps(e)}\n\n" for e in events] + ["data: [DONE]\n\n"]
        self._send(200, "".join(lines).encode(), dict(answer.headers) | {"content-type": "text/event-stream"})

    def _embeddings(self, request: dict[str, Any]) -> None:
        self.state.embeddings.append(request)
        self.state.embedding_headers.append({k.lower(): v for k, v in self.headers.items()})
        try:
            answer = type(self).embed(request)
        except Exception as error:
            return self._error(500, f"{type(error).__name__}: {error}")
        if answer is not None and self._odd(answer):
            return None
        given = request.get("input", [])
        texts = [given] if isinstance(given, str) else given
        if not isinstance(texts, list) or not all(isinstance(t, str) for t in texts):
            return self._error(400, "input must be a text or a list of texts")
        data: list[dict[str, Any]] = []
        for index, vector in enumerate(type(self).vectors(texts)):
            value: Any = list(vector)
            if request.get("encoding_format") == "base64":
                import base64
                import struct

                value = base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()
            data.append({"object": "embedding", "index": index, "embedding": value})
        count = sum(len(t.split()) for t in texts)
        body = {"object": "list", "data": data, "model": request.get("model", "")}
        if answer is None or answer.usage:
            body["usage"] = {"prompt_tokens": count, "total_tokens": count}
        return self._json(200, body)

    def _json(self, status: int, body: Any, headers: Mapping[str, str] | None = None) -> None:
        self._send(status, json.dumps(body).encode(), dict(headers or {}))

    def _error(self, status: int, message: str, headers: Mapping[str, str] | None = None) -> None:
        self._json(status, {"error": {"message": message, "type": "error", "code": str(status)}}, headers)

    def _send(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        try:
            self.close_connection = True  # a kept connection would outlive the server
            self.send_response(status)
            for name, value in (
                {"content-type": "application/json", "content-length": str(len(body)), "connection": "close"} | headers
            ).items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True  # a client that gave up is part of what is tested


def _text_of(content: Any) -> str:
    """The text of a message, without its pictures."""
    if isinstance(content, list):
        return " ".join(str(part.get("text") or "") for part in content if isinstance(part, dict))
    return str(content or "")


def _pieces(text: str) -> list[str]:
    return [text[i : i + 7] for i in range(0, len(text), 7)]


def _vector(text: str, dim: int) -> list[float]:
    raw = b"".join(hashlib.sha256(f"{i}:{text}".encode()).digest() for i in range(dim // 32 + 1))[:dim]
    centred = [b - 127.5 for b in raw]
    length = sum(x * x for x in centred) ** 0.5
    return [x / length for x in centred]

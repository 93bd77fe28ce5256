"""HTTP requests whose answers are bounded in size and time, and whose redirects do not leave where they were sent."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

_MOST_REDIRECTS = 5


@dataclass(frozen=True, slots=True)
class Answer:
    """``body``: at most the bytes that were allowed. ``cut``: there were more. ``elsewhere``: where a redirect leads
    that was not followed, without its query."""

    status: int
    reason: str
    headers: Any
    body: bytes
    cut: bool
    elsewhere: str = ""

    @property
    def kind(self) -> str:
        """The media type, such as application/json."""
        return str(self.headers.get("content-type", "")).partition(";")[0].strip().lower()

    def text(self) -> str:
        charset = (
            str(self.headers.get("content-type", "")).lower().partition("charset=")[2].strip(' "').partition(";")[0]
        )
        try:
            return self.body.decode(charset or "utf-8", "replace")
        except LookupError:
            return self.body.decode("utf-8", "replace")


def ask(client: Any, request: Any, *, most: int, seconds: float | None) -> Answer:
    """Send a request and read up to ``most`` bytes of the answer. A redirect is followed where the method stays the
    same and so do scheme, host and port (or http becomes https). Raises httpx's errors, and `TimeoutError` after
    ``seconds``."""
    until = time.monotonic() + seconds if seconds is not None else None
    for turn in range(_MOST_REDIRECTS + 1):
        response = client.send(request, stream=True, follow_redirects=False)
        following = response.next_request
        if following is None or turn == _MOST_REDIRECTS or not _stays(request, following):
            break
        response.close()
        request = following
    parts, size = [], 0
    try:
        for chunk in response.iter_bytes():
            parts.append(chunk)
            size += len(chunk)
            if size > most:
                break
            if until is not None and time.monotonic() > until:
                raise TimeoutError
    finally:
        response.close()
    elsewhere = "" if following is None else str(following.url.copy_with(userinfo=b"", query=None, fragment=None))
    body = b"".join(parts)[:most]
    return Answer(response.status_code, response.reason_phrase, response.headers, body, size > most, elsewhere)


def _stays(request: Any, following: Any) -> bool:
    one, other = request.url, following.url
    if request.method != following.method or (other.userinfo and other.userinfo != one.userinfo):
        return False
    if (one.scheme, one.host, one.port) == (other.scheme, other.host, other.port):
        return True
    upgraded = one.scheme == "http" and other.scheme == "https" and one.port is None and other.port is None
    return bool(upgraded and one.host == other.host)

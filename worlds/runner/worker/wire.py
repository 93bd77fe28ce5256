"""How host and worker put bytes on their socket: packets, the last of a message marked. Standard library only."""

from __future__ import annotations

import os
import re

# One packet stays well under the smallest default socket buffer (about 200 KiB on Linux).
PACKET = 60_000
# The most that a program may say at once. A request is a name and a few arguments; only results are longer.
MESSAGE = 64_000
DEPTH = 32  # of nested lists in a message
TEXT, TEXTS = 1_000, 4_000  # characters in one argument of an action, and in all
WHOLE = 2**53  # whole numbers in arguments stay under it, up to where every JSON reader agrees
_MORE, _LAST = b"+", b"."
_TEXTS = re.compile(rb'"(?:[^"\\]|\\.)*"?', re.DOTALL)
_ROUND = bytes.maketrans(b"{}", b"[]")
_OTHERS = bytes(byte for byte in range(256) if byte not in b"[]{}")


def too_deep(raw: bytes) -> bool:
    """Whether JSON is nested deeper than `DEPTH`."""
    if raw.count(b"[") + raw.count(b"{") <= DEPTH:
        return False
    left = _TEXTS.sub(b"", raw).translate(_ROUND, _OTHERS)
    for _ in range(DEPTH):  # each turn takes the innermost pairs away, so the turns are the depth
        left = left.replace(b"[]", b"")
    return left.count(b"[") > DEPTH or b"[]" in left


def packets(message: bytes) -> list[bytes]:
    """A message as packets, each beginning with a byte that says whether more follow."""
    if len(message) <= PACKET:
        return [_LAST + message]
    parts = [message[i : i + PACKET] for i in range(0, len(message), PACKET)]
    return [(_LAST if i == len(parts) - 1 else _MORE) + part for i, part in enumerate(parts)]


def receive(fd: int) -> bytes:
    """The next whole message from the host; raises `EOFError` when the host is gone."""
    raw = os.read(fd, PACKET + 1)
    if raw[:1] == _LAST:
        return raw[1:]
    parts = []
    while raw[:1] == _MORE:
        parts.append(raw[1:])
        raw = os.read(fd, PACKET + 1)
    if not raw:
        raise EOFError("the host has gone")
    parts.append(raw[1:])
    return b"".join(parts)

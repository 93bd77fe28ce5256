"""Pictures that an observation may carry: PNG, JPEG, GIF or WebP, known by the SHA-256 of their bytes."""

from __future__ import annotations

import hashlib
import struct
import zlib
from dataclasses import dataclass, field
from typing import Any

from habilis.core.errors import InputError

_BEGINNINGS = {
    b"\x89PNG\r\n\x1a\n": "image/png",
    b"\xff\xd8\xff": "image/jpeg",
    b"GIF87a": "image/gif",
    b"GIF89a": "image/gif",
}
_MOST_PIXELS = 4096 * 4096
_HEX = frozenset("0123456789abcdef")


@dataclass(frozen=True, slots=True)
class Image:
    """A picture. ``sha256``: of its bytes, in hexadecimal; ``data``: the bytes, b"" where only the hash is at hand, as
    in what was read from the journal. Two are equal if their bytes are."""

    sha256: str
    media_type: str = field(default="image/png", compare=False)
    data: bytes = field(default=b"", repr=False, compare=False)

    @classmethod
    def of(cls, picture: Any) -> Image:
        """A picture from the bytes of a file, or from an array of bytes: (height, width), or with 1, 3 or 4 channels.

        An array becomes a PNG. Raises `InputError` for anything else, and for more than 4096 × 4096 pixels.
        """
        if isinstance(picture, cls):
            return picture
        if isinstance(picture, (bytes, bytearray, memoryview)):
            data = bytes(picture)
            return cls(hashlib.sha256(data).hexdigest(), _media_type(data), data)
        data = _png(picture)
        return cls(hashlib.sha256(data).hexdigest(), "image/png", data)

    def __str__(self) -> str:
        return f"{self.sha256} {self.media_type}"

    @classmethod
    def parse(cls, text: Any) -> Image:
        """Read what ``str`` gave; its bytes are elsewhere. Raises `InputError`."""
        if isinstance(text, cls):
            return text
        sha256, _, media_type = str(text).partition(" ")
        if len(sha256) != 64 or not _HEX.issuperset(sha256):
            raise InputError(f"{str(text)[:80]!r} is no picture's name; give its SHA-256 in hexadecimal")
        return cls(sha256, media_type or "image/png")

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> Any:
        from pydantic_core import core_schema

        return core_schema.no_info_plain_validator_function(
            cls.parse, serialization=core_schema.plain_serializer_function_ser_schema(str)
        )


def _media_type(data: bytes) -> str:
    for beginning, media_type in _BEGINNINGS.items():
        if data.startswith(beginning):
            return media_type
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "image/webp"
    raise InputError(f"these {len(data)} bytes are no picture; give a PNG, JPEG, GIF or WebP file, or a uint8 array")


def _png(array: Any) -> bytes:
    """A PNG of an array (Portable Network Graphics, W3C 2003), its rows unfiltered: quick, and larger than need be."""
    shape, kind = getattr(array, "shape", None), str(getattr(array, "dtype", ""))
    colours = {1: 0, 3: 2, 4: 6}.get(shape[2] if shape is not None and len(shape) == 3 else 1)
    if shape is None or len(shape) not in (2, 3) or colours is None or kind != "uint8" or 0 in shape:
        told = f"an array of {kind} with the shape {shape}" if shape is not None else f"a {type(array).__name__}"
        raise InputError(f"{told} is no picture; give uint8 of (height, width), (height, width, 3) or (…, 4), or bytes")
    height, width = int(shape[0]), int(shape[1])
    if height * width > _MOST_PIXELS:
        raise InputError(f"a picture of {width} × {height} has more than {_MOST_PIXELS} pixels; make it smaller")
    rows = array.reshape(height, -1)
    lines = b"".join(b"\0" + rows[i].tobytes() for i in range(height))
    head = struct.pack(">IIBBBBB", width, height, 8, colours, 0, 0, 0)
    body = zlib.compress(lines, 1)
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", head) + _chunk(b"IDAT", body) + _chunk(b"IEND", b"")


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

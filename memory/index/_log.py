"""A file of upserts and deletes, each record with its checksum, to which one only appends.

A record is length and CRC-32 of what follows (4 bytes each, little endian); then the length of the ids (4 bytes), the
ids as a JSON list, and the vectors as float32, none for a delete.
"""

from __future__ import annotations

import json
import os
import struct
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_HEAD = struct.Struct("<II")
_LENGTH = struct.Struct("<I")


class Log:
    """``rows`` counts what was appended and replayed: a vector or a deleted id each."""

    def __init__(self, path: Path, dim: int) -> None:
        self.path, self.dim, self.rows = path, dim, 0
        self._fd: int | None = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        self._end = 0

    def replay(self) -> Iterator[tuple[list[str], NDArray[np.float32] | None]]:
        """Each record's ids, and their vectors (n, dim), or None where they were deleted. What follows a damaged record
        cannot be trusted, and is cut off."""
        import numpy as np

        data = self.path.read_bytes()
        self._end = 0
        while len(data) - self._end >= _HEAD.size:
            length, crc = _HEAD.unpack_from(data, self._end)
            body = memoryview(data)[self._end + _HEAD.size : self._end + _HEAD.size + length]
            if len(body) != length or length < _LENGTH.size or zlib.crc32(body) != crc:
                break
            (size,) = _LENGTH.unpack_from(body)
            ids = json.loads(bytes(body[_LENGTH.size : _LENGTH.size + size]))
            numbers = np.frombuffer(body[_LENGTH.size + size :], dtype="<f4")
            self._end += _HEAD.size + length
            self.rows += len(ids)
            yield ids, numbers.reshape(len(ids), self.dim) if len(numbers) else None
        if self._end < len(data):
            os.ftruncate(self._file(), self._end)

    def upsert(self, ids: Sequence[str], rows: NDArray[np.float32]) -> None:
        self._append(ids, rows.astype("<f4").tobytes())

    def delete(self, ids: Sequence[str]) -> None:
        self._append(ids, b"")

    def close(self) -> None:
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def _file(self) -> int:
        if self._fd is None:
            raise OSError("the index is closed")
        return self._fd

    def _append(self, ids: Sequence[str], vectors: bytes) -> None:
        """Raises `OSError`; then the file is as it was before."""
        if not ids:
            return
        fd = self._file()
        text = json.dumps(list(ids)).encode()
        body = _LENGTH.pack(len(text)) + text + vectors
        record = memoryview(_HEAD.pack(len(body), zlib.crc32(body)) + body)
        at = self._end
        try:
            while record:
                written = os.pwrite(fd, record, at)
                record, at = record[written:], at + written
        except OSError:
            os.ftruncate(fd, self._end)
            raise
        self._end = at
        self.rows += len(ids)

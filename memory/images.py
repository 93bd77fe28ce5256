"""Pictures that were seen, in a folder of the home: each once, under its SHA-256.

The journal holds the hashes; what became of the files costs no more than the picture. They are bounded, and writing one
never raises.
"""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from habilis.core.image import Image
from habilis.core.task import Episode

__all__ = ["ImageStore", "images_of"]

_ENDINGS = {"image/png": "png", "image/jpeg": "jpg", "image/gif": "gif", "image/webp": "webp"}


@dataclass
class ImageStore:
    """Pictures by hash. ``most_bytes``: of one picture (a screen of 1,024 × 768 has about half of it), ``most_in_all``:
    of the folder. ``refused``: why the last picture that was not kept was not."""

    folder: Path
    most_bytes: int = 2 * 1024**2
    most_in_all: int = 512 * 1024**2
    refused: str = ""
    _size: int | None = None

    def keep(self, image: Image) -> bool:
        """Whether the picture is kept: written now, or there before."""
        if not image.data:
            return self._file(image).exists()
        if len(image.data) > self.most_bytes:
            self.refused = f"a picture has {len(image.data)} bytes, and {self.most_bytes} are the most"
            return False
        if hashlib.sha256(image.data).hexdigest() != image.sha256:
            self.refused = f"a picture is called {image.sha256}, and its bytes have another hash"
            return False
        file = self._file(image)
        try:
            if file.exists():
                return True
            if self._in_all() + len(image.data) > self.most_in_all:
                self.refused = (
                    f"the pictures in {self.folder} have {self._in_all()} bytes, and {self.most_in_all} are the most; "
                    "delete some"
                )
                return False
            file.parent.mkdir(parents=True, exist_ok=True)
            partial = file.with_name(f".{file.name}.{os.getpid()}")
            try:
                partial.write_bytes(image.data)
                partial.replace(file)
            except OSError:
                with suppress(OSError):
                    partial.unlink()
                raise
        except OSError as error:
            full = error.errno in (errno.ENOSPC, errno.EDQUOT)
            self.refused = f"a picture cannot be kept in {self.folder}: " + ("no space is left" if full else str(error))
            return False
        self._size = self._in_all() + len(image.data)
        return True

    def find(self, image: Image) -> Image | None:
        """The picture with its bytes; None where they are gone, or are not what the hash says any more."""
        if image.data:
            return image
        try:
            file = self._file(image)
            if file.stat().st_size > self.most_bytes:
                return None
            data = file.read_bytes()
        except OSError:
            return None
        if hashlib.sha256(data).hexdigest() != image.sha256:
            return None
        return Image(image.sha256, image.media_type, data)

    def keep_all(self, images: Iterable[Image]) -> str:
        """Keep them; why some were not kept, or ""."""
        lost = [image for image in images if not self.keep(image)]
        return f"{len(lost)} pictures are not kept: {self.refused}" if lost else ""

    def _file(self, image: Image) -> Path:
        return self.folder / image.sha256[:2] / f"{image.sha256}.{_ENDINGS.get(image.media_type, 'bin')}"

    def _in_all(self) -> int:
        if self._size is None:
            self._size = sum(file.stat().st_size for file in self.folder.glob("*/*"))
        return self._size


def images_of(episode: Episode) -> list[Image]:
    """All pictures of an episode, each once."""
    found: dict[str, Image] = {}
    for attempt in episode.attempts:
        ran = attempt.trajectory
        for image in (*ran.before.images, *(p.image for p in ran.pictures), *ran.after.images):
            found.setdefault(image.sha256, image)
    return list(found.values())

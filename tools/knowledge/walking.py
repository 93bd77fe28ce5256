"""What in a folder is a document: its files by name, sorted; and what was passed over, counted."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from habilis.tools.knowledge.reading import is_document

__all__ = ["Refusal", "Walk"]


class Refusal(NamedTuple):
    """A file or folder that could not be taken, and why."""

    path: str
    why: str


class Walk:
    """Iterate it for the files; then ``passed_over`` has counts ("hidden", "links", "other kinds", "no regular files")
    and ``refused`` the folders that cannot be listed. Links are not followed, so none leads in a circle."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.passed_over: Counter[str] = Counter()
        self.refused: list[Refusal] = []

    def __iter__(self) -> Iterator[Path]:
        waiting = [self._folder]
        while waiting:
            folder = waiting.pop()
            try:
                with os.scandir(folder) as listing:
                    entries = sorted(listing, key=lambda entry: entry.name)
            except OSError as error:
                self.refused.append(Refusal(str(folder), f"it cannot be listed ({error.strerror})"))
                continue
            inner = []
            for entry in entries:
                if entry.name.startswith("."):
                    self.passed_over["hidden"] += 1
                elif entry.is_symlink():
                    self.passed_over["links"] += 1
                elif entry.is_dir(follow_symlinks=False):
                    inner.append(folder / entry.name)
                elif not is_document(Path(entry.name)):
                    self.passed_over["other kinds"] += 1
                elif not entry.is_file(follow_symlinks=False):
                    self.passed_over["no regular files"] += 1
                else:
                    yield folder / entry.name
            waiting += reversed(inner)

"""Pictures in the home: once each, bounded, and never worth more than themselves."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from habilis.core import Image
from habilis.memory import ImageStore


def picture(shade: int, side: int = 20) -> Image:
    noise = np.random.default_rng(shade).integers(0, 256, (side, side), dtype=np.uint8)
    return Image.of(noise)


def test_a_picture_is_kept_once_and_found_by_its_hash(tmp_path: Path) -> None:
    store = ImageStore(tmp_path / "images")
    one, other = picture(1), picture(2)
    assert store.keep_all([one, other, one]) == ""
    assert len([p for p in tmp_path.rglob("*") if p.is_file()]) == 2
    known = Image(one.sha256, one.media_type)
    assert store.find(known).data == one.data  # type: ignore[union-attr]
    assert store.keep(known)
    assert ImageStore(tmp_path / "elsewhere").find(known) is None
    assert not ImageStore(tmp_path / "elsewhere").keep(known)


def test_what_was_changed_or_deleted_is_not_there(tmp_path: Path) -> None:
    store, one = ImageStore(tmp_path / "images"), picture(1)
    store.keep(one)
    file = next(p for p in tmp_path.rglob("*.png"))
    file.write_bytes(b"something else")
    assert store.find(Image(one.sha256)) is None
    file.unlink()
    assert store.find(Image(one.sha256)) is None


def test_sizes_are_bounded_and_the_bound_is_told(tmp_path: Path) -> None:
    small = len(picture(1).data)
    store = ImageStore(tmp_path / "images", most_bytes=small + 50, most_in_all=2 * small + 100)
    told = store.keep_all([picture(1), picture(2), picture(3), picture(4, side=90)])
    assert told.startswith("2 pictures are not kept: ")
    assert f"{small + 50} are the most" in told
    again = ImageStore(tmp_path / "images", most_in_all=2 * small + 100)  # what is there counts
    assert not again.keep(picture(5))
    assert "delete some" in again.refused


@pytest.mark.parametrize(("number", "said"), [(errno.ENOSPC, "no space is left"), (errno.EROFS, "Read-only")])
def test_a_full_disk_costs_the_picture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, said: str) -> None:
    def full(self: Path, data: bytes) -> int:
        with self.open("wb") as out:
            out.write(data[:10])
        raise OSError(number, os.strerror(number))

    store: Any = ImageStore(tmp_path / "images")
    monkeypatch.setattr(Path, "write_bytes", full)
    assert said in store.keep_all([picture(1)])
    assert not [p for p in tmp_path.rglob("*") if p.is_file()]
    monkeypatch.undo()
    assert store.keep_all([picture(1)]) == ""

"""Pictures: arrays become files, and are known by their hash."""

from __future__ import annotations

import hashlib
import io

import numpy as np
import pytest
from PIL import Image as Pillow

from habilis.core import Image, InputError, Snapshot, dump, load


@pytest.mark.parametrize("shape", [(5, 7), (5, 7, 1), (5, 7, 3), (5, 7, 4), (1, 1, 3)])
def test_an_array_becomes_a_png_that_others_read(shape: tuple[int, ...]) -> None:
    array = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    image = Image.of(array)
    assert image.sha256 == hashlib.sha256(image.data).hexdigest()
    read = np.asarray(Pillow.open(io.BytesIO(image.data)))
    assert np.array_equal(read, array.reshape(read.shape))
    strided = Image.of(np.asfortranarray(array)[::-1][::-1])
    assert strided == image


def test_files_are_taken_as_they_are() -> None:
    for kind in ("PNG", "JPEG", "GIF", "WEBP"):
        out = io.BytesIO()
        Pillow.new("RGB", (3, 2)).save(out, kind)
        image = Image.of(out.getvalue())
        assert (image.media_type, image.data) == (f"image/{kind.lower()}", out.getvalue())
        assert Image.of(image) is image


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (b"<svg onload='alert(1)'>", "no picture"),
        (b"", "no picture"),
        (np.zeros((4, 4)), "float64"),
        (np.zeros((4, 4, 2), np.uint8), r"\(4, 4, 2\)"),
        (np.zeros((0, 4), np.uint8), "no picture"),
        (np.zeros(4, np.uint8), "no picture"),
        (np.zeros((5000, 5000), np.uint8), "more than"),
        ("a.png", "a str"),
        (None, "a NoneType"),
    ],
    ids=range(9),
)
def test_what_is_no_picture_is_told(given: object, said: str) -> None:
    with pytest.raises(InputError, match=said):
        Image.of(given)


def test_records_hold_the_hash_alone() -> None:
    image = Image.of(np.zeros((40, 40), np.uint8))
    told = dump(Snapshot(images=(image,)))
    assert told["images"] == [f"{image.sha256} image/png"]
    again = load(Snapshot, told)
    assert again.images == (image,)
    assert again.images[0].data == b""
    for wrong in ("../../etc/passwd image/png", "ab", "AB" * 32):
        with pytest.raises(InputError, match="no picture's name"):
            Image.parse(wrong)

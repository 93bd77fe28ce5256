"""Libraries that may be missing: the error says what needs them and how to get them."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from habilis.core import MissingExtraError, need


def test_what_is_there_is_imported_and_what_is_not_is_told() -> None:
    assert need("json") is json
    with pytest.raises(MissingExtraError, match=r"training needs 'no_such'.*pip install 'habilis\[train\]'") as missing:
        need("no_such.part")
    assert isinstance(missing.value, ImportError)
    with pytest.raises(MissingExtraError, match=r"this embedder needs 'no_such'.*pip install no_such$"):
        need("no_such", "this embedder", install="no_such")


@pytest.mark.parametrize("part", ["trainer", "mind"])
def test_without_torch_every_part_says_the_same(part: str) -> None:
    code = f"""
import sys
sys.modules["torch"] = None
from pathlib import Path
from habilis.core import MissingExtraError
from habilis.agent.local.mind import LocalMind
from habilis.trainer.base import load_model
try:
    LocalMind(Path("gone")).complete(["x"]) if {part!r} == "mind" else load_model(Path("gone"))
except MissingExtraError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert "needs 'torch'" in done.stdout, done.stderr
    assert "pip install 'habilis[train]'" in done.stdout

"""A journal to keep documents in, and PDFs made by hand."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from habilis.memory.journal import Journal
from habilis.tools import KnowledgeBase


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    with Journal(tmp_path / "journal.sqlite") as opened:
        yield opened


@pytest.fixture
def base(journal: Journal) -> KnowledgeBase:
    return KnowledgeBase(journal)


@pytest.fixture
def shelf(tmp_path: Path) -> Path:
    """A folder for documents."""
    folder = tmp_path / "shelf"
    folder.mkdir()
    return folder

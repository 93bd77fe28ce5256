"""What an import found, before anything of it is kept: skills, documents, and what was refused with the reason."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field

from habilis.core import Json, Skill

__all__ = ["Document", "Found", "Refused", "Stated"]


@dataclass(frozen=True)
class Stated:
    """A skill as its folder states it, its evidence included; ``problems``: why it cannot work as it stands; ``notes``:
    what else is odd about it."""

    skill: Skill
    folder: str
    problems: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Document:
    """Something to read, not to run. ``kind``: "agent_skill" or "voyager"; ``text``: what is searched; ``data``: all
    that was kept of it; ``notes``: what is odd about it, or was left out."""

    kind: str
    name: str
    description: str
    text: str
    data: Mapping[str, Json] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Refused:
    """What was not taken: which folder or entry, and why."""

    what: str
    why: str


@dataclass(frozen=True)
class Found:
    """``source``: where it came from, by the name of the folder or file."""

    source: str
    skills: tuple[Stated, ...] = ()
    documents: tuple[Document, ...] = ()
    refused: tuple[Refused, ...] = ()


def composed(text: str) -> str:
    """The text in its composed form (NFC), so that a name that was typed in another way is the same name."""
    return unicodedata.normalize("NFC", text)

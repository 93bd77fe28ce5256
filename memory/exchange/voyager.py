"""Voyager's skill library (Wang et al. 2023, github.com/MineDojo/Voyager): ``skills.json``, which maps a name to its
JavaScript and description.

They are taken in as documents, to be searched and read: JavaScript does not run here.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

from habilis.core import InputError, Json
from habilis.memory.exchange._folder import Folder
from habilis.memory.exchange.found import Document, Found, Refused, composed
from habilis.memory.library._source import SOURCE

__all__ = ["find_voyager", "read_voyager"]

_FILE = "skills.json"
_SIZE = 64_000_000  # bytes; Voyager's own libraries take a few hundred thousand
_NAME, _DESCRIPTION = 200, 10_000  # characters
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+|[^\W\d_]+")
NO_JAVASCRIPT = "its JavaScript does not run here"


def find_voyager(path: Path) -> Path | None:
    """The ``skills.json`` that a path means: the file itself, or in the folder, or in its ``skill`` (a checkpoint)."""
    if path.is_file():
        return path if path.suffix == ".json" else None
    places = (path / _FILE, path / "skill" / _FILE)
    return next((p for p in places if p.is_file()), None)


def read_voyager(path: Path | str) -> Found:
    """Read a library; an entry that is none is among ``refused``. Raises `NotFoundError`, `InputError`."""
    place = Path(path).expanduser().resolve()
    file = find_voyager(place)
    if file is None:
        raise InputError(f"{place} is no library of Voyager's: it has no {_FILE}, and no skill/{_FILE}")
    with Folder(file.parent) as folder:
        text = folder.text(file.name, _SIZE)
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{file} is no JSON: {str(error)[:200]}; put back a copy") from None
    if not isinstance(data, dict) or not data:
        raise InputError(f"{file} is no library of Voyager's: it maps no name to code and description")
    documents, refused = [], []
    for name, entry in data.items():
        try:
            documents.append(_document(name, entry))
        except InputError as error:
            refused.append(Refused(name[:_NAME], str(error)))
    if not documents:
        raise InputError(f"{file} is no library of Voyager's: {refused[0].what[:80]!r}: {refused[0].why}")
    return Found(place.name, (), tuple(documents), tuple(refused))


def _document(name: str, entry: Json) -> Document:
    if not isinstance(entry, dict) or not all(isinstance(entry.get(k), str) for k in ("code", "description")):
        raise InputError("it has no code and description")
    if not name.strip() or len(name) > _NAME:
        raise InputError(f"its name is empty, or longer than {_NAME} characters")
    code, about = entry["code"], composed(entry["description"])
    size = len(code.encode("utf-8", "replace"))
    if size > SOURCE:
        raise InputError(f"its code has {size} bytes; the limit is {SOURCE}")
    if len(about) > _DESCRIPTION:
        raise InputError(f"its description has {len(about)} characters; the limit is {_DESCRIPTION}")
    name = composed(name)
    said = _said(about)
    text = f"{' '.join(_WORD.findall(name))}: {said}"
    data = {"code": code, "language": "javascript", "runs": False, "description": about}
    return Document("voyager", name, said, text, data, (NO_JAVASCRIPT,))


def _said(about: str) -> str:
    """The sentence in a description, which Voyager writes as a comment in the function's head."""
    lines = [line.strip() for line in about.splitlines()]
    comments = [line.removeprefix("//").strip() for line in lines if line.startswith("//")]
    return " ".join(comments) if comments else " ".join(about.split())

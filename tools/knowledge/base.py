"""The knowledge base of a home: documents, kept in its journal, each as passages that can be found, priced and shown.

    base = KnowledgeBase(home.journal)
    told = base.add("docs")            # files of text, Markdown and PDF; again: what changed is replaced
    catalogue.put(*base.augmentations())

What imports of skills brought and is no program (`habilis.memory.exchange`) is in it too. A document is data: nothing
in it is run, and it is shown to writers as a quotation.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from habilis.core import Augmentation, Cost, InputError, JournalError, Json, NotFoundError, dump, load
from habilis.memory.exchange import documents as imported
from habilis.memory.journal import Journal
from habilis.memory.library import Lexicon
from habilis.tools.knowledge.passages import Passage, split_markdown, split_text
from habilis.tools.knowledge.reading import read_bytes, read_content
from habilis.tools.knowledge.walking import Refusal, Walk
from habilis.tools.selection.augmentations import most_tokens, of_document

__all__ = ["Added", "Document", "KnowledgeBase", "Match"]

FILE = "file"  # the kind of documents that come from files
_SLUG = re.compile(r"[^\w.]+")


@dataclass(frozen=True)
class Document:
    """``id``: of a file its name and a hash of its path, of an import its kind and name. ``source``: the file's path,
    or where the import came from. ``price``: what showing it costs beyond its tokens, once in each run."""

    id: str
    kind: str
    name: str
    source: str
    passages: tuple[Passage, ...]
    price: Cost = field(default_factory=Cost)
    notes: tuple[str, ...] = ()

    @property
    def tokens(self) -> int:
        """The most tokens that its text takes; a passage is shown with its title besides."""
        return sum(most_tokens(p.text) for p in self.passages)

    def augmentations(self) -> Iterator[Augmentation]:
        """Its passages, as ``document:ID#N`` counted from 1."""
        for number, passage in enumerate(self.passages, 1):
            title = " > ".join(filter(None, (self.name, passage.title)))
            yield of_document(
                f"{self.id}#{number}",
                passage.text,
                title=title,
                document=self.id,
                source=self.source,
                cost=self.price,
            )


@dataclass(frozen=True)
class Added:
    """What came of adding a path: ids of documents that are new, that took the place of an older state, and that are as
    they were. ``refused``: files that could not be read, and why; ``passed_over``: how many more were not looked at, by
    reason; ``gone``: paths of documents whose files are no longer there (they are kept until they are removed);
    ``notes``: what is odd about a document, by its path."""

    added: tuple[str, ...] = ()
    replaced: tuple[str, ...] = ()
    unchanged: tuple[str, ...] = ()
    refused: tuple[Refusal, ...] = ()
    passed_over: Mapping[str, int] = field(default_factory=dict)
    gone: tuple[str, ...] = ()
    notes: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Match:
    """A passage with the words that were looked for. ``number``: counted from 1; ``score``: higher is better."""

    document: Document
    number: int
    score: float

    @property
    def passage(self) -> Passage:
        return self.document.passages[self.number - 1]


class KnowledgeBase:
    """The documents in a home's journal."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    # -- adding and removing -------------------------------------------------------------------------------------------

    def add(self, path: Path | str, *, cost: Cost | None = None) -> Added:
        """Take in a file, or all documents in a folder and below; each in a transaction of its own.

        A file that is as it was costs its reading alone; one that changed takes the place of its older state. In a
        folder, hidden files, links and files of other kinds are passed over; a file that is named is taken whatever its
        name, if it is text. ``cost``: the price of each document, such as ``Cost(usd=0.5)``; None leaves the price of
        those that are there. Raises `NotFoundError`, `InputError`, `MissingExtraError` (for a PDF).
        """
        place = _place(path)
        if not place.exists():
            known = self._journal.document(FILE, _id(place)) is not None or self._beneath(place)
            hint = "; its documents are here still: habilis know remove takes them out" if known else ""
            raise NotFoundError(f"there is no file or folder {place}{hint}; check the path")
        walk = Walk(place) if place.is_dir() else None
        done: dict[str, list[str]] = {"added": [], "replaced": [], "unchanged": []}
        refused: list[Refusal] = []
        notes: list[tuple[str, str]] = []
        for file in walk if walk is not None else (place,):
            try:
                how, found = self._take(file, cost)
            except InputError as error:
                refused.append(Refusal(str(file), str(error)))
                continue
            done[how].append(_id(file))
            notes += [(str(file), note) for note in found]
        gone = tuple(p for p in self._beneath(place) if not os.path.lexists(p)) if walk is not None else ()
        return Added(
            **{how: tuple(ids) for how, ids in done.items()},
            refused=(*refused, *(walk.refused if walk is not None else ())),
            passed_over=dict(sorted(walk.passed_over.items())) if walk is not None else {},
            gone=gone,
            notes=tuple(notes),
        )

    def remove(self, which: str) -> tuple[str, ...]:
        """Take out a document by its id or path, or all from a folder; their ids. Raises `NotFoundError`."""
        found = self._named(which)
        for kind, id in found:
            self._journal.delete_documents(kind, [id])
        return tuple(_full(kind, id) for kind, id in found)

    # -- looking -------------------------------------------------------------------------------------------------------

    def documents(self) -> list[Document]:
        """All documents, files first, sorted by id. Damaged ones are left aside with a warning."""
        found = []
        for id, data in self._journal.documents(FILE).items():
            try:
                found.append(_from_file(id, data))
            except JournalError as error:
                self._journal.warn(f"left aside: {error}")
        return found + [_from_import(kind, id, data) for (kind, id), data in imported(self._journal).items()]

    def get(self, which: str) -> Document:
        """One document, by its id or path. Raises `NotFoundError`, and `InputError` where several are meant."""
        found = self._named(which)
        if len(found) > 1:
            shown = ", ".join(_full(*one) for one in found[:6])
            raise InputError(f"{which!r} means {len(found)} documents: {shown}{', …' if len(found) > 6 else ''}")
        kind, id = found[0]
        data = self._journal.document(kind, id)
        return _from_file(id, data) if kind == FILE else _from_import(kind, id, data)

    def search(self, text: str, k: int = 5) -> list[Match]:
        """The ``k`` passages that share the most telling words with a text, best first (BM25, stemmed)."""
        known = self.documents()
        lexicon = Lexicon()
        try:
            for i, document in enumerate(known):
                for number, passage in enumerate(document.passages, 1):
                    lexicon.put(f"{i} {number}", f"{document.name} {passage.title} {passage.text}")
            scores = lexicon.search(text)
        finally:
            lexicon.close()
        places = {key: tuple(map(int, key.split())) for key in scores}
        best = sorted(scores, key=lambda key: (-scores[key], places[key]))[: max(k, 0)]
        return [Match(known[places[key][0]], places[key][1], scores[key]) for key in best]

    def augmentations(self) -> Iterator[Augmentation]:
        """All passages of all documents, for a `Catalogue`."""
        for document in self.documents():
            yield from document.augmentations()

    # -- inside --------------------------------------------------------------------------------------------------------

    def _take(self, file: Path, cost: Cost | None) -> tuple[str, tuple[str, ...]]:
        """Whether a file is added, replaced or unchanged, and what is odd about it."""
        try:
            str(file).encode()
        except UnicodeEncodeError:
            raise InputError("its path is no UTF-8 text; rename it") from None
        data = read_bytes(file)
        digest, id = hashlib.sha256(data).hexdigest(), _id(file)
        old = self._known(id)
        price = dump(cost) if cost is not None else old.get("price", dump(Cost()))
        if old.get("sha256") == digest and old.get("price") == price:
            return "unchanged", ()
        content = read_content(file, data)
        self._journal.put_document(
            FILE,
            id,
            {
                "schema_version": 1,
                "path": str(file),
                "name": file.name,
                "sha256": digest,
                "price": price,
                "passages": [[p.title, p.text] for p in content.passages],
                "notes": list(content.notes),
            },
        )
        return "replaced" if old else "added", content.notes

    def _known(self, id: str) -> Mapping[str, Any]:
        try:
            return self._journal.document(FILE, id) or {}
        except JournalError:  # damaged: it is written anew
            return {"damaged": True}

    def _beneath(self, folder: Path) -> list[str]:
        """The paths of known files in a folder."""
        start = str(folder).rstrip(os.sep) + os.sep
        paths = (str(path) for (path,) in self._journal.document_fields(FILE, "path").values() if path)
        return sorted(path for path in paths if path.startswith(start))

    def _named(self, which: str) -> list[tuple[str, str]]:
        """Kind and id of what is meant. Raises `NotFoundError`."""
        known = [(FILE, id) for id in self._journal.document_fields(FILE)]
        known += list(imported(self._journal))
        found = [one for one in known if which in (_full(*one), one[1])]
        if not found and which.strip():
            place = _place(which)
            paths = {str(place), *self._beneath(place)}
            mine = self._journal.document_fields(FILE, "path")
            found = [(FILE, id) for id, (path,) in mine.items() if path in paths]
        if not found:
            raise NotFoundError.of("document", which, (_full(*one) for one in known), "habilis know list shows them.")
        return found


def _place(path: Path | str) -> Path:
    if not str(path).strip() or "\0" in str(path):
        raise InputError("the path is empty; name a file or a folder")
    return Path(os.path.realpath(Path(path).expanduser()))


def _id(file: Path) -> str:
    slug = _SLUG.sub("-", file.name).strip("-.")[:60] or "file"
    return f"{slug}-{hashlib.sha256(os.fsencode(file)).hexdigest()[:8]}"


def _full(kind: str, id: str) -> str:
    return id if kind == FILE else f"{kind}/{id}"


def _from_file(id: str, data: Json) -> Document:
    try:
        passages = tuple(Passage(str(title), str(text)) for title, text in data["passages"])
        price = load(Cost, data.get("price", {}))
        return Document(id, FILE, data["name"], data["path"], passages, price, tuple(data.get("notes", ())))
    except (LookupError, TypeError, ValueError) as error:
        raise JournalError(
            f"the document {id} in the journal is damaged ({error!r:.100}); add its file again"
        ) from error


def _from_import(kind: str, id: str, data: Mapping[str, Json]) -> Document:
    if kind == "voyager":
        passages = split_text(f"{data.get('text', '')}\n\n{data.get('code', '')}")
    else:
        passages = split_markdown(str(data.get("text", "")))
        files: Sequence[Mapping[str, Json]] = data.get("files", ())
        for file in files:
            passages += split_text(str(file.get("text", "")), str(file.get("path", "")))
    notes = tuple(map(str, data.get("notes", ())))
    return Document(f"{kind}/{id}", kind, str(data.get("name", id)), str(data.get("from", "")), passages, Cost(), notes)

"""What `recall` is measured on, frozen before anything was tuned.

``recall_library.json``   the skills of one life in the craft world (160 iterations, seed 0): texts, goals, programs
``recall_requests.json``  what a person might say who wants one of them, each with every skill that would truly serve;
                          and requests that none of them serves

No request shares more than half of its content words, stemmed, with the text of a skill that serves it (`shared`), so
that spelling alone cannot find it. A request belongs to the calibration half or to the test half by the hash of its
text: whatever is tuned or fitted sees the calibration half alone.
"""

from __future__ import annotations

import hashlib
import json
import re
import sqlite3
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from habilis.core import Evidence, EvidenceLevel, InputError, Parameter, Program, Skill

LIBRARY = Path(__file__).with_name("recall_library.json")
LIBRARY_SHA256 = "617885cb7604ebb523edb87e340c65fb46bd7fce585b662912a2e4be8413b61d"
REQUESTS = Path(__file__).with_name("recall_requests.json")
REQUESTS_SHA256 = "1a2724cbb6417ecbe54f9deec3970598ad91ac3ea8a9dab9d260caf4b1c27910"

# Words that hold a sentence together, and the verbs with which one asks for anything at all.
STOP = frozenset(
    re.findall(
        r"\w+",
        "a about above after again against all also am an and any anything are aren as at be because been before "
        "being below between both but by can cannot could couldn did didn do does doesn doing don down during each "
        "either few for from further get gets getting give given go goes going got had has have having he her here "
        "hers him his how i if in into is isn it its itself just kind least less let like ll m made make makes "
        "making many matter me mean might mine more most much must my myself need needs needed never no nor not "
        "nothing now of off on once one only or other our out over own perhaps please put re s same shall she "
        "should so some somebody someone something somewhere sort such t take than that the their them then there "
        "these they thing things think this those through to too two under until up us use used using ve very want "
        "wants was wasn we well were what whatever when where whether which whichever while who whom why will with "
        "without won would yes you your yours bring find fetch obtain provide d",
    )
)


@dataclass(frozen=True, slots=True)
class Request:
    """What someone says, and the names of all skills that would serve; none where nothing in the library does."""

    text: str
    right: tuple[str, ...] = ()

    @property
    def calibration(self) -> bool:
        """Whether it belongs to the half that is tuned and fitted on."""
        return hashlib.sha256(self.text.encode()).digest()[0] < 128


def library() -> dict[str, Skill]:
    """The frozen skills by name. Raises `InputError` if the file was changed."""
    found = {}
    for one in _read(LIBRARY, LIBRARY_SHA256)["skills"]:
        parameters = tuple(Parameter(**p) for p in one["parameters"])
        found[one["name"]] = Skill(
            name=one["name"],
            version=1,
            program=Program(one["name"], one["source"], parameters, tuple(one["calls"])),
            doc=one["doc"],
            goal_template=one["goal"],
            world="craft",
            fingerprint="craft-frozen",
            evidence=Evidence(EvidenceLevel.VERIFIED, successes=3),
            needs=tuple(one["needs"]),
            cost=one["cost"],
        )
    return found


def requests() -> list[Request]:
    """The frozen requests, those that nothing serves included. Raises `InputError` if the file was changed."""
    data = _read(REQUESTS, REQUESTS_SHA256)
    served = [Request(r["text"], tuple(r["right"])) for r in data["served"]]
    return served + [Request(text) for text in data["not_served"]]


def shared(request: Request, texts: Mapping[str, str]) -> float:
    """The largest share of the request's content words that the text of a skill that serves it has too."""
    wanted = content(request.text)
    if not wanted:
        raise InputError(f"the request {request.text!r} has no content word; reword it")
    return max((len(wanted & content(texts[name])) / len(wanted) for name in request.right), default=0.0)


def too_alike(requests: Iterable[Request], texts: Mapping[str, str]) -> list[Request]:
    """The requests that break the rule of the half."""
    return [r for r in requests if shared(r, texts) > 0.5]


@cache
def content(text: str) -> frozenset[str]:
    """The content words of a text, stemmed (Porter 1980, as SQLite has it)."""
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", text).lower()
    return frozenset(stem(w) for w in re.findall(r"[^\W_]+", spaced) if w not in STOP and not w.isdigit())


@cache
def stem(word: str) -> str:
    """The stem of a lower-case word."""
    db = sqlite3.connect(":memory:")
    try:
        db.execute("CREATE VIRTUAL TABLE t USING fts5(body, tokenize = 'porter unicode61')")
        db.execute("CREATE VIRTUAL TABLE v USING fts5vocab(t, 'row')")
        db.execute("INSERT INTO t VALUES (?)", (word,))
        return str(db.execute("SELECT term FROM v").fetchone()[0])
    finally:
        db.close()


def _read(path: Path, sha256: str) -> Any:
    text = path.read_bytes()
    found = hashlib.sha256(text).hexdigest()
    if found != sha256:
        raise InputError(f"{path.name} was changed: sha256 {found}, frozen {sha256}; restore it from the commit")
    return json.loads(text)

"""The skill library: admit, verify, lift anew, retire; find by meaning and words; close over what a skill calls.

    with SkillLibrary.open(home, embedder=embedder, verifier=verifier) as library:
        kept = library.admit(skill, "solved episode 12")
        for hit in library.search("get four sticks", state=snapshot):
            print(hit.skill.name, hit.score, hit.why)

Every change is one transaction of the journal; vectors and words follow after it and are made good when the library is
opened next, should the process die between the two.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from habilis.core import (
    Atom,
    Embedder,
    GoalSyntaxError,
    HomeError,
    InputError,
    Kind,
    Skill,
    Snapshot,
    VectorIndex,
    Verifier,
    fill,
)
from habilis.memory.home import Home
from habilis.memory.index import ChromaIndex, MemoryIndex
from habilis.memory.library._crediting import Crediting
from habilis.memory.library.settings import LibrarySettings

__all__ = ["Hit", "SkillLibrary"]

_DENSE_SHARE = 0.7  # best of the shares tried on tool and code retrieval; an embedder may ask for another
_POOL = 200


@dataclass(frozen=True)
class Hit:
    """A skill that was found. ``dense``: cosine similarity; ``lexical``: BM25 (0: no word in common); ``score``: both,
    z-scored over the candidates and weighted .7 / .3 (.3 / .7 for an embedder that sees spelling only). ``ready``: what
    it needs holds in the given state."""

    skill: Skill
    score: float
    dense: float
    lexical: float
    why: str
    ready: bool = True


class SkillLibrary(Crediting):
    """The skills of a home, or of one world in it. Use `SkillLibrary.open`. Safe under threads.

    Skills of different worlds may share a name: each is known, called and superseded within its own world, though
    versions count up over all of them. A library of one world sees nothing of the others.
    """

    @classmethod
    def open(
        cls,
        home: Home,
        *,
        embedder: Embedder,
        index: VectorIndex | None = None,
        fingerprint: str | None = None,
        verifier: Verifier | None = None,
        settings: LibrarySettings | None = None,
        passing: frozenset[str] = frozenset(),
        warn: Callable[[str], None] | None = None,
    ) -> Self:
        """Open the library of a home, and make the index agree with the journal.

        ``fingerprint``: of the world whose skills it holds; by default those of all worlds. ``verifier``: runs skills
        in fresh worlds, to prove and compare them. ``passing``: predicates that contracts say nothing of, such as where
        the agent stands (`WorldSpec.passing`). ``warn``: is told of what went wrong and could wait; by default a
        Python warning. ``index``: by default Chroma in the home's folder, or one in memory where the home is open for
        reading only (two processes must not share a Chroma folder). Raises `HomeError` when the home was made with
        another embedder.
        """
        if not isinstance(home, Home):
            raise InputError(f"a library is opened in a home, got {home!r:.80}: SkillLibrary.open(Home.open(path), …)")
        if home.embedder is None and not home.read_only:
            home.set_embedder(embedder.fingerprint)
        if home.embedder is not None and home.embedder != embedder.fingerprint and not home.read_only:
            raise HomeError(
                f"the home {home.path} was made with the embedder {home.embedder}, now it is {embedder.fingerprint}; "
                "open the first one again (open_embedder takes the fingerprint), or change it with SkillLibrary.rebuild"
            )
        if index is None:
            if home.read_only:
                index = MemoryIndex(embedder.dim)
            else:
                index = ChromaIndex(home.index_path, embedder.fingerprint, embedder.dim)
        library = cls(
            home,
            embedder,
            index,
            fingerprint=fingerprint,
            verifier=verifier,
            settings=settings,
            passing=passing,
            warn=warn,
        )
        library.refresh()
        return library

    @classmethod
    def rebuild(cls, home: Home, *, embedder: Embedder) -> Self:
        """Throw the index away and make it anew with this embedder, which is the home's from now on."""
        index = ChromaIndex(home.index_path, embedder.fingerprint, embedder.dim, rebuild=True)
        home.set_embedder(embedder.fingerprint)
        return cls.open(home, embedder=embedder, index=index)

    def search(
        self,
        text: str,
        *,
        k: int = 5,
        state: Snapshot | None = None,
        fingerprint: str | None = None,
        floor: float = 0.1,
    ) -> list[Hit]:
        """The ``k`` active skills that fit a text best; with a state, those whose needs hold in it come first.

        ``fingerprint``: only skills of this world. A skill with a cosine similarity below ``floor`` and no word in
        common is no hit, so the list may be shorter than ``k`` or empty.
        """
        with self._lock:
            ids = {i: s for i, s in self._skills.items() if fingerprint is None or s.fingerprint == fingerprint}
            if not ids or k <= 0 or not text.strip():
                return []
            reach = self._everyone if len(ids) < self._everyone else min(len(ids), max(_POOL, 10 * k))
            vector = self.embedder.embed([text])[0]
            near = {n.id: n.score for n in self.index.query({Kind.SKILL}, vector, reach) if n.id in ids}
            words = {i: s for i, s in self._lexicon.search(text).items() if i in ids}
        pool = [i for i in ids if i in near or i in words]
        # What the vectors did not reach is at most as near as the farthest that they did.
        farthest = min(near.values(), default=0.0)
        dense = {i: near.get(i, farthest) for i in pool}
        lexical = {i: words.get(i, 0.0) for i in pool}
        zd, zl = _z_scores(dense), _z_scores(lexical)
        share = float(getattr(self.embedder, "dense_share", _DENSE_SHARE))
        hits = []
        for id in pool:
            if dense[id] < floor and id not in words:
                continue
            lacks = [] if state is None else [n for n in ids[id].needs if not _holds(n, ids[id], state)]
            why = f"meaning {dense[id]:.2f}, words {lexical[id]:.2f}" + (f"; lacks {', '.join(lacks)}" if lacks else "")
            score = share * zd[id] + (1 - share) * zl[id]
            hits.append(Hit(ids[id], score, dense[id], lexical[id], why, not lacks))
        return sorted(hits, key=lambda h: (not h.ready, -h.score, h.skill.name))[:k]

    def close(self) -> None:
        """Close the index; the home stays open."""
        with self._lock:
            self.index.close()
            self._lexicon.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()


def _holds(need: str, skill: Skill, state: Snapshot) -> bool:
    try:
        return state.holds(Atom.parse(fill(need, {p.name: p.default for p in skill.program.parameters})))
    except (GoalSyntaxError, InputError):
        return False


def _z_scores(values: Mapping[str, float]) -> dict[str, float]:
    mean = statistics.fmean(values.values()) if values else 0.0
    spread = statistics.pstdev(values.values()) if values else 0.0
    return {k: (v - mean) / spread if spread > 1e-12 else 0.0 for k, v in values.items()}

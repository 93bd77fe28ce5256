"""The skill library: admit, verify, lift anew, retire; find by meaning and words; close over what a skill calls.

    with SkillLibrary.open(home, embedder=embedder, verifier=verifier) as library:
        kept = library.admit(skill, "solved episode 12")
        for hit in library.search("get four sticks", state=snapshot):
            print(hit.skill.name, hit.score, hit.why)

Every change is one transaction of the journal; vectors and words follow after it and are made good when the library is
opened next, should the process die between the two.
"""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import Self

from habilis.core import Embedder, Snapshot, VectorIndex, Verifier
from habilis.memory.embedding import HashEmbedder
from habilis.memory.home import Home
from habilis.memory.index import MemoryIndex, open_index
from habilis.memory.library._checks import check_parts, check_search
from habilis.memory.library._crediting import Crediting
from habilis.memory.library.recall import Hit, Search
from habilis.memory.library.settings import LibrarySettings

__all__ = ["Hit", "SkillLibrary"]


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
        embedder: Embedder | None,
        index: VectorIndex | None = None,
        fingerprint: str | None = None,
        verifier: Verifier | None = None,
        settings: LibrarySettings | None = None,
        passing: frozenset[str] = frozenset(),
        warn: Callable[[str], None] | None = None,
    ) -> Self:
        """Open the library of a home, and make the index agree with the journal.

        ``embedder``: None for a library that needs no model: it finds by words and spelling alone, and the home's index
        is left as it is, to agree again when the library is next opened with one.
        ``fingerprint``: of the world whose skills it holds; by default those of all worlds. ``verifier``: runs skills
        in fresh worlds, to prove and compare them. ``passing``: predicates that contracts say nothing of, such as where
        the agent stands (`WorldSpec.passing`). ``warn``: is told of what went wrong and could wait; by default a
        Python warning. ``index``: by default Chroma in the home's folder, or one in memory where the home is open for
        reading only (two processes must not share a Chroma folder). Raises `HomeError` when the home was made with
        another embedder; where the home names none, an index of another is made anew.
        """
        check_parts(home, embedder, index, fingerprint, verifier)
        modelless = embedder is None
        if embedder is None:
            embedder = HashEmbedder()
            index = index or MemoryIndex(embedder.dim)
        elif not home.read_only:
            home.check_embedder(embedder.fingerprint)
        if index is None:
            told = ("chroma", home.path, embedder.fingerprint, embedder.dim)
            index = open_index(*told, read_only=home.read_only, replace=home.embedder is None)
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
        try:
            library.refresh()
            if home.embedder is None and not home.read_only and not modelless:
                home.set_embedder(embedder.fingerprint)  # not before the index could be opened and filled
        except BaseException:
            library.close()
            raise
        return library

    @classmethod
    def rebuild(cls, home: Home, *, embedder: Embedder, index: str = "chroma") -> Self:
        """Throw the index away and make it anew with this embedder, which is the home's from now on. ``index``: see
        `open_index`."""
        check_parts(home, embedder, None, None)
        told = (index, home.path, embedder.fingerprint, embedder.dim)
        vectors = open_index(*told, read_only=home.read_only, rebuild=True)  # who only reads empties nothing
        try:
            home.set_embedder(embedder.fingerprint)
        except BaseException:
            vectors.close()
            raise
        return cls.open(home, embedder=embedder, index=vectors)

    def search(
        self,
        text: str,
        *,
        k: int = 5,
        state: Snapshot | None = None,
        fingerprint: str | None = None,
        floor: float = 0.1,
        unready: str = "last",
        abstain: bool = False,
        diversity: float = 0.0,
        tokens: int | None = None,
    ) -> list[Hit]:
        """The ``k`` active skills that fit a text best (`habilis.memory.library.recall` tells how); with a state, those
        whose needs hold in it come first, or alone (``unready="drop"``).

        ``fingerprint``: only skills of this world. A skill with a cosine similarity below ``floor`` and no word in
        common is no hit, so the list may be shorter than ``k`` or empty. ``abstain``: empty too where the best hit is
        more likely wrong than right. ``diversity``: from 0 to 1, how much the hits should differ. ``tokens``: how long
        the sources of the hits, with all that they call, may be together. Raises `InputError`.
        """
        check_search(text, k, state, floor, diversity, tokens)
        wanted = Search(
            k=k,
            state=state,
            fingerprint=fingerprint,
            floor=floor,
            unready=unready,
            abstain=abstain,
            diversity=diversity,
            tokens=tokens,
        )
        with self._open():
            return self._recall.search(text, self._skills, wanted)

    def close(self) -> None:
        """Close the index; the home stays open. What needs the index raises `InputError` from then on."""
        with self._lock:
            self._closed = True
            self.index.close()
            self._recall.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

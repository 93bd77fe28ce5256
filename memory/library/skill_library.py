"""The skill library: admit, version, retire; find by meaning and words; close over what a skill calls.

    with SkillLibrary.open(home, embedder=embedder) as library:
        kept = library.admit(skill, "solved episode 12")
        for hit in library.search("get four sticks", state=snapshot):
            print(hit.skill.name, hit.score, hit.why)

Every change is one transaction of the journal; vectors and words follow after it and are made good when the library is
opened next, should the process die between the two.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from dataclasses import replace
from types import TracebackType
from typing import Self

from habilis.core import (
    Embedder,
    EvidenceLevel,
    HomeError,
    InputError,
    Kind,
    NotFoundError,
    Program,
    Skill,
    Snapshot,
    VectorIndex,
)
from habilis.memory.home import Home
from habilis.memory.index import ChromaIndex, MemoryIndex, Synced, sync_index
from habilis.memory.library._texts import index_texts, skill_text
from habilis.memory.library.recall import Hit, Recall, Search
from habilis.memory.library.similarity import normalise

__all__ = ["Hit", "SkillLibrary", "skill_text"]

_LEVELS = (EvidenceLevel.MODEL_JUDGED, EvidenceLevel.OBSERVED, EvidenceLevel.VERIFIED)


class SkillLibrary:
    """The skills of a home, or of one world in it. Use `SkillLibrary.open`. Safe under threads.

    Skills of different worlds may share a name: each is known, called and superseded within its own world, though
    versions count up over all of them. A library of one world sees nothing of the others.
    """

    def __init__(self, home: Home, embedder: Embedder, index: VectorIndex, *, fingerprint: str | None = None) -> None:
        self.home, self.embedder, self.index, self.fingerprint = home, embedder, index, fingerprint
        self._lock = threading.RLock()
        self._recall = Recall(embedder, index)
        self._skills: dict[str, Skill] = {}  # active, by their id in the index
        self._keys: dict[tuple[object, ...], str] = {}  # what a skill does, to the id of who does it
        self._key_of: dict[str, tuple[object, ...]] = {}

    @classmethod
    def open(
        cls,
        home: Home,
        *,
        embedder: Embedder,
        index: VectorIndex | None = None,
        fingerprint: str | None = None,
    ) -> Self:
        """Open the library of a home, and make the index agree with the journal.

        ``fingerprint``: of the world whose skills it holds; by default those of all worlds.
        ``index``: by default Chroma in the home's folder, or one in memory where the home is open for reading only
        (two processes must not share a Chroma folder). Raises `HomeError` when the home was made with another embedder.
        """
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
        library = cls(home, embedder, index, fingerprint=fingerprint)
        library.refresh()
        return library

    @classmethod
    def rebuild(cls, home: Home, *, embedder: Embedder) -> Self:
        """Throw the index away and make it anew with this embedder, which is the home's from now on."""
        index = ChromaIndex(home.index_path, embedder.fingerprint, embedder.dim, rebuild=True)
        home.set_embedder(embedder.fingerprint)
        return cls.open(home, embedder=embedder, index=index)

    def refresh(self) -> Synced:
        """Read the active skills from the journal again and make vectors and words agree with them."""
        with self._lock:
            everyone = self.home.journal.skills()
            self._skills = {_id(s): s for s in everyone if self._ours(s)}
            self._keys = {}
            for id, skill in self._skills.items():
                self._keys.setdefault(self._known_key(skill), id)
            self._recall.hold(self._skills)
            texts = {id: text for s in everyone for id, text in index_texts(s, _id(s)).items()}
            return sync_index(self.index, {Kind.SKILL: texts}, self.embedder)  # the home's: other worlds' stay in it

    def active(self) -> dict[str, Skill]:
        """The active version of each skill by name, in the order in which they were stored. Of skills of several
        worlds that share a name, the one stored last."""
        with self._lock:
            return {s.name: s for s in self._skills.values()}

    def get(self, name: str) -> Skill:
        """The active version of a skill. Raises `NotFoundError`, or `InputError` where several worlds have one."""
        with self._lock:
            found = [s for s in self._skills.values() if s.name == name]
            if len(found) == 1:
                return found[0]
            if found:
                worlds = ", ".join(sorted(f"{s.world} ({s.fingerprint})" for s in found))
                raise InputError(
                    f"several worlds have a skill {name}: {worlds}; open the library of one of them: "
                    "SkillLibrary.open(…, fingerprint=…)"
                )
            others = self._versions(name)
            if others:
                raise NotFoundError(
                    f"skill {name} is {others[-1].status} (version {others[-1].version}); restore it to use it again"
                )
            raise NotFoundError.of("skill", name, self.active())

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
        with self._lock:
            return self._recall.search(text, self._skills, wanted)

    def closure(self, names: Iterable[str]) -> list[Skill]:
        """These active skills and all that they call, what is called first. Raises `NotFoundError` naming who calls
        what is missing, `InputError` for a cycle."""
        with self._lock:
            found: dict[str, Skill] = {}
            for name in names:
                if name not in self.active():
                    raise NotFoundError.of("active skill", name, self.active())
                found |= {s.name: s for s in _closure([name], self._world(self.get(name).fingerprint))}
            return list(found.values())

    def sources(self, names: Iterable[str]) -> dict[str, Program]:
        """The programs of `closure`, by the name under which they are called."""
        return {s.name: s.program for s in self.closure(names)}

    def admit(self, skill: Skill, reason: str) -> Skill:
        """Keep a skill, and return what is in the library now.

        It becomes the next version of its name (whatever version it carries) and supersedes the active one. If an
        active skill of the same world has the same program and goal up to names, nothing new is stored: the evidence
        is added to that skill, and it is returned (compare the name). Raises `NotFoundError` where it calls what is not
        active in its world, `InputError` for a cycle, a source that is not Python, or a skill of another world than
        the library's.
        """
        if not self._ours(skill):
            raise InputError(
                f"{skill.name} is a skill of the world {skill.fingerprint}, and this is the library of "
                f"{self.fingerprint}; open that world's"
            )
        key = _key(skill)
        journal = self.home.journal
        with self._lock:
            twin = self._keys.get(key)
            if twin is not None:
                with journal.transaction():
                    kept = self._add_evidence(self._skills[twin], skill)
                self._skills[twin] = kept
                return kept
            world = self._world(skill.fingerprint)
            _closure([skill.name], {**world, skill.name: skill})
            with journal.transaction():
                versions = [s.version for s in journal.skills(None, skill.name)]  # of all worlds: a version is unique
                kept = replace(skill, version=max(versions, default=0) + 1, status="active")
                old = world.get(skill.name)
                if old is not None:
                    why = f"version {kept.version}: {reason}"
                    journal.set_skill_status(old.name, old.version, "superseded", why)
                journal.put_skill(kept, reason)
            self.refresh()
            return kept

    def retire(self, name: str, reason: str, *, status: str = "retired") -> tuple[str, ...]:
        """Take a skill out of use; skills that call it, directly or not, are quarantined with it. ``status`` may also
        be "quarantined". Returns the names of all that went, the skill first."""
        if status not in ("retired", "quarantined"):
            raise InputError(f"a skill leaves as 'retired' or 'quarantined', got {status!r}")
        journal = self.home.journal
        with self._lock:
            gone = [self.get(name)]
            world = self._world(gone[0].fingerprint)
            for skill in gone:  # grows while it is walked: callers of callers
                gone += sorted(
                    (s for s in world.values() if skill.name in s.program.calls and s not in gone),
                    key=lambda s: s.name,
                )
            with journal.transaction():
                journal.set_skill_status(name, gone[0].version, status, reason)
                for skill in gone[1:]:
                    journal.set_skill_status(skill.name, skill.version, "quarantined", f"calls {name}: {reason}")
            self.refresh()
            return tuple(s.name for s in gone)

    def restore(self, name: str, reason: str, *, version: int | None = None) -> Skill:
        """Make a version (default: the newest) the active one again. Raises `NotFoundError` where it, or what it calls,
        is not there."""
        journal = self.home.journal
        with self._lock:
            found = [s for s in self._versions(name) if version in (None, s.version)]
            skill = max(found, key=lambda s: s.version) if found else journal.skill(name, version)
            if not self._ours(skill):
                raise NotFoundError(f"skill {name} version {skill.version} belongs to another world, {skill.world}")
            world = self._world(skill.fingerprint)
            _closure([name], {**world, name: skill})
            with journal.transaction():
                old = world.get(name)
                if old is not None and old.version != skill.version:
                    why = f"version {skill.version} is back: {reason}"
                    journal.set_skill_status(name, old.version, "superseded", why)
                kept = journal.set_skill_status(name, skill.version, "active", reason)
            self.refresh()
            return kept

    def close(self) -> None:
        """Close the index; the home stays open."""
        with self._lock:
            self.index.close()
            self._recall.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    def _ours(self, skill: Skill) -> bool:
        return self.fingerprint in (None, skill.fingerprint)

    def _world(self, fingerprint: str) -> dict[str, Skill]:
        """The active skills of one world by name."""
        return {s.name: s for s in self._skills.values() if s.fingerprint == fingerprint}

    def _versions(self, name: str) -> list[Skill]:
        """Every version of a skill, whatever its status."""
        return [s for s in self.home.journal.skills(None, name) if self._ours(s)]

    def _known_key(self, skill: Skill) -> tuple[object, ...]:
        id = _id(skill)
        if id not in self._key_of:
            try:
                self._key_of[id] = _key(skill)
            except InputError:
                self._key_of[id] = (id,)  # stored by someone else, and no Python: like no other
        return self._key_of[id]

    def _add_evidence(self, twin: Skill, skill: Skill) -> Skill:
        to_twin = {
            ours.name: theirs.name
            for ours, theirs in zip(skill.program.parameters, twin.program.parameters, strict=True)
        }
        seen = {(t.seed, repr(sorted(t.args.items())), t.tier) for t in twin.evidence.trials}
        fresh = []
        for trial in skill.evidence.trials:
            args = {to_twin.get(name, name): value for name, value in trial.args.items()}
            # The same trial run twice proves nothing more.
            if (trial.seed, repr(sorted(args.items())), trial.tier) not in seen:
                fresh.append(replace(trial, args=args))
        level = max(twin.evidence.level, skill.evidence.level, key=_LEVELS.index)
        return self.home.journal.add_evidence(twin.name, twin.version, *fresh, level=level)


def _id(skill: Skill) -> str:
    """The id in the index. A version never changes, so its vector never goes stale; whoever shares the index (the
    catalogue of augmentations) names skills the same way."""
    return f"{skill.name}@{skill.version}"


def _key(skill: Skill) -> tuple[object, ...]:
    """Equal for two skills that do the same for the same goal in the same world, whatever their names are."""
    source, names = normalise(skill.program.source)
    goal = skill.goal_template
    for i, parameter in enumerate(skill.program.parameters):
        goal = goal.replace("{" + parameter.name + "}", f"{{\0{i}}}")
    parameters = tuple(
        (names.get(p.name, p.name), p.type, repr(p.default), p.required) for p in skill.program.parameters
    )
    return (skill.world, skill.fingerprint, source, goal, parameters)


def _closure(names: Iterable[str], skills: Mapping[str, Skill]) -> list[Skill]:
    done: dict[str, Skill] = {}

    def visit(name: str, path: tuple[str, ...]) -> None:
        if name in done:
            return
        if name in path:
            raise InputError(f"skills call each other in a circle: {' -> '.join([*path[path.index(name) :], name])}")
        if name not in skills:
            caller = f", which {path[-1]} calls" if path else ""
            raise NotFoundError.of("active skill", name, skills, f"It is needed{caller}." if caller else "")
        for called in skills[name].program.calls:
            visit(called, (*path, name))
        done[name] = skills[name]

    for name in names:
        visit(name, ())
    return list(done.values())

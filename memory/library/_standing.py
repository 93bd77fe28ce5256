"""The skills that stand: a view of the journal's active skills, with their vectors and words.

The view changes with the journal's transactions and is read anew where one is taken back. Vectors and words are
derived: should the index fail (a full disk, a server that is gone), what was learned is kept all the same, and the
index is made good when it can be.
"""

from __future__ import annotations

import contextlib
import threading
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace

from habilis.core import Embedder, HabilisError, InputError, Kind, NotFoundError, Program, Skill, VectorIndex
from habilis.memory.home import Home
from habilis.memory.index import Synced, sync_index
from habilis.memory.library._checks import check_text
from habilis.memory.library._usable import usable
from habilis.memory.library.merging import Plain, plains, shape
from habilis.memory.library.recall import Recall, skill_texts
from habilis.memory.library.similarity import normalise

Key = tuple[object, ...]


class Standing:
    """The active skills of a home, or of one world in it. Safe under threads."""

    def __init__(
        self,
        home: Home,
        embedder: Embedder,
        index: VectorIndex,
        *,
        fingerprint: str | None = None,
        passing: frozenset[str] = frozenset(),
        warn: Callable[[str], None] | None = None,
    ) -> None:
        self.home, self.embedder, self.index, self.fingerprint = home, embedder, index, fingerprint
        self.passing = passing
        self.warn = warn or (lambda message: warnings.warn(message, RuntimeWarning, stacklevel=3))
        self._lock = threading.RLock()
        self._closed = False
        self._recall = Recall(embedder, index)
        self._skills: dict[str, Skill] = {}  # active, by name@version
        self._keys: dict[Key, str] = {}  # what a skill does in a case, to the one who does it
        # What follows from the text of a version, which never changes.
        self._keys_of: dict[str, tuple[Key, ...]] = {}
        self._shape_of: dict[str, Key | None] = {}

    # ------------------------------------------------------------------ the view

    def refresh(self) -> Synced:
        """Read the active skills from the journal again, and make vectors and words agree with them."""
        with self._open():
            self._read()
            return self._sync()

    def _read(self) -> None:
        self._forget()
        self._skills = {skill_id(s): s for s in usable(self.home.journal) if self._ours(s)}
        self._keys = {}
        for id, skill in self._skills.items():
            for key in self._keys_in(skill):
                self._keys.setdefault(key, id)

    def _forget(self) -> None:
        """What was worked out from versions that may have been taken back: another may get their number."""
        self._keys_of.clear()
        self._shape_of.clear()

    def _sync(self) -> Synced:
        everyone = usable(self.home.journal)
        self._recall.hold(self._skills)
        texts = {id: text for s in everyone for id, text in skill_texts(s).items()}
        return sync_index(self.index, {Kind.SKILL: texts}, self.embedder)  # the home's: other worlds' stay in it

    def _stands(self, *skills: Skill) -> None:
        """Take in new versions, or what changed of old ones; the index follows once this is durable."""
        for skill in skills:
            id = skill_id(skill)
            if skill.status == "active":
                self._skills[id] = skill
                for key in self._keys_in(skill):
                    self._keys.setdefault(key, id)
            else:
                self._skills.pop(id, None)
                for key in self._keys_in(skill):
                    if self._keys.get(key) == id:
                        self._pass_on(key)
        self.home.journal.afterwards(self._settled, self._undone)

    def _pass_on(self, key: Key) -> None:
        """The next who does the same has it now."""
        heir = next((id for id, s in self._skills.items() if key in self._keys_in(s)), None)
        if heir is None:
            del self._keys[key]
        else:
            self._keys[key] = heir

    def _settled(self) -> None:
        with self._lock:
            try:
                self._sync()
            except Exception as error:  # a user's own index or embedder raises what it likes
                told = str(error) if isinstance(error, HabilisError) else f"{type(error).__name__}: {error}"
                self.warn(f"the index is behind, and is made good when the home is opened next: {told}")

    def _undone(self) -> None:
        with self._lock:
            self._read()

    # ------------------------------------------------------------------ reading

    def active(self) -> dict[str, Skill]:
        """The active version of each skill by name, in the order in which they were stored. Of skills of several
        worlds that share a name, the one stored last."""
        with self._lock:
            return {s.name: s for s in self._skills.values()}

    def get(self, name: str) -> Skill:
        """The active version of a skill. Raises `NotFoundError`, or `InputError` where several worlds have one."""
        check_text(name, "name", "the name of a skill")
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
            if self.home.journal.damaged_skills(name):
                self.home.journal.skill(name)  # says so
            raise NotFoundError.of("skill", name, self.active())

    def closure(self, names: Iterable[str]) -> list[Skill]:
        """These active skills and all that they call, what is called first. Raises `NotFoundError` naming who calls
        what is missing, `InputError` for a cycle."""
        if isinstance(names, str):
            raise InputError(f"names= is the text {names!r:.80}; give a list of names: [{names!r:.80}]")
        with self._lock:
            found: dict[str, Skill] = {}
            for name in names:
                check_text(name, "names", "each name of a skill")
                if name not in self.active():
                    raise NotFoundError.of("active skill", name, self.active())
                found |= {s.name: s for s in closure([name], self._world(self.get(name).fingerprint))}
            return list(found.values())

    def sources(self, names: Iterable[str]) -> dict[str, Program]:
        """The programs of `closure`, by the name under which they are called."""
        return {s.name: s.program for s in self.closure(names)}

    def callers(self, skill: Skill) -> list[Skill]:
        """The active skills that call this one themselves."""
        return [s for s in self._world(skill.fingerprint).values() if skill.name in s.program.calls]

    # ------------------------------------------------------------------ inside

    @contextlib.contextmanager
    def _open(self) -> Iterator[None]:
        """The lock. Raises `InputError` where the library was closed."""
        with self._lock:
            if self._closed:
                raise InputError("the skill library is closed; open it again: SkillLibrary.open(home, embedder=…)")
            yield

    def _ours(self, skill: Skill) -> bool:
        return self.fingerprint in (None, skill.fingerprint)

    def _world(self, fingerprint: str) -> dict[str, Skill]:
        """The active skills of one world by name."""
        return {s.name: s for s in self._skills.values() if s.fingerprint == fingerprint}

    def _versions(self, name: str) -> list[Skill]:
        """Every version of a skill, whatever its status."""
        return [s for s in self.home.journal.skills(None, name) if self._ours(s)]

    def _keys_in(self, skill: Skill) -> tuple[Key, ...]:
        """What a skill does, case by case, and as a whole at the end."""
        id = skill_id(skill)
        if id not in self._keys_of:
            try:
                own = [_plainly(skill, plain) for plain in plains(skill)] if skill.cases else []
                self._keys_of[id] = tuple(map(twin_key, (*own, skill)))
            except (InputError, KeyError, ValueError):
                self._keys_of[id] = ((id,),)  # stored by someone else, and no Python: like no other
        return self._keys_of[id]

    def _shape(self, skill: Skill) -> Key | None:
        """What all cases of a skill have in common; None where it is like no other."""
        id = skill_id(skill)
        if id not in self._shape_of:
            self._shape_of[id] = _shape_key(skill)
        found = self._shape_of[id]
        return None if found is None else (skill.fingerprint, skill.tools, skill.evidence.level, found)


def skill_id(skill: Skill) -> str:
    """The id of a version. A version's texts never change, so its vectors never go stale; whoever shares the index (the
    catalogue of augmentations) names skills the same way."""
    return f"{skill.name}@{skill.version}"


def _plainly(skill: Skill, plain: Plain) -> Skill:
    """One case of a skill as a skill of its own."""
    program = replace(skill.program, source=plain.source, parameters=plain.parameters)
    return replace(skill, program=program, goal_template=plain.goal_template, cases=())


def _shape_key(skill: Skill) -> Key | None:
    try:
        found = shape(plains(skill)[0])
    except (InputError, KeyError, ValueError):
        return None
    return None if found is None else found.key


def twin_key(skill: Skill) -> Key:
    """Equal for two skills that do the same for the same goal in the same world, whatever their names are."""
    source, names = normalise(skill.program.source)
    goal = skill.goal_template
    for i, parameter in enumerate(skill.program.parameters):
        goal = goal.replace("{" + parameter.name + "}", f"{{\0{i}}}")
    parameters = tuple(
        (names.get(p.name, p.name), p.type, repr(p.default), p.required, p.choices) for p in skill.program.parameters
    )
    return (skill.world, skill.fingerprint, source, goal, parameters)


def closure(names: Iterable[str], skills: Mapping[str, Skill]) -> list[Skill]:
    """Skills with all that they call, what is called first. Raises `NotFoundError`, `InputError`."""
    done: dict[str, Skill] = {}
    for root in names:
        path: dict[str, Iterator[str]] = {}  # who is being visited, with what they have left to call
        name: str | None = root
        while name is not None or path:
            if name is None:
                one, rest = next(reversed(path.items()))
                name = next(rest, None)
                if name is None:
                    done[one] = skills[one]
                    del path[one]
                continue
            if name in path:
                circle = [*path][[*path].index(name) :]
                raise InputError(f"skills call each other in a circle: {' -> '.join([*circle, name])}")
            if name not in skills:
                hint = f"It is needed, which {next(reversed(path))} calls." if path else ""
                raise NotFoundError.of("active skill", name, skills, hint)
            if name not in done:
                path[name] = iter(skills[name].program.calls)
            name = None
    return list(done.values())

"""Lives of a library at random: what is done follows from a seed, and from what the library shows."""

from __future__ import annotations

import random
from dataclasses import replace

from tests.memory.toys import SETTINGS, WALK, WOODS, Table, Toy, believed, names, plank, stick

from habilis.core import EvidenceLevel, HabilisError, NotFoundError, Skill
from habilis.memory.library import SkillLibrary

SMALL = replace(SETTINGS, active_cap=5, withhold=0.5)
_BREAKS = ('craft("oak_plank")', 'saw("ash_plank")', 'craft("pine_stick")')


class Life:
    """One step of it; each of its public methods is one that may be taken."""

    def __init__(self, library: SkillLibrary, toy: Toy, rng: random.Random) -> None:
        self._library, self._toy, self._rng = library, toy, rng
        self._wood, self._extra = rng.choice(WOODS), rng.choice(["", "", WALK, "        0\n"])
        self._how = rng.choice(["craft", "craft", "saw"])
        self._name = rng.choice(sorted({s.name for s in library.home.journal.skills(None)}) or ["nothing"])

    def planks(self) -> object:
        name = self._rng.choice(["", "", "get"])
        return _told(self._library, plank(self._wood, self._how, extra=self._extra, name=name))

    def named(self) -> object:
        return _told(self._library, plank(self._wood, self._how, extra=self._extra, name=self._name))

    def watched(self) -> object:
        level = self._rng.choice(list(EvidenceLevel))
        return _told(self._library, believed(plank(self._wood, self._how), level, self._rng.randint(0, 9)))

    def sticks(self) -> object:
        called = self._library.get(self._rng.choice(sorted(self._library.active()) or ["nothing"]))
        case = self._rng.choice(called.settings)
        kind = "".join(f", {name}={value!r}" for name, value in case.args.items())
        wood = str(called.goal_for(case.args)).split('"')[1].split("_")[0]
        return _told(self._library, stick(wood, f"skills.{called.name}(1{kind})", calls=(called.name,)))

    def verified(self) -> object:
        return self._library.verify(self._name, seed=self._rng.randint(0, 9)).why

    def used(self) -> object:
        self._library.used(self._name, self._rng.random() < 0.3)
        return self._name

    def lifted(self) -> object:
        woods = WOODS[: self._rng.randint(1, 4)]
        drafts = Table(*[plank(w, "saw", extra=self._extra, name=f"lift_{w}") for w in woods])
        return names(self._library.relift(drafts, seed=self._rng.randint(0, 9)).promoted)

    def retired(self) -> object:
        return self._library.retire(self._name, "at random")

    def restored(self) -> object:
        back = self._library.restore(self._name, "at random", version=self._rng.choice([None, 1, 2]))
        return back.name, back.version

    def pruned(self) -> object:
        return self._library.prune()

    def settled(self) -> object:
        offer = self._library.offer(sorted(self._library.active()), str(self._rng.random()))
        self._library.settle(offer, self._rng.random() < 0.5)
        return offer

    def broken(self) -> object:
        """Another thing of the world fails from now on, or none."""
        self._toy.broken = {self._rng.choice(_BREAKS)} if self._rng.random() < 0.4 else set()
        return self._toy.broken

    def undone(self) -> object:
        with self._library.home.journal.transaction():
            self._library.admit(plank(self._wood, self._how, extra=self._extra, name="undone"), "found")
            raise NotFoundError("taken back")


def _told(library: SkillLibrary, skill: Skill) -> tuple[str, int]:
    kept = library.admit(skill, "found")
    return kept.name, kept.version


_OFTEN = {"planks": 5, "sticks": 3, "used": 3}
KINDS = tuple(kind for kind in vars(Life) if not kind.startswith("_"))


def random_step(library: SkillLibrary, toy: Toy, rng: random.Random) -> str:
    """Do one thing, which may well be refused; what came of it."""
    what = rng.choices(KINDS, [_OFTEN.get(kind, 1) for kind in KINDS])[0]
    try:
        return f"{what}: {getattr(Life(library, toy, rng), what)()}"
    except HabilisError as error:
        return f"{what}: {type(error).__name__}: {error}"

"""The grid world: levels, seeds, missions, and the protocol that every world satisfies."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import Any

from habilis.core import Action, Change, Fact, Goal, Image, InputError, Json, Observation, Outcome, Snapshot, Value
from habilis.worlds.grid._body import HANDLERS, WORDS, Body
from habilis.worlds.grid._levels import begun, checked, copied
from habilis.worlds.grid._seen import Seen
from habilis.worlds.grid._spec import spec
from habilis.worlds.grid.missions import VERBS, Turn, goal_of, read_mission, read_turns
from habilis.worlds.grid.things import ALIKE, LOCKED, all_words, described

SCHEMA_VERSION = 1
SPLITS = ("train", "test")
HELD_OUT = 1_000_000_000  # the seeds of the test split begin here: no seed of the other is as large
_RULES = "grid-1"  # of ours: what is shown and how it is walked; the package's version is added
_POSED = 400  # lives that are begun in search of a mission like one that is asked for
# What missions of a level's family ask for, by the beginning of its name; of others they may ask for anything.
_FAMILIES = {"GoTo": "went_to", "Pickup": "took", "UnblockPickup": "took", "OneRoom": "took", "FindObj": "took"}
_FAMILIES |= {"Open": "opened", "UnlockLocal": "opened", "PutNext": "put_next"}


class GridWorld(Body):
    """BabyAI's levels by the package's rules, seen as an agent sees them: the view, and what it remembers of it.

    Args:
        level: the name of a level, or several separated by commas; a life begins in one of them, by its seed.
        split: "train" or "test": their lives have nothing in common, whatever the seed.
        length: steps of one life; None: the level's own number.
        pictures: observations carry the view as a picture (capability "images").

    Raises `InputError` for an option that is none of these, `MissingExtraError` without the extra ``grid``. The world
    starts at seed 0; call `reset` for another. The same seed gives the same life on the same version of the package.
    """

    def __init__(
        self, *, level: str = "GoToLocal", split: str = "train", length: int | None = None, pictures: bool = False
    ) -> None:
        self._levels = checked(level)
        if split not in SPLITS:
            raise InputError(f"the world grid has no split {split!r}; use one of {', '.join(SPLITS)}")
        if length is not None and (isinstance(length, bool) or not isinstance(length, int) or not 1 <= length <= 10**6):
            raise InputError(f"a life in grid has 1 to 1,000,000 steps, not {length!r}; change length")
        if not isinstance(pictures, bool):
            raise InputError(f"grid takes pictures=True or False, not {pictures!r}")
        from importlib.metadata import version

        self._split, self._length, self._pictures = split, length, pictures
        self.spec = spec(f"{_RULES}:{version('minigrid')}", self._pictures)
        self.reset(0)

    # -- the protocol ------------------------------------------------------------------------------------------------

    def reset(self, seed: int) -> Observation:
        """Begin the life of this seed: a level of those chosen, and the package's own seed within the split."""
        if isinstance(seed, bool) or not isinstance(seed, int) or seed < 0:
            raise InputError(f"a seed is a whole number from 0, not {seed!r}")
        self._begin(self._levels[seed % len(self._levels)], seed)
        return self.observe()

    def observe(self) -> Observation:
        images = (Image.of(self.picture()),) if self._pictures else ()
        return Snapshot(facts=dict(self._facts), tags=self.spec.tags, text=self._text(), images=images)

    def act(self, action: Action) -> Outcome:
        """Do one thing. Raises `InputError` for an action that this world does not have."""
        name, args = action
        handler, primitive = HANDLERS.get(name), self.spec.primitive(name)
        if handler is None or primitive is None:
            raise InputError(f"grid has no action {name!r}; it has {', '.join(p.name for p in self.spec.primitives)}")
        if self.over:
            return Outcome(False, message=f"this life is over: {self.ended()}", steps=0, done=True)
        if len(args) != len(primitive.parameters):
            wanted = " and ".join(p.name for p in primitive.parameters) or "nothing"
            return Outcome(False, message=f"{name} takes {wanted}, not {args!r}", steps=0)
        unknown = [word for word in args if not isinstance(word, str) or described(word) is None]
        if unknown:
            told = (
                f'{unknown[0]!r} is no word for things; write [colour ]kind[ place], such as "red ball" or "door left"'
            )
            return Outcome(False, message=told, steps=0)
        before, steps = self._facts, len(self._steps)
        if not self._words.issuperset(map(str, args)):
            self._words |= frozenset(map(str, args))
            self._facts = before = self._now()
        self._towards = ""
        ok, value, message = handler(self, *args)
        taken = len(self._steps) - steps
        self._towards = ""
        if taken:
            self._facts = self._now()
        if self.over:
            message = f"{message}; {self.ended()}" if message else self.ended()
        return Outcome(ok, _changes(before, self._facts), None, message, value, taken, self.over)

    def ended(self) -> str:
        """How this life ended; "" while it goes on."""
        if not self.over:
            return ""
        steps = f"{self._env.step_count} of {self._env.max_steps} steps"
        if self._reward > 0:
            return f"the mission is done, after {steps}"
        return f"the mission has failed, after {steps}" if self._failed else f"the {steps} are over"

    # -- capabilities ------------------------------------------------------------------------------------------------

    def clone(self) -> GridWorld:
        """An independent copy."""
        twin = GridWorld.__new__(GridWorld)
        twin.__dict__.update(self.__dict__)
        twin._env, twin._seen, twin._steps = copied(self._env), self._seen.clone(), list(self._steps)
        return twin

    def save(self) -> Json:
        return {
            "schema_version": SCHEMA_VERSION,
            "fingerprint": self.spec.fingerprint,
            "level": self._level,
            "seed": self._seed,
            "steps": list(self._steps),
            "turn": self._turn,
            "deeds": sorted(map(str, self._deeds)),
            "words": sorted(self._words),
        }

    def load(self, state: Json) -> None:
        """Repeat the life that was saved. Raises `InputError` for a state of other rules, or one that is damaged; the
        world is then as it was."""
        if not isinstance(state, dict) or state.get("schema_version") != SCHEMA_VERSION:
            version = state.get("schema_version") if isinstance(state, dict) else None
            raise InputError(f"grid reads states of schema_version={SCHEMA_VERSION}, not {version!r}; save it anew")
        if state.get("fingerprint") != self.spec.fingerprint:
            raise InputError(
                f"the state was saved under the rules {state.get('fingerprint')!r}, this world has "
                f"{self.spec.fingerprint!r}; install the version of minigrid that it was saved with"
            )
        kept = dict(self.__dict__)
        try:
            steps = [int(step) for step in state["steps"]]
            if not set(steps) <= set(range(7)):
                raise ValueError("steps")
            self._begin(checked(state["level"])[0], int(state["seed"]), exact=True)
            for step in steps:
                self._step(step)
            self._turn = int(state["turn"])
            self._deeds = {Fact.parse(fact): True for fact in state["deeds"]}
            self._words = frozenset(map(str, state["words"]))
        except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
            self.__dict__.clear()
            self.__dict__.update(kept)
            raise InputError(f"the saved state is damaged ({type(error).__name__}: {error}); load another") from error
        self._facts = self._now()

    def affordances(self) -> Sequence[Action]:
        """What may be tried: with each kind of thing that was seen, with what the mission names, with what is held."""
        seen = self._seen
        kinds = sorted({thing.kind for thing in seen.things.values()} | ({seen.held.kind} if seen.held else set()))
        words = [*kinds]
        if "locked" in seen.doors.values():
            words.append(LOCKED)
        if seen.lock:
            words.append(ALIKE)
        asked = [fact for turn in self._turns for fact in turn]
        words += [str(word) for fact in asked for word in fact.args[:-1]]
        words = list(dict.fromkeys(words))
        found = [Action("go_to", (word,)) for word in words]
        for word in words:
            meant = described(word)
            kind = meant.kind if meant is not None else ""
            if kind != "door":
                found.append(Action("pick_up", (word,)))
            if kind in ("door", "box"):
                found.append(Action("toggle", (word,)))
        pairs = [fact.args[:2] for fact in asked if fact.predicate == "put_next"]
        if seen.held is not None:
            pairs += [(seen.held.kind, kind) for kind in kinds]
        for one, other in dict.fromkeys(pairs):
            found += [Action("go_beside", (other,)), Action("put", (one, other))]
        found += [Action(name) for name in ("drop", "go_aside", "turn_left", "turn_right", "forward")]
        return list(dict.fromkeys(found))

    def goals(self) -> Sequence[Goal]:
        """The mission, if it is one that is understood, while it is not done."""
        return [goal_of(self._turns)] if self._turns and not self.over else []

    def pose(self, like: Goal, seed: int) -> Goal | None:
        """Begin anew, from the seed, in one of this world's levels, with a mission of the same verbs in the same order:
        its goal. None (and nothing has changed) where none was met."""
        form = _form(like)
        if form is None:
            return None
        verbs = {verb for verb, _ in form}
        names = [name for name in self._levels if verbs <= _asks(name)]
        rng = random.Random(f"grid:{seed}")
        kept = dict(self.__dict__)
        for _ in range(_POSED if names else 0):
            self._begin(rng.choice(names), rng.getrandbits(29))
            goal = goal_of(self._turns)
            if _form(goal) == form:
                return goal
        self.__dict__.clear()
        self.__dict__.update(kept)
        return None

    def understand(self, text: str) -> Goal | None:
        """The goal that a mission in the words of the levels sets, or None."""
        return read_mission(text)

    def names(self) -> tuple[str, ...]:
        """Every word for things that a goal may name: for reading users' words; it tells no rule."""
        return all_words()

    # -- for the host and for pictures; programs are handed none of it -------------------------------------------------

    @property
    def level(self) -> str:
        """The level of this life."""
        return self._level

    @property
    def mission(self) -> str:
        """The mission of this life, as the package words it."""
        return str(self._env.mission)

    @property
    def reward(self) -> float:
        """The package's reward for this life: above 0 once the mission is done. No observation shows it."""
        return self._reward

    def environment(self, seed: int) -> Any:
        """The package's own environment as the life of this seed begins, whole: for who plays it by other means."""
        return begun(self._levels[seed % len(self._levels)], self._own(seed), self._length, whole=True)

    def picture(self, tile: int = 24) -> Any:
        """The view as the package draws it: uint8, (7 * tile, 7 * tile, 3). Drawing changes nothing."""
        return self._env.get_pov_render(tile)

    def whole(self, tile: int = 24) -> Any:
        """The whole level as the package draws it, what is hidden too: for reports, never for a program."""
        return self._env.get_full_render(True, tile)

    def _own(self, seed: int) -> int:
        """The package's seed that a seed stands for in this split."""
        return seed % HELD_OUT + (HELD_OUT if self._split == "test" else 0)

    def _begin(self, level: str, seed: int, *, exact: bool = False) -> None:
        """``exact``: the seed is the package's own."""
        own = seed if exact else self._own(seed)
        env = begun(level, own, self._length)
        self._env, self._level, self._seed = env, level, own
        self._seen = Seen(self._at, int(env.agent_dir))
        self._steps, self._reward, self._failed = [], 0.0, False
        self._turns: tuple[Turn, ...] = read_turns(self.mission) or ()
        self._turn, self._deeds, self._towards = 1, {}, ""
        self._words = frozenset(WORDS) | {str(word) for turn in self._turns for f in turn for word in f.args[:-1]}
        self._seen.look(env)
        self._facts = self._now()


def _form(goal: Goal) -> tuple[tuple[str, Any], ...] | None:
    """The verbs of a mission's parts, each with the place of its turn among the turns; None where it is no mission."""
    facts = [atom.fact for atom in goal.atoms]
    if not facts or any(fact.predicate not in VERBS or not fact.args for fact in facts):
        return None
    turns = sorted({str(fact.args[-1]) for fact in facts})
    return tuple((fact.predicate, turns.index(str(fact.args[-1]))) for fact in facts)


def _asks(level: str) -> set[str]:
    """What missions of this level may ask for, as far as its name tells."""
    family = max((name for name in _FAMILIES if level.startswith(name)), key=len, default="")
    return {_FAMILIES[family]} if family else set(VERBS)


def _changes(before: Mapping[Fact, Value], after: Mapping[Fact, Value]) -> tuple[Change, ...]:
    found = [Change(fact, before.get(fact, False), value) for fact, value in after.items() if before.get(fact) != value]
    return (*found, *(Change(fact, value, False) for fact, value in before.items() if fact not in after))

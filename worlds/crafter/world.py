"""The crafter world: what its actions do, what it shows, and the protocol that every world satisfies."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from habilis.core import (
    Action,
    Change,
    Fact,
    Goal,
    InputError,
    Json,
    Observation,
    Outcome,
    Snapshot,
    Value,
    need,
)
from habilis.worlds.crafter import _tables as tables
from habilis.worlds.crafter._body import HANDLERS, Body
from habilis.worlds.crafter._spec import PRIMITIVES, spec
from habilis.worlds.crafter._tables import EDGE
from habilis.worlds.crafter.achievements import achievement_goals

if TYPE_CHECKING:
    from habilis.worlds.crafter._game import Game
    from habilis.worlds.crafter.simulator import Belief

SCHEMA_VERSION = 1
_RULES = "crafter-1"  # of ours: what is shown and how it is walked; the package's version is added
_NOT_DONE = ("unknown", EDGE, "lava", "arrow")  # kinds that nothing is proposed for
_BARE = ("look", "sleep", "noop")
_WANTED = {p.name: " and ".join(q.name for q in p.parameters) or "nothing" for p in PRIMITIVES}
_NAMES = tuple(sorted({*tables.THINGS, *tables.ITEMS}))


class CrafterWorld(Body):
    """Crafter by its own rules, seen as an agent sees it: the local view and what it remembers of it.

    Args:
        length: steps of one life; 10,000 is the game's own.

    Raises `InputError` for another length, `MissingExtraError` without the extra ``crafter``. The world starts at seed
    0; call `reset` for another. The same seed gives the same game, luck included, on the same version of the package.
    """

    def __init__(self, *, length: int = tables.LENGTH) -> None:
        if isinstance(length, bool) or not isinstance(length, int) or not 1 <= length <= 1_000_000:
            raise InputError(f"a life in crafter has 1 to 1,000,000 steps, not {length!r}; change length")
        need("crafter", "the world 'crafter'", install="'habilis[crafter]'")
        from importlib.metadata import version

        self._length = length
        self.spec = spec(f"{_RULES}:{version('crafter')}")
        self._watched_by = None
        self.reset(0)

    # -- the protocol ------------------------------------------------------------------------------------------------

    def reset(self, seed: int) -> Observation:
        """Begin the life that ``crafter.Env(seed=seed)`` begins."""
        from habilis.worlds.crafter._game import Game

        if isinstance(seed, bool) or not isinstance(seed, int):
            raise InputError(f"a seed is a whole number, not {seed!r}")
        self._begin(Game.begun(seed))
        return self.observe()

    def observe(self) -> Observation:
        return Snapshot(facts=dict(self._facts), tags=self.spec.tags, text=self._text())

    def act(self, action: Action) -> Outcome:
        """Do one thing. Raises `InputError` for an action that this world does not have."""
        name, args = action
        handler = HANDLERS.get(name)
        if handler is None:
            raise InputError(
                f"crafter has no action {name!r}; it has {', '.join(p.name for p in self.spec.primitives)}"
            )
        if self.over:
            return Outcome(False, message=f"this life is over: {self.ended()}", steps=0, done=True)
        before, steps = self._facts, self._game.steps
        if not _fits(name, args):
            return Outcome(False, message=f"{name} takes {_WANTED[name]}, not {args!r}", steps=0)
        ok, value, message = handler(self, *args)
        taken = self._game.steps - steps
        if taken:
            self._facts = self._now()
        if self.over:
            message = f"{message}; {self.ended()}" if message else self.ended()
        return Outcome(ok, _changes(before, self._facts), None, message, value, taken, self.over)

    def ended(self) -> str:
        """How this life ended; "" while it goes on."""
        if not self.over:
            return ""
        steps = f"{self._game.steps} of {self._length} steps"
        return f"you died after {steps}" if self._game.dead else f"the {steps} are over"

    # -- capabilities ------------------------------------------------------------------------------------------------

    def clone(self) -> CrafterWorld:
        """An independent copy, luck included."""
        twin = self._like()
        twin._game, twin._seen = self._game.clone(), self._seen.clone()
        return twin

    def simulator(self) -> Belief:
        """The belief about this world as it now stands."""
        from habilis.worlds.crafter.simulator import Belief

        return Belief(self)

    def redrawn(self, seed: int) -> CrafterWorld:
        """A world that shows and remembers the same; all else is drawn from ``seed``."""
        twin = self._like()
        seen = self._seen
        things = [(x, y, kind, seen.ways.get((x, y), (0, 0))) for (x, y), kind in sorted(seen.things.items())]
        twin._game, twin._seen = self._game.imagined(seed, seen.land, things), seen.clone()
        return twin

    def save(self) -> Json:
        return {
            "schema_version": SCHEMA_VERSION,
            "fingerprint": self.spec.fingerprint,
            "game": self._game.save(),
            "seen": self._seen.save(),
            "deeds": [[str(fact), n] for fact, n in sorted(self._deeds.items())],
            "stopped": list(self._stopped) if self._stopped is not None else None,
        }

    def load(self, state: Json) -> None:
        """Raises `InputError` for a state of other rules, or one that is damaged; the world is then as it was."""
        from habilis.worlds.crafter._game import Game
        from habilis.worlds.crafter._seen import Seen

        if not isinstance(state, dict) or state.get("schema_version") != SCHEMA_VERSION:
            version = state.get("schema_version") if isinstance(state, dict) else None
            raise InputError(f"crafter reads states of schema_version={SCHEMA_VERSION}, not {version!r}; save it anew")
        if state.get("fingerprint") != self.spec.fingerprint:
            raise InputError(
                f"the state was saved under the rules {state.get('fingerprint')!r}, this world has "
                f"{self.spec.fingerprint!r}; install the version of crafter that it was saved with"
            )
        try:
            game = Game.loaded(state["game"])
            seen = Seen.loaded(state["seen"], game)
            deeds = {Fact.parse(fact): int(n) for fact, n in state["deeds"]}
            stopped = state["stopped"]
            cell = (int(stopped[0]), int(stopped[1])) if stopped is not None else None
        except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
            raise InputError(f"the saved state is damaged ({type(error).__name__}: {error}); load another") from error
        self._game, self._seen, self._deeds, self._stopped = game, seen, deeds, cell
        self._facts = self._now()

    def affordances(self) -> Sequence[Action]:
        """Everything that may be tried: to act on each kind of thing seen so far, to look for it, to place, to make."""
        kinds = sorted(self._seen.kinds - set(_NOT_DONE))
        found = [Action(name, (kind,)) for name in ("do", "find") for kind in kinds]
        found += [Action("go_near", (station,)) for station in tables.STATIONS if station in self._seen.kinds]
        for primitive in self.spec.primitives:
            if primitive.name in ("move", "place", "make"):
                found += [Action(primitive.name, (str(choice),)) for choice in primitive.parameters[0].choices]
        return [*found, Action("sleep"), Action("noop")]

    def goals(self) -> Sequence[Goal]:
        """Which of the 22 achievements are not so now."""
        now = Snapshot(self._facts)
        return [goal for goal in achievement_goals().values() if goal.unmet(now)]

    def chores(self) -> Mapping[str, Goal]:
        """The 22 achievements by their names: "collect wood"."""
        return {name.replace("_", " "): goal for name, goal in achievement_goals().items()}

    def names(self) -> tuple[str, ...]:
        """Every thing and item that a goal may name: for reading users' words; it tells no rule."""
        return _NAMES

    def watch(self, due: Callable[[Snapshot], bool] | None) -> None:
        """From now on break walking off between two steps where ``due`` says so."""
        self._watched_by = due

    # -- for the host and for pictures; programs are handed none of it -------------------------------------------------

    def unlocked(self) -> frozenset[str]:
        """The achievements of this life by the package's own count: for benchmarks. No observation shows it."""
        return frozenset(name for name, n in self._game.achievements.items() if n)

    def picture(self, size: int = 324) -> Any:
        """What the package would draw now: uint8, (size, size, 3). Drawing changes nothing."""
        return self._game.picture(size)

    def _begin(self, game: Game) -> None:
        from habilis.worlds.crafter._seen import Seen

        self._game, self._seen = game, Seen()
        self._deeds, self._stopped = {}, None
        self._seen.look(game)
        self._facts = self._now()

    def _like(self) -> CrafterWorld:
        twin = CrafterWorld.__new__(CrafterWorld)
        twin.spec, twin._length = self.spec, self._length
        twin._deeds, twin._stopped, twin._facts = self._deeds, self._stopped, self._facts
        twin._watched_by = None
        return twin


def _fits(name: str, args: tuple[Any, ...]) -> bool:
    if name == "find" and len(args) == 2:
        return isinstance(args[0], str) and isinstance(args[1], int)
    return len(args) == (name not in _BARE) and all(isinstance(a, str) for a in args)


def _changes(before: Mapping[Fact, Value], after: Mapping[Fact, Value]) -> tuple[Change, ...]:
    changes = [
        Change(fact, before.get(fact, _absent(value)), value)
        for fact, value in after.items()
        if before.get(fact) != value
    ]
    changes += [Change(fact, value, _absent(value)) for fact, value in before.items() if fact not in after]
    return tuple(changes)


def _absent(value: Value) -> Value:
    return False if isinstance(value, bool) else 0

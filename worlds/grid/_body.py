"""The agent's body in a grid world: what its actions do, step by step, and what it is shown."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from habilis.core import Fact, Json, Value, WorldSpec
from habilis.worlds.grid._seen import AHEAD, Cell, Seen, Thing
from habilis.worlds.grid._spec import WALK_STEPS
from habilis.worlds.grid._walk import FORWARD, LEFT, RIGHT, way
from habilis.worlds.grid.missions import Turn
from habilis.worlds.grid.things import ALIKE, KINDS, LOCKED, Description, described, named

_PICK_UP, _DROP, _TOGGLE, _WAIT = 3, 4, 5, 6  # the package's numbers of its actions, after the three that move
_NOTHING = "nothing came of it"
_WORDS = (*KINDS, LOCKED, ALIKE)
_EMPTY, _CLEAR = Fact("empty_handed"), Fact("clear")

Done = tuple[bool, Json, str]  # whether it did what it is for, its value, a message


class Body:
    """The state behind `GridWorld`, and the actions on it: each takes the environment's steps that it takes."""

    spec: WorldSpec
    _env: Any
    _seen: Seen
    _steps: list[int]  # the environment's actions of this life
    _reward: float
    _turns: tuple[Turn, ...]  # what the mission asks for, in the order in which it is to be done
    _turn: int  # the one at work, from 1
    _deeds: Mapping[Fact, bool]  # what the agent saw come of its own doing
    _words: frozenset[str]  # words for things that were used in this life, or are the mission's
    _towards: str  # what is walked to

    @property
    def over(self) -> bool:
        """Whether this life has ended."""
        return self._reward > 0 or self._failed or self._env.step_count >= self._env.max_steps

    _failed: bool = False  # the package has ended it without a reward

    # -- actions -----------------------------------------------------------------------------------------------------

    def _look_around(self) -> Done:
        (x, y), (ax, ay) = self._at, AHEAD[self._env.agent_dir]
        _, visible = self._env.gen_obs_grid()
        rows = []
        for j in range(7):
            row = []
            for i in range(7):
                cell = x + ax * (6 - j) - ay * (i - 3), y + ay * (6 - j) + ax * (i - 3)
                row.append(self._shown(cell) if visible[i, j] else "unseen")
            rows.append(row)
        rows[6][3] = "you"
        return True, {"rows": rows, "mission": str(self._env.mission)}, ""

    def _shown(self, cell: Cell) -> str:
        thing = self._seen.things.get(cell)
        if thing is None:
            return "floor" if self._seen.floor.get(cell) else "wall"
        state = f"{self._seen.doors[cell]} " if thing.kind == "door" else ""
        return f"{state}{thing.colour} {thing.kind}"

    def _go_to(self, word: str) -> Done:
        meant = described(word)
        assert meant is not None
        self._towards = word
        began, seen = len(self._steps), self._seen

        def wanted(cell: Cell, front: Cell) -> bool:
            return front in targets

        while not self.over:
            targets = frozenset(seen.ones(meant))
            if self._front in targets:
                break
            ended = self._follow(wanted if targets else self._is_unknown, began, targets)
            if ended:
                return False, None, ended
        thing = seen.things.get(self._front)
        if thing is None or not seen.is_one(thing, meant, self._front):
            return False, None, f"no {word} was reached"
        if len(self._steps) == began and not self.over:  # it counts only from a step on
            self._step(_WAIT)
        if seen.doors.get(self._front) == "locked" and not meant.locked and not self.over:
            return False, None, f"{LOCKED} is in the way"
        return True, word, ""

    def _go_beside(self, word: str) -> Done:
        meant = described(word)
        assert meant is not None
        began, seen = len(self._steps), self._seen

        def wanted(cell: Cell, front: Cell) -> bool:
            return front in spots

        while not self.over:
            spots = frozenset(side for x, y in seen.ones(meant) for side in _around((x, y)) if seen.bare(side))
            if self._front in spots:
                return True, word, ""
            ended = self._follow(wanted if spots else self._is_unknown, began, spots)
            if ended:
                return False, None, ended
        return False, None, f"no free cell next to {word} was reached"

    def _go_aside(self) -> Done:
        began = len(self._steps)
        while not self.over:
            if self._is_clear(self._front):
                return True, None, ""
            ended = self._follow(lambda cell, front: self._is_clear(front) and front != cell, began, frozenset())
            if ended:
                return False, None, ended
        return False, None, "no free cell was reached"

    def _follow(self, wanted: Callable[[Cell, Cell], bool], began: int, targets: frozenset[Cell]) -> str:
        """Walk the cheapest way until something new is seen, or it ends. Why it cannot go on, or ""."""
        seen = self._seen
        found = way(seen, (*self._at, int(self._env.agent_dir)), wanted)
        if not found:
            return "nothing of the kind is known, and there is nowhere left to look"
        known = seen.changes
        for action in found:
            if len(self._steps) - began >= WALK_STEPS:
                return f"it was not reached within {WALK_STEPS} steps"
            front = self._front
            if action == FORWARD and not seen.free(front):
                if front in seen.things:
                    return f"{self._barring(front)} is in the way"
                return ""  # what was thought to be free is a wall
            self._step(action)
            if self.over or seen.changes != known:
                return ""
        return ""

    def _is_unknown(self, cell: Cell, front: Cell) -> bool:
        return front not in self._seen.floor

    def _is_clear(self, cell: Cell) -> bool:
        return self._seen.bare(cell) and not any(side in self._seen.doors for side in _around(cell))

    def _pick_up(self, word: str) -> Done:
        return self._upon(word, _PICK_UP, "took")

    def _toggle(self, word: str) -> Done:
        return self._upon(word, _TOGGLE, "opened")

    def _upon(self, word: str, action: int, deed: str) -> Done:
        """Do something to what is before the agent, if it is what the word says."""
        if not self._facts.get(Fact("before", (word,))):
            return False, None, f"no {word} is before you"
        front, seen = self._front, self._seen
        thing, locked = seen.things[front], seen.doors.get(front) == "locked"
        self._step(action)
        now = seen.things.get(front)
        ok = now is None or now.kind != thing.kind if thing.kind != "door" else seen.doors.get(front) == "open"
        if not ok:
            return False, None, _NOTHING
        done = {Fact(deed, (word,))}
        done |= {fact for fact in self._asked(deed) if self._is_meant(str(fact.args[0]), thing, front, locked)}
        self._note(done)
        return True, None, ""

    def _drop(self) -> Done:
        if self._seen.held is None or not self._is_clear(self._front):
            return False, None, "you hold nothing" if self._seen.held is None else "you face no free cell"
        return self._put_down(frozenset())

    def _put(self, word: str, other: str) -> Done:
        if not self._facts.get(Fact("holding", (word,))):
            return False, None, f"you hold no {word}"
        if not self._facts.get(Fact("beside", (other,))):
            return False, None, f"you face no free cell next to {other}"
        return self._put_down(frozenset({Fact("put_next", (word, other))}))

    def _put_down(self, meant: frozenset[Fact]) -> Done:
        held, front, seen = self._seen.held, self._front, self._seen
        assert held is not None
        near = [(cell, seen.things[cell]) for cell in _around(front) if cell in seen.things]
        done = set(meant)
        for fact in self._asked("put_next"):
            one, other = (str(word) for word in fact.args)
            if self._is_meant(one, held) and any(self._is_meant(other, thing, cell) for cell, thing in near):
                done.add(fact)
        self._step(_DROP)
        if seen.held is not None:
            return False, None, _NOTHING
        self._note(done)
        return True, None, ""

    def _turn_left(self) -> Done:
        self._step(LEFT)
        return True, None, ""

    def _turn_right(self) -> Done:
        self._step(RIGHT)
        return True, None, ""

    def _forward(self) -> Done:
        at = self._at
        self._step(FORWARD)
        ok = self._at != at
        return ok, None, "" if ok else _NOTHING

    # -- steps and deeds ---------------------------------------------------------------------------------------------

    def _step(self, action: int) -> None:
        env, front = self._env, self._front
        taken = self._seen.things.get(front) if action == _PICK_UP else None
        dropped = self._seen.held if action == _DROP else None
        _, reward, terminated, _, _ = env.step(action)
        self._steps.append(action)
        if terminated:
            self._reward, self._failed = float(reward), not reward > 0
        self._seen.look(env)
        if taken is not None and self._seen.held is not None and front not in self._seen.things:
            self._seen.held = taken  # which lay where it lay
        if dropped is not None and self._seen.held is None and front in self._seen.things:
            self._seen.things[front] = dropped  # it is the same thing still, wherever it lay at first
        self._note(())

    def _asked(self, deed: str) -> list[Fact]:
        """What the turn at work asks for of this kind, without its number."""
        turn = self._turns[self._turn - 1] if self._turn <= len(self._turns) else ()
        return [Fact(fact.predicate, fact.args[:-1]) for fact in turn if fact.predicate == deed]

    def _note(self, done: Iterable[Fact]) -> None:
        """Take down what was done, in the turn at work; with the last part of a turn the next one begins."""
        self._take_down(done)
        while self._turn <= len(self._turns):
            front = self._front
            thing = self._seen.things.get(front)
            words = [self._towards, *(str(fact.args[0]) for fact in self._asked("went_to"))]
            if thing is not None:
                met = [word for word in words if word and self._is_meant(word, thing, front)]
                self._take_down(Fact("went_to", (word,)) for word in met)
            if not all(fact in self._deeds for fact in self._turns[self._turn - 1]):
                return
            self._turn += 1

    def _take_down(self, done: Iterable[Fact]) -> None:
        turn = min(self._turn, max(1, len(self._turns)))
        new = {Fact(fact.predicate, (*fact.args, turn)): True for fact in done}
        if not new.keys() <= self._deeds.keys():
            self._deeds = {**self._deeds, **new}

    def _is_meant(self, word: str, thing: Thing, cell: Cell | None = None, locked: bool = False) -> bool:
        meant = described(word)
        if meant is None:
            return False
        if meant.locked and locked and thing.kind == "door":
            return True
        return self._seen.is_one(thing, meant, cell)

    # -- showing -----------------------------------------------------------------------------------------------------

    @property
    def _at(self) -> Cell:
        x, y = self._env.agent_pos
        return int(x), int(y)

    @property
    def _front(self) -> Cell:
        (x, y), (dx, dy) = self._at, AHEAD[self._env.agent_dir]
        return x + dx, y + dy

    _facts: Mapping[Fact, Value]  # what is observed now

    def _barring(self, cell: Cell) -> str:
        """The kind of what lies or is shut in a cell; "" where nothing does."""
        thing = self._seen.things.get(cell)
        if thing is None:
            return ""
        state = self._seen.doors.get(cell) if thing.kind == "door" else None
        return {"open": "", "locked": LOCKED}.get(state or "", thing.kind)

    def _now(self) -> dict[Fact, Value]:
        seen, front = self._seen, self._front
        words = [(word, meant) for word in sorted(self._words) if (meant := described(word)) is not None]
        facts: dict[Fact, Value] = dict(self._deeds)
        if seen.held is None:
            facts[_EMPTY] = True
        else:
            facts.update({Fact("holding", (word,)): True for word in self._said_of(seen.held, None, words)})
        thing = seen.things.get(front)
        if thing is not None:
            facts.update({Fact("before", (word,)): True for word in self._said_of(thing, front, words)})
            if barring := self._barring(front):
                facts[Fact("barred", (barring,))] = True
        elif seen.bare(front):
            if self._is_clear(front):
                facts[_CLEAR] = True
            for cell in _around(front):
                near = seen.things.get(cell)
                if near is not None:
                    facts.update({Fact("beside", (word,)): True for word in self._said_of(near, cell, words)})
        return facts

    def _said_of(self, thing: Thing, cell: Cell | None, words: list[tuple[str, Description]]) -> list[str]:
        """The words for a thing: its kind, its kind and colour, and what else is spoken of. A locked door is no door
        that one is before until it is unlocked."""
        locked = cell is not None and self._seen.doors.get(cell) == "locked" and cell == self._front
        found = [word for word, meant in words if meant.locked == locked and self._seen.is_one(thing, meant, cell)]
        own = named(thing.kind, thing.colour)
        return found if locked or own in found else [*found, own]

    def _text(self) -> str:
        env, seen = self._env, self._seen
        held = f"{seen.held.colour} {seen.held.kind}" if seen.held is not None else "nothing"
        things = sorted(self._shown(cell) for cell in seen.things)
        known = ", ".join(things) or "nothing"
        return (
            f"Mission: {env.mission}. You face {self._shown(self._front)} and hold {held}. You know of: {known}. "
            f"{env.step_count} of {env.max_steps} steps have passed."
        )


def _around(cell: Cell) -> list[Cell]:
    return [(cell[0] + dx, cell[1] + dy) for dx, dy in AHEAD]


HANDLERS: dict[str, Callable[..., Done]] = {
    "go_to": Body._go_to,
    "go_beside": Body._go_beside,
    "go_aside": Body._go_aside,
    "pick_up": Body._pick_up,
    "toggle": Body._toggle,
    "drop": Body._drop,
    "put": Body._put,
    "turn_left": Body._turn_left,
    "turn_right": Body._turn_right,
    "forward": Body._forward,
    "look": Body._look_around,
}
WORDS = _WORDS

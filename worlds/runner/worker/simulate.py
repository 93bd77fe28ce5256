"""The fast path: a world of which nothing is secret is simulated beside the program, and the host repeats it.

The program's actions are done here first and told to the host in long lists, each with what it was seen to do. The host
does the same actions in the world itself and compares: nothing that happens here is believed, it only spares waiting.
"""

from __future__ import annotations

import hashlib
import importlib
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from habilis.worlds.runner.worker import wire

_STEPS = 256  # told at once
_MANY = 100  # changes of one action, of which a hash is told instead

_encode = json.JSONEncoder(separators=(",", ":"), sort_keys=True, allow_nan=False).encode


def make(maker: str, options: Mapping[str, Any]) -> Any:
    """The world that ``maker`` ("module:name") makes of these options, before anything is confined."""
    module, _, name = maker.partition(":")
    made: Any = importlib.import_module(module)
    for part in name.split("."):
        made = getattr(made, part)
    world = made(**options)
    world.load(json.loads(_encode(world.save())))  # what these import when first used cannot be imported once confined
    return world


def digest(world: Any) -> str:
    """A hash of the world's whole state (``save``)."""
    return hashlib.sha256(_encode(world.save()).encode()).hexdigest()


def seen(outcome: Any) -> list[Any]:
    """What is compared of an outcome: whether it was one, how long it took, what the changed facts came to."""
    changes = outcome.changes
    if len(changes) > _MANY:
        return [outcome.ok, outcome.steps, hashlib.sha256(_encode(changes).encode()).hexdigest()]
    return [outcome.ok, outcome.steps] + [change[2] for change in changes]


class Simulation:
    """Does actions in the world given, and tells the host of them.

    ``left``: world steps and calls until the run's limits. ``say`` tells the host, ``ask`` is answered by it.
    """

    def __init__(
        self, world: Any, left: Sequence[int | None], say: Callable[[str], None], ask: Callable[[str], Any]
    ) -> None:
        from habilis.core import Action, InputError, Outcome  # here, for the live path's worker has none of it

        self.action, self._input_error, self._outcome = Action, InputError, Outcome
        self._world, self._act, self._say, self._ask = world, world.act, say, ask
        self._astray = False  # whether an action broke off, so that the world is no longer where the host's is
        self._steps_left, self._calls_left = (float("inf") if limit is None else limit for limit in left)
        self._told: list[Any] = []
        self._changed = False

    def do(self, action: Any, most: int) -> Any:
        """The outcome of an action that takes at most so many world steps; None if the host has to do it, for only the
        host can say what is wrong with it."""
        if self._astray:
            self._follow()
        if self._steps_left < most or self._calls_left < 1:
            self.tell()
            return None
        try:
            outcome = self._act(action)
        except self._input_error as error:
            outcome = self._outcome(False, message=str(error), steps=0)
        except (Exception, SystemExit):  # a bug of the world's, or a program that is too deep in calls or out of memory
            self._astray = True
            self.tell()
            return None
        self._steps_left -= outcome.steps
        self._calls_left -= 1
        told = self._told
        told.append((action[0], action[1], seen(outcome)))
        if len(told) == _STEPS:
            self.tell()
        return outcome

    def tell(self) -> None:
        """Tell the host what it has not been told yet."""
        while self._told:
            part = len(self._told)
            while len(text := _encode(["trace", self._told[:part]])) > wire.MESSAGE:
                part = (part + 1) // 2
            self._changed = True
            self._say(text)  # which may be one call too deep, and then nothing is sent and nothing forgotten
            del self._told[:part]

    def _follow(self) -> None:
        """Put the world where the host's is."""
        self.tell()
        self.load(self._ask('["sync"]'))

    def finish(self) -> None:
        """Tell the rest, and the state that all of it led to."""
        self.tell()
        if self._changed and not self._astray:
            self._say(_encode(["state", digest(self._world)]))

    def look(self) -> tuple[list[Any], dict[str, list[str]]]:
        """Facts and tags, as the host would answer."""
        if self._astray:
            self._follow()
        snapshot = self._world.observe()
        facts = [(fact[0], fact[1], value) for fact, value in snapshot.facts.items()]
        return facts, {name if name[0] == "#" else "#" + name: sorted(snapshot.tags[name]) for name in snapshot.tags}

    def load(self, state: Any) -> None:
        self._world.load(state)
        self._astray = False

"""Asking before an action changes something outside the agent's own run."""

from __future__ import annotations

import inspect
from typing import Any

from habilis.core import Action, Approve, Observation, Outcome, World, WorldSpec

_OPTIONAL = ("affordances", "checkpoint", "clone", "contracts", "goals", "load", "names", "save", "simulator")


def approving(world: World, approve: Approve | None) -> World:
    """The same world, but each action with side effects is done only if ``approve(name, arguments)`` says True.

    Without ``approve``, or where no action has side effects, the world itself. Its clones and simulators are handed on
    as they are: nothing outside is reached through them.
    """
    guarded = {p.name: [q.name for q in p.parameters] for p in world.spec.primitives if p.side_effects}
    if approve is None or not guarded:
        return world

    def act(self: Any, action: Action) -> Outcome:
        names = guarded.get(action.name)
        if names is not None and approve(action.name, dict(zip(names, action.args, strict=False))) is not True:
            return Outcome(False, message=f"{action} has side effects and was not approved")
        return world.act(action)

    # Capabilities are looked up on the class, so it gets those that this world has and no others.
    body: dict[str, Any] = {"act": act}
    for name in _OPTIONAL:
        if inspect.getattr_static(world, name, None) is not None:
            body[name] = _handing_on(name)
    made: World = type(f"Approving{type(world).__name__}", (_Approving,), body)(world)
    return made


class _Approving:
    def __init__(self, world: World) -> None:
        self._world = world

    @property
    def spec(self) -> WorldSpec:
        return self._world.spec  # a world of functions learns predicates as it sees them

    def reset(self, seed: int) -> Observation:
        return self._world.reset(seed)

    def observe(self) -> Observation:
        return self._world.observe()


def _handing_on(name: str) -> Any:
    def hand_on(self: _Approving, *args: Any) -> Any:
        return getattr(self._world, name)(*args)

    return hand_on


__all__ = ["approving"]

"""Asking before an action changes something outside the agent's own run."""

from __future__ import annotations

from habilis.core import Action, Approve, Outcome, World
from habilis.worlds._handing_on import OPTIONAL, handing_on


def approving(world: World, approve: Approve | None) -> World:
    """The same world, but each action with side effects is done only if ``approve(name, arguments)`` says True.

    Without ``approve``, or where no action has side effects, the world itself. Its clones and simulators are handed on
    as they are: nothing outside is reached through them.
    """
    guarded = {p.name: [q.name for q in p.parameters] for p in world.spec.primitives if p.side_effects}
    if approve is None or not guarded:
        return world

    def act(action: Action) -> Outcome:
        names = guarded.get(action.name)
        if names is not None and approve(action.name, dict(zip(names, action.args, strict=False))) is not True:
            return Outcome(False, message=f"{action} has side effects and was not approved")
        return world.act(action)

    return handing_on(world, "Approving", (*OPTIONAL, "clone"), act=act)


__all__ = ["approving"]

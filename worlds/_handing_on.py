"""A world that hands on what another one does, but for some of it."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from typing import Any

from habilis.core import Observation, Outcome, World, WorldSpec

# Methods behind capabilities, but for those that make another world: ``clone``, and the ``maker`` of a portable one.
OPTIONAL = (
    "affordances", "chores", "contracts", "ended", "forms", "goals", "load", "names", "pose", "questions", "save",
    "simulator", "tools", "understand",
)  # fmt: skip


def handing_on(
    world: World,
    kind: str,
    methods: Iterable[str],
    *,
    spec: Callable[[], WorldSpec] | None = None,
    reset: Callable[[int], Observation] | None = None,
    act: Callable[[Any], Outcome] | None = None,
) -> World:
    """A world with these of the other's optional ``methods``, where it has them, and no others.

    ``spec``, ``reset`` and ``act`` take the place of its own. ``kind``: for its class's name. The other world is no
    attribute of this one.
    """

    def method(name: str) -> Any:
        return lambda self, *args: getattr(world, name)(*args)

    def own(function: Callable[..., Any] | None, name: str) -> Any:
        return method(name) if function is None else lambda self, *args: function(*args)

    body: dict[str, Any] = {
        "spec": property(lambda self: world.spec if spec is None else spec()),
        "reset": own(reset, "reset"),
        "act": own(act, "act"),
        "observe": method("observe"),
    }
    # Capabilities are looked up on the class, so it gets those that this world has and no others.
    body |= {name: method(name) for name in methods if inspect.getattr_static(world, name, None) is not None}
    made: World = type(f"{kind}{type(world).__name__}", (), body)()
    return made

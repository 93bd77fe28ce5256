# ruff: noqa: F821 - `world` and `ActionFailed` are what every program sees
# mypy: disable-error-code="name-defined"
"""A policy for the grid world, written by hand: the yardstick of `benchmarks._worlds_grid`.

One program that knows the rules, sees what any program sees, and does what the mission asks for, part by part.
"""

from __future__ import annotations


def policy(parts: list[list[str]]) -> None:
    """``parts``: the mission's verbs with their arguments, in the order in which they are to be done."""

    def put_aside() -> None:
        if not world.empty_handed():
            if not world.clear():
                world.go_aside()
            world.drop()

    def remove(thing: str) -> bool:
        """Away with what is in the way, or one step towards that. Whether there was anything."""
        if thing == "door":
            world.toggle("door")
        elif thing == "locked door":
            if world.holding("key alike"):
                world.toggle("locked door")
            else:
                fetch("key alike")
        elif thing:
            if world.empty_handed():
                world.pick_up(thing)
            put_aside()
        return bool(thing)

    def holds(part: list[str]) -> bool:
        return bool(getattr(world, part[0])(*part[1:]))

    def walk(how: str, thing: str, *until: list[str]) -> None:
        """Walk until one of these holds, and away with what is in the way."""
        for _ in range(60):
            if any(holds(one) for one in until):
                return
            try:
                getattr(world, how)(thing)
                return
            except ActionFailed:
                if not remove(str(next((kind for (kind,), _ in world.facts("barred")), ""))):
                    raise

    def fetch(thing: str) -> None:
        for _ in range(12):
            if world.holding(thing):
                return
            walk("go_to", thing, ["before", thing])
            if not world.empty_handed():
                put_aside()
                continue
            world.pick_up(thing)

    def done(part: list[str]) -> None:
        verb, thing = part[0], part[1]
        for _ in range(12):
            if holds(part):
                return
            if verb == "went_to":
                walk("go_to", thing, part)
            elif verb == "took":
                put_aside()
                walk("go_to", thing, ["before", thing])
                if world.empty_handed():
                    world.pick_up(thing)
            elif verb == "opened":
                walk("go_to", thing, ["before", thing], part)
                if not holds(part):
                    try:
                        world.toggle(thing)
                    except ActionFailed:  # it stood open
                        world.toggle(thing)
            else:
                fetch(thing)
                walk("go_beside", part[2], ["beside", part[2]])
                if world.holding(thing):
                    world.put(thing, part[2])

    for part in parts:
        done(part)

# ruff: noqa: F821 - `world` and `ActionFailed` are what every program sees
# mypy: disable-error-code="name-defined"
"""A policy for the grid world, written by hand: the yardstick of `benchmarks._worlds_grid`.

One program that knows the rules, sees what any program sees, and does what the mission asks for, part by part.
"""

from __future__ import annotations


def policy(parts: list) -> None:
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

    def walk(how, thing: str, there) -> None:
        for _ in range(60):
            if there(thing):
                return
            try:
                how(thing)
                return
            except ActionFailed:
                if not remove(str(next((kind for (kind,), _ in world.facts("barred")), ""))):
                    raise

    def fetch(thing: str) -> None:
        for _ in range(12):
            if world.holding(thing):
                return
            walk(world.go_to, thing, world.before)
            if not world.empty_handed():
                put_aside()
                continue
            world.pick_up(thing)

    def done(verb: str, args: list) -> None:
        for _ in range(12):
            if getattr(world, verb)(*args):
                return
            if verb == "went_to":
                walk(world.go_to, args[0], lambda thing: world.went_to(*args))
            elif verb == "took":
                if not world.empty_handed():
                    put_aside()
                walk(world.go_to, args[0], world.before)
                if world.empty_handed():
                    world.pick_up(args[0])
            elif verb == "opened":
                walk(world.go_to, args[0], lambda thing: world.before(thing) or world.opened(*args))
                if not world.opened(*args):
                    try:
                        world.toggle(args[0])
                    except ActionFailed:  # it stood open
                        world.toggle(args[0])
            else:
                fetch(args[0])
                walk(world.go_beside, args[1], world.beside)
                if world.holding(args[0]):
                    world.put(args[0], args[1])

    for verb, *args in parts:
        done(verb, args)

"""Four reflexes for the crafter world: they fight, drink, eat and sleep, and collect, place and make nothing.

habilis run --world crafter --reflex examples/crafter_reflexes.py
"""

# ruff: noqa: F821 - `world` and `ActionFailed` are what every program sees
# mypy: disable-error-code="name-defined"
from __future__ import annotations

from habilis import reflex


@reflex('beside("zombie")', 'beside("skeleton")', priority=3, steps=12, rest=2)
def danger() -> None:
    """Face whoever is beside you, and strike."""
    sides = {(-1, 0): "left", (1, 0): "right", (0, -1): "up", (0, 1): "down"}
    for _ in range(10):
        view = world.look().value
        close = [(k, x, y) for k, x, y in view["things"] if k in ("zombie", "skeleton") and (x, y) in sides]
        if not close:
            return
        kind, x, y = next((c for c in close if list(c[1:]) == view["facing"]), close[0])
        try:
            if [x, y] == view["facing"]:
                world.do(kind)
            else:
                world.move(sides[x, y])
        except ActionFailed:
            pass


@reflex("drink() <= 3", priority=2, steps=250, rest=60)
def thirst() -> None:
    """Go to water and drink."""
    while world.drink() < 8:
        if not world.facing("water"):
            world.find("water")
        world.do("water")


@reflex("food() <= 3", priority=1, steps=300, rest=60)
def hunger() -> None:
    """Look for a cow and eat it; it moves, and takes several blows."""
    for _ in range(60):
        if world.food() >= 7:
            return
        if not world.facing("cow"):
            world.find("cow")
        try:
            world.do("cow")
        except ActionFailed:
            pass


CALM = ' and visible("zombie") < 1 and visible("skeleton") < 1'


@reflex("energy() <= 6 and daylight() >= 9" + CALM, "energy() <= 2", steps=400, rest=60)
def night() -> None:
    """Sleep before the night, in broad daylight and while nobody is about: in the dark one is struck down."""
    while world.energy() < 9 or not world.awake():
        world.sleep()

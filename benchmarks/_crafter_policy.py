# ruff: noqa: F821 - `world` and `ActionFailed` are what every program sees
# mypy: disable-error-code="name-defined"
"""A policy for the crafter world, written by hand: the yardstick of `benchmarks._worlds_crafter`.

One program that knows the game's rules, sees what any program sees, and goes round what is lacking until its life ends.
"""

from __future__ import annotations


def policy() -> None:
    """What is lacking, in the order of the technology, again and again."""
    diggable = ("stone", "coal", "iron", "diamond", "tree")
    free = ("grass", "sand", "path")

    def faced() -> str:
        return str(next((thing for (thing,), _ in world.facts("facing")), ""))

    def reach(thing: str, rock: int | None = None) -> bool:
        """Face one, digging through what is in the way."""
        for _ in range(40):
            if world.facing(thing):
                return True
            try:
                world.find(thing) if rock is None else world.find(thing, rock)
            except ActionFailed:
                if faced() not in diggable or not done("do", faced()):
                    return False
        return bool(world.facing(thing))

    def done(name: str, *args: str) -> bool:
        try:
            return not getattr(world, name)(*args).preempted
        except ActionFailed:
            return False

    def collect(thing: str, item: str, n: int, rock: int | None = None, tries: int = 40) -> bool:
        for _ in range(tries):
            if world.count(item) >= n:
                return True
            if not reach(thing, rock):
                return False
            done("do", thing)
        return bool(world.count(item) >= n)

    def put(thing: str, on: tuple[str, ...] = free) -> bool:
        for _ in range(6):
            if faced() not in on and not any(reach(ground) for ground in on):
                return False
            if done("place", thing):
                return True
        return False

    def at_table(furnace: bool = False) -> bool:
        near = world.near("table") or done("go_near", "table")
        if not near and not (collect("tree", "wood", 4) and put("table")):
            return False
        if furnace and not world.near("furnace"):
            if done("go_near", "furnace") and world.near("table"):
                return True
            done("go_near", "table")
            if not collect("stone", "stone", 4, 1):
                return False
            if not at_table():
                return False
            put("furnace")
        return bool(world.near("table") and (not furnace or world.near("furnace")))

    def make(item: str, **needs: int) -> bool:
        sources = {"wood": ("tree", None), "stone": ("stone", 1), "coal": ("coal", 2), "iron": ("iron", 2)}
        for _ in range(4):
            if world.count(item):
                return True
            for need, n in needs.items():
                thing, rock = sources[need]
                if not collect(thing, need, n, rock):
                    return False
            if at_table("iron" in needs) and all(world.count(need) >= n for need, n in needs.items()):
                done("make", item)
        return bool(world.count(item))

    def hunt(kind: str, tries: int = 25) -> bool:
        """Strike until one has fallen."""
        before = world.defeated(kind) + world.eaten(kind)
        for _ in range(tries):
            if not reach(kind, 0 if kind != "skeleton" else 2):
                return False
            done("do", kind)
            if world.defeated(kind) + world.eaten(kind) > before:
                return True
        return False

    def drink() -> None:
        for _ in range(10):
            if world.drink() >= 9 or not reach("water"):
                return
            done("do", "water")

    def sleep() -> None:
        for _ in range(300):
            if world.energy() >= 9 and world.awake():
                return
            if not done("sleep"):
                return

    def farm() -> None:
        """A sapling is planted; what has grown is eaten."""
        if world.visible("ripe_plant") or done("go_near", "plant"):
            if reach("ripe_plant"):
                done("do", "ripe_plant")
            return
        if collect("grass", "sapling", 1, tries=30):
            put("plant", ("grass",))

    for _ in range(400):
        if world.drink() <= 5:
            drink()
        if world.food() <= 5:
            hunt("cow")
        if world.energy() <= 3 or (world.energy() < 9 and not world.woken() and world.dark()):
            sleep()
        if not world.placed("table"):
            collect("tree", "wood", 4) and put("table")
        make("wood_pickaxe", wood=1)
        make("wood_sword", wood=1)
        if not world.eaten("cow"):
            hunt("cow")
        if not world.placed("plant"):
            farm()
        make("stone_pickaxe", wood=1, stone=1)
        make("stone_sword", wood=1, stone=1)
        if not world.placed("stone"):
            collect("stone", "stone", 1, 1) and put("stone")
        if not world.placed("furnace") and collect("stone", "stone", 6, 1):
            at_table(True)
        if not world.defeated("zombie"):
            hunt("zombie", 8)
        if not world.count("iron_pickaxe"):
            make("iron_pickaxe", wood=1, coal=1, iron=1)
        if not world.count("iron_sword"):
            make("iron_sword", wood=1, coal=1, iron=1)
        if world.count("iron_pickaxe") and not world.count("diamond"):
            collect("diamond", "diamond", 1, 2, tries=6)
        if not world.defeated("skeleton"):
            hunt("skeleton", 12)
        if not world.eaten("ripe_plant"):
            farm()
        done("noop")

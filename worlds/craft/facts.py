"""The rules of the craft world: recipes, blocks, drops and tags, from the compiled facts and our tables."""

from __future__ import annotations

import gzip
import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from importlib.resources import files
from typing import Any

from habilis.core import Fact, NotFoundError
from habilis.worlds.craft import _tables as tables
from habilis.worlds.craft._records import Recipe, Source
from habilis.worlds.craft.shuffle import shuffle_recipes


class Rules:
    """All rules of one world, shared by every clone and never changed. Look-ups that are needed often are made once."""

    def __init__(
        self,
        items: Iterable[str],
        tags: Mapping[str, frozenset[str]],
        recipes: Sequence[Recipe],
        sources: Mapping[str, Source],
        fingerprint: str,
    ) -> None:
        self.items: frozenset[str] = frozenset(items)
        self.tags = dict(tags)
        self.recipes: dict[str, Recipe] = {r.name: r for r in recipes}
        self.sources = dict(sources)
        self.fingerprint = fingerprint
        self.count = {name: Fact("count", (name,)) for name in [*sorted(self.items), *sorted(self.tags)]}
        self.here = {name: Fact("here", (name,)) for name in [*sorted(self.sources), *sorted(self.tags)]}
        self.near = {name: Fact("near", (name,)) for name in tables.STATIONS}
        self.by_result: dict[str, list[Recipe]] = {}
        unlocks: dict[str, list[str]] = {}
        for recipe in recipes:
            self.by_result.setdefault(recipe.result, []).append(recipe)
            for ingredient in recipe.needs:
                for member in sorted(self.members(ingredient)):
                    unlocks.setdefault(member, []).append(recipe.name)
        self.unlocks: dict[str, frozenset[str]] = {k: frozenset(v) for k, v in unlocks.items()}
        self.tool_members = {s.tool: self._by_worth(s.tool) for s in self.sources.values() if s.tool is not None}
        kinds = sorted({s.helper for s in self.sources.values() if s.helper is not None} | {"sword"})
        self.helpers = {kind: self._by_worth(f"#{kind}") for kind in kinds}
        self.pickaxes = self._by_worth("#pickaxe")

    def members(self, item_or_tag: str) -> frozenset[str]:
        """The items that a tag stands for; of an item, itself."""
        return self.tags.get(item_or_tag) or frozenset((item_or_tag,))

    def recipe(self, name: str) -> Recipe:
        """Raises `NotFoundError`."""
        if name not in self.recipes:
            raise NotFoundError.of("recipe", name, self.recipes)
        return self.recipes[name]

    def _by_worth(self, tool: str) -> tuple[str, ...]:
        return tuple(sorted(self.members(tool), key=lambda m: (tables.TIER_ORDER.index(material(m)), m)))


def material(tool: str) -> str:
    """What a tool is made of (its key in the tables of durability and speed)."""
    return "shears" if tool == "shears" else tool.rsplit("_", 1)[0]


@lru_cache(maxsize=1)
def _compiled() -> dict[str, Any]:
    data: dict[str, Any] = json.loads(
        gzip.decompress(files("habilis.worlds.craft").joinpath("data/facts.json.gz").read_bytes())
    )
    return data


def _sources(facts: Mapping[str, Any]) -> dict[str, Source]:
    found: dict[str, Source] = {}
    for name, (hardness, tool, helper, drops) in sorted(facts["blocks"].items()):
        ore = name.removeprefix("deepslate_") if name.endswith("_ore") else name
        known = tables.DROPS.get(ore) if name not in tables.MOBS else None
        found[name] = Source(
            name,
            hardness,
            "shears" if name in tables.SHEARED else tool,
            helper,
            known if known is not None else tuple((i, c, lo, hi) for i, c, lo, hi in drops),
        )
    for name in tables.MOBS:
        found[name] = Source(name, tables.HEALTH[name], None, None, tables.DROPS[name], attack=True)
    return found


def _named(recipes: Sequence[tuple[str, int, bool, dict[str, int]]]) -> list[Recipe]:
    """The first recipe of an item bears its name; further ones add what they are made from."""
    named: list[Recipe] = []
    taken: set[str] = set()
    # taking a storage block apart comes last: "iron_ingot" is the recipe that makes one, not the one that undoes it
    for result, makes, table, needs in sorted(recipes, key=lambda r: r[1] == 9 and sum(r[3].values()) == 1):
        name = result
        if name in taken:
            parts = [k.lstrip("#") for k in sorted(needs, key=lambda k: -needs[k])]
            name = f"{result}_from_{parts[0]}"
            for part in parts[1:]:
                if name not in taken:
                    break
                name += f"_and_{part}"
        number = 2
        while name in taken:
            name, number = f"{result}_{number}", number + 1
        taken.add(name)
        named.append(Recipe(name, result, makes, table, dict(needs)))
    return named


@lru_cache(maxsize=8)
def rules(shuffled: int | None = None) -> Rules:
    """The rules, those of 1.19 or (``shuffled``) with the recipes' ingredients exchanged among one another."""
    facts = _compiled()
    tags = {name: frozenset(members) for name, members in facts["tags"].items()}
    tags["#fuel"] = frozenset(tables.FUEL)
    raw = [(r[0], int(r[1]), bool(r[2]), dict(r[3])) for r in facts["recipes"]]
    sources = _sources(facts)
    if shuffled is not None:
        raw = shuffle_recipes(raw, sources, tags, shuffled)
    recipes = _named(raw)
    digest = hashlib.sha256()
    written = [getattr(tables, name) for name in sorted(vars(tables)) if name.isupper()]
    digest.update(json.dumps([facts, written, [(r.name, sorted(r.needs.items())) for r in recipes]]).encode())
    return Rules(facts["items"], tags, recipes, sources, f"craft-{digest.hexdigest()[:16]}")


_COLOURS = (
    *("light_blue", "light_gray", "white", "orange", "magenta", "yellow", "lime", "pink"),
    *("gray", "cyan", "purple", "blue", "brown", "green", "red", "black"),
)
_WOODS = ("dark_oak", "oak", "birch", "spruce", "jungle", "acacia", "mangrove", "crimson", "warped")


@lru_cache(maxsize=1)
def _classes() -> dict[str, str]:
    items = set(_compiled()["items"])
    classes: dict[str, str] = {}
    for prefixes, least in ((_COLOURS, len(_COLOURS)), (_WOODS, 6)):
        for item in sorted(items):
            for prefix in prefixes:
                mine = item.startswith((f"{prefix}_", f"stripped_{prefix}_"))
                kind = item.replace(f"{prefix}_", "", 1) if mine else ""
                if kind and sum(item.replace(prefix, p, 1) in items for p in prefixes) >= least:
                    classes[item] = kind
                    break
    return classes


def item_class(item: str) -> str:
    """The item without its colour or wood: ``light_blue_wool`` and ``red_wool`` are ``wool``.

    Only where the whole family exists, so ``red_mushroom`` and ``redstone`` stay what they are.
    """
    return _classes().get(item, item)

"""Compile the facts of the `craft` world from the PyPI package ``minecraft-data`` (MIT), edition 1.19.

Run from the repository root after ``pip install minecraft-data==3.20.0``:

    python scripts/compile_craft_facts.py

Writes ``worlds/craft/data/facts.json.gz`` and, beside it, the licence of the data. What the package does not hold
(smelting, fuel, where things are found) is written by hand in ``worlds/craft/_tables.py``.
"""

from __future__ import annotations

import gzip
import importlib.metadata
import importlib.util
import json
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent.parent / "worlds" / "craft" / "data"
EDITION = "1.19"

# Sets of interchangeable ingredients that deserve a better name than their common ending.
NAMES: dict[frozenset[str], str] = {
    frozenset({"coal", "charcoal"}): "coals",
    frozenset({"cobblestone", "blackstone", "cobbled_deepslate"}): "stone_materials",
    frozenset({"soul_sand", "soul_soil"}): "soul_fire_base",
    frozenset({"chiseled_sandstone", "sandstone"}): "sandstone",
    frozenset({"chiseled_red_sandstone", "red_sandstone"}): "red_sandstone",
    frozenset({"chiseled_sandstone", "cut_sandstone", "sandstone"}): "any_sandstone",
    frozenset({"chiseled_red_sandstone", "cut_red_sandstone", "red_sandstone"}): "any_red_sandstone",
}
TIERS = ("wooden", "stone", "iron", "diamond")


def common_ending(names: Iterable[str]) -> str:
    """The longest text that all names end with."""
    first, *others = sorted(names)
    return next((first[i:] for i in range(len(first)) if all(o.endswith(first[i:]) for o in others)), "")


class Tags:
    """Names for sets of items: the same set always gets the same name, and no name is given twice."""

    def __init__(self) -> None:
        self.members: dict[str, frozenset[str]] = {}
        self._names: dict[frozenset[str], str] = {}

    def name(self, members: Iterable[str], fallback: str) -> str:
        group = frozenset(members)
        if len(group) == 1:
            return next(iter(group))
        if group not in self._names:
            ending = common_ending(group).lstrip("_")
            name = NAMES.get(group) or (ending if len(ending) > 3 else fallback)
            if f"#{name}" in self.members:
                name = fallback
            assert f"#{name}" not in self.members, f"two sets would be called #{name}: give one a name in NAMES"
            self._names[group] = f"#{name}"
            self.members[f"#{name}"] = group
        return self._names[group]


def folder() -> Path:
    spec = importlib.util.find_spec("minecraft_data")
    if spec is None or spec.origin is None:
        raise SystemExit("minecraft-data is not installed: pip install minecraft-data==3.20.0")
    return Path(spec.origin).parent / "data" / "data" / "pc" / EDITION


def merge(variants: list[dict[frozenset[str], int]]) -> list[dict[frozenset[str], int]]:
    """Join variants that differ in one ingredient alone, until none do: nine planks become one set of planks."""
    while True:
        groups: dict[Any, list[tuple[dict[frozenset[str], int], frozenset[str]]]] = {}
        for variant in variants:
            for ingredient, n in variant.items():
                rest = frozenset((k, v) for k, v in variant.items() if k != ingredient)
                groups.setdefault((rest, n), []).append((variant, ingredient))
        found = max(groups.values(), key=len, default=[])
        if len(found) < 2:
            return variants
        first, ingredient = found[0]
        union = frozenset().union(*(i for _, i in found))
        joined = {(union if k == ingredient else k): v for k, v in first.items()}
        gone = [id(v) for v, _ in found]
        position = min(i for i, v in enumerate(variants) if id(v) in gone)
        kept = [v for v in variants if id(v) not in gone]
        kept.insert(position, joined)
        variants = kept


def log_fallback(ingredient: frozenset[str], result: str) -> str:
    if any(m.endswith(("_log", "_stem")) for m in ingredient):
        woods = {m.removeprefix("stripped_").rsplit("_", 1)[0] for m in ingredient}
        if len(woods) > 1:
            return "log"
        return f"{woods.pop()}_{'stems' if any(m.endswith('_stem') for m in ingredient) else 'logs'}"
    return f"{result}_source"


def compile_recipes(raw: Mapping[str, Any], names: Mapping[int, str], tags: Tags) -> list[list[Any]]:
    """``[result, how many it makes, needs a table, {ingredient or tag: how many}]``, in the order of the data."""
    recipes: list[list[Any]] = []
    for versions in raw.values():
        groups: dict[tuple[str, int, bool], list[dict[frozenset[str], int]]] = {}
        for v in versions:
            if "inShape" in v:
                cells = [i for row in v["inShape"] for i in row if i is not None]
                table = len(v["inShape"]) > 2 or max(map(len, v["inShape"])) > 2
            else:
                cells, table = v["ingredients"], len(v["ingredients"]) > 4
            need = {frozenset({names[i]}): n for i, n in Counter(cells).items()}
            key = (names[v["result"]["id"]], v["result"]["count"], table)
            if need not in groups.setdefault(key, []):
                groups[key].append(need)
        for (result, count, table), variants in groups.items():
            if result == "air":
                continue
            for need in merge(variants):
                named = {tags.name(k, log_fallback(k, result)): n for k, n in need.items()}
                recipes.append([result, count, int(table), named])
    return recipes


def tool_tag(tools: frozenset[str], tags: Tags) -> str:
    kinds = sorted({t.rsplit("_", 1)[-1] for t in tools})
    if len(kinds) > 1:
        return tags.name(tools, "_or_".join(reversed(kinds)))
    lowest = next(t for t in TIERS if f"{t}_{kinds[0]}" in tools)
    return tags.name(tools, f"{lowest}_tier_{kinds[0]}")


def drops(entries: list[Mapping[str, Any]]) -> list[list[Any]]:
    """``[item, chance, fewest, most]`` for a bare hand or an ordinary tool (no enchantment)."""
    kept = []
    for e in entries:
        if e.get("silkTouch"):
            continue
        # the data splits one pool between "with" and "without silk touch"; without it the drop is certain
        chance = 1 if e.get("noSilkTouch") and e["dropChance"] in (0.5, 1 / 3) else e["dropChance"]
        low, high = e["stackSizeRange"][0], e["stackSizeRange"][-1]
        kept.append([e["item"], chance, 1 if low is None else low, 1 if high is None else max(high, low or 0)])
    return kept


def main() -> None:
    source = folder()

    def read(name: str) -> Any:
        return json.loads((source / f"{name}.json").read_text(encoding="utf-8"))

    items = {i["id"]: i["name"] for i in read("items")}
    tags = Tags()
    # the widest set of a kind of tool takes the plain name, whatever block happens to come first
    for kind in ("pickaxe", "axe", "shovel", "hoe", "sword"):
        tags.name((n for n in items.values() if n.endswith(f"_{kind}")), kind)
    recipes = compile_recipes(read("recipes"), items, tags)
    loot = {entry["block"]: drops(entry["drops"]) for entry in read("blockLoot")}
    blocks: dict[str, list[Any]] = {}
    for b in read("blocks"):
        tools = frozenset(items[int(i)] for i in b.get("harvestTools") or ())
        helper = next((p.split("/")[1] for p in b["material"].split(";") if p.startswith("mineable/")), None)
        hardness = b["hardness"]
        if hardness is None or hardness < 0 or not b["diggable"]:
            continue
        blocks[b["name"]] = [hardness, tool_tag(tools, tags) if tools else None, helper, loot.get(b["name"], [])]
    mobs = {e["entity"]: drops(e["drops"]) for e in read("entityLoot") if e["drops"]}
    facts = {
        "source": f"minecraft-data {importlib.metadata.version('minecraft-data')}, pc/{EDITION} (MIT)",
        "items": sorted(set(items.values()) - {"air"}),
        "tags": {name: sorted(members) for name, members in sorted(tags.members.items())},
        "recipes": recipes,
        "blocks": blocks,
        "mobs": mobs,
    }
    HERE.mkdir(parents=True, exist_ok=True)
    text = json.dumps(facts, separators=(",", ":"), sort_keys=False)
    (HERE / "facts.json.gz").write_bytes(gzip.compress(text.encode(), mtime=0))
    licence = next(
        f for f in importlib.metadata.files("minecraft-data") or () if "licenses" in str(f) or "LICENSE" in f.name
    )
    notice = (
        "facts.json.gz is compiled from minecraft-data (https://github.com/PrismarineJS/minecraft-data), as packaged\n"
        "by python-minecraft-data, under the licence below. Minecraft is a trademark of Mojang; this project is not\n"
        "affiliated with Mojang or Microsoft.\n\n"
    )
    licence_text = Path(str(licence.locate())).read_text(encoding="utf-8")
    (HERE / "LICENSE-minecraft-data").write_text(notice + licence_text, encoding="utf-8")
    print(f"{len(recipes)} recipes, {len(blocks)} blocks, {len(mobs)} mobs, {len(tags.members)} tags")


if __name__ == "__main__":
    main()

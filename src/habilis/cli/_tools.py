"""``habilis tools``: list, add, remove."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any

import typer

from habilis.cli._home import HomeOption

tools = typer.Typer(help="The tools that programs may call.", no_args_is_help=True, rich_markup_mode=None)

JsonOption = Annotated[bool, typer.Option("--json", help="print JSON")]


@tools.command("list")
def list_(
    home: HomeOption = None,
    world: Annotated[str, typer.Option("--world", help="with the aids that this world brings")] = "craft",
    as_json: JsonOption = False,
) -> None:
    """List the registered tools, and those that a world brings."""
    from habilis._worlds import open_world, world_tools
    from habilis.cli._output import show
    from habilis.core import NotFoundError, dump
    from habilis.memory.home import Home, default_home
    from habilis.tools import ToolRegistry, load_registrations, registered

    sources: tuple[str, ...] = ()
    try:
        with Home.open(home or default_home(), create=False, read_only=True) as opened:
            sources = load_registrations(opened.journal)
    except NotFoundError:
        pass  # a home that does not exist yet has no tools of its own
    registry = ToolRegistry(world_tools(open_world(world, {})()))
    for source in sources:
        for one in registered(source):
            registry.add(one)
    registry.add_entry_points()
    rows: list[dict[str, Any]] = [
        {
            "name": t.name,
            "doc": t.doc.strip().splitlines()[0],
            "cost": {k: v for k, v in dump(t.most).items() if v},
            "side_effects": t.side_effects,
            # A function made in another one has no name that anybody could import.
            "owner": re.sub(r"[^:]*<locals>\.", "", t.owner),
        }
        for t in registry
    ]
    if not as_json:
        for row in rows:
            row["cost"] = _cost(row["cost"])
    show(rows, ("name", "doc", "cost", "owner"), as_json=as_json, empty="no tool; habilis tools add module:function")


@tools.command()
def add(
    source: Annotated[str, typer.Argument(help="module:function, or file.py:function")], home: HomeOption = None
) -> None:
    """Register a tool with a home."""
    from habilis._worlds import open_world, world_tools
    from habilis.memory.home import Home, default_home
    from habilis.tools import ToolRegistry, load_registrations, registered, save_registrations

    with Home.open(home or default_home()) as opened:
        known = load_registrations(opened.journal)
        registry = ToolRegistry(world_tools(open_world("craft", {})()))  # the aids of the world that comes with us
        for other in known:
            for one in registered(other):
                registry.add(one)
        found = ToolRegistry().add_all(source)
        if all(one.name in registry and registry.get(one.name).owner == one.owner for one in found):
            print(f"{', '.join(one.name for one in found)} is registered already")
            return
        added = registry.add_all(source)
        save_registrations(opened.journal, [*known, source])
    for one in added:
        print(f"added {one.name} ({one.owner})")


@tools.command()
def remove(source: Annotated[str, typer.Argument(help="as it was added")], home: HomeOption = None) -> None:
    """Take a registration back."""
    from habilis.core import NotFoundError
    from habilis.memory.home import Home, default_home
    from habilis.tools import full_source, load_registrations, save_registrations

    with Home.open(home or default_home(), create=False) as opened:
        known = load_registrations(opened.journal)
        kept = [s for s in known if s not in (source, full_source(source))]
        if len(kept) == len(known):
            raise NotFoundError.of("registration", source, known)
        save_registrations(opened.journal, kept)
    print(f"removed {source}")


def _cost(most: Mapping[str, float]) -> str:
    """What a call costs at most, in words: $0.01, 1 call."""
    from habilis._text import amount

    told = []
    for kind, value in most.items():
        unit = "" if kind in ("usd", "seconds") else " " + kind.replace("_", " ")
        told.append(f"{amount(kind, value)}{unit.removesuffix('s') if value == 1 else unit}")
    return ", ".join(told)

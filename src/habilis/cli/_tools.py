"""``habilis tools``: list, show, add, remove, forgive."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

from habilis.cli._options import HomeOption, JsonOption

if TYPE_CHECKING:
    from habilis.tools import Registration, SourceOptions, Tool, ToolRegistry

tools = typer.Typer(help="The tools that programs may call.", no_args_is_help=True, rich_markup_mode=None)

WorldOption = Annotated[str, typer.Option("--world", help="with the aids that this world brings")]


@tools.command("list")
def list_(home: HomeOption = None, world: WorldOption = "craft", as_json: JsonOption = False) -> None:
    """List the registered tools, and those that a world brings. What cannot be had just now is listed as such."""
    from habilis.cli._output import show

    with _known(home, world) as (registry, sources, failures):
        rows = [_row(one, sources.get(one.name, "")) | {"refused": registry.refusal(one.name)} for one in registry]
    rows += [
        {"name": "", "doc": told, "cost": {}, "side_effects": None, "owner": "", "source": source, "error": told}
        for source, told in failures.items()
    ]
    if not as_json:
        for row in rows:
            row["cost"] = _cost(row["cost"]) + (" (not called any more)" if row.get("refused") else "")
            row["source"] = row["source"] or row["owner"]
    show(rows, ("name", "doc", "cost", "source"), as_json=as_json, empty="no tool; habilis tools add module:function")


@tools.command("show")
def show_(
    name: Annotated[str, typer.Argument(help="as programs call it")],
    home: HomeOption = None,
    world: WorldOption = "craft",
    as_json: JsonOption = False,
) -> None:
    """Show one tool: what it does and takes, what it costs, its limits, and where it comes from."""
    import json

    from habilis._text import plain
    from habilis.cli._output import say_json
    from habilis.core import NotFoundError

    with _known(home, world) as (registry, sources, failures):
        if name not in registry:
            missing = f"Cannot be had just now: {', '.join(failures)}" if failures else ""
            raise NotFoundError.of("tool", name, registry.names(), missing)
        one = registry.get(name)
        told = _row(one, sources.get(name, "")) | {
            "doc": one.doc.strip(),
            "where": one.where,
            "max_calls": one.max_calls,
            "safe_to_retry": one.safe_to_retry,
            "timeout": one.timeout,
            "provides": one.provides,
            "schema": dict(one.schema),
            "refused": registry.refusal(name),
        }
    if as_json:
        say_json(told)
        return
    print(f"{name}\n  {plain(told['doc'], 4_000)}")
    limits = f"{one.max_calls} calls in a run" if one.max_calls else "any number of calls"
    seconds = f"{one.timeout:g} seconds for one" if one.timeout else "as long as it takes"
    for about, value in (
        ("from", f"{told['source'] or told['owner']}" + (f" ({one.where})" if one.where else "")),
        ("costs at most", _cost(told["cost"])),
        ("limits", f"{limits}, {seconds}"),
        ("side effects", "yes: each call asks for approval" if one.side_effects else "none"),
        ("safe to retry", "yes" if one.safe_to_retry else "no: it is not called again to verify a program"),
    ):
        print(f"  {about}: {plain(value, 1_000)}")
    if told["refused"]:
        print(f"  refused: {plain(told['refused'], 1_000)}")
    print("  takes: " + plain(json.dumps(told["schema"], ensure_ascii=False), 20_000))


@tools.command()
def add(
    source: Annotated[
        str,
        typer.Argument(
            help="module:function, file.py:function, file.py, 'mcp:COMMAND ARGS…', mcp:http://HOST:PORT/mcp, "
            "openapi:PATH_OR_URL"
        ),
    ],
    cost: Annotated[str, typer.Option("--cost", help="the most one call costs: usd=0.01,seconds=2,tokens=500")] = "",
    max_calls: Annotated[int | None, typer.Option("--max-calls", help="calls in one run")] = None,
    safe_to_retry: Annotated[
        bool | None, typer.Option("--safe-to-retry/--no-safe-to-retry", help="calling it again does no harm")
    ] = None,
    side_effects: Annotated[
        bool | None, typer.Option("--side-effects/--no-side-effects", help="whether each call asks for approval")
    ] = None,
    timeout: Annotated[float | None, typer.Option("--timeout", help="seconds for one call")] = None,
    prefix: Annotated[str, typer.Option("--prefix", help="put before the names of its tools")] = "",
    only: Annotated[list[str] | None, typer.Option("--only", help="this tool of it; may be repeated")] = None,
    header: Annotated[
        list[str] | None, typer.Option("--header", help="of each request: 'Authorization=Bearer env:MY_KEY'")
    ] = None,
    query: Annotated[list[str] | None, typer.Option("--query", help="of each request: key=env:MY_KEY")] = None,
    env: Annotated[
        list[str] | None, typer.Option("--env", help="for a server that is started: MY_KEY, or NAME=env:MY_KEY")
    ] = None,
    base_url: Annotated[str, typer.Option("--base-url", help="the address of an OpenAPI service")] = "",
    home: HomeOption = None,
) -> None:
    """Register tools with a home, and say what they may cost and do.

    An MCP server that is started gets no environment variable that is not named with --env. Keys are named, not
    written: env:MY_KEY stands for the environment variable MY_KEY, which is read at each run.
    """
    import os

    from habilis.core import Cost
    from habilis.tools import SourceOptions

    command = source.startswith("mcp:") and not source.removeprefix("mcp:").strip().startswith(("http://", "https://"))
    options = SourceOptions(
        cost=Cost.parse(cost) if cost else None,
        max_calls=max_calls,
        safe_to_retry=safe_to_retry,
        side_effects=side_effects,
        timeout=timeout,
        prefix=prefix,
        only=tuple(only or ()),
        headers=_pairs("--header", header),
        query=_pairs("--query", query),
        env={name: value or f"env:{name}" for name, value in _pairs("--env", env, alone=True).items()},
        base_url=base_url,
        folder=os.getcwd() if command else "",
    )
    _add(source, options, home)


def _add(source: str, options: SourceOptions, home: Any) -> None:
    from habilis._worlds import open_world, world_tools
    from habilis.core import HabilisError, InputError
    from habilis.memory.home import Home, default_home
    from habilis.tools import Registration, ToolRegistry, full_text, load_registrations, save_registrations, tools_of

    options.to_json()  # a secret in clear is refused before anything is started

    def take(registration: Registration) -> None:
        """What cannot be had just now is no reason not to add another."""
        try:
            mine = registration.tools()
        except HabilisError as error:
            print(f"warning: {error}", file=sys.stderr)
        else:
            for one in mine:
                registry.add(one)

    with Home.open(home or default_home()) as opened, ToolRegistry() as registry:
        known = load_registrations(opened.journal)
        place = full_text(source)
        before = next((one for one in known if one.source == place), None)
        if before is not None and before.options != options:
            raise InputError(f"{place} is registered with other options; habilis tools remove it, and add it again")
        for one in world_tools(open_world("craft", {})()):  # the aids of the world that comes with us
            registry.add(one)
        for registration in known:
            if registration is not before:
                take(registration)
        found = tools_of(place, options) if before is None else before.tools()
        if before is not None or all(t.name in registry and registry.get(t.name).owner == t.owner for t in found):
            print(f"{', '.join(one.name for one in found)} is registered already")
            return
        for mine in found:
            registry.add(mine)
        save_registrations(opened.journal, [*known, Registration(place, options)])
    for one in found:
        print(f"added {one.name} ({one.owner})")


@tools.command()
def remove(source: Annotated[str, typer.Argument(help="as it was added")], home: HomeOption = None) -> None:
    """Take a registration back."""
    from habilis.core import NotFoundError
    from habilis.memory.home import Home, default_home
    from habilis.tools import full_text, load_registrations, save_registrations

    with Home.open(home or default_home(), create=False) as opened:
        known = load_registrations(opened.journal)
        kept = [one for one in known if one.source not in (source, full_text(source))]
        if len(kept) == len(known):
            raise NotFoundError.of(
                "registration", source, [one.source for one in known], "A source is removed as a whole, by its text."
            )
        save_registrations(opened.journal, kept)
    print(f"removed {source}")


@tools.command()
def forgive(
    payee: Annotated[str, typer.Argument(help="a tool's name, or a payee as an event overrun has it")],
    home: HomeOption = None,
) -> None:
    """Take a tool, or a model, at its word again that has cost more than it declares."""
    from habilis.core import NotFoundError
    from habilis.memory.home import Home, default_home

    with Home.open(home or default_home(), create=False) as opened:
        known = sorted(opened.journal.standings())
        meant = [one for one in known if one == payee or (one.startswith("tool:") and one.endswith(f":{payee}"))]
        if not meant:
            raise NotFoundError.of("payee with an overrun", payee, known)
        for one in meant:
            opened.journal.put_standing(one, {})
    print(f"{payee} is taken at its word again")


@contextmanager
def _known(home: Any, world: str) -> Iterator[tuple[ToolRegistry, Mapping[str, str], Mapping[str, str]]]:
    """The tools of a home and a world; where those that were registered come from, by name; and what of the registered
    cannot be had just now, and why, by source."""
    from habilis._worlds import open_world, world_tools
    from habilis.core import HabilisError, NotFoundError
    from habilis.memory.home import Home, default_home
    from habilis.tools import ToolRegistry, load_registrations

    registered: tuple[Registration, ...] = ()
    sources: dict[str, str] = {}
    failures: dict[str, str] = {}
    with ExitStack() as stack:
        standings = None
        try:
            standings = stack.enter_context(Home.open(home or default_home(), create=False, read_only=True)).journal
            registered = load_registrations(standings)
        except NotFoundError:
            pass  # a home that does not exist yet has no tools of its own
        registry = stack.enter_context(ToolRegistry(world_tools(open_world(world, {})()), standings=standings))
        for registration in registered:
            try:
                for one in registration.tools():
                    registry.add(one)
                    sources[one.name] = registration.source
            except HabilisError as error:
                failures[registration.source] = str(error)
        registry.add_entry_points()
        yield registry, sources, failures


def _row(one: Tool, source: str) -> dict[str, Any]:
    from habilis.core import dump

    return {
        "name": one.name,
        "doc": one.doc.strip().splitlines()[0],
        "cost": {k: v for k, v in dump(one.most).items() if v},
        "side_effects": one.side_effects,
        # A function made in another one has no name that anybody could import.
        "owner": re.sub(r"[^:]*<locals>\.", "", one.owner),
        "source": source,
    }


def _pairs(option: str, given: list[str] | None, *, alone: bool = False) -> dict[str, str]:
    """NAME=VALUE, or a NAME alone where that will do."""
    from habilis.core import InputError

    pairs: dict[str, str] = {}
    for text in given or ():
        name, sign, value = text.partition("=")
        if not name.strip() or not (value or (alone and not sign)):
            forms = f"{option} NAME=VALUE" + (f", or {option} NAME" if alone else "")
            raise InputError(f"cannot read {option} {text!r:.80}; write {forms}")
        pairs[name.strip()] = value
    return pairs


def _cost(most: Mapping[str, float]) -> str:
    """What a call costs at most, in words: $0.01, 1 call."""
    from habilis._text import amount

    told = []
    for kind, value in most.items():
        unit = "" if kind in ("usd", "seconds") else " " + kind.replace("_", " ")
        told.append(f"{amount(kind, value)}{unit.removesuffix('s') if value == 1 else unit}")
    return ", ".join(told)

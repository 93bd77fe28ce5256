"""``habilis skills``: export, import, serve."""

from __future__ import annotations

from typing import Annotated

import typer

from habilis.cli._options import HomeOption, IndexOption, JsonOption
from habilis.cli._skills import skills

__all__ = ["skills"]


@skills.command()
def export(
    to: Annotated[str, typer.Option("--to", metavar="DIR", help="where the folders go; made if need be")],
    names: Annotated[list[str] | None, typer.Argument(metavar="[NAME]...", help="[all that are active]")] = None,
    world: Annotated[str | None, typer.Option("--world", help="whose skills, where several worlds have some")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="replace what an earlier export wrote")] = False,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write skills, and what they call, as Agent Skills: a folder each."""
    from habilis.cli._output import say_json
    from habilis.core import NotFoundError
    from habilis.memory.exchange import export_skills
    from habilis.memory.home import Home, default_home

    with Home.open(home or default_home(), create=False, read_only=True) as opened:
        active = opened.journal.skills()
    if world is not None:
        known = {s.world for s in active}
        active = [s for s in active if world in (s.world, s.fingerprint)]
        if not active:
            raise NotFoundError.of("active skill of the world", world, known)
    if not active:
        raise NotFoundError("no skill is active, so there is nothing to export; habilis run learns some")
    places = export_skills(active, names or (), to, overwrite=overwrite)
    if as_json:
        say_json({name: str(place) for name, place in places.items()})
        return
    for place in places.values():
        print(place)


@skills.command("import")
def import_(
    path: Annotated[str, typer.Argument(help="a skill's folder, a folder of such, or a skills.json of Voyager's")],
    world: Annotated[
        str | None, typer.Option("--world", help="the world that the skills are for [the one that each names]")
    ] = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Take in skills of others: out of use until they are verified; what is no program is kept as a document.

    The status is 1 where something was refused; the rest is kept, and importing again adds what is missing.
    """
    import sys
    from dataclasses import asdict

    from habilis._known_worlds import spec_of
    from habilis._text import plain
    from habilis.cli._output import say_json
    from habilis.memory.exchange import read_exchange, take_in
    from habilis.memory.home import Home, default_home

    found = read_exchange(path)
    with Home.open(home or default_home()) as opened:
        intake = take_in(opened.journal, found, world=None if world is None else spec_of(opened.journal, world))
        in_use = {s.name for s in opened.journal.skills()}
    if as_json:
        say_json(asdict(intake))
    else:
        for one in intake.skills:
            how = f"is here already, {one.status}" if one.known else f"{one.status} until it is verified"
            print(f"{plain(one.name)} version {one.version}: {how}")
            for note in one.notes:
                print(f"  {plain(note)}")
        for one in intake.documents:
            print(f"{plain(one.name)}: {'is here already' if one.known else 'kept'} as a document ({one.kind})")
            for note in one.notes:
                print(f"  {plain(note)}")
        if any(not one.known for one in intake.documents):
            print("to read them: habilis know show ID")
        new = {one.name for one in intake.skills if not one.known}
        if new:
            which = " --version N" if new & in_use else ""  # without it, the one in use would be verified
            print(f"to put one into use: habilis skills verify NAME{which}")
    for no in intake.refused:
        print(f"refused {plain(no.what)}: {plain(no.why)}", file=sys.stderr)
    if intake.refused:
        raise typer.Exit(1)


@skills.command()
def serve(
    http: Annotated[
        str | None, typer.Option("--http", metavar="[HOST:]PORT", help="over HTTP [over standard input and output]")
    ] = None,
    world: Annotated[str | None, typer.Option("--world", help="the skills of this world only")] = None,
    isolation: Annotated[str, typer.Option("--isolation", help="as of habilis run")] = "auto",
    home: HomeOption = None,
    index: IndexOption = "chroma",
) -> None:
    """Serve the skills over MCP: search, read, and run in fresh worlds, confined.

    The home is only read; a run may go on in it. Over HTTP, whoever reaches the address may do all this.
    """
    import asyncio
    import sys

    from habilis._serve import address, is_private, serve_http, serve_stdio
    from habilis._served import Served
    from habilis.memory.home import default_home

    place = None if http is None else address(http)
    if place is not None and not is_private(place[0]):
        typer.secho(
            f"WARNING: {place[0]} can be reached from other machines, and nobody is asked for a password.",
            fg="red",
            bold=True,
            err=True,
        )
    with Served(home or default_home(), world=world, isolation=isolation, index=index) as served:
        if place is None:
            asyncio.run(serve_stdio(served))
        else:
            told = lambda url: print(f"serving at {url}", file=sys.stderr, flush=True)  # noqa: E731
            asyncio.run(serve_http(served, *place, started=told))

"""The options that many commands take, and what is made of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer


def _read(text: str) -> Path:
    if not text.strip():
        raise typer.BadParameter("it is empty; name a folder, or leave it out")
    return Path(text)


HomeOption = Annotated[
    Path | None,
    typer.Option("--home", parser=_read, metavar="PATH", help="the folder it lives in [HABILIS_HOME or ~/.habilis]"),
]


def _json(context: typer.Context, wanted: bool) -> bool:
    if wanted:
        from habilis.cli._output import only_json

        context.with_resource(only_json())
    return wanted


JsonOption = Annotated[bool, typer.Option("--json", help="print JSON", callback=_json)]

WorldOption = Annotated[str, typer.Option("--world", help="a world's name, or module:callable")]
OptOption = Annotated[list[str] | None, typer.Option("--option", "-o", help="NAME=VALUE for the world; repeatable")]

IndexOption = Annotated[
    str,
    typer.Option("--index", metavar="NAME", help="chroma, faiss, exact, or a Chroma server: http://HOST:PORT"),
]


def check_home(home: Path | None) -> None:
    """Raises `NotFoundError` where there is no home: to ask what was lived makes none."""
    from habilis.memory.home import Home, default_home

    with Home.open(home or default_home(), create=False, read_only=True):
        pass


def options_of(pairs: list[str] | None) -> dict[str, Any]:
    """``NAME=VALUE`` of ``--option``, the value as JSON where it is. Raises `InputError`."""
    from habilis.core import InputError

    found: dict[str, Any] = {}
    for pair in pairs or []:
        name, sep, value = pair.partition("=")
        if not sep or not name.isidentifier():
            raise InputError(f"cannot read --option {pair!r}; write NAME=VALUE")
        try:
            found[name] = json.loads(value)
        except ValueError:
            found[name] = value
    return found

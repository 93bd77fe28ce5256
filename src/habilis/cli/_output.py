"""What commands print: tables for people, JSON for programs."""

from __future__ import annotations

import contextlib
import json
import sys
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, TextIO

from habilis.core import Event, HabilisError, Json

_real: list[TextIO] = []  # standard output, while only JSON may go there


def fail(error: HabilisError) -> None:
    """An error as one message on standard error. It may tell of what others wrote."""
    from habilis._text import plain

    print(f"error: {plain(error, 100_000, lines=True)}", file=sys.stderr)


def say_warning(event: Event) -> None:
    """A subscriber that tells warnings on standard error, where nothing else shows the events."""
    if event.kind == "warning":
        from habilis._text import plain

        print(f"warning: {plain(event.data['message'], 2_000)}", file=sys.stderr)


@contextlib.contextmanager
def plain_warnings() -> Iterator[None]:
    """Warnings of ours as one line on standard error, without the line of code that gave them."""
    with warnings.catch_warnings():
        before = warnings.showwarning

        def tell(message: Any, category: Any, *where: Any, **more: Any) -> None:
            if category.__module__.partition(".")[0] == "habilis":
                print(f"warning: {message}", file=sys.stderr)
            else:
                before(message, category, *where, **more)

        warnings.showwarning = tell
        yield


def warn_unconfined(unconfined: bool) -> None:
    """Say loudly that programs may do anything; the journal keeps it with every attempt and trial, as tier 0."""
    if not unconfined:
        return
    import typer

    from habilis.worlds.runner import UnconfinedWarning

    warnings.simplefilter("ignore", UnconfinedWarning)  # said here, in words for this place
    typer.secho(
        "WARNING: --unsafe-no-isolation: programs run unconfined and may do anything that you may.",
        fg="red",
        bold=True,
        err=True,
    )


def show(rows: Sequence[Mapping[str, Json]], columns: Iterable[str], *, as_json: bool, empty: str) -> None:
    """Rows as a table of these columns, or all of them as JSON."""
    if as_json:
        say_json(list(rows))
        return
    if not rows:
        print(empty)
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column.replace("_", " "))
    for row in rows:
        table.add_row(*(Text(_cell(row.get(column))) for column in columns))
    console = Console()
    if not console.is_terminal:
        console = Console(width=200)
    console.print(table)


@contextlib.contextmanager
def only_json() -> Iterator[None]:
    """Meanwhile standard output is for `say_json` alone: what a user's world or tool prints goes to standard error."""
    _real.append(sys.stdout)
    try:
        with contextlib.redirect_stdout(sys.stderr):
            yield
    finally:
        _real.pop()


def say_json(data: Any) -> None:
    text = json.dumps(data, indent=2, ensure_ascii=False, default=str)
    print(text, file=_real[-1] if _real else sys.stdout)


def _cell(value: Json) -> str:
    from habilis._text import plain

    if isinstance(value, float):
        return f"{value:.3g}"
    if isinstance(value, (list, tuple)):
        return plain(", ".join(map(str, value)))
    return plain("" if value is None else str(value))

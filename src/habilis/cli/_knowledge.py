"""``habilis know``: add, list, show, search, remove."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from habilis.cli._options import HomeOption, JsonOption

if TYPE_CHECKING:
    from habilis.core import Cost
    from habilis.tools import Added

know = typer.Typer(help="The documents that writers may be shown.", no_args_is_help=True, rich_markup_mode=None)

_SHOWN = 20  # lines of a kind that are printed


@know.command()
def add(
    paths: Annotated[list[str], typer.Argument(metavar="PATH...", help="files or folders: text, Markdown, PDF")],
    cost: Annotated[
        str | None, typer.Option("--cost", metavar="usd=…", help="the price of each, paid when shown first in a run")
    ] = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Take in documents. Again: what changed is replaced, what is as it was stays.

    The status is 1 where a file was refused; the others are kept.
    """
    import sys

    from habilis._text import plain
    from habilis.cli._output import say_json
    from habilis.core import HabilisError
    from habilis.memory.home import Home, default_home
    from habilis.tools import KnowledgeBase

    price = None if cost is None else _price(cost)
    told, failed = [], []
    with Home.open(home or default_home()) as opened:
        base = KnowledgeBase(opened.journal)
        for path in paths:
            try:
                told.append((path, base.add(path, cost=price)))
            except HabilisError as error:  # the next path is another matter
                failed.append((path, str(error)))
    refused = [one for _, added in told for one in added.refused] + failed
    if as_json:
        say_json([_told(path, added) for path, added in told] + [{"path": p, "error": e} for p, e in failed])
    else:
        for path, added in told:
            _say(path, added)
    for path, why in refused[:_SHOWN]:
        print(f"refused {plain(path)}: {plain(why)}", file=sys.stderr)
    if len(refused) > _SHOWN:
        print(f"refused {len(refused) - _SHOWN} more; --json lists them", file=sys.stderr)
    if refused:
        raise typer.Exit(1)


@know.command("list")
def list_(home: HomeOption = None, as_json: JsonOption = False) -> None:
    """List the documents of a home, those that came with imported skills too."""
    from habilis.cli._output import show
    from habilis.cli._skills import read_home
    from habilis.tools import KnowledgeBase

    with read_home(home) as opened:
        rows = [
            {
                "id": d.id,
                "kind": d.kind,
                "passages": len(d.passages),
                "tokens": d.tokens,
                "price": d.price.nonzero() if as_json else _amount(d.price),
                "source": d.source,
                **({"notes": list(d.notes)} if as_json else {}),
            }
            for d in KnowledgeBase(opened.journal).documents()
        ]
    columns = ("id", "kind", "passages", "tokens", "price", "source")
    show(rows, columns, as_json=as_json, empty="no document yet; habilis know add PATH")


@know.command("show")
def show_(
    which: Annotated[str, typer.Argument(metavar="ID", help="a document's id, or its path")],
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Print a document, passage by passage."""
    from habilis._text import plain
    from habilis.cli._output import say_json
    from habilis.cli._skills import read_home
    from habilis.tools import KnowledgeBase

    with read_home(home) as opened:
        found = KnowledgeBase(opened.journal).get(which)
    if as_json:
        passages = [{"title": p.title, "text": p.text} for p in found.passages]
        facts: dict[str, Any] = {"id": found.id, "kind": found.kind, "name": found.name, "source": found.source}
        say_json({**facts, "price": found.price.nonzero(), "notes": list(found.notes), "passages": passages})
        return
    price = _amount(found.price)
    print(f"{plain(found.name)}: {len(found.passages)} passages, {found.tokens} tokens{f', {price}' if price else ''}")
    print(f"from {plain(found.source)}")
    for note in found.notes:
        print(f"note: {plain(note)}")
    for number, passage in enumerate(found.passages, 1):
        print(f"\n[{number}] {plain(passage.title)}\n{plain(passage.text, 100_000, lines=True)}")


@know.command()
def search(
    text: Annotated[str, typer.Argument(help="words to look for")],
    home: HomeOption = None,
    k: Annotated[int, typer.Option("-k", "--k", min=1, help="how many passages")] = 5,
    as_json: JsonOption = False,
) -> None:
    """Find passages by their words."""
    from habilis._text import plain
    from habilis.cli._output import say_json
    from habilis.cli._skills import read_home
    from habilis.core import InputError
    from habilis.tools import KnowledgeBase

    if not text.strip():
        raise InputError("the search is empty; say what the document should be about")
    with read_home(home) as opened:
        found = KnowledgeBase(opened.journal).search(text, k)
    if as_json:
        say_json(
            [
                {
                    "id": m.document.id,
                    "number": m.number,
                    "title": m.passage.title,
                    "score": round(m.score, 4),
                    "source": m.document.source,
                    "text": m.passage.text,
                }
                for m in found
            ]
        )
        return
    if not found:
        print("no document has these words")
    for match in found:
        title = " > ".join(filter(None, (match.document.name, match.passage.title)))
        print(f"{plain(title)}  ({match.document.id}, passage {match.number})\n  {plain(match.passage.text, 240)}")


@know.command()
def remove(
    which: Annotated[str, typer.Argument(metavar="ID|PATH", help="a document, or the folder that some came from")],
    home: HomeOption = None,
) -> None:
    """Take documents out. The files themselves stay."""
    from habilis.memory.home import Home, default_home
    from habilis.tools import KnowledgeBase

    with Home.open(home or default_home(), create=False) as opened:
        gone = KnowledgeBase(opened.journal).remove(which)
    for id in gone[:_SHOWN]:
        print(f"removed {id}")
    if len(gone) > _SHOWN:
        print(f"removed {len(gone) - _SHOWN} more")


def _price(text: str) -> Cost:
    """``usd=0.5`` as a cost. Raises `InputError`."""
    from habilis.core import Cost, InputError

    price = Cost.parse(text)
    if price.tokens:
        raise InputError("the tokens of a document are counted, not declared; --cost takes its price, such as usd=0.5")
    return price


def _amount(price: Cost) -> str:
    from habilis._text import amount

    units = {"usd": "", "seconds": ""}
    return ", ".join(f"{amount(kind, n)}{units.get(kind, f' {kind}')}" for kind, n in price.nonzero().items())


def _told(path: str, added: Added) -> dict[str, Any]:
    from dataclasses import asdict

    refused = [{"path": p, "why": why} for p, why in added.refused]
    return {"path": path, **asdict(added), "refused": refused}


def _say(path: str, added: Added) -> None:
    """What came of a path, in counts."""
    from habilis._text import plain

    counts = [(len(added.added), "added"), (len(added.replaced), "replaced"), (len(added.unchanged), "unchanged")]
    counts += [(len(added.refused), "refused"), (len(added.gone), "gone")]
    said = ", ".join(f"{n} {word}" for n, word in counts if n) or "no document is there"
    over = ", ".join(f"{n} {word}" for word, n in added.passed_over.items())
    print(f"{plain(path)}: {said}{f' (passed over: {over})' if over else ''}")
    for where, note in added.notes[:_SHOWN]:
        print(f"  {plain(where)}: {plain(note)}")
    for where in added.gone[:_SHOWN]:
        print(f"  gone: {plain(where)}; its document is kept until habilis know remove takes it out")

"""``habilis index``: rebuild."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from habilis.cli._options import HomeOption, IndexOption

index = typer.Typer(help="The vectors by which skills are found.", no_args_is_help=True, rich_markup_mode=None)


@index.callback()
def group() -> None:
    """The vectors by which skills are found."""


@index.command()
def rebuild(
    home: HomeOption = None,
    embedder: Annotated[
        str | None,
        typer.Option(
            "--embedder",
            metavar="NAME",
            help="minilm, wordllama, hash, or endpoint:MODEL@URL [the home's own, else what was fetched]",
        ),
    ] = None,
    kind: IndexOption = "chroma",
    max_usd: Annotated[float, typer.Option("--max-usd", min=0, help="the most to spend, on a server's vectors")] = 0.0,
    prices: Annotated[
        Path | None, typer.Option("--prices", help="a list of your own, TOML or JSON [HABILIS_PRICES]")
    ] = None,
) -> None:
    """Make the index of a home anew from its journal; with --embedder, with another embedder from now on."""
    from habilis._embedders import home_embedder, kept
    from habilis._prices import price_list
    from habilis.core import Budget, Ledger
    from habilis.memory.embedding import open_embedder
    from habilis.memory.home import Home, default_home
    from habilis.memory.library import SkillLibrary

    ledger = Ledger(Budget(usd=max_usd))
    with Home.open(home or default_home(), create=False) as opened:
        if embedder is None:
            chosen = home_embedder(opened, ledger=ledger, prices=price_list(prices))
        else:
            chosen = kept(opened, open_embedder(embedder, ledger=ledger, prices=price_list(prices)))
        opened.vectors_path.unlink(missing_ok=True)
        with SkillLibrary.rebuild(opened, embedder=chosen, index=kind) as library:
            count = len(library.active())
    print(f"index rebuilt: {count} skills, embedder {chosen.fingerprint}")

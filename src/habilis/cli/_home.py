"""``--home``, which every command takes, and ``--index``, for those that look for skills."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def _read(text: str) -> Path:
    if not text.strip():
        raise typer.BadParameter("it is empty; name a folder, or leave it out")
    return Path(text)


HomeOption = Annotated[
    Path | None,
    typer.Option("--home", parser=_read, metavar="PATH", help="the folder it lives in [HABILIS_HOME or ~/.habilis]"),
]

IndexOption = Annotated[
    str,
    typer.Option("--index", metavar="NAME", help="chroma, faiss, exact, or a Chroma server: http://HOST:PORT"),
]

"""Results that are kept as they come, a line of JSON each, so that what is there is not measured again."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any


def kept(path: Path) -> Iterator[Any]:
    """The results in a file, none where there is no such file. A run that was killed leaves half a line: it is passed
    over, and measured again."""
    for line in path.read_text("utf-8").splitlines() if path.exists() else ():
        try:
            yield json.loads(line)
        except ValueError:
            continue


def keep(path: Path, result: Mapping[str, Any] | Sequence[Any]) -> None:
    """Add a result, on a line of its own even where the last one was cut off."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+", encoding="utf-8") as file:
        file.seek(0)
        whole = file.read()
        file.write(("" if not whole or whole.endswith("\n") else "\n") + json.dumps(result) + "\n")

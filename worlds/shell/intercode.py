"""Task files of InterCode (Yang et al. 2023, arXiv:2306.14898), its bash part: NL2Bash with folders to run it in.

A file is a JSON list of ``{"query": "…", "gold": "…"}``; some have a ``gold2`` that is right as well. What is wanted
is what the gold command does: it is run in a copy of the folder, in the sandbox, and the folder and what was printed
have to come out the same. InterCode gives partial reward by similarity; here it is done or not.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from habilis.core import InputError

__all__ = ["MOST_QUERY", "read_tasks"]

MOST_QUERY = 900  # characters: a query is an argument of its goal


def read_tasks(path: str | Path) -> Mapping[str, tuple[str, ...]]:
    """The queries with the commands that are right for each, in the order of the file.

    Raises `InputError` naming the file, the entry and what is wrong with it.
    """
    file = Path(path).expanduser()
    try:
        told = json.loads(file.read_text("utf-8"))
    except OSError as error:
        raise InputError(f"the task file {file} cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise InputError(f"the task file {file} is no JSON: {error}") from None
    if not isinstance(told, list) or not told:
        raise InputError(f'the task file {file} is no list of tasks; it begins [{{"query": "…", "gold": "…"}}, …]')
    found: dict[str, tuple[str, ...]] = {}
    for number, one in enumerate(told):
        query = one.get("query") if isinstance(one, dict) else None
        golds: list[Any] = [one[k] for k in ("gold", "gold2") if one.get(k)] if isinstance(one, dict) else []
        if not isinstance(query, str) or not query.strip() or not golds or not all(isinstance(g, str) for g in golds):
            raise InputError(f"task {number} of {file} has no query and gold as texts; it is {str(one)[:120]}")
        query = " ".join(query.split())
        if len(query) > MOST_QUERY or query.startswith("#"):
            raise InputError(
                f"the query of task {number} of {file} is longer than {MOST_QUERY} characters, or begins with #"
            )
        found[query] = tuple(golds)
    return found

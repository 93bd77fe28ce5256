"""Remembering which tools a home has, so that ``habilis tools add module:function`` survives."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from typing import Protocol

from habilis.core import HabilisError, InputError, Json
from habilis.tools.calling.registry import ToolRegistry
from habilis.tools.sources.python import full_source
from habilis.tools.tool import Tool

_STATE_KEY = "tools.registrations"


class StateStore(Protocol):
    """Where registrations are kept: the journal's state."""

    def get_state(self, key: str, default: Json = None, /) -> Json: ...
    def put_versioned_state(self, key: str, data: Mapping[str, Json], /) -> None: ...


def save_registrations(store: StateStore, sources: Sequence[str]) -> tuple[str, ...]:
    """Remember which tools a home has (texts as `ToolRegistry.add` takes them); replaces what was remembered.

    Paths are stored absolute. Returns what was stored, sorted.
    """
    kept = tuple(sorted({full_source(s) for s in sources}))
    store.put_versioned_state(_STATE_KEY, {"sources": list(kept)})
    return kept


def load_registrations(store: StateStore) -> tuple[str, ...]:
    """The texts that `save_registrations` stored; hand each to `ToolRegistry.add`."""
    known = store.get_state(_STATE_KEY, None) or {}
    return tuple(known.get("sources", ()))


def registered(source: str) -> tuple[Tool, ...]:
    """The tools of one registration. Raises `InputError` where they are no longer there: says how to take it back."""
    try:
        return tuple(ToolRegistry().add_all(source))
    except HabilisError as error:
        raise InputError(
            f"the registered tool {source} cannot be loaded: {error}. Put it back, or take the registration back: "
            f"habilis tools remove {shlex.quote(source)} (with the same --home)"
        ) from error

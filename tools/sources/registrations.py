"""Remembering which tools a home has, and on what terms, so that ``habilis tools add SOURCE`` survives."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from habilis.core import HabilisError, InputError, Json
from habilis.tools.sources.options import SourceOptions
from habilis.tools.sources.text import full_text, tools_of
from habilis.tools.tool import Tool

_STATE_KEY = "tools.registrations"


class StateStore(Protocol):
    """Where registrations are kept: the journal's state."""

    def get_state(self, key: str, default: Json = None, /) -> Json: ...
    def put_versioned_state(self, key: str, data: Mapping[str, Json], /) -> None: ...


@dataclass(frozen=True)
class Registration:
    """One source of tools, as text, and what the user says about its tools. ``more``: options that a newer version
    wrote, kept as they are."""

    source: str
    options: SourceOptions = field(default_factory=SourceOptions)
    more: Mapping[str, Json] = field(default_factory=dict)

    def tools(self) -> tuple[Tool, ...]:
        """Its tools. Raises `InputError` where they cannot be had: says how to take the registration back."""
        try:
            return tools_of(self.source, self.options)
        except HabilisError as error:
            why = str(error).rstrip(".")
            raise InputError(
                f"the registered tool {self.source} cannot be loaded: {why}. Put it back, or take the registration "
                f"back: habilis tools remove {shlex.quote(self.source)} (with the same --home)"
            ) from error


def save_registrations(store: StateStore, registrations: Sequence[Registration | str]) -> tuple[Registration, ...]:
    """Remember which sources of tools a home has; replaces what was remembered. A text has no options.

    Paths are stored absolute. Returns what was stored, by source. Raises `InputError` for a secret in clear.
    """
    given = [Registration(one) if isinstance(one, str) else one for one in registrations]
    kept = {full_text(one.source): one for one in given}
    options = {source: {**one.more, **one.options.to_json()} for source, one in kept.items()}
    store.put_versioned_state(
        _STATE_KEY, {"sources": sorted(kept), "options": {s: options[s] for s in sorted(options) if options[s]}}
    )
    return load_registrations(store)


def load_registrations(store: StateStore) -> tuple[Registration, ...]:
    """What `save_registrations` stored, by source. Homes of before options have texts alone."""
    known = store.get_state(_STATE_KEY, None) or {}
    told = known.get("options", {})
    return tuple(_registration(source, told.get(source, {})) for source in known.get("sources", ()))


def _registration(source: str, told: Mapping[str, Json]) -> Registration:
    options = SourceOptions.from_json(told)
    mine = SourceOptions.names()
    return Registration(source, options, {name: value for name, value in told.items() if name not in mine})

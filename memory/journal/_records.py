"""Records that only the journal writes, and how records become the text that is stored."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass, replace
from enum import Enum
from typing import Any, TypeVar

from habilis.core import Cost, InputError, JournalError, Json, dump, load

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class RunRecord:
    """One run of the agent. ``status``: "running", "finished", "stopped" or "failed". Times: seconds since the epoch;
    ``ended`` is None while it runs. A run that was killed stays "running"."""

    id: int
    config: Json
    status: str = "running"
    started: float = 0.0
    ended: float | None = None
    spent: Cost = field(default_factory=Cost)
    note: str = ""


@dataclass(frozen=True, slots=True)
class ModelRecord:
    """A distilled model and the gate's decision. ``figures``: what was measured, and under "weights" the SHA-256 of
    each file of weights; ``reasons``: why it was (not) adopted; ``path``: relative to the home; ``created``: seconds
    since the epoch, set by the journal where it is 0; ``fingerprint``: of the world that it was distilled for, "" for
    every world that has none of its own."""

    name: str
    base: str
    path: str
    adopted: bool = False
    figures: Json = None
    reasons: tuple[str, ...] = ()
    run_id: int | None = None
    created: float = 0.0
    fingerprint: str = ""


@dataclass(frozen=True, slots=True)
class UseRecord:
    """One use of an augmentation: for which task (its text), whether the task succeeded, what the use cost."""

    run_id: int
    augmentation: str
    task: str
    ok: bool
    cost: Cost = field(default_factory=Cost)


class DamagedRecordWarning(RuntimeWarning):
    """A record of the journal cannot be read and is left aside; everything else goes on."""


@dataclass(frozen=True, slots=True)
class DamagedSkill:
    """A version of a skill whose record cannot be read. ``status``: what it had; it counts as quarantined."""

    name: str
    version: int
    status: str
    why: str


@dataclass(frozen=True, slots=True)
class Transition:
    """A change of status of one version of a skill; ``before`` is None for its admission."""

    name: str
    version: int
    before: str | None
    after: str
    reason: str
    at: float


def to_data(record: Any) -> Any:
    """A record as JSON data. Raises `InputError` where it holds something that is not JSON.

    Half a surrogate pair, which a program may well return, is no text in JSON: it becomes U+FFFD.
    """
    try:
        try:
            return dump(record)
        except UnicodeEncodeError:
            return dump(_sound(record))
    except ValueError as error:
        raise InputError(f"a {type(record).__name__} cannot be stored: {error}; give plain JSON values") from error


def _sound(value: Any) -> Any:
    if isinstance(value, str) and not isinstance(value, Enum):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if is_dataclass(value) and not isinstance(value, type):
        return replace(value, **{f.name: _sound(getattr(value, f.name)) for f in fields(value)})
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*map(_sound, value))
    if isinstance(value, (list, tuple)):
        return type(value)(map(_sound, value))
    if isinstance(value, Mapping):
        return {_sound(k): _sound(v) for k, v in value.items()}
    return value


def to_text(data: Json) -> str:
    """JSON text, the same for the same data: sorted keys."""
    try:
        return json.dumps(data, sort_keys=True, separators=(",", ":"))
    except (TypeError, ValueError, RecursionError) as error:
        raise InputError(f"this cannot be stored as JSON: {error}; give dicts, lists, texts and numbers") from error


def from_text(text: str | bytes, where: str) -> Any:
    """JSON data back. ``text`` is bytes where the file holds what is not UTF-8. Raises `JournalError`."""
    try:
        return json.loads(text)
    except (ValueError, TypeError, RecursionError) as error:
        raise damaged(where, error) from error


def read(kind: type[T], data: Json, where: str) -> T:
    """The record back. Raises `JournalError` where the stored data is not one."""
    try:
        return load(kind, data)
    except (ValueError, TypeError, RecursionError) as error:
        raise damaged(where, error) from error


def readable(text: str | bytes) -> Any:
    """JSON data, or None where it is damaged: what is to be written over it needs nothing of it."""
    try:
        return from_text(text, "")
    except JournalError:
        return None


def damaged(where: str, error: Exception) -> JournalError:
    """The error for a record that cannot be read."""
    told = getattr(error, "errors", None)  # pydantic lists them; the first says enough
    if callable(told):
        first = told()[0]
        why = f"{'.'.join(map(str, first['loc'])) or 'all of it'}: {first['msg']}"
    else:
        why = f"{error}"
    why = " ".join(why.split())[:200]
    return JournalError(
        f"{where} in the journal is damaged, or of a newer version ({why}); to have it again, put back a copy of the "
        "home"
    )


def carry_unknown(record: Any, old: Any, new: Any) -> Any:
    """``new`` (the data of ``record``), with the keys of ``old`` that this version has no field for.

    A newer version may have written them; they are kept wherever a record, at any depth, is rewritten. Mappings that
    are free-form (figures, arguments) are replaced whole.
    """
    if not (is_dataclass(record) and isinstance(old, Mapping) and isinstance(new, dict)):
        return new
    known = {f.name for f in fields(record)}
    merged = {key: value for key, value in old.items() if key not in known}
    for name, value in new.items():
        inner, before = getattr(record, name), old.get(name)
        if isinstance(inner, tuple) and isinstance(before, list) and isinstance(value, list):
            padded = [*before, *([None] * len(value))][: len(value)]
            merged[name] = [carry_unknown(*three) for three in zip(inner, padded, value, strict=True)]
        else:
            merged[name] = carry_unknown(inner, before, value)
    return merged

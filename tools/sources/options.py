"""What a user says about the tools of a source: price, limits, names, what may be retried, keys, addresses."""

from __future__ import annotations

import hashlib
import keyword
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from itertools import count
from typing import Any

from habilis.core import Cost, DefinitionError, InputError, Json, NotFoundError
from habilis.tools.sources._secrets import refuse_written_secret, secrets
from habilis.tools.tool import Tool

_COSTS = {f.name for f in fields(Cost)}
_MAX_NAME = 64
_MAX_DOC = 4_000  # characters of a description that a stranger wrote: it is read by models, which pay for it


class LeftOutWarning(RuntimeWarning):
    """A tool of a source cannot be used; the others can."""


@dataclass(frozen=True)
class SourceOptions:
    """What the user says about a source's tools, over what the source itself says. None: as the source has it.

    ``cost``, ``max_calls``, ``safe_to_retry``, ``side_effects``, ``timeout``: as in `Tool`. A server's word is never
    taken for ``safe_to_retry``. ``prefix`` is put before every name; ``only``: the tools to take, by their name here or
    at the source.

    ``env`` (of a server that is started), ``headers`` and ``query`` (of one that is reached over HTTP): names and
    values, in which ``env:NAME`` stands for the environment variable NAME. ``base_url``: the address of an OpenAPI
    service, in place of what its document says. ``folder``: where a server is started; "" is the current one.
    """

    cost: Cost | None = None
    max_calls: int | None = None
    safe_to_retry: bool | None = None
    side_effects: bool | None = None
    timeout: float | None = None
    prefix: str = ""
    only: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    query: Mapping[str, str] = field(default_factory=dict)
    base_url: str = ""
    folder: str = ""

    def __post_init__(self) -> None:
        if isinstance(self.only, str) or not all(isinstance(n, str) for n in self.only):
            raise InputError(f"only={self.only!r:.80}; give a list of names")
        object.__setattr__(self, "only", tuple(self.only))
        if self.prefix and not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", self.prefix):
            raise InputError(f"prefix={self.prefix!r:.80}; give letters, digits and _, beginning with a letter")
        for kind in ("env", "headers", "query"):
            given = getattr(self, kind)
            if not isinstance(given, Mapping) or not all(isinstance(t, str) for pair in given.items() for t in pair):
                raise InputError(
                    f"{kind}= is {type(given).__name__}; give texts by name, such as {{'KEY': 'env:MY_KEY'}}"
                )
        if any("\n" in v or "\r" in v for v in self.headers.values()):
            raise InputError("a header has no line breaks")

    def refuse(self, source: str, *kinds: str) -> None:
        """Raises `InputError` where one of these options is given, which this kind of source does not have."""
        for kind in kinds:
            if getattr(self, kind):
                raise InputError(f"{source} takes no {kind}; leave the option out")

    def secrets(self) -> tuple[str, ...]:
        """The values of the environment variables that it names: nobody else's business."""
        return secrets([*self.env.values(), *self.headers.values(), *self.query.values()])

    def wants(self, own: str, name: str) -> bool:
        """Whether the tool that the source calls ``own``, and that is ``name`` here without prefix, is taken."""
        return not self.only or bool({own, name, self.prefix + name} & set(self.only))

    def applied(self, tool: Tool) -> Tool:
        """The tool as the user wants it, its name without prefix."""
        said = ("cost", "max_calls", "safe_to_retry", "side_effects", "timeout")
        return replace(tool, **{n: getattr(self, n) for n in said if getattr(self, n) is not None})

    def to_json(self) -> dict[str, Json]:
        """As it is remembered. Raises `InputError` for a secret that is written out."""
        for kind in ("env", "headers", "query"):
            for name, value in getattr(self, kind).items():
                refuse_written_secret(kind, name, value)
        said = {one.name: getattr(self, one.name) for one in fields(self)}
        return {name: _plain(value) for name, value in said.items() if value is not None and value not in ("", (), {})}

    @classmethod
    def names(cls) -> frozenset[str]:
        return frozenset(one.name for one in fields(cls))

    @classmethod
    def from_json(cls, data: Mapping[str, Json]) -> SourceOptions:
        """What `to_json` gave; keys of a newer version are left alone."""
        known = {k: v for k, v in data.items() if k in cls.names()}
        if "cost" in known:
            known["cost"] = Cost(**{k: v for k, v in known["cost"].items() if k in _COSTS})
        return cls(**known)


def selected(found: Sequence[Tool], options: SourceOptions, source: str) -> tuple[Tool, ...]:
    """The tools that the user wants, as the user wants them, by name. ``found``: named without prefix, and ``where``
    what the source calls them. Raises `NotFoundError` for one of ``only`` that is not there."""
    names = {name for one in found for name in (one.name, options.prefix + one.name, one.where)}
    for name in options.only:
        if name not in names:
            raise NotFoundError.of(f"tool of {source}", name, {one.name for one in found})
    taken = [t for t in found if options.wants(t.where, t.name)]
    return tuple(sorted((prefixed(options.applied(t), options.prefix) for t in taken), key=lambda t: t.name))


def prefixed(tool: Tool, prefix: str) -> Tool:
    if not prefix:
        return tool
    name = prefix + tool.name
    return replace(tool, name=name, signature=replace(tool.signature, tool=name))


def usable(make: Callable[[], Tool], what: str) -> Tool | str:
    """A stranger's tool, or why it cannot be used."""
    try:
        return make()
    except (DefinitionError, InputError, RecursionError) as error:
        return f"{what} is left out: {error}"


def tool_names(foreign: Iterable[str], taken: Iterable[str] = ()) -> list[str]:
    """A name that programs can call for each of a source's own: the same names in the same order give the same. What is
    equal but for signs, or ``taken``, is numbered."""
    found: list[str] = []
    used = set(taken)
    for name in foreign:
        short = re.sub(r"[^A-Za-z0-9_]+", "_", name).strip("_")
        mark = hashlib.sha256(name.encode("utf-8", "replace")).hexdigest()[:8]
        if not re.match("[A-Za-z]", short):
            short = f"tool_{short or mark}"
        if keyword.iskeyword(short):
            short += "_"
        if len(short) > _MAX_NAME - 12:  # room for a prefix
            short = f"{short[: _MAX_NAME - 21]}_{mark}"
        free = (f"{short}_{i}" if i > 1 else short for i in count(1))
        found.append(next(n for n in free if n not in used))
        used.add(found[-1])
    return found


def description(text: str | None, otherwise: str) -> str:
    """A stranger's description without signs that steer a terminal, of bounded length."""
    clean = "".join(c for c in text or "" if c in "\n\t" or c.isprintable()).strip()
    return clean if 0 < len(clean) <= _MAX_DOC else f"{clean[:_MAX_DOC]}…" if clean else otherwise


def _plain(value: Any) -> Json:
    if isinstance(value, Cost):
        return value.nonzero()
    return dict(value) if isinstance(value, Mapping) else list(value) if isinstance(value, tuple) else value

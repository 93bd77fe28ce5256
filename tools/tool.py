"""`@tool`: a typed Python function that programs may call on the host, with what it costs and what it may do."""

from __future__ import annotations

import inspect
import keyword
import re
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, overload, runtime_checkable

from habilis.core import (
    Cost,
    Declaration,
    DefinitionError,
    Json,
    MissingExtraError,
    Parameter,
    declared_atoms,
    place_of,
)
from habilis.tools._signature import Signature, read_signature

DEFAULT_TIMEOUT = 30.0  # seconds: longer than a slow web page takes, shorter than a person waits in silence


@dataclass(frozen=True, slots=True)
class Priced:
    """What a tool may return to report what the call really cost: ``return Priced(answer, Cost(usd=0.003))``."""

    value: Any
    cost: Cost


@runtime_checkable
class ToolSource(Protocol):
    """Where tools come from that needs something held open: a server, a client."""

    @property
    def text(self) -> str:
        """How it is written, as `ToolRegistry.add` takes it."""

    def tools(self) -> tuple[Tool, ...]:
        """Its tools, by name; opens what has to be opened. Raises `HabilisError` naming the address."""

    def latest(self, tool: Tool) -> Tool:
        """A tool as the source has it now: what it takes may have changed. Asks nobody."""

    def close(self) -> None:
        """End what was opened. A later call opens it again."""


@dataclass(frozen=True, eq=False)
class Tool:
    """A function that programs may call. Made by `tool` or by a source of tools; still callable as a function.

    ``cost`` is the most that one call costs (without one, a call is free and only counted). ``max_calls``: calls in
    one run. ``safe_to_retry``: calling it again does no harm, so verification may. ``side_effects``: it changes
    something outside the run, so approval is asked. ``timeout``: seconds, None for no limit. ``provides``: what it is
    for, when several tools do the same. ``declared``: what it needs and does in the world, for search to plan with.
    ``reports``: whether it tells what a call has cost, with `Priced`, so that its calls are made one at a time; None:
    its first answer shows. ``owner``: "module:function", or the source; ``where``: "file:line", or what the source
    calls it. ``source``: what has to be open for a call.
    """

    name: str
    doc: str
    function: Callable[..., Any]
    signature: Signature = field(repr=False)
    cost: Cost = field(default_factory=Cost)
    max_calls: int | None = None
    safe_to_retry: bool = False
    side_effects: bool = False
    timeout: float | None = DEFAULT_TIMEOUT
    provides: str = ""
    declared: Declaration = field(default_factory=Declaration)
    reports: bool | None = False
    owner: str = ""
    where: str = ""
    source: ToolSource | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if not self.doc.strip():
            raise DefinitionError(f"{self.owner}: it has no docstring; say in one line what it does and when to use it")
        if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]{0,63}", self.name) or keyword.iskeyword(self.name):
            raise DefinitionError(
                f"{self.owner}: {self.name!r} cannot name a tool, which programs call as tools.<name>(…); "
                "use 1 to 64 letters, digits and _, beginning with a letter, or pass name="
            )
        if not isinstance(self.cost, Cost):
            raise DefinitionError(f"{self.owner}: cost={self.cost!r} is not a Cost; write cost=Cost(usd=…, seconds=…)")
        if self.max_calls is not None and (type(self.max_calls) is not int or self.max_calls < 1):
            raise DefinitionError(f"{self.owner}: max_calls={self.max_calls!r}; give a whole number >= 1, or None")
        if self.timeout is not None and not (isinstance(self.timeout, (int, float)) and 0 < self.timeout < 1e7):
            raise DefinitionError(f"{self.owner}: timeout={self.timeout!r}; give seconds > 0, or None for no limit")
        names = [p.name for p in self.parameters if p.required]
        values = [0 if p.type in ("int", "float") else p.name for p in self.parameters if p.required]
        for text in self.declared.texts:
            declared_atoms(text, self.owner or self.name, names, values)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """The function itself: no checks, no ledger, no tape."""
        return self.function(*args, **kwargs)

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        return tuple(a.parameter for a in self.signature.arguments)

    @property
    def schema(self) -> Mapping[str, Json]:
        """JSON schema of the arguments."""
        return self.signature.schema

    @property
    def is_async(self) -> bool:
        return inspect.iscoroutinefunction(self.function)

    @property
    def most(self) -> Cost:
        """What is reserved before a call: ``cost``, with the call itself counted."""
        return at_least_one_call(self.cost)

    def as_langchain(self) -> Any:
        """A LangChain ``StructuredTool`` that checks its arguments and calls the function.

        Calls made through LangChain pass no ledger and no tape; LangChain's own agents pay for what they do.
        """
        try:
            from langchain_core.tools import StructuredTool
        except ImportError as error:
            raise MissingExtraError("LangChain is not installed; run: pip install langchain-core") from error

        for taken in ("config", "run_manager"):
            if any(p.name == taken for p in self.parameters):
                raise DefinitionError(
                    f"{self.owner}: LangChain keeps the parameter name {taken!r} to itself; rename it"
                )

        def run(**values: Any) -> Any:
            result = self.signature.call(self.function, self.signature.check(values)[0])
            return result.value if isinstance(result, Priced) else result

        async def arun(**values: Any) -> Any:
            result = await self.signature.call(self.function, self.signature.check(values)[0])
            return result.value if isinstance(result, Priced) else result

        return StructuredTool(
            name=self.name,
            description=self.doc,
            args_schema=dict(self.schema),
            func=None if self.is_async else run,
            coroutine=arun if self.is_async else None,
        )


@overload
def tool(function: Callable[..., Any], /) -> Tool: ...
@overload
def tool(
    *,
    cost: Cost | None = None,
    max_calls: int | None = None,
    safe_to_retry: bool = False,
    side_effects: bool = False,
    timeout: float | None = DEFAULT_TIMEOUT,
    provides: str = "",
    requires: str = "",
    consumes: str = "",
    adds: str = "",
    deletes: str = "",
    name: str | None = None,
) -> Callable[[Callable[..., Any]], Tool]: ...
def tool(
    function: Callable[..., Any] | None = None,
    /,
    *,
    cost: Cost | None = None,
    max_calls: int | None = None,
    safe_to_retry: bool = False,
    side_effects: bool = False,
    timeout: float | None = DEFAULT_TIMEOUT,
    provides: str = "",
    requires: str = "",
    consumes: str = "",
    adds: str = "",
    deletes: str = "",
    name: str | None = None,
) -> Tool | Callable[[Callable[..., Any]], Tool]:
    """Make a `Tool` of a typed, documented function, plain or ``async``. See `Tool` for the options.

    ``requires``, ``consumes``, ``adds``, ``deletes``: what a call needs and does in the world, as goal text over the
    parameters that have no default: ``adds="count({item}) >= 1"``. Search then plans with it as with an action.

    Raises `DefinitionError`, naming the function and the parameter, where hints or the docstring are missing.
    """

    def make(function: Callable[..., Any]) -> Tool:
        label = f"{getattr(function, '__module__', '?')}.{getattr(function, '__qualname__', repr(function))}"
        if not inspect.isroutine(function):
            raise DefinitionError(
                f"{label}: a tool is made of a function or method, not of a {type(function).__name__}"
            )
        if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
            raise DefinitionError(f"{label}: it is a generator; a tool returns one value, so return a list")
        doc = inspect.getdoc(function) or ""
        short = name or function.__name__
        code = getattr(inspect.unwrap(function), "__code__", None)
        return Tool(
            name=short,
            doc=doc,
            function=function,
            signature=read_signature(function, short, label, doc),
            cost=cost or Cost(),
            max_calls=max_calls,
            safe_to_retry=safe_to_retry,
            side_effects=side_effects,
            timeout=timeout,
            provides=provides,
            declared=Declaration(requires, consumes, adds, deletes),
            reports=_reports(function),
            owner=f"{place_of(function.__module__)}:{function.__qualname__}",
            where=f"{code.co_filename}:{code.co_firstlineno}" if code is not None else "",
        )

    return make if function is None else make(function)


def at_least_one_call(cost: Cost) -> Cost:
    return cost if cost.calls else cost + Cost(calls=1)


def _reports(function: Callable[..., Any]) -> bool | None:
    """Whether a function returns `Priced`, by its return type; None where that says anything."""
    returned = typing.get_type_hints(function)["return"]
    return None if returned in (Any, object) else Priced in (returned, *typing.get_args(returned))

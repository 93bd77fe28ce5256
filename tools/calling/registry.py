"""The tools at hand: adding, finding and calling them. How a call is made is in `habilis.tools.calling._calls`."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Self

from habilis.core import (
    Approve,
    DefinitionError,
    DuplicateNameError,
    InputError,
    Json,
    Ledger,
    NotFoundError,
    Overrun,
    Overruns,
    Standings,
    check_policy,
)
from habilis.tools.calling._approval import ask
from habilis.tools.calling._calls import Approval, Calls, OnBegin
from habilis.tools.calling.results import ToolResult, ToolStats
from habilis.tools.sources.options import SourceOptions
from habilis.tools.sources.text import as_tool, tools_of
from habilis.tools.tool import Tool, ToolSource

ENTRY_POINTS = "habilis.tools"

_RENAME = 'write @tool(name="…")'
_REPREFIX = 'give its source a prefix (prefix="…", --prefix)'

Source = Tool | ToolSource | Callable[..., Any] | str | Any  # Any: a LangChain tool


class ToolRegistry:
    """Tools by name. Safe under threads.

    A tool with side effects runs only if ``approve(name, args)`` says True, or, without ``approve``, if
    ``allow_side_effects`` is set. The default is to refuse, with an error that says so: an agent that writes its own
    programs must not be able to mail or pay because nobody thought of a switch.

    ``max_calls`` of a tool counts per run: a registry counts from its creation, or from `begin_run`.

    A call that costs more than its tool declares is charged, and the tool is not called any more, so that none overruns
    twice. With ``overruns="reprice"`` it is called on at a price made of what that call has cost, and is refused when
    it costs still more (`habilis.tools.calling.paying`).
    ``standings``: the home's journal, where this is kept; ``on_overrun`` is told of each.
    """

    def __init__(
        self,
        sources: Sequence[Source] = (),
        *,
        approve: Approve | None = None,
        allow_side_effects: bool = False,
        overruns: Overruns = "refuse",
        standings: Standings | None = None,
        on_overrun: Callable[[Overrun], None] | None = None,
    ) -> None:
        check_policy(overruns)
        self.approve = approve
        self.allow_side_effects = allow_side_effects
        self._overruns: Overruns = overruns
        self._standings, self._on_overrun = standings, on_overrun
        self._tools: dict[str, Calls] = {}
        self._run: dict[str, int] = {}  # the calls that a run had made when it began here
        self._lock = threading.RLock()
        try:
            for source in sources:
                self.add(source)
        except BaseException:
            self.close()
            raise

    # -- what is there ------------------------------------------------------------------------------------------------

    def add(self, source: Source, options: SourceOptions | None = None) -> Tool:
        """Add a tool and return it.

        ``source``: a `Tool`; a typed function; a LangChain ``BaseTool``; a `ToolSource`, such as `mcp_server` and
        `openapi` give; or text: ``module:function``, ``path/to/file.py:function``, ``path/to/file.py``,
        ``mcp:COMMAND ARGS…``, ``mcp:http://HOST:PORT/mcp``, ``openapi:PATH_OR_URL``. What names several tools adds them
        all, and the first by name is returned (`add_all` returns them all). ``options``: what you say about the tools
        of a text, over what it says itself.

        Raises `DuplicateNameError` naming both owners, `NotFoundError`, `DefinitionError`, `InputError` (also for a
        server that cannot be reached: names its address), `MissingExtraError`.
        """
        added = self.add_all(source, options)
        if not added:
            raise NotFoundError(
                f"{getattr(source, 'text', source)!s:.200} has no tool; add_all takes that, add does not"
            )
        return added[0]

    def add_all(self, source: Source, options: SourceOptions | None = None) -> tuple[Tool, ...]:
        """Add all that ``source`` names, or nothing if one of them cannot be added."""
        if isinstance(source, str):
            made = tools_of(source, options)
        elif options is not None:
            raise InputError(
                "options are for sources that are given as text; give others their own, as in tool(cost=…)"
            )
        else:
            made = source.tools() if isinstance(source, ToolSource) else (as_tool(source),)
        try:
            self._take(made)
        except DuplicateNameError:
            _close(t.source for t in made if t.source not in self._sources())
            raise
        return made

    def _take(self, made: Sequence[Tool]) -> None:
        with self._lock:
            new: dict[str, Tool] = {}
            for one in made:
                known = self._tools.get(one.name)
                other = known.tool if known is not None else new.setdefault(one.name, one)
                if other is not one and (other.owner, other.where) == (one.owner, one.where):
                    raise DuplicateNameError(f"{_owner(one)} is there already, as {one.name!r}; add it once")
                if other is not one:
                    raise DuplicateNameError(
                        f"the tool name {one.name!r} is taken by {_owner(other)}; {_owner(one)} needs another: "
                        f"{_RENAME if one.source is None else _REPREFIX}, or remove the first"
                    )
            for one in made:
                calls = Calls(one, self._run.get(one.name, 0))
                calls.paying.standing.keep(self._standings, self._overruns, self._on_overrun)
                self._tools[one.name] = calls

    def add_entry_points(self) -> tuple[Tool, ...]:
        """Add the tools that installed packages offer in the entry-point group ``habilis.tools``."""
        from importlib.metadata import entry_points

        added: list[Tool] = []
        for point in sorted(entry_points(group=ENTRY_POINTS), key=lambda p: (p.name, p.value)):
            package = point.dist.name if point.dist is not None else "an installed package"
            try:
                added += self.add_all(point.load())
            except DuplicateNameError:
                raise
            except Exception as error:
                raise DefinitionError(
                    f"the tool {point.name!r} ({point.value}) of {package} could not be loaded: "
                    f"{type(error).__name__}: {error}; update or uninstall {package}"
                ) from error
        return tuple(added)

    def remove(self, name: str) -> Tool:
        """Take a tool out, and close its source with its last tool; raises `NotFoundError`."""
        with self._lock:
            found = self.get(name)
            del self._tools[name]
            self._run.pop(name, None)
            last = found.source not in self._sources()
        if last:
            _close([found.source])
        return found

    def get(self, name: str) -> Tool:
        """The tool of this name; raises `NotFoundError` saying what exists."""
        with self._lock:
            if name not in self._tools:
                raise NotFoundError.of("tool", name, self._tools)
            paying = self._tools[name].paying
            if paying.tool.source is not None:
                paying.tool = paying.tool.source.latest(paying.tool)
            return paying.tool

    def names(self) -> tuple[str, ...]:
        with self._lock:
            return tuple(sorted(self._tools))

    def __iter__(self) -> Iterator[Tool]:
        with self._lock:
            return iter([self.get(n) for n in sorted(self._tools)])

    def __len__(self) -> int:
        return len(self._tools)

    def __contains__(self, name: object) -> bool:
        return name in self._tools

    def stats(self, name: str) -> ToolStats:
        """What is known of a tool's price and of its calls; raises `NotFoundError`."""
        with self._lock:
            self.get(name)
            return self._tools[name].stats()

    def refusal(self, name: str) -> str:
        """Why a tool is not called any more, having cost more than it declares; empty where it is called. Raises
        `NotFoundError`."""
        with self._lock:
            self.get(name)
            return self._tools[name].paying.refusal

    def forgive(self, name: str) -> None:
        """Take a tool at its word again that has cost more than it declares. Raises `NotFoundError`."""
        with self._lock:
            self.get(name)
            self._tools[name].paying.standing.forgive()

    def begin_run(self, made: Mapping[str, int] | None = None) -> None:
        """Count ``max_calls`` from zero again, or, as a run goes on, from the calls that it has ``made``."""
        with self._lock:
            self._run = dict(made or {})
            for name, calls in self._tools.items():
                calls.made = self._run.get(name, 0)

    def close(self) -> None:
        """End the servers and clients of its tools' sources. A later call opens them again."""
        _close(self._sources())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *why: object) -> None:
        self.close()

    def _sources(self) -> list[ToolSource]:
        """What its tools hold open, each once."""
        with self._lock:
            sources = (calls.tool.source for calls in self._tools.values())
            return list({id(one): one for one in sources if one is not None}.values())

    # -- calling ------------------------------------------------------------------------------------------------------

    async def call(
        self,
        name: str,
        args: Mapping[str, Json],
        ledger: Ledger,
        *,
        approve: Approve | None = None,
        on_begin: OnBegin | None = None,
    ) -> ToolResult:
        """Call a tool. What goes wrong in the tool is in ``ToolResult.error``; limits and unknown names are raised.

        The tool's declared cost is reserved before, so a call that could pass a limit is not made. Charged is what the
        tool reports with `Priced`, else what it declares, also when it fails or is timed out: what a failed call has
        spent cannot be known. Seconds are measured, and charged if the tool declares any; no call outlasts the
        seconds left on the ledger, or that its tool declares. Calls of a tool that reports its own cost wait for each
        other. ``on_begin`` is told of a call that was checked and paid for, before it is made.

        Raises `NotFoundError` and `BudgetExceeded`.
        """
        calls, approval = self._calls(name, approve)
        return await calls.call(args, ledger, approval, on_begin)

    def call_sync(
        self,
        name: str,
        args: Mapping[str, Json],
        ledger: Ledger,
        *,
        approve: Approve | None = None,
        on_begin: OnBegin | None = None,
    ) -> ToolResult:
        """`call` for threads that run no event loop."""
        calls, approval = self._calls(name, approve)
        return calls.call_sync(args, ledger, approval, on_begin)

    def _calls(self, name: str, approve: Approve | None) -> tuple[Calls, Approval]:
        def approval(found: Tool, args: Mapping[str, Json]) -> None:
            ask(found, args, approve or self.approve, self.allow_side_effects)

        with self._lock:
            self.get(name)  # its source may have changed what it takes
            return self._tools[name], approval


def _close(sources: Iterable[ToolSource | None]) -> None:
    """Close each once, side by side: one may take its seconds."""
    closing = [
        threading.Thread(target=one.close, name="habilis-closing", daemon=True)
        for one in {id(s): s for s in sources if s is not None}.values()
    ]
    for thread in closing:
        thread.start()
    for thread in closing:
        thread.join()


def _owner(one: Tool) -> str:
    return f"{one.owner} ({one.where})" if one.where else one.owner

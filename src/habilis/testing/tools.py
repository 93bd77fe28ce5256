"""The conformance suite of tool sources: what every way of getting tools must satisfy, for users' own sources too.

    check_source(lambda: mcp_server("python server.py"), works=Call("add", {"a": 2}, 3), fails=Call("fail"))

``make`` makes the source: a `ToolSource`, a `Tool`, a function, or a text, as `ToolRegistry.add` takes it.
"""

from __future__ import annotations

import json
import keyword
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any

from habilis.core import Budget, BudgetExceeded, Cost, DuplicateNameError, Json, Ledger, NotFoundError
from habilis.tools import HostTools, ReplayTools, Tool, ToolRegistry

__all__ = ["Call", "check_source"]

_SOON = 10.0  # seconds for a call that is given up after a fraction of one


@dataclass(frozen=True)
class Call:
    """A call of a tool of the source, by the name that the registry has it under, and what it gives."""

    tool: str
    args: Mapping[str, Json] = field(default_factory=dict)
    value: Json = None


def check_source(
    make: Callable[[], Any], *, works: Call, fails: Call | None = None, hangs: Call | None = None, retry: bool = False
) -> None:
    """Raises `AssertionError` saying what is wrong.

    ``works``: a call that gives ``value``, each time. ``fails``: one that is made and goes wrong. ``hangs``: one that
    takes longer than ten seconds. ``retry``: whether the user said that the tools are safe to retry.
    """
    with ToolRegistry(allow_side_effects=True) as registry:
        tools = registry.add_all(make())
        _check_declared(tools, registry, works, retry)
        _check_calls(registry, works, fails)
        _check_refusals(registry, works)
        _check_the_tape(registry, works)
        if hangs is not None:
            _check_hanging(tools, works, hangs)
        registry.close()
        assert _call(registry, works).error is None, (
            "a registry that was closed opens its sources again when it is used"
        )
    registry.close()  # and may be closed twice


def _check_declared(tools: tuple[Tool, ...], registry: ToolRegistry, works: Call, retry: bool) -> None:
    from jsonschema.validators import Draft202012Validator, validator_for

    names = [t.name for t in tools]
    assert names == sorted(set(names)), f"names come sorted, and each once: {names}"
    assert works.tool in names, f"the source has {names}, not {works.tool!r}"
    for one in tools:
        assert one.name.isidentifier(), f"programs cannot call tools.{one.name}"
        assert not keyword.iskeyword(one.name), f"programs cannot call tools.{one.name}"
        assert one.doc.strip(), f"{one.name} has no description"
        assert one.owner, f"{one.name} does not say where it comes from"
        assert one.safe_to_retry is retry, f"{one.name}: safe_to_retry is for the user to say, not for the source"
        schema = json.loads(json.dumps(dict(one.schema)))
        validator_for(schema, default=Draft202012Validator).check_schema(schema)
        assert schema.get("type") == "object", f"{one.name}: its schema is of an object"
        for parameter in one.parameters:
            assert parameter.name.isidentifier(), f"{one.name} cannot be given {parameter.name}=…"
            json.dumps(parameter.default, allow_nan=False)
    with_two = ToolRegistry([replace(tools[0], owner="another:one", source=None)])
    try:
        with_two.add(tools[0])
        told = "a name can be taken twice"
    except DuplicateNameError as error:
        told = str(error)
    assert all(owner in told for owner in ("another:one", tools[0].owner)), f"a taken name names both owners: {told}"
    assert [registry.get(n).schema for n in names] == [t.schema for t in tools], "a tool is the same when asked again"


def _check_calls(registry: ToolRegistry, works: Call, fails: Call | None) -> None:
    most = registry.stats(works.tool).most
    ledger = Ledger()
    result = _call(registry, works, ledger)
    assert result.error is None, result.error
    assert result.value == works.value, f"{works.tool} gave {result.value!r}, not {works.value!r}"
    assert ledger.spent.calls == 1, f"a call counts as one, not as {ledger.spent}"
    assert (ledger.spent.usd, ledger.spent.tokens) == (most.usd, most.tokens), "a call costs what was declared"
    assert ledger.reserved == Cost(), "nothing stays reserved"
    with ThreadPoolExecutor(4) as threads:
        beside = list(threads.map(lambda _: _call(registry, works), range(8)))
    assert [r.value for r in beside] == [works.value] * 8, "calls may be made side by side"
    if fails is not None:
        ledger = Ledger()
        result = _call(registry, fails, ledger)
        assert result.error, f"{fails.tool} should fail, and gave {result.value!r}"
        assert fails.tool in result.error, f"an error names the tool: {result.error}"
        assert len(result.error) < 4_000, f"an error is short: {len(result.error)} characters"
        assert ledger.spent.calls == 1, "a call that fails is charged: nobody knows what it has spent"
        assert registry.stats(fails.tool).failures == 1, "failures are counted"
        assert _call(registry, works).value == works.value, "a failure of one call is none of the next"


def _check_refusals(registry: ToolRegistry, works: Call) -> None:
    ledger = Ledger()
    result = registry.call_sync(works.tool, {**works.args, "no_such_parameter": 1}, ledger)
    assert "no_such_parameter" in str(result.error), f"an unknown parameter is refused by name: {result.error}"
    needed = [p.name for p in registry.get(works.tool).parameters if p.required]
    if needed:
        result = registry.call_sync(works.tool, {}, ledger)
        assert needed[0] in str(result.error), f"a missing parameter is named: {result.error}"
    assert ledger.spent == Cost(), "what was refused costs nothing"
    try:
        _call(registry, works, Ledger(Budget(usd=None, calls=0)))
    except BudgetExceeded:
        pass
    else:
        raise AssertionError("a call that would pass a limit is not made")
    try:
        registry.get("no_such_tool")
    except NotFoundError:
        pass
    else:
        raise AssertionError("an unknown tool is found")


def _check_the_tape(registry: ToolRegistry, works: Call) -> None:
    host = HostTools(registry, Ledger())
    assert host.call(works.tool, (), works.args) == works.value
    json.dumps([dict(host.tape[0].args), host.tape[0].value], allow_nan=False)
    before = registry.stats(works.tool).calls
    assert ReplayTools(host.tape, host).call(works.tool, (), works.args) == works.value
    assert registry.stats(works.tool).calls == before, "what is on the tape is not asked for again"


def _check_hanging(tools: tuple[Tool, ...], works: Call, hangs: Call) -> None:
    hasty = ToolRegistry(
        [replace(t, timeout=0.3) if t.name == hangs.tool else t for t in tools if t.name in (works.tool, hangs.tool)],
        allow_side_effects=True,
    )
    ledger = Ledger()
    start = time.monotonic()
    result = _call(hasty, hangs, ledger)
    assert "did not answer within 0.3 seconds" in str(result.error), f"{hangs.tool} should hang, and gave {result}"
    assert time.monotonic() - start < _SOON, "a call that hangs is given up in time"
    assert ledger.spent.calls == 1, "a call that was given up is charged"
    assert _call(hasty, works).value == works.value, "a call that hangs is none of the next"


def _call(registry: ToolRegistry, call: Call, ledger: Ledger | None = None) -> Any:
    return registry.call_sync(call.tool, call.args, ledger or Ledger())

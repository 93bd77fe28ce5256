"""Spans: what a run, its tasks, requests and calls have cost, as OpenTelemetry sees it; and nothing without it."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from habilis.core import Budget, Cost, Ledger, ModelError
from habilis.memory.embedding import EndpointEmbedder
from habilis.testing.chat import Response, serve_openai
from habilis.tools import ToolRegistry, tool

pytest.importorskip("opentelemetry.sdk")


@pytest.fixture
def spans(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """What was recorded, by a provider of this test alone: the process may have but one."""
    import opentelemetry.trace
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(opentelemetry.trace, "get_tracer_provider", lambda: provider)
    yield exporter.get_finished_spans
    provider.shutdown()


@tool(cost=Cost(usd=0.25))
def order(thing: str) -> int:
    """Order a thing to find out what pick() does."""
    return 5


PROGRAM = """```python
# goal: count("fig") >= {n}
def have_figs(n: int = 5):
    tools.order("fig")
    while world.count("fig") < n:
        world.pick()
```"""


def test_a_solved_goal_is_a_tree_of_spans_with_its_costs(spans: Any, tmp_path: Path) -> None:
    from habilis import Agent, World

    bag = {"fig": 0}

    def pick() -> None:
        """Pick a fig."""
        bag["fig"] += 1

    world = World.from_functions([pick], observe=lambda: {"count": bag}, name="orchard")
    with serve_openai(lambda request: Response(PROGRAM, usage_counts=(1000, 50))) as server:
        chat = {"writer": "chat", "model": "openai:tiny", "base_url": server.base_url, "prices": (10, 10)}
        with Agent(world, home=tmp_path / "home", tools=[order], budget="usd=2", **chat) as agent:
            assert agent.solve_now('count("fig") >= 5').solved
            spent = agent.spent
    found = {s.name: s for s in spans()}
    assert set(found) == {"habilis.task", "chat tiny", "execute_tool order"}
    task, request, call = found["habilis.task"], found["chat tiny"], found["execute_tool order"]
    assert request.parent.span_id == call.parent.span_id == task.context.span_id
    assert request.kind.name == "CLIENT"
    assert request.attributes["gen_ai.operation.name"] == "chat"
    assert request.attributes["gen_ai.request.model"] == "tiny"
    assert request.attributes["gen_ai.usage.input_tokens"] == 1000
    assert request.attributes["gen_ai.usage.output_tokens"] == 50
    assert request.attributes["habilis.cost.usd"] == pytest.approx(0.0105)
    assert call.attributes["gen_ai.tool.name"] == "order"
    assert call.attributes["habilis.cost.usd"] == 0.25
    assert task.attributes["habilis.task.status"] == "solved"
    assert task.attributes["habilis.cost.usd"] == pytest.approx(spent.usd) == pytest.approx(0.2605)
    assert not any("fig" in str(value) for s in spans() for k, value in s.attributes.items() if k != "habilis.skill")


def test_a_run_holds_its_tasks(spans: Any, tmp_path: Path) -> None:
    from habilis import Agent

    with Agent("craft", home=tmp_path / "home") as agent:
        summary = agent.run_now(3)
    runs = [s for s in spans() if s.name == "habilis.run"]
    tasks = [s for s in spans() if s.name == "habilis.task"]
    assert len(tasks) == 3
    (run,) = runs
    assert {t.parent.span_id for t in tasks} == {run.context.span_id}
    assert run.attributes["habilis.run.status"] == "finished"
    assert run.attributes["habilis.cost.world_steps"] == summary.spent.world_steps > 0


def test_embeddings_and_failures(spans: Any) -> None:
    with serve_openai(embed=lambda request: Response(status=400) if request["input"] == ["bad"] else None) as server:
        embedder = EndpointEmbedder("bge", server.base_url, price=10.0, ledger=Ledger(Budget(usd=1)), dim=16)
        embedder.embed(["one two three"])
        with pytest.raises(ModelError):
            embedder.embed(["bad"])
    good, bad = spans()
    assert good.name == bad.name == "embeddings bge"
    assert good.attributes["gen_ai.operation.name"] == "embeddings"
    assert good.attributes["gen_ai.usage.input_tokens"] == 3
    assert good.attributes["habilis.cost.usd"] == pytest.approx(3e-5)
    assert bad.attributes["error.type"] == "ModelError"
    assert bad.status.status_code.name == "ERROR"


def test_a_call_that_fails_or_is_refused_is_marked(spans: Any) -> None:
    registry = ToolRegistry([order])
    registry.call_sync("order", {}, Ledger())
    (failed,) = spans()
    assert failed.attributes["error.type"] == "ToolError"
    assert "habilis.cost.usd" not in failed.attributes


def test_calls_inside_a_span_of_the_users_are_below_it(spans: Any) -> None:
    import opentelemetry.trace

    tracer = opentelemetry.trace.get_tracer("mine")

    async def main() -> None:
        with tracer.start_as_current_span("mine"):
            await ToolRegistry([order]).call("order", {"thing": "x"}, Ledger())

    asyncio.run(main())
    call, mine = spans()
    assert call.parent.span_id == mine.context.span_id


def test_nothing_is_imported_for_it(tmp_path: Path) -> None:
    code = (
        "import sys; from habilis.core import Ledger; from habilis.tools import ToolRegistry, tool\n"
        "@tool\ndef f(x: int) -> int:\n    'Add.'\n    return x\n"
        "assert ToolRegistry([f]).call_sync('f', {'x': 1}, Ledger()).value == 1\n"
        "print([m for m in sys.modules if m.startswith('opentelemetry')])"
    )
    (tmp_path / "it.py").write_text(code)
    done = subprocess.run([sys.executable, "it.py"], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"

"""Spans for OpenTelemetry: what a run, a task, a request, a tool's call has cost, beside how long it took.

Only OpenTelemetry's API is used, and only if the process has loaded it and set a tracer provider; until then this does
nothing and imports nothing. Names are those of its conventions for generative AI where there are any, and
``habilis.cost.usd``, ``habilis.cost.tokens`` … for what was charged. What was asked and answered is not recorded.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Literal

from habilis.core.budget import Cost
from habilis.core.errors import HabilisError

Value = str | bool | int | float
_UNSET = "ProxyTracerProvider"  # what the API hands out until a provider is set


class Span:
    """What is under way; without a provider it swallows everything."""

    def __init__(self, span: Any = None) -> None:
        self._span = span

    def set(self, attributes: Mapping[str, Value]) -> None:
        if self._span is not None:
            self._span.set_attributes(dict(attributes))

    def cost(self, cost: Cost) -> None:
        """What it was charged."""
        if self._span is not None:
            self._span.set_attributes({f"habilis.cost.{kind}": amount for kind, amount in cost.nonzero().items()})

    def failed(self, kind: str, why: str = "") -> None:
        """It failed without raising."""
        if self._span is not None:
            self._span.set_attribute("error.type", kind)
            self._span.set_status(sys.modules["opentelemetry.trace"].StatusCode.ERROR, why[:200])


@contextmanager
def span(
    name: str, attributes: Mapping[str, Value] | None = None, kind: Literal["internal", "client"] = "internal"
) -> Iterator[Span]:
    """A span around what is done meanwhile, below the one that is under way here; ``client``: of a request that leaves
    the process. What is raised marks it as failed, and goes on."""
    tracer = _tracer()
    if tracer is None:
        yield Span()
        return
    api = sys.modules["opentelemetry.trace"]
    with tracer.start_as_current_span(
        name,
        kind=getattr(api.SpanKind, kind.upper()),
        attributes=dict(attributes or {}),
        record_exception=False,
        set_status_on_exception=False,
    ) as started:
        here = Span(started)
        try:
            yield here
        except BaseException as error:
            here.failed(type(error).__name__, str(error) if isinstance(error, HabilisError) else "")
            raise


def _tracer() -> Any:
    api = sys.modules.get("opentelemetry.trace")
    if api is None or type(api.get_tracer_provider()).__name__ == _UNSET:
        return None
    return api.get_tracer("habilis")

"""Picked tools that say what they do in the world, as actions that search can plan with."""

from __future__ import annotations

from dataclasses import replace

from habilis.core import (
    Action,
    Context,
    Contract,
    Declaration,
    Fact,
    Facts,
    Kind,
    Parameter,
    Primitive,
    Trajectory,
    load,
)
from habilis.memory.contracts import ContractBook

PREFIX = "tools."


class ToolActions:
    """The contracts of the picked tools, for one task. Their actions are named ``tools.NAME``.

    A call that failed is not planned again for the task: what a tool says of itself is an offer, not a promise.
    """

    def __init__(self, context: Context) -> None:
        at_hand = set(context.tools.names()) if context.tools is not None else set()
        primitives: list[Primitive] = []
        contracts: list[Contract] = []
        for one in context.picked:
            declared = one.meta.get("declared")
            if one.kind is not Kind.TOOL or declared is None or one.name not in at_hand:
                continue
            names = tuple(one.meta["parameters"])
            action = Action(PREFIX + one.name, tuple(f"${i}" for i in range(len(names))))
            primitives.append(Primitive(action.name, one.text, tuple(Parameter(n) for n in names)))
            said = load(Declaration, declared)
            contracts.append(said.contract_of(one.name, names, action, context.spec.fingerprint, action.args))
        self._book = ContractBook(replace(context.spec, primitives=tuple(primitives)))
        self._book.declare(contracts)
        self._failed: set[Action] = set()

    def instances(self, fact: Fact, up: bool, facts: Facts) -> list[Contract]:
        """The calls that would bring this fact about, by what the tools say."""
        return [c for c in self._book.instances(fact, up, facts) if c.action not in self._failed]

    def hear(self, trajectory: Trajectory) -> bool:
        """Whether a call failed that had not failed before."""
        known = len(self._failed)
        for call in trajectory.tape:
            if call.error is not None:
                self._failed.add(Action(PREFIX + call.tool, tuple(v for v in call.args.values() if _is_term(v))))
        return len(self._failed) > known


def _is_term(value: object) -> bool:
    return isinstance(value, (str, int)) and not isinstance(value, bool)

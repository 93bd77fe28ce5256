"""What can help with a task: tools, skills and the rest, picked from one space; and how programs reach the tools."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence, Set
from dataclasses import replace

from habilis.core import (
    Approve,
    Augmentation,
    Cost,
    Event,
    EventStream,
    Kind,
    Ledger,
    Skill,
    Task,
    ToolCall,
    ToolCaller,
)
from habilis.memory.journal import Journal
from habilis.tools import Catalogue, HostTools, ReplayTools, ToolRegistry, ToolResult, of_skill, of_tool

_HANDFUL = 8  # registered tools up to which all that can be paid are offered, whatever the words of the task


class Helping:
    """Picks augmentations under the remaining budget and keeps their track record. Satisfies `habilis.agent.loop.Help`.

    ``run_id`` is asked when something is recorded, since a run may begin later than the agent. ``fingerprint``: of the
    world, whose skills alone are picked.
    """

    def __init__(
        self,
        registry: ToolRegistry,
        catalogue: Catalogue,
        journal: Journal,
        events: EventStream,
        run_id: Callable[[], int],
        approve: Approve | None = None,
        *,
        fingerprint: str | None = None,
    ) -> None:
        self.registry, self.catalogue, self.fingerprint = registry, catalogue, fingerprint
        self._journal, self._events, self._run_id, self._approve = journal, events, run_id, approve
        self.catalogue.put(*(of_tool(t) for t in registry))
        self.catalogue.load_credits(journal.get_state("credits", {}))

    def learned(self, skills: Iterable[Skill]) -> None:
        """Take in skills that were kept."""
        self.catalogue.put(*(of_skill(s) for s in skills))

    def pick(self, task: Task, ledger: Ledger) -> tuple[Augmentation, ...]:
        """What to use for a task, within what is left.

        A handful of tools is offered as it is: someone put them there, and showing them costs next to nothing.
        """
        taken = self.catalogue.pick(task, ledger.remaining, fingerprint=self.fingerprint).taken
        if len(self.registry) > _HANDFUL:
            return taken
        chosen = {a.id for a in taken}
        tools = [self.catalogue.get(f"{Kind.TOOL.value}:{name}") for name in self.registry.names()]
        return (*taken, *(a for a in tools if a.id not in chosen and ledger.affords(a.cost)))

    def caller(self, names: Sequence[str], ledger: Ledger, tape: list[ToolCall]) -> ToolCaller | None:
        """The tools of these names, for one run; what they do goes onto the tape."""
        if not names:
            return None
        return HostTools(
            self.registry, ledger, allowed=names, tape_out=tape, approve=self._approve, on_call=self._called
        )

    def replay(self, names: Sequence[str], tape: Sequence[ToolCall], ledger: Ledger) -> ToolCaller | None:
        """The tape of an earlier run in place of the tools; what it lacks is asked of those that may be retried."""
        if not names:
            return None
        fallback = HostTools(self.registry, ledger, allowed=names, approve=self._approve, on_call=self._called)
        return ReplayTools(tape, fallback)

    def record(
        self, task: Task, picked: Sequence[Augmentation], tape: Sequence[ToolCall], skills: Set[str], ok: bool
    ) -> None:
        """Credit what was used of the picked: tools that were called, skills that the last program rests on."""
        called = {c.tool for c in tape}
        used = [a for a in picked if a.name in (called if a.kind is Kind.TOOL else skills)]
        known = set(self.catalogue.ids())
        self.catalogue.credit((a.id for a in used if a.id in known), ok)
        if used:
            self._journal.put_state("credits", self.catalogue.credits())
        for one in used:
            self._journal.record_use(
                self._run_id(), one.id, task.text, ok, Cost() if one.kind is Kind.SKILL else one.cost
            )

    def _called(self, call: ToolCall, result: ToolResult) -> None:
        tool = self.registry.get(call.tool) if call.tool in self.registry else None
        if tool is not None:  # its price may have been learned from an overrun
            self.catalogue.put(replace(of_tool(tool), cost=self.registry.stats(tool.name).most))
        self._journal.append_event(
            self._run_id(),
            Event("tool_called", {"tool": call.tool, "args": dict(call.args), "ok": result.error is None}),
        )
        self._events.emit(
            "tool_called",
            None,
            tool=call.tool,
            args=dict(call.args),
            ok=result.error is None,
            cost=result.cost.nonzero(),
        )

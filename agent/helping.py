"""What can help with a task: tools, skills and the rest, picked from one space; and how programs reach the tools."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from dataclasses import replace

from habilis.agent.experience import Experience
from habilis.agent.pacing import RunPace
from habilis.agent.reading import READ, ReadingRoom
from habilis.agent.tape import TaskTape
from habilis.core import (
    Approve,
    Augmentation,
    Cost,
    Episode,
    EventStream,
    Json,
    Kind,
    Ledger,
    Reading,
    Skill,
    Task,
    ToolCall,
    ToolCaller,
)
from habilis.memory.journal import Journal
from habilis.tools import (
    Catalogue,
    HostTools,
    ReplayTools,
    ResumedTools,
    Tool,
    ToolRegistry,
    ToolResult,
    of_skill,
    of_tool,
)

_SKILL = f"{Kind.SKILL.value}:"
_HANDFUL = 8  # registered tools up to which all that can be paid are offered, whatever the words of the task


class Helping:
    """Picks augmentations under the remaining budget and keeps their track record. Satisfies `habilis.agent.loop.Help`.

    ``run_id`` is asked when something is recorded, since a run may begin later than the agent. ``fingerprint``: of the
    world, whose skills alone are picked. ``uses``: the kinds of augmentations that the writer can make use of
    (`habilis.core.used_by`); nothing else is picked. ``pace``: of the run in hand, whose slack pays for trying out what
    is uncertain.
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
        uses: Iterable[Kind] = tuple(Kind),
    ) -> None:
        self.registry, self.catalogue, self.fingerprint = registry, catalogue, fingerprint
        self.uses = frozenset(uses)
        self.pace: RunPace | None = None
        self._room = ReadingRoom(catalogue, journal, events, run_id, fingerprint=fingerprint, uses=self.uses)
        self._journal, self._events, self._run_id, self._approve = journal, events, run_id, approve
        self.catalogue.put(*map(self._offer, registry))
        self._experience = Experience(catalogue, journal, events, fingerprint)

    def _offer(self, tool: Tool) -> Augmentation:
        """A tool at the price that is known of it, which may be above the one that it declares."""
        return replace(of_tool(tool), cost=self.registry.stats(tool.name).most)

    def know(self, skills: Iterable[Skill]) -> None:
        """Offer these skills from now on, and no others."""
        offered = [of_skill(s) for s in skills]
        mine = {one for one in self.catalogue.ids() if one.startswith(_SKILL)}
        self.catalogue.remove(*sorted(mine - {one.id for one in offered}))
        self.catalogue.put(*offered)

    def stock(self, documents: Iterable[Augmentation]) -> None:
        """Offer these documents from now on, and no others."""
        self._room.stock(documents)

    def remember(self, episodes: Iterable[Episode]) -> None:
        """Offer the solved among these as demonstrations."""
        self._room.remember(episodes)

    def pick(self, task: Task, ledger: Ledger) -> tuple[Augmentation, ...]:
        """What to use for a task, within what is left, of the kinds that the writer can use.

        A handful of tools is offered as it is: someone put them there, and showing them costs next to nothing.
        """
        self._experience.recall()
        self._room.reprice()
        picked = self.catalogue.pick(
            task,
            ledger.remaining,
            kinds=sorted(self.uses),
            fingerprint=self.fingerprint,
            pacer=self.pace.pacer if self.pace is not None else None,
        )
        taken = self._room.enough(picked.taken)
        if len(self.registry) > _HANDFUL:
            return taken
        chosen = {a.id for a in taken}
        tools = [self.catalogue.get(f"{Kind.TOOL.value}:{name}") for name in self.registry.names()]
        return (*taken, *(a for a in tools if a.id not in chosen and ledger.affords(a.cost)))

    def reading(
        self, picked: Sequence[Augmentation], ledger: Ledger, tape: TaskTape
    ) -> Callable[[], tuple[Reading, ...]]:
        """What hands out the picked documents and demonstrations, and pays for them (``Context.read``)."""
        return self._room.open(picked, ledger, tape)

    def tools_in_all(self) -> int:
        return len(self.registry)

    def caller(self, names: Sequence[str], ledger: Ledger, tape: TaskTape) -> ToolCaller | None:
        """The tools of these names, for one task; what they do goes onto the tape, and what is on it from before the
        task was cut short is not asked for again: its tools are at hand even where another
        call cannot be paid, which then stops it again."""
        if tape.earlier:
            handful = self.registry.names() if len(self.registry) <= _HANDFUL else ()
            names = sorted({*names, *handful, *(c.tool for c in tape.earlier if c.tool in self.registry)})
        if not names:
            return None
        host = self._host(names, ledger, tape, tape.calls)
        return ResumedTools(tape.earlier, host) if tape.earlier else host

    def replay(self, names: Sequence[str], tape: TaskTape, ledger: Ledger) -> ToolCaller | None:
        """The task's tape in place of the tools; what it lacks is asked of those that may be retried."""
        if not names:
            return None
        return ReplayTools(tape.calls, self._host(names, ledger, tape.aside(), []))

    def _host(self, names: Sequence[str], ledger: Ledger, tape: TaskTape, out: list[ToolCall]) -> HostTools:
        def begun(found: Tool, args: Mapping[str, Json], _: Cost) -> None:
            tape.began(ToolCall(found.name, args), found.safe_to_retry)

        def called(call: ToolCall, result: ToolResult) -> None:
            tape.ended(call, result)
            self._called(call, result)

        return HostTools(
            self.registry,
            ledger,
            allowed=names,
            tape_out=out,
            approve=self._approve,
            on_call=called,
            on_begin=begun,
        )

    def record(
        self, task: Task, picked: Sequence[Augmentation], tape: Sequence[ToolCall], skills: Set[str], ok: bool
    ) -> None:
        """Learn from what was used of the picked: tools that were called, skills that the last program rests on,
        documents and demonstrations that were shown."""
        called, shown = {c.tool for c in tape}, self._room.shown()

        def was_used(one: Augmentation) -> bool:
            return one.id in shown if one.kind in READ else one.name in (called if one.kind is Kind.TOOL else skills)

        uses = {}
        for one in picked:
            if was_used(one):
                uses[one.id] = Cost() if one.kind is Kind.SKILL else one.cost
                if one.id in shown:  # its price is paid once in a run
                    uses[one.id] = Cost(tokens=one.cost.tokens) + shown[one.id]
        if uses:
            self._experience.record(self._run_id(), task.text, uses, ok)

    def _called(self, call: ToolCall, result: ToolResult) -> None:
        tool = self.registry.get(call.tool) if call.tool in self.registry else None
        if tool is not None:  # its price may have been learned now
            self.catalogue.put(self._offer(tool))
        self._events.emit(
            "tool_called",
            None,
            tool=call.tool,
            args=dict(call.args),
            ok=result.error is None,
            cost=result.cost.nonzero(),
        )

"""What one tool's calls cost: as declared, until a call costs more; then it is refused, or priced anew."""

from __future__ import annotations

from dataclasses import fields, replace

from habilis.core import Cost, Overrun, Standing, ToolError, Turn, Turns, dump, load
from habilis.tools.tool import Tool, at_least_one_call


class Paying:
    """The price of one tool.

    At most one call overruns what the tool declares, whatever the tool says and from however many threads it is called:
    it is refused then. With ``overruns="reprice"`` it is called on, at a price of what that call has cost and as much
    again as it was over, and refused when it overruns that. Only a tool that reports its own cost can overrun, and the
    calls of such a tool are made one at a time: each begins at a price that all before it have kept to. Whether it
    reports is in its return type (`Tool.reports`); where that says nothing, its first answer tells, and until then
    its calls wait for each other. What a tool that does not report says above its declaration is not believed: it is
    charged as declared, and refused from then on. Seconds cannot overrun, since a call is given up when the seconds
    that it declares are over.
    """

    def __init__(self, tool: Tool) -> None:
        self.tool = tool
        self.standing = Standing(f"tool:{tool.owner}:{tool.name}", dump(tool.most))
        self._reports = tool.reports
        self._turns = Turns()
        self._turns.side_by_side = tool.reports is False

    @property
    def most(self) -> Cost:
        """The most that one call costs."""
        learned = self.standing.learned.get("most")
        return self.tool.most if learned is None else load(Cost, learned)

    def turn(self) -> Turn:
        """What a call is made within, with ``with`` or ``async with``."""
        return self._turns.turn()

    @property
    def refusal(self) -> str:
        """Why the tool is not called any more, and what to do; empty where it is."""
        if not self.standing.refused:
            return ""
        name, seen = self.tool.name, load(Cost, self.standing.learned.get("cost", {})).nonzero()
        cost = ", ".join(f"{kind}={value:g}" for kind, value in seen.items())
        times = "once" if self.standing.overruns == 1 else f"{self.standing.overruns} times"
        return (
            f"{name} is not called any more: it has cost more than it declares {times}, at last {cost}. Declare that "
            f"much: @tool(cost=Cost({cost})), or --cost where its source is added to a home; or take it at its word "
            f"again: habilis tools forgive {name}, or ToolRegistry.forgive({name!r})"
        )

    def check(self) -> None:
        """Raises `ToolError` where the tool is refused."""
        if refusal := self.refusal:
            raise ToolError(refusal)

    def answered(self, reports: bool) -> None:
        """A call has come to its end, and told its cost or not."""
        if self._reports is None:
            self._reports = reports
            self._turns.side_by_side = not reports

    def settle(self, most: Cost, reported: Cost | None, seconds: float) -> tuple[Cost, str | None, Overrun | None]:
        """What a call is charged that was to cost ``most``; what is wrong with what it reports; and its overrun."""
        if reported is None:
            return replace(most, seconds=min(most.seconds, seconds)), None, None
        cost = at_least_one_call(reported)
        if not cost.less(most).nonzero():
            return cost, None, None
        if not self._reports:
            self.standing.overran(most, cost, {}, unbelieved=True)
            name = self.tool.name
            return most, f"{name} reported a cost above its own, and its return type does not; write -> Priced", None
        learned = {"most": dump(_larger(most, cost) + cost.less(most))}
        return cost, None, self.standing.overran(most, cost, learned)


def _larger(one: Cost, other: Cost) -> Cost:
    return Cost(**{f.name: max(getattr(one, f.name), getattr(other, f.name)) for f in fields(Cost)})

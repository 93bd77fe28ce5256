"""The live view: what the agent is doing now, in a terminal; one line a task everywhere else.

It knows nothing but the event stream. Names, messages and programs' output come from others and may hold terminal
escapes, so every text is stripped of control characters and never read as markup.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Protocol, Self, TypeGuard

from habilis._text import amount, number, plain
from habilis.core import Cost, Event, EventStream, Json

if TYPE_CHECKING:
    from pathlib import Path

    from rich.console import Console, RenderableType
    from rich.live import Live

__all__ = ["LiveView", "RunSummary"]

_ATTEMPTS, _SKILLS = 4, 5
_KINDS = {
    "usd": "money",
    "tokens": "tokens",
    "seconds": "time",
    "world_steps": "world steps",
    "search_steps": "search steps",
    "calls": "calls",
}


class RunSummary(Protocol):
    """What the closing table is made from. ``calling``: skills that call another."""

    @property
    def status(self) -> str: ...
    @property
    def reason(self) -> str: ...
    @property
    def tried(self) -> int: ...
    @property
    def solved(self) -> int: ...
    @property
    def skills(self) -> int: ...
    @property
    def calling(self) -> int: ...
    @property
    def spent(self) -> Cost: ...
    @property
    def distillations(self) -> Sequence[Mapping[str, Json]]: ...
    @property
    def report(self) -> Path | None: ...
    @property
    def explored(self) -> int: ...


class LiveView:
    """Shows a run while it goes on. Use it around the run:

        with LiveView().watch(agent.events) as view:
            summary = agent.run_now()
        view.final_table(summary)

    On a terminal it redraws one panel; into a pipe, a file or a CI log it prints one line a task.
    """

    def __init__(self, console: Console | None = None) -> None:
        from rich.console import Console

        self.console = console or Console(highlight=False)
        utf8 = self.console.encoding.lower().startswith("utf")
        self._panel = self.console.is_terminal and not self.console.is_dumb_terminal and utf8
        self._display: Live | None = None
        self._stop: Callable[[], None] | None = None
        self._run: Mapping[str, Json] = {}
        self._iteration = 0
        self._task: Mapping[str, Json] = {}
        self._attempts: deque[Mapping[str, Json]] = deque(maxlen=_ATTEMPTS)
        self._tries = 0
        self._skills: deque[Mapping[str, Json]] = deque(maxlen=_SKILLS)
        self._kept = self._tried = self._solved = 0
        self._spent: Mapping[str, Json] = {}
        self._limit: Mapping[str, Json] = {}
        self._distil: Mapping[str, Json] = {}
        self._distilling = ""

    def watch(self, events: EventStream) -> Self:
        """Listen to this stream from now until `close`, or the end of the ``with`` block."""
        self._stop = events.subscribe(self)
        return self

    def __enter__(self) -> Self:
        if self._panel:
            from rich.live import Live

            self._display = Live(self, console=self.console, refresh_per_second=8, transient=True)
            self._display.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Stop listening and give the terminal back."""
        if self._stop is not None:
            self._stop()
            self._stop = None
        if self._display is not None:
            self._display.stop()
            self._display = None

    def __call__(self, event: Event) -> None:
        """Take in one event."""
        handle = getattr(self, f"_on_{event.kind}", None)
        if event.iteration is not None:
            self._iteration = event.iteration
        if handle is not None:
            handle(event.data)

    # One method for each kind of event; kinds without one do not show.

    def _on_run_started(self, data: Mapping[str, Json]) -> None:
        self._run = data
        limit = data.get("budget")
        self._limit = limit if isinstance(limit, Mapping) else {}
        how = data.get("explore")
        about = {**data, "policy": how["policy"]} if isinstance(how, Mapping) and "policy" in how else data
        names = ("world", "policy" if "policy" in about else "writer", "seed")
        told = [f"{name} {plain(about[name], 60)}" for name in names if about.get(name) is not None]
        self._line(f"run {plain(data.get('run', ''), 40)}: {', '.join(told)}")

    def _on_run_resumed(self, data: Mapping[str, Json]) -> None:
        self._run = {**self._run, **data}
        limit = data.get("budget")
        self._limit = limit if isinstance(limit, Mapping) else self._limit
        self._line(f"resuming run {plain(data.get('run', ''), 40)} at iteration {plain(data.get('iteration', ''), 20)}")

    def _on_task_proposed(self, data: Mapping[str, Json]) -> None:
        self._task, self._tries, self._distil = data, 0, {}
        self._attempts.clear()

    def _on_attempt_ended(self, data: Mapping[str, Json]) -> None:
        self._tries += 1
        self._attempts.append(data)

    def _on_skill_admitted(self, data: Mapping[str, Json]) -> None:
        self._kept += 1
        self._skills.append(data)

    def _on_skill_promoted(self, data: Mapping[str, Json]) -> None:
        self._line(f"lifted anew: {plain(data.get('name', ''), 60)} version {plain(data.get('version', ''), 20)}")

    def _on_skills_transferred(self, data: Mapping[str, Json]) -> None:
        for skill in data.get("skills", ()):
            whence = skill.get("from", {})
            world = f"{plain(whence.get('world', ''), 40)} ({plain(whence.get('fingerprint', ''), 60)})"
            self._line(f"holds here too: {plain(skill.get('name', ''), 60)}, learned in {world}")
        for name in sorted(data.get("refused", {})):
            self._line(f"does not hold here: {plain(name, 60)} of another world")

    def _on_reflex_learned(self, data: Mapping[str, Json]) -> None:
        kept = "reflex" if data.get("status") == "active" else "reflex dropped"
        self._line(f"{kept}: {plain(data.get('name', ''), 60)} when {plain(data.get('trigger', ''), 60)}")

    def _on_skills_left(self, data: Mapping[str, Json]) -> None:
        names = data.get("names")
        told = ", ".join(plain(n, 60) for n in names) if isinstance(names, list) else ""
        self._line(f"{plain(data.get('status', ''), 20)}: {told}")

    def _on_task_ended(self, data: Mapping[str, Json]) -> None:
        self._tried += 1
        self._solved += data.get("status") == "solved"
        text = plain(data.get("text", self._task.get("text", "")), 60)
        line = f"{self._count()} {plain(data.get('status', ''), 12):8} {text}"
        if data.get("skill"):
            line += f"  -> {plain(data['skill'], 60)}"
        elif data.get("reason"):
            line += f"  ({plain(data['reason'], 100)})"
        self._line(line)
        self._task = {}
        self._attempts.clear()

    def _on_budget(self, data: Mapping[str, Json]) -> None:
        for name in ("spent", "limit"):
            if isinstance(data.get(name), Mapping):
                setattr(self, f"_{name}", data[name])

    def _on_distil_started(self, data: Mapping[str, Json]) -> None:
        self._distil, self._task = {"phase": "starting"}, {}
        self._attempts.clear()
        self._line(f"distilling what {plain(data.get('episodes', '?'), 20)} tasks taught")

    def _on_distil_progress(self, data: Mapping[str, Json]) -> None:
        if data.get("phase") != self._distil.get("phase"):
            self._line(f"distilling: {plain(data.get('phase', ''), 60)}")
        self._distil = data

    def _on_distil_ended(self, data: Mapping[str, Json]) -> None:
        self._distil = {}
        self._distilling = _gate(data)
        self._line(self._distilling)

    def _on_run_ended(self, data: Mapping[str, Json]) -> None:
        self._task = {}
        reason = f": {plain(data['reason'], 200)}" if data.get("reason") else ""
        self._line(f"run {plain(data.get('status', 'ended'), 20)}{reason}")

    def _on_warning(self, data: Mapping[str, Json]) -> None:
        # Above the panel too, where it stays when the panel is gone.
        self._print(f"warning: {plain(data.get('message', ''), 400)}")

    def _line(self, text: str) -> None:
        """A line of the plain output; a terminal shows the same in its panel."""
        if not self._panel:
            self._print(text)

    def _print(self, text: str) -> None:
        encoding = self.console.encoding
        text = text.encode(encoding, "replace").decode(encoding)
        self.console.print(text, markup=False, highlight=False, soft_wrap=True)

    def _count(self) -> str:
        total = self._run.get("iterations")
        if not isinstance(total, int):
            return f"[{self._iteration + 1}]"
        return f"[{self._iteration + 1:>{len(str(total))}}/{total}]"

    # Drawing

    def __rich__(self) -> RenderableType:
        from rich import box
        from rich.console import Group
        from rich.panel import Panel
        from rich.text import Text

        parts: list[RenderableType] = [self._now()]
        for data in tuple(self._attempts):
            ok = bool(data.get("ok"))
            said = plain(data.get("feedback") or ("the goal is true" if ok else "not yet"), 200)
            line = Text.assemble(("  ✓ " if ok else "  ✗ ", "green" if ok else "red"), (said, "" if ok else "dim"))
            line.truncate(max(20, self.console.width - 6), overflow="ellipsis")
            parts.append(line)
        parts.append(Text())
        parts.append(self._score())
        for data in tuple(self._skills):
            calls = [plain(c, 40) for c in data.get("calls") or ()]
            line = Text.assemble(("  + ", "green"), plain(data.get("name", ""), 60))
            if calls:
                line.append(f"  calls {', '.join(calls)}", "dim")
            line.truncate(max(20, self.console.width - 6), overflow="ellipsis")
            parts.append(line)
        bars = self._bars()
        if bars is not None:
            parts += [Text(), bars]
        if self._distilling:
            parts.append(Text(self._distilling, "dim"))
        world = plain(self._run.get("world", ""), 40)
        title = Text(f"Habilis · {world}" if world else "Habilis", "bold")
        return Panel(
            Group(*parts), title=title, title_align="left", box=box.ROUNDED, border_style="dim", padding=(1, 2)
        )

    def _now(self) -> RenderableType:
        from rich.text import Text

        if self._distil:
            step, steps, loss = (self._distil.get(k) for k in ("step", "steps", "loss"))
            line = Text.assemble(("distilling  ", "cyan"), plain(self._distil.get("phase", ""), 60))
            if _is_number(step) and _is_number(steps) and steps:
                line.append(f"  {_bar(step / steps)} {number(step)}/{number(steps)}")
            if _is_number(loss):
                line.append(f"  loss {loss:.3f}", "dim")
            return line
        if not self._task:
            return Text("choosing the next task …", "dim")
        line = Text.assemble((f"{self._count()} ", "cyan"), (plain(self._task.get("text", ""), 100), "bold"))
        if self._tries:
            line.append(f"  attempt {self._tries + 1}", "dim")
        if self._task.get("why"):
            line.append(f"\n  {plain(self._task['why'], 160)}", "dim")
        return line

    def _score(self) -> RenderableType:
        from rich.text import Text

        return Text.assemble(
            (str(self._solved), "bold"), f" of {self._tried} tasks solved   ", (str(self._kept), "bold"), " skills kept"
        )

    def _bars(self) -> RenderableType | None:
        """Spent against allowed, for each kind of cost that has a limit above zero."""
        from rich.table import Table
        from rich.text import Text

        rows = Table.grid(padding=(0, 2))
        for kind, name in _KINDS.items():
            limit, spent = self._limit.get(kind), self._spent.get(kind, 0)
            if not _is_number(limit) or not _is_number(spent) or limit <= 0:
                continue
            share = spent / limit
            rows.add_row(
                Text(name, "dim"),
                Text(_bar(share), "red" if share >= 0.9 else "blue"),
                Text(f"{amount(kind, spent)} of {amount(kind, limit)}"),
            )
        return rows if rows.row_count else None

    def final_table(self, summary: RunSummary) -> None:
        """Print the closing table."""
        from rich import box
        from rich.table import Table
        from rich.text import Text

        table = Table(box=box.SIMPLE, show_header=False, pad_edge=False)
        table.add_column(style="dim", no_wrap=True)
        table.add_column(overflow="fold")
        reason = f": {plain(summary.reason, 300)}" if summary.reason else ""
        aimed = summary.tried - summary.explored  # the others had nothing that was to be solved
        share = f" ({summary.solved / aimed:.0%})" if aimed else ""
        told = f"{aimed} tried, {summary.solved} solved{share}" if aimed or not summary.explored else ""
        walked = f"{summary.explored} explored" if summary.explored else ""
        calling = f", {summary.calling} of them call another" if summary.skills else ""
        rows = [
            ("run", f"{plain(summary.status, 40)}{reason}"),
            ("tasks", "; ".join(filter(None, (told, walked)))),
            ("skills", f"{summary.skills} kept{calling}"),
            ("costs", ", ".join(_cost(k, v) for k, v in summary.spent.nonzero().items()) or "nothing"),
            *(("distillation", _gate(d)) for d in summary.distillations),
        ]
        if summary.report is not None:
            rows.append(("report", plain(summary.report, 1_000)))
        for name, value in rows:
            table.add_row(name, Text(value))
        if self._panel:
            self.console.print(table)
        else:  # a log is searched by line, so nothing is folded
            for name, value in rows:
                self._print(f"{name:<13} {value}")


def _cost(kind: str, value: float) -> str:
    return amount(kind, value) if kind in ("usd", "seconds") else f"{number(value)} {_KINDS[kind]}"


def _gate(data: Mapping[str, Json]) -> str:
    """What a distillation came to, in one line. A rejection is a result, not a fault."""
    model = plain(data.get("model") or "the model", 60)
    reasons = data.get("reasons") or ()
    told = "; ".join(plain(r, 160) for r in ([reasons] if isinstance(reasons, str) else reasons))
    verdict = "adopted" if data.get("adopted") else "not adopted, the gate kept what was in use"
    return f"{model}: {verdict}" + (f" ({told})" if told else "")


def _is_number(value: object) -> TypeGuard[float]:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _bar(share: float, width: int = 24) -> str:
    full = round(max(0.0, min(1.0, share)) * width)
    return "━" * full + "╌" * (width - full)

"""The report's two pictures, as inline SVG written by hand: how the agent grew, and which skill calls which."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

from habilis._text import escaped, number

_WIDTH, _HEIGHT = 500, 270
_LEFT, _RIGHT, _TOP, _BOTTOM = 38, 76, 12, 40
_NODE_W, _NODE_H, _GAP_X, _GAP_Y = 136, 22, 40, 8


@dataclass(frozen=True)
class Point:
    """The state after one episode: where on the x axis, tasks solved and distinct skills so far, and the task."""

    x: float
    solved: int
    skills: int
    label: str


def ticks(top: float, count: int = 5) -> list[float]:
    """Round numbers from 0 up to the first that is >= top."""
    if top <= 0:
        return [0.0, 1.0]
    raw = top / count
    base = 10.0 ** math.floor(math.log10(raw))
    step = next(m * base for m in (1, 2, 5, 10) if m * base >= raw * (1 - 1e-9))
    step = max(step, 1.0)
    return [i * step for i in range(math.ceil(top / step - 1e-9) + 1)]


def growth_chart(points: Sequence[Point], x_name: str, marks: Sequence[float] = ()) -> str:
    """Two step lines over a shared axis. ``marks``: x of the distillations."""
    xs, ys = ticks(max(p.x for p in points)), ticks(max(max(p.solved, p.skills) for p in points))
    # The last tick may lie far beyond the data, which would waste a third of the plot.
    right = max(max(p.x for p in points), 1.0)
    plot_w, plot_h = _WIDTH - _LEFT - _RIGHT, _HEIGHT - _TOP - _BOTTOM

    def px(x: float) -> float:
        return round(_LEFT + plot_w * x / right, 1)

    def py(y: float) -> float:
        return round(_TOP + plot_h * (1 - y / ys[-1]), 1)

    out = []
    for y in ys:
        out.append(f'<line class="grid" x1="{_LEFT}" x2="{_LEFT + plot_w}" y1="{py(y)}" y2="{py(y)}"/>')
        out.append(f'<text class="tick" x="{_LEFT - 7}" y="{py(y) + 3.5}" text-anchor="end">{number(y)}</text>')
    for x in xs:
        if x <= right:
            out.append(
                f'<text class="tick" x="{px(x)}" y="{_TOP + plot_h + 17}" text-anchor="middle">{_short(x)}</text>'
            )
    out.append(
        f'<text class="axis" x="{_LEFT + plot_w / 2}" y="{_HEIGHT - 5}" text-anchor="middle">{escape(x_name)}</text>'
    )
    for x in marks:
        if x <= right:
            out.append(
                f'<g class="mark"><line x1="{px(x)}" x2="{px(x)}" y1="{_TOP}" y2="{_TOP + plot_h}"/>'
                f"<title>distillation</title></g>"
            )
    ends = {}
    for name, values in (("solved", [p.solved for p in points]), ("skills", [p.skills for p in points])):
        path, last = [f"M{px(0)} {py(0)}"], 0
        for point, value in zip(points, values, strict=True):
            # Only where the value changes: a flat stretch is one line however many episodes it spans.
            if value != last:
                path.append(f"H{px(point.x)}V{py(value)}")
                last = value
        path.append(f"H{px(points[-1].x)}")
        out.append(f'<path class="line {name}" d="{"".join(path)}"/>')
        ends[name] = py(last)
    shift = max(0.0, 15 - abs(ends["solved"] - ends["skills"])) / 2
    for name, text in (("solved", f"{points[-1].solved} solved"), ("skills", f"{points[-1].skills} skills")):
        above = ends[name] < ends["skills" if name == "solved" else "solved"] or (
            ends["solved"] == ends["skills"] and name == "solved"
        )
        y = ends[name] + 4 + (-shift if above else shift)
        out.append(f'<text class="end {name}" x="{px(points[-1].x) + 7}" y="{y:.1f}">{text}</text>')
    data = escape(json.dumps([[px(p.x), p.x, p.solved, p.skills, p.label] for p in points]), quote=True)
    out.append(f'<line class="cursor" x1="0" x2="0" y1="{_TOP}" y2="{_TOP + plot_h}" visibility="hidden"/>')
    return (
        f'<svg class="growth" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" data-x="{escape(x_name)}" '
        f'data-points="{data}" aria-label="Tasks solved and skills kept over {escape(x_name)}">{"".join(out)}</svg>'
    )


def _short(x: float) -> str:
    for size, letter in ((1e6, "M"), (1e3, "k")):
        if x >= size * 10 or (x >= size and x % size == 0 and size > 1e3):
            return f"{x / size:g}{letter}"
    return number(x)


def layers(calls: Mapping[str, Sequence[str]]) -> dict[str, int]:
    """The layer of each skill: 0 if it calls none, else one above the highest it calls. Cycles are cut."""
    found: dict[str, int] = {}
    for start in sorted(calls):
        if start in found:
            continue
        # An explicit stack: a library may be deeper than Python's own.
        stack, open_ = [(start, iter(sorted(calls[start])))], {start}
        while stack:
            name, rest = stack[-1]
            below = next((c for c in rest if c in calls and c not in found and c not in open_), None)
            if below is not None:
                open_.add(below)
                stack.append((below, iter(sorted(calls[below]))))
                continue
            found[name] = max((found[c] + 1 for c in calls[name] if c in found), default=0)
            stack.pop()
    return found


def call_graph(calls: Mapping[str, Sequence[str]], ids: Mapping[str, str]) -> str:
    """Callees to the left, callers to the right. ``ids``: the page's id of each skill. Skills without edges are left
    out; an empty text if there are no edges."""
    linked = {n for n, cs in calls.items() if any(c in calls and c != n for c in cs)}
    linked |= {c for n, cs in calls.items() for c in cs if c in calls and c != n}
    if not linked:
        return ""
    inner = {n: sorted(c for c in calls[n] if c in linked and c != n) for n in sorted(linked)}
    columns = _columns(inner, layers(inner))
    tallest = max(len(c) for c in columns)
    height = tallest * (_NODE_H + _GAP_Y) + _GAP_Y
    width = len(columns) * (_NODE_W + _GAP_X) - _GAP_X + 4
    at: dict[str, tuple[float, float]] = {}
    for i, column in enumerate(columns):
        top = (height - len(column) * (_NODE_H + _GAP_Y) + _GAP_Y) / 2
        for j, name in enumerate(column):
            at[name] = (2 + i * (_NODE_W + _GAP_X), round(top + j * (_NODE_H + _GAP_Y), 1))
    out = []
    used = Counter(c for below in inner.values() for c in set(below))
    for name in sorted(inner):
        x1, y1 = at[name]
        for callee in inner[name]:
            x0, y0 = at[callee][0] + _NODE_W, at[callee][1] + _NODE_H / 2
            end_y = y1 + _NODE_H / 2
            bend = max(24.0, (x1 - x0) / 2)
            out.append(
                f'<path class="edge" data-from="{ids[name]}" data-to="{ids[callee]}" '
                f'd="M{x0:g} {y0:g}C{x0 + bend:g} {y0:g} {x1 - bend:g} {end_y:g} {x1:g} {end_y:g}"/>'
            )
    for name in sorted(inner):
        x, y = at[name]
        out.append(
            f'<a class="node" href="#{ids[name]}" data-skill="{ids[name]}" transform="translate({x:g} {y:g})">'
            f"<title>{escaped(name, 200)} · calls {len(inner[name])}, called by {used[name]}</title>"
            f'<rect width="{_NODE_W}" height="{_NODE_H}" rx="4"/>'
            f'<text x="8" y="15">{escaped(name, 19)}</text></a>'
        )
    return (
        f'<svg class="calls" viewBox="0 0 {width:g} {height:g}" role="img" '
        f'style="width:100%;min-width:{width * 0.8:.0f}px;max-width:{width:g}px" '
        f'aria-label="Which skill calls which">{"".join(out)}</svg>'
    )


def _columns(calls: Mapping[str, Sequence[str]], level: Mapping[str, int]) -> list[list[str]]:
    """Names by column, ordered so that edges cross little (barycentre sweeps); tall layers take several columns."""
    rows: list[list[str]] = [[] for _ in range(max(level.values()) + 1)]
    for name in sorted(level):
        rows[level[name]].append(name)
    callers: dict[str, list[str]] = {name: [] for name in calls}
    for name, below in calls.items():
        for callee in below:
            callers[callee].append(name)
    for sweep in range(8):
        place = {name: (i + 0.5) / len(row) for row in rows for i, name in enumerate(row)}
        near = calls if sweep % 2 == 0 else callers
        for row in rows if sweep % 2 == 0 else reversed(rows):
            row.sort(key=lambda n: (sum(place[m] for m in near[n]) / len(near[n]) if near[n] else place[n], n))
            place |= {name: (i + 0.5) / len(row) for i, name in enumerate(row)}
    limit = max(12, math.ceil(math.sqrt(len(calls)) * 1.5))
    columns: list[list[str]] = []
    for row in rows:
        parts = math.ceil(len(row) / limit)
        # Neighbours stay at the same height: the i-th of each group of `parts` goes to column i.
        columns.extend(row[i::parts] for i in range(parts))
    return columns

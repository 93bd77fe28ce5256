"""The report of a run: one HTML file that needs nothing but itself.

Everything in it comes from the journal's records. Programs, tool results and model replies are untrusted: all text is
escaped, and the page's own policy allows no script but the one whose hash it names, and no request at all.
"""

from __future__ import annotations

import base64
import hashlib
import os
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path

from habilis._report_charts import Point, call_graph, growth_chart, layers
from habilis._report_film import Find, films
from habilis._report_skill import article, badge, link, picker
from habilis._text import amount, escaped, number, plain
from habilis.core import Budget, Cost, Episode, HomeError, Json, Skill

__all__ = ["ReportData", "Use", "write_report"]

_TEMPLATE = Path(__file__).with_name("_report_template.html")
_COST_NAMES = {
    "usd": "Money",
    "tokens": "Tokens",
    "seconds": "Time",
    "world_steps": "World steps",
    "search_steps": "Search steps",
    "calls": "Calls",
}
_SECRET = re.compile(r"api_?key|secret|password|token$|authorization", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Use:
    """How often a tool or another augmentation was used, how often the task was then solved, and what was paid.

    ``kind``: "tool", "skill", "demonstration", "document" or "model". ``cost`` in all; None where nobody recorded it.
    """

    name: str
    kind: str = "tool"
    uses: int = 0
    successes: int = 0
    cost: Cost | None = None


@dataclass(frozen=True)
class ReportData:
    """What a report is made from.

    ``run``: how it was run; ``name``, ``world``, ``writer``, ``seed``, ``status`` go into the heading, all of it into
    the last table. ``skills``: every version; those that are active are shown. ``distillations``: the data of the
    ``distil_ended`` events (``model``, ``adopted``, ``reasons``, ``figures``), with ``iteration`` where it is known.
    ``reflexes``: when a learned reflex calls a skill, by the skill's name. ``find``: the bytes of pictures that the
    journal knows by hash.
    """

    run: Mapping[str, Json]
    episodes: Sequence[Episode] = ()
    skills: Sequence[Skill] = ()
    spent: Cost = field(default_factory=Cost)
    limit: Budget = field(default_factory=Budget.unlimited)
    distillations: Sequence[Mapping[str, Json]] = ()
    uses: Sequence[Use] = ()
    reflexes: Mapping[str, str] = field(default_factory=dict)
    find: Find = lambda image: image if image.data else None


def write_report(data: ReportData, path: Path | str) -> Path:
    """Write the report, replacing what was there; the folder is made. Raises `HomeError` if that cannot be done."""
    target = Path(path)
    if os.path.isdir(target):
        raise HomeError(f"cannot write the report to {target}: it is a folder; name a file")
    partial = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        partial.write_text(_page(data), encoding="utf-8")
        partial.replace(target)
    except OSError as error:
        with suppress(OSError):
            partial.unlink()
        raise HomeError(f"cannot write the report to {target}: {error.strerror}; name another place for it") from error
    return target


def _page(data: ReportData) -> str:
    skills = _active(data.skills)
    calls = {s.name: [c for c in s.program.calls if c in skills and c != s.name] for s in skills.values()}
    ids = {name: f"skill-{i}" for i, name in enumerate(sorted(skills))}
    callers: dict[str, list[str]] = {name: [] for name in ids}
    for name in ids:
        for callee in set(calls[name]):
            callers[callee].append(name)
    first = {name: e for e in reversed(data.episodes) for name in (*e.skills, e.skill) if name}
    chosen = _chosen(calls)
    parts = {
        "title": f"Habilis · {escaped(data.run.get('name') or data.run.get('world') or 'run', 80)}",
        "heading": _heading(data),
        "figures": _headline(data, skills, calls),
        "growth": _growth(data),
        "films": films(data.episodes, data.find),
        "graph": _graph(calls, ids),
        "picker": picker(ids, calls, chosen),
        "skills": "".join(
            article(skills[n], n == chosen, callers[n], ids, first.get(n), data.reflexes.get(n, "")) for n in ids
        ),
        "reasons": _reasons(data.episodes),
        "episodes": _episodes(data.episodes, ids),
        "costs": _costs(data.spent, data.limit),
        "distillation": "".join(map(_distillation, data.distillations))
        or '<p class="none">No distillation was run. Skills alone carried what was learned.</p>',
        "uses": _uses(data),
        "run": "".join(f"<tr><th>{k}</th><td>{v}</td></tr>" for k, v in _flat(data.run)),
    }
    template = _TEMPLATE.read_text("utf-8")
    script = template.split("<script>")[1].split("</script>")[0]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    parts["policy"] = f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'; base-uri 'none'"
    if parts["films"]:
        parts["policy"] += "; img-src data:"
    # One pass: what is filled in is never searched for placeholders again.
    return re.sub(r"\{\{(\w+)\}\}", lambda m: parts[m[1]], template)


def _active(skills: Sequence[Skill]) -> dict[str, Skill]:
    """The newest active version of each name."""
    found: dict[str, Skill] = {}
    for skill in skills:
        if skill.status == "active" and (skill.name not in found or skill.version > found[skill.name].version):
            found[skill.name] = skill
    return found


def _reach(name: str, calls: Mapping[str, Sequence[str]]) -> set[str]:
    seen, todo = {name}, [name]
    while todo:
        for callee in calls[todo.pop()]:
            if callee not in seen:
                seen.add(callee)
                todo.append(callee)
    return seen - {name}


def _chosen(calls: Mapping[str, Sequence[str]]) -> str | None:
    """The skill that calls most others; among equals the one that rests on most."""
    most = max((len(set(cs)) for cs in calls.values()), default=0)
    best = [n for n, cs in calls.items() if len(set(cs)) == most]
    return min(best, key=lambda n: (-len(_reach(n, calls)), n), default=None)


def _heading(data: ReportData) -> str:
    run = data.run
    world = escaped(run.get("world") or "a world", 60)
    facts = [
        escaped(run.get("name") or (f"run {run['run']}" if run.get("run") is not None else ""), 80),
        f"{escaped(run['writer'], 60)} writer" if run.get("writer") else "",
        f"seed {escaped(run['seed'], 20)}" if run.get("seed") is not None else "",
        f"{len(data.episodes)} tasks",
        escaped(run["status"], 60) if run.get("status") else "",
    ]
    return f"<h1>Learning in <em>{world}</em></h1><p class='sub'>{' · '.join(f for f in facts if f)}</p>"


def _headline(data: ReportData, skills: Mapping[str, Skill], calls: Mapping[str, Sequence[str]]) -> str:
    solved = sum(e.solved for e in data.episodes)
    composed = sum(bool(c) for c in calls.values())
    depth = max(layers(calls).values(), default=-1) + 1
    verified = sum(s.evidence.level.value == "verified" for s in skills.values())
    figures = [
        (number(solved), "tasks solved", f"of {len(data.episodes)} tried"),
        (number(len(skills)), "skills kept", "all verified" if verified == len(skills) > 0 else f"{verified} verified"),
        (f"{composed / len(skills):.0%}" if skills else "–", "call another skill", f"{depth} levels deep"),
        (number(data.spent.world_steps), "world steps", amount("seconds", data.spent.seconds)),
        (amount("usd", data.spent.usd), "spent", f"{number(data.spent.tokens)} tokens"),
    ]
    return "".join(f"<div><b>{v}</b><span>{n}</span><small>{more}</small></div>" for v, n, more in figures)


def _growth(data: ReportData) -> str:
    if not data.episodes:
        return '<p class="none">No task was tried yet.</p>'
    by_count, by_steps, marks = [], [], []
    solved, steps, names = 0, 0, set[str]()
    when = {d["iteration"] for d in data.distillations if isinstance(d.get("iteration"), int)}
    for i, episode in enumerate(data.episodes, 1):
        solved += episode.solved
        steps += episode.cost.world_steps
        names |= {*episode.skills, *([episode.skill] if episode.skill else [])}
        label = plain(episode.task.text, 70)
        by_count.append(Point(i, solved, len(names), label))
        by_steps.append(Point(steps, solved, len(names), label))
        if episode.index in when:
            marks.append((i, steps))
    return (
        f"<figure>{growth_chart(by_count, 'tasks tried', [m[0] for m in marks])}</figure>"
        f"<figure>{growth_chart(by_steps, 'world steps', [m[1] for m in marks])}</figure>"
    )


def _graph(calls: Mapping[str, Sequence[str]], ids: Mapping[str, str]) -> str:
    drawn = call_graph(calls, ids)
    called = {c for cs in calls.values() for c in cs}
    alone = sorted(n for n, cs in calls.items() if not cs and n not in called)
    out = f'<div class="scroll">{drawn}</div>' if drawn else '<p class="none">No skill calls another yet.</p>'
    if drawn and alone:
        links = ", ".join(link(n, ids) for n in alone)
        out += f"<p class='alone'>{len(alone)} stand alone: {links}</p>"
    return out


def _reasons(episodes: Sequence[Episode]) -> str:
    counts = Counter(_reason(e) for e in episodes if not e.solved)
    if not counts:
        return ""
    ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    shown = "".join(f"<li><b>{n}</b> {escaped(reason, 200)}</li>" for reason, n in ranked[:5])
    rest = f"<li>and {len(ranked) - 5} other reasons</li>" if len(ranked) > 5 else ""
    return f"<h4>Why tasks were not solved</h4><ul class='reasons'>{shown}{rest}</ul>"


def _reason(episode: Episode) -> str:
    if episode.reason:
        return episode.reason
    if episode.solved:
        return ""
    return episode.attempts[-1].feedback if episode.attempts else "no program was written"


def _episodes(episodes: Sequence[Episode], ids: Mapping[str, str]) -> str:
    tones = {"solved": "good", "failed": "bad"}
    return "".join(
        f'<tr data-status="{escaped(e.status, 20)}"><td class="n">{e.index + 1}</td>'
        f"<td>{escaped(e.task.text, 200)}<small><code>{escaped(e.task.goal, 200)}</code></small></td>"
        f"<td>{badge(e.status, tones.get(e.status, ''))}</td>"
        f"<td>{link(e.skill, ids) if e.skill else ''}{'<br>' if e.skill and _reason(e) else ''}"
        f"{escaped(_reason(e), 300)}</td>"
        f"<td class='w'>{escaped(e.writer, 40)}</td><td class='n'>{len(e.attempts)}</td>"
        f"<td class='n'>{number(e.cost.world_steps)}</td></tr>"
        for e in episodes
    )


def _costs(spent: Cost, limit: Budget) -> str:
    limits, rows = asdict(limit), []
    for kind, value in asdict(spent).items():
        most = limits[kind]
        if not value and most is None:
            continue
        share = min(1.0, value / most) if most else float(bool(value and most is not None))
        meter = f'<span class="meter"><i style="width:{share:.1%}"></i></span>' if most is not None else ""
        allowed = "no limit" if most is None else f"of {amount(kind, most)}"
        rows.append(
            f"<tr><th>{_COST_NAMES[kind]}</th><td class='n'>{amount(kind, value)}</td>"
            f"<td class='muted'>{allowed}</td><td>{meter}</td></tr>"
        )
    return f"<table class='costs'>{''.join(rows)}</table>" if rows else '<p class="none">Nothing was spent.</p>'


def _distillation(record: Mapping[str, Json]) -> str:
    adopted = bool(record.get("adopted"))
    reasons = record.get("reasons") or ()
    listed = "".join(f"<li>{escaped(r, 500)}</li>" for r in ([reasons] if isinstance(reasons, str) else reasons))
    said = (
        "The gate found that it does better on what it had not seen and nothing got worse, so it is in use."
        if adopted
        else "The gate kept the model that was in use. That is a correct result: "
        "a model is adopted only if it gets better and forgets nothing."
    )
    verdict = badge("adopted", "good") if adopted else badge("rejected by the gate", "")
    figures = record.get("figures") or {}
    table = "".join(
        f"<tr><th>{escaped(_words(name), 80)}</th>"
        f"<td class='n'>{_figure(old)}</td><td class='n'>{_figure(new)}</td></tr>"
        for name, old, new in _before_and_after(figures)
    )
    if table:
        table = (
            "<table class='list figures'><thead><tr><th></th><th class='n'>Before</th><th class='n'>After</th></tr>"
            f"</thead><tbody>{table}</tbody></table>"
        )
    every = "".join(f"<tr><th>{k}</th><td class='n'>{v}</td></tr>" for k, v in _flat(figures))
    if every:
        every = f"<details><summary>All figures</summary><table class='facts'>{every}</table></details>"
    return (
        f"<div class='distil'><h3><code>{escaped(record.get('model') or 'model', 120)}</code> {verdict}</h3>"
        f"<p>{said}</p>{f'<ul>{listed}</ul>' if listed else ''}{table}{every}</div>"
    )


def _before_and_after(figures: Mapping[str, Json]) -> list[tuple[str, Json, Json]]:
    """What was measured on both models: pairs under ``before`` and ``after``, or two parts ``base`` and ``tuned``."""
    rows = [
        (k, v["before"], v["after"])
        for k, v in figures.items()
        if isinstance(v, Mapping) and {"before", "after"} <= set(v)
    ]
    base, tuned = figures.get("base"), figures.get("tuned")
    if isinstance(base, Mapping) and isinstance(tuned, Mapping):
        for key in (k for k in base if k in tuned and k != "asked"):
            old, new = base[key], tuned[key]
            if isinstance(old, Mapping) and isinstance(new, Mapping):
                rows.extend((k, _share(old[k]), _share(new[k])) for k in old if k in new)
            else:
                rows.append((key, old, new))
    return rows


def _share(value: Json) -> Json:
    counted = isinstance(value, Mapping) and {"right", "asked"} <= set(value)
    return f"{value['right']} of {value['asked']}" if counted else value


def _words(name: str) -> str:
    return name.replace("_", " ")


def _figure(value: Json) -> str:
    return number(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else escaped(value, 200)


def _flat(data: Mapping[str, Json], prefix: str = "") -> list[tuple[str, str]]:
    """Nested settings as rows, escaped; what looks like a secret is not shown."""
    rows: list[tuple[str, str]] = []
    for key, value in data.items():
        name = f"{prefix}{_words(str(key))}"
        if _SECRET.search(str(key)):
            rows.append((escaped(name, 80), "not shown"))
        elif isinstance(value, Mapping):
            rows.extend(_flat(value, f"{name} · "))
        elif isinstance(value, (list, tuple)):
            nested = any(isinstance(v, (Mapping, list, tuple)) for v in value)
            shown = f"{len(value)} entries" if nested else escaped(", ".join(map(str, value)), 400)
            rows.append((escaped(name, 80), shown))
        elif value is not None:
            rows.append((escaped(name, 80), _figure(value) if str(key) != "seed" else escaped(value)))
    return rows


def _uses(data: ReportData) -> str:
    uses = sorted(data.uses or _taped(data.episodes), key=lambda u: (-(u.cost or Cost()).usd, -u.uses, u.kind, u.name))
    if not uses:
        return '<p class="none">Nothing but the agent’s own skills was used.</p>'
    rows = "".join(
        f"<tr><td><code>{escaped(u.name, 120)}</code></td><td>{escaped(u.kind, 40)}</td><td class='n'>{u.uses}</td>"
        f"<td class='n'>{f'{u.successes / u.uses:.0%}' if u.uses else '–'}</td><td class='n'>{_paid(u.cost)}</td></tr>"
        for u in uses
    )
    head = "<th>Name</th><th>Kind</th><th class='n'>Uses</th><th class='n'>Succeeded</th><th class='n'>Paid</th>"
    return f"<div class='scroll'><table class='list'><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>"


def _paid(cost: Cost | None) -> str:
    if cost is None:
        return "not recorded"
    parts = [amount(k, v) if k in ("usd", "seconds") else f"{number(v)} {_words(k)}" for k, v in cost.nonzero().items()]
    return "<br>".join(parts) or "nothing"


def _taped(episodes: Sequence[Episode]) -> list[Use]:
    """The tool calls on the tapes, where no account of uses was handed in; what they cost is not on the tape."""
    calls, good = Counter[str](), Counter[str]()
    for entry in (c for e in episodes for a in e.attempts for c in a.trajectory.tape):
        calls[entry.tool] += 1
        good[entry.tool] += entry.error is None
    return [Use(name, "tool", n, good[name]) for name, n in sorted(calls.items())]

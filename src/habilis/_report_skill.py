"""One skill in the report: its contract, its program with the calls linked, and the runs that prove it."""

from __future__ import annotations

import io
import keyword
import tokenize
from collections.abc import Mapping, Sequence

from habilis._text import escaped, number, plain
from habilis.core import Episode, Json, Skill


def badge(text: str, tone: str) -> str:
    return f'<span class="badge {tone}">{escaped(text, 60)}</span>'


def link(name: str, ids: Mapping[str, str]) -> str:
    shown = f"<code>{escaped(name, 60)}</code>"
    return f'<a href="#{ids[name]}" data-skill="{ids[name]}">{shown}</a>' if name in ids else shown


def picker(ids: Mapping[str, str], calls: Mapping[str, Sequence[str]], chosen: str | None) -> str:
    if not ids:
        return '<p class="none">No skill was kept yet.</p>'
    options = "".join(
        f'<option value="{ids[n]}"{" selected" if n == chosen else ""}>{escaped(n, 60)}'
        f"{f' · calls {len(calls[n])}' if calls[n] else ''}</option>"
        for n in sorted(ids)
    )
    return f'<label class="pick">Skill <select id="pick">{options}</select></label>'


def article(
    skill: Skill,
    shown: bool,
    called_by: Sequence[str],
    ids: Mapping[str, str],
    first: Episode | None,
    reflex: str = "",
) -> str:
    evidence = skill.evidence
    parameters = ", ".join(
        f"{p.name}: {p.type}" + ("" if p.required else f" = {p.default!r}") for p in skill.program.parameters
    )
    rows = [
        ("Makes true", f"<code>{escaped(skill.goal_template)}</code>"),
        ("Needs", "<br>".join(f"<code>{escaped(n)}</code>" for n in skill.needs) or "nothing beforehand"),
        ("Parameters", f"<code>{escaped(parameters)}</code>" if parameters else "none"),
        ("Calls", ", ".join(link(c, ids) for c in sorted(set(skill.program.calls))) or "no other skill"),
        ("Called by", ", ".join(link(c, ids) for c in called_by) or "no other skill yet"),
        ("Tools", ", ".join(f"<code>{escaped(t)}</code>" for t in skill.tools)),
        ("Must find", ", ".join(escaped(s) for s in skill.sources)),
        ("Cost", f"about {number(skill.cost)} world steps a unit"),
        ("Written by", escaped(skill.program.writer)),
        ("Reflex", escaped(reflex, 300)),
        ("Comes from", escaped(skill.whence, 300)),
        ("First kept", f"task {first.index + 1}: {escaped(first.task.text, 160)}" if first else ""),
    ]
    contract = "".join(f"<tr><th>{name}</th><td>{value}</td></tr>" for name, value in rows if value)
    return (
        f'<article class="skill" id="{ids[skill.name]}"{"" if shown else " hidden"}>'
        f"<h3><code>{escaped(skill.name, 120)}</code> <small>version {skill.version}</small></h3>"
        f"<p>{escaped(skill.doc)}</p><div class='pair'><table class='facts'>{contract}</table>"
        f"<pre>{_code(skill.program.source, ids)}</pre></div>"
        f"<h4>Evidence: {escaped(evidence.level.value.replace('_', ' '))}</h4>"
        f"<p>{evidence.successes} of {evidence.successes + evidence.failures} runs made the goal true; "
        f"expected success {evidence.mean:.0%}.</p>{_trials(skill)}</article>"
    )


def _trials(skill: Skill) -> str:
    if not skill.evidence.trials:
        return ""
    why = any(t.why for t in skill.evidence.trials)
    rows = "".join(
        f"<tr><td class='n'>{t.seed}</td><td><code>{escaped(_arguments(t.args), 120)}</code></td>"
        f"<td>{badge('ok' if t.ok else 'failed', 'good' if t.ok else 'bad')}</td>"
        f"<td class='n'>{number(t.world_steps)}</td>{f'<td>{escaped(t.why, 300)}</td>' if why else ''}</tr>"
        for t in skill.evidence.trials
    )
    head = "<th class='n'>Seed</th><th>Arguments</th><th>Verdict</th><th class='n'>World steps</th>"
    return (
        f"<div class='scroll'><table class='list figures'><thead><tr>{head}{'<th>Why</th>' if why else ''}</tr></thead>"
        f"<tbody>{rows}</tbody></table></div>"
    )


def _arguments(args: Mapping[str, Json]) -> str:
    return ", ".join(f"{k}={v!r}" for k, v in args.items()) or "–"


def _code(source: str, ids: Mapping[str, str]) -> str:
    """The program with its keywords, texts and comments marked and its calls of other skills linked."""
    text = plain(source, 20_000, lines=True)
    lines = text.splitlines(keepends=True)
    starts = [0]
    for line in lines:
        starts.append(starts[-1] + len(line))
    out, at, before = [], 0, ("", "")
    try:
        for token in tokenize.generate_tokens(io.StringIO(text).readline):
            start = starts[token.start[0] - 1] + token.start[1] if token.start[0] <= len(lines) else len(text)
            end = starts[token.end[0] - 1] + token.end[1] if token.end[0] <= len(lines) else len(text)
            if start < at or end <= start:
                continue
            out.append(_piece(text[at:start]))
            shown = _piece(text[start:end])
            if token.type == tokenize.NAME and before == ("skills", ".") and token.string in ids:
                shown = link(token.string, ids).replace("<code>", "").replace("</code>", "")
            elif token.type == tokenize.NAME and keyword.iskeyword(token.string):
                shown = f"<i class='k'>{shown}</i>"
            elif token.type == tokenize.COMMENT or token.type == tokenize.STRING:
                shown = f"<i class='{'c' if token.type == tokenize.COMMENT else 's'}'>{shown}</i>"
            out.append(shown)
            at, before = end, (before[1], token.string)
    except (tokenize.TokenError, SyntaxError, IndexError):
        pass  # what follows is shown as it stands
    return "".join(out) + _piece(text[at:])


def _piece(text: str) -> str:
    return escaped(text, 20_000, lines=True)

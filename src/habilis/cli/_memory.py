"""``habilis skills``: list, search, show."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from habilis.cli._home import HomeOption

if TYPE_CHECKING:
    from habilis.core import Parameter, Skill

skills = typer.Typer(help="The skill library.", no_args_is_help=True, rich_markup_mode=None)

WorldOption = Annotated[str | None, typer.Option("--world", help="whose skill, where several worlds have one")]
_TRIALS = 12  # of the latest that are shown
_STATUSES = ("active", "quarantined", "superseded", "retired", "all")
JsonOption = Annotated[bool, typer.Option("--json", help="print JSON")]


@skills.command("list")
def list_(
    home: HomeOption = None,
    status: Annotated[
        str, typer.Option("--status", help="active, quarantined, superseded, retired, or all")
    ] = "active",
    as_json: JsonOption = False,
) -> None:
    """List skills with their evidence."""
    from habilis.cli._output import show
    from habilis.core import NotFoundError

    if status not in _STATUSES:
        raise NotFoundError.of("status", status, _STATUSES)
    with read_home(home) as opened:
        rows = [_row(s) for s in opened.journal.skills(None if status == "all" else status)]
    status_too = ("status",) if status == "all" else ()
    columns = ("name", "version", *status_too, "goal", "cases", "calls", "evidence", "cost")
    learn = "no skill yet; habilis run learns some"
    show(rows, columns, as_json=as_json, empty=learn if status in ("active", "all") else f"no skill is {status}")


@skills.command()
def search(
    text: Annotated[str, typer.Argument(help="what it should do")],
    home: HomeOption = None,
    k: Annotated[int, typer.Option("-k", min=1, help="how many")] = 5,
    as_json: JsonOption = False,
) -> None:
    """Find skills by meaning and by words."""
    from habilis.cli._output import show
    from habilis.core import InputError
    from habilis.memory.embedding import open_embedder
    from habilis.memory.library import SkillLibrary

    if not text.strip():
        raise InputError("the search is empty; say what the skill should do")
    with read_home(home) as opened:
        embedder = open_embedder(opened.embedder or "auto")
        with SkillLibrary.open(opened, embedder=embedder) as library:
            rows = [{**_row(h.skill), "score": round(h.score, 3), "why": h.why} for h in library.search(text, k=k)]
    show(rows, ("name", "score", "goal", "why"), as_json=as_json, empty="nothing fits; habilis skills list shows all")


@skills.command()
def show(
    name: Annotated[str, typer.Argument()],
    home: HomeOption = None,
    version: Annotated[int | None, typer.Option("--version", help="[the latest]")] = None,
    as_json: JsonOption = False,
) -> None:
    """Show one skill: source, goal, evidence, history."""
    from habilis._text import plain
    from habilis.cli._output import say_json
    from habilis.core import NotFoundError, dump

    with read_home(home) as opened:
        try:
            skill = opened.journal.skill(name, version)
        except NotFoundError:
            versions = [str(s.version) for s in opened.journal.skills(None, name)]
            if versions:
                raise NotFoundError.of(f"version of {name}", str(version), versions) from None
            raise NotFoundError.of("skill", name, {s.name for s in opened.journal.skills(None)}) from None
        moves = [
            {"version": t.version, "from": t.before, "to": t.after, "reason": t.reason}
            for t in opened.journal.transitions(name)
        ]
    if as_json:
        say_json({**dump(skill), "history": moves})
        return
    print("\n".join(_told(skill)))
    print()
    print(plain(skill.program.source, 100_000, lines=True))
    for move in moves:
        print(f"  version {move['version']}: {move['from'] or 'new'} -> {move['to']}: {plain(str(move['reason']))}")


def read_home(home: Path | None) -> Any:
    """The home, for reading only."""
    from habilis.memory.home import Home, default_home

    return Home.open(home or default_home(), create=False, read_only=True)


def library_of(home: Path | None, name: str, world: str | None, *, read_only: bool = False) -> Any:
    """The library of the world whose skill this is."""
    import contextlib
    from collections.abc import Iterator

    from habilis.core import InputError, NotFoundError
    from habilis.memory.embedding import open_embedder
    from habilis.memory.home import Home, default_home
    from habilis.memory.library import SkillLibrary

    @contextlib.contextmanager
    def opened() -> Iterator[SkillLibrary]:
        with Home.open(home or default_home(), create=False, read_only=read_only) as owned:
            worlds = {s.fingerprint: s.world for s in owned.journal.skills(None, name)}
            if world is not None:
                kept = {f: w for f, w in worlds.items() if world in (f, w)}
                if worlds and not kept:
                    raise NotFoundError.of(f"skill {name} of the world", world, worlds.values())
                worlds = kept
            if len(worlds) > 1:
                several = ", ".join(f"{w} ({f})" for f, w in sorted(worlds.items()))
                raise InputError(f"several worlds have a skill {name}: {several}; say which: --world NAME")
            embedder = open_embedder(owned.embedder or "auto")
            with SkillLibrary.open(owned, embedder=embedder, fingerprint=next(iter(worlds), None)) as library:
                yield library

    return opened()


def _told(skill: Skill) -> list[str]:
    """What there is to know of a skill, line by line."""
    from habilis._text import number, plain

    e = skill.evidence
    lines = [
        f"{skill.name}  version {skill.version}, {skill.status}, by {skill.origin or 'someone'}, world {skill.world} "
        f"({skill.fingerprint})",
        f"  {plain(skill.doc)}",
        f"  goal      {plain(skill.goal_template)}",
    ]
    for p in skill.program.parameters:
        default = "" if p.required else f" = {p.default!r}"
        lines.append("  takes     " + plain(f"{p.name}: {p.type}{default}{_range(p)}"))
    for clause in skill.contract:
        amount = f" by {number(clause.amount)} a run" if clause.amount else ""
        counts = f"{clause.seen} for, {clause.against} against"
        lines.append(f"  {clause.kind.value:9} {plain(clause.fact)}{amount} ({counts})")
    lines.append(
        f"  evidence  {e.level.value}: {e.successes} of {e.successes + e.failures} trials, posterior "
        f"{skill.posterior:.2f}"
    )
    for name, record in sorted(e.contexts.items()):
        lines.append(f"            {name}: {record.successes} of {record.runs}, posterior {record.mean:.2f}")
    for trial in e.trials[-_TRIALS:]:
        verdict = f"{'ok' if trial.ok else plain(trial.why)}, {trial.world_steps} world steps"
        lines.append(f"            seed {trial.seed} {plain(dict(trial.args))}: {verdict}")
    lines.append(f"  cost      {skill.cost:.1f} world steps a unit")
    for case in skill.cases:
        told = ", ".join(f"{name}={value!r}" for name, value in case.args.items())
        by = f"; {case.successor} does it better by now" if case.successor else ""
        needs = f"; needs {', '.join(case.needs)}" if case.needs else ""
        proven = f"{case.record.successes} of {case.record.runs} trials"
        lines.append(f"  case      {plain(told)}: {proven}, {case.cost:.1f} world steps a unit{plain(needs + by)}")
    lines.append(f"  calls     {', '.join(skill.program.calls) or 'no other skill'}")
    if skill.due:
        lines.append(f"  due       to be verified again: {plain(skill.due)}")
    return lines


def _range(parameter: Parameter) -> str:
    if parameter.choices:
        return f", one of {', '.join(map(str, parameter.choices))}"
    low, high = parameter.low, parameter.high
    bounds = [f"from {low:g}" if low is not None else "", f"up to {high:g}" if high is not None else ""]
    return "".join(f", {bound}" for bound in bounds if bound)


def _row(skill: Any) -> dict[str, Any]:
    e = skill.evidence
    return {
        "name": skill.name,
        "version": skill.version,
        "status": skill.status,
        "goal": skill.goal_template,
        "cases": len(skill.cases),
        "calls": list(skill.program.calls),
        "evidence": f"{e.level.value} {e.successes}/{e.successes + e.failures}",
        "cost": skill.cost,
        "world": skill.world,
        "origin": skill.origin,
    }

"""``habilis skills``: list, search, show, reflexes."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from habilis.cli._options import HomeOption, IndexOption, JsonOption

if TYPE_CHECKING:
    from habilis.core import Parameter, Skill

skills = typer.Typer(help="The skill library.", no_args_is_help=True, rich_markup_mode=None)

WorldOption = Annotated[str | None, typer.Option("--world", help="whose skill, where several worlds have one")]
NameArgument = Annotated[str, typer.Argument(help="a skill's name")]
_TRIALS = 12  # of the latest that are shown
_STATUSES = ("active", "quarantined", "superseded", "retired", "all")


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
        if status == "all":
            rows += [_damaged_row(d) for d in opened.journal.damaged_skills()]
    status_too = ("status",) if status == "all" else ()
    columns = ("name", "version", *status_too, "goal", "cases", "calls", "evidence", "cost")
    learn = "no skill yet; habilis run learns some"
    show(rows, columns, as_json=as_json, empty=learn if status in ("active", "all") else f"no skill is {status}")


@skills.command()
def search(
    text: Annotated[str, typer.Argument(help="what it should do")],
    home: HomeOption = None,
    k: Annotated[int, typer.Option("-k", "--k", min=1, help="how many")] = 5,
    why: Annotated[bool, typer.Option("--why", help="say why each was found")] = False,
    anyway: Annotated[
        bool, typer.Option("--anyway", help="list the nearest even where none is likely to serve")
    ] = False,
    diverse: Annotated[bool, typer.Option("--diverse", help="skip near-copies of what is listed already")] = False,
    tokens: Annotated[
        int | None, typer.Option("--tokens", min=0, help="how many tokens the programs, with what they call, may take")
    ] = None,
    state: Annotated[
        str | None,
        typer.Option("--state", help="what holds now, written as a goal; skills whose needs hold then come first"),
    ] = None,
    ready: Annotated[bool, typer.Option("--ready", help="with --state: only skills whose needs hold")] = False,
    index: IndexOption = "chroma",
    as_json: JsonOption = False,
) -> None:
    """Find skills by meaning and by words. Says so where nothing is likely to serve. Nothing is fetched for it."""
    from habilis._embedders import open_library
    from habilis._text import plain
    from habilis.cli._output import show
    from habilis.core import InputError

    if not text.strip():
        raise InputError("the search is empty; say what the skill should do")
    if ready and state is None:
        raise InputError("--ready needs to know what holds now; add --state, such as --state 'count(\"stick\") >= 2'")
    needs: dict[str, Any] = {
        "state": None if state is None else _stated(state),
        "unready": "drop" if ready else "last",
    }
    empty = "nothing fits; habilis skills list shows all"
    # A run may own the home: its folder is left alone, and a server's vectors are read only.
    with read_home(home) as opened, open_library(opened, _at_hand(opened), index) as library:
        hits = library.search(text, k=k, abstain=not anyway, diversity=0.3 if diverse else 0.0, tokens=tokens, **needs)
        nearest = [] if hits else library.search(text, k=1, **needs)
    for hit in nearest:
        if hit.chance < hit.threshold and not anyway:
            empty = (
                f"nothing is likely to serve. The nearest, {hit.skill.name}, has a chance of {hit.chance:.2f}, and "
                f"{hit.threshold:.2f} is asked for" + (f" ({plain(hit.why)})" if why else "") + "; --anyway lists it"
            )
        else:
            empty = f"{hit.skill.name} fits, and takes {hit.tokens} tokens with what it calls; raise --tokens {tokens}"
    if as_json and not hits:
        print(empty, file=sys.stderr)
    columns = ("name", "chance", *(("tokens",) if tokens is not None else ()), "goal", *(("why",) if why else ()))
    show([_found(h) for h in hits], columns, as_json=as_json, empty=empty)


@skills.command()
def show(
    name: NameArgument,
    home: HomeOption = None,
    version: Annotated[int | None, typer.Option("--version", help="[the latest]")] = None,
    world: WorldOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show one skill: source, goal, evidence, history, and the world that it comes from."""
    from habilis._text import plain
    from habilis.cli._output import say_json
    from habilis.core import NotFoundError, dump

    with read_home(home) as opened:
        try:
            skill = opened.journal.skill(name, version if world is None else _of(opened, name, version, world))
        except NotFoundError:
            if world is not None:
                raise
            names = {s.name for s in opened.journal.skills(None)} | {d.name for d in opened.journal.damaged_skills()}
            if name in names:
                kept = (*opened.journal.skills(None, name), *opened.journal.damaged_skills(name))
                raise NotFoundError.of(f"version of {name}", str(version), (str(s.version) for s in kept)) from None
            raise NotFoundError.of("skill", name, names) from None
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


@skills.command()
def reflexes(home: HomeOption = None, as_json: JsonOption = False) -> None:
    """List the reflexes that were learned, and those that did not prove themselves."""
    from dataclasses import asdict

    from habilis.cli._output import show
    from habilis.memory.reflexes import learned_reflexes

    with read_home(home) as opened:
        rows = [
            {**asdict(one), "won": f"{one.wins} of {one.pairs}"}
            for one in learned_reflexes(opened.journal, status=None)
        ]
    columns = ("name", "trigger", "skill", "status", "won", "steps_with", "steps_without")
    show(rows, columns, as_json=as_json, empty="no reflex was learned; habilis run --reflexes learned looks for some")


def read_home(home: Path | None) -> Any:
    """The home, for reading only."""
    from habilis.memory.home import Home, default_home

    return Home.open(home or default_home(), create=False, read_only=True)


def library_of(
    home: Path | None, name: str, world: str | None, *, read_only: bool = False, index: str = "chroma"
) -> Any:
    """The library of the world whose skill this is."""
    import contextlib
    from collections.abc import Iterator

    from habilis._embedders import library_at_hand
    from habilis.core import InputError, NotFoundError
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
            fingerprint = next(iter(worlds), None)
            with library_at_hand(owned, index, fingerprint=fingerprint) as library:
                yield library

    return opened()


def _of(home: Any, name: str, version: int | None, world: str) -> int:
    """The number of a version of a skill in this world (a name, or a fingerprint), by default the one in use."""
    from habilis.core import NotFoundError

    every: list[Skill] = home.journal.skills(None, name)
    mine = [s for s in every if world in (s.world, s.fingerprint)]
    if not mine:
        raise NotFoundError.of(
            f"skill {name} of the world", world, {w for s in every for w in (s.world, s.fingerprint)}
        )
    asked = [s.version for s in mine if version in (None, s.version)]
    if not asked:
        raise NotFoundError.of(f"version of {name} in {world}", str(version), (str(s.version) for s in mine))
    in_use = [s.version for s in mine if s.version in asked and s.status == "active"]
    return max(in_use or asked)


def _told(skill: Skill) -> list[str]:
    """What there is to know of a skill, line by line."""
    from habilis._text import number, plain

    e = skill.evidence
    lines = [
        f"{plain(skill.name)}  version {skill.version}, {skill.status}, by {plain(skill.origin) or 'someone'}, world "
        f"{plain(skill.world)} ({plain(skill.fingerprint)})",
        f"  {plain(skill.doc)}",
        f"  goal      {plain(skill.goal_template)}",
    ]
    if skill.whence:
        lines.append(f"  from      {plain(skill.whence)}")
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
        lines.append(f"            {plain(name)}: {record.successes} of {record.runs}, posterior {record.mean:.2f}")
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
    lines.append(f"  calls     {plain(', '.join(skill.program.calls)) or 'no other skill'}")
    if skill.due:
        lines.append(f"  due       to be verified again: {plain(skill.due)}")
    return lines


def _range(parameter: Parameter) -> str:
    if parameter.choices:
        return f", one of {', '.join(map(str, parameter.choices))}"
    low, high = parameter.low, parameter.high
    bounds = [f"from {low:g}" if low is not None else "", f"up to {high:g}" if high is not None else ""]
    return "".join(f", {bound}" for bound in bounds if bound)


def _at_hand(home: Any) -> Any:
    """The home's embedder; None, and a line that says so, where it would have to be fetched."""
    from habilis._embedders import embedder_at_hand

    found = embedder_at_hand(home)
    if found is None:
        model = str(home.embedder).partition(":")[0]
        told = f"by words and spelling alone: {model} is not in the model cache; habilis models get {model}"
        print(told, file=sys.stderr)
    return found


def _damaged_row(skill: Any) -> dict[str, Any]:
    return {"name": skill.name, "version": skill.version, "status": "damaged", "goal": None, "why": skill.why}


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


def _found(hit: Any) -> dict[str, Any]:
    from habilis.core import InputError, fill

    row = _row(hit.skill)
    try:
        row["goal"] = fill(hit.skill.goal_template, hit.args)
    except InputError:
        pass
    numbers = ("chance", "threshold", "score", "margin", "dense", "z_dense", "lexical", "z_lexical", "common")
    return {
        **row,
        "args": dict(hit.args),
        **{name: round(getattr(hit, name), 3) for name in numbers},
        "ready": hit.ready,
        "lacks": list(hit.lacks),
        "done": hit.done,
        "closure": [s.name for s in hit.closure],
        "tokens": hit.tokens,
        "why": hit.why,
    }


def _stated(text: str) -> Any:
    """A goal read as what holds: each fact just so that its atom does."""
    from habilis.core import Fact, Goal, InputError, Snapshot

    goal = Goal.parse(text)
    if goal.judged is not None:
        raise InputError('--state takes facts, such as count("stick") >= 2 and near("furnace"), and no judged goal')
    facts: dict[Fact, Any] = {}
    tags: dict[str, frozenset[str]] = {}
    for atom in goal.atoms:
        value = atom.value
        if atom.op in (">", "<") and not isinstance(value, bool):
            value += 1 if atom.op == ">" else -1
        elif atom.op == "!=":
            value = (not value) if isinstance(value, bool) else value + 1
        # Of a tag nobody says which member is meant; one that is called like the tag stands for all.
        args = tuple(a[1:] if isinstance(a, str) and a.startswith("#") else a for a in atom.fact.args)
        tags |= {str(a): frozenset((str(a)[1:],)) for a in atom.fact.args if str(a).startswith("#")}
        facts[Fact(atom.fact.predicate, args)] = value
    return Snapshot(facts, tags)

"""``habilis tools pick``: what would be used for a task, and why."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from habilis.cli._options import HomeOption, JsonOption
from habilis.cli._tools import WorldOption, _cost, _known, tools

if TYPE_CHECKING:
    from habilis.core import Augmentation, Budget, Choice, Cost, Embedder, Json, Kind, Selection, Selector
    from habilis.tools import Catalogue

__all__ = ["tools"]

_DEMONSTRATIONS = 200  # of the latest run that are considered; older ones show what was known earlier


@tools.command()
def pick(
    text: Annotated[str, typer.Argument(help="the task, in words")],
    budget: Annotated[
        str, typer.Option("--budget", help="usd=0.02,seconds=5; kinds that are not named have no limit")
    ] = "usd=0",
    context: Annotated[int, typer.Option("--context", min=0, help="tokens of the prompt that it may take")] = 16_000,
    kinds: Annotated[
        str, typer.Option("--kinds", help="tool, skill, demonstration, document, model; separated by commas")
    ] = "",
    world: WorldOption = "craft",
    home: HomeOption = None,
    why: Annotated[bool, typer.Option("--why", help="tell of everything that was considered")] = False,
    as_json: JsonOption = False,
) -> None:
    """Say what would be used for a task within a budget, and why. No tool is called, and the home is only read."""
    from habilis.cli._output import say_json
    from habilis.core import Budget, InputError, Task, judged
    from habilis.tools import BudgetSelector, of_tool

    if not text.strip():
        raise InputError("the task is empty; say what should be done")
    wanted, limit = _kinds(kinds), Budget.parse(budget)
    with _known(home, world) as (registry, _, failures):
        for told in failures.values():
            print(f"warning: {told}", file=sys.stderr)
        for why_not in filter(None, map(registry.refusal, registry.names())):
            print(f"left out: {why_not}", file=sys.stderr)
        offered = [of_tool(one) for one in registry if not registry.refusal(one.name)]
        catalogue, fingerprint = _of_home(home, world, BudgetSelector(max_context=context), offered)
        task = Task(judged(text), world, 0, text, origin="user", fingerprint=fingerprint)
        selection = catalogue.pick(task, limit, kinds=wanted)
    left = _left(limit, selection.cost) | {"context": context - sum(a.context for a in selection.taken)}
    if as_json:
        say_json(
            {"taken": [a.id for a in selection.taken], "cost": selection.cost.nonzero(), "left": left}
            | {"choices": [_data(c) for c in selection.choices]}
        )
        return
    if not selection.taken:
        print(_nothing(selection, wanted))
    _show(selection, why)
    if selection.taken:
        used = {**selection.cost.nonzero(), "context": sum(a.context for a in selection.taken)}
        print(f"together: {_amounts(used)}" + (f"; left: {_amounts(left)}" if left else ""))


def _kinds(text: str) -> tuple[Kind, ...]:
    """Raises `NotFoundError` for one that is none."""
    from habilis.core import Kind, NotFoundError

    named = [name.strip() for name in text.split(",") if name.strip()]
    for name in named:
        if name not in list(Kind):
            raise NotFoundError.of("kind", name, Kind)
    return tuple(kind for kind in Kind if kind in named) if named else tuple(Kind)


def _of_home(home: Path | None, world: str, selector: Selector, tools: Iterable[Augmentation]) -> tuple[Catalogue, str]:
    """A catalogue of the tools and of the home's documents, its skills in this world and what its latest run solved,
    with all that was learned of them; and the world's fingerprint. A home that does not exist has nothing."""
    from habilis._embedders import embedder_at_hand
    from habilis._worlds import open_world
    from habilis.agent.experience import Experience
    from habilis.core import EventStream, NotFoundError
    from habilis.memory.embedding import HashEmbedder
    from habilis.memory.home import Home, default_home
    from habilis.memory.index import MemoryIndex
    from habilis.tools import Catalogue, KnowledgeBase, of_episode, of_skill

    def filled(embedder: Embedder, *more: Augmentation) -> Catalogue:
        catalogue = Catalogue(MemoryIndex(embedder.dim), embedder, selector)
        catalogue.put(*tools, *more)
        return catalogue

    fingerprint = open_world(world, {})().spec.fingerprint
    try:
        opened = Home.open(home or default_home(), create=False, read_only=True)
    except NotFoundError as error:
        print(f"only the tools of the world {world}: {error}", file=sys.stderr)
        return filled(HashEmbedder()), fingerprint
    with opened:
        embedder = embedder_at_hand(opened)
        if embedder is None:
            model = str(opened.embedder).partition(":")[0]
            print(f"by spelling alone: {model} is not in the model cache; habilis models get {model}", file=sys.stderr)
            embedder = HashEmbedder()
        journal = opened.journal
        kept = [*KnowledgeBase(journal).augmentations()]
        kept += (of_skill(s) for s in journal.skills() if s.fingerprint == fingerprint)
        runs = journal.runs()
        solved = journal.episodes(runs[-1].id, status="solved", with_trajectories=False) if runs else ()
        shown = [e for e in solved if e.task.fingerprint == fingerprint and any(a.ok for a in e.attempts)]
        kept += map(of_episode, shown[-_DEMONSTRATIONS:])
        catalogue = filled(embedder, *kept)
        Experience(catalogue, journal, EventStream(), fingerprint).recall()
        return catalogue, fingerprint


def _left(limit: Budget, cost: Cost) -> dict[str, float]:
    """What the limits leave, by kind."""
    from habilis.core.budget import KINDS

    most = {kind: getattr(limit, kind) for kind in KINDS}
    return {kind: max(0, value - getattr(cost, kind)) for kind, value in most.items() if value is not None}


def _nothing(selection: Selection, wanted: Sequence[Kind]) -> str:
    """Why nothing was taken, and what to do."""
    from habilis.core.budget import KINDS

    if not selection.choices:
        told = f"there is no {' or '.join(kind.value for kind in wanted)} to pick from"
        more = {
            "tool": "habilis tools add registers tools",
            "skill": "habilis run learns skills",
            "document": "habilis know add takes in documents",
        }
        helping = [more[kind.value] for kind in wanted if kind.value in more]
        return f"{told}: {', '.join(helping)}" if helping else told
    able = [c for c in selection.choices if c.success > 0]
    if not able:
        best = max(selection.choices, key=lambda c: c.relevance)
        return (
            f"nothing is near enough to this task: the nearest is {best.augmentation.id}, relevance "
            f"{best.relevance:.2f}. Say it in other words, or register a tool for it: habilis tools add"
        )
    best = max(able, key=lambda c: c.success)
    told = f"{best.augmentation.id}, the likeliest to help: {best.why}"
    if best.blocked == "worth":
        return f"nothing is worth its price: {told}; it is cheaper beside a larger --budget or --context"
    more = {"context": "; raise --context", "requires": "; register what it needs: habilis tools add"}
    more |= dict.fromkeys(KINDS, "; raise it in --budget")
    return f"nothing can be taken: {told}{more.get(best.blocked, '')}"


def _show(selection: Selection, why: bool) -> None:
    """What was taken, and with ``why`` everything that was considered."""
    from habilis.cli._output import show

    rows = [
        {
            "": "take" if c.taken else "",
            "what": c.augmentation.id,
            "cost": _cost(c.augmentation.cost.nonzero()),
            "context": c.augmentation.context,
            "relevance": f"{c.relevance:.2f}",
            "chance": f"{c.success:.2f}",
            "price": f"{c.price:.2f}",
            "why": c.why,
        }
        for c in selection.choices
        if c.taken or why
    ]
    columns = (
        ("", "what", "cost", "context", "relevance", "chance", "price", "why") if why else ("what", "cost", "context")
    )
    if rows:
        show(rows, columns, as_json=False, empty="")


def _amounts(values: Mapping[str, float]) -> str:
    context = f"{values['context']:,} tokens of the prompt" if "context" in values else ""
    told = _cost({kind: value for kind, value in values.items() if kind != "context"})
    return ", ".join(filter(None, (told, context)))


def _data(choice: Choice) -> dict[str, Json]:
    one = choice.augmentation
    return {
        "id": one.id,
        "taken": choice.taken,
        "why": choice.why,
        "blocked": choice.blocked,
        "relevance": choice.relevance,
        "chance": choice.success,
        "price": round(choice.price, 6),
        "cost": one.cost.nonzero(),
        "context": one.context,
        "provides": one.provides,
        "requires": list(one.requires),
    }

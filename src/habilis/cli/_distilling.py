"""``habilis distil``: the home's experience into the weights of a small model."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from habilis.cli._corpus import ExamplesOption
from habilis.cli._options import HomeOption, IndexOption, JsonOption, OptOption, WorldOption, check_home, options_of


def distil(
    home: HomeOption = None,
    world: WorldOption = "craft",
    option: OptOption = None,
    seconds: Annotated[float, typer.Option("--seconds", help="for everything together")] = 420.0,
    steps: Annotated[int | None, typer.Option("--steps", min=1, help="of training, at most")] = None,
    base: Annotated[
        str, typer.Option("--base", help="smollm2, a folder, a .gguf file, or a Hugging Face id")
    ] = "smollm2",
    after: Annotated[
        str, typer.Option("--after", help="a model to go on from, none, or auto: the adopted one")
    ] = "auto",
    regulariser: Annotated[
        str, typer.Option("--regulariser", help="none, l2, ewc, online_ewc, kl, replay, ewc_replay, kl_replay")
    ] = "kl_replay",
    drift: Annotated[float, typer.Option("--drift", help="how much may be forgotten: rise of perplexity")] = 0.03,
    strength: Annotated[float | None, typer.Option("--strength", help="λ itself, in place of --drift")] = None,
    fisher_on: Annotated[str, typer.Option("--fisher-on", help="self, corpus or both")] = "self",
    text: Annotated[Path | None, typer.Option("--text", help="for --fisher-on corpus: what should be kept")] = None,
    fisher: Annotated[Path | None, typer.Option("--fisher", help="a file of Fisher information to use")] = None,
    method: Annotated[str, typer.Option("--method", help="lora or full")] = "lora",
    rank: Annotated[int, typer.Option("--rank", min=1, help="of LoRA")] = 8,
    batch: Annotated[int, typer.Option("--batch", min=1, help="examples per step")] = 8,
    micro_batch: Annotated[
        int | None, typer.Option("--micro-batch", min=1, help="examples at a time, where memory is short")
    ] = None,
    checkpointing: Annotated[bool, typer.Option("--checkpointing", help="less memory, a third more time")] = False,
    learning_rate: Annotated[float, typer.Option("--learning-rate", help="the highest; it falls to 0")] = 5e-4,
    epochs: Annotated[int, typer.Option("--epochs", min=1, help="passes over the examples at most")] = 3,
    dtype: Annotated[str, typer.Option("--dtype", help="auto, bfloat16 or float32")] = "auto",
    device: Annotated[str, typer.Option("--device", help="auto, cpu, cuda, cuda:1, mps, xpu")] = "auto",
    seed: Annotated[int, typer.Option("--seed", help="of everything random, the corpus' splits too")] = 0,
    max_drift: Annotated[float, typer.Option("--max-drift", help="of the gate: rise of perplexity")] = 0.05,
    max_forgetting: Annotated[
        float, typer.Option("--max-forgetting", help="of the gate: fall of a family of an earlier distillation")
    ] = 0.05,
    examples: ExamplesOption = None,
    family: Annotated[
        list[str] | None, typer.Option("--family", help="train on these alone, as corpus build names them; repeatable")
    ] = None,
    log: Annotated[Path | None, typer.Option("--log", help="a folder for TensorBoard")] = None,
    launch: Annotated[
        str | None, typer.Option("--launch", help="train in processes of their own: 'accelerate launch …'")
    ] = None,
    index: IndexOption = "chroma",
    as_json: JsonOption = False,
) -> None:
    """Turn the home's experience into the weights of a small model; the gate decides whether it is adopted."""
    import asyncio

    from habilis._distil import Distilling, distil_now
    from habilis.cli._output import say_json, say_warning
    from habilis.live import LiveView
    from habilis.run import Agent, AgentSettings
    from habilis.trainer import Gate, TrainSettings

    settings = TrainSettings(
        rank=rank,
        batch=batch,
        learning_rate=learning_rate,
        epochs=epochs,
        regulariser=regulariser,
        drift=drift,
        dtype=dtype,
        seed=seed,
        method=method,
        strength=strength,
        micro_batch=micro_batch,
        checkpointing=checkpointing,
        device=device,
        fisher=fisher_on,
    )
    how = Distilling(
        base=base,
        seconds=seconds,
        steps=steps,
        settings=settings,
        gate=Gate(max_drift=max_drift, max_forgetting=max_forgetting),
        after=after,
        text=text,
        fisher=fisher,
        log=log,
        launcher=_words(launch),
        examples=tuple(examples or ()),
        families=tuple(family or ()),
    )
    check_home(home)
    with Agent(world, home=home, world_options=options_of(option), settings=AgentSettings(index=index)) as agent:
        if as_json:
            agent.events.subscribe(say_warning)
            say_json(asyncio.run(distil_now(agent._parts, how)))
            return
        with LiveView().watch(agent.events):
            result = asyncio.run(distil_now(agent._parts, how))
    print(f"{result['model']}: {'adopted' if result['adopted'] else 'not adopted'}")
    for reason in result["reasons"]:
        print(f"  {reason}")


def _words(launch: str | None) -> tuple[str, ...]:
    """The command in words, as a shell reads it. Raises `InputError`."""
    from habilis.core import InputError

    try:
        return tuple(shlex.split(launch or ""))
    except ValueError as error:
        raise InputError(f"cannot read --launch {launch!r}: {error}; quote words as for a shell") from error

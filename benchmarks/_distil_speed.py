"""What the training loop costs beside transformers' own `Trainer` on a peft model, in CPU seconds on the same batches.

Both take the same steps of the same examples, padded in the same way, with the same LoRA layers, in the same
arithmetic, in segments by turns, so that what else runs on the machine meets both. The first step of a segment warms
up. Neither has held-out text to look at: the probes of the drift are not in it.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

from habilis.core import need
from habilis.trainer import BaseModel, Example, Remembered, TrainSettings, remember, train, with_lora
from habilis.trainer._lm import arithmetic, encode
from habilis.trainer.base import load_model
from habilis.trainer.training.planning import Steps

SIDES = ("plain", "none", "ewc")


def throughput(
    base: BaseModel, settings: TrainSettings, examples: Sequence[Example], segments: int, steps: int
) -> dict[str, Any]:
    """CPU seconds of each side in each segment of ``steps`` steps, the first step left out; and tokens of a segment."""
    size = steps * settings.batch
    spent: dict[str, list[float]] = {side: [] for side in SIDES}
    tokens = []
    for number in range(segments):
        start = number * size % max(1, len(examples) - size + 1)
        part = examples[start : start + size]
        order = SIDES if number % 2 == 0 else SIDES[::-1]
        for side in order:
            model, tokenizer = load_model(base.path)
            run = _plain(model, tokenizer, part, settings, steps) if side == "plain" else _ours(
                model, tokenizer, part, replace(settings, regulariser=side), steps, base
            )  # fmt: skip
            spent[side].append(round(run, 4))
        rows = [encode(tokenizer, e) for e in part]
        tokens.append(sum(len(p) + len(a) for p, a in rows))
    return {"cpu_segments": spent, "steps_timed": steps - 1, "tokens_of_segments": tokens}


def _ours(
    model: Any, tokenizer: Any, examples: Sequence[Example], settings: TrainSettings, steps: int, base: BaseModel
) -> float:
    memory = remember(base, replace(settings, seed=0))
    ends: list[float] = []
    with tempfile.TemporaryDirectory(prefix="habilis-distil-") as folder:
        train(
            model,
            tokenizer,
            examples,
            Path(folder) / "work",
            settings=settings,
            remembered=Remembered(memory.model, memory.texts, memory.fisher, dtype=arithmetic(settings.dtype, "cpu")),
            steps=steps,
            progress=lambda phase, step, of, loss: ends.append(time.process_time()),
        )
    return _between(ends)


def _plain(model: Any, tokenizer: Any, examples: Sequence[Example], settings: TrainSettings, steps: int) -> float:
    torch, transformers = need("torch"), need("transformers")
    batches = Steps([encode(tokenizer, e) for e in examples], settings, steps, int(tokenizer.pad_token_id))
    names = ("input_ids", "attention_mask", "labels")
    ends: list[float] = []

    class Ordered(transformers.Trainer):  # type: ignore[misc, name-defined]
        def get_train_dataloader(self) -> Any:
            return torch.utils.data.DataLoader(self.train_dataset, batch_size=1, collate_fn=lambda items: items[0])

    class Timer(transformers.TrainerCallback):  # type: ignore[misc, name-defined]
        def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            ends.append(time.process_time())

    with tempfile.TemporaryDirectory(prefix="habilis-distil-") as folder:
        arguments = transformers.TrainingArguments(
            output_dir=folder,
            max_steps=steps,
            learning_rate=settings.learning_rate,
            weight_decay=0.0,
            bf16=arithmetic(settings.dtype, "cpu") == "bfloat16",
            use_cpu=True,
            save_strategy="no",
            logging_strategy="no",
            report_to=[],
            disable_tqdm=True,
            remove_unused_columns=False,
            dataloader_pin_memory=False,
            seed=settings.seed,
        )
        loop = Ordered(
            model=with_lora(model, settings).train(),
            args=arguments,
            train_dataset=[{n: batches[i][n] for n in names} for i in range(steps)],
            callbacks=[Timer()],
        )
        loop.remove_callback(transformers.PrinterCallback)
        loop.train()
    return _between(ends)


def _between(ends: Sequence[float]) -> float:
    return sum(b - a for a, b in pairwise(ends))

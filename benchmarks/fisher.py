"""The exact per-sample Fisher diagonal with hooks (batch 8, bfloat16) against one backward pass per sample (float32).

    python -m benchmarks.fisher            64 samples of 128 tokens of SmolLM2-135M
    python -m benchmarks.fisher --quick    8 samples

``speedup`` is in CPU seconds, so that another process on the machine moves it little. ``exact``: Pearson's correlation
over all weights of the hooks in float32 with the definition; ``bfloat16``: of what is used. The two differ where a rare
text has a gradient a hundred times the usual in float32 and not in bfloat16; one such text then rules the exact mean.
"""

from __future__ import annotations

import time
from typing import Any

from benchmarks._harness import Figure, Options, main


def measure(options: Options) -> dict[str, Figure]:
    import torch

    from habilis.trainer import diagonal_fisher, get_base
    from habilis.trainer._lm import self_generated, start_token
    from habilis.trainer.base import load_model

    count = 8 if options.quick else 64
    folder = get_base("smollm2").path
    writer, tokenizer = load_model(folder, "bfloat16")
    ids = self_generated(writer, count, 128, 0, start=start_token(tokenizer), dtype="float32")
    model, _ = load_model(folder)

    began = time.process_time()
    found = diagonal_fisher(model, ids)
    ours = time.process_time() - began

    began = time.process_time()
    exact = _naive(torch, model, ids)
    naive = time.process_time() - began

    a = torch.cat([t.flatten() for t in exact.values()])
    b = torch.cat([found.diagonal[n].flatten() for n in exact])
    same = diagonal_fisher(model, ids, dtype="float32")
    c = torch.cat([same.diagonal[n].flatten() for n in exact])
    return {
        "speedup": Figure.of([naive / ours], "times"),
        "cpu_s_per_sample": Figure.of([ours / count], "s"),
        "naive_cpu_s_per_sample": Figure.of([naive / count], "s"),
        "exact": Figure.of([torch.corrcoef(torch.stack([a, c]))[0, 1].item()]),
        "bfloat16": Figure.of([torch.corrcoef(torch.stack([a, b]))[0, 1].item()]),
        "bfloat16_sum_ratio": Figure.of([(b.sum() / a.sum()).item()]),
    }


def _naive(torch: Any, model: Any, ids: Any) -> dict[str, Any]:
    """The definition: a backward pass for each sample, every gradient squared."""
    from habilis.trainer._lm import linear_layers

    weights = {n: m.weight for n, m in linear_layers(model).items()}
    model.requires_grad_(False)
    total = {n: torch.zeros_like(w) for n, w in weights.items()}
    for w in weights.values():
        w.requires_grad_(True)
    for row in ids:
        model(input_ids=row[None], labels=row[None], use_cache=False).loss.backward()
        for n, w in weights.items():
            total[n].addcmul_(w.grad, w.grad)
            w.grad = None
    return {n: t / len(ids) for n, t in total.items()}


if __name__ == "__main__":
    main("fisher", measure, aims={"speedup": ">= 2", "exact": ">= 0.999"}, seeds=1, quick_seeds=1)

"""How many steps fit into the budget, and which examples each step reads."""

from __future__ import annotations

import hashlib
import json
import math
import random
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from habilis.core import InputError, need
from habilis.trainer._lm import Encoded, batches, collate
from habilis.trainer.training.checkpoints import last_good
from habilis.trainer.training.settings import TrainSettings

PROBES = 5  # how often the true drift is measured during a training, at even distances
EARLY = (2, 5, 10)  # and after these steps: with a wrong c the first steps go further than all others can take back


@dataclass(frozen=True)
class Plan:
    """``steps``: how many; ``examples``: how many of the offered ones take part, from the front."""

    steps: int
    examples: int


def new_per_step(settings: TrainSettings, share: float) -> int:
    """Examples of a step that are not replayed: at least one."""
    return max(1, settings.batch - round(share * settings.batch))


def make_plan(
    folder: Path,
    rows: Sequence[Encoded],
    settings: TrainSettings,
    about: str,
    share: float,
    steps: int | None,
    deadline: float | None,
    seconds_per_step: Callable[[], float],
) -> Plan:
    """The plan is kept in the folder, since a training that goes on must not change it. ``about``: what else it is
    of."""
    key = json.dumps([asdict(settings), about, hashlib.sha256(json.dumps(rows).encode()).hexdigest(), steps])
    file = folder / "plan.json"
    if file.exists():
        known: Mapping[str, Any] = _read(file)
        if known.get("key") == key and last_good(folder) is not None:
            return Plan(known["steps"], known["examples"])
        shutil.rmtree(folder)
    folder.mkdir(parents=True, exist_ok=True)
    new = new_per_step(settings, share)
    most = settings.epochs * math.ceil(len(rows) / new)
    planned = most if steps is None else min(most, steps) if deadline is not None else steps
    if deadline is not None:
        step = seconds_per_step()
        left = deadline - time.monotonic()
        # A tenth is kept for other load on the machine, and the probes of the drift cost up to three steps each.
        fitting = int(0.9 * left / step) - 3 * (PROBES + 2)
        fitting = max(fitting, int(0.5 * left / step)) if fitting < 2 * PROBES else fitting
        if fitting < 1:
            raise InputError(
                f"one training step takes {step:.1f} s and {max(0.0, left):.1f} s are left, so no step fits; "
                "give the distillation more time (--seconds, --distil-seconds of a run) or use a smaller batch "
                f"(now {settings.batch})"
            )
        planned = min(planned, fitting)
    if planned < 1:
        raise InputError(f"a training needs at least 1 step, got steps={steps}")
    plan = Plan(planned, min(len(rows), planned * new))
    file.write_text(json.dumps({"key": key, **asdict(plan)}))
    return plan


def _read(file: Path) -> Mapping[str, Any]:
    try:
        found: Mapping[str, Any] = json.loads(file.read_text())
    except (OSError, ValueError):
        return {}
    return found


class Steps:
    """The parts that one process reads, in order: `parts` of them make a step. A sequence of what the objective takes.

    Lengths of a step's examples are alike (less padding). What is replayed in a step depends on seed and step alone.
    """

    def __init__(
        self,
        rows: Sequence[Encoded],
        settings: TrainSettings,
        steps: int,
        pad: int,
        *,
        replay: Sequence[Encoded] = (),
        share: float = 0.0,
        process: int = 0,
        processes: int = 1,
    ) -> None:
        self.rows, self.settings, self.pad, self.replay = rows, settings, pad, replay
        self.process, self.processes = process, processes
        new = new_per_step(settings, share if replay else 0.0)
        self.replayed = settings.batch - new if replay else 0
        self.order: list[list[int]] = []
        epoch = 0
        while len(self.order) < steps:
            self.order += batches(rows, new, settings.seed + 1000 * epoch)
            epoch += 1
        self.order = self.order[:steps]
        own = math.ceil(settings.batch / processes)
        self.size = own if settings.micro_batch is None else min(own, settings.micro_batch)
        self.parts = math.ceil(own / self.size)

    def __len__(self) -> int:
        return len(self.order) * self.parts

    def __getitem__(self, index: int) -> dict[str, Any]:
        step, part = divmod(index, self.parts)
        if step >= len(self.order):
            raise IndexError(index)
        taken = [self.rows[i] for i in self.order[step]]
        draw = random.Random(f"replay {self.settings.seed} {step}")
        taken += [self.replay[draw.randrange(len(self.replay))] for _ in range(self.replayed)]
        own = taken[self.process :: self.processes][part * self.size : (part + 1) * self.size]
        # A part without examples still takes part in the sum over processes.
        return {
            **collate(own or [([self.pad, self.pad], [])], self.pad),
            "tokens": sum(len(a) for _, a in taken),
            "parts": self.parts,
            "processes": self.processes,
            "step": step,
            "last": part == self.parts - 1,
        }


def measure_step(objective: Any, steps: Steps) -> float:
    """Seconds of a forward and backward pass over a step of typical length; the first of two warms up."""
    torch = need("torch")
    lengths = sorted(range(len(steps.order)), key=lambda s: sum(len(p) + len(a) for p, a in _of(steps, s)))
    middle = lengths[(len(lengths) * 2) // 3] if lengths else 0
    seconds = 0.0
    for _ in range(2):
        began = time.perf_counter()
        for part in range(steps.parts):
            item = steps[middle * steps.parts + part]
            torch.autograd.backward(objective(**_moved(item, objective))["loss"])
        seconds = time.perf_counter() - began
    objective.zero_grad()
    return seconds


def _of(steps: Steps, step: int) -> list[Encoded]:
    return [steps.rows[i] for i in steps.order[step]]


def _moved(item: Mapping[str, Any], objective: Any) -> dict[str, Any]:
    device = next(objective.parameters()).device
    return {k: v.to(device) if hasattr(v, "to") else v for k, v in item.items()}

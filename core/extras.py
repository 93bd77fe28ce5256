"""Imports of libraries that are heavy or optional, made when first needed."""

from __future__ import annotations

import importlib
import os
import warnings
from typing import Any

from habilis.core.errors import MissingExtraError


def need(module: str, what: str = "training", *, install: str = "'habilis[train]'") -> Any:
    """Import a module. Raises `MissingExtraError` that says ``what`` needs it, and with ``install`` how to get it."""
    name = module.split(".")[0]
    if name in ("transformers", "peft"):
        # Without this the tokenizer warns whenever something forks after it was used.
        os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
        os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    if name in ("torch", "transformers", "peft"):
        # Threads that spin while they wait cost five times the time as soon as another process wants the cores.
        os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    try:
        found = importlib.import_module(module)
    except ImportError as error:
        raise MissingExtraError(
            f"{what} needs {name!r}, which cannot be imported ({error}); run: pip install {install}"
        ) from error
    if module == "transformers":
        # Progress is told through our own callback; what peft should call otherwise is not for users to mend.
        found.utils.logging.disable_progress_bar()
        warnings.filterwarnings("ignore", message=".*is_gradient_checkpointing.*", category=FutureWarning)
    return found


def has_bfloat16(device: str = "cpu") -> bool:
    """Whether a kind of device ("cpu", "cuda", "xpu", "mps") computes in bfloat16 by itself.

    Others imitate it: a CPU with AVX2 alone took 43 times as long for a product of matrices as in float32.
    """
    torch = need("torch")
    if device == "cuda":
        return bool(torch.cuda.is_bf16_supported())
    if device == "cpu":
        told: dict[str, bool] = getattr(torch.cpu, "get_capabilities", dict)()
        return any(there for name, there in told.items() if "bf16" in name)
    return device == "xpu"

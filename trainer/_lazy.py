"""Imports of the heavy libraries, made when first needed."""

from __future__ import annotations

import importlib
import os
from typing import Any

from habilis.core.errors import MissingExtraError


def need(module: str) -> Any:
    """Import a module of the ``train`` extra; raises `MissingExtraError` with the command that installs it."""
    if module.split(".")[0] in ("transformers", "peft"):
        # Without this the tokenizer warns whenever something forks after it was used.
        os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
        os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    if module == "torch":
        # Threads that spin while they wait cost five times the time as soon as another process wants the cores.
        os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    try:
        found = importlib.import_module(module)
    except ImportError as error:
        name = module.split(".")[0]
        raise MissingExtraError(
            f"training needs {name!r}, which cannot be imported ({error}); run: pip install 'habilis[train]'"
        ) from error
    if module == "transformers":
        # Progress is told through our own callback.
        found.utils.logging.disable_progress_bar()
    return found

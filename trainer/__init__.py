"""Turns experience into the weights of a small model, without making it forget what it knew.

Corpus from episodes, Fisher information, regularisers, training, evaluation, forgetting and the gate. May import
`habilis.core`, `habilis.worlds` and `habilis.memory`, never `habilis.agent`. Needs the extra ``train``, and loads it
when first used.
"""

from habilis.trainer.base import BaseModel, fingerprint, get_base, tiny_random_model
from habilis.trainer.corpus import (
    CORPUS_VERSION,
    Corpus,
    Example,
    build_corpus,
    check_corpus,
    load_corpus,
    save_corpus,
)
from habilis.trainer.distil import DistilOptions, DistilResult, distil, distil_corpus
from habilis.trainer.drift import DriftControl
from habilis.trainer.evaluate import Evaluation, calibration_error, evaluate, heldout_text, perplexity
from habilis.trainer.examples import read_examples
from habilis.trainer.export import export_model, update_kept
from habilis.trainer.families import FAMILIES, Family
from habilis.trainer.fisher import Fisher, diagonal_fisher
from habilis.trainer.forgetting import ForgettingMatrix
from habilis.trainer.gate import Decision, Gate
from habilis.trainer.held_out import HeldOut, PlanRunner, PlanTask, ProgramRunner, ProgramTask
from habilis.trainer.memory import BaseMemory, prepare_base, remember
from habilis.trainer.regularisers import (
    REGULARISERS,
    Consolidating,
    Regulariser,
    Remembered,
    State,
    open_regulariser,
)
from habilis.trainer.stages import goes_on_from
from habilis.trainer.training import Trained, TrainSettings, choose_device, train, with_lora

__all__ = [
    "CORPUS_VERSION",
    "FAMILIES",
    "REGULARISERS",
    "BaseMemory",
    "BaseModel",
    "Consolidating",
    "Corpus",
    "Decision",
    "DistilOptions",
    "DistilResult",
    "DriftControl",
    "Evaluation",
    "Example",
    "Family",
    "Fisher",
    "ForgettingMatrix",
    "Gate",
    "HeldOut",
    "PlanRunner",
    "PlanTask",
    "ProgramRunner",
    "ProgramTask",
    "Regulariser",
    "Remembered",
    "State",
    "TrainSettings",
    "Trained",
    "build_corpus",
    "calibration_error",
    "check_corpus",
    "choose_device",
    "diagonal_fisher",
    "distil",
    "distil_corpus",
    "evaluate",
    "export_model",
    "fingerprint",
    "get_base",
    "goes_on_from",
    "heldout_text",
    "load_corpus",
    "open_regulariser",
    "perplexity",
    "prepare_base",
    "read_examples",
    "remember",
    "save_corpus",
    "tiny_random_model",
    "train",
    "update_kept",
    "with_lora",
]

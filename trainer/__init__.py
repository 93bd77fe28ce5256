"""Turns experience into the weights of a small model, without making it forget what it knew.

Corpus from episodes, Fisher information, regularisers, training, evaluation and the gate. May import `habilis.core`,
`habilis.worlds` and `habilis.memory`, never `habilis.agent`. Needs the extra ``train``, and loads it when first used.
"""

from habilis.trainer.base import BaseModel, fingerprint, get_base, tiny_random_model
from habilis.trainer.corpus import (
    CORPUS_VERSION,
    Corpus,
    Example,
    PlanTask,
    build_corpus,
    check_corpus,
    load_corpus,
    save_corpus,
)
from habilis.trainer.distil import DistilResult, distil, prepare_base
from habilis.trainer.drift import DriftControl
from habilis.trainer.evaluate import Evaluation, PlanRunner, evaluate, heldout_text, perplexity
from habilis.trainer.examples import read_examples
from habilis.trainer.families import FAMILIES, Family
from habilis.trainer.fisher import Fisher, diagonal_fisher
from habilis.trainer.gate import Decision, Gate
from habilis.trainer.regularisers import Regulariser, State, open_regulariser
from habilis.trainer.train import Trained, TrainSettings, train, with_lora

__all__ = [
    "CORPUS_VERSION",
    "FAMILIES",
    "BaseModel",
    "Corpus",
    "Decision",
    "DistilResult",
    "DriftControl",
    "Evaluation",
    "Example",
    "Family",
    "Fisher",
    "Gate",
    "PlanRunner",
    "PlanTask",
    "Regulariser",
    "State",
    "TrainSettings",
    "Trained",
    "build_corpus",
    "check_corpus",
    "diagonal_fisher",
    "distil",
    "evaluate",
    "fingerprint",
    "get_base",
    "heldout_text",
    "load_corpus",
    "open_regulariser",
    "perplexity",
    "prepare_base",
    "read_examples",
    "save_corpus",
    "tiny_random_model",
    "train",
    "with_lora",
]

"""Outcomes of nine language models on 5,608 questions, with list prices, in three parts by the hash of the question.

The outcomes are ``data/dcrouter_preprocessed/train.json`` of github.com/ulab-uiuc/LLMRouter at 4e7a796 (MIT): for each
question a score from 0 to 1 of each model. There is no price in it, and no length of any answer. Prices are those that
the same repository lists for these models (``llmrouter/data/example_data/llm_candidates/default_llm.json``), in USD per
million tokens, the same for tokens read and written.

What a question costs is therefore estimated: its list price times the tokens of the question (a quarter of its bytes)
and of an answer that is taken to be equally long whoever gives it, and for every question. `ANSWER` is our assumption.
Prices differ between models by a factor of nine whatever it is; it decides how much long questions cost beside short
ones, and with that how much there is to save by choosing where to spend. Two more accounts mark the range: ``prompt``
counts nothing for the answer, and ``flat`` every question alike.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from habilis.core import Augmentation, Cost, InputError
from habilis.tools import of_model

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

PRICES = {
    "codegemma-7b": 0.20,
    "gemma-2-9b-it": 0.10,
    "llama-3.1-8b-instruct": 0.20,
    "llama-3.1-nemotron-51b-instruct": 0.90,
    "llama-3.3-nemotron-super-49b-v1": 0.90,
    "llama3-chatqa-1.5-70b": 0.90,
    "llama3-chatqa-1.5-8b": 0.20,
    "mistral-7b-instruct-v0.3": 0.20,
    "qwen2.5-7b-instruct": 0.20,
}
ANSWER = 128  # tokens
FIT, CHOOSE = 102, 154  # of 256: two fifths to learn from, a fifth to choose settings on, two fifths to report
ACCOUNTS = ("usual", "prompt", "flat")


@dataclass(frozen=True)
class Routed:
    """``scores``: (questions, models), 0 to 1; ``tokens``: of each question; ``part``: "fit", "choose" or "report"."""

    questions: list[str]
    models: list[str]
    scores: NDArray[np.float64]
    tokens: NDArray[np.float64]
    part: NDArray[np.str_]

    def costs(self, account: str = "usual") -> NDArray[np.float64]:
        """(questions, models), in USD."""
        import numpy as np

        tokens = {
            "usual": self.tokens + ANSWER,
            "prompt": self.tokens,
            "flat": np.full_like(self.tokens, ANSWER),
        }[account]
        result: NDArray[np.float64] = tokens[:, None] * np.array([PRICES[m] for m in self.models]) * 1e-6
        return result

    def things(self, costs: NDArray[np.float64] | None) -> list[Augmentation]:
        """The models as augmentations, any of which answers; ``costs``: (models,) in USD, None: free."""
        return [
            of_model(name, "answers questions", Cost(usd=0.0 if costs is None else float(costs[j])), provides="answer")
            for j, name in enumerate(self.models)
        ]


def part_of(question: str) -> str:
    byte = hashlib.sha256(question.encode("utf-8", "replace")).digest()[0]
    return "fit" if byte < FIT else "choose" if byte < CHOOSE else "report"


def load(path: Path, *, every: int = 1) -> Routed:
    """Read the outcomes. ``every``: keep each so manieth question, by another byte of the hash. Raises `InputError`."""
    import numpy as np

    if path.is_dir():
        path = path / "train.json"
    if not path.is_file():
        raise InputError(
            f"{path} is not there; --data is data/dcrouter_preprocessed/train.json of github.com/ulab-uiuc/LLMRouter"
        )
    rows = json.loads(path.read_text("utf-8"))
    models = sorted(PRICES)
    for row in rows:
        if sorted(row["scores"]) != models:
            raise InputError(f"{path} has scores of {sorted(row['scores'])}; prices are known of {models}")
    kept = [r for r in rows if hashlib.sha256(r["question"].encode("utf-8", "replace")).digest()[1] % every == 0]
    questions = [r["question"] for r in kept]
    return Routed(
        questions,
        models,
        np.array([[r["scores"][m] for m in models] for r in kept]),
        np.array([len(q.encode("utf-8", "replace")) / 4 for q in questions]),
        np.array([part_of(q) for q in questions]),
    )

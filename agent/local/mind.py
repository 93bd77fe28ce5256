"""The local mind: an adopted model in use. One short line per call, in the formats it was trained on.

What it says is never taken on trust: a goal is parsed and its names are checked against what is known, an order of
actions only says what is tried first.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Mapping, Sequence, Set
from pathlib import Path
from typing import TYPE_CHECKING, Any

from habilis.core import Action, Goal, GoalSyntaxError, Json, Mind, ModelError, WorldSpec, has_bfloat16, need
from habilis.memory import prompts

if TYPE_CHECKING:
    from torch import Tensor

_BATCH = 16
_WHAT = "the local model"


class LocalMind:
    """A model folder as a `Mind`, through transformers on the CPU. Loaded at the first call; safe under threads.

    ``dtype``: "auto" (as the weights are written, or float32 where the CPU does not compute in less), "float32", or
    "bfloat16": half the memory, and a fifth faster where the CPU has it, but much of what a small update changed is
    rounded away.
    """

    def __init__(self, path: Path, *, name: str = "", dtype: str = "auto") -> None:
        self.path, self.name, self.dtype = Path(path), name or Path(path).name, dtype
        self._loaded: tuple[Any, Any] | None = None
        self._lock = threading.Lock()

    def complete(self, prompts: Sequence[str], *, max_tokens: int = 48) -> list[str]:
        """The likeliest line after each prompt (greedy), without its line break."""
        torch, (model, tokenizer) = need("torch", _WHAT), self._load()
        answers: list[str] = []
        with self._lock:
            for start in range(0, len(prompts), _BATCH):
                rows = [_ids(tokenizer, p) for p in prompts[start : start + _BATCH]]
                longest = max(map(len, rows))
                # Padding on the left, so that every answer begins at the same place.
                padded = torch.tensor([[tokenizer.pad_token_id] * (longest - len(r)) + r for r in rows])
                mask = torch.tensor([[0] * (longest - len(r)) + [1] * len(r) for r in rows])
                with torch.inference_mode():
                    out = model.generate(
                        input_ids=padded,
                        attention_mask=mask,
                        do_sample=False,
                        max_new_tokens=max_tokens,
                        pad_token_id=tokenizer.pad_token_id,
                        eos_token_id=tokenizer.eos_token_id,
                    )
                texts = tokenizer.batch_decode(out[:, longest:], skip_special_tokens=True)
                answers += [t.strip().split("\n")[0] for t in texts]
        return answers

    def rank(self, prompt: str, options: Sequence[str]) -> list[float]:
        """The log-probability (nats) of each option, with its end mark, as the answer to the prompt."""
        torch, (model, tokenizer) = need("torch", _WHAT), self._load()
        head = _ids(tokenizer, prompt)
        rows = [(head, [*_ids(tokenizer, o), tokenizer.eos_token_id]) for o in options]
        scores = [0.0] * len(rows)
        order = sorted(range(len(rows)), key=lambda i: len(rows[i][1]))  # similar lengths together: less padding
        with self._lock, torch.inference_mode():
            for start in range(0, len(order), _BATCH):
                part = order[start : start + _BATCH]
                found = _log_probabilities(torch, model, [rows[i] for i in part], tokenizer.pad_token_id)
                for i, score in zip(part, found.tolist(), strict=True):
                    scores[i] = score
        return scores

    def _load(self) -> tuple[Any, Any]:
        with self._lock:
            if self._loaded is None:
                self._loaded = _open(self.path, self.dtype)
            return self._loaded


def open_mind(model_record: Mapping[str, Json] | str | Path) -> LocalMind:
    """The mind of a model's record (its ``path``; ``name`` and ``weights``, the SHA-256 of its files of weights, if it
    has them), or of a model folder.

    Raises `ModelError` where the folder is gone, or a file of weights is cut short or not what was recorded; the model
    itself is loaded at the first call.
    """
    if isinstance(model_record, Mapping):
        path, name = Path(str(model_record["path"])), str(model_record.get("name") or "")
        recorded = model_record.get("weights")
    else:
        path, name, recorded = Path(model_record), "", None
    if not (path / "config.json").is_file() or not any(path.glob("*.safetensors")):
        raise ModelError(f"there is no model in {path}: config.json or *.safetensors is missing; run: habilis distil")
    safetensors = need("safetensors", _WHAT)
    for file in sorted(path.glob("*.safetensors")):
        try:
            with safetensors.safe_open(str(file), "np"):
                pass  # head and size agree
        except (OSError, safetensors.SafetensorError) as error:
            raise ModelError(f"{file} is damaged: {error}; distil again: habilis distil") from error
    if isinstance(recorded, Mapping):
        _check_weights(path, recorded)
    return LocalMind(path, name=name)


def words_to_goal(mind: Mind, text: str, spec: WorldSpec, known_names: Set[str]) -> Goal | None:
    """The goal that the words mean, or None where the model's answer is no goal of this world.

    Every predicate must be the world's, with as many arguments as it takes and a value of its kind, and every argument
    must be in ``known_names`` or a tag of the world.
    """
    answer = mind.complete([prompts.goal_prompt(text)], max_tokens=64)[0]
    try:
        goal = Goal.parse(answer)
    except GoalSyntaxError:
        return None
    if goal.judged is not None or not goal.atoms:
        return None
    tags = {name if name.startswith("#") else f"#{name}" for name in spec.tags}
    for atom in goal.atoms:
        predicate = spec.predicate(atom.fact.predicate)
        if predicate is None or predicate.numeric != atom.is_numeric:
            return None
        if predicate.parameters and len(predicate.parameters) != len(atom.fact.args):
            return None
        if any(isinstance(a, str) and a not in known_names and a not in tags for a in atom.fact.args):
            return None
    return goal


def rank_actions(mind: Mind, goal: Goal, inventory_text: str, actions: Sequence[Action]) -> list[Action]:
    """The actions, likeliest next one first. ``inventory_text``: as `habilis.memory.prompts.state_text` writes it.

    Among equals the given order stays.
    """
    if len(actions) < 2:
        return list(actions)
    scores = mind.rank(prompts.next_prompt(goal, inventory_text), [str(a) for a in actions])
    return [actions[i] for i in sorted(range(len(actions)), key=lambda i: -scores[i])]


def _check_weights(path: Path, recorded: Mapping[str, Json]) -> None:
    for name, digest in recorded.items():
        try:
            with (path / name).open("rb") as file:
                found = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            raise ModelError(f"{path / name} cannot be read: {error}; distil again: habilis distil") from error
        if found != digest:
            raise ModelError(
                f"{path / name} is not the file that was judged (SHA-256 {found[:12]}, recorded {str(digest)[:12]}); "
                "put that back, or distil again: habilis distil"
            )


def _open(path: Path, dtype: str) -> tuple[Any, Any]:
    torch, transformers = need("torch", _WHAT), need("transformers", _WHAT)
    safetensors = need("safetensors", _WHAT)
    try:
        tokenizer = transformers.AutoTokenizer.from_pretrained(str(path), local_files_only=True)
        model = transformers.AutoModelForCausalLM.from_pretrained(
            str(path), dtype=dtype if dtype == "auto" else getattr(torch, dtype), local_files_only=True
        )
    except (OSError, ValueError, KeyError, safetensors.SafetensorError) as error:
        raise ModelError(f"cannot load the model in {path}: {error}; distil again: habilis distil") from error
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    if dtype == "auto" and not has_bfloat16():
        model = model.float()
    return model.eval(), tokenizer


def _ids(tokenizer: Any, text: str) -> list[int]:
    ids: list[int] = tokenizer(text, add_special_tokens=False).input_ids
    return ids


def _log_probabilities(torch: Any, model: Any, rows: Sequence[tuple[list[int], list[int]]], pad: int) -> Tensor:
    """(n,) float32: of each answer after its prompt."""
    longest = max(len(p) + len(a) for p, a in rows)
    ids = torch.tensor([[*p, *a, *[pad] * (longest - len(p) - len(a))] for p, a in rows])
    mask = torch.tensor([[1] * (len(p) + len(a)) + [0] * (longest - len(p) - len(a)) for p, a in rows])
    wanted = torch.tensor([[0] * len(p) + [1] * len(a) + [0] * (longest - len(p) - len(a)) for p, a in rows]).bool()
    hidden = model.base_model(input_ids=ids, attention_mask=mask, use_cache=False).last_hidden_state[:, :-1]
    where = wanted[:, 1:]
    odds = model.get_output_embeddings()(hidden[where]).float().log_softmax(-1)
    picked = odds.gather(1, ids[:, 1:][where][:, None])[:, 0]
    found: Tensor = torch.zeros(len(rows)).index_add(0, where.nonzero()[:, 0], picked)
    return found

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace

import pytest

from habilis.agent.local.mind import LocalMind, open_mind, rank_actions, words_to_goal
from habilis.core import Action, Goal, ModelError
from habilis.memory import prompts
from habilis.trainer import BaseModel
from habilis.trainer.base import digests_of, load_model, save_model

torch = pytest.importorskip("torch")


class Scripted:
    name = "scripted"

    def __init__(self, answer: str) -> None:
        self.answer, self.asked = answer, ""

    def complete(self, prompts: Sequence[str], *, max_tokens: int = 48) -> list[str]:
        self.asked = prompts[0]
        return [self.answer] * len(prompts)

    def rank(self, prompt: str, options: Sequence[str]) -> list[float]:
        self.asked = prompt
        return [-abs(len(o) - len(self.answer)) for o in options]


@pytest.mark.parametrize(
    ("answer", "goal"),
    [
        ('count("oak_rod") >= 4', Goal.of('count("oak_rod") >= 4')),
        ('count("oak_rod") >= 4 and near("oak_rock")', Goal.of('count("oak_rod") >= 4', 'near("oak_rock")')),
        ('count("elf_rod") >= 4', None),  # no such thing
        ('weight("oak_rod") >= 4', None),  # no such predicate
        ('count("oak_rod")', None),  # a number without a number
        ('near("oak_rock") >= 2', None),
        ('count("oak_rod", "oak_rock") >= 1', None),
        ('Judged("nice")', None),
        ("get the rod", None),
        ("", None),
    ],
)
def test_only_goals_of_this_world_pass(workshop: SimpleNamespace, answer: str, goal: Goal | None) -> None:
    mind = Scripted(answer)
    assert words_to_goal(mind, "four  oak rods", workshop.spec, {"oak_rod", "oak_rock"}) == goal
    assert mind.asked == prompts.goal_prompt("four oak rods")


def test_actions_come_in_the_order_of_their_odds(tiny: BaseModel) -> None:
    goal, options = Goal.of('count("a") >= 1'), [Action("craft", (n,)) for n in ("abc", "a", "ab")]
    assert rank_actions(Scripted("x" * 10), goal, "nothing", options) == [options[1], options[2], options[0]]
    mind = LocalMind(tiny.path, dtype="float32")
    ranked = rank_actions(mind, goal, "nothing", options)
    scores = dict(zip(options, mind.rank(prompts.next_prompt(goal, "nothing"), list(map(str, options))), strict=True))
    assert [scores[a] for a in ranked] == sorted(scores.values(), reverse=True)


def test_ranking_is_the_sum_of_the_log_probabilities(tiny: BaseModel) -> None:
    model, tokenizer = load_model(tiny.path)
    found = LocalMind(tiny.path, dtype="float32").rank("Goal:\n", ["ab", "a much longer option", "c"])
    for option, score in zip(["ab", "a much longer option", "c"], found, strict=True):
        head = tokenizer("Goal:\n").input_ids
        tail = [*tokenizer(option).input_ids, tokenizer.eos_token_id]
        with torch.no_grad():
            odds = model(torch.tensor([head + tail])).logits[0].log_softmax(-1)
        exact = sum(float(odds[len(head) - 1 + i, t]) for i, t in enumerate(tail))
        assert score == pytest.approx(exact, abs=1e-3)


def test_a_model_of_another_architecture_ranks_too(tiny: BaseModel, tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    _, tokenizer = load_model(tiny.path)
    config = transformers.GPTNeoXConfig(
        vocab_size=257, hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2,
        max_position_embeddings=512, bos_token_id=0, eos_token_id=0,
    )  # fmt: skip
    save_model(transformers.GPTNeoXForCausalLM(config), tokenizer, tmp_path / "neox")
    scores = open_mind(tmp_path / "neox").rank("Goal:\n", ["ab", "a much longer option"])
    assert 0 > scores[0] > scores[1]


def test_a_batch_says_what_each_prompt_alone_would(tiny: BaseModel) -> None:
    mind = LocalMind(tiny.path, dtype="float32")
    asked = ["Goal:\n", "a much longer prompt than the first one\n", "x"]
    assert mind.complete(asked, max_tokens=6) == [mind.complete([p], max_tokens=6)[0] for p in asked]
    assert mind.complete([]) == []
    assert mind.rank("x", []) == []


def test_a_missing_model_is_named(tmp_path: object) -> None:
    with pytest.raises(ModelError, match="habilis distil"):
        open_mind(f"{tmp_path}/nothing")


def test_a_model_that_was_cut_short_is_named_before_it_is_asked(tiny: BaseModel, tmp_path: Path) -> None:

    folder = Path(shutil.copytree(tiny.path, tmp_path / "m"))
    assert open_mind(folder).complete(["x"])
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    with pytest.raises(ModelError, match=r"model\.safetensors is damaged.*habilis distil"):
        open_mind(folder)
    with pytest.raises(ModelError, match=r"it is damaged or incomplete"):
        load_model(folder)
    with pytest.raises(ModelError, match=r"it is damaged|cannot load"):
        LocalMind(folder).complete(["x"])


def test_weights_other_than_those_that_were_judged_are_named(tiny: BaseModel, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(tiny.path, tmp_path / "m"))
    record = {"path": str(folder), "weights": digests_of(folder)}
    assert open_mind(record).complete(["x"])
    weights = folder / "model.safetensors"
    changed = bytearray(weights.read_bytes())
    changed[-1] ^= 1  # of the same size, with a good head
    weights.write_bytes(changed)
    assert open_mind(folder).complete(["x"])
    with pytest.raises(ModelError, match=r"model\.safetensors is not the file that was judged.*habilis distil"):
        open_mind(record)
    weights.unlink()
    weights.with_name("other.safetensors").write_bytes(changed)
    with pytest.raises(ModelError, match=r"model\.safetensors cannot be read"):
        open_mind(record)

"""What a model writes for held-out tasks is carried out, and is asked for only where the known answer does it there."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from habilis import Agent, AgentSettings
from habilis._corpus import corpus_of
from habilis._held_out import PlansInWorld, ProgramsInWorld
from habilis.core import (
    Case,
    Evidence,
    EvidenceLevel,
    Fact,
    Goal,
    Json,
    Parameter,
    Program,
    Skill,
    Snapshot,
    Task,
    Trajectory,
    Trial,
)
from habilis.memory import prompts
from habilis.trainer import (
    BaseModel,
    Corpus,
    Example,
    HeldOut,
    ProgramTask,
    evaluate,
    load_corpus,
    save_corpus,
)
from habilis.trainer.base import load_model
from habilis.trainer.held_out import program_tasks
from habilis.worlds.craft import CraftWorld
from habilis.worlds.runner import ConfinedRunner

HEAD = "def have_mud(n: int = 1)"
BODY = '    world.find("mud")\n    world.gather("mud")'
DONE = Trajectory(after=Snapshot({Fact("count", ("mud",)): 1}))


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> tuple[Corpus, Mapping[str, Skill]]:
    """A life of fifty tasks, each of which begins with all that was gathered before it."""
    home = tmp_path_factory.mktemp("life") / "home"
    with Agent("craft", home=home, settings=AgentSettings(index="exact", embedder="hash")) as agent:
        agent.run_now(50)
        return corpus_of(agent._parts), agent._parts.library.active()


def test_known_plans_do_it_in_the_fresh_world_that_they_are_asked_for(lived: tuple[Corpus, Any]) -> None:
    plans = lived[0].plans
    assert plans
    assert all(PlansInWorld(CraftWorld)([(p.task, prompts.parse_plan(p.answer) or ()) for p in plans]))
    for plan in plans:
        world = CraftWorld()
        world.reset(plan.task.seed)
        assert plan.task.goal.unmet(world.observe())
        assert prompts.state_text(world.observe(), world.spec, about=plan.task.goal) in plan.prompt


def test_known_programs_do_it_in_the_fresh_world_that_they_are_asked_for(lived: tuple[Corpus, Any]) -> None:
    skills = lived[1]
    asked = [Example(f"Program: {name}\n", s.program.source.strip(), "program", name) for name, s in skills.items()]
    with ConfinedRunner() as runner:
        run = ProgramsInWorld(CraftWorld, runner, skills)
        known = program_tasks(asked, list(skills.values()), run)
        assert len(known) > len(skills) / 2
        for task, did in known:
            good, bad, none, wrong = run(
                [
                    (task.task, task.answer, task.args),
                    (task.task, task.answer.split("\n")[0] + "\n    raise ValueError('no')", task.args),
                    (task.task, "gather some", task.args),
                    (task.task, task.answer, {"unheard_of": 1}),
                ]
            )
            assert good is not None
            assert (good.steps, good.after) == (did.steps, did.after)
            assert not task.task.goal.unmet(good.after)
            assert bad is None or bad.error is not None
            assert none is None
            assert wrong is None or wrong.error is not None


def test_a_program_with_choices_is_asked_for_what_its_question_is_about() -> None:
    program = Program("have", "def have(n=1, kind='mud'): ...", (Parameter("n", default=1), Parameter("kind", "str")))
    trials = (Trial(1, {"kind": "sand"}, True), Trial(2, {"n": 3, "kind": "mud"}, True))
    evidence = Evidence(EvidenceLevel.VERIFIED, trials, 2)
    cases = (Case({"kind": "mud"}), Case({"kind": "sand"}))  # a question about the first is in another group
    skill = Skill("have", 1, program, "", 'count("{kind}") >= {n}', "craft", "f", evidence, cases=cases)
    asked = [Example("Program: have\n", program.source, "program", 'count("mud")')]

    def run(programs: Sequence[tuple[Task, str, Mapping[str, Json]]]) -> list[Trajectory | None]:
        return [Trajectory(after=Snapshot({a.fact: a.value for a in task.goal.atoms})) for task, _, _ in programs]

    ((task, _),) = program_tasks(asked, [skill], run)
    assert (str(task.task.goal), task.task.seed, task.args) == ('count("mud") >= 3', 2, {"n": 3, "kind": "mud"})
    other = replace(skill, evidence=replace(evidence, trials=trials[:1]))
    assert program_tasks(asked, [other], run) == []


def test_tasks_to_be_done_are_kept_with_the_corpus(lived: tuple[Corpus, Any], tmp_path: Path) -> None:
    task = Task(Goal.parse('count("mud") >= 2'), "craft", 5, "have mud")
    corpus = replace(lived[0], programs=(ProgramTask(f"Program: {HEAD}\n", task, f"{HEAD}:\n{BODY}", {"n": 2}),))
    save_corpus(corpus, tmp_path / "corpus.jsonl")
    again = load_corpus(tmp_path / "corpus.jsonl")
    assert (again.plans, again.programs) == (corpus.plans, corpus.programs)


def test_a_program_to_be_written_stands_in_the_split_of_its_question(lived: tuple[Corpus, Any], tmp_path: Path) -> None:
    task = Task(Goal.parse('count("mud") >= 2'), "craft", 5, "have mud")
    asked = Example(f"Program: {HEAD}\n", f"{HEAD}:\n{BODY}", "program", "mud")
    programs = (ProgramTask(asked.prompt, task, asked.answer, {"n": 2}),)
    corpus = replace(lived[0], validation=(*lived[0].validation, asked), programs=programs)
    save_corpus(corpus, tmp_path / "corpus.jsonl")
    rows = [json.loads(line) for line in (tmp_path / "corpus.jsonl").read_text().splitlines()]
    assert [row["split"] for row in rows if row["family"] == "program_run"] == ["validation"]


class Runs:
    """Carries nothing out; remembers what it was asked to."""

    def __init__(self, verdict: Trajectory | None) -> None:
        self.verdict, self.asked = verdict, list[str]()

    def __call__(self, programs: Sequence[tuple[Task, str, Mapping[str, Json]]]) -> list[Trajectory | None]:
        self.asked += [source for _, source, _ in programs]
        return [self.verdict for _ in programs]


def teach(model: Any, tokenizer: Any, prompt: str, answer: str) -> None:
    """All weights, until the model writes just this."""
    import torch

    asked = tokenizer(prompt, add_special_tokens=False).input_ids
    told = [*tokenizer(answer, add_special_tokens=False).input_ids, tokenizer.eos_token_id]
    ids, labels = torch.tensor([asked + told]), torch.tensor([[-100] * len(asked) + told])
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-2)
    for _ in range(100):
        optimiser.zero_grad()
        model(input_ids=ids, labels=labels).loss.backward()
        optimiser.step()
    model.eval()


def test_a_program_is_judged_by_what_it_does(tiny: BaseModel) -> None:
    prompt = f'Goal: count("mud") >= {{n}}\nProgram: {HEAD}\n'
    written = f"{HEAD}:\n{BODY}"
    model, tokenizer = load_model(tiny.path)

    def judged(answer: str, run: Runs) -> tuple[int, int]:
        task = ProgramTask(prompt, Task(Goal.parse('count("mud") >= 1'), "craft", 0, "have mud"), answer)
        found = evaluate(model, tokenizer, [], HeldOut(programs=[task], run_programs=run), text="", dtype="float32")
        assert found.programs == 1
        return found.families["program_run"]

    untaught = Runs(DONE)
    assert judged(written, untaught) == (0, 1)
    assert untaught.asked == []  # its first line is not the head that was asked for
    teach(model, tokenizer, prompt, written)
    to_the_letter, other, vain = Runs(None), Runs(DONE), Runs(None)
    assert judged(written, to_the_letter) == (1, 1)
    assert to_the_letter.asked == []
    known = f'{HEAD}:\n    world.gather("mud")'  # another program than the model's was known to do it
    assert judged(known, other) == (1, 1)
    assert judged(known, vain) == (0, 1)
    assert other.asked == vain.asked == [written]

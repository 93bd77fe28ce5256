"""The cascade that is chosen: cheapest first while nothing is known, then what proved to be worth its price."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping
from dataclasses import replace
from typing import Any

import pytest

from habilis.agent.chat.model import PricedChatModel, Prices
from habilis.agent.writers import Cascade, ChosenCascade
from habilis.agent.writers.chat import ChatWriter
from habilis.core import (
    Attempt,
    Budget,
    BudgetExceeded,
    Context,
    Cost,
    Draft,
    Episode,
    Feedback,
    Goal,
    InputError,
    Json,
    Ledger,
    ModelError,
    Program,
    Snapshot,
    Task,
    Trajectory,
    Verdict,
    WorldSpec,
    Writer,
)
from habilis.testing.chat import ScriptedChatModel
from habilis.testing.embedding import HashEmbedder
from habilis.tools import BudgetSelector

CONTEXT = Context(WorldSpec("toy", (), (), {}, "toy-1"), Snapshot())
SEWING = "sew a {} shirt with needle and thread"
SAILING = "sail the boat to the harbour of {}"


def task(text: str) -> Task:
    return Task(Goal.parse('count("x") >= 1'), "toy", 0, text)


class Able:
    """Solves what has one of its words in it; its second draft is the right one."""

    def __init__(self, name: str, *words: str, cost: Cost | None = None, refused: bool = False) -> None:
        self.name, self.words, self.cost, self.refused, self.asked = name, words, cost or Cost(), refused, 0

    def most(self, task: Task, context: Context) -> Cost:
        return self.cost

    async def drafts(self, task: Task, context: Context, ledger: Ledger) -> AsyncGenerator[Draft, Feedback]:
        self.asked += 1
        ledger.reserve(self.cost).release()
        if self.refused:
            raise BudgetExceeded("usd", 1, 1, 0, 1)
        for right in (False, any(w in task.text for w in self.words)):
            yield Draft(Program("p", f"def p():\n    return {right}\n", writer=self.name))


class Memory:
    """A store, as the journal is one."""

    def __init__(self) -> None:
        self.state: dict[str, Any] = {}

    def get_state(self, key: str, default: Any = None) -> Any:
        return self.state.get(key, default)

    def put_versioned_state(self, key: str, data: Mapping[str, Json]) -> None:
        self.state[key] = dict(data)


def solved(writer: Cascade, text: str, limit: Budget | None = None, *, conclusive: bool = True) -> list[str]:
    """Work on a task as the loop does; who wrote, draft by draft."""

    async def run() -> tuple[list[str], Episode]:
        ledger, wrote, attempts, status = Ledger(limit or Budget(usd=1)), [], [], "failed"
        drafts = writer.drafts(task(text), CONTEXT, ledger)
        feedback: Feedback | None = None
        try:
            while True:
                draft = await (anext(drafts) if feedback is None else drafts.asend(feedback))
                ok = "True" in draft.program.source
                wrote.append(draft.program.writer)
                attempts.append(Attempt(draft.program, Trajectory(), ok))
                if ok:
                    status = "solved"
                    break
                feedback = Feedback(Trajectory(), Verdict(False))
        except StopAsyncIteration:
            pass
        finally:
            await drafts.aclose()
        return wrote, Episode(0, task(text), status, tuple(attempts))

    wrote, episode = asyncio.run(run())
    if isinstance(writer, ChosenCascade):
        writer.credit(episode, conclusive)
    return wrote


def pair() -> tuple[Able, Able]:
    return Able("search", "boat"), Able("chat", "boat", "shirt", cost=Cost(usd=0.05, calls=4))


def chosen(*writers: Writer, **options: Any) -> ChosenCascade:
    return ChosenCascade(writers, HashEmbedder(), **options)


def test_with_nothing_learned_it_is_the_plain_cascade() -> None:
    for text in ("sail the boat", "sew a shirt", "neither"):
        assert solved(chosen(*pair()), text) == solved(Cascade(pair()), text)
    free = (Able("second", "x"), Able("first", "x"))  # of two that cost nothing, the one that was given first
    assert solved(chosen(*free), "x") == ["second", "second"]
    dear, cheap = Able("dear", "x", cost=Cost(usd=0.5)), Able("cheap", "x", cost=Cost(usd=0.01))
    assert solved(chosen(dear, cheap), "x") == ["cheap", "cheap"]


def test_it_learns_which_tasks_need_which_writer() -> None:
    search, chat = pair()
    writer = chosen(search, chat)
    for i in range(12):
        solved(writer, SEWING.format(i))
        solved(writer, SAILING.format(i))
    asked = search.asked
    assert solved(writer, SEWING.format("blue")) == ["chat", "chat"]
    assert search.asked == asked
    assert solved(writer, SAILING.format("Genoa")) == ["search", "search"]
    assert search.asked >= 12 + 3  # one failure at sewing was not enough to pay for sailing


def test_where_the_likely_one_fails_the_other_is_asked() -> None:
    search, chat = pair()
    writer = chosen(search, chat)
    for i in range(12):
        solved(writer, SEWING.format(i))
    chat.words = ()
    search.words = ("shirt",)
    assert solved(writer, SEWING.format("blue")) == ["chat", "chat", "search", "search"]


def test_what_is_not_worth_its_price_is_not_bought() -> None:
    told: list[Mapping[str, Json]] = []
    dear = Able("chat", cost=Cost(usd=0.9))
    writer = chosen(Able("search"), dear, tell=told.append, selector=BudgetSelector(thrift=0.3))
    for i in range(30):
        solved(writer, SEWING.format(i))
    asked = dear.asked
    assert solved(writer, SEWING.format("blue")) == ["search", "search"]
    assert dear.asked == asked < 20
    assert told[-1]["writer"] is None
    assert "not worth its price" in str(told[-1]["why"])
    assert "not worth its price" in writer.why


def test_every_choice_is_told_with_what_was_considered() -> None:
    told: list[Mapping[str, Json]] = []
    solved(chosen(*pair(), tell=told.append), SEWING.format("red"))
    assert [t["writer"] for t in told] == ["search", "chat"]
    assert told[0]["options"] == [
        {"writer": "search", "chance": 0.5, "tried": 0, "cost": {}},
        {"writer": "chat", "chance": 0.5, "tried": 0, "cost": {"usd": 0.05, "calls": 4}},
    ]
    assert "search: chance" in str(told[0]["why"])


def test_what_it_learned_is_kept_for_each_world() -> None:
    memory = Memory()
    writer = chosen(*pair(), store=memory, world="toy-1")
    for i in range(12):
        solved(writer, SEWING.format(i))
    assert list(memory.state) == ["writers:toy-1"]
    assert solved(chosen(*pair(), store=memory, world="toy-1"), SEWING.format("blue"))[0] == "chat"
    assert solved(chosen(*pair(), store=memory, world="toy-2"), SEWING.format("blue"))[0] == "search"


def test_a_refusal_and_an_end_by_the_clock_teach_nothing() -> None:
    broke = chosen(Able("search", refused=True), Able("chat", "x"))
    solved(broke, "x")
    assert [broke.model.uses(f"model:{n}") for n in ("search", "chat")] == [0, 1]
    timed = chosen(*pair())
    solved(timed, "neither", conclusive=False)
    assert [timed.model.uses(f"model:{n}") for n in ("search", "chat")] == [1, 0]  # the first had its say
    other = chosen(*pair())
    assert solved(other, "neither")
    other.credit(Episode(0, task("another"), "solved"), True)  # a task that nobody was asked for
    assert other.model.uses("model:search") == 1


def test_a_model_that_overran_is_passed_over() -> None:
    """Also by a plain cascade; where nobody is left it is said why."""
    dear = Able("dear", "shirt")
    lying = PricedChatModel(ScriptedChatModel(replies=["x"]), Prices(1, 1))
    for number in (1, 2):
        assert not lying.refusal
        lying.standing.overran(Cost(usd=number), Cost(usd=2 * number), {})
    writer = ChatWriter(lying)
    for cascade in (Cascade([writer, dear]), chosen(writer, dear)):
        assert solved(cascade, SEWING) == ["dear", "dear"]
        assert "is not asked any more" in cascade.why
    with pytest.raises(ModelError, match="not asked any more"):
        solved(Cascade([writer]), SEWING)


def test_all_refused_is_a_refusal() -> None:
    with pytest.raises(BudgetExceeded):
        solved(chosen(Able("search", refused=True), Able("chat", cost=Cost(usd=2))), "x")
    with pytest.raises(InputError, match="two writers are called 'same'"):
        chosen(Able("same"), Able("same"))
    with pytest.raises(InputError, match="at least one"):
        chosen()


def test_a_chat_writer_tells_what_a_task_may_cost() -> None:
    model = PricedChatModel(ScriptedChatModel(replies=["no"]), Prices(1.0, 2.0), max_output_tokens=100)
    one, four = ChatWriter(model, rounds=1), ChatWriter(model)
    least, most = one.most(task("x"), CONTEXT), four.most(task("x"), CONTEXT)
    assert least.calls == 1
    assert most.calls == 4
    assert most.usd > 4 * least.usd > 0
    ledger = Ledger(Budget(usd=most.usd, tokens=most.tokens, calls=most.calls))

    async def work() -> int:
        writer = ChatWriter(replace(model, model=ScriptedChatModel(replies=["no program"] * 4)))
        return len([draft async for draft in writer.drafts(task("x"), CONTEXT, ledger)])

    assert asyncio.run(work()) == 0  # four requests, none refused
    assert ledger.spent.calls == 4

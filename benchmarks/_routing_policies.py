"""Who chooses a model for each question of a stream, under a hard budget: ours and the rivals.

Every policy is asked through the same ledger: what it may spend on a question is a child of the stream's, and what it
chooses is reserved there before it counts. It learns the score of what it chose, and nothing of the others.

``ours``     `LearnedSuccess`, `Pacer` and `BudgetSelector`, beginning with no outcome at all
``frozen``   the same pacing over chances that were learned from all outcomes of the other parts
``random``   any model that can be paid
``cheapest`` and ``best``  always that one, where it can be paid; the best is known from the other parts
``linucb``   the highest upper bound of a linear model (Li et al. 2010, disjoint, alpha 1); no cost
``thompson`` a sample of each model's Beta posterior, the highest (Thompson 1933); no cost
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from benchmarks._routing_data import Routed
from habilis.core import Augmentation, Budget, Candidate, Embedder, Goal, Ledger, Task
from habilis.tools import Allowance, BudgetSelector, LearnedSuccess, Pacer, Prices

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

TASK = Task(Goal.parse("Judged('the question is answered')"), "questions", 0, "answer the question")


class Policy(Protocol):
    """``choose``: the place of the model to ask about this question, None for none; within the allowance."""

    def choose(self, question: int, things: Sequence[Augmentation], allowed: Allowance) -> int | None: ...

    def learn(self, question: int, place: int, score: float) -> None: ...


@dataclass(frozen=True)
class Lived:
    """``success``: mean score over all questions, those not answered counting 0; ``spent``: share of the budget;
    ``violations``: questions at which more was spent than a limit allows, by a count of our own."""

    success: float
    spent: float
    violations: int


def live(policy: Policy, routed: Routed, order: Sequence[int], costs: NDArray[np.float64], usd: float) -> Lived:
    """Let a policy answer the questions in this order with so much money. `_Paced` ones see the prices."""
    ledger = Ledger(Budget(usd=usd))
    pacer = Pacer(ledger.limit, tasks=len(order))
    paid, score, violations = 0.0, 0.0, 0
    for i in order:
        allowed = pacer.allow(ledger.remaining) if isinstance(policy, _Paced) else _all(ledger)
        child = ledger.child(allowed.limit)
        things = routed.things(costs[i])
        if isinstance(policy, _Paced):
            policy.pacer = pacer
        place = policy.choose(i, things, allowed)
        if place is not None:
            child.spend(things[place].cost)
            paid += float(costs[i, place])
            score += float(routed.scores[i, place])
            policy.learn(i, place, float(routed.scores[i, place]))
        most = allowed.limit.usd
        violations += paid > usd * (1 + 1e-9) or (most is not None and child.spent.usd > most * (1 + 1e-9))
        pacer.ended(child.spent)
    return Lived(score / len(order), paid / usd, violations)


def _all(ledger: Ledger) -> Allowance:
    return Allowance(ledger.remaining, {}, Prices())


class _Paced:
    """Chooses by the product's own selection, at the pacer's prices."""

    pacer: Pacer

    def __init__(self) -> None:
        self.selector = BudgetSelector(max_items=1)

    def _picked(
        self, question: int, chances: NDArray[np.float32], things: Sequence[Augmentation], allowed: Allowance
    ) -> int | None:
        self.selector.prices = allowed.prices
        pool = [Candidate(thing, 0.0, float(chance)) for thing, chance in zip(things, chances, strict=True)]
        picked = self.selector.pick(TASK, pool, allowed.limit)
        doubts = self._doubts(question, things)
        if doubts is not None:
            picked = self.pacer.explore(self.selector, TASK, pool, doubts, allowed.limit, picked)
        return things.index(picked.taken[0]) if picked.taken else None

    def _doubts(self, question: int, things: Sequence[Augmentation]) -> NDArray[np.float32] | None:
        return None


class Ours(_Paced):
    def __init__(self, embedder: Embedder, vectors: NDArray[np.float32], routed: Routed) -> None:
        import numpy as np

        super().__init__()
        self.model, self.vectors = LearnedSuccess(embedder), vectors
        self._things, self._none = routed.things(None), np.zeros(len(routed.models), dtype=np.float32)

    def choose(self, question: int, things: Sequence[Augmentation], allowed: Allowance) -> int | None:
        return self._picked(question, self.model.chances(self.vectors[question], things, self._none), things, allowed)

    def learn(self, question: int, place: int, score: float) -> None:
        self.model.learn(self.vectors[question], self._things[place], 0.0, score)

    def _doubts(self, question: int, things: Sequence[Augmentation]) -> NDArray[np.float32] | None:
        return self.model.doubts(self.vectors[question], things)


class Frozen(_Paced):
    """``chances``: (questions, models)."""

    def __init__(self, chances: NDArray[np.float32]) -> None:
        super().__init__()
        self.chances = chances

    def choose(self, question: int, things: Sequence[Augmentation], allowed: Allowance) -> int | None:
        return self._picked(question, self.chances[question], things, allowed)

    def learn(self, question: int, place: int, score: float) -> None:
        return None


class _Greedy:
    """Takes the payable model of the highest rank, whatever it costs."""

    def choose(self, question: int, things: Sequence[Augmentation], allowed: Allowance) -> int | None:
        ledger = Ledger(allowed.limit)
        able = [place for place, thing in enumerate(things) if ledger.affords(thing.cost)]
        ranks = self._ranks(question, things)
        return max(able, key=lambda place: (ranks[place], -place), default=None)

    def _ranks(self, question: int, things: Sequence[Augmentation]) -> Sequence[float]:
        raise NotImplementedError

    def learn(self, question: int, place: int, score: float) -> None:
        return None


class Random(_Greedy):
    def __init__(self, seed: int) -> None:
        self._draw = random.Random(seed)

    def _ranks(self, question: int, things: Sequence[Augmentation]) -> Sequence[float]:
        return [self._draw.random() for _ in things]


class Always(_Greedy):
    """One model, and nothing where it cannot be paid."""

    def __init__(self, place: int) -> None:
        self._place = place

    def choose(self, question: int, things: Sequence[Augmentation], allowed: Allowance) -> int | None:
        return self._place if Ledger(allowed.limit).affords(things[self._place].cost) else None


class LinUcb(_Greedy):
    def __init__(self, vectors: NDArray[np.float32], models: int, alpha: float = 1.0) -> None:
        import numpy as np

        self._x = np.c_[vectors, np.ones(len(vectors))].astype(np.float64)
        dim = self._x.shape[1]
        self._inverse = np.stack([np.eye(dim)] * models)
        self._sums, self._alpha = np.zeros((models, dim)), alpha

    def _ranks(self, question: int, things: Sequence[Augmentation]) -> Sequence[float]:
        import numpy as np

        x = self._x[question]
        spread = self._inverse @ x  # (models, dim)
        return [float(r) for r in (spread * self._sums).sum(axis=1) + self._alpha * np.sqrt(spread @ x)]

    def learn(self, question: int, place: int, score: float) -> None:
        import numpy as np

        x = self._x[question]
        inverse = self._inverse[place]
        along = inverse @ x
        inverse -= np.outer(along, along) / (1 + x @ along)  # Sherman and Morrison
        self._sums[place] += score * x


class Thompson(_Greedy):
    def __init__(self, seed: int, models: int) -> None:
        self._draw, self._counts = random.Random(seed), [[1.0, 1.0] for _ in range(models)]

    def _ranks(self, question: int, things: Sequence[Augmentation]) -> Sequence[float]:
        return [self._draw.betavariate(good, bad) for good, bad in self._counts]

    def learn(self, question: int, place: int, score: float) -> None:
        self._counts[place][0] += score
        self._counts[place][1] += 1 - score


def best_fixed(success: NDArray[np.float64], cost: NDArray[np.float64], usd: float) -> float:
    """The mean success of the best fixed policy that knows all outcomes beforehand: a model, or a lottery between two
    of them or one and not answering, whose expected cost is within the budget. ``success``, ``cost``: (models,), the
    mean score and the total in USD of always asking this model."""
    points = [(0.0, 0.0), *((float(c), float(s)) for c, s in zip(cost, success, strict=True))]
    best = max(s for c, s in points if c <= usd)
    for c, s in points:
        for dear, better in points:
            if c <= usd < dear:
                best = max(best, s + (better - s) * (usd - c) / (dear - c))
    return best


def curve(
    chances: NDArray[np.float64],
    scores: NDArray[np.float64],
    routed: Routed,
    costs: NDArray[np.float64],
    prices: Sequence[float],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Cost and score of each question at each of the rising prices, (prices, questions) both, by our selector.

    Where it chooses the same at two prices, it does so between them, for utility falls linearly with the price.
    """
    import numpy as np

    selector = BudgetSelector(max_items=1)
    limit = Budget(usd=float(costs.max()))
    paid, got = np.zeros((len(prices), len(scores))), np.zeros((len(prices), len(scores)))
    for i in range(len(scores)):
        things = routed.things(costs[i])
        pool = [Candidate(thing, 0.0, float(chance)) for thing, chance in zip(things, chances[i], strict=True)]

        def at(price: float, things: list[Augmentation] = things, pool: list[Candidate] = pool) -> int | None:
            selector.prices = Prices({"usd": price})
            taken = selector.pick(TASK, pool, limit).taken
            return things.index(taken[0]) if taken else None

        chosen = {0: at(prices[0]), len(prices) - 1: at(prices[-1])}
        todo = [(0, len(prices) - 1)]
        while todo:
            low, high = todo.pop()
            if chosen[low] == chosen[high]:
                chosen.update(dict.fromkeys(range(low, high), chosen[low]))
            elif high - low > 1:
                middle = (low + high) // 2
                chosen[middle] = at(prices[middle])
                todo += [(low, middle), (middle, high)]
        for p, place in chosen.items():
            if place is not None:
                paid[p, i], got[p, i] = costs[i, place], scores[i, place]
    return paid, got


def by_words(routed: Routed, learn: Sequence[int], ask: Sequence[int], neighbours: int = 40) -> NDArray[np.float64]:
    """(asked, models): the mean score on the nearest questions by BM25, the mean of all where no word is shared."""
    import numpy as np

    from habilis.memory.library._lexical import Lexicon

    lexicon = Lexicon()
    for i in learn:
        lexicon.put(str(i), routed.questions[i])
    usual = routed.scores[list(learn)].mean(axis=0)
    found = []
    for i in ask:
        near = lexicon.search(routed.questions[i], neighbours)
        rows = [int(one) for one in near]
        found.append(routed.scores[rows].mean(axis=0) if rows else usual)
    lexicon.close()
    return np.array(found)


Make = Callable[[int], Policy]

"""What a model has to beat, family by family: a constant, the nearest neighbour, and a solver that knows the rules.

Each is a function from an example to an answer, or None where it has none. None of them looks at the example's own.

    answer = nearest(corpus.train)
    scores(answer, corpus.test)          # {"path": (right, asked), …}
"""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from habilis.core import Action, Contract, Embedder, Fact, Goal, GoalSyntaxError, WorldSpec
from habilis.memory import prompts
from habilis.memory.contracts import ContractBook
from habilis.trainer._example import Example
from habilis.trainer._places import deeds_of

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["Answer", "constant", "nearest", "scores", "symbolic"]

Answer = Callable[[Example], str | None]


def scores(answer: Answer, examples: Iterable[Example]) -> dict[str, tuple[int, int]]:
    """By family: how many answers are the known one to the letter, of how many questions; families in order. Where the
    answer is None for a whole family, the family is left out: there is no such baseline."""
    right: Counter[str] = Counter()
    asked: Counter[str] = Counter()
    given: set[str] = set()
    for example in examples:
        said = answer(example)
        asked[example.family] += 1
        right[example.family] += said == example.answer
        if said is not None:
            given.add(example.family)
    return {name: (right[name], asked[name]) for name in sorted(given)}


def constant(train: Sequence[Example]) -> Answer:
    """The commonest answer of the family in training, of equals the first by name."""
    answers: dict[str, Counter[str]] = defaultdict(Counter)
    for example in train:
        answers[example.family][example.answer] += 1
    best = {family: min(some, key=lambda a: (-some[a], a)) for family, some in answers.items()}
    return lambda example: best.get(example.family)


def nearest(train: Sequence[Example], embedder: Embedder | None = None) -> Answer:
    """The answer to the most similar question of the family in training: by cosine of an embedder's vectors, or of
    TF-IDF over words and names. Of equals the first. Needs numpy."""
    families: dict[str, list[Example]] = defaultdict(list)
    for example in train:
        families[example.family].append(example)
    made: dict[str, Callable[[str], int]] = {}

    def answer(example: Example) -> str | None:
        known = families.get(example.family)
        if not known:
            return None
        if example.family not in made:
            texts = [e.prompt for e in known]
            made[example.family] = _by_words(texts) if embedder is None else _by_vectors(texts, embedder)
        return known[made[example.family](example.prompt)].answer

    return answer


def _by_vectors(texts: Sequence[str], embedder: Embedder) -> Callable[[str], int]:
    import numpy as np

    matrix: NDArray[np.float32] = embedder.embed(texts)  # (n, dim), rows of length 1
    return lambda text: int(np.argmax(matrix @ embedder.embed([text])[0]))


def _by_words(texts: Sequence[str]) -> Callable[[str], int]:
    bags = [Counter(_words(t)) for t in texts]
    seen = Counter(w for bag in bags for w in bag)
    weight = {w: math.log(1 + len(texts) / n) for w, n in seen.items()}
    postings: dict[str, list[tuple[int, float]]] = defaultdict(list)
    for i, bag in enumerate(bags):
        length = math.sqrt(sum((n * weight[w]) ** 2 for w, n in bag.items())) or 1.0
        for w, n in bag.items():
            postings[w].append((i, n * weight[w] / length))

    def find(text: str) -> int:
        found: dict[int, float] = defaultdict(float)
        for w, n in Counter(_words(text)).items():
            for i, part in postings.get(w, ()):
                found[i] += n * weight[w] * part
        return min(found, key=lambda i: (-found[i], i)) if found else 0

    return find


def _words(text: str) -> list[str]:
    return re.findall(r"\w+", text.lower())


def symbolic(contracts: Sequence[Contract], spec: WorldSpec) -> Answer:
    """What follows from the contracts: for ``count``, ``count_at``, ``path`` and ``location`` deeds are simulated, for
    ``needs``, ``changes`` and ``yields`` the contract is looked up. A thing that is let go, and nothing says where,
    is taken to be where it was before. None for other families."""
    book = ContractBook(spec)
    book.declare(contracts)

    def answer(example: Example) -> str | None:
        told = example.told
        try:
            if example.family == "count":
                return _count(book, told)
            if example.family in ("count_at", "path", "location"):
                return _places(book, spec, example)
            about = example.prompt.split("\n")[0].partition(": ")[2]
            if example.family == "needs":
                conditions = book.contract(Action.parse(about)).conditions
                return str(Goal(tuple(sorted((c.atom for c in conditions), key=str))))
            if example.family == "changes":
                effects = book.contract(Action.parse(about)).effects
                return prompts.effects_text({e.fact: (e.amount if e.value is None else e.value) for e in effects})
            if example.family == "yields":
                fact = Fact.parse(about)
                found = [*book.producers(fact), *book.instances(fact, True, {})]
                best = min(found, key=lambda c: (-c.successes, c.cost, str(c.action)), default=None)
                return str(best.action) if best is not None else None
        except (GoalSyntaxError, KeyError, ValueError):
            return None  # a question of a user's own wording
        return None

    return answer


def _count(book: ContractBook, told: Mapping[str, str]) -> str:
    fact, now = Fact.parse(told["fact"]), float(told["start"])
    for action in prompts.parse_plan(told["done"]) or ():
        now += sum(e.amount for e in book.contract(action).effects if e.fact == fact)
    return f"{now:g}"


def _places(book: ContractBook, spec: WorldSpec, example: Example) -> str:
    told, at, before = example.told, dict[str, str](), dict[str, str]()
    if example.family == "count_at":
        at |= dict.fromkeys([] if told["start"] == "nothing" else told["start"].split(", "), told["place"])
    else:
        at[told["thing"]] = told["start"]
    thing = told.get("thing", "")
    way = [at.get(thing, "")]
    for deed in deeds_of(told["done"]):
        gone: list[str] = []
        come: dict[str, str] = {}
        for effect in book.contract(deed).effects:
            if effect.fact.predicate in spec.places:
                name = str(effect.fact.args[0])
                if effect.value is True:
                    come[name] = spec.places[effect.fact.predicate].format(*effect.fact.args)
                elif effect.value is False:
                    gone.append(name)
        for name in gone:
            if name not in come and name in before:
                come[name] = before[name]
        for name, place in come.items():
            if name in at and "{" in _pattern(spec, at[name]):
                before[name] = at[name]
            at[name] = place
        if at.get(thing, "") != way[-1]:
            way.append(at[thing])
    if example.family == "count_at":
        return str(sum(place == told["place"] for place in at.values()))
    return way[-1] if example.family == "location" else "; ".join(way)


def _pattern(spec: WorldSpec, place: str) -> str:
    """The spec's words that this place is told with; those without a name in them stand for the agent itself."""
    return next((words for words in spec.places.values() if words == place), "{")

"""The same goal in many words, from the phrases that a world gives its predicates."""

from __future__ import annotations

import random

from habilis.core import Atom, Goal, WorldSpec

_NUMERALS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")
# ``{0}`` is an amount with its thing, "4 sticks", for goals of having something.
_HAVING = (
    "get {0}", "make {0}", "bring me {0}", "I need {0}", "could you fetch {0}?", "please get me {0}", "{0}, please",
    "collect {0} for me", "I would like to have {0}", "see that we have {0}", "we are short of {0}", "go and get {0}",
    "can you make {0}?", "prepare {0}", "obtain {0}", "your task is to get {0}",
)  # fmt: skip
# ``{0}`` is the world's own phrase, "be near a furnace".
_PLAIN = (
    "{0}", "please {0}", "could you {0}?", "I want you to {0}", "your task: {0}", "now {0}", "you should {0}",
    "go and {0}", "try to {0}", "can you {0}?", "it is time to {0}", "see to it that you {0}",
)  # fmt: skip


def paraphrases(goal: Goal, spec: WorldSpec, rng: random.Random, count: int = 4) -> list[str]:
    """Up to ``count`` ways to say a goal, all of the same meaning, in an order drawn from ``rng``.

    A goal with an atom that has no phrase, or that words would not fix (``<=``, ``!=``), is not said at all.
    """
    said = []
    for _ in range(count):
        parts = [_atom_in_words(atom, spec, rng) for atom in goal.atoms]
        if not parts or any(p is None for p in parts):
            return []
        said.append(" and ".join(p for p in parts if p))
    return list(dict.fromkeys(said))


def _atom_in_words(atom: Atom, spec: WorldSpec, rng: random.Random) -> str | None:
    predicate = spec.predicate(atom.fact.predicate)
    names = [str(a).lstrip("#").replace("_", " ") for a in atom.fact.args]
    if predicate is None or not predicate.phrase or atom.op not in (">=", "=="):
        return None
    if not atom.is_numeric:
        if atom.value is not True:
            return None
        try:
            return rng.choice(_PLAIN).format(predicate.phrase.format(*names, value=""))
        except IndexError:
            return None
    if atom.op != ">=" or not isinstance(atom.value, int) or atom.value < 1:
        return None
    amount = _NUMERALS[atom.value] if atom.value < len(_NUMERALS) and rng.random() < 0.5 else str(atom.value)
    if predicate.phrase.startswith("have {value} {0}") and len(names) == 1:
        name = names[0] if atom.value == 1 or names[0].endswith("s") else names[0] + "s"
        amount = rng.choice((amount, "a")) if atom.value == 1 else amount
        return rng.choice(_HAVING).format(f"{amount} {name}")
    try:
        return rng.choice(_PLAIN).format(predicate.phrase.format(*names, value=amount))
    except IndexError:
        return None

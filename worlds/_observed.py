"""What a user's code shows, as facts: a mapping of predicates to what holds, and the predicates that it teaches a spec.

Each entry becomes facts: a set gives true facts (``exists("door")``), a mapping valued ones (``count("key")`` is a
number), a single value a fact without arguments (``open()``). Tuples give several arguments.
"""

from __future__ import annotations

import keyword
import math
import os
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from habilis.core import Change, DefinitionError, Fact, Facts, Parameter, Predicate, Term, Value, WorldSpec
from habilis.worlds._declare import check_name

MOST_DIGITS = 300  # of a number in a fact: more are no float
_MOST_TEXT = 4000  # characters of the observation in words
_MOST_MESSAGE = 500  # characters of an exception's message


def read_facts(seen: Any, who: str, world: str) -> dict[Fact, Value]:
    """The facts that a mapping stands for, sorted. ``who``: the function that gave it, for errors.

    Raises `DefinitionError` naming the world and the entry.
    """
    if not isinstance(seen, Mapping):
        raise DefinitionError(f"{who} of the world {world!r} gave {type(seen).__name__}, not a mapping")
    facts: dict[Fact, Value] = {}
    for predicate, entry in seen.items():
        if isinstance(entry, Mapping):
            for key, value in entry.items():
                facts[Fact(predicate, _terms(key, predicate, who))] = _value(value, predicate, who)
        elif isinstance(entry, (set, frozenset, list, tuple)):
            for key in entry:
                facts[Fact(predicate, _terms(key, predicate, who))] = True
        else:
            facts[Fact(predicate)] = _value(entry, predicate, who)
    return dict(sorted(facts.items(), key=lambda item: str(item[0])))


def declared(spec: WorldSpec, facts: Facts, actions: Iterable[str], who: str) -> WorldSpec:
    """The spec with the predicates of these facts: an observation shows one only once something is true of it.

    The spec itself where nothing is new. Raises `DefinitionError` for a name that programs could not use, and for a
    predicate that is used in two ways.
    """
    known = {p.name: p for p in spec.predicates}
    for fact, value in facts.items():
        numeric, predicate = not isinstance(value, bool), known.get(fact.predicate)
        if predicate is None:
            known[fact.predicate] = _predicate(spec, fact, numeric, actions, who)
        elif (len(predicate.parameters), predicate.numeric) != (len(fact.args), numeric):
            raise DefinitionError(
                f"the world {spec.name!r} uses {fact.predicate!r} in two ways: as {fact} with "
                f"{'a number' if numeric else 'a truth value'}, and before with {len(predicate.parameters)} arguments "
                f"and {'a number' if predicate.numeric else 'a truth value'}; give one of them another name"
            )
    return spec if len(known) == len(spec.predicates) else replace(spec, predicates=tuple(known.values()))


def _predicate(spec: WorldSpec, fact: Fact, numeric: bool, actions: Iterable[str], who: str) -> Predicate:
    name: Any = fact.predicate
    if not isinstance(name, str) or not name.isidentifier() or keyword.iskeyword(name):
        raise DefinitionError(
            f"{who} of the world {spec.name!r} names a predicate {name!r}; "
            "a predicate is a name as in Python, and none of its keywords"
        )
    check_name("a predicate", name, spec.name, actions)
    arguments = tuple(Parameter(f"argument{i}") for i in range(len(fact.args)))
    words = name.replace("_", " ")
    shown = " ".join([words, *(f"{{{i}}}" for i in range(len(fact.args)))])
    phrase = f"have {shown} at {{value}}" if numeric else f"have {shown}"
    if numeric and len(fact.args) == 1:
        phrase = "have {value} {0}" if name == "count" else f"have {{value}} {words} of {{0}}"
    return Predicate(name, f"{words}, as observed", arguments, numeric=numeric, phrase=phrase)


def changes(before: Facts, after: Facts) -> tuple[Change, ...]:
    """The facts that differ, sorted; an absent fact is 0 or false."""
    found = []
    for fact in before.keys() | after.keys():
        now, was = after.get(fact), before.get(fact)
        if now is was:
            continue
        absent: Value = False if isinstance(now if was is None else was, bool) else 0
        was, now = absent if was is None else was, absent if now is None else now
        if was != now:
            found.append(Change(fact, was, now))
    return tuple(sorted(found, key=lambda change: str(change.fact)))


def in_words(facts: Facts) -> str:
    """The facts in words, grouped by predicate."""
    groups: dict[str, list[str]] = {}
    for fact, value in facts.items():
        told = ", ".join(map(str, fact.args))
        if isinstance(value, bool):
            if fact.args and value:
                groups.setdefault(fact.predicate, []).append(told)
            elif not fact.args:
                groups.setdefault(fact.predicate, []).append("yes" if value else "no")
        else:
            groups.setdefault(fact.predicate, []).append(f"{told}={value}" if told else str(value))
    text = ". ".join(f"{predicate}: {'; '.join(entries)}" for predicate, entries in groups.items())
    return text if len(text) <= _MOST_TEXT else text[:_MOST_TEXT] + f"… ({len(facts)} facts in all)"


def shown(value: Any, most: int = 80) -> str:
    """A value in a message, whatever it is: some have no text."""
    try:
        return repr(value)[:most]
    except Exception:
        return f"<{type(value).__name__}>"


def said(error: BaseException) -> str:
    """An error's type and message, in short."""
    try:
        return f"{type(error).__name__}: {error}"[:_MOST_MESSAGE]
    except Exception:
        return type(error).__name__


def _terms(key: Any, predicate: str, who: str) -> tuple[Term, ...]:
    parts = key if isinstance(key, tuple) else (key,)
    terms: list[Term] = []
    for part in parts:
        plain = os.fspath(part) if isinstance(part, os.PathLike) else part
        if isinstance(plain, bool) or not isinstance(plain, (str, int)):
            raise DefinitionError(
                f"{who} gave {predicate!r} the argument {shown(part)}; arguments are texts, paths or whole numbers"
            )
        if isinstance(plain, int) and abs(plain) >= 10**MOST_DIGITS:
            raise DefinitionError(
                f"{who} gave {predicate!r} a number of more than {MOST_DIGITS} digits as an argument; that is the "
                "most; give it as a text"
            )
        terms.append(plain)
    return tuple(terms)


def _value(value: Any, predicate: str, who: str) -> Value:
    if isinstance(value, int) and abs(value) >= 10**MOST_DIGITS:
        raise DefinitionError(
            f"{who} gave {predicate!r} a value of more than {MOST_DIGITS} digits; that is the most: count in larger "
            "units, or put it into an argument as a text"
        )
    if not isinstance(value, (bool, int, float)) or not math.isfinite(value):
        raise DefinitionError(
            f"{who} gave {predicate!r} the value {shown(value)}; a value is a finite number or a truth value. "
            "Put texts into arguments: {'colour': {('door', 'red')}}"
        )
    return value

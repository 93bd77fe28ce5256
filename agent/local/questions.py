"""Questions about a world, answered in one line: how the local model is asked, and what the contracts say beside it.

    needs     craft("stick")                 what an action needs
    yields    count("stick")                 what brings a fact about
    activity  open("fridge"); grab("milk")   what actions were for, as a goal
    person    anna: open("fridge")           what somebody is about, of whom this was seen
    help      anna: open("fridge")           what could be done for them

The contracts know rules, and nothing of anybody's aims: for the last two they have no answer.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Set
from typing import NamedTuple

from habilis.agent.words import check_goal
from habilis.core import Action, Atom, Fact, Goal, GoalSyntaxError, HabilisError, InputError, NotFoundError, WorldSpec
from habilis.memory import prompts
from habilis.memory.contracts import ContractBook
from habilis.memory.wordings import worded

__all__ = ["KINDS", "Question", "question"]

_LONGEST = 2_000  # characters of what a question is about


Check = Callable[[str, WorldSpec], object]


class Question(NamedTuple):
    """``prompt``: for the local model; ``known``: what the contracts say, "" where they know nothing; ``check`` raises
    `HabilisError` for an answer that means nothing in the world."""

    prompt: str
    known: str
    check: Check

    def doubt(self, answer: str, spec: WorldSpec) -> str:
        """Why an answer means nothing in this world; "" where it does."""
        try:
            self.check(answer, spec)
        except HabilisError as error:
            return str(error)
        return ""


def question(kind: str, about: str, book: ContractBook, spec: WorldSpec) -> Question:
    """Raises `NotFoundError` for another kind, an unknown action or an unknown predicate, `InputError` or
    `GoalSyntaxError` where what it is about is not written as above."""
    if kind not in KINDS:
        raise NotFoundError.of("question", kind, KINDS)
    if len(about) > _LONGEST:
        raise InputError(f"a question is about 1 to {_LONGEST} characters, this is about {len(about)}; shorten it")
    return KINDS[kind](about, book, spec)


def _needs(about: str, book: ContractBook, spec: WorldSpec) -> Question:
    try:
        action = Action.parse(about)
    except GoalSyntaxError as error:
        example = _example(spec).rpartition("; ")[2]
        raise InputError(f"needs is asked of an action, as in {example}, not {about!r}") from error
    _check_actions([action], {p.name for p in spec.primitives} | {c.action.name for c in book})
    contract = book.contract(action)
    seen_here = contract.source != "supposed"  # and not in another world only
    known = " and ".join(str(c.atom) for c in contract.conditions) if seen_here else ""
    return Question(prompts.needs_prompt(action), known, _is_goal)


def _yields(about: str, book: ContractBook, spec: WorldSpec) -> Question:
    try:
        fact = Fact.parse(about)
    except GoalSyntaxError as error:
        raise InputError(f'yields is asked of a fact, as in count("stick"), not {about!r}') from error
    predicate = spec.predicate(fact.predicate)
    check_goal(Goal((Atom(fact, ">=", 1) if predicate is not None and predicate.numeric else Atom(fact),)), spec)
    known = ", ".join(str(c.action) for c in [*book.producers(fact), *book.instances(fact, True, {})])
    return Question(prompts.yields_prompt(fact), known, _actions)


def _activity(about: str, book: ContractBook, spec: WorldSpec) -> Question:
    actions = _actions(about, spec)
    changes = {e.fact: e.amount if e.value is None else e.value for e in book.contract(actions[-1]).effects}
    known = prompts.effects_text(changes)
    return Question(worded("activity", {"done": prompts.plan_line(actions, tail=True)}), known, _is_goal)


def _of_person(kind: str) -> Callable[[str, ContractBook, WorldSpec], Question]:
    def asked(about: str, book: ContractBook, spec: WorldSpec) -> Question:
        who, colon, seen = about.partition(":")
        if not colon or not who.strip() or "(" in who:
            example = 'anna: open("fridge"); grab("milk")'
            raise InputError(f"{kind} is asked of somebody and what was seen of them, as in {example}, not {about!r}")
        deeds = "; ".join(str(a) for a in _actions(seen, spec))
        return Question(worded(kind, {"who": who.strip(), "seen": deeds}), "", _is_said)

    return asked


def _is_goal(text: str, spec: WorldSpec) -> None:
    check_goal(Goal.parse(text), spec)


def _is_said(text: str, spec: WorldSpec) -> None:
    if not text.strip():
        raise InputError("nothing was said")


def _actions(text: str, spec: WorldSpec) -> list[Action]:
    """Actions with semicolons between them, all of them the world's own."""
    parts = [part.strip() for part in re.split(r';(?=(?:[^"]*"[^"]*")*[^"]*$)', text)]  # none within quotes
    actions = [Action.parse(part) for part in parts if part]
    if not actions:
        raise InputError(f"this asks about actions with semicolons between them, as in {_example(spec)}, not {text!r}")
    _check_actions(actions, {p.name for p in spec.primitives})
    return actions


def _check_actions(actions: Iterable[Action], known: Set[str]) -> None:
    for action in actions:
        if action.name not in known:
            raise NotFoundError.of("action", action.name, known)


def _example(spec: WorldSpec) -> str:
    return "; ".join(f'{p.name}("…")' if p.parameters else f"{p.name}()" for p in spec.primitives[:2])


KINDS: Mapping[str, Callable[[str, ContractBook, WorldSpec], Question]] = {
    "needs": _needs,
    "yields": _yields,
    "activity": _activity,
    "person": _of_person("person"),
    "help": _of_person("help"),
}

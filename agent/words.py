"""A user's words into a goal that the world can check, and a goal into words.

Tried in turn: the text is a goal already; the predicates' phrases read backwards ("have {value} {0}" reads "get four
oak planks"); the local mind; a chat model, which answers with a goal that is checked, or leaves it to a judge.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

from habilis.agent._phrases import SAY, Names, by_phrases, example_of, form_of, phrase_of, spelling
from habilis.agent.chat.model import PricedChatModel, as_priced
from habilis.core import (
    Atom,
    ChatModel,
    Goal,
    GoalSyntaxError,
    InputError,
    Ledger,
    NotFoundError,
    Snapshot,
    WorldSpec,
    judged,
)

__all__ = ["check_goal", "goal_to_words", "words_to_goal"]

MindParse = Callable[[str], "Goal | str | None"]

_MAX_TEXT = 1000


def words_to_goal(
    text: str,
    spec: WorldSpec,
    snapshot: Snapshot,
    *,
    known: Iterable[str] = (),
    chat: PricedChatModel | ChatModel | None = None,
    mind_parse: MindParse | None = None,
    ledger: Ledger | None = None,
) -> Goal:
    """The goal that a text in plain language, or a goal expression, asks for.

    ``known``: names that arguments may have (items, blocks, places …); empty means that any name will do.
    ``mind_parse``: the local model, as a function from the text to a goal expression. ``chat``: asked last; its
    requests are charged to ``ledger``. With ``chat`` a text that is no conjunction of the world's predicates becomes
    ``Judged(text)``.

    Raises `NotFoundError` (unknown predicate or name: says what is close), `GoalSyntaxError` (a goal expression with a
    mistake), `InputError` (not understood: shows what would be).
    """
    text = text.strip()
    if not text or len(text) > _MAX_TEXT:
        raise InputError(f"a goal in words has 1 to {_MAX_TEXT} characters, this one has {len(text)}; shorten it")
    names = Names(known, spec, snapshot)
    if _looks_like_expression(text):
        goal = Goal.parse(text)
        check_goal(goal, spec, snapshot, known=names.all)
        return goal
    try:
        return by_phrases(text, spec, names)
    except (NotFoundError, InputError) as error:
        not_understood = error
    if mind_parse is not None:
        goal_or_none = _checked(mind_parse(text), spec, snapshot, names)
        if isinstance(goal_or_none, Goal):
            return goal_or_none
    if chat is None:
        raise not_understood
    if ledger is None:
        raise InputError("asking a chat model costs money: pass ledger= to say from which account")
    return _by_chat(text, spec, snapshot, names, as_priced(chat), ledger)


def check_goal(goal: Goal, spec: WorldSpec, snapshot: Snapshot | None = None, *, known: Iterable[str] = ()) -> None:
    """Whether this world can check the goal: predicates exist, arguments fit, names are known (if ``known`` is given).

    Raises `NotFoundError` or `InputError`.
    """
    names = Names(known, spec, snapshot or Snapshot())
    if goal.judged is None and not goal.atoms:
        raise InputError("a goal needs at least one atom")
    for atom in goal.atoms:
        predicate = spec.predicate(atom.fact.predicate)
        if predicate is None:
            hint = f"For example: {example_of(spec)}."
            raise NotFoundError.of("predicate", atom.fact.predicate, (p.name for p in spec.predicates), hint)
        form = form_of(predicate)
        required = sum(p.required for p in predicate.parameters)
        if not required <= len(atom.fact.args) <= len(predicate.parameters):
            raise InputError(f"{atom.fact} has {len(atom.fact.args)} arguments; write {form}")
        if predicate.numeric != atom.is_numeric:
            wants = "is a number: compare it, as in" if predicate.numeric else "is true or false: write"
            raise InputError(f"{predicate.name} {wants} {form}, not {atom}")
        for parameter, argument in zip(predicate.parameters, atom.fact.args, strict=False):
            if parameter.type in ("int", "float") and isinstance(argument, str):
                raise InputError(f"{parameter.name} in {atom.fact} is a number; write {form}")
            if parameter.type == "str" and not isinstance(argument, str):
                raise InputError(f"{parameter.name} in {atom.fact} is a text in quotes; write {form}")
            if isinstance(argument, str) and names.all and argument not in names.all:
                raise NotFoundError.of("name", argument, names.all)


def goal_to_words(goal: Goal, spec: WorldSpec) -> str:
    """The goal in plain language, by the predicates' phrases. `words_to_goal` reads it back."""
    if goal.judged is not None:
        return goal.judged
    return " and ".join(_atom_to_words(a, spec) for a in goal.atoms)


def _atom_to_words(atom: Atom, spec: WorldSpec) -> str:
    predicate = spec.predicate(atom.fact.predicate)
    if predicate is None:
        return str(atom)
    phrase = phrase_of(predicate, len(atom.fact.args))
    for i, argument in enumerate(atom.fact.args):
        said = str(argument)
        said = f"any {said[1:]}" if said.startswith("#") else said
        if "/" not in said and "." not in said:  # of a path every sign counts
            said = said.replace("_", " ")
        phrase = phrase.replace(f"{{{i}}}", said)
    if atom.is_numeric:
        return phrase.replace("{value}", f"{SAY[atom.op]}{atom.value}")
    negated = (atom.value is False) == (atom.op == "==")
    return f"not {phrase}" if negated else phrase


def _looks_like_expression(text: str) -> bool:
    """A name and a bracket with something like arguments: then its mistakes are worth telling, not guessing about."""
    if re.match(r"^(not\s+)?[A-Za-z_]\w*\(", text) is None:
        return False
    try:
        Goal.parse(text)
    except GoalSyntaxError:
        return text.count("(") == text.count(")")
    return True


def _checked(said: Goal | str | None, spec: WorldSpec, snapshot: Snapshot, names: Names) -> Goal | str:
    """The goal, or what is wrong with it."""
    if said is None:
        return "nothing was said"
    try:
        goal = said if isinstance(said, Goal) else Goal.parse(said)
        check_goal(goal, spec, snapshot, known=names.all)
    except (GoalSyntaxError, NotFoundError, InputError) as error:
        return str(error)
    return goal


def _by_chat(
    text: str, spec: WorldSpec, snapshot: Snapshot, names: Names, chat: PricedChatModel, ledger: Ledger
) -> Goal:
    predicates = "\n".join(f"- {form_of(p)}: {p.doc}" for p in spec.predicates)
    words = set(spelling(text).split())
    # Names that share a word with the text first: what does not fit below is least likely to be meant.
    listed = sorted(names.all, key=lambda n: (not words & set(spelling(n).lstrip("#").split()), n))[:300]
    system = (
        f"You turn a wish into a goal that the world {spec.name!r} can check. Answer with one line and nothing else: "
        "atoms joined by 'and', in these predicates (numbers are compared with >=, <=, ==; 'not' goes before an "
        f"atom):\n{predicates}\n"
        + (f"Names that arguments may have: {', '.join(listed)}\n" if listed else "")
        + f"For example: {example_of(spec)}\nIf the wish cannot be said in these predicates, answer JUDGED."
    )
    messages = [("system", system), ("user", text)]
    for _ in range(2):
        reply = chat.ask_now(messages, ledger)
        line = _answer_line(reply)
        if re.match(r"^judged\b", line, re.I):
            break
        goal = _checked(line, spec, snapshot, names)
        if isinstance(goal, Goal):
            return goal
        repair = f"That is no goal of this world: {goal} Answer with the corrected line, or JUDGED."
        messages += [("assistant", reply), ("user", repair)]
    return judged(text)


def _answer_line(reply: str) -> str:
    lines = [line.strip().strip("`").strip() for line in reply.splitlines()]
    lines = [line for line in lines if line and line.lower() not in ("python", "goal:")]
    found = next((line for line in lines if "(" in line), lines[0] if lines else "")
    return re.sub(r"^(goal|answer)\s*:\s*", "", found, flags=re.I)

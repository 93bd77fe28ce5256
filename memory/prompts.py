"""How the local model is asked and how its answers are read: one short line each way.

The trainer builds its examples with these functions and the agent asks with them, so that what was trained is what is
asked. A prompt ends in a line break and an answer has none. Change a prompt here and `PROMPT_VERSION` with it: a model
is of use only for the prompts it was trained on.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from habilis.core import Action, Fact, Goal, GoalSyntaxError, Snapshot, Term, Value, WorldSpec

PROMPT_VERSION = 2

_TIMES = re.compile(r"^(.*\)) x(\d+)$")


def next_prompt(goal: Goal | str, state: str) -> str:
    """What to do next for a goal? The answer is one action."""
    return f"Goal: {goal}\nState: {state}\nNext action:\n"


def goal_prompt(words: str) -> str:
    """The user's words into a goal. The answer is the goal's text."""
    return f"Words: {' '.join(words.split())}\nGoal:\n"


def needs_prompt(action: Action | str) -> str:
    """What does an action need? The answer is a conjunction of atoms."""
    return f"Action: {action}\nNeeds:\n"


def yields_prompt(fact: Fact | str) -> str:
    """What brings a fact about? The answer is one action."""
    return f"Wanted: {fact}\nAction:\n"


def changes_prompt(action: Action | str) -> str:
    """What does an action change? The answer is a line of changes (`effects_text`)."""
    return f"Action: {action}\nChanges:\n"


def count_prompt(fact: Fact | str, start: Value, actions: Sequence[Action], limit: int = 8) -> str:
    """What is the value of a fact after these actions? The answer is the value."""
    return f"Before: {fact} == {start!r}\nDone: {plan_line(actions, limit)}\nNow {fact} ==\n"


def plan_line(actions: Sequence[Action], limit: int = 8, *, tail: bool = False) -> str:
    """Actions on one line, loops of up to three folded: ``find("log") then mine("log") x3; craft("planks")``.

    At most ``limit`` groups, the first ones or (``tail``) the last ones.
    """
    groups = _groups(actions)
    shown = groups[-limit:] if tail else groups[:limit]
    return "; ".join(" then ".join(map(str, loop)) + (f" x{n}" if n > 1 else "") for loop, n in shown)


def plan_length(actions: Sequence[Action]) -> int:
    """How many groups the whole plan line has."""
    return len(_groups(actions))


def parse_plan(text: str, limit: int = 8, repeats: int = 256) -> tuple[Action, ...] | None:
    """The actions of a plan line, or None where it is not one. Reads back what `plan_line` wrote."""
    actions: list[Action] = []
    parts = text.strip().split("; ")
    if not text.strip() or len(parts) > limit:
        return None
    for part in parts:
        match = _TIMES.match(part.strip())
        body, times = (match[1], int(match[2])) if match else (part, 1)
        try:
            loop = [Action.parse(a) for a in body.split(" then ")]
        except GoalSyntaxError:
            return None
        if not 1 <= times <= repeats:
            return None
        actions += loop * times
    return tuple(actions)


def _groups(actions: Sequence[Action]) -> list[tuple[tuple[Action, ...], int]]:
    """(loop, repeats) in order. At each place the loop that covers most is taken, the shortest of equals."""
    groups: list[tuple[tuple[Action, ...], int]] = []
    at = 0
    while at < len(actions):
        best: tuple[tuple[Action, ...], int] = ((actions[at],), 1)
        for size in (1, 2, 3):
            loop, times = tuple(actions[at : at + size]), 1
            while tuple(actions[at + times * size : at + (times + 1) * size]) == loop:
                times += 1
            if times > 1 and size * times > len(best[0]) * best[1]:
                best = (loop, times)
        groups.append(best)
        at += len(best[0]) * best[1]
    return groups


def state_text(snapshot: Snapshot, spec: WorldSpec | None = None, limit: int = 16, *, about: Goal | None = None) -> str:
    """What is observed, by predicate, on one line: ``count: log 2, stick 4; near: furnace``.

    Zero, false and (with ``spec``) context facts are left out; so is what exceeds ``limit`` facts: first come those
    that share a thing with the goal that this is ``about``, then numbers. Of a world of places nothing else is told of
    other things, save what is at hand: there are too many.
    """
    wanted = {a for atom in about.atoms for a in atom.fact.args} if about is not None else frozenset[Term]()
    hidden = spec.contexts if spec is not None else frozenset()
    kept = [(f, v) for f, v in snapshot.facts.items() if v and f.predicate not in hidden]
    if wanted and spec is not None and spec.places:
        at_hand = [p for p in spec.places if len(spec.places[p].split("{")) == 1]
        kept = [(f, v) for f, v in kept if not f.args or f.predicate in at_hand or not wanted.isdisjoint(f.args)]
    kept.sort(key=lambda item: (wanted.isdisjoint(item[0].args), isinstance(item[1], bool), str(item[0])))
    groups: dict[str, list[str]] = {}
    for fact, value in kept[:limit]:
        name = " ".join(str(a) for a in fact.args)
        words = name if isinstance(value, bool) else f"{name} {value!r}".strip()
        groups.setdefault(fact.predicate, []).append(words)
    lines = (f"{predicate}: {', '.join(sorted(w for w in words if w))}" for predicate, words in sorted(groups.items()))
    return "; ".join(line.removesuffix(": ") for line in lines) or "nothing"


def effects_text(effects: Mapping[Fact, Value], limit: int = 6) -> str:
    """What changes, gains first: ``count("stick") +4, near("furnace"), count("log") -1``.

    A number is how much a fact rises or falls, a truth value what it becomes.
    """
    ordered = sorted(((f, v) for f, v in effects.items() if v != 0 or isinstance(v, bool)), key=_gains_first)
    shown = (
        (str(f) if v else f"not {f}") if isinstance(v, bool) else f"{f} {'+' if v > 0 else '-'}{abs(v):g}"
        for f, v in ordered[:limit]
    )
    return ", ".join(shown)


def _gains_first(item: tuple[Fact, Value]) -> tuple[bool, str]:
    fact, value = item
    return (value <= 0, str(fact))

"""The questions that have several wordings: the first is how the agent asks, the others are trained on besides.

As with `habilis.memory.prompts`, a prompt ends in a line break. Change a wording here and ``PROMPT_VERSION`` there.
"""

from __future__ import annotations

import random
from collections.abc import Mapping

__all__ = ["WORDINGS", "worded"]

WORDINGS: Mapping[str, tuple[str, ...]] = {
    "plan": (
        "Goal: {goal}\nState: {state}\nPlan:\n",
        "State: {state}\nGoal: {goal}\nPlan:\n",
        "What to do, so that {goal}? At first: {state}\n",
        "It is so: {state}\nIt should be: {goal}\nAll that is to do:\n",
    ),
    "plan_among": (
        "Goal: {goal}\nState: {state}\nThings: {things}\nPlan:\n",
        "There are {things}. State: {state}\nGoal: {goal}\nPlan:\n",
        "Of {things}, not all are needed. What to do, so that {goal}? At first: {state}\n",
    ),
    "activity": (
        "Done: {done}\nGoal:\n",
        "What is this for? {done}\n",
        "Somebody did this: {done}\nWhat did they want?\n",
    ),
    "end_state": (
        "Before: {before}\nAfter: {after}\nGoal:\n",
        "At first: {before}\nIn the end: {after}\nWhat was it that was wanted?\n",
        "It was {before}; now it is {after}. What has been the goal?\n",
    ),
    "count_at": (
        "At first {place}: {start}\nDone: {done}\nHow many things are {place} now?\n",
        "There was this {place}: {start}. Then: {done}\nHow many things are left {place}?\n",
        "{place}: {start}\nAfter {done}, the number of things {place} is\n",
    ),
    "path": (
        "At first {thing} is {start}\nDone: {done}\nWhere was {thing}, in order?\n",
        "{thing} begins {start}. Then: {done}\nThe places of {thing}, one after the other:\n",
        "Follow {thing}, which is {start}: {done}\nIts way:\n",
    ),
    "location": (
        "At first {thing} is {start}\nDone: {done}\nWhere is {thing} now?\n",
        "{thing} was {start}. Then: {done}\nNow {thing} is\n",
        "After {done}, where to look for {thing}, which was {start}?\n",
    ),
    "housework": (
        "Task: {task}\nThings: {things}\nWhich of them is needed?\n",
        "To {task}, which would you need: {things}?\n",
        "You are to {task}. Take one of {things}:\n",
    ),
    "housework_not": (
        "Task: {task}\nThings: {things}\nWhich of them is not needed?\n",
        "To {task}, which would you not need: {things}?\n",
        "You are to {task}. Of {things}, leave one:\n",
    ),
    "person": (
        "Seen of {who}: {seen}\nWhat is {who} doing?\n",
        "{who} did this: {seen}\nWhat for?\n",
        "You watch {who}: {seen}\nThey are about to\n",
    ),
    "help": (
        "Seen of {who}: {seen}\nDoes {who} need help, and with what?\n",
        "{who} did this: {seen}\nHow could you help now?\n",
        "You watch {who}: {seen}\nWhat could you do for them?\n",
    ),
    "program": (
        "Goal: {goal}\nProgram: {signature}\n",
        "Write {signature} so that {goal}\n",
    ),
}


def worded(family: str, told: Mapping[str, str], rng: random.Random | None = None) -> str:
    """A question of this family in one of its wordings; in the agent's own without ``rng``."""
    wordings = WORDINGS[family]
    return (wordings[0] if rng is None else rng.choice(wordings)).format(**told)

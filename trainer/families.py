"""The families of questions, and how each is made from what was lived through or from what is known.

After E2WM (Xiang et al. 2023, arXiv:2305.10626, section 3), for worlds of facts:

- ``plan``, ``plan_among``  goal and state (and things, most of them beside the point) -> all actions of a run
- ``next``        the same -> the next action alone
- ``goal``        the user's words -> the goal's text
- ``activity``    what was done -> the goal that it served; ``end_state``: what was so before and after -> the goal
- ``count``       a number before and some actions -> the number after
- ``count_at``, ``path``, ``location``  things and their places (`habilis.trainer._places`)
- ``housework``, ``housework_not``      a chore and some things -> the one that is (not) needed
- ``needs``, ``yields``, ``changes``    questions about contracts, with the contract *not* shown
- ``program``     a goal and a signature -> the program of a skill
- ``person``, ``help``                  put by the world itself (`habilis.core.world.Asking`)

A family is a row of `FAMILIES`: a function of one life, or of what is known of the world. It draws from the random
numbers that it is handed, and from nothing else.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from habilis.core import Contract, Fact, Goal, Question, Skill, Snapshot, Value, WorldSpec
from habilis.memory import prompts
from habilis.memory.wordings import WORDINGS, worded
from habilis.trainer._example import MAX_ANSWER, Example, kind_of
from habilis.trainer._life import Life
from habilis.trainer._places import count_at, location, path
from habilis.trainer._words import paraphrases

PLAN_GROUPS = 8  # a longer plan does not fit on the one line that the local model writes
_MAX_PROGRAM = 600  # the same for programs, which take several lines
_PER_EPISODE = 4  # ``next`` and ``count`` questions from one run: more of the same run teach little
_AMONG = (4, 7)  # things in a question that are beside the point
_CHOICES = 4  # things to choose from in a question about housework
_CONFOUNDERS = 3  # facts that nobody changed, among those that somebody did


@dataclass(frozen=True)
class Known:
    """What is known of a world, for questions that no single life gives."""

    lives: Sequence[Life]
    skills: Sequence[Skill]
    contracts: Sequence[Contract]
    spec: WorldSpec


OfLife = Callable[[Life, random.Random], Iterator[Example]]
OfKnown = Callable[[Known, random.Random], Iterator[Example]]


@dataclass(frozen=True)
class Family:
    """``lives``, ``known``: what makes its examples; neither, where the world puts the questions. ``source``: where
    examples come from, for whoever has none."""

    name: str
    source: str
    lives: OfLife | None = None
    known: OfKnown | None = field(default=None)


def group_of(goal: Goal | Fact) -> str:
    """What a goal is about: its facts in order, without amounts."""
    facts = [goal] if isinstance(goal, Fact) else [a.fact for a in goal.atoms]
    return " and ".join(sorted({str(f) for f in facts}))


def asked(question: Question, house: str, rng: random.Random) -> Example:
    """An example of a question that the world has put."""
    if question.family in WORDINGS:
        prompt = worded(question.family, question.told, rng)
    else:
        prompt = "".join(f"{name}: {text}\n" for name, text in sorted(question.told.items()))
    return Example(prompt, question.answer, question.family, question.about, None, house, dict(question.told))


# -- of one life -----------------------------------------------------------------------------------------------------


def _plan(life: Life, rng: random.Random) -> Iterator[Example]:
    line = _line(life)
    if line:
        yield life.example("plan", {"goal": str(life.goal), "state": life.told_state}, line, rng)


def _plan_among(life: Life, rng: random.Random) -> Iterator[Example]:
    line = _line(life)
    beside = [t for t in life.things if t not in life.used]
    if not line or len(beside) < _AMONG[1]:
        return
    things = [*sorted(life.used), *rng.sample(beside, rng.randint(*_AMONG))]
    rng.shuffle(things)
    told = {"goal": str(life.goal), "state": life.told_state, "things": ", ".join(things)}
    yield life.example("plan_among", told, line, rng)


def _line(life: Life) -> str:
    """The plan of a life on one line; "" where it served no goal, or is too long."""
    actions = [s.action for s in life.steps]
    if not life.solved or prompts.plan_length(actions) > PLAN_GROUPS:
        return ""
    line = prompts.plan_line(actions)
    return line if len(line) <= MAX_ANSWER else ""


def _activity(life: Life, rng: random.Random) -> Iterator[Example]:
    actions = [s.action for s in life.steps]
    if life.solved and prompts.plan_length(actions) <= PLAN_GROUPS:
        yield life.example("activity", {"done": prompts.plan_line(actions, tail=True)}, str(life.goal), rng)


def _end_state(life: Life, rng: random.Random) -> Iterator[Example]:
    """What changed and lasts, among facts that did not change."""
    if not life.solved:
        return
    first, last = life.before.facts, life.state_at(len(life.steps))
    wanted = {a.fact for a in life.goal.atoms}
    lasting = [f for f in sorted({*first, *last}, key=str) if f.predicate not in life.spec.passing]
    changed = [f for f in lasting if first.get(f, False) != last.get(f, False) and f not in wanted]
    same = [f for f in lasting if first.get(f, False) == last.get(f, False) and first.get(f) and f not in wanted]
    shown = {
        *wanted,
        *rng.sample(changed, min(len(changed), _CONFOUNDERS)),
        *rng.sample(same, min(len(same), _CONFOUNDERS)),
    }
    before, after = (
        prompts.state_text(Snapshot({f: v for f in sorted(shown, key=str) if (v := facts.get(f))}))
        for facts in (first, last)
    )
    if before != after:
        yield life.example("end_state", {"before": before, "after": after}, str(life.goal), rng)


def _next(life: Life, rng: random.Random) -> Iterator[Example]:
    if not life.solved:
        return
    for at in sorted(rng.sample(range(len(life.steps)), min(_PER_EPISODE, len(life.steps)))):
        now = Snapshot(life.state_at(at), life.before.tags)
        state = prompts.state_text(now, life.spec, about=life.goal)
        action = life.steps[at].action
        yield Example(
            prompts.next_prompt(life.goal, state), str(action), "next", life.group, life.episode.index, life.house
        )


def _count(life: Life, rng: random.Random) -> Iterator[Example]:
    """Windows of a run in which a number changes, by what worked alone; the answer is what the host recorded at the end
    of the window."""
    if not life.solved:
        return
    for _ in range(_PER_EPISODE):
        start = rng.randrange(len(life.steps))
        window = life.steps[start : start + rng.randint(1, 6)]
        first, last = life.state_at(start), life.state_at(start + len(window))
        changed = sorted({c.fact for s in window for c in s.outcome.changes if not isinstance(c.after, bool)}, key=str)
        untold = {c.fact for some in life.between[start + 1 : start + len(window) + 1] for c in some}
        changed = [f for f in changed if first.get(f, 0) != last.get(f, 0) and f not in untold]
        if changed:
            fact = rng.choice(changed)
            actions = [s.action for s in window]
            prompt = prompts.count_prompt(fact, first.get(fact, 0), actions)
            told = {"fact": str(fact), "start": repr(first.get(fact, 0)), "done": prompts.plan_line(actions)}
            yield Example(prompt, f"{last.get(fact, 0)!r}", "count", life.group, life.episode.index, life.house, told)


def _housework(life: Life, rng: random.Random) -> Iterator[Example]:
    """The one thing that is needed, or not: none that the words of the task name already."""
    task = life.episode.task.text.lower()
    unsaid = sorted(t for t in life.used if not _names(task, t))
    beside = [t for t in life.things if t not in life.used and not _names(task, t)]
    if not life.solved or not unsaid or len(beside) < _CHOICES:
        return
    needed = rng.choice(unsaid)
    things = [needed, *rng.sample(beside, _CHOICES - 1)]
    rng.shuffle(things)
    yield life.example("housework", {"task": task, "things": ", ".join(things)}, needed, rng)
    if len(unsaid) > 1:
        odd = rng.choice(beside)
        things = [odd, *rng.sample(unsaid, min(len(unsaid), _CHOICES - 1))]
        rng.shuffle(things)
        yield life.example("housework_not", {"task": task, "things": ", ".join(things)}, odd, rng)


def _names(task: str, thing: str) -> bool:
    return kind_of(thing).replace("_", " ") in task


# -- of what is known ------------------------------------------------------------------------------------------------


def _goal(known: Known, rng: random.Random) -> Iterator[Example]:
    lives = [life for life in known.lives if life.solved]
    goals = {str(life.goal): life.goal for life in lives}
    texts: dict[str, set[str]] = defaultdict(set)
    for life in lives:
        texts[str(life.goal)].add(life.episode.task.text)
    facts = {e.fact for c in known.contracts for e in c.effects if e.amount > 0 or e.value is True}
    for skill in known.skills:
        for goal in _goals_of(skill):
            goals.setdefault(str(goal), goal)
    for fact in sorted(facts, key=str):
        predicate = known.spec.predicate(fact.predicate)
        if predicate is not None and not predicate.context and not _open(fact):
            amount = f" >= {rng.randint(1, 9)}" if predicate.numeric else ""
            goals.setdefault(f"{fact}{amount}", Goal.parse(f"{fact}{amount}"))
    for text in sorted(goals):
        goal = goals[text]
        words = sorted(texts[text]) + paraphrases(goal, known.spec, rng)
        for said in dict.fromkeys(words):
            if said:
                yield Example(prompts.goal_prompt(said), text, "goal", group_of(goal))


def _goals_of(skill: Skill) -> Sequence[Goal]:
    try:
        return list(skill.goals())
    except ValueError:
        return ()  # a parameter without a default: there is no one goal to name


def _open(fact: Fact) -> bool:
    """Whether it stands for many: ``$0``."""
    return any(str(a).startswith("$") for a in fact.args)


def _program(known: Known, rng: random.Random) -> Iterator[Example]:
    for skill in sorted(known.skills, key=lambda s: s.name):
        source = skill.program.source.strip()
        signature = next((line.rstrip(":") for line in source.split("\n") if line.startswith("def ")), "")
        goals = _goals_of(skill)
        if signature and goals and len(source) <= _MAX_PROGRAM:
            told = {"goal": skill.goal_template, "signature": signature}
            yield Example(worded("program", told, rng), source, "program", group_of(goals[0]), None, "", told)


def _told_contracts(known: Known) -> Iterator[tuple[Contract, Mapping[Fact, Value], str]]:
    """Contracts that bring something about: with what they change, and what a question about them is about."""
    for contract in sorted(known.contracts, key=lambda c: str(c.action)):
        gains = {e.fact: (e.amount if e.value is None else e.value) for e in contract.effects}
        made = sorted(str(f) for f, v in gains.items() if v is True or (not isinstance(v, bool) and v > 0))
        if made and (contract.successes or contract.source != "induced"):
            yield contract, gains, made[0]


def _needs(known: Known, rng: random.Random) -> Iterator[Example]:
    for contract, _, group in _told_contracts(known):
        needs = str(Goal(tuple(sorted((c.atom for c in contract.conditions), key=str))))
        if contract.conditions and len(needs) <= MAX_ANSWER:
            yield Example(prompts.needs_prompt(contract.action), needs, "needs", group)


def _changes(known: Known, rng: random.Random) -> Iterator[Example]:
    for contract, gains, group in _told_contracts(known):
        yield Example(prompts.changes_prompt(contract.action), prompts.effects_text(gains), "changes", group)


def _yields(known: Known, rng: random.Random) -> Iterator[Example]:
    producers: dict[Fact, list[Contract]] = defaultdict(list)
    for contract, _, _ in _told_contracts(known):
        for effect in contract.effects:
            if effect.amount > 0 or effect.value is True:
                producers[effect.fact].append(contract)
    for fact in sorted(producers, key=str):
        best = min(producers[fact], key=lambda c: (-c.successes, c.cost, str(c.action)))
        yield Example(prompts.yields_prompt(fact), str(best.action), "yields", str(fact))


_RUNS = "solved tasks: habilis run, or habilis explore --policy mcts"
_MOVED = "things that are moved about in a world whose predicates tell places: habilis explore"
_CONTRACTS = "contracts, learned or told: habilis run"
_CHORES = "solved chores, in a world that has some: habilis explore --policy mcts"
_PEOPLE = "a world that asks about other people, such as -o people=always: habilis explore"


def _registry() -> dict[str, Family]:
    rows = (
        Family("activity", _RUNS, _activity),
        Family("changes", _CONTRACTS, known=_changes),
        Family("count", "solved tasks in a world of numbers: habilis run", _count),
        Family("count_at", _MOVED, count_at),
        Family("end_state", _RUNS, _end_state),
        Family("goal", _RUNS, known=_goal),
        Family("help", _PEOPLE),
        Family("housework", _CHORES, _housework),
        Family("housework_not", _CHORES),  # made with the former
        Family("location", _MOVED, location),
        Family("needs", _CONTRACTS, known=_needs),
        Family("next", _RUNS, _next),
        Family("path", _MOVED, path),
        Family("person", _PEOPLE),
        Family("plan", _RUNS, _plan),
        Family("plan_among", f"{_RUNS}, in a world of places and things", _plan_among),
        Family("program", "skills: habilis run", known=_program),
        Family("yields", _CONTRACTS, known=_yields),
    )
    return {row.name: row for row in rows}


FAMILIES: Mapping[str, Family] = _registry()

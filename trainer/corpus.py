"""From what the agent lived through to questions with one-line answers.

Families (after E2WM, Xiang et al. 2023, arXiv:2305.10626, section 3, for worlds of facts):

- ``plan``      goal and state -> all actions of a run that worked; ``next``: the next action alone;
- ``goal``      the user's words -> the goal's text;
- ``needs``, ``yields``, ``changes``   questions about contracts, with the contract *not* shown;
- ``activity``  what was done -> the goal that it served;
- ``count``     a fact before and some actions -> the fact after.

An example belongs to the *group* of what it is about: the facts of its goal without their amounts. A whole group is in
training, in validation or in the test, so a held-out question is never about something that was trained on.
"""

from __future__ import annotations

import hashlib
import json
import math
import random
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from habilis.core import Contract, Episode, Fact, Goal, InputError, Json, Skill, Step, Task, Value, WorldSpec
from habilis.memory import prompts
from habilis.trainer._words import paraphrases

CORPUS_VERSION = 1
FAMILIES = ("activity", "changes", "count", "goal", "needs", "next", "plan", "yields")

_PLAN_GROUPS = 8  # a longer plan does not fit on the one line that the local model writes
_MAX_ANSWER = 240  # characters
_PER_EPISODE = 4  # ``next`` and ``count`` questions from one run: more of the same run teach little
_COMMONEST = 0.2  # no answer may be more frequent than this within a family of one split
_TEST, _VALIDATION = 0.15, 0.15


@dataclass(frozen=True, slots=True)
class Example:
    """One question. ``group``: what it is about, never shared between splits. ``episode``: where it came from."""

    prompt: str
    answer: str
    family: str
    group: str
    episode: int | None = None


@dataclass(frozen=True)
class PlanTask:
    """A held-out task, solved by running the model's plan. ``prompt`` asks for the plan."""

    prompt: str
    task: Task


@dataclass(frozen=True)
class Corpus:
    """Examples by split, tasks to execute, and what was counted while building. ``fingerprint``: sha256 of it all."""

    train: tuple[Example, ...]
    validation: tuple[Example, ...]
    test: tuple[Example, ...]
    plans: tuple[PlanTask, ...] = ()
    figures: Mapping[str, Json] = field(default_factory=dict)
    fingerprint: str = ""


def build_corpus(
    episodes: Sequence[Episode],
    skills: Sequence[Skill],
    contracts: Sequence[Contract],
    spec: WorldSpec,
    seed: int = 0,
    *,
    min_episodes: int = 8,
    min_groups: int = 6,
) -> Corpus:
    """The corpus of a world, the same for the same input. Only its solved episodes teach plans: those of its
    fingerprint, and old ones that tell none by its name.

    Raises `InputError` where there are fewer than ``min_episodes`` solved episodes or ``min_groups`` different goals:
    below that nothing can be held out.
    """
    solved = [e for e in episodes if e.solved and e.task.goal.atoms and _of(e.task, spec)]
    groups = {group_of(e.task.goal) for e in solved}
    if len(solved) < min_episodes or len(groups) < min_groups:
        raise InputError(
            f"the journal holds {len(solved)} solved episodes on {len(groups)} different goals in {spec.name!r}; "
            f"distilling needs at least {min_episodes} on {min_groups}. Let it learn longer: habilis run"
        )
    rng = random.Random(f"corpus {CORPUS_VERSION} {seed}")
    found = [*_from_episodes(solved, spec, rng), *_from_goals(solved, skills, contracts, spec, rng)]
    found += _from_contracts(contracts, spec)
    split_of = split_groups({e.group for e in found}, seed)
    by_split = _split(found, split_of)
    figures: dict[str, Json] = {"version": CORPUS_VERSION, "prompts": prompts.PROMPT_VERSION, "episodes": len(solved)}
    kept: dict[str, tuple[Example, ...]] = {}
    for name in ("train", "validation", "test"):
        kept[name] = tuple(_balance(by_split[name], rng))
        figures[name] = {"examples": len(kept[name]), **_family_figures(kept[name])}
    for name in ("train", "test"):
        if not kept[name]:
            raise InputError(
                f"after balancing, the {name} part has 0 of {len(found)} examples: the journal is too uniform; "
                "let the agent learn more different things"
            )
    plans = _plan_tasks(solved, spec, split_of)
    figures["plans"] = len(plans)
    text = json.dumps([[*_row(e)] for name in ("train", "validation", "test") for e in kept[name]])
    return Corpus(
        kept["train"], kept["validation"], kept["test"], plans, figures, hashlib.sha256(text.encode()).hexdigest()
    )


def _of(task: Task, spec: WorldSpec) -> bool:
    """Whether a task was in this world; another of its name may have other rules."""
    return task.world == spec.name and task.fingerprint in ("", spec.fingerprint)


def group_of(goal: Goal | Fact) -> str:
    """What a goal is about: its facts in order, without amounts."""
    facts = [goal] if isinstance(goal, Fact) else [a.fact for a in goal.atoms]
    return " and ".join(sorted({str(f) for f in facts}))


def split_groups(groups: Iterable[str], seed: int = 0) -> dict[str, str]:
    """Group -> "train", "validation" or "test", by hash: a group keeps its split as the journal grows.

    Only where chance leaves a split under a tenth (or, of 20 groups and more, under 5), the groups with the lowest
    hashes fill it up.
    """
    drawn = sorted((hashlib.sha256(f"{seed}:{g}".encode()).digest(), g) for g in set(groups))
    shares = [int.from_bytes(digest[:8]) / 2**64 for digest, _ in drawn]
    least = min(len(drawn) // 3, max(1, math.ceil(len(drawn) / 10), 5 if len(drawn) >= 20 else 0))
    test = max(least, sum(s < _TEST for s in shares))
    validation = max(test + least, sum(s < _TEST + _VALIDATION for s in shares))
    return {g: "test" if i < test else "validation" if i < validation else "train" for i, (_, g) in enumerate(drawn)}


def _row(example: Example) -> tuple[str, ...]:
    return (example.prompt, example.answer, example.family, example.group)


def _working_steps(episode: Episode) -> tuple[Step, ...]:
    """The actions that succeeded in the attempt that solved the task."""
    attempt = next((a for a in reversed(episode.attempts) if a.ok), None)
    return () if attempt is None else tuple(s for s in attempt.trajectory.steps if s.outcome.ok)


def _from_episodes(solved: Sequence[Episode], spec: WorldSpec, rng: random.Random) -> list[Example]:
    found: list[Example] = []
    for episode in solved:
        goal, group = episode.task.goal, group_of(episode.task.goal)
        steps = _working_steps(episode)
        if not steps:
            continue
        before = next(a for a in reversed(episode.attempts) if a.ok).trajectory.before
        actions = [s.action for s in steps]
        state = prompts.state_text(before, spec)
        if prompts.plan_length(actions) <= _PLAN_GROUPS:
            plan = prompts.plan_line(actions)
            if len(plan) <= _MAX_ANSWER:
                found.append(Example(prompts.plan_prompt(goal, state), plan, "plan", group, episode.index))
            found.append(Example(prompts.activity_prompt(actions), str(goal), "activity", group, episode.index))
        for at in sorted(rng.sample(range(len(steps)), min(_PER_EPISODE, len(steps)))):
            now = _state_after(before.facts, steps[:at])
            text = prompts.state_text(type(before)(now, before.tags), spec)
            found.append(Example(prompts.next_prompt(goal, text), str(actions[at]), "next", group, episode.index))
        found += _counting(before.facts, steps, group, episode.index, rng)
    return found


def _state_after(facts: Mapping[Fact, Value], steps: Sequence[Step]) -> dict[Fact, Value]:
    now = dict(facts)
    for step in steps:
        now.update({c.fact: c.after for c in step.outcome.changes})
    return now


def _counting(
    before: Mapping[Fact, Value], steps: Sequence[Step], group: str, index: int, rng: random.Random
) -> list[Example]:
    """Windows of a run in which a number changes; the answer is what the host recorded at the end of the window."""
    found: list[Example] = []
    for _ in range(_PER_EPISODE):
        start = rng.randrange(len(steps))
        window = steps[start : start + rng.randint(1, 6)]
        first, last = _state_after(before, steps[:start]), _state_after(before, steps[: start + len(window)])
        changed = sorted({c.fact for s in window for c in s.outcome.changes if not isinstance(c.after, bool)}, key=str)
        changed = [f for f in changed if first.get(f, 0) != last.get(f, 0)]
        if changed:
            fact = rng.choice(changed)
            prompt = prompts.count_prompt(fact, first.get(fact, 0), [s.action for s in window])
            found.append(Example(prompt, f"{last.get(fact, 0)!r}", "count", group, index))
    return found


def _from_goals(
    solved: Sequence[Episode],
    skills: Sequence[Skill],
    contracts: Sequence[Contract],
    spec: WorldSpec,
    rng: random.Random,
) -> list[Example]:
    goals = {str(e.task.goal): e.task.goal for e in solved}
    texts: dict[str, set[str]] = defaultdict(set)
    for episode in solved:
        texts[str(episode.task.goal)].add(episode.task.text)
    facts = {e.fact for c in contracts for e in c.effects if e.amount > 0 or e.value is True}
    for skill in skills:
        try:
            for goal in skill.goals():
                goals.setdefault(str(goal), goal)
        except ValueError:
            continue  # a parameter without a default: there is no one goal to name
    for fact in sorted(facts, key=str):
        predicate = spec.predicate(fact.predicate)
        if predicate is not None and not predicate.context:
            amount = f" >= {rng.randint(1, 9)}" if predicate.numeric else ""
            goals.setdefault(f"{fact}{amount}", Goal.parse(f"{fact}{amount}"))
    found = []
    for text in sorted(goals):
        goal = goals[text]
        words = sorted(texts[text]) + paraphrases(goal, spec, rng)
        found += [Example(prompts.goal_prompt(w), text, "goal", group_of(goal)) for w in dict.fromkeys(words) if w]
    return found


def _from_contracts(contracts: Sequence[Contract], spec: WorldSpec) -> list[Example]:
    found = []
    producers: dict[Fact, list[Contract]] = defaultdict(list)
    for contract in sorted(contracts, key=lambda c: str(c.action)):
        gains = {e.fact: (e.amount if e.value is None else e.value) for e in contract.effects}
        made = sorted((str(f) for f, v in gains.items() if v is True or (not isinstance(v, bool) and v > 0)))
        if not made or (contract.successes == 0 and contract.source == "induced"):
            continue
        for effect in contract.effects:
            if effect.amount > 0 or effect.value is True:
                producers[effect.fact].append(contract)
        group = made[0]
        needs = str(Goal(tuple(sorted((c.atom for c in contract.conditions), key=str))))
        if needs and len(needs) <= _MAX_ANSWER:
            found.append(Example(prompts.needs_prompt(contract.action), needs, "needs", group))
        found.append(Example(prompts.changes_prompt(contract.action), prompts.effects_text(gains), "changes", group))
    for fact in sorted(producers, key=str):
        best = min(producers[fact], key=lambda c: (-c.successes, c.cost, str(c.action)))
        found.append(Example(prompts.yields_prompt(fact), str(best.action), "yields", str(fact)))
    return found


def _split(found: Sequence[Example], split_of: Mapping[str, str]) -> dict[str, list[Example]]:
    """Examples by split, each question once. A question that two splits would share is in neither."""
    where: dict[str, set[str]] = defaultdict(set)
    for example in found:
        where[example.prompt].add(split_of[example.group])
    by_split: dict[str, list[Example]] = {"train": [], "validation": [], "test": []}
    seen: set[str] = set()
    for example in found:
        if len(where[example.prompt]) == 1 and example.prompt not in seen and len(example.answer) <= _MAX_ANSWER:
            seen.add(example.prompt)
            by_split[split_of[example.group]].append(example)
    return by_split


def _balance(examples: Sequence[Example], rng: random.Random) -> list[Example]:
    """Families in turn, and no answer more frequent than `_COMMONEST` in its family, so that no constant scores.

    A family in which that cannot be had (fewer than 1 / `_COMMONEST` different answers) is left out.
    """
    families: dict[str, list[Example]] = defaultdict(list)
    for example in sorted(examples, key=_row):
        families[example.family].append(example)
    queues = []
    for name in sorted(families):
        pool = families[name]
        rng.shuffle(pool)
        capped = _capped(pool)
        if capped:
            queues.append(capped)
    # Interleaved, so that any beginning of the list (a short budget) holds all families.
    order: list[Example] = []
    for turn in range(max(map(len, queues), default=0)):
        order += [queue[turn] for queue in queues if turn < len(queue)]
    return order


def _capped(pool: Sequence[Example]) -> list[Example]:
    counts = Counter(e.answer for e in pool)
    # The largest cap at which the commonest answer stays within its share of what is left.
    for cap in range(max(counts.values()), 0, -1):
        left = sum(min(n, cap) for n in counts.values())
        if min(cap, max(counts.values())) <= _COMMONEST * left:
            taken: Counter[str] = Counter()
            kept = []
            for example in pool:
                if taken[example.answer] < cap:
                    taken[example.answer] += 1
                    kept.append(example)
            return kept
    return []


def _family_figures(examples: Sequence[Example]) -> dict[str, Json]:
    """Per family: how many, and what always giving the commonest answer would score."""
    figures: dict[str, Json] = {}
    for name in FAMILIES:
        answers = Counter(e.answer for e in examples if e.family == name)
        if answers:
            total = answers.total()
            figures[name] = {"examples": total, "constant_answer": round(max(answers.values()) / total, 4)}
    return figures


def _plan_tasks(solved: Sequence[Episode], spec: WorldSpec, split_of: Mapping[str, str]) -> tuple[PlanTask, ...]:
    """One held-out task per goal, from the state in which it was once solved."""
    tasks: dict[str, PlanTask] = {}
    for episode in solved:
        if split_of.get(group_of(episode.task.goal)) != "test" or not _working_steps(episode):
            continue
        before = next(a for a in reversed(episode.attempts) if a.ok).trajectory.before
        prompt = prompts.plan_prompt(episode.task.goal, prompts.state_text(before, spec))
        tasks.setdefault(str(episode.task.goal), PlanTask(prompt, episode.task))
    return tuple(tasks[k] for k in sorted(tasks))

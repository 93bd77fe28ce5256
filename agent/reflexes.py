"""Reflexes that are learned: from what ended lives, to what keeps them from ending so.

Where a life ended, some numbers of the agent's own condition were low (what it had to drink). A skill that is known to
raise such a number, or a program lifted from what is known of the actions, becomes a candidate: it is called when the
number has fallen to a third of its range. What it is worth is found out in pairs of lives in fresh practice worlds,
with the candidate and without it, from the same seeds: it is kept where the lives with it last longer so often that
this would be odd if it made no difference (a sign test), and dropped else.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from habilis.agent.admission import candidate
from habilis.agent.planning.calls import needed
from habilis.agent.planning.lifting import lift
from habilis.agent.planning.meter import SearchMeter
from habilis.agent.planning.regression import Regression, skills_by_fact
from habilis.core import (
    Affording,
    Atom,
    BudgetExceeded,
    Cost,
    Fact,
    Goal,
    GoalSyntaxError,
    InputError,
    Json,
    Ledger,
    Reflex,
    RunLimits,
    Runner,
    Skill,
    SkillError,
    Task,
    World,
    WorldSpec,
)
from habilis.memory.contracts import LOW, ContractBook
from habilis.memory.library import SkillLibrary
from habilis.memory.reflexes import LearnedReflex, keep_reflex, learned_reflexes, wrapped
from habilis.worlds.runner import ended, reset

__all__ = ["Practice", "Proving", "learn_reflexes"]

Practice = Callable[[Sequence[Reflex]], World]  # a fresh world, with these reflexes beside those that are at work

_FULL = 0.9  # share of it up to which it is raised
_USUAL = 0.5  # share of the successes of an action from which on an effect is its own


@dataclass(frozen=True)
class Proving:
    """``pairs``: lives with and without a candidate, from the same seeds (eight decide where nearly all are won).
    ``odd``: the chance of so many wins, were there no difference, below which it is kept. ``steps``: of one life at
    most; ``run_steps``: of one skill in it. ``candidates``: tried at once, for each costs up to ``2 * pairs * steps``
    world steps. ``steps_at_once`` and ``rest``: of the reflex."""

    pairs: int = 8
    odd: float = 0.05
    steps: int = 400
    run_steps: int = 120
    candidates: int = 2
    steps_at_once: int = 250
    rest: int = 60


def learn_reflexes(
    *,
    spec: WorldSpec,
    book: ContractBook,
    library: SkillLibrary,
    practice: Practice,
    runner: Runner,
    ledger: Ledger,
    seed: int,
    settings: Proving | None = None,
) -> list[LearnedReflex]:
    """Try what may keep lives from ending so, and put into the journal what came of it. Ends early, without an error,
    where the ledger has no more: what was not decided then is tried again."""
    settings = settings or Proving()
    journal, came = library.home.journal, list[LearnedReflex]()
    known = {one.name: one for one in learned_reflexes(journal, spec.fingerprint, status=None)}
    tried = 0
    for fact, low, high in book.endings.low():
        name = f"keep_{fact.predicate}"
        trigger = Atom(fact, "<=", math.floor(low + LOW * (high - low)))
        aim = math.ceil(low + _FULL * (high - low))
        reverser = _reverser(fact, aim, spec, book, library, ledger)
        if reverser is None or tried >= settings.candidates:
            continue
        skill, args, is_new = reverser
        if name in known and (known[name].status == "active" or known[name].source == skill.program.source):
            continue  # it is at work, or did not prove itself as it is
        tried += 1
        programs = needed(skill.program, library.active()) | {skill.name: skill.program}
        reflex = Reflex(
            name,
            wrapped(name, skill.name, args),
            (Goal((trigger,)),),
            steps=settings.steps_at_once,
            rest=settings.rest,
            skills=programs,
            origin="learned",
        )
        try:
            pairs = list(_pairs(reflex, practice, runner, library.active(), ledger, seed, settings))
        except BudgetExceeded:
            break
        learned = _judged(reflex, str(trigger), skill, args, pairs, settings)
        with journal.transaction():
            if learned.status == "active" and is_new:
                try:
                    kept = library.admit(skill, f"raises {fact}, which was low where lives ended", ledger=ledger)
                    learned = replace(learned, skill=kept.name, source=kept.program.source)
                except (BudgetExceeded, SkillError) as error:
                    learned = replace(learned, status="dropped", why=f"{learned.why}; {error}")
            keep_reflex(journal, spec.fingerprint, learned)
        came.append(learned)
    return came


def _reverser(
    fact: Fact, aim: int, spec: WorldSpec, book: ContractBook, library: SkillLibrary, ledger: Ledger
) -> tuple[Skill, dict[str, Json], bool] | None:
    """A skill that raises this number, with its arguments, and whether it is new: lifted from what actions do."""
    skills = {n: s for n, s in library.active().items() if not s.tools}
    for skill in sorted(skills.values(), key=lambda s: (-s.posterior, s.cost, s.name)):
        raises = any(c.kind.value == "adds" and c.fact == str(fact) for c in skill.contract)
        if (raises or _aims_at(skill, fact)) and all(not p.required for p in skill.program.parameters):
            counts = [p.name for p in skill.program.parameters if p.name == "n" and _aims_at(skill, fact)]
            return skill, dict.fromkeys(counts, aim), False
    usual = [c for c in book.producers(fact) if (e := c.effect_on(fact)) and e.seen > _USUAL * c.successes]
    if not usual:
        return None
    with SearchMeter(ledger) as meter:
        regression = Regression(book, spec, skills_by_fact(skills.values()), (), meter)
        way = regression.solve(fact)
        if way is None or way.contract is None or way.contract.action not in {c.action for c in usual}:
            return None
        draft = lift(regression, Goal((Atom(fact, ">=", aim),)))
    if draft is None or draft.program.name in skills:
        return None
    task = Task(Goal((Atom(fact, ">=", aim),)), spec.name, 0, f"raise {fact}", fingerprint=spec.fingerprint)
    return candidate(draft, task, spec, 0, ()), {p.name: aim for p in draft.program.parameters}, True


def _aims_at(skill: Skill, fact: Fact) -> bool:
    """Whether its goal, as it is called without arguments, is to raise this number."""
    try:
        goals = skill.goals()
    except (GoalSyntaxError, InputError):
        return False
    return any(len(g.atoms) == 1 and g.atoms[0].fact == fact and g.atoms[0].op in (">=", ">") for g in goals)


def _pairs(
    reflex: Reflex,
    practice: Practice,
    runner: Runner,
    skills: Mapping[str, Skill],
    ledger: Ledger,
    seed: int,
    settings: Proving,
) -> Iterator[tuple[int, int]]:
    """How long lives lasted with a reflex and without it, until nothing can change the verdict."""
    wins = losses = 0
    for number in range(settings.pairs):
        both = []
        for beside in ((reflex,), ()):
            world = practice(beside)
            both.append(_life(world, runner, skills, ledger, f"{seed}:{number}", settings))
        wins, losses = wins + (both[0] > both[1]), losses + (both[0] < both[1])
        yield both[0], both[1]
        left = settings.pairs - number - 1
        if _chance(wins + left, losses) > settings.odd:
            return


def _life(
    world: World, runner: Runner, skills: Mapping[str, Skill], ledger: Ledger, seed: str, settings: Proving
) -> int:
    """World steps that a life lasts, in which skills are called and actions are tried at random."""
    rng = random.Random(f"practice:{seed}")
    reset(world, rng.getrandbits(31))
    usable = sorted(n for n, s in skills.items() if not s.tools and not any(p.required for p in s.program.parameters))
    lasted = 0
    while lasted < settings.steps and not ended(world):
        if usable and rng.random() < 0.5:
            program = skills[rng.choice(usable)].program
            limits = RunLimits(world_steps=settings.run_steps, images=0)
            run = runner.run(program, world, skills=needed(program, skills), limits=limits, ledger=ledger)
            lasted += max(1, run.world_steps)
            continue
        actions = sorted(world.affordances(), key=str) if isinstance(world, Affording) else []
        if not actions:
            lasted += 1
            continue
        action = rng.choice(actions)
        primitive = world.spec.primitive(action.name)
        with ledger.reserve(Cost(world_steps=primitive.max_steps if primitive is not None else 1)) as held:
            outcome = world.act(action)
            held.commit(Cost(world_steps=outcome.steps))
        lasted += max(1, outcome.steps)
    return lasted if ended(world) else settings.steps


def _judged(
    reflex: Reflex,
    trigger: str,
    skill: Skill,
    args: Mapping[str, Json],
    pairs: Sequence[tuple[int, int]],
    settings: Proving,
) -> LearnedReflex:
    wins, losses = sum(a > b for a, b in pairs), sum(a < b for a, b in pairs)
    kept = wins > losses and _chance(wins, losses) <= settings.odd
    told = f"lives with it lasted longer in {wins} of {len(pairs)} pairs, and shorter in {losses}"
    return LearnedReflex(
        name=reflex.name,
        trigger=trigger,
        skill=skill.name,
        args=args,
        status="active" if kept else "dropped",
        why=told,
        wins=wins,
        losses=losses,
        pairs=len(pairs),
        steps_with=_mean(a for a, _ in pairs),
        steps_without=_mean(b for _, b in pairs),
        steps=reflex.steps,
        rest=reflex.rest,
        source=skill.program.source,
    )


def _chance(wins: int, losses: int) -> float:
    """Of at least so many wins among the pairs that were decided, were each as likely as the other (the sign test)."""
    decided = wins + losses
    return float(sum(math.comb(decided, k) for k in range(wins, decided + 1)) / 2**decided)


def _mean(values: Iterable[int]) -> float:
    found = list(values)
    return round(sum(found) / len(found), 1) if found else 0.0

"""Keeping the library up between two tasks: what is due is verified again, old skills are written anew from today's
contracts and promoted where they do better, and what is of least use is retired. At the beginning of a life, what was
learned of the same world under other rules is taken along as far as it still holds.

A skill found early was made of what was known then. Frozen, such choices cost every later task that rests on them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from habilis.agent.admission import lives_to_lose
from habilis.agent.parts import Parts
from habilis.agent.planning.lifting import lift
from habilis.agent.planning.meter import SearchMeter
from habilis.agent.planning.regression import Regression, skills_by_fact
from habilis.agent.reflexes import learn_reflexes
from habilis.core import BudgetExceeded, Draft, Goal, Ledger, Skill, SkillError, WorldError, WorldSpec
from habilis.memory.contracts import ContractBook
from habilis.memory.reflexes import LearnedReflex

_VERIFIED = 16  # skills that are verified again in one go; the rest waits for the next


class SearchLifter:
    """Writes programs by regression over a contract book. Satisfies `habilis.core.Lifter`."""

    def __init__(self, book: ContractBook, spec: WorldSpec) -> None:
        self._book, self._spec = book, spec

    def lift(self, goal: Goal, skills: Mapping[str, Skill], ledger: Ledger) -> Draft | None:
        with SearchMeter(ledger) as meter:
            return lift(Regression(self._book, self._spec, skills_by_fact(skills.values()), (), meter), goal)


@dataclass(frozen=True)
class Kept:
    """What was done: the skills that were verified again (and passed), promoted, quarantined, retired; and taken along
    from a world of the same name with other rules; and the reflexes that were tried."""

    verified: tuple[str, ...] = ()
    promoted: tuple[Skill, ...] = ()
    quarantined: tuple[str, ...] = ()
    retired: tuple[str, ...] = ()
    carried: tuple[Skill, ...] = ()
    reflexes: tuple[LearnedReflex, ...] = ()


def keep_up(parts: Parts, ledger: Ledger, seed: int, *, transfer: bool = True) -> Kept:
    """One round, within what the ledger can pay. ``seed``: of its runs; 0 at the beginning. ``transfer``: whether
    skills of the same world under other rules are taken along then. What the runs show is learned from."""
    library, book = parts.library, parts.book
    verified: list[str] = []
    quarantined: list[str] = []
    promoted: tuple[Skill, ...] = ()
    carried: tuple[Skill, ...] = ()
    reflexes: list[LearnedReflex] = []
    if library.verifier is not None:
        try:
            if transfer and not seed and library.fingerprint is not None:  # at the beginning of a life
                moved = library.carry_over(parts.world.spec.name, ledger=ledger)
                carried = moved.skills
                for trajectory in moved.trajectories:
                    book.learn(trajectory)
            for skill in [s for s in library.due() if not s.tools][:_VERIFIED]:
                if skill.name not in library.active():
                    continue  # it went with one that failed
                before = set(library.active())
                lives = lives_to_lose(parts.world.spec)
                checked = library.verify(skill.name, ledger=ledger, seed=seed, lives=lives)
                for trajectory in checked.trajectories:
                    book.learn(trajectory)
                if checked.ok:
                    verified.append(skill.name)
                quarantined += sorted(before - set(library.active()))
            if library.settings.relift:
                lifted = library.relift(SearchLifter(book, parts.world.spec), ledger=ledger, seed=seed)
                promoted = lifted.promoted
                for trajectory in lifted.trajectories:
                    book.learn(trajectory)
            if parts.practice is not None:
                reflexes = learn_reflexes(
                    spec=parts.world.spec,
                    book=book,
                    library=library,
                    practice=parts.practice,
                    runner=parts.runner,
                    ledger=ledger,
                    seed=seed,
                )
        except BudgetExceeded:
            pass  # the next round goes on
        except (WorldError, SkillError) as error:  # what was done until here stands
            parts.events.emit("warning", None, message=f"the upkeep of the library was cut short: {error}")
    return Kept(tuple(verified), promoted, tuple(quarantined), library.prune(), carried, tuple(reflexes))

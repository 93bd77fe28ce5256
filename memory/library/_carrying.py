"""Skills of other worlds: what uses nothing that is not here too is offered, proven here, and kept with its origin.

Of the same world under other rules all is proven anew at the beginning of a life (`Carrying.carry_over`). Of any other
world of the home, a skill is proven when a task comes up whose goal it may bring about (`Carrying.bring`). What fails
is not offered here again until it, or what it calls, has another version.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

from habilis.core import (
    BudgetExceeded,
    Case,
    Evidence,
    Goal,
    InputError,
    Ledger,
    Record,
    Skill,
    Trajectory,
    Trial,
    WorldSpec,
)
from habilis.memory.library import clauses
from habilis.memory.library._admitting import renamed, same_goal
from habilis.memory.library._offering import REFUSED, TRIED, Bundle, Offering
from habilis.memory.library._standing import closure
from habilis.memory.library._usable import usable
from habilis.memory.library.proving import FRESH, Proof, prove

_VERSION = 1


@dataclass(frozen=True)
class Carried:
    """What was taken along, of how many cases that were tried, and why others were not (by name). ``trajectories`` are
    there to learn from."""

    skills: tuple[Skill, ...] = ()
    tried: int = 0
    trajectories: tuple[Trajectory, ...] = ()
    refused: Mapping[str, str] = field(default_factory=dict)


@dataclass
class _Taking:
    """What is being taken along."""

    world: str
    ledger: Ledger
    seed: int
    skills: list[Skill] = field(default_factory=list)
    tried: int = 0
    seen: list[Trajectory] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)

    def told(self) -> Carried:
        return Carried(tuple(self.skills), self.tried, tuple(self.seen), dict(self.refused))


class Carrying(Offering):
    """Moves skills from one world of the home to another."""

    def carry_over(self, world: str, *, ledger: Ledger | None = None, seed: int = 0) -> Carried:
        """Prove the active skills of other worlds of this name in this library's own, case by case, what others call
        first. What passes is kept here too, under its name and with evidence of its own; what calls something that did
        not pass is left behind with it. Ends early, without an error, where the ledger has no more. Raises
        `InputError` for a library of all worlds, or without a verifier."""
        here = self._one_world()
        taking = _Taking(world, ledger or Ledger(), seed)
        with self._open():
            refused = self.home.journal.documents_of(REFUSED, dict)
            others = self._elsewhere(world)
            for skill in others:
                mine = self._world(here)
                if skill.name in mine or skill.tools or not set(skill.program.calls) <= mine.keys():
                    continue
                there = {s.name: s for s in others if s.fingerprint == skill.fingerprint}
                cases = [case for case in skill.settings if not self._failed(skill, case, there, refused)]
                try:
                    self._take(skill, cases, taking, mine)
                except BudgetExceeded:
                    break
        return taking.told()

    def bring(
        self, goal: Goal, spec: WorldSpec, *, text: str = "", ledger: Ledger | None = None, seed: int = 0
    ) -> Carried:
        """Prove skills that are offered (`offers`) in fresh worlds of this one, in the cases that are wanted, and keep
        what holds, what they call first, with the version they come from (``meta["lineage"]``).

        For each thing that is wanted at most three are tried, until one holds. What fails is noted in its history, and
        not offered here again until it has changed. Ends early, without an error, where the ledger has no more. Raises
        `InputError` for a library of all worlds, or without a verifier.
        """
        here = self._one_world()
        taking = _Taking(spec.name, ledger or Ledger(), seed)
        with self._open():
            for atom in self._wanted(goal) if goal.judged is None else (None,):
                offered = self._for(atom, spec) if atom is not None else self._called_up(text or str(goal.judged), spec)
                for bundle in offered[:TRIED]:
                    try:
                        if self._take_whole(bundle, taking, here):
                            break
                    except BudgetExceeded:
                        return taking.told()
        return taking.told()

    # ------------------------------------------------------------------ the proof of it

    def _take_whole(self, bundle: Bundle, taking: _Taking, here: str) -> bool:
        """Take a skill along with all that it calls, what is called first; whether it holds here."""
        for one in closure([bundle.skill.name], bundle.there):
            mine = self._world(here)
            own, cases = mine.get(one.name), list(bundle.cases.get(one.name, one.settings))
            moving = one
            if own is not None and own.program.source == one.program.source and one.cases:
                cases = [case for case in cases if case.args not in [c.args for c in own.cases]]
            elif own is not None and not same_goal(own, one):
                moving = renamed(one, self._free(one.name))
            elif own is not None:
                cases = []
            if cases and not self._take(one, cases, taking, mine, moving):
                return False
        return True

    def _take(
        self,
        skill: Skill,
        cases: Sequence[Case],
        taking: _Taking,
        mine: Mapping[str, Skill],
        moving: Skill | None = None,
    ) -> bool:
        """Prove one skill here in these cases, and keep what holds. ``moving``: itself, under the name it gets here."""
        moving = moving or skill
        proofs: list[tuple[Case, Proof]] = []
        failed: list[tuple[Case, str]] = []
        for case in cases:
            taking.tried += 1
            proof = self._holds_here(moving, case, taking)
            taking.seen += proof.trajectories
            if proof.skill is not None:
                proofs.append((case, proof))
            elif proof.feedback is not None and not proof.feedback.trajectory.inconclusive:
                failed.append((case, proof.feedback.verdict.reason or "the goal is not met"))
        with self.home.journal.transaction():
            for case, why in failed:
                self._refuse(skill, case, why, taking.world)
            if not proofs:
                taking.refused.update((skill.name, why) for _, why in failed[:1])
                return False
            assert self.fingerprint is not None
            moved = replace(_moved(moving, self.fingerprint, proofs, mine.keys()), world=taking.world)
            lineage = {"world": skill.world, "fingerprint": skill.fingerprint, "skill": skill.name}
            moved = replace(moved, meta={**moved.meta, "lineage": {**lineage, "version": skill.version}})
            rules = "under the rules of" if skill.world == taking.world else f"in {skill.world},"
            told = f"it holds here as {rules} {skill.fingerprint}, where it is version {skill.version}"
            known = mine.get(moved.name)
            taking.skills.append(self._store(moved if known is None else _grown(known, moved), told))
        return True

    def _refuse(self, skill: Skill, case: Case, why: str, world: str) -> None:
        """Note that it does not hold here: for people in its history, and so that it is not tried again."""
        journal = self.home.journal
        there = {s.name: s for s in usable(journal) if s.fingerprint == skill.fingerprint}
        note = {"schema_version": _VERSION, "mark": self._mark(skill, there), "why": why}
        journal.put_document(REFUSED, self._refusal(skill, case), note)
        told = f" with {dict(case.args)}" if case.args else ""
        journal.rewrite_skill(skill, f"does not hold in {world} ({self.fingerprint}){told}: {why}")

    def _elsewhere(self, world: str) -> list[Skill]:
        """The active skills of worlds of this name with other rules, the latest of each name, callees first."""
        others = [s for s in self.home.journal.skills() if s.world == world and s.fingerprint != self.fingerprint]
        named = {s.name: s for s in others}
        found: dict[str, Skill] = {}
        # What does better in a case of another comes before it.
        for name in sorted(named, key=lambda n: any(c.successor for c in named[n].cases)):
            try:
                found |= {s.name: s for s in closure([name], named)}
            except (InputError, LookupError):
                continue  # of several worlds' skills that share names, some may not fit together
        return list(found.values())

    def _holds_here(self, skill: Skill, case: Case, taking: _Taking) -> Proof:
        assert self.verifier is not None
        assert self.fingerprint is not None
        parameters = tuple(
            replace(p, default=case.args[p.name], choices=(case.args[p.name],)) if p.name in case.args else p
            for p in skill.program.parameters
        )
        one = replace(
            skill,
            world=taking.world,
            fingerprint=self.fingerprint,
            program=replace(skill.program, parameters=parameters),
            evidence=Evidence(skill.evidence.level),
            needs=case.needs,
        )
        programs = {s.name: s.program for s in closure(skill.program.calls, self._world(self.fingerprint))}
        return prove(
            one,
            self.verifier,
            programs,
            taking.ledger,
            seed=taking.seed,
            settings=self.settings.admission,
            args=case.args,
            ignored=self.passing,
        )


def _grown(own: Skill, moved: Skill) -> Skill:
    """What is here already, with further cases of the same program."""
    trials = (*own.evidence.trials, *moved.evidence.trials)
    won = own.evidence.successes + moved.evidence.successes
    lost = own.evidence.failures + moved.evidence.failures
    before = own.evidence.contexts.get(FRESH, Record())
    fresh = moved.evidence.contexts[FRESH]
    contexts = dict(own.evidence.contexts)
    contexts[FRESH] = Record(before.successes + fresh.successes, before.failures + fresh.failures)
    cases = (*own.cases, *moved.cases)
    parameters = []
    for mine, more in zip(own.program.parameters, moved.program.parameters, strict=True):
        parameters.append(replace(mine, choices=tuple(dict.fromkeys((*mine.choices, *more.choices)))))
    return replace(
        own,
        program=replace(own.program, parameters=tuple(parameters)),
        evidence=Evidence(own.evidence.level, trials, won, lost, contexts),
        cost=round(sum(c.cost for c in cases) / len(cases), 3),
        cases=cases,
        contract=clauses.merge((own.contract, moved.contract), won),
    )


def _moved(skill: Skill, fingerprint: str, proofs: list[tuple[Case, Proof]], here: Collection[str]) -> Skill:
    """The skill in the cases that hold, with what was seen of them here. What did better in one of them may not hold:
    then that case counts again."""
    trials: list[Trial] = [t for _, proof in proofs for t in proof.trials]
    won = sum(t.ok for t in trials)
    proven = [(case, proof.skill) for case, proof in proofs if proof.skill is not None]
    cases = [
        replace(
            case,
            cost=one.cost,
            needs=one.needs,
            record=Record(one.evidence.successes, one.evidence.failures),
            successor=case.successor if case.successor in here else "",
        )
        for case, one in proven
    ]
    parameters = []
    for parameter in skill.program.parameters:
        values = tuple(dict.fromkeys(c.args[parameter.name] for c in cases if parameter.name in c.args))
        parameters.append(replace(parameter, choices=values, default=values[0]) if values else parameter)
    first = proven[0][1]
    return replace(
        first,
        fingerprint=fingerprint,
        program=replace(skill.program, parameters=tuple(parameters)),
        evidence=Evidence(
            first.evidence.level, tuple(trials), won, len(trials) - won, {FRESH: Record(won, len(trials) - won)}
        ),
        cost=round(sum(c.cost for c in cases) / len(cases), 3),
        cases=tuple(cases) if skill.cases else (),
        contract=clauses.merge((one.contract for _, one in proven), won),
        due="",
        meta={key: value for key, value in skill.meta.items() if key != "lost"} | {"carried": skill.fingerprint},
    )

"""Skills of other worlds: what uses nothing that is not here too is offered, proven here, and kept with its origin.

Of the same world under other rules all is proven anew at the beginning of a life (`Carrying.carry_over`). Of any other
world of the home, a skill is proven when a task comes up whose goal it may bring about (`Carrying.bring`). What fails
is not offered here again until it, or what it calls, has another version.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace

from habilis.core import (
    Atom,
    BudgetExceeded,
    Case,
    Evidence,
    Goal,
    InputError,
    Json,
    Ledger,
    NotFoundError,
    Record,
    Skill,
    Trajectory,
    Trial,
    WorldSpec,
)
from habilis.memory.interfaces import interface_of, interfaces
from habilis.memory.library import clauses
from habilis.memory.library._admitting import renamed, same_goal
from habilis.memory.library._relifting import Relifting
from habilis.memory.library._standing import closure, skill_id
from habilis.memory.library._usable import usable
from habilis.memory.library.general import lacking, meets
from habilis.memory.library.proving import FRESH, Proof, prove
from habilis.memory.library.recall import Recall, Search

_REFUSED = "transfer"  # the journal's documents of what did not hold in another world
_VERSION = 1
_TRIED = 3  # skills of other worlds that are proven for one atom of a goal: the next is less likely by each that failed


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


class Carrying(Relifting):
    """Moves skills from one world of the home to another."""

    def carry_over(self, world: str, *, ledger: Ledger | None = None, seed: int = 0) -> Carried:
        """Prove the active skills of other worlds of this name in this library's own, case by case, what others call
        first. What passes is kept here too, under its name and with evidence of its own; what calls something that did
        not pass is left behind with it. Ends early, without an error, where the ledger has no more. Raises
        `InputError` for a library of all worlds, or without a verifier."""
        here = self._one_world()
        taking = _Taking(world, ledger or Ledger(), seed)
        with self._open():
            refused = self.home.journal.documents(_REFUSED)
            others = self._elsewhere(world)
            for skill in others:
                mine = self._world(here)
                if skill.name in mine or skill.tools or not set(skill.program.calls) <= mine.keys():
                    continue
                if self._failed(skill, {s.name: s for s in others if s.fingerprint == skill.fingerprint}, refused):
                    continue
                try:
                    self._take(skill, taking, mine)
                except BudgetExceeded:
                    break
        return taking.told()

    def offers(self, goal: Goal, spec: WorldSpec, text: str = "") -> tuple[Skill, ...]:
        """The skills of the home's other worlds that may bring about what no skill of this one does, the likeliest
        first. ``spec``: of this world; ``text``: the goal in words, by which skills are found for one that only a model
        can judge.

        All are general for this world, with what they call (`habilis.memory.library.general`), and none of them has
        failed here in this version. Nothing is run. Raises `InputError` for a library of all worlds.
        """
        self._one_world(proven=False)
        with self._open():
            wanted = self._wanted(goal)
            found = [s for atom in wanted for s in self._for(atom, spec)]
            if goal.judged is not None:
                found = self._called_up(text or goal.judged, spec)
            return tuple({skill_id(s): s for s in found}.values())

    def bring(
        self, goal: Goal, spec: WorldSpec, *, text: str = "", ledger: Ledger | None = None, seed: int = 0
    ) -> Carried:
        """Prove skills that are offered (`offers`) in fresh worlds of this one, and keep what holds, what they call
        first, with the version they come from (``meta["lineage"]``).

        For each thing that is wanted at most three are tried, until one holds. What fails is noted in its history, and
        not offered here again until it has changed. Ends early, without an error, where the ledger has no more. Raises
        `InputError` for a library of all worlds, or without a verifier.
        """
        here = self._one_world()
        taking = _Taking(spec.name, ledger or Ledger(), seed)
        with self._open():
            for atom in self._wanted(goal) if goal.judged is None else (None,):
                offered = self._for(atom, spec) if atom is not None else self._called_up(text or str(goal.judged), spec)
                for skill in offered[:_TRIED]:
                    try:
                        if self._take_whole(skill, taking, here):
                            break
                    except BudgetExceeded:
                        return taking.told()
        return taking.told()

    # ------------------------------------------------------------------ what is offered

    def _one_world(self, proven: bool = True) -> str:
        if self.fingerprint is None or (proven and self.verifier is None):
            raise InputError("skills are carried over into one world, and proven: open(…, fingerprint=…, verifier=…)")
        return self.fingerprint

    def _wanted(self, goal: Goal) -> list[Atom]:
        """The atoms of a goal that no skill here brings about."""
        mine = list(self._world(self.fingerprint or "").values())
        return [atom for atom in dict.fromkeys(goal.atoms) if not any(meets(s, atom) == 2 for s in mine)]

    def _for(self, atom: Atom, spec: WorldSpec) -> list[Skill]:
        ranked = [(meets(s, atom), s) for s in self._general_here(spec)]
        found = sorted((one for one in ranked if one[0]), key=lambda o: (-o[0], -o[1].posterior, o[1].cost, o[1].name))
        return [skill for _, skill in found]

    def _called_up(self, text: str, spec: WorldSpec) -> list[Skill]:
        """The general skills that the words of a goal call up, where any is likely to serve."""
        found = {skill_id(s): s for s in self._general_here(spec)}
        recall = Recall(self.embedder, self.index)
        try:
            recall.hold(found)
            return [hit.skill for hit in recall.search(text, found, Search(k=_TRIED, abstain=True))]
        finally:
            recall.close()

    def _general_here(self, spec: WorldSpec) -> Iterator[Skill]:
        """The active skills of other worlds that are general for this one, as is all that they call."""
        here, known = interface_of(spec), interfaces(self.home.journal)
        mine, refused = self._world(spec.fingerprint), self.home.journal.documents(_REFUSED)
        worlds: dict[str, dict[str, Skill]] = {}
        for skill in usable(self.home.journal):
            if skill.fingerprint != spec.fingerprint:
                worlds.setdefault(skill.fingerprint, {})[skill.name] = skill
        for fingerprint, named in worlds.items():
            there = known.get(fingerprint)
            if there is None:  # it has not been lived in since interfaces are kept
                continue
            fits = {name: not s.tools and lacking(s, there, here) == () for name, s in named.items()}
            for name in [n for n, fit in fits.items() if fit]:
                try:
                    whole = closure([name], named)
                except (InputError, NotFoundError):
                    continue
                callees = [s for s in whole if s.name != name]
                taken = any(s.name in mine and not same_goal(mine[s.name], s) for s in callees)
                if taken or not all(fits[s.name] for s in whole):
                    continue
                if not any(self._failed(s, named, refused) for s in whole):
                    yield named[name]

    # ------------------------------------------------------------------ the proof of it

    def _take_whole(self, skill: Skill, taking: _Taking, here: str) -> bool:
        """Take a skill along with all that it calls, what is called first; whether it holds here."""
        there = {s.name: s for s in usable(self.home.journal) if s.fingerprint == skill.fingerprint}
        for one in closure([skill.name], there):
            mine = self._world(here)
            if one.name in mine and (one.name != skill.name or same_goal(mine[one.name], one)):
                continue  # what is here under this name does it too
            moving = renamed(one, self._free(one.name)) if one.name in mine else one
            if not self._take(one, taking, mine, moving):
                return False
        return True

    def _take(self, skill: Skill, taking: _Taking, mine: Mapping[str, Skill], moving: Skill | None = None) -> bool:
        """Prove one skill here, case by case, and keep what holds. ``moving``: itself, under the name it gets here."""
        moving = moving or skill
        proofs: list[tuple[Case, Proof]] = []
        failed: dict[str, str] = {}
        for case in moving.settings:
            taking.tried += 1
            proof = self._holds_here(moving, case, taking)
            taking.seen += proof.trajectories
            if proof.skill is not None:
                proofs.append((case, proof))
            elif proof.feedback is not None and not proof.feedback.trajectory.inconclusive:
                failed[str(dict(case.args) or "")] = proof.feedback.verdict.reason or "the goal is not met"
        journal = self.home.journal
        with journal.transaction():
            if not proofs and len(failed) == len(moving.settings):
                why = next(iter(failed.values()))
                taking.refused[skill.name] = why
                self._refuse(skill, why, taking.world)
                return False
            if not proofs:
                return False
            assert self.fingerprint is not None
            moved = replace(_moved(moving, self.fingerprint, proofs, mine.keys()), world=taking.world)
            lineage = {"world": skill.world, "fingerprint": skill.fingerprint, "skill": skill.name}
            moved = replace(moved, meta={**moved.meta, "lineage": {**lineage, "version": skill.version}})
            rules = "under the rules of" if skill.world == taking.world else f"in {skill.world},"
            told = f"it holds here as {rules} {skill.fingerprint}, where it is version {skill.version}"
            taking.skills.append(self._store(moved, told))
        return True

    def _refuse(self, skill: Skill, why: str, world: str) -> None:
        """Note that it does not hold here: for people in its history, and so that it is not tried again."""
        journal = self.home.journal
        there = {s.name: s for s in usable(journal) if s.fingerprint == skill.fingerprint}
        note = {"schema_version": _VERSION, "mark": self._mark(skill, there), "why": why}
        journal.put_document(_REFUSED, self._refusal(skill), note)
        journal.rewrite_skill(skill, f"does not hold in {world} ({self.fingerprint}): {why}")

    def _refusal(self, skill: Skill) -> str:
        return f"{self.fingerprint} {skill.fingerprint} {skill.name}"

    def _failed(self, skill: Skill, there: Mapping[str, Skill], refused: Mapping[str, Json]) -> bool:
        """Whether it did not hold here, as it is. ``there``: the skills of its world."""
        note = refused.get(self._refusal(skill))
        return note is not None and note.get("mark") == self._mark(skill, there)

    def _mark(self, skill: Skill, there: Mapping[str, Skill]) -> str:
        """What decides how it does elsewhere: its version, and those of what it calls."""
        try:
            return f"{skill.version} {self._signature(skill.program, there)}"
        except (InputError, NotFoundError):  # it calls what is gone
            return str(skill.version)

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

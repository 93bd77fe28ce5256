"""Skills of the same world under other rules: when a world's fingerprint changes, what still holds is taken along."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace

from habilis.core import BudgetExceeded, Case, Evidence, InputError, Ledger, Record, Skill, Trajectory, Trial
from habilis.memory.library import clauses
from habilis.memory.library._relifting import Relifting
from habilis.memory.library._standing import closure
from habilis.memory.library.proving import FRESH, Proof, prove


@dataclass(frozen=True)
class Carried:
    """What was taken along, of how many cases that were tried. ``trajectories`` are there to learn from."""

    skills: tuple[Skill, ...] = ()
    tried: int = 0
    trajectories: tuple[Trajectory, ...] = ()


class Carrying(Relifting):
    """Moves skills from one fingerprint of a world to the next."""

    def carry_over(self, world: str, *, ledger: Ledger | None = None, seed: int = 0) -> Carried:
        """Prove the active skills of other worlds of this name in this library's own, case by case, what others call
        first. What passes is kept here too, under its name and with evidence of its own; what calls something that did
        not pass is left behind with it. Ends early, without an error, where the ledger has no more. Raises
        `InputError` for a library of all worlds, or without a verifier."""
        if self.verifier is None or self.fingerprint is None:
            raise InputError("skills are carried over into one world, and proven: open(…, fingerprint=…, verifier=…)")
        ledger = ledger or Ledger()
        kept: list[Skill] = []
        seen: list[Trajectory] = []
        tried = 0
        with self._open():
            for skill in self._elsewhere(world):
                here = self._world(self.fingerprint)
                if skill.name in here or skill.tools or not set(skill.program.calls) <= here.keys():
                    continue
                proofs: list[tuple[Case, Proof]] = []
                try:
                    for case in skill.settings:
                        tried += 1
                        proof = self._holds_here(skill, case, ledger, seed)
                        seen += proof.trajectories
                        if proof.skill is not None:
                            proofs.append((case, proof))
                except BudgetExceeded:
                    break
                if proofs:
                    with self.home.journal.transaction():
                        moved = _moved(skill, self.fingerprint, proofs, here.keys())
                        kept.append(self._store(moved, f"it holds here as under the rules of {skill.fingerprint}"))
        return Carried(tuple(kept), tried, tuple(seen))

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

    def _holds_here(self, skill: Skill, case: Case, ledger: Ledger, seed: int) -> Proof:
        assert self.verifier is not None
        assert self.fingerprint is not None
        parameters = tuple(
            replace(p, default=case.args[p.name], choices=(case.args[p.name],)) if p.name in case.args else p
            for p in skill.program.parameters
        )
        one = replace(
            skill,
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
            ledger,
            seed=seed,
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

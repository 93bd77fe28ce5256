"""The life of a skill after it was admitted: taken out of use and back, and verified again. Every change is in its
history, with the reason.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass, replace

from habilis.core import (
    InputError,
    Ledger,
    NotFoundError,
    Parameter,
    Record,
    Skill,
    Trajectory,
)
from habilis.memory.journal import Transition
from habilis.memory.library._admitting import Admitting, counted
from habilis.memory.library._checks import check_callees, check_change, check_ledger
from habilis.memory.library._standing import closure
from habilis.memory.library.clauses import learn
from habilis.memory.library.proving import FRESH, Proof, prove, unit_cost


@dataclass(frozen=True)
class Checked:
    """What came of verifying a skill again. ``trajectories`` are there to learn from."""

    skill: Skill
    ok: bool
    why: str
    trajectories: tuple[Trajectory, ...] = ()


class Keeping(Admitting):
    """What happens to skills later on."""

    # ------------------------------------------------------------------ out of use, and back

    def retire(self, name: str, reason: str, *, status: str = "retired") -> tuple[str, ...]:
        """Take a skill out of use; skills that call it, directly or not, are quarantined with it. ``status`` may also
        be "quarantined". Returns the names of all that went, the skill first."""
        if status not in ("retired", "quarantined"):
            raise InputError(f"a skill leaves as 'retired' or 'quarantined', got {status!r}")
        check_change(name, reason)
        with self._open():
            return self._retire(self.get(name), reason, status)

    def _retire(self, skill: Skill, reason: str, status: str) -> tuple[str, ...]:
        journal = self.home.journal
        name, gone = skill.name, [skill]
        for one in gone:  # grows while it is walked: callers of callers
            gone += sorted((s for s in self.callers(one) if s not in gone), key=lambda s: s.name)
        with journal.transaction():
            self._stands(journal.set_skill_status(name, skill.version, status, reason))
            for one in gone[1:]:
                why = f"calls {name}: {reason}"
                self._stands(journal.set_skill_status(one.name, one.version, "quarantined", why))
            self._inherit({s.name for s in gone}, skill.fingerprint, "")
        return tuple(s.name for s in gone)

    def restore(self, name: str, reason: str, *, version: int | None = None) -> Skill:
        """Make a version (default: the newest) the active one again: also the way back to an older one.

        Active skills that call it are to be verified again. Raises `NotFoundError` where it, or what it calls, is not
        there; `InputError` where who calls it could not call this version, or it is an import that was never verified.
        """
        check_change(name, reason, version)
        journal = self.home.journal
        with self._open():
            known = [s for s in self._versions(name) if version in (None, s.version)]
            found = [s for s in known if not _never_run(s)]
            if known and not found:
                wanted = known[-1].version
                raise InputError(
                    f"skill {name} version {wanted} was imported and never verified here; "
                    f"habilis skills verify {name} --version {wanted} does, and puts it into use"
                )
            skill = max(found, key=lambda s: s.version) if found else journal.skill(name, version)
            if not self._ours(skill):
                raise NotFoundError(f"skill {name} version {skill.version} belongs to another world, {skill.world}")
            world = self._world(skill.fingerprint)
            check_callees(skill, world, journal)
            closure([name], {**world, name: skill})
            self._callable(skill)
            with journal.transaction():
                self._make_way(skill, f"version {skill.version} is back: {reason}")
                kept = journal.set_skill_status(name, skill.version, "active", reason)
                return self._returned(kept)

    def _callable(self, skill: Skill) -> None:
        """Raises `InputError` where who calls the active version of this skill could not call this one."""
        old, callers = self._world(skill.fingerprint).get(skill.name), self.callers(skill)
        if old is not None and callers and not _calls_alike(old.program.parameters, skill.program.parameters):
            raise InputError(
                f"version {skill.version} of {skill.name} takes other parameters than version {old.version}, and "
                f"{', '.join(s.name for s in callers)} calls it; retire who calls it first"
            )

    def _make_way(self, skill: Skill, why: str) -> None:
        """Another version that is active makes way for this one; who calls it is to be verified again."""
        journal, old = self.home.journal, self._world(skill.fingerprint).get(skill.name)
        if old is None or old.version == skill.version:
            return
        callers = self.callers(skill)
        self._stands(journal.set_skill_status(old.name, old.version, "superseded", why))
        for caller in callers:
            due = f"version {skill.version} of {skill.name} is back"
            self._stands(journal.rewrite_skill(replace(caller, due=due)))

    def _returned(self, skill: Skill) -> Skill:
        """Take in a version that is active again. It stands where it stood, as if the home were opened anew; what did
        better in one of its cases may have gone meanwhile."""
        here = self._world(skill.fingerprint)
        cases = tuple(replace(c, successor="") if c.successor not in here else c for c in skill.cases)
        skill = self.home.journal.rewrite_skill(replace(skill, cases=cases))
        self._stands(skill)
        self._read()
        return skill

    def history(self, name: str) -> list[Transition]:
        """What happened to every version of a skill, oldest first. Raises `NotFoundError`."""
        check_change(name, "")
        found = self.home.journal.transitions(name)
        if not found:
            raise NotFoundError.of("skill", name, {s.name for s in self.home.journal.skills(None)})
        return found

    def diff(self, name: str, before: int | None = None, after: int | None = None) -> str:
        """How the program and the goal of two versions differ, as a unified diff; by default the newest two."""
        for version in (before, after):
            check_change(name, "", version)
        versions = sorted(s.version for s in self._versions(name))
        if not versions:
            raise NotFoundError.of("skill", name, {s.name for s in self.home.journal.skills(None)})
        after = after if after is not None else versions[-1]
        before = before if before is not None else max((v for v in versions if v < after), default=after)
        old, new = self.home.journal.skill(name, before), self.home.journal.skill(name, after)
        lines = difflib.unified_diff(
            _shown(old), _shown(new), f"{name} version {before}", f"{name} version {after}", lineterm=""
        )
        return "\n".join(lines)

    # ------------------------------------------------------------------ verified again

    def due(self) -> list[Skill]:
        """The active skills that are to be verified again, those that others rest on first."""
        with self._open():
            waiting = [s for s in self._skills.values() if s.due]
            return sorted(waiting, key=lambda s: (len(closure([s.name], self._world(s.fingerprint))), s.name))

    def verify(
        self, name: str, *, ledger: Ledger | None = None, seed: int = 0, version: int | None = None, lives: int = 0
    ) -> Checked:
        """Run a skill in fresh worlds again (``lives``: as of `prove`). Where it fails it is quarantined, with all that
        call it; one that was
        quarantined (or imported) and passes is active from then on, as with `restore`. Raises `InputError` without a
        verifier, where the skill calls tools, or where who calls it could not call this version; `BudgetExceeded`."""
        if self.verifier is None:
            raise InputError("this library has no verifier; open it with one: SkillLibrary.open(…, verifier=…)")
        check_change(name, "", version)
        check_ledger(ledger)
        journal = self.home.journal
        with self._open():
            skill = self._to_verify(name, version)
            if skill.tools:
                raise InputError(f"{name} calls tools ({', '.join(skill.tools)}), which verifying would call again")
            world = self._world(skill.fingerprint)
            closure([name], {**world, name: skill})
            self._callable(skill)
            programs = {s.name: s.program for s in closure(skill.program.calls, world)}
            mine = self.settings.admission
            trials = max(mine.trials, len(skill.cases))  # each case once
            proof = prove(
                skill,
                self.verifier,
                programs,
                ledger or Ledger(),
                seed=seed,
                settings=replace(mine, trials=trials, after_failure=max(trials, mine.after_failure)),
                ignored=self.passing,
                lives=lives,
            )
            won = sum(t.ok for t in proof.trials)
            told = f"verified again: {won} of {len(proof.trials)} in fresh worlds"
            if proof.skill is None:
                if proof.feedback is None or proof.feedback.trajectory.inconclusive:
                    return Checked(skill, False, "nothing could be concluded: the clock ended it", proof.trajectories)
                why = f"{told}; {proof.feedback.verdict.reason}"
                failed = replace(counted(skill, FRESH, won, len(proof.trials) - won), due="")
                with journal.transaction():
                    self._stands(journal.rewrite_skill(failed))
                    if skill.status == "active":
                        self._retire(failed, why, "quarantined")
                    else:
                        journal.rewrite_skill(failed, why)
                return Checked(journal.skill(name, skill.version), False, why, proof.trajectories)
            if _never_run(skill) and _idle(skill, proof):
                why = f"{told}, but its goal held before each run began: nothing was shown. Give it another goal"
                journal.rewrite_skill(skill, why)
                return Checked(journal.skill(name, skill.version), False, why, proof.trajectories)
            passed = replace(counted(skill, FRESH, won, len(proof.trials) - won), due="", status="active")
            evidence = replace(
                passed.evidence,
                level=proof.skill.evidence.level,
                trials=(*skill.evidence.trials, *(t for t in proof.trials if t not in skill.evidence.trials)),
                successes=skill.evidence.successes + won,
                failures=skill.evidence.failures + len(proof.trials) - won,
            )
            passed = replace(passed, evidence=evidence, contract=proof.skill.contract or passed.contract)
            if _never_run(skill):
                passed = _as_seen(passed, proof, self.passing)
            with journal.transaction():
                self._make_way(skill, f"version {skill.version} was verified")
                journal.rewrite_skill(passed, told)
                if skill.status == "active":
                    self._stands(passed)
                else:
                    passed = self._returned(passed)
            return Checked(passed, True, told, proof.trajectories)

    def _to_verify(self, name: str, version: int | None) -> Skill:
        known = self._versions(name)
        found = [s for s in known if version in (None, s.version)]
        active = [s for s in found if s.status == "active"]
        if known and not found:
            raise NotFoundError.of(f"version of {name}", str(version), (str(s.version) for s in known))
        if not found:
            raise NotFoundError.of("skill", name, {s.name for s in self.home.journal.skills(None)})
        if version is None and active:
            return self.get(name)
        return max(found, key=lambda s: s.version)


def _idle(skill: Skill, proof: Proof) -> bool:
    """Whether the goal was true already when each of its runs began."""
    runs = zip(proof.trials, proof.trajectories, strict=True)
    return all(skill.goal_for(t.args).judged is None and not skill.goal_for(t.args).unmet(r.before) for t, r in runs)


def _calls_alike(old: tuple[Parameter, ...], new: tuple[Parameter, ...]) -> bool:
    """Whether what calls with the old parameters can call with the new ones."""
    return [p.name for p in old] == [p.name for p in new[: len(old)]] and not any(p.required for p in new[len(old) :])


def _never_run(skill: Skill) -> bool:
    """Whether it is an import of which nothing was proven here yet."""
    return "imported" in skill.meta and not skill.evidence.successes


def _as_seen(skill: Skill, proof: Proof, ignored: frozenset[str]) -> Skill:
    """An import with what its first proof here tells of its cost and its needs, in place of what strangers said."""
    assert proof.skill is not None
    cases = []
    for case in skill.cases:
        runs = [
            (trial, run)
            for trial, run in zip(proof.trials, proof.trajectories, strict=True)
            if all(trial.args.get(name, value) == value for name, value in case.args.items())
        ]
        trials = [trial for trial, _ in runs]
        won = sum(t.ok for t in trials)
        contract = learn(replace(skill, needs=case.needs), runs, ignored) if won else ()
        needs = tuple(c.fact for c in contract if c.kind == "requires") if won else case.needs
        cases.append(replace(case, cost=unit_cost(trials), needs=needs, record=Record(won, len(trials) - won)))
    return replace(skill, cost=proof.skill.cost, needs=proof.skill.needs, cases=tuple(cases))


def _shown(skill: Skill) -> list[str]:
    return [
        f"goal: {skill.goal_template}",
        f"needs: {', '.join(skill.needs) or 'nothing'}",
        *skill.program.source.splitlines(),
    ]

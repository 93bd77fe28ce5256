"""The life of a skill after it was admitted: verified again, lifted anew, taken out of use and back, and in the end
retired by what it was good for. Every change is in its history, with the reason.
"""

from __future__ import annotations

import difflib
import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from habilis.core import (
    BudgetExceeded,
    Goal,
    GoalSyntaxError,
    InputError,
    Json,
    Ledger,
    Lifter,
    NotFoundError,
    Parameter,
    Program,
    Record,
    Skill,
    Trajectory,
    Trial,
)
from habilis.memory.journal import Transition
from habilis.memory.library import merging
from habilis.memory.library._admitting import Admitting
from habilis.memory.library._standing import closure, skill_id
from habilis.memory.library.duel import Side, duel
from habilis.memory.library.proving import FRESH, prove, proven, seed_of, varied
from habilis.memory.library.similarity import normalised_source

IN_USE = "in use"  # the context of runs in the world that the agent lives in
_LOST = 64  # programs that lost against one version and are remembered
_DOUBTED = 2  # failures in use, more than successes there, after which a skill is verified again


@dataclass(frozen=True)
class Checked:
    """What came of verifying a skill again. ``trajectories`` are there to learn from."""

    skill: Skill
    ok: bool
    why: str
    trajectories: tuple[Trajectory, ...] = ()


@dataclass(frozen=True)
class Lifted:
    """What came of lifting skills anew: who was promoted (the new versions), who was tried in vain and why."""

    promoted: tuple[Skill, ...] = ()
    rejected: Mapping[str, str] = field(default_factory=dict)
    trajectories: tuple[Trajectory, ...] = ()


class Keeping(Admitting):
    """What happens to skills later on."""

    # ------------------------------------------------------------------ out of use, and back

    def retire(self, name: str, reason: str, *, status: str = "retired") -> tuple[str, ...]:
        """Take a skill out of use; skills that call it, directly or not, are quarantined with it. ``status`` may also
        be "quarantined". Returns the names of all that went, the skill first."""
        if status not in ("retired", "quarantined"):
            raise InputError(f"a skill leaves as 'retired' or 'quarantined', got {status!r}")
        if not isinstance(reason, str):
            raise InputError(f"a reason is a text, got {reason!r:.80}")
        journal = self.home.journal
        with self._lock:
            gone = [self.get(name)]
            for skill in gone:  # grows while it is walked: callers of callers
                gone += sorted((s for s in self.callers(skill) if s not in gone), key=lambda s: s.name)
            with journal.transaction():
                self._stands(journal.set_skill_status(name, gone[0].version, status, reason))
                for skill in gone[1:]:
                    why = f"calls {name}: {reason}"
                    self._stands(journal.set_skill_status(skill.name, skill.version, "quarantined", why))
            return tuple(s.name for s in gone)

    def restore(self, name: str, reason: str, *, version: int | None = None) -> Skill:
        """Make a version (default: the newest) the active one again: also the way back to an older one.

        Active skills that call it are to be verified again. Raises `NotFoundError` where it, or what it calls, is not
        there; `InputError` where who calls it could not call this version, or it is an import that was never verified.
        """
        journal = self.home.journal
        with self._lock:
            known = [s for s in self._versions(name) if version in (None, s.version)]
            found = [s for s in known if s.evidence.successes or "imported" not in s.meta]
            if known and not found:
                raise InputError(
                    f"skill {name} version {known[-1].version} was imported and never verified here; "
                    f"habilis skills verify {name} does, and puts it into use"
                )
            skill = max(found, key=lambda s: s.version) if found else journal.skill(name, version)
            if not self._ours(skill):
                raise NotFoundError(f"skill {name} version {skill.version} belongs to another world, {skill.world}")
            world = self._world(skill.fingerprint)
            lacking = sorted(c for c in skill.program.calls if c not in world)
            if lacking:
                raise NotFoundError(
                    f"{name} version {skill.version} calls {', '.join(lacking)}, out of use: no active skill "
                    f"{lacking[0]!r}; first: habilis skills restore {lacking[0]}"
                )
            closure([name], {**world, name: skill})
            old = world.get(name)
            callers = self.callers(skill)
            if old is not None and callers and not _calls_alike(old.program.parameters, skill.program.parameters):
                raise InputError(
                    f"version {skill.version} of {name} takes other parameters than version {old.version}, and "
                    f"{', '.join(s.name for s in callers)} calls it; retire who calls it first"
                )
            with journal.transaction():
                if old is not None and old.version != skill.version:
                    why = f"version {skill.version} is back: {reason}"
                    self._stands(journal.set_skill_status(name, old.version, "superseded", why))
                    for caller in callers:
                        due = f"version {skill.version} of {name} is back"
                        self._stands(journal.rewrite_skill(replace(caller, due=due)))
                kept = journal.set_skill_status(name, skill.version, "active", reason)
                self._stands(kept)
            return kept

    def history(self, name: str) -> list[Transition]:
        """What happened to every version of a skill, oldest first. Raises `NotFoundError`."""
        found = self.home.journal.transitions(name)
        if not found:
            raise NotFoundError.of("skill", name, {s.name for s in self.home.journal.skills(None)})
        return found

    def diff(self, name: str, before: int | None = None, after: int | None = None) -> str:
        """How the program and the goal of two versions differ, as a unified diff; by default the newest two."""
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
        with self._lock:
            waiting = [s for s in self._skills.values() if s.due]
            return sorted(waiting, key=lambda s: (len(closure([s.name], self._world(s.fingerprint))), s.name))

    def verify(self, name: str, *, ledger: Ledger | None = None, seed: int = 0, version: int | None = None) -> Checked:
        """Run a skill in fresh worlds again. Where it fails it is quarantined, with all that call it; one that was
        quarantined (or imported) and passes is active from then on. Raises `InputError` without a verifier, or where
        the skill calls tools; `BudgetExceeded`."""
        if self.verifier is None:
            raise InputError("this library has no verifier; open it with one: SkillLibrary.open(…, verifier=…)")
        journal = self.home.journal
        with self._lock:
            skill = self._to_verify(name, version)
            if skill.tools:
                raise InputError(f"{name} calls tools ({', '.join(skill.tools)}), which verifying would call again")
            world = self._world(skill.fingerprint)
            closure([name], {**world, name: skill})
            programs = {s.name: s.program for s in closure(skill.program.calls, world)}
            proof = prove(
                skill,
                self.verifier,
                programs,
                ledger or Ledger(),
                seed=seed,
                settings=self.settings.admission,
                ignored=self.passing,
            )
            won = sum(t.ok for t in proof.trials)
            told = f"verified again: {won} of {len(proof.trials)} in fresh worlds"
            if proof.skill is None:
                if proof.feedback is None or proof.feedback.trajectory.inconclusive:
                    return Checked(skill, False, "nothing could be concluded: the clock ended it", proof.trajectories)
                why = f"{told}; {proof.feedback.verdict.reason}"
                failed = replace(_counted(skill, FRESH, won, len(proof.trials) - won), due="")
                with journal.transaction():
                    self._stands(journal.rewrite_skill(failed))
                    if skill.status == "active":
                        self.retire(name, why, status="quarantined")
                    else:
                        journal.rewrite_skill(failed, why)
                return Checked(journal.skill(name, skill.version), False, why, proof.trajectories)
            passed = replace(_counted(skill, FRESH, won, len(proof.trials) - won), due="", status="active")
            evidence = replace(
                passed.evidence,
                level=proof.skill.evidence.level,
                trials=(*skill.evidence.trials, *(t for t in proof.trials if t not in skill.evidence.trials)),
                successes=skill.evidence.successes + won,
                failures=skill.evidence.failures + len(proof.trials) - won,
            )
            passed = replace(passed, evidence=evidence, contract=proof.skill.contract or passed.contract)
            with journal.transaction():
                old = world.get(name)
                if old is not None and old.version != skill.version:
                    why = f"version {skill.version} was verified"
                    self._stands(journal.set_skill_status(name, old.version, "superseded", why))
                self._stands(journal.rewrite_skill(passed, told))
            return Checked(passed, True, told, proof.trajectories)

    def _to_verify(self, name: str, version: int | None) -> Skill:
        found = [s for s in self._versions(name) if version in (None, s.version)]
        active = [s for s in found if s.status == "active"]
        if not found:
            raise NotFoundError.of("skill", name, {s.name for s in self.home.journal.skills(None)})
        return max(active if version is None and active else found, key=lambda s: s.version)

    # ------------------------------------------------------------------ lifted anew

    def relift(
        self, lifter: Lifter, names: Iterable[str] | None = None, *, ledger: Ledger | None = None, seed: int = 0
    ) -> Lifted:
        """Write skills anew from what is known today, and promote what does better in the same worlds as the old one.

        ``names``: by default all active skills, what others call first. Success counts first, then world steps. What a
        duel cannot tell stays. Ends early, without an error, where the ledger has no more.
        """
        if self.verifier is None:
            raise InputError("this library has no verifier; open it with one: SkillLibrary.open(…, verifier=…)")
        promoted: list[Skill] = []
        rejected: dict[str, str] = {}
        seen: list[Trajectory] = []
        ledger = ledger or Ledger()
        with self._lock:
            todo = [s.name for s in self.closure(names if names is not None else sorted(self.active()))]
            wanted = set(names) if names is not None else set(todo)
            for name in todo:
                if name not in wanted or name not in self.active():
                    continue
                skill = self.get(name)
                try:
                    for new, cases in self._anew(skill, lifter, ledger):
                        kept, why, ran = self._promote(skill, new, cases, ledger, seed)
                        seen += ran
                        if kept is not None:
                            promoted.append(kept)
                        elif why:
                            rejected[name] = why
                            self._note_loss(skill_id(skill), new)
                except BudgetExceeded:
                    break
        return Lifted(tuple(promoted), rejected, tuple(seen))

    def _anew(self, skill: Skill, lifter: Lifter, ledger: Ledger) -> list[tuple[Skill, list[int]]]:
        """What today's knowledge makes of a skill: new programs, each with the numbers of the cases it is for.

        It may call whatever does not rest on the skill itself.
        """
        try:
            plains = merging.plains(skill)
        except (InputError, KeyError, ValueError):
            return []
        world = self._world(skill.fingerprint)
        usable = {n: s for n, s in world.items() if skill.name not in {c.name for c in closure([n], world)}}
        drafts = []
        for i, plain in enumerate(plains):
            if plain.case.successor or skill.tools:
                continue
            goal = _goal_of(plain)
            draft = lifter.lift(goal, usable, ledger) if goal is not None else None
            if draft is None or draft.program.name in usable:
                continue
            if self._signature(draft.program, usable) in skill.meta.get("lost", []):
                continue  # it lost already, calling the same versions
            if _alike(draft.program.source, plain.source) or len(draft.program.parameters) != len(plain.parameters):
                continue
            try:
                closure([draft.program.name], {**usable, draft.program.name: _of(skill, draft.program)})
            except (InputError, NotFoundError):
                continue
            case = replace(plain.case, sources=draft.sources, needs=draft.needs, material=_material(draft.meta))
            source = draft.program.source
            new = replace(plain, source=source, goal_template=draft.goal_template, case=case)
            drafts.append((i, replace(new, parameters=draft.program.parameters), draft))
        if len(drafts) == len(plains) > 1:
            found = merging.generalise([p for _, p, _ in drafts], name=skill.name)
            if found is not None:
                new_skill = replace(
                    skill,
                    program=replace(found.program, writer=skill.program.writer),
                    goal_template=found.goal_template,
                    cases=found.cases,
                )
                return [(new_skill, [i for i, _, _ in drafts])]
        result = []
        for i, _, draft in drafts:
            program = draft.program if len(plains) > 1 else replace(draft.program, name=draft.program.name)
            one = replace(
                _of(skill, program),
                goal_template=draft.goal_template,
                needs=draft.needs,
                sources=draft.sources,
                meta={**{k: v for k, v in skill.meta.items() if k != "material"}, **draft.meta},
                cases=(),
            )
            result.append((one, [i]))
        return result

    def _note_loss(self, id: str, new: Skill) -> None:
        """What lost is not tried again, as long as it calls the same."""
        skill = self._skills[id]
        lost = [*skill.meta.get("lost", []), self._signature(new.program, self._world(skill.fingerprint))]
        self._stands(self.home.journal.rewrite_skill(replace(skill, meta={**skill.meta, "lost": lost[-_LOST:]})))

    def _signature(self, program: Program, skills: Mapping[str, Skill]) -> str:
        """What decides how a program does: its text and the versions of what it rests on."""
        rests = sorted(f"{s.name}@{s.version}" for s in closure(program.calls, skills))
        return hashlib.sha256(" ".join([normalised_source(program.source), *rests]).encode()).hexdigest()[:16]

    def _promote(
        self, old: Skill, new: Skill, cases: list[int], ledger: Ledger, seed: int
    ) -> tuple[Skill | None, str, list[Trajectory]]:
        """Let the new one fight the old one in each case; it takes its place where it wins."""
        assert self.verifier is not None
        world = self._world(old.fingerprint)
        news = {s.name: s.program for s in closure(new.program.calls, world)}
        olds = {s.name: s.program for s in closure(old.program.calls, world)}
        sets = varied([p for p in old.program.parameters if not p.choices])
        names = [p.name for p in old.program.parameters if not p.choices]
        trials: list[tuple[Trial, Trajectory]] = []
        seen: list[Trajectory] = []
        better, told = False, ""
        records: dict[int, list[float]] = {}
        for i in cases:
            pairs = [
                (seed_of(seed, k), [sets[k % len(sets)][n] for n in names if n in sets[k % len(sets)]])
                for k in range(max(1, self.settings.relift))
            ]
            mine = new.cases[cases.index(i)].args if new.cases else {}
            theirs = old.cases[i].args if old.cases else {}
            fought = duel(Side(new, mine, news), Side(old, theirs, olds), pairs, self.verifier, ledger)
            if fought is None:
                return None, "", seen
            seen += fought.trajectories
            told = str(fought)
            if fought.worse or not all(t.ok for t in fought.new):
                return None, told, seen
            better = better or fought.better
            if not fought.better and fought.losses > fought.wins:
                return None, told, seen
            trials += [(t, r) for t, r in zip(fought.new, fought.trajectories[::2], strict=True)]
            records[i] = [t.world_steps / max(1, _units(t.args)) for t in fought.new]
        if not better:
            return None, told, seen
        kept = proven(new, [t for t, _ in trials], [r for _, r in trials], self.passing)
        costs = {i: round(sum(r) / len(r), 3) for i, r in records.items()}
        kept = replace(
            kept,
            needs=new.needs,
            cases=tuple(
                replace(c, cost=costs[i], record=Record(len(records[i]), 0))
                for i, c in zip(cases, kept.cases, strict=True)
            )
            if kept.cases
            else (),
            due="",
            evidence=replace(kept.evidence, contexts={FRESH: kept.evidence.contexts[FRESH]}),
        )
        reason = f"lifted anew: {told}"
        with self.home.journal.transaction():
            result = self._kept(kept, reason, self._rival(kept, world) if not kept.cases else None, ledger)
        return result, "", seen

    # ------------------------------------------------------------------ in use

    def used(self, name: str, ok: bool) -> None:
        """Count one use of a skill in the agent's own world. One that fails there more often than not is verified
        again; one whose posterior falls below ``settings.quarantine`` leaves."""
        journal = self.home.journal
        with self._lock:
            if name not in self.active():
                return
            skill = _counted(self.get(name), IN_USE, ok, not ok)
            record = skill.evidence.contexts[IN_USE]
            if record.failures >= _DOUBTED and record.failures > record.successes and not skill.due:
                skill = replace(skill, due=f"in use it failed {record.failures} of {record.runs} times")
            with journal.transaction():
                self._stands(journal.rewrite_skill(skill))
                if skill.posterior < self.settings.quarantine:
                    why = f"its posterior of success fell to {skill.posterior:.2f}, below {self.settings.quarantine:g}"
                    self.retire(name, why, status="quarantined")

    def prune(self) -> tuple[str, ...]:
        """Retire what is of least use while more skills are active than ``settings.active_cap`` allows, and what has
        been outdone in all its cases and is called by none. Returns who went."""
        gone: list[str] = []
        with self._lock:
            for skill in list(self._skills.values()):
                outdone = skill.cases and all(c.successor for c in skill.cases)
                if outdone and not self.callers(skill):
                    gone += self.retire(skill.name, "outdone in all its cases, and called by none")
            cap = self.settings.active_cap
            for fingerprint in sorted({s.fingerprint for s in self._skills.values()}):
                world = self._world(fingerprint)
                while cap is not None and len(world) > cap:
                    free = [s for s in world.values() if not self.callers(s)]
                    if not free:
                        break
                    least = min(free, key=lambda s: (_usefulness(s), s.created, s.name))
                    why = f"more than {cap} skills are active, and it is of least use ({_usefulness(least):.2f})"
                    gone += self.retire(least.name, why)
                    world = self._world(fingerprint)
        return tuple(gone)


def _usefulness(skill: Skill) -> float:
    """Expected successes in use: how often it was used, by how likely it succeeds."""
    record = skill.evidence.contexts.get(IN_USE, Record())
    return (1 + record.runs) * skill.posterior


def _counted(skill: Skill, context: str, successes: int, failures: int) -> Skill:
    record = skill.evidence.contexts.get(context, Record())
    counted = Record(record.successes + successes, record.failures + failures)
    return replace(skill, evidence=replace(skill.evidence, contexts={**skill.evidence.contexts, context: counted}))


def _calls_alike(old: tuple[Parameter, ...], new: tuple[Parameter, ...]) -> bool:
    """Whether what calls with the old parameters can call with the new ones."""
    return [p.name for p in old] == [p.name for p in new[: len(old)]] and not any(p.required for p in new[len(old) :])


def _goal_of(plain: merging.Plain) -> Goal | None:
    from habilis.core import fill

    values: dict[str, Json] = {p.name: p.default for p in plain.parameters}
    try:
        return Goal.parse(fill(plain.goal_template, values | ({"n": 1} if "n" in values else {})))
    except (GoalSyntaxError, InputError):
        return None


def _alike(one: str, other: str) -> bool:
    try:
        return normalised_source(one) == normalised_source(other)
    except InputError:
        return False


def _of(skill: Skill, program: Program) -> Skill:
    return replace(skill, name=program.name, program=program, version=0)


def _material(meta: Mapping[str, Json]) -> str | None:
    found = meta.get("material")
    return None if found is None else str(found)


def _units(args: Mapping[str, Json]) -> int:
    n = args.get("n", 1)
    return n if isinstance(n, int) and not isinstance(n, bool) and n > 0 else 1


def _shown(skill: Skill) -> list[str]:
    return [
        f"goal: {skill.goal_template}",
        f"needs: {', '.join(skill.needs) or 'nothing'}",
        *skill.program.source.splitlines(),
    ]

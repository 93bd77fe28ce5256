"""Admission: a skill is kept, found to be one that is known, or becomes a case of a more general one.

In this order: the same program for the same goal, up to names, is evidence for the one that is there. Another program
for the same goal fights it out with the one that is there, in the same fresh worlds; where both do the same it is a
duplicate. One that differs from a known skill in constants only makes that skill more general (`merging`), and who
calls what has been taken in calls the general one. Whatever is left is a new skill.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any

from habilis.core import (
    BudgetExceeded,
    Case,
    Evidence,
    EvidenceLevel,
    InputError,
    Json,
    Ledger,
    Program,
    Record,
    Skill,
    SkillError,
    Verifier,
)
from habilis.memory.library import clauses, merging
from habilis.memory.library._checks import check_ledger, check_skill
from habilis.memory.library._programs import call_renamed
from habilis.memory.library._standing import Key, Standing, closure, skill_id, twin_key
from habilis.memory.library.duel import Duel, Side, duel
from habilis.memory.library.proving import FRESH, prove
from habilis.memory.library.settings import LibrarySettings

_LEVELS = (EvidenceLevel.MODEL_JUDGED, EvidenceLevel.OBSERVED, EvidenceLevel.VERIFIED)


@dataclass(frozen=True)
class Rival:
    """A standing skill with the same goal, in one of its cases."""

    skill: Skill
    case: Case


class Admitting(Standing):
    """What takes skills in. ``verifier``: proves and compares them; without one they are taken at their evidence."""

    def __init__(
        self, *args: Any, verifier: Verifier | None = None, settings: LibrarySettings | None = None, **options: Any
    ) -> None:
        super().__init__(*args, **options)
        self.verifier, self.settings = verifier, settings or LibrarySettings()
        self._goals_of: dict[str, dict[Key, int]] = {}

    def admit(self, skill: Skill, reason: str, *, ledger: Ledger | None = None) -> Skill:
        """Keep a skill, and return what is in the library now: compare name and version to see what became of it.

        One without a trial is proven first, where the library has a verifier; else it is taken at its evidence. A new
        version supersedes the active one of its name; where that one has another goal, the newcomer gets another name.
        ``ledger``: what runs are charged to. Raises `SkillError` where it fails in fresh worlds, `NotFoundError` where
        it calls what is not active in its world, `InputError` for a cycle, a source that is not Python, or a skill of
        another world than the library's.
        """
        check_skill(skill, reason)
        check_ledger(ledger)
        if not self._ours(skill):
            raise InputError(
                f"{skill.name} is a skill of the world {skill.fingerprint}, and this is the library of "
                f"{self.fingerprint}; open that world's"
            )
        ledger = ledger or Ledger()
        with self._open():
            key = twin_key(skill)
            twin = self._keys.get(key)
            if twin is not None:
                return self._add_evidence(self._skills[twin], key, skill)
            world = self._world(skill.fingerprint)
            closure([skill.name], {**world, skill.name: skill})
            if self.verifier is not None and not skill.evidence.trials:
                skill = self._proven(skill, world, ledger)
            rival = self._rival(skill, world)
            fought = self._fought(skill, rival, ledger) if rival is not None else None
            if rival is not None and fought is None and (rival.skill.cases or rival.skill.name != skill.name):
                rival = None  # nobody can tell which is better: two ways to one goal
            if rival is not None and fought is not None and not fought.better:
                return self._lost(skill, rival, fought)
            if fought is not None:
                reason = f"{reason}; {fought}"
            return self._kept(skill, reason, rival, ledger)

    # ------------------------------------------------------------------ what is known already

    def _forget(self) -> None:
        super()._forget()
        self._goals_of.clear()

    def _add_evidence(self, twin: Skill, key: Key, skill: Skill) -> Skill:
        """``key``: what both do; the other may do it in one of its cases."""
        number = self._keys_in(twin).index(key)
        in_case = number < len(twin.cases)
        choices = dict(twin.cases[number].args) if in_case else {}
        theirs = [p for p in twin.program.parameters if not (in_case and p.choices)]
        to_twin = {p.name: q.name for p, q in zip(skill.program.parameters, theirs, strict=True)}
        seen = {(t.seed, repr(sorted(t.args.items())), t.tier) for t in twin.evidence.trials}
        fresh = []
        for trial in skill.evidence.trials:
            args = {to_twin.get(name, name): value for name, value in trial.args.items()} | choices
            # The same trial run twice proves nothing more.
            if (trial.seed, repr(sorted(args.items())), trial.tier) not in seen:
                fresh.append(replace(trial, args=args))
        level = max(twin.evidence.level, skill.evidence.level, key=_LEVELS.index)
        with self.home.journal.transaction():
            kept = self.home.journal.add_evidence(twin.name, twin.version, *fresh, level=level)
            if FRESH in kept.evidence.contexts:  # the runs are counted there too
                won = sum(t.ok for t in fresh)
                kept = self.home.journal.rewrite_skill(counted(kept, FRESH, won, len(fresh) - won))
            self._stands(kept)
        return kept

    def _proven(self, skill: Skill, world: Mapping[str, Skill], ledger: Ledger) -> Skill:
        assert self.verifier is not None
        programs = {s.name: s.program for s in closure(skill.program.calls, world)}
        proof = prove(
            skill, self.verifier, programs, ledger, seed=0, settings=self.settings.admission, ignored=self.passing
        )
        if proof.skill is None:
            why = proof.feedback.verdict.reason if proof.feedback is not None else "nothing could be concluded"
            raise SkillError(
                f"{skill.name} is not admitted: {sum(t.ok for t in proof.trials)} of {len(proof.trials)} runs in fresh "
                f"worlds did what it promises ({why}); mend its program or its goal"
            )
        return proof.skill

    def _rival(self, skill: Skill, world: Mapping[str, Skill]) -> Rival | None:
        if not self.settings.merge:
            return None
        wanted = next(iter(_goals(skill)), None)
        for other in world.values():
            id = skill_id(other)
            if id not in self._goals_of:
                self._goals_of[id] = _goals(other)
            number = self._goals_of[id].get(wanted) if wanted is not None else None
            if number is not None and not other.settings[number].successor:
                return Rival(other, other.settings[number])
        return None

    def _fought(self, skill: Skill, rival: Rival, ledger: Ledger) -> Duel | None:
        """Who is better, where that can be told: both in the worlds that the newcomer was proven in."""
        if self.verifier is None or skill.tools or rival.skill.tools:
            return None
        world = self._world(skill.fingerprint)
        names = [p.name for p in skill.program.parameters if not p.choices]
        pairs = [(t.seed, [t.args[n] for n in names if n in t.args]) for t in skill.evidence.trials]
        new = Side(skill, {}, {s.name: s.program for s in closure(skill.program.calls, world)})
        old = Side(rival.skill, rival.case.args, {s.name: s.program for s in closure(rival.skill.program.calls, world)})
        return duel(new, old, pairs[: max(3, self.settings.relift)], self.verifier, ledger)

    def _lost(self, skill: Skill, rival: Rival, fought: Duel) -> Skill:
        """The one that is there stays; a duplicate of it counts as evidence, under its own arguments."""
        kept = rival.skill
        note = f"{skill.name} by {skill.origin or 'someone'} does not do better: {fought}"
        if fought.alike:
            note = f"{skill.name} by {skill.origin or 'someone'} does the same: {fought}"
            won = sum(t.ok for t in fought.old)
            record = kept.evidence.contexts.get(FRESH, Record())
            contexts = {
                **kept.evidence.contexts,
                FRESH: Record(record.successes + won, record.failures + len(fought.old) - won),
            }
            kept = replace(kept, evidence=replace(kept.evidence, contexts=contexts))
        with self.home.journal.transaction():
            kept = self.home.journal.rewrite_skill(kept, note)
            self._stands(kept)
        return kept

    # ------------------------------------------------------------------ what is new

    def _kept(self, skill: Skill, reason: str, rival: Rival | None, ledger: Ledger) -> Skill:
        world = self._world(skill.fingerprint)
        whole = rival is not None and not rival.skill.cases  # it makes way altogether
        if rival is not None and whole and skill.name != rival.skill.name:
            same = skill.program.parameters == rival.skill.program.parameters
            if same and rival.skill.name not in skill.program.calls:
                skill = renamed(skill, rival.skill.name)
        known = world.get(skill.name)
        replaced = rival.skill if rival is not None and whole else None
        if known is not None and known != replaced and not same_goal(known, skill):
            skill = renamed(skill, self._free(skill.name))
        general = self._general(skill, rival.skill if rival is not None and whole else None, ledger)
        journal = self.home.journal
        with journal.transaction():
            if general is None:
                kept = self._store(skill, reason)
            else:
                merged, absorbed = general
                kept = self._store(merged, f"{reason}; takes in {skill.name}")
                for gone, choices in absorbed:
                    self._absorb(gone, kept, choices)
            outlived = rival is not None and whole and skill_id(rival.skill) in self._skills
            if rival is not None and outlived and rival.skill.name != kept.name and not self.callers(rival.skill):
                why = f"{kept.name} does better for the same goal"
                gone = journal.set_skill_status(rival.skill.name, rival.skill.version, "superseded", why)
                self._stands(gone)
                self._inherit({gone.name}, kept.fingerprint, kept.name)
            if rival is not None and not whole and rival.skill.name != kept.name:
                outdone = self._skills[skill_id(rival.skill)]
                cases = tuple(
                    replace(c, successor=kept.name) if c.args == rival.case.args else c for c in outdone.cases
                )
                mended = replace(outdone, cases=cases)
                self._stands(journal.rewrite_skill(mended, f"{kept.name} does better for {dict(rival.case.args)}"))
        return self._skills[skill_id(kept)]

    def _general(
        self, skill: Skill, outdone: Skill | None, ledger: Ledger
    ) -> tuple[Skill, list[tuple[Skill, Mapping[str, Json]]]] | None:
        """A standing skill with this one for a further case, and what vanishes in it, with its choices."""
        if not self.settings.merge or skill.cases:
            return None
        wanted = self._shape(replace(skill, version=0))
        self._shape_of.pop(skill_id(replace(skill, version=0)), None)
        world = self._world(skill.fingerprint)
        if wanted is None:
            return None
        for base in world.values():
            if base.name == skill.name or base == outdone or self._shape(base) != wanted:
                continue
            members = [*merging.plains(base), merging.plains(skill)[0]]
            found = merging.generalise(
                members,
                name=base.name if base.cases else None,
                taken=self._names() - {skill.name},
                grown=[case.args for case in base.cases],
            )
            if found is None:
                continue
            merged = _merged(base, skill, found)
            absorbed: list[tuple[Skill, Mapping[str, Json]]] = []
            if not base.cases:
                absorbed.append((base, found.cases[0].args))
            if outdone is not None:
                absorbed.append((outdone, found.cases[-1].args))
            try:
                gone = {s.name for s, _ in absorbed}
                closure([merged.name], {n: s for n, s in world.items() if n not in gone} | {merged.name: merged})
                for one, choices in absorbed:
                    for caller in self.callers(one):
                        merging.redirect(caller.program.source, one.name, merged.name, choices)
            except (InputError, LookupError):
                continue
            if self._confirmed(merged, found.cases[-1], ledger):
                return merged, absorbed
        return None

    def _confirmed(self, merged: Skill, case: Case, ledger: Ledger) -> bool:
        """Whether the general program does it too: the same by construction, seen once all the same."""
        trials = [t for t in merged.evidence.trials if t.ok and dict(t.args).items() >= dict(case.args).items()]
        if self.verifier is None or merged.tools or not trials:
            return True
        world = self._world(merged.fingerprint)
        programs = {s.name: s.program for s in closure(merged.program.calls, world)}
        try:
            trial, _ = self.verifier.trial(merged, trials[0].args, trials[0].seed, programs, ledger)
        except BudgetExceeded:
            return False
        return trial.ok

    def _absorb(self, gone: Skill, general: Skill, choices: Mapping[str, Json]) -> None:
        """A skill that has become a case of another makes way; who calls it calls the general one."""
        journal = self.home.journal
        told = ", ".join(f"{name}={value!r}" for name, value in choices.items())
        callers = [s for s in self.callers(gone) if s.name != general.name]
        self._stands(
            journal.set_skill_status(gone.name, gone.version, "superseded", f"it is {general.name} with {told}")
        )
        self._inherit({gone.name}, general.fingerprint, general.name)
        for caller in callers:
            source = merging.redirect(caller.program.source, gone.name, general.name, choices)
            calls = tuple(sorted({general.name if c == gone.name else c for c in caller.program.calls}))
            program: Program = replace(caller.program, source=source, calls=calls)
            why = f"calls {general.name} in place of {gone.name}"
            self._store(replace(caller, program=program, due=why), why)

    def _inherit(self, gone: Collection[str], fingerprint: str, heir: str) -> None:
        """Cases that one of these did better are done better by another now, or ("") by none: then they count again."""
        for skill in list(self._world(fingerprint).values()):
            if any(case.successor in gone for case in skill.cases):
                cases = tuple(replace(c, successor=heir) if c.successor in gone else c for c in skill.cases)
                self._stands(self.home.journal.rewrite_skill(replace(skill, cases=cases)))

    def _store(self, skill: Skill, reason: str) -> Skill:
        """The next version of its name, in place of the active one."""
        journal = self.home.journal
        # Of all worlds: a version is unique.
        kept = replace(skill, version=journal.last_version(skill.name) + 1, status="active")
        old = self._world(skill.fingerprint).get(skill.name)
        if old is not None:
            why = f"version {kept.version}: {reason}"
            self._stands(journal.set_skill_status(old.name, old.version, "superseded", why))
            for caller in self.callers(old):
                if not caller.due and not _extends(kept, old):
                    due = f"{old.name} has a new version, {kept.version}"
                    self._stands(journal.rewrite_skill(replace(caller, due=due)))
        journal.put_skill(kept, reason)
        self._stands(kept)
        return kept

    def _names(self) -> set[str]:
        """Every name that was ever given to a skill, in any world."""
        return self.home.journal.skill_names()

    def _free(self, name: str) -> str:
        taken, number = self._names(), 2
        while f"{name}_{number}" in taken:
            number += 1
        return f"{name}_{number}"


def counted(skill: Skill, context: str, successes: int, failures: int) -> Skill:
    """The skill with these runs in a context. Verification runs that no context tells of yet are not forgotten."""
    record = Record(skill.evidence.successes, skill.evidence.failures)
    contexts = dict(skill.evidence.contexts) or ({FRESH: record} if record.runs else {})
    known = contexts.get(context, Record())
    contexts[context] = Record(known.successes + successes, known.failures + failures)
    return replace(skill, evidence=replace(skill.evidence, contexts=contexts))


def _goals(skill: Skill) -> dict[Key, int]:
    """What a skill achieves, with its choices filled in and its other parameters numbered, to its case's number."""
    found: dict[Key, int] = {}
    try:
        for number, plain in enumerate(merging.plains(skill)):
            goal = plain.goal_template
            for i, parameter in enumerate(plain.parameters):
                goal = goal.replace("{" + parameter.name + "}", f"{{{i}}}")
            found[goal, tuple((p.type, p.required) for p in plain.parameters)] = number
    except (InputError, KeyError, ValueError):
        return {}
    return found


def same_goal(one: Skill, other: Skill) -> bool:
    return one.goal_template == other.goal_template and [p.name for p in one.program.parameters] == [
        p.name for p in other.program.parameters
    ]


def _extends(new: Skill, old: Skill) -> bool:
    """Whether a new version is the old one with further cases: whoever calls the old one finds nothing changed."""
    return bool(new.cases) and {repr(c.args) for c in old.settings} < {repr(c.args) for c in new.cases}


def renamed(skill: Skill, name: str) -> Skill:
    program = replace(skill.program, name=name, source=call_renamed(skill.program.source, skill.program.name, name))
    return replace(skill, name=name, program=program)


def _merged(base: Skill, skill: Skill, found: merging.Merged) -> Skill:
    """The general skill, with the evidence of both."""
    mine = found.cases[-1].args
    before = base.cases[0].args if base.cases else {}
    theirs = {name: value for name, value in found.cases[0].args.items() if name not in before}
    trials = [replace(t, args={**t.args, **theirs}) for t in base.evidence.trials]
    trials += [replace(t, args={**t.args, **mine}) for t in skill.evidence.trials]
    contexts = dict(base.evidence.contexts)
    for name, record in skill.evidence.contexts.items():
        known = contexts.get(name, Record())
        contexts[name] = Record(known.successes + record.successes, known.failures + record.failures)
    evidence = Evidence(
        base.evidence.level,
        tuple(trials),
        base.evidence.successes + skill.evidence.successes,
        base.evidence.failures + skill.evidence.failures,
        contexts,
    )
    contract = clauses.merge(
        [clauses.follow(base.contract, theirs), clauses.follow(skill.contract, mine)], evidence.successes
    )
    program = replace(found.program, writer=base.program.writer)
    meta = {key: value for key, value in base.meta.items() if key != "material"}
    return replace(
        base,
        name=found.program.name,
        program=program,
        doc=found.doc,
        goal_template=found.goal_template,
        evidence=evidence,
        needs=(),
        cost=round(sum(c.cost for c in found.cases) / len(found.cases), 3),
        sources=(),
        cases=found.cases,
        contract=contract,
        created=skill.created,
        meta=meta,
        due="",
    )

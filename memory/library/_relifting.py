"""Lifting skills anew: written again from what is known today, and promoted where that does better in the same worlds.

A skill found early is made of what was known then. Frozen, its choices would cost everything that rests on it.
"""

from __future__ import annotations

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
    Program,
    Record,
    Skill,
    Trajectory,
    Trial,
    fill,
)
from habilis.memory.library import merging
from habilis.memory.library._admitting import Rival
from habilis.memory.library._keeping import Keeping
from habilis.memory.library._standing import closure, skill_id
from habilis.memory.library.duel import Side, duel
from habilis.memory.library.proving import FRESH, proven, seed_of, varied
from habilis.memory.library.similarity import normalised_source

_LOST = 64  # programs that lost against one version and are remembered


@dataclass(frozen=True)
class Lifted:
    """What came of lifting skills anew: who was promoted (the new versions), who was tried in vain and why."""

    promoted: tuple[Skill, ...] = ()
    rejected: Mapping[str, str] = field(default_factory=dict)
    trajectories: tuple[Trajectory, ...] = ()


class Relifting(Keeping):
    """What writes skills anew."""

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
        with self._open():
            if names is not None:
                wanted = list(names)
                todo = [s for s in self.closure(wanted) if s.name in wanted]
            else:  # worlds may share names
                worlds = [self._world(f) for f in sorted({s.fingerprint for s in self._skills.values()})]
                todo = [s for world in worlds for s in closure(sorted(world), world)]
            for one in todo:
                name, skill = one.name, self._world(one.fingerprint).get(one.name)
                if skill is None:
                    continue
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
            if len(draft.program.parameters) != len(plain.parameters):
                continue
            try:
                closure([draft.program.name], {**usable, draft.program.name: _of(skill, draft.program)})
                alike = normalised_source(draft.program.source) == normalised_source(plain.source)
                if alike or self._lost_already(skill, draft.program):
                    continue
            except (InputError, NotFoundError):
                continue
            case = replace(plain.case, sources=draft.sources, needs=draft.needs, material=_material(draft.meta))
            source = draft.program.source
            new = replace(plain, source=source, goal_template=draft.goal_template, case=case)
            drafts.append((i, replace(new, parameters=draft.program.parameters), draft))
        if len(drafts) == len(plains) > 1:
            found = merging.generalise(
                [p for _, p, _ in drafts], name=skill.name, grown=[case.args for case in skill.cases]
            )
            same = found is not None and [p.name for p in found.program.parameters] == [
                p.name for p in skill.program.parameters
            ]  # else whoever calls it could not call the new one
            if found is not None and same:
                new_skill = replace(
                    skill,
                    program=replace(found.program, writer=skill.program.writer),
                    goal_template=found.goal_template,
                    cases=found.cases,
                )
                lost = self._lost_already(skill, found.program)
                return [] if lost else [(new_skill, [i for i, _, _ in drafts])]
        result = []
        for i, _, draft in drafts:
            one = replace(
                _of(skill, draft.program),
                goal_template=draft.goal_template,
                needs=draft.needs,
                sources=draft.sources,
                meta={**{k: v for k, v in skill.meta.items() if k != "material"}, **draft.meta},
                cases=(),
            )
            result.append((one, [i]))
        return result

    def _lost_already(self, skill: Skill, program: Program) -> bool:
        """Whether it has lost against this version, calling the same versions."""
        return self._signature(program, self._world(skill.fingerprint)) in skill.meta.get("lost", [])

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
            here = self._skills[skill_id(old)]  # with what was noted of it meanwhile
            result = self._kept(kept, reason, None if kept.cases else Rival(here, here.settings[cases[0]]), ledger)
        return result, "", seen


def _goal_of(plain: merging.Plain) -> Goal | None:
    values: dict[str, Json] = {p.name: p.default for p in plain.parameters}
    try:
        return Goal.parse(fill(plain.goal_template, values | ({"n": 1} if "n" in values else {})))
    except (GoalSyntaxError, InputError):
        return None


def _of(skill: Skill, program: Program) -> Skill:
    return replace(skill, name=program.name, program=program, version=0)


def _material(meta: Mapping[str, Json]) -> str | None:
    found = meta.get("material")
    return None if found is None else str(found)


def _units(args: Mapping[str, Json]) -> int:
    n = args.get("n", 1)
    return n if isinstance(n, int) and not isinstance(n, bool) and n > 0 else 1

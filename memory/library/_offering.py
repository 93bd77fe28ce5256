"""What is offered in a world of the skills of others: those that are general for it, that may bring about what no skill
there does, and that have not failed there as they are. Nothing is run for it."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from habilis.core import Atom, Case, Goal, InputError, Json, NotFoundError, Skill, WorldSpec
from habilis.memory.interfaces import interface_of, interfaces
from habilis.memory.library._admitting import same_goal
from habilis.memory.library._programs import skill_calls
from habilis.memory.library._relifting import Relifting
from habilis.memory.library._standing import closure, skill_id
from habilis.memory.library._usable import usable
from habilis.memory.library.general import lacking, meets
from habilis.memory.library.merging import plains
from habilis.memory.library.recall import Recall, Search

REFUSED = "transfer"  # the journal's documents of what did not hold in another world
TRIED = 3  # skills of other worlds that are proven for one atom of a goal: the next is less likely by each that failed


@dataclass(frozen=True)
class Bundle:
    """A skill that is offered, the skills of its world, and the cases that are wanted of it and of what it calls."""

    skill: Skill
    there: Mapping[str, Skill]
    cases: Mapping[str, Sequence[Case]]


class Offering(Relifting):
    """What looks at the home's other worlds."""

    def offers(self, goal: Goal, spec: WorldSpec, text: str = "") -> tuple[Skill, ...]:
        """The skills of the home's other worlds that may bring about what no skill of this one does, the likeliest
        first. ``spec``: of this world; ``text``: the goal in words, by which skills are found for one that only a model
        can judge.

        All are general for this world, with what they call (`habilis.memory.library.general`), and none of them has
        failed here in this version. Nothing is run. Raises `InputError` for a library of all worlds.
        """
        self._one_world(proven=False)
        with self._open():
            bundles = [one for atom in self._wanted(goal) for one in self._for(atom, spec)]
            if goal.judged is not None:
                bundles = self._called_up(text or goal.judged, spec)
            return tuple({skill_id(one.skill): one.skill for one in bundles}.values())

    # ------------------------------------------------------------------ inside

    def _one_world(self, proven: bool = True) -> str:
        if self.fingerprint is None or (proven and self.verifier is None):
            raise InputError("skills are carried over into one world, and proven: open(…, fingerprint=…, verifier=…)")
        return self.fingerprint

    def _wanted(self, goal: Goal) -> list[Atom]:
        """The atoms of a goal that no skill here brings about."""
        mine = list(self._world(self.fingerprint or "").values())
        return [atom for atom in dict.fromkeys(goal.atoms) if not any(meets(s, atom) == 2 for s in mine)]

    def _for(self, atom: Atom, spec: WorldSpec) -> list[Bundle]:
        ranked: list[tuple[int, Bundle]] = []
        for skill, there in self._general_here(spec):
            how = meets(skill, atom)
            if how:
                cases = [case for case in skill.settings if meets(replace(skill, cases=(case,)), atom) == how]
                ranked.append((how, Bundle(skill, there, _with_calls(skill, cases or skill.settings, there))))
        ranked.sort(key=lambda one: (-one[0], -one[1].skill.posterior, one[1].skill.cost, one[1].skill.name))
        return self._untried(one for _, one in ranked)

    def _called_up(self, text: str, spec: WorldSpec) -> list[Bundle]:
        """The general skills that the words of a goal call up, where any is likely to serve."""
        found = {skill_id(s): (s, there) for s, there in self._general_here(spec)}
        skills = {id: skill for id, (skill, _) in found.items()}
        recall = Recall(self.embedder, self.index)
        try:
            recall.hold(skills)
            hits = recall.search(text, skills, Search(k=TRIED, abstain=True))
        finally:
            recall.close()
        called = (found[skill_id(hit.skill)] for hit in hits)
        return self._untried(Bundle(s, there, _with_calls(s, s.settings, there)) for s, there in called)

    def _untried(self, bundles: Iterable[Bundle]) -> list[Bundle]:
        """Without those of which a part did not hold here, as it is."""
        refused = self.home.journal.documents_of(REFUSED, dict)
        return [
            one
            for one in bundles
            if not any(
                self._failed(one.there[name], case, one.there, refused)
                for name, cases in one.cases.items()
                for case in cases
            )
        ]

    def _general_here(self, spec: WorldSpec) -> Iterator[tuple[Skill, Mapping[str, Skill]]]:
        """The active skills of other worlds that are general for this one, as is all that they call; each with the
        skills of its world."""
        here, known = interface_of(spec), interfaces(self.home.journal)
        mine = self._world(spec.fingerprint)
        worlds: dict[str, dict[str, Skill]] = {}
        if known.keys() <= {spec.fingerprint}:
            return
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
                if not taken and all(fits[s.name] for s in whole):
                    yield named[name], named

    def _refusal(self, skill: Skill, case: Case) -> str:
        return f"{self.fingerprint} {skill.fingerprint} {skill.name} {sorted(case.args.items())!r}"

    def _failed(self, skill: Skill, case: Case, there: Mapping[str, Skill], refused: Mapping[str, Json]) -> bool:
        """Whether it did not hold here, as it is. ``there``: the skills of its world."""
        note = refused.get(self._refusal(skill, case))
        return note is not None and note.get("mark") == self._mark(skill, there)

    def _mark(self, skill: Skill, there: Mapping[str, Skill]) -> str:
        """What decides how it does elsewhere: its version, and those of what it calls."""
        try:
            return f"{skill.version} {self._signature(skill.program, there)}"
        except (InputError, NotFoundError):  # it calls what is gone
            return str(skill.version)


def _with_calls(skill: Skill, cases: Sequence[Case], there: Mapping[str, Skill]) -> dict[str, list[Case]]:
    """A skill in these cases and what it then calls, each in the cases that it is called in."""
    wanted: dict[str, list[Case]] = {skill.name: list(cases)}
    for one in reversed(closure([skill.name], there)):  # whoever calls comes before what it calls
        try:
            written = [p.source for case, p in zip(one.settings, plains(one), strict=True) if case in wanted[one.name]]
            calls = [call for source in written for call in skill_calls(source)]
        except (InputError, KeyError, ValueError):
            calls = []
        called = {name for _, name in calls}
        for name in one.program.calls:
            found = wanted.setdefault(name, [])
            found += there[name].settings if name not in called else ()
        for call, name in calls:
            if name in wanted:
                wanted[name] += _cases_of(call, there[name])
    return {name: list({repr(c.args): c for c in found}.values()) for name, found in wanted.items()}


def _cases_of(call: ast.Call, skill: Skill) -> list[Case]:
    """The cases that a call may be of."""
    said = {p.name: p.default for p in skill.program.parameters if p.choices}
    for keyword in call.keywords:
        if isinstance(keyword.value, ast.Constant) and keyword.arg is not None:
            said[keyword.arg] = keyword.value.value
        else:
            said.pop(keyword.arg or "", None)
    if call.args[1:]:  # choices may be among them
        said = {}
    return [c for c in skill.settings if all(said.get(name, value) == value for name, value in c.args.items())]

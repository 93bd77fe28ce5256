"""Search over forms of commands: pipelines, loops over files, and two steps one after the other, tried in practice.

What is put together are the world's forms (`habilis.core.CommandForm`), their holes filled with what the goal names, by
what it is in the folder. It goes bottom up, the shorter first, and what printed or left the same as something before is
not gone on with (observational equivalence, as in Albarghouthi, Gulwani and Kincaid 2013). A command that makes no use
of something the goal names is none for the goal. What works is tried with other arguments in other folders for
practice before it is handed on (examples found by need, as in Solar-Lezama 2008), and becomes a program with the goal's
arguments for parameters.

All of it happens on exact copies, so it is for worlds for practice alone: no result may be reported on what it did.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from habilis.agent.planning.fitting import parameters_of, template_of
from habilis.agent.planning.meter import SearchMeter
from habilis.core import (
    Action,
    Checkpointed,
    CommandForm,
    Draft,
    Fact,
    Goal,
    HavingForms,
    Json,
    Posing,
    Program,
    Simulator,
    Snapshot,
    Term,
    World,
    WorldSpec,
)

__all__ = ["FormSearch", "FormSettings", "Piece", "filled"]

_HOLE = re.compile(r"\{((file|folder|new|text|number|path)\d?)\}")
_PATH = re.compile(r"\$path\b|\$\{path")
_LOOP = 'mapfile -t all < <({select}); for path in "${{all[@]}}"; do {deed} || exit 1; done'
_INDENT = "    "


@dataclass(frozen=True)
class FormSettings:
    """``steps``: commands tried for a task, at most (a minute or two). ``filters``: in a pipeline, at most; of each
    length at most ``streams`` are gone on with. ``examples``: other folders that a find has to work in, too.
    ``firsts``: of two steps, how many first ones; each costs as many tries as there are second ones."""

    steps: int = 7_000
    filters: int = 3
    streams: int = 120
    examples: int = 3
    firsts: int = 25


@dataclass(frozen=True)
class Piece:
    """A form with its holes filled: "$1", "$2" for what the goal names. ``used``: which of these it uses."""

    text: str
    used: frozenset[int]
    role: str


@dataclass(frozen=True)
class _Step:
    """One step of a plan: a command, or one for each path that ``select`` prints."""

    text: str
    used: frozenset[int]
    select: str = ""

    @property
    def command(self) -> str:
        return _LOOP.format(select=self.select, deed=self.text) if self.select else self.text


_Plan = tuple[_Step, ...]
_Stream = tuple[str, frozenset[int]]  # a pipeline, or what it prints, with what it uses of what the goal names


@dataclass
class _Ground:
    """A folder for practice with an order in it, put back after each try."""

    world: World
    goal: Goal
    meter: SearchMeter
    base: Json = None
    dirty: bool = False
    args: tuple[Term, ...] = ()

    def __post_init__(self) -> None:
        assert isinstance(self.world, Checkpointed)
        self.base = self.world.save()
        self.args = self.goal.atoms[0].fact.args

    def fresh(self) -> None:
        if self.dirty and isinstance(self.world, Checkpointed):
            self.world.load(self.base)
        self.dirty = False

    def run(self, command: str) -> str | None:
        """What a command printed; None where it failed."""
        self.meter(1)
        outcome = self.world.act(Action("run", (command, *self.args)))
        self.dirty = self.dirty or any(c.fact.predicate not in ("printed", "exit_code") for c in outcome.changes)
        return str(outcome.value["stdout"]) if outcome.ok else None

    def met(self) -> bool:
        return not self.goal.unmet(self.world.observe())

    def solves(self, plan: _Plan) -> bool:
        self.fresh()
        return all(self.run(step.command) is not None for step in plan) and self.met()


@dataclass
class FormSearch:
    """One search for one goal of a single atom. ``spec``: of the world, for the names of parameters."""

    spec: WorldSpec
    settings: FormSettings = field(default_factory=FormSettings)
    why: str = ""

    def drafts(self, goal: Goal, simulator: Simulator, meter: SearchMeter, seed: int) -> Iterator[Draft]:
        """Programs that carry the goal out in every folder for practice that was asked for, the shorter first."""
        world = simulator.imagine(seed)
        if not isinstance(world, HavingForms) or not isinstance(world, Checkpointed) or len(goal.atoms) != 1:
            return
        fact = goal.atoms[0].fact
        if not 0 < len(fact.args) < 10:
            return
        self._ground, self._left = _Ground(world, goal, meter), self.settings.steps
        self._all = frozenset(range(len(fact.args)))
        self._pieces = filled(world.forms(), world.observe(), fact.args)
        others: list[_Ground] | None = None
        self.why = f"none of the commands put together carries out {fact}"
        for plan in self._plans():
            if others is None:
                others = list(self._others(goal, simulator, meter, seed))
            if all(ground.solves(plan) for ground in others):
                yield self._draft(plan, fact)

    # ------------------------------------------------------------------ plans

    def _plans(self) -> Iterator[_Plan]:
        """Plans that reach the goal here."""
        singles = self._singles()
        yield from self._alone(singles)
        streams = [*self._pieces["source"]]
        seen: set[_Stream] = set()
        kept = yield from self._level([(p.text, p.used) for p in streams], seen)
        kept = yield from self._level(self._longer(kept), seen)
        loops = list(self._loops())
        yield from self._alone(loops)
        yield from self._pairs(singles, [*loops, *singles])
        for _ in range(1, self.settings.filters):
            kept = yield from self._level(self._longer(kept), seen)
        yield from self._pairs(loops, [*loops, *singles])

    def _paid(self) -> bool:
        self._left -= 1
        return self._left >= 0

    def _singles(self) -> list[_Step]:
        return [_Step(p.text, p.used) for p in self._pieces["whole"]]

    def _alone(self, steps: Sequence[_Step]) -> Iterator[_Plan]:
        for step in steps:
            if step.used == self._all and self._paid() and self._ground.solves((step,)):
                yield (step,)

    def _longer(self, streams: Sequence[_Stream]) -> Iterator[_Stream]:
        for text, used in streams:
            for piece in self._pieces["filter"]:
                if not piece.used & used:
                    yield f"{text} | {piece.text}", used | piece.used

    def _level(self, streams: Iterable[_Stream], seen: set[_Stream]) -> Generator[_Plan, None, list[_Stream]]:
        """Plans that end in one of these pipelines. Returns those that print something new."""
        kept: list[_Stream] = []
        ground = self._ground
        for text, used in streams:
            if not self._paid():
                break
            ground.fresh()
            told = ground.run(text)
            if told is None or (told, used) in seen:
                continue
            seen.add((told, used))
            kept.append((text, used))
            if used == self._all and ground.met():
                yield (_Step(text, used),)
            for sink in self._pieces["sink"]:
                if used | sink.used == self._all and not used & sink.used and self._paid():
                    step = _Step(f"{text} {sink.text}", self._all)
                    if ground.solves((step,)):
                        yield (step,)
        # what uses most of what the goal names is gone on with first
        return sorted(kept, key=lambda s: -len(s[1]))[: self.settings.streams]

    def _loops(self) -> Iterator[_Step]:
        """A deed for each of the files that something selects; those that select the same are one."""
        seen: set[_Stream] = set()
        for selection in self._pieces["select"]:
            if not self._paid():
                return
            self._ground.fresh()
            paths = self._ground.run(selection.text)
            if not paths or (paths, selection.used) in seen:
                continue
            seen.add((paths, selection.used))
            for deed in self._pieces["deed"]:
                if "$path" in deed.text or "${path" in deed.text:
                    yield _Step(deed.text, selection.used | deed.used, selection.text)

    def _pairs(self, firsts: Sequence[_Step], seconds: Sequence[_Step]) -> Iterator[_Plan]:
        """Two steps: a first one that changes something, and in no way that another one has, and whatever follows."""
        seen: set[frozenset[object]] = {frozenset(self._state())}
        changing = 0
        for first in firsts:
            if changing >= self.settings.firsts or not self._paid():
                return
            self._ground.fresh()
            if self._ground.run(first.command) is None:
                continue
            state = frozenset(self._state())
            if state in seen:
                continue
            seen.add(state)
            changing += 1
            for second in seconds:
                if first.used | second.used == self._all and second != first:
                    if not self._paid():
                        return
                    if self._ground.solves((first, second)):
                        yield (first, second)

    def _state(self) -> Iterator[object]:
        facts = self._ground.world.observe().facts
        return (item for item in facts.items() if item[0].predicate not in ("printed", "exit_code"))

    def _others(self, goal: Goal, simulator: Simulator, meter: SearchMeter, seed: int) -> Iterator[_Ground]:
        """Other folders with such an order."""
        for number in range(1, self.settings.examples + 1):
            world = simulator.imagine(seed)
            posed = world.pose(goal, seed * 1021 + number) if isinstance(world, Posing) else None
            if posed is not None:
                yield _Ground(world, posed, meter)

    # ------------------------------------------------------------------ the program

    def _draft(self, plan: _Plan, fact: Fact) -> Draft:
        parameters = parameters_of(self.spec, fact)
        names = [p.name for p in parameters]
        body: list[str] = []
        for step in plan:
            if not step.select:
                body.append(f"{_INDENT}world.run({_call(step.text, names)})")
                continue
            body.append(f"{_INDENT}for path in world.lines({_call(step.select, names)}).value:")
            body.append(f"{_INDENT * 2}world.run({_call(step.text, names, 'path')})")
        heads = [f"{p.name}: {p.type} = {_literal(p.default)}" for p in parameters]
        source = f"def {fact.predicate}({', '.join(heads)}):\n" + "\n".join(body) + "\n"
        template = template_of(fact.predicate, parameters)
        args = {p.name: p.default for p in parameters}
        return Draft(Program(fact.predicate, source, parameters, (), "search"), args, template)


def filled(forms: Sequence[CommandForm], snapshot: Snapshot, args: Sequence[Term]) -> dict[str, list[Piece]]:
    """The forms with their holes filled in all ways, by role; no two holes of one form are filled with the same."""
    kinds = [_kinds(snapshot, arg) for arg in args]
    found: dict[str, list[Piece]] = {r: [] for r in ("source", "filter", "sink", "select", "deed", "whole")}
    for form in forms:
        holes = dict.fromkeys((m[1], m[2]) for m in _HOLE.finditer(form.text) if m[2] != "path")
        options = [[i for i, known in enumerate(kinds) if kind in known] for _, kind in holes]
        for chosen in itertools.product(*options):
            if len(set(chosen)) < len(chosen):
                continue
            given = {hole: f"${i + 1}" for (hole, _), i in zip(holes, chosen, strict=True)} | {"path": "$path"}
            text = _HOLE.sub(lambda m, given=given: given[m[1]], form.text)  # type: ignore[misc]
            found[form.role].append(Piece(text, frozenset(chosen), form.role))
    return found


def _kinds(snapshot: Snapshot, arg: Term) -> tuple[str, ...]:
    """What something that a goal names may stand for."""
    if isinstance(arg, int):
        return ("number",)
    if snapshot.value(Fact("is_dir", (arg,))):
        return ("folder",)
    if snapshot.value(Fact("exists", (arg,))):
        return ("file",)
    return ("new",) if "/" in arg else ("text", "new")


def _call(text: str, names: Sequence[str], path: str = "") -> str:
    """The arguments of a call: the command, its "$1", "$2" numbered anew, and the names that they stand for."""
    used = sorted({int(m[1]) for m in re.finditer(r"\$([1-9])", _own(text))})
    numbers = {old: new for new, old in enumerate(used, 1)}
    told = _OWN.sub(lambda m: m[0] if m[1] else f"${numbers[int(m[2])]}", text)
    given = [names[i - 1] for i in used]
    if path and _PATH.search(told):
        given.append(path)
        told = _PATH.sub(lambda m: ("${" if m[0].startswith("${") else "$") + str(len(given)), told)
    return ", ".join([repr(told), *given])


# What stands in single quotes is awk's or sed's own: its $1 is no argument.
_OWN = re.compile(r"('[^']*')|\$([1-9])")


def _own(text: str) -> str:
    return re.sub(r"'[^']*'", "", text)


def _literal(value: Json) -> str:
    return repr(value)

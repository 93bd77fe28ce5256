"""A small world of wood, programs for it, and a library that proves them; quick, for it confines nothing."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from tests.agent.conftest import Rule, RuleWorld, make_world

from habilis.core import (
    Action,
    Budget,
    Draft,
    Evidence,
    EvidenceLevel,
    Fact,
    Goal,
    Json,
    Kind,
    Ledger,
    Parameter,
    Program,
    ProgramError,
    Record,
    RunLimits,
    Skill,
    Step,
    ToolCaller,
    Trajectory,
    Trial,
    VectorIndex,
    World,
)
from habilis.memory.home import Home
from habilis.memory.index import MemoryIndex
from habilis.memory.journal import Hook
from habilis.memory.library import AdmissionSettings, LibrarySettings, SkillLibrary, skill_texts
from habilis.testing.embedding import HashEmbedder
from habilis.worlds.verify import GoalJudge, WorldVerifier

EMBEDDER = HashEmbedder(32)
WOODS = ("ash", "birch", "oak", "pine")
N = Parameter("n", "int", 1, False)
QUICK = AdmissionSettings(trials=2, after_failure=2)
SETTINGS = LibrarySettings(admission=QUICK, relift=2)


def _rules() -> list[Rule]:
    """A log becomes two planks by hand, four with a saw; a plank becomes a stick; walking takes time alone."""
    found = [Rule.of("walk()", adds={"count('step')": 1})]
    for wood in WOODS:
        log, plank, stick = (f"{wood}_{thing}" for thing in ("log", "plank", "stick"))
        found += [
            Rule.of(f'gather("{log}")', adds={f'count("{log}")': 1}),
            Rule.of(f'craft("{plank}")', f'count("{log}") >= 1', adds=_made(log, plank, 2)),
            Rule.of(f'saw("{plank}")', f'count("{log}") >= 1', adds=_made(log, plank, 4)),
            Rule.of(f'craft("{stick}")', f'count("{plank}") >= 1', adds=_made(plank, stick, 1)),
        ]
    return found


def _made(used: str, made: str, many: int) -> dict[str, int]:
    return {f'count("{used}")': -1, f'count("{made}")': many}


@dataclass
class Toy:
    """The world's maker. ``broken``: actions that fail from now on."""

    broken: set[str] = field(default_factory=set)
    fingerprint: str = "toy-1"

    def make(self) -> RuleWorld:
        world = make_world([r for r in _RULES if str(r.action) not in self.broken])
        return replace(world, spec=replace(world.spec, fingerprint=self.fingerprint), facts=dict(world.facts))


_RULES = _rules()


class _Failed(Exception):
    pass


class Direct:
    """Runs programs in this process, as `Runner` says. For programs that a test wrote itself."""

    tier = 0

    def __init__(self) -> None:
        self.runs = 0

    def run(
        self,
        program: Program,
        world: World,
        *,
        args: Mapping[str, Json] | None = None,
        skills: Mapping[str, Program] | None = None,
        tools: ToolCaller | None = None,
        limits: RunLimits | None = None,
        seed: int = 0,
        ledger: Ledger | None = None,
    ) -> Trajectory:
        self.runs += 1
        before, steps, printed = world.observe(), list[Step](), io.StringIO()
        doing = _Doing(world, steps, ledger or Ledger())
        scope = _Skills({**(skills or {}), program.name: program}, doing)
        error, returned = None, None
        try:
            with contextlib.redirect_stdout(printed):
                returned = getattr(scope, program.name)(**(args or {}))
        except _Failed as failed:
            error = ProgramError("ActionFailed", str(failed))
        except (ArithmeticError, AttributeError, LookupError, NameError, TypeError, ValueError, SyntaxError) as failed:
            error = ProgramError(type(failed).__name__, str(failed))
        return Trajectory(
            tuple(steps), (), printed.getvalue(), returned, error, before, world.observe(), len(steps), 0.0, 0
        )

    def close(self) -> None: ...


class _Doing:
    """``world`` as a program sees it."""

    def __init__(self, world: World, steps: list[Step], ledger: Ledger) -> None:
        self._world, self._steps, self._ledger = world, steps, ledger

    def __getattr__(self, name: str) -> Callable[..., Any]:
        def act(*args: Any) -> Any:
            if self._world.spec.predicate(name) is not None:
                return self._world.observe().facts.get(Fact(name, args), 0)
            if len(self._steps) >= 60:
                raise _Failed("too many steps")
            self._ledger.spend(_STEP)
            action = Action(name, args)
            outcome = self._world.act(action)
            self._steps.append(Step(action, outcome))
            if not outcome.ok:
                raise _Failed(f"{action} failed")
            return outcome.value

        return act


_STEP = replace(Ledger().spent, world_steps=1)


class _Skills:
    def __init__(self, programs: Mapping[str, Program], world: _Doing) -> None:
        self._programs, self._doing = programs, world

    def __getattr__(self, name: str) -> Any:
        if name not in self._programs:
            raise AttributeError(f"there is no skill {name!r}")
        scope: dict[str, Any] = {"world": self._doing, "skills": self}
        exec(self._programs[name].source, scope)
        return scope[name]


# ---------------------------------------------------------------------- programs


def plank(wood: str, how: str = "craft", *, name: str = "", extra: str = "", goal: str = "", **more: Any) -> Skill:
    """Gets planks of a wood. ``how``: "craft" or "saw" (which takes fewer steps for many); ``extra``: a line more."""
    name = name or f"have_{wood}_plank"
    source = f"def {name}(n: int = 1):\n    while world.count('{wood}_plank') < n:\n"
    source += f"        world.gather('{wood}_log')\n{extra}        world.{how}('{wood}_plank')\n"
    return fresh(name, source, goal or f'count("{wood}_plank") >= {{n}}', **more)


WALK = "        world.walk()\n"


def stick(wood: str, call: str = "", *, name: str = "", **more: Any) -> Skill:
    """Gets sticks of a wood, with what it calls for a plank."""
    name, called = name or f"have_{wood}_stick", f"have_{wood}_plank"
    source = f"def {name}(n: int = 1):\n    while world.count('{wood}_stick') < n:\n"
    source += f"        {call or f'skills.{called}(1)'}\n        world.craft('{wood}_stick')\n"
    return fresh(name, source, f'count("{wood}_stick") >= {{n}}', more.pop("calls", (called,)), **more)


def fresh(name: str, source: str, goal: str, calls: tuple[str, ...] = (), **more: Any) -> Skill:
    """A skill that nobody has proven yet."""
    parameters = more.pop("parameters", (N,))
    program = Program(name, source, parameters, calls, "test")
    known = {"world": "toy", "fingerprint": "toy-1", "origin": "test", "evidence": Evidence(EvidenceLevel.VERIFIED)}
    return Skill(name, 0, program, f"get {name.replace('_', ' ')}", goal, **{**known, **more})


def believed(skill: Skill, level: EvidenceLevel = EvidenceLevel.VERIFIED, seed: int = 1) -> Skill:
    """The same with evidence, for a library that proves nothing."""
    trial = Trial(seed, {p.name: p.default for p in skill.program.parameters}, True, 3)
    return replace(skill, evidence=Evidence(level, (trial,), 1, 0, {"fresh worlds": Record(1, 0)}))


class Table:
    """A lifter that has its drafts in a table, by goal. ``asked`` notes the goals."""

    def __init__(self, *skills: Skill) -> None:
        self.drafts = {str(s.goal_for({"n": 1})): s for s in skills}
        self.asked: list[str] = []

    def lift(self, goal: Goal, skills: Mapping[str, Skill], ledger: Ledger) -> Draft | None:
        self.asked.append(str(goal))
        found = self.drafts.get(str(goal))
        return None if found is None else Draft(found.program, {}, found.goal_template, ("there",))


# ---------------------------------------------------------------------- libraries


@contextlib.contextmanager
def opened(
    path: Path,
    toy: Toy | None = None,
    *,
    settings: LibrarySettings = SETTINGS,
    index: VectorIndex | None = None,
    fingerprint: str | None = None,
    hook: Hook | None = None,
    warn: Callable[[str], None] | None = None,
) -> Iterator[SkillLibrary]:
    """A library, and its home with it. ``toy``: where it proves what it takes in; by default it proves nothing."""
    with Home.open(path, clock=lambda: 0.0, before_write=hook) as home:
        yield library_of(home, toy, settings=settings, index=index, fingerprint=fingerprint, warn=warn)


@contextlib.contextmanager
def kept_sound(path: Path, toy: Toy | None) -> Iterator[SkillLibrary]:
    """A library that is sound in the end, and that one which is opened anew agrees with."""
    with opened(path, toy) as made:
        yield made
        sound(made)
        assert view(library_of(made.home, toy)) == view(made)


def take(library: SkillLibrary, *skills: Skill) -> Skill:
    """Admit these, in their order; the last of what they became."""
    for skill in skills:
        kept = library.admit(skill if library.verifier is not None else believed(skill), "found")
    return kept


def reasons(library: SkillLibrary, name: str) -> list[str]:
    return [t.reason for t in library.history(name)]


def library_of(
    home: Home,
    toy: Toy | None = None,
    *,
    settings: LibrarySettings = SETTINGS,
    index: VectorIndex | None = None,
    fingerprint: str | None = None,
    warn: Callable[[str], None] | None = None,
) -> SkillLibrary:
    return SkillLibrary.open(
        home,
        embedder=EMBEDDER,
        index=index or MemoryIndex(EMBEDDER.dim),
        fingerprint=fingerprint,
        verifier=WorldVerifier(toy.make, Direct(), GoalJudge()) if toy is not None else None,
        settings=settings,
        warn=warn or _unwanted,
    )


def _unwanted(message: str) -> None:
    raise AssertionError(message)


def view(library: SkillLibrary) -> tuple[object, ...]:
    """What a library shows: skills in their order, what is found for some words, and what is due."""
    found = [
        [(h.skill.name, h.skill.version, h.score, h.ready) for h in library.search(text, k=9)]
        for text in ("get oak plank", "have sticks", "ash birch pine")
    ]
    return list(library.active().values()), found, library.due(), library.credits()


def sound(library: SkillLibrary) -> None:
    """What must hold of a library at any time: one active version of a name in each world, nothing calls what is not
    active, and the index holds what is active."""
    journal = library.home.journal
    assert journal.check() == []
    active = journal.skills()
    assert len({(s.fingerprint, s.name) for s in active}) == len(active)
    for skill in active:
        here = {s.name for s in active if s.fingerprint == skill.fingerprint}
        assert set(skill.program.calls) <= here, f"{skill.name} calls {skill.program.calls}, active: {here}"
        for case in skill.cases:
            assert not case.successor or case.successor in here
    assert library.index.ids(Kind.SKILL) == {id for s in active for id in skill_texts(s)}
    ours = [s for s in active if library.fingerprint in (None, s.fingerprint)]
    assert {(s.name, s.version) for s in ours} >= {(s.name, s.version) for s in library.active().values()}


def runs(library: SkillLibrary, name: str, toy: Toy | None = None, **args: Json) -> list[str]:
    """The actions that a skill takes."""
    program = library.get(name).program
    world = (toy or Toy()).make()
    done = Direct().run(program, world, args=args, skills=library.sources([name]), ledger=Ledger(Budget()))
    assert done.error is None, done.error
    return [str(step.action) for step in done.steps]


def names(skills: Sequence[Skill] | Mapping[str, Skill]) -> list[str]:
    return sorted(skills if isinstance(skills, Mapping) else [s.name for s in skills])

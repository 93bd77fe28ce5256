"""The cells of the library benchmark: a life each, and what is measured of what it learned."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from benchmarks._harness import commit
from benchmarks._library_parts import (
    arguments,
    baked,
    closed,
    composing_share,
    distractors,
    in_order,
    largest,
    near_duplicate_share,
    polluted,
)
from benchmarks._life import Life, Setting, live, solve_cold
from benchmarks.growth import excluded, held_out
from habilis.agent.planning.calls import needed
from habilis.core import (
    Budget,
    Contract,
    Episode,
    Evidence,
    EvidenceLevel,
    Json,
    Ledger,
    Program,
    Skill,
)
from habilis.memory.home import Home
from habilis.memory.library import LibrarySettings
from habilis.worlds.craft import CraftWorld
from habilis.worlds.runner import ConfinedRunner
from habilis.worlds.verify import GoalJudge, WorldVerifier

NEAR_DUPLICATES = 0.1  # the aim that the library of `success_slope` must meet
SIZES = (10, 25, 50)
CROWDS = (500, 5_000)
BUDGETS = (20, 50)
CARRIED_ON = 20  # tasks that a life goes on for with a polluted library
FAILS_ON = 0.2  # of unseen seeds: what fails on so many should not have been admitted

ABLATIONS: Mapping[str, LibrarySettings] = {
    "no_merge": LibrarySettings(merge=False),
    "no_relift": LibrarySettings(relift=0),
    "no_retire": LibrarySettings(active_cap=None, quarantine=0),
}


@dataclass(frozen=True)
class Scale:
    """How much a cell does. ``unseen``: seeds that each case is tried on."""

    iterations: int = 160
    transfer: int = 80
    unseen: int = 50
    carried_on: int = CARRIED_ON
    crowds: tuple[int, ...] = CROWDS


def run_cell(arm: str, seed: int, scale: Scale) -> dict[str, Any]:
    """One arm with one seed."""
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="habilis-library-") as folder:
        cells: dict[str, Callable[[int, Scale, Path], dict[str, Any]]] = {"plain": plain, "held_out": unheld}
        found = cells[arm](seed, scale, Path(folder)) if arm in cells else ablated(arm, seed, scale, Path(folder))
    return {
        "schema_version": 1,
        "arm": arm,
        "seed": seed,
        "limit": scale.iterations,
        "unseen": scale.unseen,
        **found,
        "seconds": round(time.monotonic() - began, 1),
        "commit": commit(),
    }


def structure(folder: Path, life: Life) -> dict[str, Any]:
    """What the active skills are like, and how many are so no more."""
    with Home.open(folder, read_only=True) as home:
        statuses = [s.status for s in home.journal.skills(None) if s.fingerprint == CraftWorld().spec.fingerprint]
    skills = life.skills
    return {
        "skills": len(skills),
        "cases": sum(len(s.settings) for s in skills.values()),
        "classes": life.classes,
        "superseded": statuses.count("superseded"),
        "retired": statuses.count("retired"),
        "quarantined": statuses.count("quarantined"),
        "composing": composing_share(skills),
        "near": near_duplicate_share(skills),
        "near_blind": near_duplicate_share(skills, blind=True),
        "baked": sorted(n for n, s in skills.items() if baked(s)),
    }


# ---------------------------------------------------------------------- the plain life


@dataclass
class Drafts:
    """The programs of a life that did what was asked once, by the end state, each with the skills of that moment."""

    found: dict[str, tuple[Skill, Mapping[str, Json], Mapping[str, Program]]] = field(default_factory=dict)

    def watch(self, episode: Episode, skills: Mapping[str, Skill]) -> None:
        task = episode.task
        for attempt in episode.attempts:
            program = attempt.program
            known = skills.get(program.name)
            if task.kind != "achieve" or not attempt.ok or (known is not None and known.program == program):
                continue
            one = Skill(
                name=program.name,
                version=0,
                program=program,
                doc=task.text,
                goal_template=str(task.goal),
                world=task.world,
                fingerprint=task.fingerprint,
                evidence=Evidence(EvidenceLevel.OBSERVED),
            )
            self.found.setdefault(program.source, (one, dict(attempt.args), needed(program, skills)))


def plain(seed: int, scale: Scale, folder: Path) -> dict[str, Any]:
    """A life in the plain world; then its skills on unseen seeds; then a life in a shuffled world in the same home,
    and one from nothing."""
    home, drafts = folder / "home", Drafts()
    life = live(Setting(), seed, scale.iterations, folder=home, watch=drafts.watch)
    found = structure(home, life)
    with ConfinedRunner() as runner:
        verifier = WorldVerifier(CraftWorld, runner, GoalJudge())
        cases = [
            (skill, arguments(skill, case.args), needed(skill.program, life.skills), dict(case.args))
            for skill in life.skills.values()
            if skill.evidence.level is EvidenceLevel.VERIFIED
            for case in skill.settings
        ]
        failing = {}
        for skill, varied, programs, case in cases:
            share, why = failures(verifier, skill, varied, programs, seed, scale.unseen)
            if share > 0:
                failing[f"{skill.name} {case or ''}".strip()] = [share, why]
        found["proven"] = {"cases": len(cases), "failing": failing}
        failing = {}
        for one, args, called in drafts.found.values():
            share, why = failures(verifier, one, [args], called, seed, scale.unseen)
            if share > 0:
                failing[one.name] = [share, why]
        found["once"] = {"cases": len(drafts.found), "failing": failing}
    shuffled = Setting(options={"shuffled": seed})
    old = live(shuffled, seed, scale.transfer, folder=home)
    with Home.open(home, read_only=True) as opened:
        mine = CraftWorld(shuffled=seed).spec.fingerprint
        carried = {
            s.name
            for s in opened.journal.skills(None)
            for t in opened.journal.transitions(s.name)
            if s.fingerprint == mine and t.version == s.version and t.reason.startswith("it holds here")
        }
    new = live(shuffled, seed, scale.transfer, folder=folder / "new")
    found["transfer"] = {
        "old": old.record() | {"failed": {}, "items": []},
        "new": new.record() | {"failed": {}, "items": []},
        "carried": len(carried),
    }
    return found


def failures(
    verifier: WorldVerifier,
    skill: Skill,
    varied: Sequence[Mapping[str, Json]],
    programs: Mapping[str, Program],
    seed: int,
    unseen: int,
) -> tuple[float, str]:
    """The share of seeds that were never seen on which it fails, arguments in turn, and how it failed last. What the
    clock ended counts for nothing."""
    bad, counted, why = 0, 0, ""
    for k in range(unseen):
        args = varied[k % len(varied)]
        ledger = Ledger(Budget(usd=None))
        trial, trajectory = verifier.trial(skill, args, 1_000_003 * (seed + 1) + k, programs, ledger)
        if trajectory.inconclusive and not trial.ok:
            continue
        counted += 1
        if not trial.ok:
            bad, why = bad + 1, f"{dict(args)}: {trial.why}"[:300]
    return bad / max(1, counted), why


# ---------------------------------------------------------------------- held-out goals


@dataclass(frozen=True)
class Cold:
    """Which of the held-out goals are reached from nothing, within a search budget."""

    runner: ConfinedRunner
    contracts: Sequence[Contract]

    def solved(self, skills: Mapping[str, Skill], budget: int) -> dict[str, int]:
        """The world steps of each goal that was reached."""
        found = {}
        for goal, seed in held_out():
            done = solve_cold(
                goal, seed, contracts=self.contracts, skills=skills, search_steps=budget, runner=self.runner
            )
            if done.ok:
                found[str(goal)] = done.world_steps
        return found

    def success(self, skills: Mapping[str, Skill], budget: int = 50) -> float:
        return len(self.solved(skills, budget)) / len(held_out())


def unheld(seed: int, scale: Scale, folder: Path) -> dict[str, Any]:
    """A life that is never proposed the held-out goals; them with libraries of several sizes, and with a polluted
    one."""
    home, mine = folder / "home", Setting(exclude=excluded())
    life = live(mine, seed, scale.iterations, folder=home)
    found = structure(home, life)
    with Home.open(home, read_only=True) as opened:
        first = [s.name for s in opened.journal.skills(None)]
    order = in_order(life.skills, list(dict.fromkeys(first)))
    whole = largest(order, life.skills, NEAR_DUPLICATES)
    with ConfinedRunner() as runner:
        cold = Cold(runner, life.contracts)
        rows = []
        for label, skills in [
            *((str(n), closed(order[:n], life.skills)) for n in SIZES),
            ("largest", whole),
            *((f"crowd_{n}", distractors(whole, max(0, n - len(whole))) | whole) for n in scale.crowds),
        ]:
            for budget in BUDGETS:
                began = time.monotonic()
                success = cold.success(skills, budget)
                took = round(time.monotonic() - began, 2)
                rows.append(
                    {"label": label, "skills": len(skills), "budget": budget, "success": success, "seconds": took}
                )
        found["slope"] = rows
        found["pollution"] = pollution(mine, seed, scale, folder, life, cold)
    found |= worth(life)
    return found


def pollution(mine: Setting, seed: int, scale: Scale, folder: Path, life: Life, cold: Cold) -> dict[str, Any]:
    """Half of the library made up, and put past admission into the journal as active; held-out success before anything
    is done about it, and after the life went on for some tasks. Beside both: the same without."""
    made_up = polluted(life.skills, seed)
    clean, dirty = folder / "clean", folder / "dirty"
    for place in (clean, dirty):
        shutil.copytree(folder / "home", place)
    with Home.open(dirty) as home:
        for skill in made_up.values():
            home.journal.put_skill(skill, "put past admission")
    before, unhandled = cold.solved(life.skills, 50), cold.solved({**made_up, **life.skills}, 50)
    after: dict[str, Life] = {}
    for place in (clean, dirty):
        after[place.name] = live(mine, seed, scale.carried_on, folder=place, resume=True)
    solved = {
        name: replace(cold, contracts=one.contracts).solved(_unseen(one.skills), 50) for name, one in after.items()
    }
    with Home.open(dirty, read_only=True) as home:
        statuses: dict[str, int] = {}
        for skill in home.journal.skills(None):
            if skill.name in made_up and skill.version == 1:
                told = f"{skill.name.rpartition('_')[2]} {skill.status}"
                statuses[told] = statuses.get(told, 0) + 1
    return {
        "made_up": len(made_up),
        "before": len(before) / len(held_out()),
        "unhandled": len(unhandled) / len(held_out()),
        "clean": len(solved["clean"]) / len(held_out()),
        "handled": len(solved["dirty"]) / len(held_out()),
        "unhandled_steps": _steps(unhandled, before),
        "handled_steps": _steps(solved["dirty"], solved["clean"]),
        "genuine_left": sum(n in after["dirty"].skills for n in life.skills),
        "statuses": dict(sorted(statuses.items())),
    }


def _unseen(skills: Mapping[str, Skill]) -> dict[str, Skill]:
    """Without any skill for a held-out goal."""
    facts = excluded()
    return {n: s for n, s in skills.items() if not any(a.fact in facts for g in s.goals() for a in g.atoms)}


def worth(life: Life) -> dict[str, Any]:
    """Held-out success within 50 search steps; and world steps with the skills over those replanned from the contracts
    alone, for the goals that both reach."""
    with ConfinedRunner() as runner:
        cold, skills = Cold(runner, life.contracts), _unseen(life.skills)
        ratio = _steps(cold.solved(skills, 5_000), cold.solved({}, 5_000))
        return {"cold": cold.success(skills), "ratio": ratio}


def _steps(one: Mapping[str, int], other: Mapping[str, int]) -> float | None:
    """World steps of the one over those of the other, for the goals that both reached."""
    both = sorted(one.keys() & other.keys())
    below = sum(other[g] for g in both)
    return sum(one[g] for g in both) / below if below else None


def ablated(arm: str, seed: int, scale: Scale, folder: Path) -> dict[str, Any]:
    """The same life as ``held_out`` without a part of what the library does by itself."""
    mine = Setting(exclude=excluded(), library=ABLATIONS[arm])
    life = live(mine, seed, scale.iterations, folder=folder / "home")
    return {**structure(folder / "home", life), **worth(life)}

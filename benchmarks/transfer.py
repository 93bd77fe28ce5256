"""What a life in one world is worth in another of the same home: goals solved, and steps until they are.

    python -m benchmarks.transfer                           3 seeds of every pair
    python -m benchmarks.transfer --quick                   one seed
    python -m benchmarks.transfer --cell twin:0             one pair with one seed, as JSON

First a life in the one world, without a language model (`habilis run`, or `habilis explore` where no reasons are
given). Then goals of a user (twelve, spread over what the life has skills for; else achievements of the game), one
after the other, each as `habilis solve` works on it, in the other world: in that home (``lived``), in that home after
all skills of the first world were retired, so that only what its actions did is left (``contracts``), and in an empty
home (``nothing``). Steps are world steps and search steps of these goals alone, proofs included; the life before is not
counted. The pairs:

``twin``      craft, then the same rules under another name: the most that can be had
``shuffled``  craft, then craft with the recipes' ingredients exchanged among one another (another number each seed)
``crafter``   craft, then crafter: two worlds that share hardly a name
``survival``  crafter, where experiments found out what actions need, then the same rules under another name
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from benchmarks._harness import Figure, Options, main, parse
from habilis import Agent, AgentSettings
from habilis.core import Contract, Goal, World, WorldSpec
from habilis.memory.home import Home
from habilis.memory.library import SkillLibrary
from habilis.worlds.craft import CraftWorld

ARMS = ("nothing", "contracts", "lived")
_GOALS = 12  # of those that the life before has skills for
CRAFTER_GOALS = tuple(
    Goal.parse(text)
    for text in (
        *('count("wood") >= 1', 'count("sapling") >= 1', 'placed("sapling") >= 1', 'near("table")'),
        *('count("wood_pickaxe") >= 1', 'count("wood_sword") >= 1', 'count("stone") >= 1', 'placed("stone") >= 1'),
        *('count("stone_pickaxe") >= 1', 'count("coal") >= 1', "drink() >= 9", "food() >= 9"),
    )
)
TASK = "search_steps=12000,world_steps=20000"  # of one goal


class TwinCraft(CraftWorld):
    """Craft by another name: nothing tells that its rules are the same."""

    __slots__ = ()

    def __init__(self) -> None:
        super().__init__()
        self.spec = _renamed(self.spec)

    def contracts(self) -> Sequence[Contract]:
        return [replace(one, fingerprint=self.spec.fingerprint) for one in super().contracts()]


def twin_crafter() -> World:
    from habilis.worlds.crafter import CrafterWorld

    class TwinCrafter(CrafterWorld):
        """Crafter by another name."""

        def __init__(self) -> None:
            super().__init__()
            self.spec = _renamed(self.spec)

    return TwinCrafter()


def _renamed(spec: WorldSpec) -> WorldSpec:
    return replace(spec, name=f"twin-{spec.name}", fingerprint=f"twin-{spec.fingerprint}")


@dataclass(frozen=True)
class Pair:
    """``first``: the world of the life before, whose seed is that of the cell; ``then``: makes the other world by the
    seed; ``goals``: to be worked on there, by default those of the life's skills; ``explores``: its life is exploration
    by experiments."""

    first: str
    then: Callable[[int], World]
    goals: tuple[Goal, ...] = ()
    explores: bool = False


def _crafter(seed: int) -> World:
    from habilis.worlds.crafter import CrafterWorld

    return CrafterWorld()


PAIRS: Mapping[str, Pair] = {
    "twin": Pair("craft", lambda seed: TwinCraft()),
    "shuffled": Pair("craft", lambda seed: CraftWorld(shuffled=seed)),
    "crafter": Pair("craft", _crafter, CRAFTER_GOALS[:2]),
    "survival": Pair("crafter", lambda seed: twin_crafter(), CRAFTER_GOALS, explores=True),
}


@dataclass(frozen=True)
class Scale:
    """``tasks`` of a life, or of an exploration ``episodes`` of ``steps`` actions in all."""

    tasks: int = 80
    episodes: int = 6
    steps: int = 8_000


QUICK = Scale(tasks=40, episodes=3, steps=3_000)


def life_before(pair: Pair, seed: int, home: Path, scale: Scale) -> tuple[dict[str, Any], tuple[Goal, ...]]:
    """What it came to, and the goals for the other world."""
    with Agent(pair.first, home=home, settings=_settings(seed)) as agent:
        if pair.explores:
            done = agent.explore_now(scale.episodes, steps=scale.steps, policy="experiments", practice=True)
        else:
            done = agent.run_now(scale.tasks)
        known = [goal for _, bound in sorted(agent.skills.items()) for goal in bound.skill.goals()]
    goals = pair.goals or tuple(sorted(known, key=str)[:: max(1, len(known) // _GOALS)][:_GOALS])
    told = {"tried": done.tried, "skills": done.skills, "world_steps": done.spent.world_steps}
    return told, goals


def goals_in(world: World, goals: tuple[Goal, ...], seed: int, home: Path) -> dict[str, Any]:
    """Work on the goals one after the other; what was solved and what each took."""
    came: list[Mapping[str, Any]] = []
    rows: list[dict[str, Any]] = []
    with Agent(world, home=home, settings=replace(_settings(seed), task_budget=TASK)) as agent:
        agent.events.subscribe(lambda e: came.append(e.data) if e.kind == "skills_transferred" else None)
        for goal in goals:
            before = agent.spent
            episode = agent.solve_now(goal)
            spent = agent.spent.less(before)
            rows.append(
                {
                    "goal": str(goal),
                    "ok": episode.solved,
                    "world_steps": spent.world_steps,
                    "search_steps": spent.search_steps,
                    "reason": "" if episode.solved else episode.reason[:160],
                }
            )
        taken = sorted(name for name, bound in agent.skills.items() if bound.skill.whence)
    return {
        "solved": sum(row["ok"] for row in rows),
        "world_steps": sum(row["world_steps"] for row in rows),
        "search_steps": sum(row["search_steps"] for row in rows),
        "taken": taken,
        "refused": sorted({name for told in came for name in told["refused"]}),
        "goals": rows,
    }


def _settings(seed: int) -> AgentSettings:
    return AgentSettings(seed=seed, embedder="hash", index="exact")


def run_cell(name: str, seed: int, scale: Scale) -> dict[str, Any]:
    """One pair with one seed, all arms."""
    began, pair = time.monotonic(), PAIRS[name]
    with tempfile.TemporaryDirectory(prefix="habilis-transfer-") as folder:
        lived, bare, empty = (Path(folder) / part for part in ("lived", "bare", "empty"))
        life, goals = life_before(pair, seed, lived, scale)
        cell: dict[str, Any] = {"pair": name, "seed": seed, "life": life}
        shutil.copytree(lived, bare)
        with Home.open(bare) as home, SkillLibrary.open(home, embedder=None) as library:
            for skill in library.active():
                if skill in library.active():
                    library.retire(skill, "only what actions do is to be left")
        for arm, home_of in zip(ARMS, (empty, bare, lived), strict=True):
            cell[arm] = goals_in(pair.then(seed), goals, seed + 1, home_of)
    return cell | {"seconds": round(time.monotonic() - began)}


def measure(options: Options) -> dict[str, Figure]:
    """All figures. With ``json=out.json`` the cells lie in ``out.jsonl``, and what is there is not run again.
    ``HABILIS_TRANSFER=twin,shuffled`` measures these pairs alone."""
    scale = QUICK if options.quick else Scale()
    names = [n for n in os.environ.get("HABILIS_TRANSFER", ",".join(PAIRS)).split(",") if n in PAIRS]
    cells: list[dict[str, Any]] = []
    path = options.json.with_suffix(".jsonl") if options.json is not None else None
    if path is not None and path.exists():
        cells = [json.loads(line) for line in path.read_text("utf-8").splitlines() if line.endswith("}")]
    for name in names:
        for seed in range(options.seeds):
            if any((c["pair"], c["seed"]) == (name, seed) for c in cells):
                continue
            cells.append(cell := run_cell(name, seed, scale))
            told = ", ".join(f"{arm} {cell[arm]['solved']} of {len(cell[arm]['goals'])}" for arm in ARMS)
            print(f"{name}:{seed}  {told}  {cell['seconds']} s", file=sys.stderr, flush=True)
            if path is not None:
                with path.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(cell) + "\n")
    return figures([c for c in cells if c["pair"] in names])


def figures(cells: list[dict[str, Any]]) -> dict[str, Figure]:
    found: dict[str, Figure] = {}
    for name in dict.fromkeys(c["pair"] for c in cells):
        mine = [c for c in cells if c["pair"] == name]
        for arm in ARMS:
            shares = [c[arm]["solved"] / len(c[arm]["goals"]) for c in mine if c[arm]["goals"]]
            if shares:
                found[f"{name}_solved_{arm}"] = Figure.of(shares, "of goals")
            for what in ("world_steps", "search_steps"):
                found[f"{name}_{what}_{arm}"] = Figure.of([float(c[arm][what]) for c in mine], "per life")
        found[f"{name}_taken"] = Figure.of([float(len(c["lived"]["taken"])) for c in mine], "skills")
        found[f"{name}_refused"] = Figure.of([float(len(c["lived"]["refused"])) for c in mine], "skills")
    return found


if __name__ == "__main__":
    asked = parse("transfer", 3, 1)
    if asked.cell is not None:
        pair_name, _, number = asked.cell.partition(":")
        print(json.dumps(run_cell(pair_name, int(number or 0), QUICK if asked.quick else Scale())))
    else:
        main("transfer", measure, aims={}, seeds=3, quick_seeds=1)

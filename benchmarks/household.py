"""The household world beside VirtualHome's own executor: are the outcomes the same, and how much faster are they?

The oracle is ``virtualhome-eval`` 0.1.1 (405 MB). It need not be installed beside this library: give the interpreter
that has it, or the folder of its virtual environment, with ``--data``.

    python -m venv /somewhere && /somewhere/bin/pip install virtualhome-eval==0.1.1
    python -m benchmarks.household --data /somewhere

*Agreement*: the share of the steps of its 342 programs with the same outcome. Nearly all of those succeed, so an engine
that lets everything pass would look good; therefore random actions are asked about at every step besides
(*probe_agreement*; of these about four in five fail), the balanced accuracy over both is given, and every divergence is
listed by its cause. *Speedup*: actions per second of `habilis.worlds.household.scripts` over the oracle's, on the same
programs and in the same run, in alternation. Also the rate of the world itself, with observations and changes.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks._harness import Figure, Options, main
from habilis.core import Action
from habilis.worlds.household import HouseholdWorld, scripts
from habilis.worlds.household._house import House
from habilis.worlds.household._plan import Plan
from habilis.worlds.household.graphs import plan_of, read_graph

AIMS = {"agreement": ">= 0.99", "speedup": ">= 20"}
ORACLE = Path(__file__).with_name("_household_oracle.py")
PROBES = 6  # random actions that are asked about at each step
QUICK = 40  # programs
CLONES = 20_000


def interpreter(data: Path | None) -> Path | None:
    """The one that has the oracle: this one, the one given, or that of the virtual environment given."""
    if data is None:
        options = [Path(sys.executable)]
    else:
        options = [data, data / "bin" / "python", data / "Scripts" / "python.exe"]
    for option in options:
        if option.is_file():
            found = subprocess.run([option, "-c", "import virtualhome_eval"], capture_output=True)
            if found.returncode == 0:
                return option
    return None


def oracle(python: Path, probes: int, limit: int) -> Iterator[dict[str, Any]]:
    """What the oracle says, program by program."""
    command = [str(python), str(ORACLE), str(probes), str(limit)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            yield json.loads(line)
    if process.returncode:
        raise RuntimeError(f"the oracle ended with code {process.returncode}; nothing was compared")


class Comparison:
    """Outcomes counted, and what differs by its cause."""

    def __init__(self) -> None:
        self.counts: Counter[tuple[str, bool, bool]] = Counter()  # step or probe, the oracle's outcome, the same
        self.causes: Counter[tuple[str, str, str]] = Counter()
        self.errors: Counter[str] = Counter()

    def program(self, plan: Plan, told: dict[str, Any]) -> None:
        house, ids = House(plan), {t.id: i for i, t in enumerate(plan.things)}
        for step in told["steps"]:
            if step["line"] is not None:
                self._take("step", house, ids, step["line"], step["ok"])
            for line, ok in step["probes"]:
                self._take("probe", house.clone(), ids, line, ok)

    def _take(self, sort: str, house: House, ids: dict[int, int], text: str, ok: Any) -> None:
        (line,) = scripts.parse(text)
        things = tuple(ids[number] for _, number in line.objects)
        before = house.clone()
        result = scripts.do(house, line, things)
        if not isinstance(ok, bool):  # the oracle itself failed
            self.errors[str(ok)] += 1
            return
        self.counts[sort, ok, result.ok == ok] += 1
        if result.ok != ok:
            self.causes[sort, cause(before, line, things, result), line.action] += 1

    def rate(self, sort: str) -> Figure:
        same = sum(n for (s, _, same), n in self.counts.items() if s == sort and same)
        return Figure.rate(same, sum(n for (s, _, _), n in self.counts.items() if s == sort))

    def balanced(self) -> float:
        """The mean of how often we agree where the oracle succeeds and where it fails."""
        shares = []
        for ok in (True, False):
            all_ = [(same, n) for (_, was, same), n in self.counts.items() if was is ok]
            shares.append(sum(n for same, n in all_ if same) / max(1, sum(n for _, n in all_)))
        return sum(shares) / 2


def cause(house: House, line: scripts.Line, things: tuple[int, ...], result: scripts.Result) -> str:
    """Why the outcomes differ, as docs/household.md explains each."""
    plan = house.plan
    if any(t in plan.people for t in things):
        return "the character as an object"
    if len(set(things)) < len(things):
        return "a thing on or into itself"
    if len(things) == 2 and things[1] in plan.rooms:
        return "put on or into a room"
    if line.action == "PUTOBJBACK":
        return "put back what could not be"
    if line.action == "SWITCHON" and result.ok:
        return "a switch without a state"
    if any(t in house.moved for t in things) or house.moved:
        return "closeness after something was moved"
    return "closeness or place in the scene as loaded"


def speeds(python: Path, plans: dict[str, Plan], rounds: int, limit: int) -> tuple[list[float], list[float]]:
    """Actions per second of ours and of the oracle, once per round each, on the same programs."""
    ours, theirs = [], []
    for _ in range(rounds):
        actions, seconds, mine = 0, 0.0, 0.0
        for told in oracle(python, 0, limit):
            plan, steps = plans[told["graph"]], [s["line"] for s in told["steps"] if s["line"] is not None]
            ids = {t.id: i for i, t in enumerate(plan.things)}
            lines = scripts.parse("\n".join(steps))
            work = [(line, tuple(ids[n] for _, n in line.objects)) for line in lines]
            house = House(plan)
            began = time.perf_counter()
            for line, things in work:
                scripts.do(house, line, things)
            mine += time.perf_counter() - began
            actions, seconds = actions + len(work), seconds + told["seconds"]
        ours.append(actions / mine)
        theirs.append(actions / seconds)
    return ours, theirs


def world_speed(seed: int) -> tuple[float, float]:
    """Actions per second of the world in a generated house, and clones per second."""
    world = HouseholdWorld(size=1.0)
    world.reset(seed)
    world.act(Action("find", ("plate_1",)))
    turn = [Action("grab", ("plate_1",)), Action("wash", ("plate_1",)), Action("drop", ("plate_1",))]
    began, steps = time.perf_counter(), 0
    while time.perf_counter() - began < 0.5:
        for action in turn:
            if not world.act(action).ok:
                raise RuntimeError(f"{action} failed with seed {seed}; nothing was measured")
        steps += len(turn)
    rate = steps / (time.perf_counter() - began)
    began = time.perf_counter()
    for _ in range(CLONES):
        world.clone()
    return rate, CLONES / (time.perf_counter() - began)


def measure(options: Options) -> dict[str, Figure]:
    rates = [world_speed(seed) for seed in range(options.seeds)]
    figures = {
        "world_actions_per_s": Figure.of([r for r, _ in rates], "1/s"),
        "clones_per_s": Figure.of([c for _, c in rates], "1/s"),
    }
    python = interpreter(options.data)
    if python is None:
        print(
            "virtualhome-eval is not installed here, so nothing was compared: make a virtual environment, "
            "pip install virtualhome-eval==0.1.1 there, and give its folder with --data",
            file=sys.stderr,
        )
        return figures
    limit = QUICK if options.quick else 0
    comparison, plans = Comparison(), {}
    for told in oracle(python, PROBES, limit):
        plans[told["graph"]] = plan_of(read_graph(told["graph"]))
        comparison.program(plans[told["graph"]], told)
    for (sort, why, action), n in sorted(comparison.causes.items(), key=lambda c: (-c[1], c[0])):
        print(f"  {n:4d} {sort:5s} {action:10s} {why}")
    if comparison.errors:
        print(f"  the oracle raised an error {comparison.errors.total()} times: {dict(comparison.errors)}")
    ours, theirs = speeds(python, plans, options.seeds, limit)
    return figures | {
        "agreement": comparison.rate("step"),
        "steps": Figure.of([sum(n for (s, _, _), n in comparison.counts.items() if s == "step")]),
        "probe_agreement": comparison.rate("probe"),
        "probes": Figure.of([sum(n for (s, _, _), n in comparison.counts.items() if s == "probe")]),
        "balanced_agreement": Figure.of([comparison.balanced()]),
        "speedup": Figure.of([a / b for a, b in zip(ours, theirs, strict=True)]),
        "actions_per_s": Figure.of(ours, "1/s"),
        "oracle_actions_per_s": Figure.of(theirs, "1/s"),
    }


if __name__ == "__main__":
    main("household", measure, aims=AIMS, seeds=5, quick_seeds=2)

"""Calls under limits: from 32 threads and from tasks, through random trees of accounts, by tools that tell the truth
and tools that do not, and in processes that are killed again and again; each with an auditor beside it."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from benchmarks._budget_audit import Auditor, Call, Findings, audit
from habilis.core import Budget, BudgetExceeded, Cost, Ledger, Overruns
from habilis.memory import Home
from habilis.tools import Priced, Tool, ToolRegistry, tool

THREADS = 32
PAIR = 1024  # amounts are multiples of 1/1024, which floats add exactly


@dataclass
class Accounts:
    """A random tree of ledgers: one for everything, runs, tasks, and children of tasks without limits of their own."""

    limits: dict[str, Budget]
    paths: dict[str, tuple[str, ...]]
    ledgers: dict[str, Ledger]

    @classmethod
    def grown(cls, seed: int, calls: int, runs: int = 4, tasks: int = 3) -> Accounts:
        """For about half of so many calls."""
        draw = random.Random(f"accounts:{seed}")
        made = cls({}, {}, {})
        made._grow("all", None, _limits(calls // 2))
        for r in range(runs):
            made._grow(f"run{r}", "all", _some(draw, _limits(draw.randint(1, calls // runs))))
            for t in range(tasks):
                made._grow(f"run{r}.task{t}", f"run{r}", _some(draw, _limits(draw.randint(1, calls // runs))))
        return made

    def _grow(self, name: str, parent: str | None, limit: Budget) -> None:
        above = self.ledgers[parent] if parent is not None else None
        self.ledgers[name] = Ledger(limit) if above is None else above.child(limit)
        self.limits[name] = limit
        self.paths[name] = (name, *(self.paths[parent] if parent is not None else ()))

    def draw(self, random_: random.Random) -> tuple[Ledger, tuple[str, ...]]:
        name = random_.choice(sorted(self.ledgers))
        ledger = self.ledgers[name]
        return ledger if random_.random() < 0.5 else ledger.child(), self.paths[name]


def _limits(calls: int) -> Budget:
    """Of each kind what so many calls take on average."""
    return Budget(20 * calls / PAIR, 18 * calls, 20 * calls / PAIR, calls, None, calls)


def _some(draw: random.Random, limit: Budget) -> Budget:
    """Money always, every other kind by the toss of a coin."""
    return replace(
        limit, **{kind: None for kind in ("tokens", "seconds", "world_steps", "calls") if draw.random() < 0.5}
    )


def _cost(draw: random.Random) -> Cost:
    return Cost(
        usd=draw.randint(0, 64) / PAIR,
        tokens=draw.randint(0, 60),
        seconds=draw.randint(0, 64) / PAIR,
        world_steps=draw.randint(0, 4),
        calls=1,
    )


def _part(draw: random.Random, most: Cost) -> Cost:
    """What a call has cost that keeps to what it declared."""
    if draw.random() < 0.3:
        return most
    share = draw.choice([0, 0.25, 0.5])
    return Cost(
        int(most.usd * PAIR * share) / PAIR,
        int(most.tokens * share),
        int(most.seconds * PAIR * share) / PAIR,
        int(most.world_steps * share),
        0,
        1,
    )


def from_threads(seed: int, each: int) -> tuple[Findings, int]:
    """32 threads that reserve, work and settle; also the refusals."""
    accounts, auditor = Accounts.grown(seed, THREADS * each), Auditor()
    refused = [0] * THREADS
    start = threading.Barrier(THREADS)

    def work(number: int) -> None:
        draw = random.Random(f"{seed}:{number}")
        start.wait()
        for _ in range(each):
            ledger, path = accounts.draw(draw)
            most = _cost(draw)
            ticket = auditor.ask()
            try:
                with ledger.reserve(most) as held:
                    auditor.begin(ticket, path, most)
                    if draw.random() < 0.2:
                        time.sleep(draw.random() / 2_000)
                    actual = Cost() if draw.random() < 0.1 else _part(draw, most)
                    auditor.end(ticket, actual)
                    if actual != Cost():  # else it is released, as after an error
                        held.commit(actual)
                auditor.settle(ticket)
            except BudgetExceeded:
                refused[number] += 1

    _run(work, THREADS)
    return audit(auditor.calls(), accounts.limits), sum(refused)


def from_tasks(seed: int, tasks: int) -> tuple[Findings, int]:
    """Tasks of one event loop, every fifth of which is cancelled."""
    accounts, auditor = Accounts.grown(seed, 8 * tasks), Auditor()
    refused = [0]

    async def one(number: int) -> None:
        draw = random.Random(f"{seed}:task:{number}")
        for _ in range(8):
            ledger, path = accounts.draw(draw)
            most, ticket = _cost(draw), auditor.ask()
            actual = _part(draw, most)
            try:
                async with ledger.reserve(most) as held:
                    auditor.begin(ticket, path, most)
                    try:
                        await asyncio.sleep(draw.random() / 200)
                    except asyncio.CancelledError:
                        auditor.end(ticket, most)
                        held.commit()
                        auditor.settle(ticket)
                        raise
                    auditor.end(ticket, actual)
                    held.commit(actual)
                auditor.settle(ticket)
            except BudgetExceeded:
                refused[0] += 1

    async def main() -> None:
        working = [asyncio.create_task(one(i)) for i in range(tasks)]
        await asyncio.sleep(0.01)
        for task in working[::5]:
            task.cancel()
        await asyncio.gather(*working, return_exceptions=True)

    asyncio.run(main())
    return audit(auditor.calls(), accounts.limits), refused[0]


Cheat = Callable[[int], float]
_CHEATS: Mapping[str, Cheat] = {
    "honest": lambda n: 8.0,
    "cheap": lambda n: 2.0,
    "dear": lambda n: 24.0,  # always the same, above what it declares
    "late": lambda n: 8.0 if n < 6 else 32.0,
    "rising": lambda n: 8.0 * n,
    "wild": lambda n: float(random.Random(n).choice([1, 8, 16, 64])),
}


def _tools(auditor: Auditor, accounts: Mapping[str, tuple[str, ...]]) -> list[Tool]:
    """Each declares 8/1024 USD, and costs what its kind of cheating says. The auditor is told from inside."""

    def make(name: str, cheat: Cheat) -> Tool:
        made: list[None] = []

        @tool(name=name, cost=Cost(usd=8 / PAIR))
        def call(account: str, ticket: list[int]) -> Priced:
            """Cost something."""
            made.append(None)
            cost = Cost(usd=cheat(len(made)) / PAIR, calls=1)
            time.sleep(0.0005)
            auditor.end((ticket[0], ticket[1]), cost)
            return Priced(None, cost)

        return call

    return [make(name, cheat) for name, cheat in _CHEATS.items()]


def by_tools(seed: int, each: int, policy: Overruns) -> tuple[Findings, int]:
    """32 threads, half of them with an event loop, that call tools of which some cost more than they declare."""
    accounts, auditor = Accounts.grown(seed, THREADS * each // 2, runs=2, tasks=2), Auditor()
    registry = ToolRegistry(_tools(auditor, accounts.paths), overruns=policy)
    refused = [0] * THREADS

    def begin(found: Tool, args: Mapping[str, Any], most: Cost) -> None:
        auditor.begin(tuple(args["ticket"]), accounts.paths[args["account"]], most, found.name)

    async def call(number: int, name: str, account: str, ledger: Ledger) -> None:
        ticket = auditor.ask()
        args = {"account": account, "ticket": list(ticket)}
        try:
            if number % 2:
                result = await registry.call(name, args, ledger, on_begin=begin)
            else:
                result = registry.call_sync(name, args, ledger, on_begin=begin)
        except BudgetExceeded:
            refused[number] += 1
            return
        if result.made:
            auditor.settle(ticket)
        else:
            refused[number] += 1

    async def turns(number: int) -> None:
        draw = random.Random(f"{seed}:tools:{number}")
        for _ in range(each):
            account = draw.choice(sorted(accounts.ledgers))
            await call(number, draw.choice(sorted(_CHEATS)), account, accounts.ledgers[account])

    _run(lambda number: asyncio.run(turns(number)), THREADS)
    return audit(auditor.calls(), accounts.limits), sum(refused)


def after_spending(seed: int, each: int) -> Findings:
    """The rival: what is spent is looked at before a call, and added up after it, under a lock, as many do."""
    limits = {"all": Budget(usd=2.0)}
    auditor, lock, spent = Auditor(), threading.Lock(), [0.0]
    start = threading.Barrier(THREADS)

    def work(number: int) -> None:
        draw = random.Random(f"{seed}:rival:{number}")
        start.wait()
        for _ in range(each):
            most, ticket = Cost(usd=draw.randint(1, 64) / PAIR), auditor.ask()
            with lock:
                if spent[0] >= 2.0:
                    return
            auditor.begin(ticket, ("all",), most)
            time.sleep(0.0002)
            auditor.end(ticket, most)
            with lock:
                spent[0] += most.usd
            auditor.settle(ticket)

    _run(work, THREADS)
    return audit(auditor.calls(), limits)


def killed(seed: int, rounds: int) -> tuple[Findings, float, int]:
    """Processes of 32 threads on one home, each killed at a moment of chance, until the limit is reached or the rounds
    are over, with a top-up half-way. Also what the home has forgotten of what was spent, in USD, and the kills."""
    draw, kills = random.Random(f"{seed}:kills"), 0
    limit = 12.0
    with tempfile.TemporaryDirectory() as folder:
        home, log = Path(folder) / "home", Path(folder) / "log"
        for number in range(rounds):
            limit = 12.0 if number < rounds // 2 else 20.0
            command = [sys.executable, "-m", "benchmarks._budget_load", str(home), str(log), str(number), str(limit)]
            process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
            assert process.stdout is not None
            if not process.stdout.readline():
                raise RuntimeError("the process that was to be killed did not start; nothing was measured")
            time.sleep(draw.uniform(0, 0.2))
            process.send_signal(signal.SIGKILL)
            process.stdout.read()
            kills += process.wait() == -signal.SIGKILL
        with Home.open(home) as opened:
            recorded = opened.journal.run(1).spent
        found = audit(_read(log), {"run": Budget(usd=limit)})
        first = [c for c in _read(log) if int(c.payee) < rounds // 2]
        early = audit(first, {"run": Budget(usd=12.0)})
    outside = found.spent["run"].usd
    both = Findings(found.calls, found.violations + early.violations, found.overruns, found.spent)
    return both, max(0.0, outside - recorded.usd), kills


def _read(log: Path) -> list[Call]:
    """The calls of a log. What those have cost that a kill cut short nobody knows, so they count as declared."""
    calls: dict[str, Call] = {}
    for line in log.read_text().splitlines():
        what, name, *numbers = line.split()
        if what == "begin":
            asked, began, most = int(numbers[0]), int(numbers[1]), Cost(usd=float(numbers[2]), calls=1)
            calls[name] = Call(("run",), most, asked, began, payee=name.partition(".")[0])
        else:
            at, actual = int(numbers[0]), Cost(usd=float(numbers[1]), calls=1)
            old = calls[name]
            calls[name] = Call(old.accounts, old.most, old.asked, old.began, at, None, actual, old.payee)
    return list(calls.values())


def _to_be_killed(home: Path, log: Path, round_number: int, limit: float) -> None:
    """What runs in each of those processes; the log is beyond the reach of a kill."""
    file = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    with Home.open(home) as opened:
        journal = opened.journal
        run_id = max((r.id for r in journal.runs()), default=0) or journal.start_run({})
        root = Ledger(Budget(usd=limit), spent=journal.run(run_id).spent, keeper=journal.keeper(run_id))
        print("ready", flush=True)

        def work(number: int) -> None:
            draw = random.Random(f"{round_number}:{number}")
            ledger, i = root.child().child(), 0
            while True:
                most = Cost(usd=draw.randint(1, 64) / PAIR, calls=1)
                actual = draw.choice([most.usd, most.usd / 2, 0.0])
                name, asked = f"{round_number}.{number}.{i}", time.perf_counter_ns()
                i += 1
                try:
                    with ledger.reserve(most, what=name) as held:
                        os.write(file, f"begin {name} {asked} {time.perf_counter_ns()} {most.usd}\n".encode())
                        time.sleep(draw.random() / 500)
                        os.write(file, f"end {name} {time.perf_counter_ns()} {actual}\n".encode())
                        held.commit(Cost(usd=actual, calls=1))
                except BudgetExceeded:
                    time.sleep(0.01)

        _run(work, THREADS)


def _run(work: Callable[[int], None], threads: int) -> None:
    started = [threading.Thread(target=work, args=(i,)) for i in range(threads)]
    for thread in started:
        thread.start()
    for thread in started:
        thread.join()


if __name__ == "__main__":
    _to_be_killed(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4]))

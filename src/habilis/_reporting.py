"""From the journal to the report."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

from habilis.core import Budget, Cost, NotFoundError
from habilis.memory.home import Home
from habilis.memory.journal import Journal
from habilis.memory.reflexes import learned_reflexes
from habilis.report import ReportData, Use, write_report


def write(
    home: Home,
    path: Path | None = None,
    *,
    run_id: int | None = None,
    spent: Cost | None = None,
    limit: Budget | None = None,
) -> Path:
    """Write the report of a run; the default is the latest autonomous one, else the latest.

    Raises `NotFoundError` where the home has none.
    """
    journal = home.journal
    if run_id is not None:
        run = journal.run(run_id)
    else:
        runs = journal.runs()
        if not runs:
            raise NotFoundError("this home has no run to report on yet; start one: habilis run")
        run = next((r for r in reversed(runs) if r.config.get("kind") == "run"), runs[-1])
    totals: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    costs: dict[str, Cost] = defaultdict(Cost)
    for use in journal.uses():
        totals[use.augmentation][0] += 1
        totals[use.augmentation][1] += use.ok
        costs[use.augmentation] = costs[use.augmentation] + use.cost
    uses = [
        Use(name.partition(":")[2], name.partition(":")[0], n, ok, costs[name])
        for name, (n, ok) in sorted(totals.items())
    ]
    uses += _hunches(journal, run.id)
    world = run.config.get("fingerprint")
    data = ReportData(
        run={**dict(run.config), "status": run.status, "run": run.id},
        episodes=list(journal.episodes(run.id)),
        skills=[s for s in journal.skills(status=None) if world in (None, s.fingerprint)],
        spent=spent if spent is not None else run.spent,
        limit=limit if limit is not None else Budget.unlimited(),
        distillations=[
            {"model": m.name, "adopted": m.adopted, "reasons": list(m.reasons), "figures": m.figures}
            for m in journal.models()
            if world is None or m.fingerprint in ("", world)
        ],
        uses=uses,
        reflexes={r.skill: f"{r.name}: when {r.trigger}; {r.why}" for r in learned_reflexes(journal, world)},
        find=home.images.find,
    )
    return write_report(data, path if path is not None else home.reports_path / f"run-{run.id}.html")


def _hunches(journal: Journal, run_id: int) -> list[Use]:
    """The lines that the local model was asked for in this run, how many came true, and what they took."""
    told = [event.data for event in journal.events(run_id) if event.kind == "hunch"]
    if not told:
        return []
    seconds = sum(float(one.get("seconds") or 0.0) for one in told)
    came_true = sum(one.get("came_true") is True for one in told)
    return [Use("plans of the local model", "model", len(told), came_true, Cost(seconds=seconds))]

"""The journal: the one record of what the agent did and learned. Everything else is derived from it.

    with Journal(path) as journal:
        run = journal.start_run({"world": "craft"})
        with journal.transaction():
            journal.append_episode(run, episode)
            journal.put_skill(skill, "solved episode 0")
        journal.update_run(run, status="finished")

One SQLite file in WAL mode: one process writes, others may read meanwhile. Records are stored as JSON beside the few
columns that are searched; keys that a newer version wrote survive whenever a record is rewritten. What calls in flight
may cost stands in a second file until it is folded in (`Journal.keeper`, `settle_left_open`).
"""

from __future__ import annotations

from habilis.memory.journal._account import Account, Accounted, Held, RunKeeper
from habilis.memory.journal._database import Hook
from habilis.memory.journal._records import (
    DamagedRecordWarning,
    DamagedSkill,
    ModelRecord,
    RunRecord,
    Transition,
    UseRecord,
    damaged,
)
from habilis.memory.journal._runs import RUN_STATUSES
from habilis.memory.journal._schema import SCHEMA_VERSION
from habilis.memory.journal._shelf import SKILL_STATUSES, Shelf

__all__ = [
    "RUN_STATUSES",
    "SCHEMA_VERSION",
    "SKILL_STATUSES",
    "Account",
    "DamagedRecordWarning",
    "DamagedSkill",
    "Held",
    "Hook",
    "Journal",
    "ModelRecord",
    "RunKeeper",
    "RunRecord",
    "Transition",
    "UseRecord",
    "damaged",
]


class Journal(Accounted, Shelf):
    """Runs, episodes, events and uses; skills, contracts, models, documents and state, in one SQLite file.

    A record that is damaged is left aside with a `DamagedRecordWarning` where many are read; asked for by itself, it
    raises `JournalError`.

    Raises `SchemaError` for a file of a newer version (left untouched), `JournalError` for a damaged or unreadable
    one, `NotFoundError` for one that does not exist and should only be read.
    """

"""The journal's tables, as numbered migrations: migration *n* leads from schema version *n* - 1 to *n*.

A migration that was released is never edited; a change of the tables is a new one at the end.
"""

from __future__ import annotations

Migration = tuple[str, ...]

MIGRATIONS: tuple[Migration, ...] = (
    (
        """CREATE TABLE runs (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            status TEXT NOT NULL,
            data TEXT NOT NULL
        )""",
        """CREATE TABLE episodes (
            seq INTEGER PRIMARY KEY AUTOINCREMENT,
            run_id INTEGER NOT NULL REFERENCES runs(id),
            idx INTEGER NOT NULL,
            status TEXT NOT NULL,
            data TEXT NOT NULL,
            trajectories BLOB NOT NULL,
            at REAL NOT NULL,
            UNIQUE (run_id, idx)
        )""",
        """CREATE TABLE events (
            seq INTEGER PRIMARY KEY AUTOINCREMENT,
            run_id INTEGER NOT NULL REFERENCES runs(id),
            data TEXT NOT NULL,
            at REAL NOT NULL
        )""",
        "CREATE INDEX events_by_run ON events(run_id, seq)",
        """CREATE TABLE skills (
            seq INTEGER PRIMARY KEY AUTOINCREMENT,
            name TEXT NOT NULL,
            version INTEGER NOT NULL,
            status TEXT NOT NULL,
            data TEXT NOT NULL,
            at REAL NOT NULL,
            UNIQUE (name, version)
        )""",
        """CREATE TABLE transitions (
            seq INTEGER PRIMARY KEY AUTOINCREMENT,
            name TEXT NOT NULL,
            version INTEGER NOT NULL,
            before TEXT,
            after TEXT NOT NULL,
            reason TEXT NOT NULL,
            at REAL NOT NULL,
            FOREIGN KEY (name, version) REFERENCES skills(name, version)
        )""",
        "CREATE INDEX transitions_by_name ON transitions(name, seq)",
        """CREATE TABLE contracts (
            fingerprint TEXT NOT NULL,
            action TEXT NOT NULL,
            data TEXT NOT NULL,
            PRIMARY KEY (fingerprint, action)
        )""",
        """CREATE TABLE documents (
            kind TEXT NOT NULL,
            id TEXT NOT NULL,
            data TEXT NOT NULL,
            PRIMARY KEY (kind, id)
        )""",
        """CREATE TABLE state (
            key TEXT PRIMARY KEY,
            data TEXT NOT NULL
        )""",
        """CREATE TABLE models (
            seq INTEGER PRIMARY KEY AUTOINCREMENT,
            name TEXT NOT NULL UNIQUE,
            adopted INTEGER NOT NULL,
            data TEXT NOT NULL,
            at REAL NOT NULL
        )""",
        "CREATE UNIQUE INDEX one_adopted_model ON models(adopted) WHERE adopted = 1",
        """CREATE TABLE uses (
            seq INTEGER PRIMARY KEY AUTOINCREMENT,
            run_id INTEGER NOT NULL REFERENCES runs(id),
            augmentation TEXT NOT NULL,
            data TEXT NOT NULL,
            at REAL NOT NULL
        )""",
        "CREATE INDEX uses_by_augmentation ON uses(augmentation, seq)",
    ),
    (  # one adopted model for each world; those of old journals, '', are for all that have none of their own
        "ALTER TABLE models ADD COLUMN fingerprint TEXT NOT NULL DEFAULT ''",
        "DROP INDEX one_adopted_model",
        "CREATE UNIQUE INDEX one_adopted_model ON models(fingerprint) WHERE adopted = 1",
    ),
    (  # what tools answered that is too large to stand in an event; ``idx``: of the task's episode, or none
        """CREATE TABLE results (
            seq INTEGER PRIMARY KEY AUTOINCREMENT,
            hash TEXT NOT NULL UNIQUE,
            run_id INTEGER NOT NULL REFERENCES runs(id),
            idx INTEGER,
            size INTEGER NOT NULL,
            data BLOB NOT NULL
        )""",
    ),
)

SCHEMA_VERSION = len(MIGRATIONS)

"""The part of the journal that grows while the agent works: runs, episodes, events, uses."""

from __future__ import annotations

import hashlib
import json
import sqlite3
import zlib
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from habilis.core import Cost, Episode, Event, InputError, JournalError, Json, NotFoundError
from habilis.memory.journal._database import Database, Row
from habilis.memory.journal._records import (
    RunRecord,
    UseRecord,
    carry_unknown,
    damaged,
    from_text,
    read,
    to_data,
    to_text,
)

RUN_STATUSES = ("running", "finished", "stopped", "failed")
RESULT_ROOM = 256_000_000  # bytes for large answers of tools, in one journal
_PAGE = 64


class Runs(Database):
    """Runs, with the episodes, events and uses that belong to each."""

    def start_run(self, config: Json) -> int:
        """Open a run with status "running"; its id counts up from 1."""
        record = RunRecord(0, config, started=self.clock())
        with self.transaction():
            cursor = self._write("INSERT INTO runs (status, data) VALUES ('running', '{}')")
            run_id = int(cursor.lastrowid or 0)
            data = to_data(replace(record, id=run_id))
            self._write("UPDATE runs SET data = ? WHERE id = ?", (to_text(data), run_id))
        return run_id

    def run(self, run_id: int) -> RunRecord:
        """Raises `NotFoundError`."""
        return read(RunRecord, self._run_data(run_id), f"run {run_id}")

    def runs(self) -> list[RunRecord]:
        """All runs, oldest first. Damaged ones are left aside with a warning."""
        rows = self._rows("SELECT id, data FROM runs ORDER BY id")
        return list(self._each(rows, lambda row: read(RunRecord, from_text(row[1], f"run {row[0]}"), f"run {row[0]}")))

    def update_run(
        self, run_id: int, *, status: str | None = None, spent: Cost | None = None, note: str | None = None
    ) -> RunRecord:
        """Change what is given, keep the rest. A status other than "running" sets the end, "running" clears it."""
        if status is not None and status not in RUN_STATUSES:
            raise InputError(f"a run's status is one of {', '.join(RUN_STATUSES)}, got {status!r}")
        with self.transaction():
            old = self._run_data(run_id)
            record = read(RunRecord, old, f"run {run_id}")
            if status is not None:
                record = replace(record, status=status, ended=None if status == "running" else self.clock())
            if spent is not None:
                record = replace(record, spent=spent)
            if note is not None:
                record = replace(record, note=note)
            data = carry_unknown(record, old, to_data(record))
            self._write("UPDATE runs SET status = ?, data = ? WHERE id = ?", (record.status, to_text(data), run_id))
        return record

    def append_episode(self, run_id: int, episode: Episode) -> None:
        """Store an episode; ``episode.index`` is unique within its run. One that was stopped gives way to what came of
        its task later.

        Trajectories are compressed. The tags of their snapshots are dropped: they repeat the world's spec.
        """
        slim = replace(
            episode,
            attempts=tuple(
                replace(
                    a,
                    trajectory=replace(
                        a.trajectory,
                        before=replace(a.trajectory.before, tags={}),
                        after=replace(a.trajectory.after, tags={}),
                    ),
                )
                for a in episode.attempts
            ),
        )
        data = to_data(slim)
        trajectories = [attempt.pop("trajectory") for attempt in data["attempts"]]
        packed = zlib.compress(to_text(trajectories).encode(), 6)
        with self.transaction():
            self._run_data(run_id)
            try:
                self._write(
                    "DELETE FROM episodes WHERE run_id = ? AND idx = ? AND status = 'stopped'", (run_id, episode.index)
                )
                self._write(
                    "INSERT INTO episodes (run_id, idx, status, data, trajectories, at) VALUES (?, ?, ?, ?, ?, ?)",
                    (run_id, episode.index, episode.status, to_text(data), packed, self.clock()),
                )
            except sqlite3.IntegrityError as error:
                raise JournalError(
                    f"run {run_id} already has an episode {episode.index}; continue at {self.count_episodes(run_id)}"
                ) from error

    def episodes(
        self,
        run_id: int | None = None,
        *,
        since: int = 0,
        status: str | None = None,
        with_trajectories: bool = True,
    ) -> Iterator[Episode]:
        """Episodes in the order they were stored, of one run or of all.

        ``since``: the smallest index. Without trajectories (much faster) each attempt has an empty one. Damaged ones
        are left aside with a warning.
        """
        seq = 0
        while True:
            # Read in pages, so that no reader holds the file or the memory for long.
            rows = self._rows(
                f"SELECT seq, run_id, idx, data, {'trajectories' if with_trajectories else 'NULL'} FROM episodes "
                "WHERE seq > ? AND (? IS NULL OR run_id = ?) AND idx >= ? AND (? IS NULL OR status = ?) "
                "ORDER BY seq LIMIT ?",
                (seq, run_id, run_id, since, status, status, _PAGE),
            )
            yield from self._each(rows, lambda row: _episode(row[3], row[4], f"episode {row[2]} of run {row[1]}"))
            if len(rows) < _PAGE:
                return
            seq = rows[-1][0]

    def episode(self, run_id: int, index: int) -> Episode:
        """Raises `NotFoundError`."""
        row = self._one("SELECT data, trajectories FROM episodes WHERE run_id = ? AND idx = ?", (run_id, index))
        if row is None:
            raise NotFoundError(
                f"run {run_id} has no episode {index}; it has {self.count_episodes(run_id)}, counted from 0"
            )
        return _episode(row[0], row[1], f"episode {index} of run {run_id}")

    def count_episodes(self, run_id: int | None = None) -> int:
        return int(self._one("SELECT count(*) FROM episodes WHERE ? IS NULL OR run_id = ?", (run_id, run_id))[0])

    def append_event(self, run_id: int, event: Event) -> None:
        with self.transaction():
            self._run_data(run_id)
            self._write(
                "INSERT INTO events (run_id, data, at) VALUES (?, ?, ?)",
                (run_id, to_text(to_data(event)), self.clock()),
            )

    def events(self, run_id: int, *, since: int = 0) -> list[Event]:
        """The events of a run, oldest first, without the first ``since``. Damaged ones are left aside with a warning,
        so that of a tool's call and its answer one may be missing."""
        rows = self._rows(
            "SELECT seq, data FROM events WHERE run_id = ? ORDER BY seq LIMIT -1 OFFSET ?", (run_id, since)
        )

        def one(row: Row) -> Event:
            where = f"event {row[0]}, of run {run_id},"
            return read(Event, from_text(row[1], where), where)

        return list(self._each(rows, one))

    def put_result(self, run_id: int, index: int | None, value: Json, *, room: int = RESULT_ROOM) -> str:
        """Keep what a tool answered, once for equal values, and give the hash that `result` takes.

        ``index``: of the task's episode. Where all results together take more than ``room`` bytes, compressed, the
        oldest go, but none of this task.
        """
        text = to_text(value).encode()
        key = hashlib.sha256(text).hexdigest()
        with self.transaction():
            self._run_data(run_id)
            self._write("DELETE FROM results WHERE hash = ?", (key,))
            packed = zlib.compress(text, 1)
            self._write(
                "INSERT INTO results (hash, run_id, idx, size, data) VALUES (?, ?, ?, ?, ?)",
                (key, run_id, index, len(packed), packed),
            )
            taken = int(self._one("SELECT coalesce(sum(size), 0) FROM results")[0])
            others = "SELECT seq, size FROM results WHERE NOT (run_id = ? AND idx IS ?) ORDER BY seq"
            for seq, size in self._rows(others, (run_id, index)) if taken > room else ():
                if taken <= room:
                    break
                self._write("DELETE FROM results WHERE seq = ?", (seq,))
                taken -= size
        return key

    def result(self, key: str) -> Json:
        """What a tool answered, by its hash or the beginning of it. Raises `NotFoundError` where it is not kept, or no
        longer, and `JournalError` where it is damaged."""
        rows = self._rows(
            "SELECT hash, data FROM results WHERE substr(hash, 1, ?) = ? ORDER BY seq LIMIT 2", (len(key), key)
        )
        if len(rows) != 1 or not key:
            which = "two results begin" if len(rows) > 1 else "no result begins"
            raise NotFoundError(f"{which} with {key!r}; the oldest are not kept when all take more than their room")
        try:
            return from_text(zlib.decompress(rows[0][1]).decode(), f"the result {key}")
        except (zlib.error, ValueError, TypeError) as error:
            raise damaged(f"the result {key}", error) from error

    def record_use(self, run_id: int, augmentation_id: str, task_text: str, ok: bool, cost: Cost | None = None) -> int:
        """Note that an augmentation was used for a task, and how that ended: what its track record is made of, and all
        that is learned about it. Returns its number, which only grows (see `uses_after`)."""
        use = UseRecord(run_id, augmentation_id, task_text, ok, cost or Cost())
        with self.transaction():
            self._run_data(run_id)
            self._write(
                "INSERT INTO uses (run_id, augmentation, data, at) VALUES (?, ?, ?, ?)",
                (run_id, augmentation_id, to_text(to_data(use)), self.clock()),
            )
            return int(self._one("SELECT max(seq) FROM uses")[0])

    def uses(self, augmentation_id: str | None = None) -> list[UseRecord]:
        """All uses, oldest first. Damaged ones are left aside with a warning."""
        rows = self._rows(
            "SELECT seq, data FROM uses WHERE ? IS NULL OR augmentation = ? ORDER BY seq",
            (augmentation_id, augmentation_id),
        )
        return list(self._each(rows, lambda row: read(UseRecord, from_text(row[1], f"use {row[0]}"), f"use {row[0]}")))

    def uses_after(self, number: int) -> list[tuple[int, UseRecord]]:
        """The uses after that of this number (0: all), oldest first, with their numbers. Damaged ones are left aside
        with a warning."""
        rows = self._rows("SELECT seq, data FROM uses WHERE seq > ? ORDER BY seq", (number,))

        def one(row: Row) -> tuple[int, UseRecord]:
            return int(row[0]), read(UseRecord, from_text(row[1], f"use {row[0]}"), f"use {row[0]}")

        return list(self._each(rows, one))

    def _run_data(self, run_id: int) -> Any:
        row = self._one("SELECT data FROM runs WHERE id = ?", (run_id,))
        if row is None:
            raise NotFoundError.of("run", str(run_id), (str(r[0]) for r in self._rows("SELECT id FROM runs")))
        return from_text(row[0], f"run {run_id}")


def _episode(text: str, packed: bytes | None, where: str) -> Episode:
    data = from_text(text, where)
    try:
        attempts = list(data["attempts"])
        trajectories = [{}] * len(attempts) if packed is None else json.loads(zlib.decompress(packed))
        data["attempts"] = [{**a, "trajectory": t} for a, t in zip(attempts, trajectories, strict=True)]
    except (zlib.error, ValueError, TypeError, LookupError, RecursionError) as error:
        raise damaged(where, error) from error
    return read(Episode, data, where)

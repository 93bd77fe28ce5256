"""The part of the journal that holds what was learned: skills, contracts, models, and small things kept by key."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, TypeVar

from habilis.core import Contract, EvidenceLevel, InputError, JournalError, Json, NotFoundError, Skill, Trial
from habilis.core.errors import DuplicateNameError
from habilis.memory.journal._database import Database, Row
from habilis.memory.journal._records import (
    DamagedSkill,
    ModelRecord,
    Transition,
    carry_unknown,
    damaged,
    from_text,
    read,
    readable,
    to_data,
    to_text,
)

T = TypeVar("T")
_STATE_VERSION = 1
SKILL_STATUSES = ("active", "quarantined", "superseded", "retired")


# What is learned of a version later on; everything else of it never changes.
_GROWING = frozenset({"status", "evidence", "meta", "cases", "contract", "cost", "needs", "due"})


class Shelf(Database):
    """Skills with their versions and transitions, contracts, documents, state, models."""

    def put_skill(self, skill: Skill, reason: str) -> None:
        """Store a version of a skill. A version never changes: storing the same again may change its status (recorded
        as a transition) and what is known of it; a different program, goal or text raises `DuplicateNameError`."""
        _check_status(skill.status)
        data = to_data(skill)
        with self.transaction():
            row = self._one(
                "SELECT status, data FROM skills WHERE name = ? AND version = ?", (skill.name, skill.version)
            )
            if row is None:
                self._write(
                    "INSERT INTO skills (name, version, status, data, at) VALUES (?, ?, ?, ?, ?)",
                    (skill.name, skill.version, skill.status, to_text(data), self.clock()),
                )
                self._transition(skill.name, skill.version, None, skill.status, reason)
                return
            old = from_text(row[1], _where(skill.name, skill.version))
            # As it would be written today: an older version may not have known all fields.
            known = to_data(read(Skill, old, _where(skill.name, skill.version)))
            changed = [k for k in data if k not in _GROWING and data[k] != known[k]]
            if changed:
                raise DuplicateNameError(
                    f"skill {skill.name} version {skill.version} exists with another {changed[0]}; a version never "
                    f"changes, store it as version {self.last_version(skill.name) + 1}"
                )
            self._rewrite(skill, old, data)
            if row[0] != skill.status:
                self._transition(skill.name, skill.version, row[0], skill.status, reason)

    def set_skill_status(self, name: str, version: int, status: str, reason: str) -> Skill:
        """Change the status of a version, with the reason on record. No change, no record."""
        _check_status(status)
        with self.transaction():
            old = self._skill_data(name, version)
            skill = read(Skill, old, _where(name, version))
            if skill.status == status:
                return skill
            changed = replace(skill, status=status)
            self._rewrite(changed, old, to_data(changed))
            self._transition(name, version, skill.status, status, reason)
        return changed

    def add_evidence(self, name: str, version: int, *trials: Trial, level: EvidenceLevel | None = None) -> Skill:
        """Add verification runs to a version's evidence, and count them; ``level`` sets what they prove together."""
        with self.transaction():
            old = self._skill_data(name, version)
            skill = read(Skill, old, _where(name, version))
            won = sum(t.ok for t in trials)
            evidence = replace(
                skill.evidence,
                level=level or skill.evidence.level,
                trials=skill.evidence.trials + trials,
                successes=skill.evidence.successes + won,
                failures=skill.evidence.failures + len(trials) - won,
            )
            changed = replace(skill, evidence=evidence)
            self._rewrite(changed, old, to_data(changed))
        return changed

    def rewrite_skill(self, skill: Skill, note: str = "") -> Skill:
        """Store what is known of a version by now; ``note``: for its history. Raises as `put_skill` does."""
        with self.transaction():
            before = self._skill_data(skill.name, skill.version).get("status")
            self.put_skill(skill, note)
            if note and before == skill.status:
                self._transition(skill.name, skill.version, skill.status, skill.status, note)
        return skill

    def skills(self, status: str | None = "active", name: str | None = None) -> list[Skill]:
        """Skills in the order they were first stored; ``status=None``: whatever their status.

        Damaged ones are left aside with a warning, as if they were quarantined; `damaged_skills` lists them.
        """
        return list(self._each(self._skill_rows(status, name), _skill))

    def damaged_skills(self, name: str | None = None) -> list[DamagedSkill]:
        """The versions whose records cannot be read, in the order they were first stored."""
        found = []
        for row in self._skill_rows(None, name):
            try:
                _skill(row)
            except JournalError as error:
                found.append(DamagedSkill(str(row[0]), int(row[1]), str(row[2]), str(error)))
        return found

    def skill_names(self) -> set[str]:
        """Every name that a skill has or had, damaged ones too."""
        return {str(row[0]) for row in self._rows("SELECT DISTINCT name FROM skills")}

    def last_version(self, name: str) -> int:
        """The highest version of a skill, damaged ones too; 0 where there is none."""
        return int(self._one("SELECT coalesce(max(version), 0) FROM skills WHERE name = ?", (name,))[0])

    def count_skills(self, fingerprint: str) -> int:
        """How many versions of skills a world has, whatever their status; damaged ones belong to none."""
        sql = (
            "SELECT count(*) FROM skills "
            "WHERE CASE WHEN json_valid(data) THEN json_extract(data, '$.fingerprint') END = ?"
        )
        return int(self._one(sql, (fingerprint,))[0])

    def skill(self, name: str, version: int | None = None) -> Skill:
        """A version of a skill; by default its active one, else its newest. Raises `NotFoundError`."""
        if version is None:
            row = self._one(
                "SELECT version FROM skills WHERE name = ? ORDER BY status = 'active' DESC, version DESC LIMIT 1",
                (name,),
            )
            version = int(row[0]) if row else 0
        return read(Skill, self._skill_data(name, version), _where(name, version))

    def transitions(self, name: str) -> list[Transition]:
        """Every change of status of every version of a skill, oldest first."""
        rows = self._rows(
            "SELECT name, version, before, after, reason, at FROM transitions WHERE name = ? ORDER BY seq", (name,)
        )
        return [Transition(*row) for row in rows]

    def put_contracts(self, contracts: Iterable[Contract]) -> None:
        """Store contracts; a later one for the same world and action takes the place of the earlier."""
        with self.transaction():
            for contract in contracts:
                key = (contract.fingerprint, str(contract.action))
                data = to_data(contract)
                row = self._one("SELECT data FROM contracts WHERE fingerprint = ? AND action = ?", key)
                if row is not None:
                    data = carry_unknown(contract, readable(row[0]), data)
                self._write("INSERT OR REPLACE INTO contracts VALUES (?, ?, ?)", (*key, to_text(data)))

    def contracts(self, fingerprint: str) -> list[Contract]:
        """What is known of a world's actions, sorted by the action's text. Damaged ones are left aside with a warning:
        they are learned again."""
        rows = self._rows("SELECT action, data FROM contracts WHERE fingerprint = ?", (fingerprint,))

        def one(row: Row) -> Contract:
            where = f"the contract of {row[0]}"
            return read(Contract, from_text(row[1], where), where)

        return list(self._each(_sorted(rows), one))

    def put_document(self, kind: str, id: str, data: Json) -> None:
        """Store JSON under a kind and an id, in place of what was there."""
        self._write("INSERT OR REPLACE INTO documents VALUES (?, ?, ?)", (kind, id, to_text(data)))

    def documents(self, kind: str) -> dict[str, Json]:
        """All of one kind by id, sorted by id. Damaged ones are left aside with a warning."""
        rows = self._rows("SELECT id, data FROM documents WHERE kind = ?", (kind,))
        return dict(self._each(_sorted(rows), lambda row: (str(row[0]), from_text(row[1], f"the {kind} {row[0]}"))))

    def documents_of(self, kind: str, record: type[T]) -> dict[str, T]:
        """The same, each as such a record. What is none is damaged."""
        rows = self._rows("SELECT id, data FROM documents WHERE kind = ?", (kind,))

        def one(row: Row) -> tuple[str, T]:
            where = f"the {kind} {row[0]}"
            return str(row[0]), read(record, from_text(row[1], where), where)

        return dict(self._each(_sorted(rows), one))

    def document(self, kind: str, id: str) -> Json:
        """One document, or None where there is none. Raises `JournalError` where it is damaged."""
        row = self._one("SELECT data FROM documents WHERE kind = ? AND id = ?", (kind, id))
        return None if row is None else from_text(row[0], f"the {kind} {id}")

    def document_fields(self, kind: str, *names: str) -> dict[str, tuple[Json, ...]]:
        """These fields of all documents of a kind, by id, without reading the rest; None where there is no such field,
        or the document is damaged."""
        wanted = ", ".join(["id", *("CASE WHEN json_valid(data) THEN json_extract(data, ?) END" for _ in names)])
        rows = self._rows(f"SELECT {wanted} FROM documents WHERE kind = ?", (*(f"$.{n}" for n in names), kind))
        return {str(row[0]): tuple(row[1:]) for row in _sorted(rows)}

    def delete_documents(self, kind: str, ids: Iterable[str]) -> None:
        with self.transaction():
            for id in ids:
                self._write("DELETE FROM documents WHERE kind = ? AND id = ?", (kind, id))

    def get_state(self, key: str, default: Json = None) -> Json:
        row = self._one("SELECT data FROM state WHERE key = ?", (key,))
        return default if row is None else from_text(row[0], f"the state {key!r}")

    def put_state(self, key: str, data: Json) -> None:
        self._write("INSERT OR REPLACE INTO state VALUES (?, ?)", (key, to_text(data)))

    def get_versioned_state(self, key: str) -> dict[str, Json] | None:
        """What `put_versioned_state` keeps, None where it keeps nothing. Raises `JournalError` for no mapping."""
        found = self.get_state(key)
        if found is None or isinstance(found, dict):
            return found
        raise damaged(f"the state {key!r}", TypeError(f"a {type(found).__name__} in place of a mapping"))

    def put_versioned_state(self, key: str, data: Mapping[str, Json]) -> None:
        """`put_state` for a mapping: with its ``schema_version``, and with the keys that only a newer version knows."""
        with self.transaction():
            known = self.get_state(key)
            self.put_state(
                key, {**(known if isinstance(known, dict) else {}), **data, "schema_version": _STATE_VERSION}
            )

    def put_model(self, model: ModelRecord) -> None:
        """Store a model's record, in place of an earlier one of that name. ``adopted=True`` makes it the only one of
        its world."""
        with self.transaction():
            if not model.created:
                model = replace(model, created=self.clock())
            data = to_data(model)
            row = self._one("SELECT data FROM models WHERE name = ?", (model.name,))
            if row is None:
                self._write(
                    "INSERT INTO models (name, adopted, fingerprint, data, at) VALUES (?, 0, ?, ?, ?)",
                    (model.name, model.fingerprint, to_text(data), self.clock()),
                )
            else:
                data = carry_unknown(model, readable(row[0]), data)
                self._write(
                    "UPDATE models SET adopted = 0, fingerprint = ?, data = ? WHERE name = ?",
                    (model.fingerprint, to_text(data), model.name),
                )
            if model.adopted:
                self.adopt_model(model.name)

    def models(self) -> list[ModelRecord]:
        """All models, oldest first. Damaged ones are left aside with a warning."""
        return list(self._each(self._rows("SELECT name, adopted, data FROM models ORDER BY seq"), _model))

    def count_models(self) -> int:
        """How many there are, damaged ones too."""
        return int(self._one("SELECT count(*) FROM models")[0])

    def adopted_model(self, fingerprint: str = "") -> ModelRecord | None:
        """The model adopted for this world, else the one for all that have none of their own. None where there is none,
        or its record is damaged (with a warning)."""
        rows = self._rows(
            "SELECT name, adopted, data FROM models WHERE adopted = 1 AND fingerprint IN (?, '') "
            "ORDER BY fingerprint = '' LIMIT 1",
            (fingerprint,),
        )
        return next(self._each(rows, _model), None)

    def adopt_model(self, name: str | None) -> None:
        """Make this model the adopted one of its world; None: no world has one. Raises `NotFoundError`."""
        with self.transaction():
            known = {str(n): str(f) for n, f in self._rows("SELECT name, fingerprint FROM models")}
            if name is None:
                self._write("UPDATE models SET adopted = 0 WHERE adopted = 1")
                return
            if name not in known:
                raise NotFoundError.of("model", name, known)
            self._write("UPDATE models SET adopted = 0 WHERE adopted = 1 AND fingerprint = ?", (known[name],))
            self._write("UPDATE models SET adopted = 1 WHERE name = ?", (name,))

    def _rewrite(self, skill: Skill, old: Any, data: Any) -> None:
        self._write(
            "UPDATE skills SET status = ?, data = ? WHERE name = ? AND version = ?",
            (skill.status, to_text(carry_unknown(skill, old, data)), skill.name, skill.version),
        )

    def _transition(self, name: str, version: int, before: str | None, after: str, reason: str) -> None:
        self._write(
            "INSERT INTO transitions (name, version, before, after, reason, at) VALUES (?, ?, ?, ?, ?, ?)",
            (name, version, before, after, reason, self.clock()),
        )

    def _skill_data(self, name: str, version: int) -> Any:
        row = self._one("SELECT data FROM skills WHERE name = ? AND version = ?", (name, version))
        if row is None:
            last = self.last_version(name)
            if last:
                raise NotFoundError(f"skill {name} has no version {version}; its newest is {last}")
            raise NotFoundError.of("skill", name, (str(r[0]) for r in self._rows("SELECT DISTINCT name FROM skills")))
        return from_text(row[0], _where(name, version))

    def _skill_rows(self, status: str | None, name: str | None) -> list[Row]:
        return self._rows(
            "SELECT name, version, status, data FROM skills WHERE (? IS NULL OR status = ?) "
            "AND (? IS NULL OR name = ?) ORDER BY seq",
            (status, status, name, name),
        )


def _check_status(status: str) -> None:
    if status not in SKILL_STATUSES:
        raise InputError(f"a skill's status is one of {', '.join(SKILL_STATUSES)}, got {status!r}")


def _where(name: str, version: int) -> str:
    return f"skill {name} version {version}"


def _skill(row: Row) -> Skill:
    where = _where(row[0], row[1])
    return read(Skill, from_text(row[3], where), where)


def _sorted(rows: Iterable[Row]) -> list[Row]:
    return sorted(rows, key=lambda row: str(row[0]))  # a damaged name is bytes


def _model(row: Row) -> ModelRecord:
    name, adopted, text = row
    where = f"the model {name}"
    return replace(read(ModelRecord, from_text(text, where), where), adopted=bool(adopted))

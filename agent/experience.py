"""What was learned about augmentations from the outcomes of tasks, kept from one agent to the next.

The journal's uses are what it is made of. What the catalogue has learned from them is kept beside them with the number
of the last use in it, so that a new agent has only the later ones to learn; where it is missing, cannot be read, or was
learned with another embedder, it is learned anew from all of them, to the same effect.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from habilis.core import Cost, EventStream, HabilisError, JournalError, Kind
from habilis.memory.journal import Journal
from habilis.tools import Catalogue, Use

_SKILL = f"{Kind.SKILL.value}:"
_PART = 16  # what was learned is written again when a sixteenth as many uses as are in it are not


class Experience:
    """Lets a catalogue learn, and remember. ``fingerprint``: of the world. Skills go by the same names in several
    worlds, so what was learned of them is each world's own; of everything else all worlds of a home learn together."""

    def __init__(self, catalogue: Catalogue, journal: Journal, events: EventStream, fingerprint: str | None) -> None:
        self._catalogue, self._journal, self._events = catalogue, journal, events
        self._fingerprint, self._key = fingerprint, f"learned:{fingerprint}"
        self._recalled, self._whole, self._damaged = False, True, False
        self._kept = self._unkept = 0  # uses that are learned: in what is written down, and not yet

    def recall(self) -> None:
        """Know what was learned before. Done once, and only when the catalogue is filled: of what is not there nothing
        but the track record is known."""
        if self._recalled:
            return
        self._recalled = True
        state = self._state()
        known = int(state["number"]) if self._catalogue.load(state.get("catalogue", {})) else 0
        self._kept = int(state.get("uses", 0)) if known else 0
        worlds = {run.id: run.config.get("fingerprint") for run in self._journal.runs()}
        uses = [
            Use(use.task, use.augmentation, use.ok)
            for _, use in self._journal.uses_after(known)
            if not use.augmentation.startswith(_SKILL) or worlds.get(use.run_id) == self._fingerprint
        ]
        self._learn(uses)

    def record(self, run_id: int, text: str, uses: Mapping[str, Cost], ok: bool) -> None:
        """These (their ids, and what the use cost) were used for a task with this text, and it was solved or not."""
        self.recall()
        number = 0
        for one in sorted(uses):
            number = self._journal.record_use(run_id, one, text, ok, uses[one])
        self._learn([Use(text, one, ok) for one in sorted(uses)])
        if self._damaged:
            self._journal.put_state(self._key, {})
            self._damaged = False
        if self._whole and self._unkept * _PART >= self._kept:
            self._kept, self._unkept = self._kept + self._unkept, 0
            learned = {"number": number, "uses": self._kept, "catalogue": self._catalogue.save()}
            self._journal.put_versioned_state(self._key, learned)

    def _learn(self, uses: list[Use]) -> None:
        try:
            self._catalogue.learn_all(uses)
            self._unkept += len(uses)
        except HabilisError as error:  # an embedder may fail, or the money for it be gone; the uses are in the journal
            self._whole = False
            self._events.emit("warning", None, message=f"nothing was learned from {len(uses)} uses: {error}")

    def _state(self) -> Mapping[str, Any]:
        try:
            state = self._journal.get_state(self._key, {})
        except JournalError as error:
            self._events.emit("warning", None, message=f"left aside, and learned anew: {error}")
            state, self._damaged = {}, True
        return state if isinstance(state, dict) and isinstance(state.get("number"), int) else {}

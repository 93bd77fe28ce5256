"""The local model that was distilled for a world and adopted, opened when first asked for."""

from __future__ import annotations

from collections.abc import Mapping

from habilis.agent.local.timing import Timing
from habilis.core import EventStream, HabilisError, Json, Mind, ModelError, WorldSpec
from habilis.memory.home import Home
from habilis.memory.journal import ModelRecord
from habilis.memory.prompts import PROMPT_VERSION


class Minds:
    """The local model adopted for a world, opened when first asked for."""

    def __init__(self, home: Home, events: EventStream, spec: WorldSpec) -> None:
        self._home, self._events, self._spec = home, events, spec
        self._open: tuple[str, Mind | None] = ("", None)

    def adopted(self) -> Mind | None:
        """The model in use, or None; one that cannot be opened is left aside with a warning."""
        record = self._home.journal.adopted_model(self._spec.fingerprint)
        if record is None:
            return None
        if self._open[0] != record.name:
            from habilis.agent.local.mind import open_mind

            try:
                _check_prompts(record)
                found: Mind | None = open_mind(
                    {"name": record.name, "path": str(self._home.path / record.path), "weights": _weights(record)}
                )
            except HabilisError as error:
                found = None
                self._events.emit("warning", None, message=f"the local model is left aside: {error}")
            self._open = (record.name, found)
        return self._open[1]

    def line_steps(self) -> int | None:
        """Imagined steps that take as long as a line of the model in use, as timed when it was adopted."""
        timing = self._timing()
        return None if timing is None else timing.line

    def action_steps(self) -> int | None:
        """Imagined steps that take as long as it reading one action."""
        timing = self._timing()
        return None if timing is None else timing.action

    def _timing(self) -> Timing | None:
        record = self._home.journal.adopted_model(self._spec.fingerprint)
        figures = record.figures if record is not None else None
        return Timing.load(figures.get("timing")) if isinstance(figures, Mapping) else None


def _weights(record: ModelRecord) -> Json:
    """The checksums that its files of weights had when it was recorded."""
    return record.figures.get("weights") if isinstance(record.figures, Mapping) else None


def _check_prompts(record: ModelRecord) -> None:
    """Raises `ModelError` where the model was trained on other prompts than it would be asked."""
    corpus = record.figures.get("corpus") if isinstance(record.figures, Mapping) else None
    version = corpus.get("prompts", 1) if isinstance(corpus, Mapping) else PROMPT_VERSION
    if version != PROMPT_VERSION:
        raise ModelError(
            f"{record.name} was distilled for prompts of version {version}, and is asked in version {PROMPT_VERSION}; "
            "distil again: habilis distil"
        )


__all__ = ["Minds"]

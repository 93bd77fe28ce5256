"""A writer at work on one task: its drafts one after the other, and its mistakes told as its own."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping

from habilis.agent.threads import waiting
from habilis.core import (
    Context,
    Draft,
    Feedback,
    HabilisError,
    Ledger,
    Parameter,
    Program,
    Task,
    Writer,
    WriterError,
)

__all__ = ["Drafting"]


class Drafting:
    """Asks a writer for its drafts. Whatever it raises that is no error of ours, and whatever it gives that is no
    draft, is a `WriterError` that names it."""

    def __init__(self, writer: Writer, task: Task, context: Context, ledger: Ledger) -> None:
        self._name = str(getattr(writer, "name", type(writer).__name__))
        try:
            self._drafts: AsyncGenerator[Draft, Feedback] = writer.drafts(task, context, ledger)
        except HabilisError:
            raise
        except Exception as error:
            raise self._raised(error) from error
        if not hasattr(self._drafts, "asend") or not hasattr(self._drafts, "aclose"):
            if hasattr(self._drafts, "close"):
                self._drafts.close()  # a coroutine that nobody awaits
            raise WriterError(
                f"the writer {self._name!r} gives {type(self._drafts).__name__} from drafts(), not an asynchronous "
                "generator; write it as `async def drafts(self, task, context, ledger)` with `yield Draft(...)`"
            )

    async def next(self, feedback: Feedback | None) -> Draft | None:
        """The next draft, told what became of the last one; None where the writer has no further idea.

        Raises `WriterError`, and errors of ours as they are.
        """
        try:
            with waiting(f"the writer {self._name}"):
                draft = await (anext(self._drafts) if feedback is None else self._drafts.asend(feedback))
        except StopAsyncIteration:
            return None
        except HabilisError:
            raise
        except Exception as error:
            raise self._raised(error) from error
        wrong = _wrong(draft)
        if wrong:
            raise WriterError(
                f"the writer {self._name!r} yielded {wrong}; yield Draft(Program(...), args, goal_template)"
            )
        return draft

    async def close(self) -> str:
        """End the writer's work; what it raised then, or ""."""
        try:
            await self._drafts.aclose()
        except Exception as error:
            return str(self._raised(error))
        return ""

    def _raised(self, error: Exception) -> WriterError:
        told = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
        return WriterError(f"the writer {self._name!r} raised {told[:500]}")


def _wrong(draft: object) -> str:
    """What is no draft about it, or ""."""
    if not isinstance(draft, Draft):
        return f"{draft!r:.80}, which is no Draft"
    for name, kind in (("program", Program), ("args", Mapping), ("goal_template", str), ("meta", Mapping)):
        value = getattr(draft, name)
        if not isinstance(value, kind):
            return f"a Draft whose {name} is {value!r:.80}, which is no {kind.__name__}"
    program = draft.program  # of other types it would be lost to the journal, and the whole episode with it
    for name in ("name", "source", "writer"):
        value = getattr(program, name)
        if not isinstance(value, str):
            return f"a Draft whose program has the {name} {value!r:.80}, which is no text"
    for name, inner in (("parameters", Parameter), ("calls", str)):
        value = getattr(program, name)
        if not isinstance(value, tuple) or not all(isinstance(one, inner) for one in value):
            return f"a Draft whose program has the {name} {value!r:.80}, which is no tuple of {inner.__name__}"
    return ""

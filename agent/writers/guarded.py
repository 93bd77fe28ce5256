"""A writer of the user's own, checked: what it raises or yields wrongly is named, and costs the task, not the run."""

from __future__ import annotations

import inspect
from collections.abc import AsyncGenerator

from habilis.core import Context, DefinitionError, Draft, Feedback, HabilisError, Ledger, Task, Writer


class Guarded:
    """Hands a writer on. Satisfies `habilis.core.Writer`.

    `DefinitionError` stands for any error that is not ours, and for anything yielded that is no `Draft`.
    """

    def __init__(self, writer: Writer) -> None:
        self._writer, self.name = writer, writer.name

    @property
    def why(self) -> str:
        return str(getattr(self._writer, "why", ""))

    async def drafts(self, task: Task, context: Context, ledger: Ledger) -> AsyncGenerator[Draft, Feedback]:
        try:
            drafts = self._writer.drafts(task, context, ledger)
        except HabilisError:
            raise
        except Exception as error:
            raise self._raised(error) from error
        if not isinstance(drafts, AsyncGenerator):
            if inspect.iscoroutine(drafts):
                drafts.close()
            raise DefinitionError(
                f"drafts of the writer {self.name!r} gives a {type(drafts).__name__}; write it as async def with yield"
            )
        feedback: Feedback | None = None
        try:
            while True:
                try:
                    draft = await (anext(drafts) if feedback is None else drafts.asend(feedback))
                except (HabilisError, StopAsyncIteration):
                    raise
                except Exception as error:
                    raise self._raised(error) from error
                if not isinstance(draft, Draft):
                    raise DefinitionError(
                        f"the writer {self.name!r} yielded a {type(draft).__name__}; yield a Draft(Program(…))"
                    )
                feedback = yield draft
        except StopAsyncIteration:
            return
        finally:
            await drafts.aclose()

    def _raised(self, error: Exception) -> DefinitionError:
        return DefinitionError(f"the writer {self.name!r} raised {type(error).__name__}: {str(error)[:500]}")


__all__ = ["Guarded"]

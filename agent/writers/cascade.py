"""The cascade: the cheapest writer first, the next where it has no further idea."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence

from habilis.agent.drafting import Drafting
from habilis.core import BudgetExceeded, Context, Draft, Feedback, InputError, Ledger, Task, Writer


class Cascade:
    """Several writers in the order of their price. Satisfies `habilis.core.Writer`.

    A writer that the budget can no longer pay is passed over; the error is raised only if all are.
    """

    name = "cascade"

    def __init__(self, writers: Sequence[Writer]) -> None:
        if not writers:
            raise InputError("a cascade needs at least one writer")
        self._writers = tuple(writers)

    @property
    def why(self) -> str:
        """What each writer lacked."""
        return "; ".join(why for w in self._writers if (why := getattr(w, "why", "")))

    async def drafts(self, task: Task, context: Context, ledger: Ledger) -> AsyncGenerator[Draft, Feedback]:
        refused: BudgetExceeded | None = None
        asked = False
        for writer in self._writers:
            drafts = Drafting(writer, task, context, ledger)
            feedback: Feedback | None = None
            try:
                while (draft := await drafts.next(feedback)) is not None:
                    asked = True
                    feedback = yield draft
            except BudgetExceeded as error:
                refused = error
            finally:
                await drafts.close()
        if refused is not None and not asked:
            raise refused

"""The cascade: the cheapest writer first, the next where it has no further idea."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence

from habilis.agent.drafting import Drafting
from habilis.core import BudgetExceeded, Context, Draft, Feedback, InputError, Ledger, ModelError, Task, Writer, used_by


class Cascade:
    """Several writers in the order of their price. Satisfies `habilis.core.Writer`.

    A writer that the budget can no longer pay is passed over, and so is one whose model is not asked any more
    (``refusal``, an optional attribute of writers: why). That is raised only if every one was refused.
    """

    name = "cascade"

    def __init__(self, writers: Sequence[Writer]) -> None:
        if not writers:
            raise InputError("a cascade needs at least one writer")
        self._writers = tuple(writers)
        self.uses = frozenset(kind for writer in self._writers for kind in used_by(writer))
        self._lacked: list[str] = []

    @property
    def why(self) -> str:
        """What each writer lacked, money and steps included."""
        return "; ".join(self._lacked)

    async def drafts(self, task: Task, context: Context, ledger: Ledger) -> AsyncGenerator[Draft, Feedback]:
        refusals: list[BudgetExceeded] = []
        self._lacked = [why for writer in self._writers if (why := _refusal(writer))]
        left = [writer for writer in self._writers if not _refusal(writer)]
        refused = len(self._lacked)
        if not left:
            raise ModelError(self.why)
        while left and (writer := self._next(left, task, context, ledger)) is not None:
            left.remove(writer)
            drafts = Drafting(writer, task, context, ledger)
            feedback: Feedback | None = None
            lacked = ""
            try:
                while (draft := await drafts.next(feedback)) is not None:
                    feedback = yield draft
                lacked = str(getattr(writer, "why", ""))
            except BudgetExceeded as error:
                refusals.append(error)
                lacked = f"{writer.name}: {error}"
                if feedback is None:
                    self._refused(writer, task)
            finally:
                await drafts.close()
            self._lacked += [lacked] if lacked else []
        if len(refusals) + refused == len(self._writers):
            raise refusals[-1]

    def _next(self, left: Sequence[Writer], task: Task, context: Context, ledger: Ledger) -> Writer | None:
        """Which of those that are left is asked now; None to leave it at that."""
        return left[0]

    def _refused(self, writer: Writer, task: Task) -> None:
        """The budget refused a writer before anything that it wrote was run."""


def _refusal(writer: Writer) -> str:
    return str(getattr(writer, "refusal", ""))

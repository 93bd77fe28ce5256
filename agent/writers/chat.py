"""The chat writer: any chat model writes the program, is told what it did, and corrects it.

The prompt follows Voyager (Wang et al. 2023, arXiv:2305.16291, section 3.3): iterative prompting with the environment's
feedback, execution errors and what is still unmet. Unlike there, no model judges goals that the world can check. A
model that takes pictures sees what the world shows now, and what it shows after a program ran.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator

from habilis.agent.chat._images import Content, with_pictures
from habilis.agent.chat.model import PricedChatModel, as_priced
from habilis.agent.writers._prompt import feedback_text, system, task_text
from habilis.agent.writers.reply import Problem, goal_template, read_program
from habilis.core import ChatModel, Context, Cost, Draft, Feedback, InputError, Kind, Ledger, Task

__all__ = ["ChatWriter"]


class ChatWriter:
    """Writes programs with a chat model.

    ``rounds``: requests per task, those for repairing a reply that was no program included; four, because later
    corrections rarely help and each costs the whole conversation again. ``name``: what its programs are signed with.
    """

    uses = frozenset({Kind.TOOL, Kind.SKILL, Kind.DOCUMENT, Kind.DEMONSTRATION})

    def __init__(self, model: PricedChatModel | ChatModel, *, rounds: int = 4, name: str = "chat") -> None:
        if rounds < 1:
            raise InputError(f"rounds={rounds}: a chat writer needs at least 1")
        self.model, self.rounds, self.name = as_priced(model), rounds, name

    @property
    def refusal(self) -> str:
        """Why its model is not asked any more, having cost more than was reserved; empty where it is."""
        return self.model.refusal

    def most(self, task: Task, context: Context) -> Cost:
        """About the most that a task may cost: every round with a reply as long as it may be, and feedback as long.

        For choosing among writers; what is spent is reserved request by request. Documents that are bought come on top.
        """
        said = with_pictures(task_text(task, context), context.snapshot.images, self.model.images)
        first = self.model.most([("system", system()), ("user", said)])
        longer = 2 * self.model.max_output_tokens  # each round, for the next one to read
        read = longer * (self.rounds * (self.rounds - 1) // 2)
        return Cost(
            usd=self.rounds * first.usd + self.model.prices.usd(read, 0),
            tokens=self.rounds * first.tokens + read,
            calls=self.rounds,
        )

    async def drafts(self, task: Task, context: Context, ledger: Ledger) -> AsyncGenerator[Draft, Feedback]:
        """Yield a draft, take its feedback, yield a corrected one; ends when solved or after ``rounds`` requests.

        Raises `BudgetExceeded` before a request that ``ledger`` cannot afford, `ModelError` when the model fails.
        """
        told = task_text(task, context, context.read())
        first = with_pictures(told, context.snapshot.images, self.model.images)
        messages: list[tuple[str, Content]] = [("system", system()), ("user", first)]
        for _ in range(self.rounds):
            reply = await self.model.ask(messages, ledger)
            found = read_program(reply, writer=self.name, skills=context.skills)
            if isinstance(found, Problem):
                # An empty turn is refused by some servers.
                messages += [("assistant", reply or "(empty)"), ("user", found.text)]
                continue
            program, said = found
            feedback = yield Draft(program, {}, goal_template(said, program, task.goal))
            if feedback is None or feedback.verdict.ok:
                return
            after = feedback.trajectory.after.images
            said_back = with_pictures(feedback_text(feedback, program), after, self.model.images)
            messages += [("assistant", reply), ("user", said_back)]

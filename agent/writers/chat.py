"""The chat writer: any chat model writes the program, is told what it did, and corrects it.

The prompt follows Voyager (Wang et al. 2023, arXiv:2305.16291, section 3.3): iterative prompting with the environment's
feedback, execution errors and what is still unmet. Unlike there, no model judges goals that the world can check.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator

from habilis.agent.chat_model import PricedChatModel, as_priced
from habilis.agent.writers._prompt import feedback_text, system, task_text
from habilis.agent.writers._reply import Problem, goal_template, read_program
from habilis.core import ChatModel, Context, Draft, Feedback, InputError, Kind, Ledger, Task

__all__ = ["ChatWriter"]


class ChatWriter:
    """Writes programs with a chat model.

    ``rounds``: requests per task, those for repairing a reply that was no program included; four, because later
    corrections rarely help and each costs the whole conversation again.
    """

    name = "chat"
    uses = frozenset({Kind.TOOL, Kind.SKILL, Kind.DOCUMENT, Kind.DEMONSTRATION})

    def __init__(self, model: PricedChatModel | ChatModel, *, rounds: int = 4) -> None:
        if rounds < 1:
            raise InputError(f"rounds={rounds}: a chat writer needs at least 1")
        self.model, self.rounds = as_priced(model), rounds

    async def drafts(self, task: Task, context: Context, ledger: Ledger) -> AsyncGenerator[Draft, Feedback]:
        """Yield a draft, take its feedback, yield a corrected one; ends when solved or after ``rounds`` requests.

        Raises `BudgetExceeded` before a request that ``ledger`` cannot afford, `ModelError` when the model fails.
        """
        messages = [("system", system()), ("user", task_text(task, context, context.read()))]
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
            messages += [("assistant", reply), ("user", feedback_text(feedback, program))]

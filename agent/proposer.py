"""A chat model proposes what to try next; only goals that the world can check are taken."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from habilis.agent._phrases import example_of, form_of
from habilis.agent.chat.model import PricedChatModel, as_priced
from habilis.agent.words import check_goal
from habilis.core import ChatModel, Goal, GoalSyntaxError, InputError, Ledger, NotFoundError, WorldSpec

__all__ = ["ChatProposer", "Proposals"]

_LIST = 40  # solved and failed tasks shown, the latest; more only cost tokens


@dataclass(frozen=True)
class Proposals:
    """``goals`` that this world can check and that are not solved yet; ``dropped``: (text, why) of the others."""

    goals: tuple[Goal, ...]
    dropped: tuple[tuple[str, str], ...] = ()


class ChatProposer:
    """Asks a chat model for the next tasks: new, in reach, of growing difficulty (Voyager, arXiv:2305.16291, 3.1)."""

    def __init__(self, model: PricedChatModel | ChatModel) -> None:
        self.model = as_priced(model)

    async def propose(
        self,
        spec: WorldSpec,
        snapshot_text: str,
        solved: Sequence[str],
        failed: Sequence[str],
        n: int,
        ledger: Ledger,
        *,
        known: Iterable[str] = (),
    ) -> Proposals:
        """At most ``n`` goals, in the model's order. ``solved``, ``failed``: goals as text, latest last; ``known``: the
        names that arguments may have (empty: any).

        Raises `BudgetExceeded` before a request that the ledger cannot afford, `ModelError` when the model fails.
        """
        if n < 1:
            raise InputError(f"n={n}: ask for at least 1 proposal")
        names = sorted(set(known))
        predicates = "\n".join(f"- {form_of(p)}: {p.doc}" for p in spec.predicates)
        system = (
            "You choose what an agent should learn next. Propose tasks that are new, a small step beyond what is "
            f"solved, and possible from here. Answer with {n} lines and nothing else, each a goal: atoms joined by "
            f"'and', in these predicates:\n{predicates}\nFor example: {example_of(spec)}"
        )
        user = "\n\n".join(
            [
                f"# World: {spec.name}\n{spec.doc}",
                *([f"# Names that arguments may have\n{', '.join(names[:300])}"] if names else []),
                f"# Observed now\n{snapshot_text[:4000] or 'nothing'}",
                "# Solved\n" + ("\n".join(solved[-_LIST:]) or "nothing yet"),
                "# Tried in vain so far\n" + ("\n".join(failed[-_LIST:]) or "nothing"),
                f"Propose {n}.",
            ]
        )
        reply = await self.model.ask([("system", system), ("user", user)], ledger)
        return _read(reply, spec, frozenset(solved), n, names)


def _read(reply: str, spec: WorldSpec, solved: frozenset[str], n: int, names: Sequence[str]) -> Proposals:
    goals: list[Goal] = []
    dropped: list[tuple[str, str]] = []
    for raw in reply.splitlines():
        line = re.sub(r"^\s*(?:[-*•]|\(?\d+[.):])?\s*", "", raw).strip().strip("`").strip()
        if "(" not in line:
            continue  # headings and fences
        try:
            goal = Goal.parse(line)
            if goal.judged is not None:
                raise InputError("the world cannot check it")
            check_goal(goal, spec, known=names)
        except (GoalSyntaxError, InputError, NotFoundError) as error:
            dropped.append((line, str(error)))
            continue
        if str(goal) in solved:
            dropped.append((line, "it is solved already"))
        elif goal in goals:
            dropped.append((line, "it is proposed twice"))
        elif len(goals) == n:
            dropped.append((line, f"{n} were asked for"))
        else:
            goals.append(goal)
    return Proposals(tuple(goals), tuple(dropped))

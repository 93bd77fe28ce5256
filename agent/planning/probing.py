"""Finding out beforehand, on the belief, what actions lack: for worlds whose failures give reasons."""

from __future__ import annotations

from habilis.core import Context, Cost, Ledger
from habilis.memory.contracts import ContractBook


def probe(book: ContractBook, context: Context, seed: int, ledger: Ledger) -> None:
    """Where failures give reasons, ask the simulator once what each newly afforded action lacks."""
    if context.simulator is None or "reasons" not in context.spec.capabilities:
        return
    unknown = [
        a
        for a in context.affordances
        if a.name not in context.spec.seeking and not book.tried(a) and not book.contract(a).conditions
    ]
    if not unknown:
        return
    world = context.simulator.imagine(seed)
    before = world.observe()
    for action in unknown:
        primitive = context.spec.primitive(action.name)
        most = Cost(search_steps=primitive.max_steps if primitive is not None else 1)
        if not ledger.affords(most):
            return
        with ledger.reserve(most) as held:
            outcome = world.act(action)
            held.commit(Cost(search_steps=max(1, outcome.steps)))
        if outcome.ok:
            world = context.simulator.imagine(seed)
        else:
            book.observe(action, outcome, before)

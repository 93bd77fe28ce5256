"""What an evaluation hands out: a world without what would let a policy look ahead in it, or begin it anew.

Cloning, seeds and checkpoints are for training. So is a belief that imagines true copies (``practice``), the orders
that it poses elsewhere, and the questions that only who holds the world can answer. A *portable* world hides nothing,
and keeps what the runner needs to run programs beside a copy of it.
"""

from __future__ import annotations

from dataclasses import replace

from habilis.core import InputError, Observation, World, WorldSpec
from habilis.worlds._handing_on import handing_on
from habilis.worlds.runner import reset

TRAINING_ONLY = frozenset({"seed", "clone", "checkpoint", "questions", "practice", "orders", "forms"})
_METHODS = {
    "affordances": ("affordances",),
    "contracts": ("contracts",),
    "goals": ("goals",),
    "missions": ("goals",),
    "chores": ("chores",),
    "simulator": ("simulator",),
    "ends": ("ended",),
    "checkpoint": ("save", "load"),
    "portable": ("maker",),
}
_ALWAYS = ("names", "tools", "understand")  # that are behind no capability


def for_evaluation(world: World, seed: int | None = None) -> World:
    """Begin the world at a seed (None: it has begun), and hand out one without the capabilities that are for training.

    They are neither announced nor there as methods; ``reset`` raises `InputError`. Raises `WorldError` where the world
    cannot be reset.
    """
    if seed is not None:
        reset(world, seed)
    seen: list[tuple[WorldSpec, WorldSpec]] = []

    def spec() -> WorldSpec:
        now = world.spec  # a world of functions learns predicates as it sees them
        if not seen or seen[-1][0] is not now:
            seen[:] = [(now, replace(now, capabilities=_left(now)))]
        return seen[-1][1]

    def refuse(seed: int) -> Observation:
        raise InputError(f"the world {world.spec.name!r} is handed out for an evaluation, and begins but once")

    methods = [name for capability in sorted(_left(world.spec)) for name in _METHODS.get(capability, ())]
    return handing_on(world, "Evaluated", (*methods, *_ALWAYS), spec=spec, reset=refuse)


def _left(spec: WorldSpec) -> frozenset[str]:
    left = spec.capabilities - TRAINING_ONLY
    if "practice" in spec.capabilities:
        left -= {"simulator"}
    return left | (spec.capabilities & {"checkpoint"} if "portable" in left else frozenset())

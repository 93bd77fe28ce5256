"""Worlds that a home knows, made again: by what its runs wrote down."""

from __future__ import annotations

from collections.abc import Callable

from habilis._worlds import open_world
from habilis.core import HabilisError, InputError, NotFoundError, World, WorldSpec
from habilis.memory.journal import Journal

__all__ = ["fresh_world", "spec_of"]


def fresh_world(journal: Journal, fingerprint: str, name: str) -> World:
    """A new world of the kind in which a run of this home learned. ``name``: for errors.

    Raises `NotFoundError` where no run knows it, `InputError` where it cannot be made, is live, cannot begin from a
    seed, or has other rules by now.
    """
    make = _maker(journal, fingerprint)
    if make is None:
        raise NotFoundError(
            f"no run of this home was in the world {name} ({fingerprint}), so it cannot be made here; "
            f"run once in it: habilis run --world {name}"
        )
    try:
        world = make()
    except HabilisError as error:
        raise InputError(f"the world {name} cannot be made afresh here: {error}") from error
    spec = world.spec
    if spec.fingerprint != fingerprint:
        raise InputError(
            f"the world {name} has other rules by now ({spec.fingerprint} in place of {fingerprint}); "
            "what was learned under the old ones is not run in it"
        )
    if "live" in spec.capabilities or "seed" not in spec.capabilities:
        why = "is live" if "live" in spec.capabilities else "cannot begin from a seed"
        raise InputError(f"the world {name} {why}, so nothing is run in it from here; use the agent: habilis solve")
    return world


def spec_of(journal: Journal, name: str) -> WorldSpec:
    """The spec of a world by its name, or by a fingerprint that a run of this home wrote down. Raises `NotFoundError`,
    `InputError`."""
    make = _maker(journal, name)
    return (open_world(name, {}) if make is None else make)().spec


def _maker(journal: Journal, named: str) -> Callable[[], World] | None:
    """How the latest run in a world of this name or fingerprint made it."""
    for run in reversed(journal.runs()):
        config = run.config if isinstance(run.config, dict) else {}
        if named in (config.get("world"), config.get("fingerprint")) and isinstance(config.get("world"), str):
            name, options = config["world"], config.get("world_options") or {}
            return lambda: open_world(name, options)()
    return None

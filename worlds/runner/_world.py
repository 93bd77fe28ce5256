"""The world as a run asks it: what its own code raises, or gives in the wrong form, is an error that names it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from habilis.core.errors import WorldError
from habilis.core.goal import Snapshot
from habilis.core.world import Ending, Json, Portable, World
from habilis.worlds.runner.worker.simulate import digest

# A world that calls `sys.exit` would end the host, and without a word.
RAISED = (Exception, SystemExit)

_T = TypeVar("_T")


def asked(world: World, when: str, what: Callable[[], _T]) -> _T:
    """What the world's own code gives to ``what``. Raises `WorldError` if that raises, or would end the process."""
    try:
        return what()
    except WorldError:  # which says what is wrong
        raise
    except RAISED as error:
        raise WorldError(f"the world {world.spec.name} raised {when}: {error!r}") from error


def look_at(world: World) -> Snapshot:
    """What the world shows now. Raises `WorldError` if it raises, or shows something else."""
    shown: Any = asked(world, "when observed", world.observe)
    if not isinstance(shown, Snapshot):
        raise WorldError(f"the world {world.spec.name} shows {type(shown).__name__} when observed, not Snapshot")
    return shown


def reset(world: World, seed: int) -> None:
    """Set it back to its beginning. Raises `WorldError` if it raises."""
    asked(world, "when reset", lambda: world.reset(seed))


def ended(world: World) -> str:
    """Why the world has come to an end, "" while it goes on. Raises `WorldError` if it raises."""
    if "ends" not in world.spec.capabilities or not isinstance(world, Ending):
        return ""
    return str(asked(world, "when asked whether it has ended", world.ended))


def facts_of(snapshot: Snapshot) -> list[tuple[str, tuple[Any, ...], Any]]:
    return [(fact.predicate, fact.args, value) for fact, value in snapshot.facts.items()]


def tags_of(world: World, snapshot: Snapshot) -> dict[str, list[str]]:
    tags = {**world.spec.tags, **snapshot.tags}
    return {name if name.startswith("#") else "#" + name: sorted(tags[name]) for name in sorted(tags)}


def maker_of(world: World) -> tuple[str, Mapping[str, Json]] | None:
    """How a worker makes such a world; None where the host alone may have it. Raises `WorldError`."""
    if "portable" not in world.spec.capabilities or not isinstance(world, Portable):
        return None
    made: Any = asked(world, "when asked for its maker", world.maker)
    try:
        name, options = made
        json.dumps(dict(options))
    except (TypeError, ValueError, RecursionError):
        name = options = None
    if not isinstance(name, str) or ":" not in name or not isinstance(options, Mapping):
        raise WorldError(
            f'the maker of the world {world.spec.name} is {made!r:.100}, not ("module:name", options as JSON); mend '
            'maker(), or leave "portable" out of its capabilities'
        )
    return name, options


def state_of(world: World) -> Json:
    """All of a portable world's state. Raises `WorldError` if it raises."""
    state: Json = asked(world, "when saved", world.save)  # type: ignore[attr-defined]  # a portable world has it
    return state


def hash_of(world: World) -> str:
    """A hash of all of a portable world's state. Raises `WorldError` if it raises, or the state has no JSON form."""
    return asked(world, "when saved", lambda: digest(world))

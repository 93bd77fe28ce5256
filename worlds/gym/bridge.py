"""`from_gymnasium`: what the user says of an environment, and what is found out about it, becomes a world."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from habilis.core import (
    DefinitionError,
    Facts,
    Goal,
    GoalSyntaxError,
    Image,
    InputError,
    Predicate,
    WorldError,
    WorldSpec,
    need,
)
from habilis.worlds._observed import said, shown
from habilis.worlds.gym._actions import Deeds
from habilis.worlds.gym._driver import Driver, Origin
from habilis.worlds.gym._examining import copied, seeded
from habilis.worlds.gym._seeing import Seeing
from habilis.worlds.gym.world import ENDED, REWARD, GymWorld, Kind, fingerprint_of, with_capabilities

_CLONES = ("auto", "deepcopy", "replay", "none")
_PREDICATES = (
    # Context: the sum falls as well as it rises, and nothing is used up then; and nobody is to want the end itself.
    Predicate(
        REWARD.predicate,
        "the sum of the rewards since the beginning",
        numeric=True,
        phrase="earn {value}",
        context=True,
    ),
    Predicate(ENDED.predicate, "whether the episode is over", phrase="come to the end", context=True),
)


def from_gymnasium(
    env: Any,
    *,
    describe: Callable[..., Mapping[str, Any]] | None = None,
    actions: Sequence[str] | Sequence[Callable[..., Any]] | Mapping[str, Any] | None = None,
    goal: str | Goal | Sequence[str | Goal] | Callable[[], Sequence[str | Goal]] | None = None,
    succeeds: Callable[[Facts, Facts, float], Any] | None = None,
    name: str | None = None,
    doc: str = "",
    context: Iterable[str] = (),
    tags: Mapping[str, Iterable[str]] | None = None,
    options: Mapping[str, Any] | None = None,
    levels: int = 5,
    clones: str = "auto",
    practice: bool = False,
    step_seconds: float | None = 10.0,
) -> GymWorld:
    """A world of any Gymnasium environment; docs/worlds.md tells the whole story.

    Args:
        env: an environment's registered name, a function that makes one, or one that is there already. Of the first
            two, new ones can be made: for fresh worlds, and after a hang.
        describe: what is the case, as a mapping, from an observation (and the info, where it takes two arguments).
        actions: names for a Discrete space, in order; or a mapping of names to actions, or to functions with typed
            parameters that return one; or a list of such functions.
        goal: what is wanted: goals as text, or a function that gives them. None: ``reward() >= …``, where the
            environment was registered with a threshold.
        succeeds: whether an action succeeded, from the facts before, the facts after, and the reward. None: where
            anything but the sum of rewards changed, or the reward was above 0.
        context: predicates of ``describe`` that tell about the situation, such as a position: numbers that rise and
            fall, where nothing is used up when they fall. Without ``describe``, all numbers are taken for such.
        options: for `gymnasium.make`, with a name.
        levels: steps from low to high in which programs choose a number of a Box.
        clones: "auto" finds out; "deepcopy", "replay" or "none".
        practice: let search plan on true copies; the world's name says so.
        step_seconds: the longest that the environment may take for a step, ten times as long to be made or reset; None:
            no limit, and no thread of its own.

    Raises `MissingExtraError` without Gymnasium, `DefinitionError` that says what to give, `InputError` for an
    environment that cannot be made, `WorldError` for one that does something wrong in its first steps.
    """
    gymnasium = need("gymnasium", "a world of a Gymnasium environment", install="'habilis[gym]'")
    _check(describe, succeeds, options, levels, clones, practice, step_seconds)
    origin, driver, called = _origin(gymnasium, env, options, step_seconds)
    bare: Any = driver.env
    world = name or (called if not practice else f"{called}_practice")
    origin.name = world
    deeds = Deeds(bare, actions, levels, world)
    seeing = Seeing(bare.observation_space, world, describe is not None)
    repeats = seeded(origin, driver, deeds)
    way = _way(clones, repeats, origin, driver, deeds, world)
    if practice and way == "none":
        raise DefinitionError(f"practice= of the world {world!r} needs clones, and it has none (docs/worlds.md)")
    wanted = _goals(goal, bare, world)
    rendered = getattr(bare, "render_mode", None) == "rgb_array"
    if rendered:
        Image.of(driver.render())
    spec = WorldSpec(
        name=world,
        doc=doc or _doc(bare),
        primitives=deeds.primitives,
        predicates=_PREDICATES,
        fingerprint=fingerprint_of(called, (*_rules(bare), deeds.primitives, *map(_source, (describe, succeeds)))),
        tags={tag: frozenset(members) for tag, members in (tags or {}).items()},
    )
    spec = with_capabilities(
        spec,
        affordances=True,
        ends=True,
        seed=repeats,
        checkpoint=repeats,
        clone=way != "none",
        simulator=practice,
        practice=practice,
        goals=bool(wanted()) or callable(goal),
        images=bool(seeing.pictures) or rendered,
    )
    named = frozenset(_names(context, world))
    passing = None if describe is None else named
    kind = Kind(origin, deeds, seeing, _two(describe), succeeds, wanted, way, passing)
    made = GymWorld(kind, spec, driver)
    made.observe()
    return made


def _check(
    describe: Any, succeeds: Any, options: Any, levels: Any, clones: Any, practice: Any, step_seconds: Any
) -> None:
    for what, function in (("describe", describe), ("succeeds", succeeds)):
        if function is not None and not callable(function):
            raise DefinitionError(f"{what}= is {shown(function)}; give a function")
    if isinstance(levels, bool) or not isinstance(levels, int) or not 2 <= levels <= 1000:
        raise InputError(f"levels={levels!r}: a number of a Box is chosen from 2 to 1,000 levels")
    if clones not in _CLONES:
        raise InputError(f"clones={clones!r}; give one of {', '.join(_CLONES)}")
    if options is not None and not isinstance(options, Mapping):
        raise InputError(f"options= is {shown(options)}; give a mapping of names to values, for gymnasium.make")
    if not isinstance(practice, bool):
        raise InputError(f"practice={practice!r}; give True or False")
    number = isinstance(step_seconds, (int, float)) and not isinstance(step_seconds, bool)
    if step_seconds is not None and not (number and 0 < step_seconds < 1e6):
        raise InputError(f"step_seconds={step_seconds!r}: give seconds above 0, or None for no limit")


def _origin(
    gymnasium: Any, env: Any, options: Mapping[str, Any] | None, step_seconds: float | None
) -> tuple[Origin, Driver, str]:
    """Where environments come from, a first one, and what the world is called."""
    if isinstance(env, str):
        given = dict(options or {})

        def make() -> Any:
            return gymnasium.make(env, **given)

        try:
            gymnasium.spec(env)
        except gymnasium.error.Error as error:
            raise InputError(f"Gymnasium knows no environment {env!r}: {said(error)}") from error
        origin = Origin(env, make, None, step_seconds)
    elif options is not None:
        raise InputError("options= are for gymnasium.make, with an environment's name; make yours with what it takes")
    elif isinstance(env, gymnasium.Env):
        origin = Origin(type(env.unwrapped).__name__, None, env, step_seconds)
    elif isinstance(env, type) and not issubclass(env, gymnasium.Env):
        raise InputError(f"env= is the class {env.__name__}, which is no gymnasium.Env")
    elif callable(env):
        origin = Origin(getattr(env, "__name__", "environment"), env, None, step_seconds)
    else:
        raise InputError(
            f"env= is of type {type(env).__name__}; give an environment's name, a function that makes one, or one"
        )
    driver = origin.driver()
    registered = getattr(driver.env, "spec", None)
    called = registered.id if registered is not None else type(driver.env.unwrapped).__name__
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", str(called))
    return origin, driver, re.sub(r"\W+", "_", words).strip("_").lower() or "environment"


def _way(clones: str, repeats: bool, origin: Origin, driver: Driver, deeds: Deeds, world: str) -> str:
    """How the world is cloned."""
    again = repeats and origin.make is not None
    if clones == "none":
        return "none"
    if clones == "replay":
        if not again:
            why = "a seed does not repeat itself" if not repeats else "it cannot be made again; give a function"
            raise DefinitionError(f"the world {world!r} cannot be cloned by replay: {why}")
        return "replay"
    if copied(driver, deeds):
        return "deepcopy"
    if clones == "deepcopy":
        raise DefinitionError(
            f"the world {world!r} cannot be cloned by deepcopy: a copy and its original do not go on alike, or "
            "copying raises; leave clones= out"
        )
    return "replay" if again else "none"


def _names(context: Any, world: str) -> list[str]:
    if isinstance(context, str) or not isinstance(context, Iterable) or not all(isinstance(n, str) for n in context):
        raise DefinitionError(f"context= of the world {world!r} is {shown(context)}; give names of predicates")
    return list(context)


def _goals(goal: Any, env: Any, world: str) -> Callable[[], Sequence[Goal]]:
    if callable(goal):
        return lambda: _read_goals(_asked(goal, world), world)
    if goal is None:
        registered = getattr(env, "spec", None)
        threshold = getattr(registered, "reward_threshold", None)
        if threshold is None:
            goal = []
        else:  # what is reached by doing nothing is no goal
            goal = [f"{REWARD} >= {threshold!r}" if threshold > 0 else f"{ENDED} and {REWARD} >= {threshold!r}"]
    fixed = _read_goals([goal] if isinstance(goal, (str, Goal)) else goal, world)
    return lambda: fixed


def _asked(goal: Callable[[], Any], world: str) -> Any:
    try:
        return goal()
    except Exception as error:
        raise WorldError(f"goal= of the world {world!r} raised {said(error)}") from error


def _read_goals(given: Any, world: str) -> list[Goal]:
    if isinstance(given, (str, Mapping)) or not isinstance(given, Iterable):
        raise DefinitionError(f"goal= of the world {world!r} gave {shown(given)}; give goals as text")
    found = []
    for one in given:
        if not isinstance(one, (str, Goal)):
            raise DefinitionError(f"goal= of the world {world!r} has {shown(one)}; give goals as text")
        try:
            found.append(Goal.parse(one) if isinstance(one, str) else one)
        except GoalSyntaxError as error:
            raise DefinitionError(f"goal= of the world {world!r}: {error}") from error
    return found


def _two(describe: Callable[..., Any] | None) -> Callable[[Any, dict[str, Any]], Mapping[str, Any]] | None:
    """The function with two parameters, whether it takes the info or not."""
    if describe is None:
        return None
    given = describe
    try:
        inspect.signature(given).bind(0, {})
    except TypeError:
        return lambda observation, info: given(observation)
    except ValueError:  # nobody can tell: a function written in C
        return lambda observation, info: given(observation)
    return given


def _doc(env: Any) -> str:
    registered = getattr(env, "spec", None)
    called = registered.id if registered is not None else type(env.unwrapped).__name__
    told = inspect.getdoc(type(env.unwrapped)) or ""
    plain = [line for line in told.splitlines() if not line.startswith("#")]
    first = " ".join("\n".join(plain).strip().partition("\n\n")[0].split())
    return f"The Gymnasium environment {called}. {first}"[:1000].strip()


def _rules(env: Any) -> list[Any]:
    """What can be read of the rules: how it was registered, its spaces, its class and what is wrapped around it."""
    layers, one = [], env
    while one is not None:
        layers.append(type(one).__qualname__)
        one = getattr(one, "env", None) if one is not env.unwrapped else None
    registered = getattr(env, "spec", None)
    known = [registered.id, sorted(registered.kwargs.items(), key=str)] if registered is not None else []
    return [*known, env.observation_space, env.action_space, layers, _source(type(env.unwrapped))]


def _source(of: Any) -> str:
    if of is None:
        return ""
    try:
        return inspect.getsource(of)
    except (OSError, TypeError):
        code = getattr(of, "__code__", None)
        if code is None:
            return type(of).__qualname__
        fixed = [value for value in code.co_consts if not hasattr(value, "co_code")]  # whose text has its address
        return f"{code.co_code.hex()} {code.co_names} {fixed}"

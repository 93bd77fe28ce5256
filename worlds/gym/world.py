"""Any Gymnasium environment as a world: its actions are primitives, what is described of its observations are facts."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from habilis.core import (
    Action,
    Atom,
    Change,
    Cloneable,
    DefinitionError,
    Fact,
    Goal,
    Image,
    InputError,
    Json,
    Observation,
    Outcome,
    Predicate,
    Simulator,
    Snapshot,
    Value,
    WorldError,
    WorldSpec,
)
from habilis.worlds._observed import changes, declared, in_words, read_facts, said
from habilis.worlds.gym._actions import Deeds
from habilis.worlds.gym._driver import Driver, Moment, Origin
from habilis.worlds.gym._seeing import Seeing

REWARD, ENDED = Fact("reward"), Fact("ended")
_MOST_REPLAYED = 10_000  # actions that a checkpoint repeats
_LUCK = "_np_random"  # where a Gymnasium environment keeps its own random numbers

Facts = dict[Fact, Value]


@dataclass(frozen=True)
class Kind:
    """What all copies of one world share. ``clones``: "deepcopy", "replay" or "none"; ``context``: names of context
    predicates, None: all that are numbers."""

    origin: Origin
    deeds: Deeds
    seeing: Seeing
    describe: Callable[[Any, dict[str, Any]], Mapping[str, Any]] | None
    succeeds: Callable[[Facts, Facts, float], Any] | None
    goals: Callable[[], Sequence[Goal]]
    clones: str
    context: frozenset[str] | None


class GymWorld:
    """Made by `habilis.worlds.gym.from_gymnasium`. Which capabilities it has was found out then; its spec says it.

    A `WorldError` says what the environment did wrong; the world has ended then (`ended`), and a reset begins anew.
    """

    def __init__(self, kind: Kind, spec: WorldSpec, driver: Driver | None = None) -> None:
        self.spec = spec
        self._kind, self._driver = kind, driver
        self._seed = 0
        self._done: list[Action] = []  # since the reset
        self._to_repeat: tuple[Action, ...] | None = None  # of what this was cloned from by replay, not done yet
        self._moment: Moment | None = None
        self._facts: Facts = {}
        self._images: tuple[Image, ...] | None = None
        self._total = 0.0
        self._end = ""

    # ------------------------------------------------------------------ the protocol

    def reset(self, seed: int) -> Observation:
        """Begin anew. Raises `WorldError` where the environment cannot be reset, or made again after it hung."""
        self._to_repeat = None
        self._begin(seed)
        return self.observe()

    def observe(self) -> Observation:
        self._ready()
        return Snapshot(self._facts, self.spec.tags, in_words(self._facts), self._shown())

    def act(self, action: Action) -> Outcome:
        """One step. Its value is the reward. Raises `InputError` for an action that this world does not have, and
        `WorldError` where the environment does something wrong."""
        if action.name not in self._kind.deeds.by_name:
            names = ", ".join(self._kind.deeds.by_name)
            raise InputError(f"the world {self.spec.name!r} has no action {action.name!r}; it has {names}")
        self._ready()
        if self._end:
            lacking = (Atom(ENDED, "==", False),)
            return Outcome(False, unmet=lacking, message=f"it has ended: {self._end}", steps=0, done=True)
        try:
            given = self._kind.deeds.action(action)
        except Exception as error:  # of a function of the user's
            told = str(error) if isinstance(error, InputError) else said(error)
            return Outcome(False, message=told, steps=0)
        before = self._facts
        reward = self._step(action, given)
        found = changes(before, self._facts)
        ok = self._succeeded(before, found, reward)
        message = "" if ok else "nothing that is observed changed"
        return Outcome(ok, found, message=message, value=reward, done=bool(self._end))

    def ended(self) -> str:
        """Why the episode is over: "terminated", "truncated", or what the environment did wrong; "" before."""
        self._ready()
        return self._end

    def affordances(self) -> Sequence[Action]:
        """All actions, or an even sample of 200 of one primitive; none after the end."""
        self._ready()
        return [] if self._end else self._kind.deeds.worth_trying()

    def goals(self) -> Sequence[Goal]:
        return self._kind.goals()

    # ------------------------------------------------------------------ copies

    def clone(self) -> GymWorld:
        """An independent copy, by deepcopy or by replay: then the actions are repeated once it is looked at.

        Raises `InputError` where the world has no clones, `WorldError` where the environment can be copied no more.
        """
        if self._kind.clones == "none":
            raise InputError(f"the world {self.spec.name!r} cannot be cloned; docs/worlds.md says what it takes")
        twin = GymWorld(self._kind, self.spec)
        twin._seed = self._seed
        if self._to_repeat is not None or self._kind.clones == "replay" or self._driver is None or self._driver.why:
            twin._to_repeat = self._to_repeat if self._to_repeat is not None else tuple(self._done)
            if self._end and self._driver is not None and self._driver.why:
                twin._end = self._end
            return twin
        twin._driver = self._driver.copied()
        self._copy_to(twin)
        return twin

    def _copy_to(self, twin: GymWorld) -> None:
        twin._done, twin._moment, twin._facts = list(self._done), self._moment, self._facts
        twin._images, twin._total, twin._end = self._images, self._total, self._end

    def save(self) -> Json:
        """The seed and the actions since; beyond 10,000 of them the seed alone, so that what is loaded begins anew."""
        self._ready()
        done = [] if len(self._done) > _MOST_REPLAYED else [str(a) for a in self._done]
        return {"seed": self._seed, "actions": done, "total": self._total if done else 0.0}

    def load(self, state: Json) -> None:
        """Repeat what was done. Raises `WorldError` where something else comes of it by now."""
        self._to_repeat = None
        self._begin(int(state["seed"]))
        self._repeat([Action.parse(text) for text in state["actions"]])
        if state["actions"] and self._total != state["total"]:
            raise WorldError(
                f"the world {self.spec.name!r} cannot be taken up again: repeating {len(state['actions'])} actions "
                f"from seed {self._seed} came to a reward of {self._total:g}, and to {state['total']:g} before"
            )

    def simulator(self) -> Simulator:
        """For practice: imagines true copies, with other luck where the environment was copied whole."""
        return _Copies(self)

    # ------------------------------------------------------------------ inside

    def _begin(self, seed: int) -> None:
        if self._driver is not None and self._driver.why:
            if not self._driver.hung:
                self._kind.origin.take_back(self._driver.env)
                self._driver.end()
            self._driver = None
        if self._driver is None:
            self._driver = self._kind.origin.driver()
        self._seed, self._done, self._total, self._end = int(seed), [], 0.0, ""
        try:
            self._take(self._driver.reset(int(seed)))
        except WorldError as error:
            self._end = str(error)
            raise

    def _ready(self) -> None:
        """Begin where nobody did yet, and catch up with what this was cloned from."""
        if self._to_repeat is not None:
            actions, self._to_repeat = self._to_repeat, None
            broken = self._end
            self._begin(self._seed)
            self._repeat(actions)
            if broken:
                self._end, self._facts = broken, {**self._facts, ENDED: True}
        elif self._moment is None:
            self._begin(self._seed)

    def _repeat(self, actions: Sequence[Action]) -> None:
        for action in actions:
            self._step(action, self._kind.deeds.action(action))

    def _step(self, action: Action, given: Any) -> float:
        assert self._driver is not None
        try:
            moment = self._driver.step(given, str(action))
            self._total += moment.reward
            self._end = "terminated" if moment.terminated else "truncated" if moment.truncated else ""
            self._take(moment)
        except WorldError as error:
            self._end, self._facts = str(error), {**self._facts, ENDED: True}
            raise
        self._done.append(action)
        return moment.reward

    def _take(self, moment: Moment) -> None:
        """Check what came, and make facts of it. Raises `WorldError`."""
        kind, driver = self._kind, self._driver
        assert driver is not None
        for what, known in (("action_space", kind.deeds.space), ("observation_space", kind.seeing.space)):
            now = getattr(driver.env, what, None)
            if now is not known and now != known:
                raise driver.wrong(f"changed its {what} from {known} to {now}; make another world of it")
        odd = kind.seeing.odd(moment.observation)
        if odd:
            raise driver.wrong(odd)
        try:
            if kind.describe is None:
                seen: Mapping[str, Any] = kind.seeing.facts(moment.observation)
            else:
                seen = kind.describe(moment.observation, moment.info)
        except Exception as error:
            raise driver.wrong(f"shows what describe= cannot read: {said(error)}") from error
        facts = read_facts(seen, "describe", self.spec.name)
        taken = [fact for fact in (REWARD, ENDED) if fact in facts]
        if taken:
            raise DefinitionError(
                f"describe of the world {self.spec.name!r} gave {taken[0]}, which the bridge tells itself; give it "
                "another name"
            )
        facts[ENDED], facts[REWARD] = bool(self._end), _rounded(self._total)
        known = self.spec
        self.spec = declared(known, facts, kind.deeds.by_name, "describe")
        if self.spec is not known:
            self.spec = replace(self.spec, predicates=tuple(map(self._as_context, self.spec.predicates)))
        self._moment, self._facts, self._images = moment, facts, None

    def _as_context(self, predicate: Predicate) -> Predicate:
        known = self._kind.context
        tells = predicate.numeric if known is None else predicate.name in known
        return replace(predicate, context=True) if tells else predicate

    def _shown(self) -> tuple[Image, ...]:
        """The pictures of now; made when first looked at."""
        if "images" not in self.spec.capabilities or self._moment is None:
            return ()
        if self._images is None:
            arrays = list(self._kind.seeing.images(self._moment.observation))
            if not arrays and self._driver is not None and not self._driver.why:
                arrays = [self._rendered(self._driver)]
            try:
                self._images = tuple(Image.of(one) for one in arrays if one is not None)
            except InputError as error:
                raise WorldError(
                    f"the environment of the world {self.spec.name!r} shows no picture: {error}"
                ) from error
        return self._images

    def _rendered(self, driver: Driver) -> Any:
        """What is rendered. That worked when the world was made: a failure costs the picture, a hang the episode."""
        try:
            return driver.render()
        except WorldError as error:
            if driver.hung:
                self._end, self._facts = str(error), {**self._facts, ENDED: True}
                raise
            driver.why = ""
            return None

    def _succeeded(self, before: Facts, found: Sequence[Change], reward: float) -> bool:
        if self._kind.succeeds is not None:
            try:
                return bool(self._kind.succeeds(before, self._facts, reward))
            except Exception as error:
                raise WorldError(f"succeeds= of the world {self.spec.name!r} raised {said(error)}") from error
        return reward > 0 or any(change.fact != REWARD for change in found)


class _Copies:
    """A belief for practice: the world itself, copied."""

    def __init__(self, world: GymWorld) -> None:
        self._world = world.clone()

    def imagine(self, seed: int) -> Cloneable:
        import numpy as np

        twin = self._world.clone()
        twin.spec = replace(twin.spec, capabilities=twin.spec.capabilities - {"images"})  # nobody looks at it
        env = twin._driver.env.unwrapped if twin._driver is not None else None
        if isinstance(getattr(env, _LUCK, None), np.random.Generator):
            setattr(env, _LUCK, np.random.default_rng(seed))
        return twin


def _rounded(value: float) -> float:
    """Sums of rewards, free of the dust that floats gather."""
    return round(value, 9)


def fingerprint_of(name: str, parts: Sequence[Any]) -> str:
    """What changes whenever the rules do, as far as they can be read."""
    return f"{name}-{hashlib.sha256(json.dumps(list(map(str, parts))).encode()).hexdigest()[:16]}"


def with_capabilities(spec: WorldSpec, **holds: bool) -> WorldSpec:
    return replace(spec, capabilities=frozenset(capability for capability, so in holds.items() if so))

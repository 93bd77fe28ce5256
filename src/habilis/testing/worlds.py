"""The conformance suite for worlds: what every world must do, and what each capability it announces promises.

    from habilis.testing.worlds import check_world

    def test_my_world() -> None:
        check_world(MyWorld)

The suite acts. Hand it a function that makes a fresh, disposable world (a real folder under ``tmp_path``, a test
server).
"""

from __future__ import annotations

import importlib
import json
import operator
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from habilis.core import (
    Action,
    Affording,
    Asking,
    Atom,
    Checkpointed,
    Cloneable,
    Declaring,
    Ending,
    Fact,
    Goal,
    GoalGiving,
    HavingChores,
    HavingForms,
    Image,
    Imaginable,
    InputError,
    Outcome,
    Portable,
    Posing,
    Snapshot,
    Value,
    World,
    dump,
)
from habilis.worlds._declare import RESERVED
from habilis.worlds.evaluation import TRAINING_ONLY, for_evaluation

__all__ = ["check_world"]

_CAPABILITIES: dict[str, type | None] = {
    "seed": None,
    "clone": Cloneable,
    "simulator": Imaginable,
    "checkpoint": Checkpointed,
    "portable": Portable,
    "affordances": Affording,
    "goals": GoalGiving,
    "missions": GoalGiving,
    "chores": HavingChores,
    "questions": Asking,
    "orders": Posing,
    "forms": HavingForms,
    "reasons": None,
    "contracts": Declaring,
    "recipes": None,
    "live": None,
    "images": None,
    "ends": Ending,
    "practice": Imaginable,
}
_TYPES: dict[str, tuple[type, ...]] = {"str": (str,), "int": (int,), "float": (int, float), "bool": (bool,)}


def check_world(make_world: Callable[[], World], *, seeds: Sequence[int] = (0, 1), steps: int = 60) -> None:
    """Drive fresh worlds for ``steps`` actions per seed and check every promise.

    Actions are drawn from ``affordances`` where the world has them, else from the primitives without parameters.
    Raises `AssertionError` that names the world, the promise and what was seen instead.
    """
    world = make_world()
    _check_spec(world)
    _check_refusal(make_world, seeds[0])
    for seed in seeds:
        done = _check_walk(make_world(), seed, steps)
        capabilities = world.spec.capabilities
        if "seed" in capabilities:
            _check_seed(make_world, seed, done)
        if "clone" in capabilities:
            _check_clone(_replayed(make_world, seed, done), seed, steps)
        if "checkpoint" in capabilities:
            _check_checkpoint(make_world, seed, done, steps)
        if "portable" in capabilities:
            _check_portable(make_world, seed, done, steps)
        _check_evaluation(make_world, seed, done)
        if "simulator" in capabilities:
            _check_simulator(_replayed(make_world, seed, done), seed, steps)


def _require(holds: object, world: World, what: str) -> None:
    if not holds:
        name = getattr(getattr(world, "spec", None), "name", type(world).__name__)
        raise AssertionError(f"world {name!r}: {what}")


def _check_spec(world: World) -> None:
    _require(isinstance(world, World), world, "it lacks one of spec, reset, observe, act")
    spec = world.spec
    _require(spec.name and spec.doc.strip(), world, "its spec needs a name and a doc")
    _require(spec.fingerprint, world, "its spec needs a fingerprint, which changes whenever the rules do")
    _require(spec.primitives, world, "it has no primitives: nothing can be done in it")
    for kind in (spec.primitives, spec.predicates):
        names = [entry.name for entry in kind]
        twice = sorted({n for n in names if names.count(n) > 1})
        _require(not twice, world, f"two primitives or two predicates are called {twice}")
        for entry in kind:
            _require(
                entry.name.isidentifier(), world, f"{entry.name!r} is not a Python name: programs could not use it"
            )
            _require(entry.doc.strip(), world, f"{entry.name} needs a doc")
            _require(not entry.name.startswith("_"), world, f"{entry.name!r} begins with _: programs cannot reach it")
    taken = sorted({p.name for p in spec.predicates} & set(RESERVED))
    _require(not taken, world, f"predicates are called {taken}, which mean something else to programs")
    shared = sorted({p.name for p in spec.primitives} & {p.name for p in spec.predicates})
    _require(not shared, world, f"a primitive and a predicate are both called {shared}")
    for primitive in spec.primitives:
        _require(primitive.max_steps >= 1, world, f"{primitive.name}.max_steps is {primitive.max_steps}, not >= 1")
        if primitive.seeks is not None:
            known = spec.predicate(primitive.seeks) is not None
            _require(known, world, f"{primitive.name} seeks {primitive.seeks!r}, which is no predicate")
    for tag, members in spec.tags.items():
        _require(tag.startswith("#"), world, f"the tag {tag!r} does not begin with #")
        plain = all(isinstance(m, str) and not m.startswith("#") for m in members)
        _require(members and plain, world, f"the tag {tag} must have members, all plain names")
    unknown = sorted(spec.capabilities - _CAPABILITIES.keys())
    _require(not unknown, world, f"it announces unknown capabilities {unknown}; known: {', '.join(_CAPABILITIES)}")
    for capability, protocol in _CAPABILITIES.items():
        if protocol is not None and capability in spec.capabilities:
            has = isinstance(world, protocol)
            _require(has, world, f"it announces {capability!r} but does not satisfy {protocol.__name__}")
    _require("clone" not in spec.capabilities or "live" not in spec.capabilities, world, "a live world has no clones")


def _check_refusal(make_world: Callable[[], World], seed: int) -> None:
    world = make_world()
    before = _facts(world.reset(seed))
    for action in (Action("no_such_primitive"), Action("no_such_primitive", ("thing", 3))):
        try:
            outcome = world.act(action)
        except InputError:
            pass
        except Exception as error:
            _require(False, world, f"{action} raised {type(error).__name__}: {error}; refuse with InputError")
        else:
            _require(False, world, f"{action} was answered with {outcome}; refuse what is no primitive with InputError")
    _require(_facts(world.observe()) == before, world, "refusing an unknown action changed the world")


def _facts(snapshot: Snapshot) -> dict[Fact, Value]:
    """What is neither 0 nor false: an absent fact is one of these."""
    return {fact: value for fact, value in snapshot.facts.items() if value}


def _check_facts(world: World, facts: Mapping[Fact, Value], where: str) -> None:
    for fact, value in facts.items():
        _require(isinstance(fact, Fact), world, f"{where} has {fact!r} where a Fact belongs")
        predicate = world.spec.predicate(fact.predicate)
        _require(predicate, world, f"{where} has {fact}, whose predicate the spec does not declare")
        assert predicate is not None
        count, declared = len(fact.args), len(predicate.parameters)
        _require(count == declared, world, f"{where} has {fact} with {count} arguments; declared: {declared}")
        plain = all(isinstance(a, (str, int)) and not isinstance(a, bool) for a in fact.args)
        _require(plain, world, f"{where} has {fact}, whose arguments are not all texts or whole numbers")
        fits = isinstance(value, (int, float) if predicate.numeric else bool)
        fits = fits and not (predicate.numeric and isinstance(value, bool))
        wanted = "a number" if predicate.numeric else "a truth value"
        _require(fits, world, f"{where} has {fact} = {value!r}, but the predicate is declared as {wanted}")


def _check_observation(world: World, snapshot: Snapshot) -> None:
    _require(isinstance(snapshot, Snapshot), world, f"observe answered {type(snapshot).__name__}, not a Snapshot")
    _check_facts(world, snapshot.facts, "the observation")
    _require(isinstance(snapshot.text, str), world, "the observation's text is not a text")
    announced = "images" in world.spec.capabilities
    _require(announced or not snapshot.images, world, "it shows pictures, and does not announce 'images'")
    for image in snapshot.images:
        _require(isinstance(image, Image), world, f"the observation has {type(image).__name__} where an Image belongs")
        _require(image.data and Image.of(image.data) == image, world, f"the picture {image} is not what its hash says")
    _json(world, {str(k): v for k, v in snapshot.facts.items()}, "the observation")


def _json(world: World, value: Any, what: str) -> None:
    try:
        back = json.loads(json.dumps(value, allow_nan=False))
    except (TypeError, ValueError) as error:
        raise AssertionError(f"world {world.spec.name!r}: {what} is not JSON ({error})") from error
    _require(back == value, world, f"{what} does not survive JSON: {str(value)[:200]} became {str(back)[:200]}")


def _check_action(world: World, action: Action, where: str) -> None:
    _require(isinstance(action, Action), world, f"{where} has {action!r} where an Action belongs")
    primitive = world.spec.primitive(action.name)
    _require(primitive, world, f"{where} has {action}, which is no primitive")
    assert primitive is not None
    most = len(primitive.parameters)
    least = sum(p.required for p in primitive.parameters)
    count = len(action.args)
    fits = least <= count and (primitive.variadic or count <= most)
    _require(fits, world, f"{where} has {action} with {count} arguments; {primitive.name} takes {least} to {most}")
    if not primitive.variadic:
        for argument, parameter in zip(action.args, primitive.parameters, strict=False):
            types = _TYPES.get(parameter.type, (str, int, float, bool))
            right = isinstance(argument, types)
            _require(right, world, f"{where} has {action}, but {parameter.name} is declared as {parameter.type}")
    _require(Action.parse(str(action)) == action, world, f"{where} has {action}, which does not read back as itself")


def _check_atom(world: World, atom: Atom, where: str) -> None:
    _require(isinstance(atom, Atom), world, f"{where} has {atom!r} where an Atom belongs")
    predicate = world.spec.predicate(atom.fact.predicate)
    _require(predicate, world, f"{where} has {atom}, whose predicate the spec does not declare")
    assert predicate is not None
    same = predicate.numeric == atom.is_numeric
    _require(same, world, f"{where} has {atom}: a number compared with a truth value is never met")
    tags = [a for a in atom.fact.args if isinstance(a, str) and a.startswith("#")]
    _require(all(t in world.spec.tags for t in tags), world, f"{where} has {atom}, whose tag the spec does not declare")


def _check_telling(world: World) -> None:
    """Affordances, goals and contracts, as they stand now."""
    if isinstance(world, Affording) and "affordances" in world.spec.capabilities:
        afforded = list(world.affordances())
        for action in afforded:
            _check_action(world, action, "affordances()")
        _require(afforded == list(world.affordances()), world, "affordances() differs when asked twice")
    if isinstance(world, GoalGiving) and "goals" in world.spec.capabilities:
        goals = list(world.goals())
        for goal in goals:
            for atom in goal.atoms:
                _check_atom(world, atom, "goals()")
            _require(Goal.parse(str(goal)) == goal, world, f"the goal {goal} does not read back as itself")
        _require(goals == list(world.goals()), world, "goals() differs when asked twice")
    if isinstance(world, HavingChores) and "chores" in world.spec.capabilities:
        for words, goal in world.chores().items():
            for atom in goal.atoms:
                _check_atom(world, atom, f"the chore {words!r}")
    if isinstance(world, Declaring) and "contracts" in world.spec.capabilities:
        for contract in world.contracts():
            _check_action(world, contract.action, "contracts()")
            for condition in contract.conditions:
                _check_atom(world, condition.atom, f"the contract of {contract.action}")
            same = contract.fingerprint == world.spec.fingerprint
            _require(same, world, f"the contract of {contract.action} bears the fingerprint {contract.fingerprint!r}")


def _choose(world: World, rng: random.Random) -> Action | None:
    if isinstance(world, Affording) and "affordances" in world.spec.capabilities:
        options = list(world.affordances())
    else:
        options = [Action(p.name) for p in world.spec.primitives if not any(q.required for q in p.parameters)]
    if not options:
        return None
    # by primitive first: a hundred recipes must not crowd out the rest
    name = rng.choice(sorted({a.name for a in options}))
    return rng.choice([a for a in options if a.name == name])


def _act(world: World, action: Action) -> Outcome:
    try:
        return world.act(action)
    except Exception as error:
        text = f"{type(error).__name__}: {error}"
        raise AssertionError(
            f"world {world.spec.name!r}: {action} raised {text}; a failed action answers Outcome(ok=False)"
        ) from error


def _check_outcome(world: World, action: Action, before: Snapshot, outcome: Outcome) -> None:
    _require(isinstance(outcome, Outcome), world, f"{action} answered {outcome!r}, not an Outcome")
    primitive = world.spec.primitive(action.name)
    assert primitive is not None
    within = 0 <= outcome.steps <= primitive.max_steps
    _require(within, world, f"{action} took {outcome.steps} steps; max_steps is {primitive.max_steps}")
    _json(world, outcome.value, f"the value of {action}")
    _json(world, dump(replace(outcome, value=None)), f"the outcome of {action}")
    expected = _facts(before)
    for change in outcome.changes:
        for value in (change.before, change.after):
            _check_facts(world, {change.fact: value}, f"changes of {action}")
        was = before.facts.get(change.fact) or 0
        _require((change.before or 0) == was, world, f"{action} says {change.fact} was {change.before}, it was {was}")
        expected[change.fact] = change.after
    expected = {fact: value for fact, value in expected.items() if value}
    now = world.observe()
    _check_observation(world, now)
    seen = _facts(now)
    if seen != expected:
        wrong = sorted(str(f) for f in seen.keys() | expected.keys() if seen.get(f) != expected.get(f))
        first = Fact.parse(wrong[0])
        raise AssertionError(
            f"world {world.spec.name!r}: after {action} its changes lead to {first} = {expected.get(first, 0)}, but it "
            f"observes {seen.get(first, 0)} ({len(wrong)} such facts); changes must be complete"
        )
    if outcome.ok:
        _require(not outcome.unmet, world, f"{action} succeeded with unmet conditions {outcome.unmet}")
        return
    for atom in outcome.unmet or ():
        _check_atom(world, atom, f"unmet of {action}")
        # a seeking primitive has moved since, and names what it did not find on its way
        if primitive.seeks is None:
            _require(not before.holds(atom), world, f"{action} failed for want of {atom}, which held")
    if "reasons" in world.spec.capabilities:
        _require(outcome.unmet, world, f"{action} was afforded and failed without reasons, which the world announces")


def _check_walk(world: World, seed: int, steps: int) -> list[Action]:
    rng = random.Random(seed)
    world.reset(seed)
    _check_observation(world, world.observe())
    twice = _facts(world.observe()) == _facts(world.observe())
    _require(twice, world, "observing changed what is observed")
    done: list[Action] = []
    for _ in range(steps):
        _check_telling(world)
        before, action = world.observe(), _choose(world, rng)
        if action is None:
            break
        outcome = _act(world, action)
        _check_outcome(world, action, before, outcome)
        done.append(action)
        if outcome.done:
            break
    _require(done, world, "nothing could be tried: give affordances, or a primitive without parameters")
    if outcome.done:
        _check_end(world, done[-1], seed)
    return done


def _check_end(world: World, action: Action, seed: int) -> None:
    """A world that has ended says so, does nothing more, and begins anew."""
    _require("ends" in world.spec.capabilities, world, f"{action} ended it, and it does not announce 'ends'")
    assert isinstance(world, Ending)
    _require(world.ended(), world, f"{action} ended it, and ended() gives no reason")
    before = _facts(world.observe())
    again = _act(world, action)
    _require(again.done and not again.ok, world, f"it has ended, and {action} was answered with {again}")
    _require(_facts(world.observe()) == before, world, f"it has ended, and {action} changed it")
    world.reset(seed)
    _require(not world.ended(), world, f"it was reset to seed {seed}, and ended() still says {world.ended()!r}")


def _check_evaluation(make_world: Callable[[], World], seed: int, actions: Sequence[Action]) -> None:
    """What an evaluation hands out does as the world itself, and has nothing that is for training."""
    world, own = make_world(), make_world()
    own.reset(seed)
    handed = for_evaluation(world, seed)
    portable = "portable" in world.spec.capabilities
    kept = {"checkpoint"} if portable else set()
    shown = sorted(handed.spec.capabilities & (TRAINING_ONLY - kept))
    _require(not shown, world, f"an evaluation hands it out with {shown}, which are for training")
    for capability in sorted(TRAINING_ONLY - kept):
        protocol = _CAPABILITIES[capability]
        practice = capability == "practice" and "practice" not in world.spec.capabilities
        has = protocol is not None and not practice and isinstance(handed, protocol)
        _require(not has, world, f"an evaluation hands it out with the methods of {capability!r}")
    try:
        handed.reset(seed)
    except InputError:
        pass
    else:
        _require(False, world, "an evaluation hands it out with a reset")
    if "seed" in world.spec.capabilities:
        what = "as an evaluation hands it out it parts from itself"
        _same(world, _run(own, actions), _run(handed, actions), actions, what)


def _run(world: World, actions: Sequence[Action]) -> list[tuple[Outcome, dict[Fact, Value]]]:
    return [(_act(world, action), _facts(world.observe())) for action in actions]


def _same(world: World, one: list[Any], other: list[Any], actions: Sequence[Action], what: str) -> None:
    for action, left, right in zip(actions, one, other, strict=True):
        _require(left == right, world, f"{what}: {action} gave {str(left)[:300]} and then {str(right)[:300]}")


def _replayed(make_world: Callable[[], World], seed: int, actions: Sequence[Action]) -> World:
    world = make_world()
    world.reset(seed)
    _run(world, actions)
    return world


def _check_seed(make_world: Callable[[], World], seed: int, actions: Sequence[Action]) -> None:
    world, other = make_world(), make_world()
    first = _facts(world.reset(seed))
    _require(first == _facts(other.reset(seed)), world, f"two worlds reset to seed {seed} begin differently")
    results = _run(world, actions)
    _same(world, results, _run(other, actions), actions, f"two worlds of seed {seed} part")
    again = _facts(world.reset(seed))
    _require(again == first, world, f"a second reset({seed}) begins differently: something was left over")
    _same(world, results, _run(world, actions), actions, f"a second run of seed {seed} parts from the first")


def _check_clone(world: World, seed: int, steps: int) -> None:
    assert isinstance(world, Cloneable)
    before = _facts(world.observe())
    twin, third = world.clone(), world.clone()
    _require(_facts(twin.observe()) == before, world, "a clone observes something else than its original")
    rng = random.Random(seed + 1)
    actions: list[Action] = []
    results = []
    while len(actions) < steps and (action := _choose(twin, rng)) is not None:
        actions.append(action)
        results.append((_act(twin, action), _facts(twin.observe())))
        unmoved = _facts(world.observe()) == before
        _require(unmoved, world, f"{action} on a clone changed the original")
    after = _facts(twin.observe())
    _same(world, results, _run(world, actions), actions, "a clone and its original part (luck is part of the state)")
    _require(_facts(twin.observe()) == after, world, "acting on the original changed a clone")
    _require(_facts(third.observe()) == before, world, "acting on the original changed a second clone")


def _check_checkpoint(make_world: Callable[[], World], seed: int, done: Sequence[Action], steps: int) -> None:
    world, other = _replayed(make_world, seed, done), make_world()
    assert isinstance(world, Checkpointed)
    assert isinstance(other, Checkpointed)
    state = world.save()
    _json(world, state, "the checkpoint")
    written = json.dumps(state)
    other.reset(seed + 1)
    other.load(json.loads(written))
    same = _facts(other.observe()) == _facts(world.observe())
    _require(same, world, "a world loaded from a checkpoint observes something else than the saved one")
    rng = random.Random(seed + 2)
    for _ in range(steps):
        action = _choose(world, rng)
        if action is None:
            break
        here, there = _run(world, [action]), _run(other, [action])
        _same(world, here, there, [action], "a world loaded from a checkpoint parts from the saved one")
    _require(json.dumps(state) == written, world, "acting changed a checkpoint that was made before")


def _check_portable(make_world: Callable[[], World], seed: int, done: Sequence[Action], steps: int) -> None:
    world = _replayed(make_world, seed, done)
    assert isinstance(world, Portable)
    maker, options = world.maker()
    _json(world, dict(options), "the options of its maker")
    module, _, name = maker.partition(":")
    try:
        other = operator.attrgetter(name)(importlib.import_module(module))(**json.loads(json.dumps(dict(options))))
    except Exception as error:
        _require(False, world, f"its maker {maker!r} cannot be called with {dict(options)!r}: {error!r}")
    _require(other.spec.fingerprint == world.spec.fingerprint, world, "its maker makes a world of another fingerprint")
    other.load(json.loads(json.dumps(world.save())))
    rng = random.Random(seed + 4)
    for _ in range(steps):
        action = _choose(world, rng)
        if action is None:
            break
        here, there = _run(world, [action]), _run(other, [action])
        _same(world, here, there, [action], "a world made elsewhere and loaded parts from this one")
    same = json.dumps(world.save(), sort_keys=True) == json.dumps(other.save(), sort_keys=True)
    _require(same, world, "a world made elsewhere saves another state than this one after the same actions")


def _check_simulator(world: World, seed: int, steps: int) -> None:
    assert isinstance(world, Imaginable)
    before = _facts(world.observe())
    belief = world.simulator()
    one, two = belief.imagine(seed), belief.imagine(seed)
    same = _facts(one.observe()) == before
    _require(same, world, "an imagined world disagrees with what was observed")
    if isinstance(world, Affording) and isinstance(one, Affording):
        known = list(world.affordances()) == list(one.affordances())
        _require(known, world, "an imagined world affords other actions than what was observed allows")
    rng = random.Random(seed + 3)
    for _ in range(steps):
        action = _choose(one, rng)
        if action is None:
            break
        here, there = _run(one, [action]), _run(two, [action])
        _same(world, here, there, [action], f"imagine({seed}) twice gives worlds that part")
    _require(_facts(world.observe()) == before, world, "acting in an imagined world changed the true one")
    later = belief.imagine(seed)
    _require(_facts(later.observe()) == before, world, "acting in an imagined world changed the belief")

"""Living by skills: the cheapest goal first, by what is left to be done; stocks; and no skill for ever."""

from __future__ import annotations

from dataclasses import replace

import pytest

from habilis.agent.living import Living, Turn
from habilis.core import (
    Action,
    Condition,
    Contract,
    Effect,
    Fact,
    Goal,
    Predicate,
    Primitive,
    Skill,
    Snapshot,
    Trial,
    Value,
    WorldSpec,
)
from habilis.testing.journal import example_skill

SPEC = WorldSpec(
    "yard",
    "A yard.",
    (Primitive("make", "Make something."),),
    (
        Predicate("count", "what one has", numeric=True),
        Predicate("water", "how much one has drunk", numeric=True, context=True),
    ),
    "yard-1",
)


def skill(name: str, cost: float, calls: tuple[str, ...] = ()) -> Skill:
    plain = example_skill(name, calls=calls)
    trials = tuple(Trial(n, {"n": n}, True, int(cost * n)) for n in (1, 5))
    return replace(plain, cost=cost, evidence=replace(plain.evidence, trials=trials))


def goal(name: str) -> Goal:
    return Goal.parse(f'count("{name}") >= 1')


def seen(**held: Value) -> Snapshot:
    return Snapshot({Fact("count", (name,)): n for name, n in held.items()})


def turn(living: Living, now: Snapshot, steps: int = 0) -> Turn:
    found = living.next(now, steps)
    assert found is not None
    return found


def test_the_cheapest_comes_first_and_what_is_met_is_done() -> None:
    living = Living([skill("axe", 9), skill("log", 2)], [goal("axe"), goal("log"), goal("moon")], SPEC)
    assert turn(living, seen()).skill.name == "log"
    assert turn(living, seen(log=1)).skill.name == "axe"
    assert living.next(seen(log=1, axe=1), 0) is None
    assert living.next(seen(), 0) is None, "what was done is done, though it be used up"


def test_what_is_met_already_makes_what_calls_it_cheaper() -> None:
    skills = [skill("log", 20), skill("axe", 25, ("log",)), skill("pond", 10)]
    goals = [goal("axe"), goal("pond")]
    assert turn(Living(skills, goals, SPEC), seen()).skill.name == "pond"
    assert turn(Living(skills, goals, SPEC), seen(log=1)).skill.name == "axe"


def test_a_skill_that_gets_nowhere_gives_way_and_comes_again() -> None:
    living = Living([skill("axe", 40), skill("log", 30)], [goal("axe"), goal("log")], SPEC)
    first = turn(living, seen())
    assert first.skill.name == "log"
    limit = first.steps
    assert 60 <= limit < 1_000
    living.ended(first, seen(), limit)
    second = turn(living, seen(), limit)
    assert second.skill.name == "axe"
    living.ended(second, seen(), 2 * limit)
    again = turn(living, seen(), 2 * limit)
    assert again.skill.name == "log"
    assert again.steps > limit


def test_one_that_can_do_nothing_rests() -> None:
    living = Living([skill("axe", 40)], [goal("axe")], SPEC)
    living.ended(turn(living, seen(), 7), seen(), 7)
    assert living.next(seen(), 8) is None
    assert living.next(seen(), 500) is not None


def test_a_skill_that_fails_a_thousand_times_is_no_end_of_the_life() -> None:
    living = Living([skill("axe", 40)], [goal("axe")], SPEC)
    for steps in range(1_200):
        living.ended(turn(living, seen(), steps), seen(), steps + 1)
    assert turn(living, seen(), 1_200).steps > 1_000


def test_as_much_is_taken_as_the_other_goals_use_up() -> None:
    def made(thing: str, **uses: int) -> Contract:
        needs = tuple(Condition(goal(n).atoms[0], float(k)) for n, k in uses.items())
        return Contract(Action("make", (thing,)), "yard-1", needs, (Effect(Fact("count", (thing,)), 1.0),))

    skills = [skill("log", 4), skill("axe", 40), skill("raft", 60)]
    goals, contracts = [goal("log"), goal("axe"), goal("raft")], [made("axe", log=2), made("raft", log=4)]
    assert turn(Living(skills, goals, SPEC), seen()).args == {"n": 1}
    assert turn(Living(skills, goals, SPEC, contracts), seen()).args == {"n": 6}
    assert turn(Living(skills, goals[:2], SPEC, contracts), seen()).args == {"n": 2}
    dear = [skill("log", 30), *skills[1:]]
    assert turn(Living(dear, goals, SPEC, contracts), seen()).args == {"n": 1}, "not of what takes long"


@pytest.mark.parametrize(("left", "name"), [(8, "axe"), (1, "drink")])
def test_the_own_condition_is_the_more_urgent_the_less_there_is(left: int, name: str) -> None:
    thirst = replace(example_skill("drink", goal="water() >= 9", parameters=()), cost=1.0)
    living = Living([skill("axe", 20), thirst], [Goal.parse("water() >= 9"), goal("axe")], SPEC)
    assert living.next(Snapshot({Fact("water"): 9, Fact("count", ("axe",)): 1}), 0) is None
    living = Living([skill("axe", 20), thirst], [Goal.parse("water() >= 9"), goal("axe")], SPEC)
    first = turn(living, Snapshot({Fact("water"): left}))
    assert first.skill.name == name
    if name == "drink":
        living.ended(first, Snapshot({Fact("water"): 9}), 5)
        assert turn(living, Snapshot({Fact("water"): 1}), 5).skill.name == "axe", "it was worked for once"


def test_of_what_mostly_takes_the_way_there_more_costs_little() -> None:
    far = skill("iron", 60)
    runs = tuple(Trial(n, {"n": n}, True, 50 + 10 * n) for n in (1, 2, 5))
    far = replace(far, evidence=replace(far.evidence, trials=runs), cost=37.0)  # by the piece, which misleads
    near = skill("coal", 50)
    goals = [goal("iron"), goal("coal")]
    assert turn(Living([far, near], goals, SPEC), seen()).skill.name == "coal"
    uses = (Condition(goal("iron").atoms[0], 3.0),)
    raft = Contract(Action("make", ("raft",)), "yard-1", uses, (Effect(Fact("count", ("raft",)), 1.0),))
    living = Living([far, near, skill("raft", 90)], [*goals, goal("raft")], SPEC, [raft])
    living.ended(turn(living, seen()), seen(coal=1), 50)
    assert turn(living, seen(coal=1), 50).args == {"n": 3}


def test_what_is_called_on_the_way_and_used_by_others_too_comes_first_and_no_more_than_was_proven() -> None:
    def made(thing: str, logs: float) -> Contract:
        needs = (Condition(goal("log").atoms[0], logs),)
        return Contract(Action("make", (thing,)), "yard-1", needs, (Effect(Fact("count", (thing,)), 1.0),))

    log, axe, raft = skill("log", 2), skill("axe", 1, ("log",)), skill("raft", 60, ("log",))
    goals = [goal("log"), goal("axe"), goal("raft")]
    assert turn(Living([log, axe, raft], goals, SPEC), seen()).skill.name == "axe", "the cheapest"
    first = turn(Living([log, axe, raft], goals, SPEC, [made("axe", 1), made("raft", 5)]), seen())
    assert (first.skill.name, first.args) == ("log", {"n": 6})
    first = turn(Living([log, axe, raft], goals, SPEC, [made("axe", 1), made("raft", 50)]), seen())
    assert first.args == {"n": 8}, "half as much again as was ever proven"


def test_what_is_needed_at_several_places_at_once_is_reckoned_with() -> None:
    near = tuple(Condition(Goal.parse(f'near("{k}")').atoms[0]) for k in ("bench", "fire"))
    spec = replace(SPEC, primitives=(*SPEC.primitives, Primitive("go", "Go to it.", seeks="near")))

    def put(thing: str, logs: float) -> Contract:
        effect = Effect(Fact("near", (thing,)), value=True, seen=1)
        return Contract(Action("put", (thing,)), "yard-1", (Condition(goal("log").atoms[0], logs),), (effect,), 1)

    def lamp(*needs: Condition) -> Contract:
        return Contract(Action("make", ("lamp",)), "yard-1", needs, (Effect(Fact("count", ("lamp",)), 1.0),), 1)

    skills, goals = [skill("log", 2), skill("lamp", 90)], [goal("log"), goal("lamp")]
    both = Living(skills, goals, spec, [put("bench", 2), put("fire", 3), lamp(*near)])
    assert turn(both, seen()).args == {"n": 5}
    one = Living(skills, goals, spec, [put("bench", 2), put("fire", 3), lamp(near[0])])
    assert turn(one, seen()).args == {"n": 1}, "that one is returned to"

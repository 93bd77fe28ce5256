"""The conformance suite of selectors.

from habilis.testing.selector import check_pick, check_selector, pools

def test_mine():
    check_selector(MySelector)

@given(pools())
def test_mine_keeps_every_rule(case):
    check_pick(MySelector(), *case)

What a selector maximises is its own affair; that limits are kept, needs are met and reasons are true is not.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from habilis.core import (
    Augmentation,
    Budget,
    Candidate,
    Choice,
    Cost,
    Goal,
    Kind,
    MissingExtraError,
    Selection,
    Selector,
    Task,
)
from habilis.core.budget import KINDS
from habilis.tools import value_of

__all__ = ["TASK", "check_pick", "check_selector", "pools"]

TASK = Task(Goal.parse('count("stick") >= 1'), "craft", 0, "have a stick")
_ROUNDING = 1 + 1e-9


def check_selector(make_selector: Callable[[], Selector]) -> None:
    """The fixed cases. Raises `AssertionError` saying what is wrong."""
    selector = make_selector()

    def picked(pool: Sequence[Candidate], limit: Budget | None = None) -> list[str]:
        return sorted(a.name for a in check_pick(selector, pool, limit or Budget(), value=None).taken)

    assert picked([]) == [], "of nothing, nothing is taken"
    assert picked([_thing("far", 0.0)]) == [], "nothing is taken whose chance is 0"
    assert picked([_thing("near", 0.9), _thing("far", 0.0)]) == ["near"], "what helps and is free is taken"
    paid, free = _thing("paid", 0.9, Cost(usd=0.02)), _thing("free", 0.5)
    assert picked([paid, free], Budget(usd=0)) == ["free"], "without money, what is free"
    assert picked([paid], Budget(usd=0.01)) == [], "where all is too dear, nothing"
    a, b = _thing("a", 0.6, text="the same"), _thing("b", 0.6, text="the same")
    assert set(picked([a, b])) <= {"a", "b"}, "two with one text are two"
    assert len(picked([_thing(n, 0.6, provides="p") for n in "ab"])) == 1, "of those that provide the same, one"
    top, base = _thing("top", 0.9, Cost(calls=1), requires=("tool:base",)), _thing("base", 0.0, Cost(calls=2))
    assert picked([top, base], Budget(calls=3)) == ["base", "top"], "what is required comes along"
    assert picked([top, base], Budget(calls=2)) == [], "and is paid for"
    assert picked([top]) == [], "what requires something that is not there is not taken"
    ring = [_thing("x", 0.9, requires=("tool:y",)), _thing("y", 0.0, requires=("tool:x",))]
    assert picked(ring) == ["x", "y"], "two that require each other are taken together"
    split = [_thing("x", 0.9, requires=("tool:y",), provides="p"), _thing("y", 0.0, provides="p")]
    assert picked(split) == [], "what requires a rival of itself cannot be taken"
    tied = [_thing(n, 0.5, Cost(calls=1)) for n in "dcba"]
    first = selector.pick(TASK, tied, Budget(calls=2))
    assert selector.pick(TASK, tied[::-1], Budget(calls=2)) == first, "the order of the pool decides nothing"
    assert make_selector().pick(TASK, tied, Budget(calls=2)) == first, "the same arguments, the same selection"


def check_pick(
    selector: Selector,
    pool: Sequence[Candidate],
    limit: Budget,
    *,
    max_items: int | None = None,
    max_context: int | None = None,
    value: Callable[[Selection], float] | None = value_of,
) -> Selection:
    """One selection, against every rule; returns it. Raises `AssertionError` saying which is broken.

    ``max_items``, ``max_context``: the selector's own limits. ``value``: what it maximises, so that "worth" is checked
    where it is the reason; None: it is not.
    """
    selection = selector.pick(TASK, pool, limit)
    given = {c.augmentation.id: c for c in pool}
    things = {id: c.augmentation for id, c in given.items()}
    by_name = _names(things)
    needs = {id: _closure(things, by_name, id) for id in things}
    taken = {a.id for a in selection.taken}
    considered = [c.augmentation.id for c in selection.choices]
    assert len(considered) == len(set(considered)), f"{considered}: one is listed twice"
    assert set(considered) == set(given), "every candidate must be listed, and nothing else"
    for choice in selection.choices:
        candidate = given[choice.augmentation.id]
        assert choice.augmentation == candidate.augmentation, f"{choice.augmentation.id} was changed"
        assert (choice.relevance, choice.success) == (candidate.relevance, candidate.success), "numbers are handed on"
        assert choice.why, f"{choice.augmentation.id} has no reason"
        assert not (choice.taken and choice.blocked), f"{choice.augmentation.id} was taken, and blocked"
    over = _over(selection.taken, limit, max_items, max_context)
    assert not over, f"{sorted(taken)}: passes {', '.join(over)}"
    total = Cost()
    for choice in selection.choices:
        if choice.taken:
            total = total + choice.augmentation.cost
    assert selection.cost == total, f"costs {total}, says {selection.cost}"
    for id in taken:
        closure, missing = needs[id]
        assert not missing, f"{id} was taken, and requires {missing}, which is not there"
        assert closure <= taken, f"{id} was taken without {sorted(closure - taken)}, which it requires"
    wanted = {id for id in taken if given[id].success > 0}
    reached: set[str] = set().union(*(needs[id][0] for id in wanted))
    assert taken <= reached, f"{sorted(taken - reached)}: taken, with no chance to help, and required by nothing"
    for choice in selection.choices:
        if choice.blocked:
            closure, missing = needs[choice.augmentation.id]
            held = [t for id, t in things.items() if id in taken | closure]
            over = _over(held, limit, max_items, max_context)
            _check_reason(choice, selection, {t.id for t in held}, missing, over, value)
    return selection


def _check_reason(
    choice: Choice,
    selection: Selection,
    more: set[str],
    missing: str,
    over: Sequence[str],
    value: Callable[[Selection], float] | None,
) -> None:
    """`Choice.blocked` means what it says. ``more``: what would be taken with it; ``over``: what that would pass."""
    id, reason = choice.augmentation.id, choice.blocked
    if reason == "requires":
        assert missing, f"{id}: {reason}, and all it requires is there"
    elif reason == "chance":
        assert choice.success == 0, f"{id}: {reason}, and its chance is {choice.success}"
    elif reason == "worth":
        if value is not None:
            choices = [replace(c, taken=c.augmentation.id in more) for c in selection.choices]
            gain = value(replace(selection, choices=tuple(choices))) - value(selection)
            assert gain <= 1e-9, f"{id}: {reason}, and with it the value rises by {gain}"
    else:
        assert reason in over, f"{id}: {reason}, and with it only {over or 'nothing'} would be passed"


def _over(held: Sequence[Augmentation], limit: Budget, max_items: int | None, max_context: int | None) -> list[str]:
    """What these would pass, by the names that `Choice.blocked` has."""
    over = []
    for kind in KINDS:
        most = getattr(limit, kind)
        if most is not None and sum(getattr(t.cost, kind) for t in held) > most * _ROUNDING:
            over.append(kind)
    if max_context is not None and sum(t.context for t in held) > max_context:
        over.append("context")
    if max_items is not None and len(held) > max_items:
        over.append("items")
    provided = [t.provides for t in held if t.provides]
    if len(provided) > len(set(provided)):
        over.append("provides")
    return over


def _names(things: Mapping[str, Augmentation]) -> dict[str, str]:
    """The first id of each name."""
    return {things[id].name: id for id in sorted(things, reverse=True)}


def _closure(things: Mapping[str, Augmentation], by_name: Mapping[str, str], start: str) -> tuple[set[str], str]:
    """A thing with all that it requires, and a requirement that nothing meets, "" if none. Required is an id; else a
    name, of the same kind first, then of the first id."""
    seen, todo, missing = {start}, [start], ""
    while todo:
        thing = things[todo.pop()]
        for name in thing.requires:
            found = next((i for i in (name, f"{thing.kind.value}:{name}") if i in things), by_name.get(name))
            if found is None:
                missing = missing or name
            elif found not in seen:
                seen.add(found)
                todo.append(found)
    return seen, missing


def pools(*, most: int = 9) -> Any:
    """A hypothesis strategy: (pool, limit) of up to so many candidates of all kinds, with costs, context, requirements
    (some of what is not there, some in circles) and rivals. Raises `MissingExtraError` without it."""
    try:
        from hypothesis import strategies as st
    except ImportError as error:
        raise MissingExtraError("these examples need hypothesis: pip install hypothesis") from error

    @st.composite
    def cases(draw: st.DrawFn) -> tuple[list[Candidate], Budget]:
        size, tens = draw(st.integers(0, most)), st.integers(0, 10)
        pool = [
            Candidate(
                Augmentation(
                    draw(st.sampled_from([Kind.TOOL, Kind.TOOL, *Kind])),
                    f"t{i}",
                    "text",
                    Cost(usd=draw(tens) / 10, world_steps=draw(tens)),
                    draw(st.sampled_from(["", "", "x", "y"])),
                    tuple(draw(st.lists(st.integers(0, size).map(lambda n: f"t{n}"), max_size=2))),
                    context=100 * draw(tens),
                ),
                draw(tens) / 10,
                draw(tens) / 10,
            )
            for i in range(size)
        ]
        return pool, Budget(usd=draw(st.none() | tens.map(lambda n: n / 5)), world_steps=draw(st.none() | tens))

    return cases()


def _thing(name: str, chance: float, cost: Cost | None = None, text: str = "", **rest: Any) -> Candidate:
    return Candidate(Augmentation(Kind.TOOL, name, text or name, cost or Cost(), **rest), chance, chance)

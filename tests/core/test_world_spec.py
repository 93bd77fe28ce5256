"""What a world's spec says of itself."""

from __future__ import annotations

from habilis.core import Atom, Fact, Predicate, Primitive, WorldSpec

SPEC = WorldSpec(
    "shed",
    "",
    (Primitive("find", "", seeks="here"), Primitive("dig", "")),
    (Predicate("here", "", numeric=True), Predicate("open", ""), Predicate("depth", "", numeric=True, context=True)),
    "f",
)


def test_what_looks_what_is_looked_for_and_what_is_context() -> None:
    assert (SPEC.seeking, SPEC.sought, SPEC.contexts) == ({"find"}, {"here"}, {"depth"})


def test_a_number_is_present_from_one_on_and_a_truth_value_where_it_is_true() -> None:
    stone, door = Fact("here", ("stone",)), Fact("open", ("door",))
    assert SPEC.present(stone) == Atom(stone, ">=", 1)
    assert SPEC.present(door) == Atom(door)
    unknown = Fact("invented", ())
    assert SPEC.present(unknown) == Atom(unknown)

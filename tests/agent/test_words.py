"""Words into goals and back: by rules, by a mind, by a chat model; always checked."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from habilis.agent.words import check_goal, goal_to_words, words_to_goal
from habilis.core import (
    Atom,
    Budget,
    BudgetExceeded,
    Fact,
    Goal,
    GoalSyntaxError,
    HabilisError,
    InputError,
    Ledger,
    NotFoundError,
    Parameter,
    Predicate,
    Snapshot,
    WorldSpec,
    judged,
)
from habilis.testing.chat import ScriptedChatModel
from habilis.worlds.craft import CraftWorld, rules

SPEC = WorldSpec(
    "farm",
    "A farm.",
    (),
    (
        Predicate("count", "how many you have", (Parameter("item"),), numeric=True, phrase="have {value} {0}"),
        Predicate("near", "whether it is in reach", (Parameter("station"),), phrase="be near a {0}"),
        Predicate("on", "what lies on what", (Parameter("thing"), Parameter("place")), phrase="{0} is on the {1}"),
        Predicate("depth", "how deep", numeric=True, phrase="be at depth {value}"),
        Predicate(
            "killed", "how many were killed", (Parameter("mob"),), numeric=True, phrase="have killed {value} {0}"
        ),
        Predicate("lit", "whether it burns", (Parameter("lamp"),)),
        Predicate("moisture", "of a bed", (Parameter("bed", "int"),), numeric=True),
    ),
    "f1",
    tags={"#planks": frozenset({"oak_planks", "birch_planks"})},
)
KNOWN = (
    "stick", "oak_planks", "birch_planks", "flint_and_steel", "iron_pickaxe", "furnace", "apple", "crafting_table",
    "bookshelf", "lamp", "cow", "sweet_berries", "torch", "loaf",
)  # fmt: skip


def _goal(text: str, **more: object) -> Goal:
    return words_to_goal(text, SPEC, Snapshot(), known=KNOWN, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "goal"),
    [
        ("get four sticks", 'count("stick") >= 4'),
        ("Please craft an iron pickaxe.", 'count("iron_pickaxe") >= 1'),
        ("could you please get me some sweet berries?", 'count("sweet_berries") >= 1'),
        ("collect 12 oak-planks and 2 sticks", 'count("oak_planks") >= 12 and count("stick") >= 2'),
        ("get flint and steel", 'count("flint_and_steel") >= 1'),
        (
            "make flint and steel, a torch and go to the furnace",
            'count("flint_and_steel") >= 1 and count("torch") >= 1 and near("furnace")',
        ),
        ("I want to have a dozen planks", 'count("#planks") >= 12'),
        ("have at least 3 torches", 'count("torch") >= 3'),
        ("have exactly twenty-four apples", 'count("apple") == 24'),
        ("have fewer than twenty four apples", 'count("apple") < 24'),
        ("have 3 loaves and two bookshelves", 'count("loaf") >= 3 and count("bookshelf") >= 2'),
        ("stand near a crafting table", 'near("crafting_table")'),
        ("not near the furnace", 'not near("furnace")'),
        ("the apple is on the crafting table", 'on("apple", "crafting_table")'),
        ("be at depth 2", "depth() >= 2"),
        ("kill 3 cows", 'killed("cow") >= 3'),
        ("lit lamp", 'lit("lamp")'),
        ("moisture 3 at least 2.5", "moisture(3) >= 2.5"),
        (' count("stick")>=4 and near("furnace") ', 'count("stick") >= 4 and near("furnace")'),
    ],
)
def test_plain_words_become_goals(text: str, goal: str) -> None:
    assert str(_goal(text)) == goal


@pytest.mark.parametrize(
    ("text", "error", "says"),
    [
        ('cuont("stick") >= 4', NotFoundError, "did you mean 'count'"),
        ('count("stik") >= 4', NotFoundError, "did you mean 'stick'"),
        ("get me a stik", NotFoundError, "did you mean 'stick'"),
        ("count('stick')", InputError, 'count("item") >= 1'),
        ("near('furnace') == 3", InputError, 'near("station")'),
        ("near('furnace', 'lamp')", InputError, "2 arguments"),
        ("count(3) >= 1", InputError, "text in quotes"),
        ("moisture('wet') >= 1", InputError, "is a number"),
        ("count('stick' >= 4)", GoalSyntaxError, "cannot read"),
        ("bring about world peace", NotFoundError, 'count("item") >= 1'),
        ("world peace", InputError, 'count("item") >= 1'),
        ("get 4 sticks and world peace", HabilisError, "."),
        ("", InputError, "1 to 1000"),
        ("x" * 2000, InputError, "1 to 1000"),
    ],
)
def test_what_is_not_understood_says_what_would_be(text: str, error: type[Exception], says: str) -> None:
    with pytest.raises(error) as caught:
        _goal(text)
    assert says in str(caught.value)


def test_where_nothing_is_known_any_one_name_will_do() -> None:
    assert str(words_to_goal("get 3 gizmos", SPEC, Snapshot())) == 'count("gizmos") >= 3'
    assert str(words_to_goal('have 2 "old keys"', SPEC, Snapshot())) == 'count("old keys") >= 2'


def test_names_that_are_observed_are_known_too() -> None:
    snapshot = Snapshot({Fact("count", ("gold_nugget",)): 1})
    assert str(words_to_goal("get 3 gold nuggets", SPEC, snapshot, known=KNOWN)) == 'count("gold_nugget") >= 3'


def test_the_mind_is_asked_before_the_chat_model_and_checked() -> None:
    chat = ScriptedChatModel(['count("torch") >= 2'])
    said = _goal("light my way", mind_parse=lambda text: 'count("torch") >= 9', chat=chat, ledger=Ledger())
    assert str(said) == 'count("torch") >= 9'
    assert chat.calls == []
    for bad in ('count("tarch") >= 9', "gibberish", None, 'Judged("x") and 1'):
        chat = ScriptedChatModel(['count("torch") >= 2'])
        said = _goal("light my way", mind_parse=lambda text, bad=bad: bad, chat=chat, ledger=Ledger())
        assert str(said) == 'count("torch") >= 2'


def test_rules_come_before_any_model() -> None:
    chat = ScriptedChatModel([])
    assert str(_goal("get four sticks", chat=chat, ledger=Ledger())) == 'count("stick") >= 4'


def test_the_chat_model_may_correct_itself_once() -> None:
    chat = ScriptedChatModel(['count("tarch") >= 2', '```\ngoal: count("torch") >= 2\n```'])
    assert str(_goal("light my way", chat=chat, ledger=Ledger())) == 'count("torch") >= 2'
    assert "did you mean 'torch'" in chat.calls[1][-1][1]
    chat = ScriptedChatModel(["no idea", "still none"])
    assert _goal("light my way", chat=chat, ledger=Ledger()) == judged("light my way")


def test_what_the_world_cannot_check_is_left_to_a_judge() -> None:
    assert _goal("bring about world peace", chat=ScriptedChatModel(["JUDGED"]), ledger=Ledger()) == judged(
        "bring about world peace"
    )


def test_asking_a_chat_model_takes_an_account_that_can_pay() -> None:
    chat = ScriptedChatModel(["JUDGED"])
    with pytest.raises(InputError, match="ledger="):
        _goal("world peace", chat=chat)
    with pytest.raises(BudgetExceeded):
        _goal("world peace", chat=chat, ledger=Ledger(Budget(usd=None, calls=0)))
    assert chat.calls == []


def test_goals_read_well_in_words() -> None:
    goal = Goal.parse('count("oak_planks") >= 4 and near("crafting_table") and not lit("lamp") and count("stick") < 9')
    assert goal_to_words(goal, SPEC) == (
        "have 4 oak planks and be near a crafting table and not lit lamp and have fewer than 9 stick"
    )
    assert goal_to_words(judged("be happy"), SPEC) == "be happy"
    assert goal_to_words(Goal.parse('count("#planks") >= 1'), SPEC) == "have 1 any planks"


_names = st.sampled_from([*KNOWN, "#planks"])
_counts = st.integers(0, 500) | st.floats(0, 1e6, allow_nan=False).filter(lambda x: not x.is_integer())
_atoms = st.one_of(
    st.builds(
        lambda p, a, op, v: Atom(Fact(p, (a,)), op, v),
        st.sampled_from(["count", "killed"]),
        _names,
        st.sampled_from([">=", "<=", "==", ">", "<", "!="]),
        _counts,
    ),
    st.builds(lambda a, v: Atom(Fact("near", (a,)), "==", v), _names, st.booleans()),
    st.builds(lambda a, b, v: Atom(Fact("on", (a, b)), "==", v), _names, _names, st.booleans()),
    st.builds(lambda v: Atom(Fact("depth"), ">=", v), st.integers(0, 9)),
    st.builds(lambda b, v: Atom(Fact("moisture", (b,)), ">=", v), st.integers(0, 9), _counts),
)
_goals = st.lists(_atoms, min_size=1, max_size=4, unique=True).map(lambda a: Goal(tuple(a)))


def test_the_words_of_a_real_world_are_understood() -> None:
    world = CraftWorld()
    seen = world.reset(0)
    known = sorted(rules(None).items)
    for text, goal in (
        ("get 4 oak planks and an iron ingot", 'count("oak_planks") >= 4 and count("iron_ingot") >= 1'),
        ("be near a furnace", 'near("furnace")'),
        ("stand at stone", 'here("stone") >= 1'),
        ("make a flint and steel", 'count("flint_and_steel") >= 1'),
    ):
        read = words_to_goal(text, world.spec, seen, known=known)
        assert str(read) == goal
        assert words_to_goal(goal_to_words(read, world.spec), world.spec, seen, known=known) == read
    with pytest.raises(NotFoundError, match="cobblestone"):
        words_to_goal("get cobble", world.spec, seen, known=known)


@given(_goals)
def test_goals_survive_the_way_through_words(goal: Goal) -> None:
    check_goal(goal, SPEC, known=KNOWN)
    assert _goal(goal_to_words(goal, SPEC)) == goal
    assert _goal(str(goal)) == goal


_scraps = st.sampled_from(["get", "4", "and", ",", "not", "a", "near", "stick", "the", "x", "(", "count("])


@given(st.text(max_size=120) | st.lists(_scraps, max_size=12).map(" ".join))
def test_any_text_is_a_goal_of_this_world_or_one_of_our_errors(text: str) -> None:
    try:
        goal = _goal(text)
    except HabilisError:
        return
    check_goal(goal, SPEC, known=KNOWN)


@pytest.mark.parametrize(
    ("text", "goal"),
    [
        ("have 1 a", 'count("a") >= 1'),
        ("have a", 'count("a") >= 1'),
        ("get 3 a and 2 sticks", 'count("a") >= 3 and count("stick") >= 2'),
        ("a is on the an", 'on("a", "an")'),
        ("have a stick", 'count("stick") >= 1'),
        ("have a a", 'count("a") >= 1'),
        ("the stick is on the a", 'on("stick", "a")'),
    ],
)
def test_a_thing_may_be_called_as_an_article_is(text: str, goal: str) -> None:
    known = ("a", "an", "stick")
    assert words_to_goal(text, SPEC, Snapshot(), known=known) == Goal.parse(goal)

"""Augmentations of every kind in one space, and the catalogue over an index that may be in any state."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from habilis.core import (
    Attempt,
    Augmentation,
    Budget,
    Cost,
    Episode,
    Evidence,
    EvidenceLevel,
    Goal,
    InputError,
    Kind,
    NotFoundError,
    Program,
    Skill,
    Task,
    Trajectory,
)
from habilis.memory.embedding import HashEmbedder
from habilis.memory.home import Home
from habilis.memory.index import ChromaIndex, MemoryIndex
from habilis.memory.library import SkillLibrary
from habilis.tools import (
    Catalogue,
    Described,
    Priced,
    Space,
    Use,
    of_document,
    of_episode,
    of_model,
    of_skill,
    of_tool,
    tool,
)

QUERY = HashEmbedder().embed(["a letter about planks, a recipe and a boat"])[0]
STICKS = Task(Goal.parse('count("stick") >= 4'), "craft", 0, "craft four sticks")


@tool(cost=Cost(usd=0.01), provides="search")
def look_up(thing: str) -> Priced:
    """Look up the recipe of a thing.

    Args:
        thing: what to craft
    """
    return Priced(thing, Cost(usd=0.02))


def skill(name: str, doc: str, *calls: str, version: int = 1, world: str = "craft") -> Skill:
    return Skill(
        name,
        version,
        Program(name, f"def {name}(world):\n    pass\n", calls=calls),
        doc,
        'count("x") >= 1',
        world,
        "f1",
        Evidence(EvidenceLevel.VERIFIED, successes=4, failures=1),
        cost=3.2,
        tools=("look_up",) if calls else (),
    )


def test_each_kind_is_described_and_priced() -> None:
    made = of_tool(look_up)
    assert (made.id, made.cost, made.provides) == ("tool:look_up", Cost(usd=0.01, calls=1), "search")
    assert "recipe" in made.text
    assert "what to craft" in made.text
    assert made.meta["signature"] == "look_up(thing: str)"
    able = of_skill(skill("get_sticks", "Get sticks.", "get_planks"))
    assert able.requires == ("skill:get_planks", "tool:look_up")
    assert (able.cost, able.successes, able.uses) == (Cost(world_steps=4), 4, 5)
    paper = of_document("recipe_book", "x" * 3000, cost=Cost(usd=0.1))
    assert (paper.cost, paper.meta["text"]) == (Cost(usd=0.1, tokens=1000), "x" * 3000)
    part = of_document("book#2", "Bake it.", title="Book > Bread", document="book", source="/a/book.md")
    assert part.text == "Book > Bread: Bake it."
    assert (part.meta["document"], part.meta["source"], part.meta["price"]) == ("book", "/a/book.md", {})
    assert of_model("big", "writes programs", Cost(usd=0.05)).id == "model:big"

    program = Program("f", "def f(world):\n    world.craft('stick')\n")
    solved = Episode(7, STICKS, "solved", (Attempt(program, Trajectory(), True),), skill="get_sticks")
    shown = of_episode(solved)
    assert shown.id == "demonstration:7"
    assert (shown.meta["world"], shown.meta["skill"]) == ("craft", "get_sticks")
    assert (shown.meta["title"], shown.meta["text"]) == (shown.text, program.source)
    assert of_episode(solved, "made once").id == "demonstration:made once"
    other = replace(solved, task=replace(STICKS, fingerprint="craft-2"))
    assert of_episode(other).meta["fingerprint"] == "craft-2"
    assert shown.cost.tokens > 10
    with pytest.raises(InputError, match="episode 8 was not solved"):
        of_episode(Episode(8, STICKS, "failed"))


def filled(catalogue: Catalogue) -> Catalogue:
    catalogue.put(
        of_skill(skill("craft_sticks", "Craft sticks from planks.", "get_planks")),
        of_skill(skill("get_planks", "Saw logs.")),
        of_skill(skill("sail_home", "Sail a boat.")),
        of_tool(look_up),
        of_document("mail", "how to write a letter to somebody"),
    )
    return catalogue


def new() -> Catalogue:
    embedder = HashEmbedder()
    return filled(Catalogue(MemoryIndex(embedder.dim), embedder))


def test_pick_brings_what_is_needed_and_stays_in_the_budget() -> None:
    selection = new().pick(STICKS, Budget(usd=1, world_steps=50))
    assert {a.id for a in selection.taken} == {"skill:craft_sticks", "skill:get_planks", "tool:look_up"}
    assert new().pick(STICKS, Budget(usd=0)).taken == ()  # the skill calls a tool that costs money


def test_near_is_by_kind_and_by_world() -> None:
    catalogue = new()
    near = catalogue.near("craft sticks", kinds=[Kind.SKILL], k=1)
    assert [a.id for a in near] == ["skill:craft_sticks", "skill:get_planks", "tool:look_up"]
    for i in range(40):
        catalogue.put(of_skill(skill(f"craft_sticks_{i}", "Craft sticks from planks.", world="other")))
    assert [a.id for a in catalogue.near("craft sticks", kinds=[Kind.SKILL], k=1, world="craft")] == [
        a.id for a in near
    ]
    rules = replace(skill("craft_sticks_now", "Craft sticks from planks."), fingerprint="other rules")
    catalogue.put(of_skill(rules))
    assert catalogue.near("craft sticks now", kinds=[Kind.SKILL], k=1, world="craft")[0].id == "skill:craft_sticks_now"
    own = skill("x", "x").fingerprint
    assert catalogue.near("craft sticks now", kinds=[Kind.SKILL], k=1, world="craft", fingerprint=own) == near
    picked = catalogue.pick(STICKS, Budget(usd=1, world_steps=50), kinds=[Kind.SKILL], fingerprint="other rules")
    assert {a.id for a in picked.taken} == {"skill:craft_sticks_now"}


def test_a_changed_text_is_found_and_a_removed_one_is_not() -> None:
    catalogue = new()
    assert catalogue.near("feed the fish", kinds=[Kind.DOCUMENT])[0].id == "document:mail"
    catalogue.put(of_document("mail", "feed the fish every day"), of_document("letters", "how to write a letter"))
    near = catalogue.near("feed the fish", kinds=[Kind.DOCUMENT], k=1)
    assert [a.id for a in near] == ["document:mail"]
    catalogue.remove("document:mail")
    assert [a.id for a in catalogue.near("feed the fish", kinds=[Kind.DOCUMENT])] == ["document:letters"]
    with pytest.raises(NotFoundError, match="document:mail"):
        catalogue.get("document:mail")
    assert len(catalogue.index.ids(Kind.DOCUMENT)) == 1


def test_a_new_version_of_a_skill_replaces_the_old_one() -> None:
    catalogue = new()
    assert catalogue.near("saw logs", kinds=[Kind.SKILL], k=1)[0].id == "skill:get_planks"
    catalogue.put(of_skill(skill("get_planks", "Buy them from the trader.", version=2)))
    assert catalogue.near("buy from the trader", kinds=[Kind.SKILL], k=1)[0].meta["version"] == 2
    assert "skill:get_planks" not in [a.id for a in catalogue.near("saw logs", kinds=[Kind.SKILL], k=1)]


def test_track_records_add_up_and_survive() -> None:
    catalogue = new()
    catalogue.learn("saw a log", ["skill:get_planks", "tool:look_up"], True)
    catalogue.learn("saw a log", ["tool:look_up"], False)
    assert (catalogue.get("skill:get_planks").successes, catalogue.get("skill:get_planks").uses) == (5, 6)
    assert (catalogue.get("tool:look_up").successes, catalogue.get("tool:look_up").uses) == (1, 2)
    again = new()
    assert again.load(json.loads(json.dumps(catalogue.save())))
    assert again.get("tool:look_up") == catalogue.get("tool:look_up")
    with pytest.raises(NotFoundError):
        catalogue.learn("saw a log", ["skill:get_planks", "tool:unknown"], True)
    assert catalogue.get("skill:get_planks").uses == 6


def test_it_shares_the_index_of_the_skill_library(tmp_path: Path) -> None:
    embedder = HashEmbedder()
    with Home.open(tmp_path / "home") as home:
        library = SkillLibrary.open(home, embedder=embedder)
        kept = [library.admit(skill(n, d), "test") for n, d in [("cut_wood", "Cut wood."), ("dig", "Dig a hole.")]]
        assert kept
        catalogue = Catalogue(library.index, embedder)
        catalogue.put(of_document("mail", "how to write a letter"), *map(of_skill, library.active().values()))
        held = library.index.ids(Kind.SKILL)
        catalogue.sync()
        assert library.index.ids(Kind.SKILL) == held  # the same vectors serve both
        other = Catalogue(library.index, embedder)  # one that has not heard of the skills yet
        other.sync()
        assert library.index.ids(Kind.SKILL) == held
        assert library.search("cut wood")[0].skill.name == "cut_wood"
        assert catalogue.near("cut wood", kinds=[Kind.SKILL], k=1)[0].id == "skill:cut_wood"
        library.close()


def test_an_index_in_any_state_is_brought_in_line(tmp_path: Path) -> None:
    embedder = HashEmbedder()
    index = ChromaIndex(tmp_path / "index", embedder.fingerprint, embedder.dim)
    try:
        index.upsert(Kind.DOCUMENT, ["stale"], embedder.embed(["how to write a letter"]))
        catalogue = filled(Catalogue(index, embedder))
        assert [a.id for a in catalogue.near("write a letter", kinds=[Kind.DOCUMENT])] == ["document:mail"]
        assert "stale" not in index.ids(Kind.DOCUMENT)
        index.delete(Kind.TOOL, sorted(index.ids(Kind.TOOL)))
        catalogue.sync()
        assert [a.id for a in catalogue.near("recipe", kinds=[Kind.TOOL])] == ["tool:look_up"]
    finally:
        index.close()


def test_a_catalogue_may_be_empty() -> None:
    embedder = HashEmbedder()
    catalogue = Catalogue(MemoryIndex(embedder.dim), embedder)
    assert catalogue.near("anything") == []
    assert catalogue.pick(STICKS, Budget()).choices == ()
    with pytest.raises(InputError, match="per_kind"):
        Catalogue(MemoryIndex(4), embedder, per_kind=0)
    assert isinstance(of_tool(look_up), Augmentation)


WORDS = ("rate", "weather", "mail", "flight", "recipe", "map", "song", "tax", "photo", "chess")


def stocked(count: int = 40, space: Space | None = None) -> Catalogue:
    """Tools and documents about one or two things each."""
    embedder = HashEmbedder()
    catalogue = Catalogue(MemoryIndex(embedder.dim), embedder, space=space)
    for i in range(count):
        text = f"{WORDS[i % 10]} {WORDS[i // 10 % 10]} number {i}"
        kind = Kind.TOOL if i % 3 else Kind.DOCUMENT
        catalogue.put(Augmentation(kind, f"t{i}", text))
    return catalogue


@settings(max_examples=30, deadline=None)
@given(
    uses=st.lists(st.tuples(st.integers(0, 39), st.sampled_from(WORDS), st.booleans()), max_size=40),
    asked=st.sampled_from(WORDS),
    k=st.integers(1, 8),
)
def test_the_nearest_are_the_most_relevant_of_all(uses: list[tuple[int, str, bool]], asked: str, k: int) -> None:
    """What lies in the index and what has moved come as if all had been compared one by one."""
    catalogue = stocked()
    for i, word, ok in uses:
        id = f"tool:t{i}" if i % 3 else f"document:t{i}"
        catalogue.learn(f"the {word}, please", [id], ok)
    task = catalogue.embedder.embed([asked])[0]
    for kind in (Kind.TOOL, Kind.DOCUMENT):
        ids = [one for one in catalogue.ids() if one.startswith(kind)]
        described = catalogue.embedder.embed([catalogue.get(one).text for one in ids])
        scores = catalogue.space.relevance(ids, described, task)
        relevance = {one: round(float(score), 6) for one, score in zip(ids, scores, strict=True)}
        found = [a.id for a in catalogue.near(asked, kinds=[kind], k=k)]
        best = sorted(relevance.values(), reverse=True)[:k]
        assert [relevance[one] for one in found] == pytest.approx(best, abs=2e-6)


def test_learning_moves_things_and_leaves_the_index_alone() -> None:
    catalogue = new()
    assert catalogue.near("sew a sail", kinds=[Kind.SKILL], k=1)[0].id == "skill:sail_home"
    held = {kind: {n.id: n.score for n in catalogue.index.query({kind}, QUERY, 99)} for kind in Kind}
    for _ in range(6):
        catalogue.learn("sew a sail", ["skill:get_planks"], True)
    assert catalogue.near("sew a sail", kinds=[Kind.SKILL], k=1)[0].id == "skill:get_planks"
    assert {kind: {n.id: n.score for n in catalogue.index.query({kind}, QUERY, 99)} for kind in Kind} == held
    ids = [a.id for a in catalogue.near("sew a sail", kinds=[Kind.SKILL])]
    assert sorted(ids) == sorted(set(ids))
    still = filled(Catalogue(catalogue.index, catalogue.embedder, space=Described()))
    for _ in range(6):
        still.learn("sew a sail", ["skill:get_planks"], True)
    assert still.near("sew a sail", kinds=[Kind.SKILL], k=1)[0].id == "skill:sail_home"


def test_what_moved_and_is_described_anew_moves_on() -> None:
    one, two = new(), new()
    for catalogue in (one, two):
        catalogue.learn("open the letter", ["document:mail"], True)
    after = of_document("mail", "feed the fish every day")
    one.put(after)
    near = {a.id for a in one.near("feed the fish", kinds=[Kind.DOCUMENT])}
    assert near == {"document:mail"}
    assert one.candidates(task("feed the fish"))[0].relevance > two.candidates(task("feed the fish"))[0].relevance
    again = new()  # which has the new text before it hears what was learned with the old one
    again.put(after)
    assert again.load(json.loads(json.dumps(two.save())))
    assert again.candidates(task("feed the fish")) == one.candidates(task("feed the fish"))


def test_what_was_learned_elsewhere_is_not_taken_over() -> None:
    catalogue = new()
    catalogue.learn("open the letter", ["document:mail"], True)
    saved = dict(catalogue.save())
    for harm in (
        {"embedder": "another"},
        {"space": {"name": "described"}},
        {"space": {"name": "rocchio", "dim": 512, "things": {"document:mail": {"uses": 1, "vectors": "?"}}}},
        {"credit": {"document:mail": 3}},
        {"texts": None},
    ):
        assert not catalogue.load({**saved, **harm})
        assert catalogue.get("document:mail").uses == 0
        assert not catalogue.space.moved()
    assert not catalogue.load({})
    assert catalogue.load(saved)
    assert catalogue.get("document:mail").uses == 1


def test_many_uses_are_learned_at_once_as_one_by_one() -> None:
    uses = [
        Use(f"do {i % 7} things", ["document:mail", "tool:look_up", "tool:gone"][i % 3], i % 4 > 0) for i in range(60)
    ]
    one, all_ = new(), new()
    for use in uses:
        one.learn_all([use])
    all_.learn_all(uses)
    assert one.save() == all_.save()
    assert all_.save()["credit"]["tool:gone"] == [15, 20]  # of what is not here nothing else is known
    assert set(all_.space.moved()) == {"document:mail", "tool:look_up"}


def task(text: str) -> Task:
    return Task(Goal.parse('count("x") >= 1'), "", 0, text)

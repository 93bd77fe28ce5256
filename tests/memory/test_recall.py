"""Recall: cases, contracts, abstention, diversity, the token budget, and what every search keeps to."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from habilis.core import Case, Fact, InputError, Kind, Parameter, Skill, Snapshot
from habilis.memory.home import Home
from habilis.memory.index import MemoryIndex, sync_index
from habilis.memory.library import (
    LibrarySettings,
    Recall,
    Search,
    SkillLibrary,
    estimate_tokens,
    skill_text,
    skill_texts,
)
from habilis.memory.library._calibration import TRUST, chance_of
from habilis.memory.library._lexical import Lexicon
from habilis.testing.embedding import HashEmbedder
from habilis.testing.journal import example_skill

KNOWN = HashEmbedder()  # calibrated
UNKNOWN = HashEmbedder(128)
WOODS = ("oak", "birch", "dark_oak")


@pytest.fixture
def library(tmp_path: Path) -> Iterator[SkillLibrary]:
    with (
        Home.open(tmp_path / "home") as home,
        SkillLibrary.open(
            home, embedder=KNOWN, index=MemoryIndex(KNOWN.dim), settings=LibrarySettings(merge=False)
        ) as opened,
    ):
        yield opened


def planks(**changes: object) -> Skill:
    kinds = [f"{wood}_planks" for wood in WOODS]
    skill = example_skill(
        "have_planks",
        doc="have 1 oak planks",
        goal='count("{kind}") >= {n}',
        source="def have_planks(n=1, kind='oak_planks'):\n    world.craft(kind)\n",
        parameters=(Parameter("n", "int", 1), Parameter("kind", "str", "oak_planks", choices=tuple(kinds))),
    )
    needs = ('count("{kind}_source") >= {n}',)
    return dataclasses.replace(skill, cases=tuple(Case({"kind": k}, needs=needs) for k in kinds), **changes)  # type: ignore[arg-type]


def recalling(skills: dict[str, Skill], embedder: HashEmbedder = KNOWN) -> Recall:
    index = MemoryIndex(embedder.dim)
    sync_index(index, {Kind.SKILL: {i: t for s in skills.values() for i, t in skill_texts(s).items()}}, embedder)
    recall = Recall(embedder, index)
    recall.hold(skills)
    return recall


def test_a_skill_with_choices_is_found_by_the_case_that_is_meant(library: SkillLibrary) -> None:
    library.admit(planks(), "merged")
    library.admit(example_skill("birch_boat", doc="row over the lake"), "found")
    hits = library.search("get birch planks")
    assert (hits[0].skill.name, dict(hits[0].args)) == ("have_planks", {"kind": "birch_planks"})
    assert [h.skill.name for h in hits].count("have_planks") == 1
    assert str(hits[0].skill.goal_for(hits[0].args)) == 'count("birch_planks") >= 1'
    assert "with kind=birch_planks, or kind=" in hits[0].why
    assert {str(a["kind"]) for a in hits[0].also} == {"oak_planks", "dark_oak_planks"}
    assert library.search("get birch planks", k=1)[0].also == ()
    assert dict(library.search("planks of dark oak")[0].args) == {"kind": "dark_oak_planks"}
    assert library.index.ids(Kind.SKILL) == {
        "birch_boat@1",
        "have_planks@1",  # for who knows no cases
        *(f"have_planks@1#kind={wood}_planks" for wood in WOODS),
    }
    library.retire("have_planks", "poor")
    assert library.index.ids(Kind.SKILL) == {"birch_boat@1"}
    assert [h.skill.name for h in library.search("get birch planks", floor=-1)] == ["birch_boat"]


def test_what_is_said_of_the_default_is_said_of_the_case() -> None:
    assert skill_text(planks(), {"kind": "birch_planks"}) == "have planks: have 1 birch planks"
    merged = planks(doc="have 1 {kind} planks")  # as merging writes it
    assert skill_text(merged, {"kind": "birch_planks"}) == "have 1 birch planks"
    assert skill_text(merged) == "have planks: have 1 oak planks, birch planks, dark oak planks"
    assert skill_text(planks(doc="saw boards"), {"kind": r"a\1_b"}) == r"have planks: saw boards; a 1 b"
    assert skill_text(planks()) == "have planks: have 1 oak planks"


def test_a_case_that_something_does_better_by_now_is_not_found(library: SkillLibrary) -> None:
    skill = planks()
    outdone = dataclasses.replace(skill.cases[1], successor="have_birch")
    library.admit(dataclasses.replace(skill, cases=(skill.cases[0], outdone, skill.cases[2])), "merged")
    (hit,) = library.search("birch planks")
    assert dict(hit.args) != {"kind": "birch_planks"}
    assert "have_planks@1#kind=birch_planks" not in library.index.ids(Kind.SKILL)


def test_where_the_words_leave_the_case_open_the_state_decides(library: SkillLibrary) -> None:
    library.admit(planks(), "merged")
    state = Snapshot({Fact("count", ("dark_oak_planks_source",)): 2})
    (open_,) = library.search("some planks", state=state)
    assert (dict(open_.args), open_.ready) == ({"kind": "dark_oak_planks"}, True)
    (named,) = library.search("birch planks", state=state)
    assert (dict(named.args), named.ready) == ({"kind": "birch_planks"}, False)
    assert named.lacks == ('count("birch_planks_source") >= 1',)
    assert 'lacks count("birch_planks_source") >= 1' in named.why
    assert library.search("birch planks", state=state, unready="drop") == []


def test_needs_name_parameters_and_are_filled_in_whatever_they_hold(library: SkillLibrary) -> None:
    odd = 'a "b" {n}'
    skill = example_skill(
        "open_it",
        doc="open the thing",
        needs=('near("{place}")', 'count("key") >= {n}'),
        parameters=(Parameter("n", "int", 2), Parameter("place", "str", odd)),
    )
    library.admit(skill, "found")
    have = {Fact("near", (odd,)): True, Fact("count", ("key",)): 2}
    assert library.search("open the thing", state=Snapshot(have))[0].ready
    (hit,) = library.search("open the thing", state=Snapshot({Fact("count", ("key",)): 1}))
    assert hit.lacks == (r'near("a \"b\" {n}")', 'count("key") >= 2')


def test_a_need_that_cannot_be_read_does_not_hold(library: SkillLibrary) -> None:
    library.admit(example_skill("odd", needs=("this is none", "near({place})")), "imported")
    (hit,) = library.search("odd", state=Snapshot())
    assert hit.lacks == ("this is none", "near({place})")


def test_a_goal_that_holds_already_is_marked(library: SkillLibrary) -> None:
    library.admit(example_skill("torch"), "found")
    library.admit(planks(), "merged")
    library.admit(example_skill("song", goal='Judged("a good song")'), "found")
    state = Snapshot({Fact("count", ("torch",)): 1, Fact("count", ("birch_planks",)): 1})
    done = {
        h.skill.name: h.done for text in ("torch", "birch planks", "song") for h in library.search(text, state=state)
    }
    assert done == {"torch": True, "have_planks": True, "song": False}
    assert "holds already" in library.search("torch", state=state)[0].why
    assert not library.search("oak planks", state=state)[0].done


def test_abstaining_answers_what_is_there_and_not_what_is_not(library: SkillLibrary) -> None:
    for name in ("have_stick", "have_iron_ingot", "have_white_bed", "have_bread", "have_arrow"):
        library.admit(example_skill(name, doc=name.replace("_", " ")), "found")
    (hit, *_) = library.search("have iron ingot", abstain=True)
    assert hit.skill.name == "have_iron_ingot"
    assert hit.chance >= hit.threshold == TRUST
    assert library.search("who won the arrowroot match", abstain=True) == []
    (nearest, *_) = library.search("who won the arrowroot match", floor=-1)
    assert nearest.chance < nearest.threshold
    assert "too little" in nearest.why


def test_an_unknown_embedder_is_trusted_on_words_alone() -> None:
    assert chance_of(UNKNOWN, 0.99, 0.5, common=0.0) < TRUST
    assert chance_of(UNKNOWN, 0.0, 1.0, common=0.8) > TRUST
    assert chance_of(KNOWN, 0.9, 1.0, common=0.0) > TRUST


@given(st.floats(-1, 1), st.floats(-5, 5), st.floats(0, 1), st.floats(0, 1), st.booleans())
def test_the_chance_rises_with_every_sign_of_a_fit(
    dense: float, margin: float, common: float, more: float, known: bool
) -> None:
    embedder = KNOWN if known else UNKNOWN
    chance = chance_of(embedder, dense, margin, common)
    assert 0 <= chance <= 1
    assert chance_of(embedder, dense + more, margin, common) >= chance
    assert chance_of(embedder, dense, margin + more, common) >= chance
    assert chance_of(embedder, dense, margin, common + more) >= chance


def test_diversity_lists_what_differs_before_a_near_copy(library: SkillLibrary) -> None:
    for name, doc in (
        ("red_wool_block", "dye wool red"),
        ("red_wool_blocks", "dye wool red"),
        ("red_wool_block_again", "dye wool red"),
        ("sheep", "shear wool off a sheep"),
    ):
        library.admit(example_skill(name, doc=doc), "found")
    plain = [h.skill.name for h in library.search("dye wool red", k=3)]
    mixed = [h.skill.name for h in library.search("dye wool red", k=3, diversity=0.7)]
    assert plain[0] == mixed[0]
    assert "sheep" not in plain[:2]
    assert mixed[1] == "sheep"


def test_the_token_budget_holds_hits_with_what_they_call(library: SkillLibrary) -> None:
    for name, calls in (("log", ()), ("plank", ("log",)), ("ladder", ("plank", "log")), ("fence", ("plank",))):
        library.admit(example_skill(name, calls=calls, doc=f"make a wooden {name}"), "found")
    size = {s.name: estimate_tokens(s.program.source) for s in library.active().values()}
    everything = library.search("a wooden ladder or fence", k=4)
    assert everything[0].skill.name in ("ladder", "fence")
    assert [s.name for s in everything[0].closure] == ["log", "plank", everything[0].skill.name]
    assert everything[0].tokens == size["log"] + size["plank"] + size[everything[0].skill.name]
    # What both call is counted once.
    both = size["log"] + size["plank"] + size["ladder"] + size["fence"]
    names = [h.skill.name for h in library.search("a wooden ladder or fence", k=4, tokens=both)]
    assert names == [h.skill.name for h in everything]
    # What does not fit is passed over.
    assert [h.skill.name for h in library.search("a wooden ladder or fence", k=4, tokens=size["log"])] == ["log"]
    assert library.search("a wooden ladder", tokens=0) == []


def test_what_is_missing_or_circular_does_not_stop_a_search(library: SkillLibrary) -> None:
    library.home.journal.put_skill(example_skill("a", calls=("b", "gone")), "imported")
    library.home.journal.put_skill(example_skill("b", calls=("a",)), "imported")
    library.refresh()
    assert [s.name for s in library.search("get a")[0].closure] == ["b", "a"]


def test_other_worlds_in_the_index_do_not_crowd_out_this_one() -> None:
    index = MemoryIndex(KNOWN.dim)
    skills = {f"stick@{i}": example_skill("stick", version=i, fingerprint="f2") for i in range(300)}
    mine = {"pole@1": example_skill("pole", doc="nothing alike")}
    texts = {i: t for s in (skills | mine).values() for i, t in skill_texts(s).items()}
    sync_index(index, {Kind.SKILL: texts}, KNOWN)
    recall = Recall(KNOWN, index)
    recall.hold(mine)
    assert [h.skill.name for h in recall.search("get stick", mine, Search(floor=-1))] == ["pole"]
    recall.hold(skills | mine)
    hits = recall.search("get stick", skills | mine, Search(floor=-1, fingerprint="f1"))
    assert [h.skill.name for h in hits] == ["pole"]


@pytest.mark.parametrize(
    ("wrong", "said"),
    [({"unready": "first"}, "'last' or 'drop'"), ({"diversity": 2}, "from 0 to 1"), ({"tokens": -1}, "at least 0")],
)
def test_a_search_that_makes_no_sense_is_refused(library: SkillLibrary, wrong: dict[str, object], said: str) -> None:
    with pytest.raises(InputError, match=said):
        library.search("stick", **wrong)  # type: ignore[arg-type]


WORD = st.sampled_from(["oak", "birch", "iron", "bed", "torch", "wool", "red", "stone", "cook", "dig"])
TEXT = st.lists(WORD, min_size=1, max_size=4).map(" ".join)


@settings(max_examples=60, deadline=None)
@given(
    docs=st.lists(TEXT, min_size=1, max_size=8),
    asked=TEXT,
    k=st.integers(1, 9),
    diversity=st.sampled_from([0.0, 0.3, 1.0]),
    abstain=st.booleans(),
    tokens=st.one_of(st.none(), st.integers(0, 200)),
    held=st.booleans(),
)
def test_what_every_search_keeps_to(
    docs: list[str], asked: str, k: int, diversity: float, abstain: bool, tokens: int | None, held: bool
) -> None:
    needs = ('near("fire")',)
    skills = {
        f"s{i}@1": example_skill(f"s{i}", doc=doc, needs=needs if i % 2 else ()) for i, doc in enumerate(docs)
    } | {"have_planks@1": planks()}
    recall = recalling(skills)
    state = Snapshot({Fact("near", ("fire",)): held})
    wanted = Search(k=k, state=state, diversity=diversity, abstain=abstain, tokens=tokens, floor=-1)
    hits = recall.search(asked, skills, wanted)
    everything = recall.search(asked, skills, Search(k=99, state=state, floor=-1))
    assert len(everything) == len(skills)
    assert len(hits) <= k
    names = [h.skill.name for h in hits]
    assert len(set(names)) == len(names)
    known = {h.skill.name: h for h in everything}
    for (
        hit
    ) in hits:  # neither order nor budget changes what is said of one; how many are asked for tells the near cases
        other = known[hit.skill.name]
        assert dataclasses.replace(other, also=hit.also, why=hit.why) == hit
    assert [h.ready for h in hits] == sorted((h.ready for h in hits), reverse=True)
    if tokens is not None:
        used = {s.name: estimate_tokens(s.program.source) for h in hits for s in h.closure}
        assert sum(used.values()) <= tokens
    if abstain:
        best = max(everything, key=lambda h: h.score)
        assert bool(hits) <= (best.chance >= best.threshold)
    elif tokens is None:
        assert len(hits) == min(k, len(everything))
        assert hits[0] == everything[0]
    if not diversity:
        for ready in (True, False):
            scores = [h.score for h in hits if h.ready is ready]
            assert scores == sorted(scores, reverse=True)


def test_the_lexicon_tells_how_much_of_a_request_a_text_has() -> None:
    lexicon = Lexicon()
    lexicon.put("a", "dig a hole")
    lexicon.put("b", "bake bread")
    lexicon.put("a", "digging holes in gravel")
    assert lexicon.share("dig some gravel", "a") == 1
    assert lexicon.share("dig for gold", "a") == 0.5
    assert lexicon.share("dig", "b") == lexicon.share("dig", "nothing") == 0
    assert list(lexicon.search("dig bread holes", 1)) == ["a"]
    lexicon.delete("a")
    assert lexicon.search("dig") == {}
    lexicon.close()

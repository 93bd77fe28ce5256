"""A user's own examples: read line by line, refused with the line's number, never let leak."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from habilis.core import InputError
from habilis.trainer import Corpus, build_corpus, check_corpus, load_corpus, read_examples, save_corpus


def chat(question: str, answer: str, **more: Any) -> dict[str, Any]:
    messages = [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
    return {"messages": messages, **more}


def written(path: Path, *rows: Any) -> Path:
    path.write_text("".join(f"{row if isinstance(row, str) else json.dumps(row)}\n" for row in rows), encoding="utf-8")
    return path


def mixed(workshop: SimpleNamespace, path: Path) -> Corpus:
    return build_corpus(workshop.make_episodes(60), [], workshop.contracts, workshop.spec, own=read_examples(path))


def test_own_examples_are_mixed_in_as_they_are(workshop: SimpleNamespace, tmp_path: Path) -> None:
    rows = [chat(f"What is {i} + 1?", f"{i + 1}") for i in range(40)]
    rows += [chat(f"Spell {i}", "a word", family="spelling", split="train") for i in range(5)]
    system = {"messages": [{"role": "system", "content": "Be brief."}, *chat("Say hello", "hello")["messages"]]}
    corpus = mixed(workshop, written(tmp_path / "own.jsonl", *rows, "", system))
    own = {name: [e for e in part if e.family == "own"] for name, part in corpus.splits.items()}
    assert sum(map(len, own.values())) == 41
    assert all(own.values())  # held out too, by what they ask
    spelling = [e for e in corpus.train if e.family == "spelling"]
    assert len(spelling) == 5  # a user's answers are not balanced away
    assert "Be brief.\nSay hello\n" in {e.prompt for part in own.values() for e in part}
    assert mixed(workshop, tmp_path / "own.jsonl").fingerprint == corpus.fingerprint


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("{not json", "line 2 is no JSON"),
        ("[1, 2]", "line 2 is a list"),
        ({"text": "hello"}, "line 2 has no messages"),
        ({"messages": [{"role": "user", "content": "only"}]}, "line 2 has no messages"),
        ({"messages": [{"role": "user", "content": "a"}, {"role": "robot", "content": "b"}]}, "role 'robot'"),
        ({"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": " "}]}, "role 'assistant'"),
        ({"messages": [{"role": "assistant", "content": "a"}, {"role": "user", "content": "b"}]}, "line 2 ends with"),
        (chat("a", "b", split="exam"), "line 2 has split='exam'; it is one of train, validation, test"),
        (chat("a", "b", family=3), "line 2 has family=3"),
        (chat("a" * 30_000, "b"), "line 2 has over 20,000 characters"),
        ({"messages": [{"role": "assistant", "content": "a"}] * 2}, "line 2 asks nothing"),
        (chat("a \ud800", "b"), r"line 2 has half a character, '\ud800'"),
        (chat("a", "b", group="\udfff"), "line 2 has half a character"),
        (chat("a", "b", family="plan_run"), "line 2 has the family 'plan_run'"),
        (chat("a", "b", family="program_run"), "line 2 has the family 'program_run'"),
        (chat("first?", "again"), "line 2 asks what line 1 asks: 'first?"),
    ],
)
def test_a_bad_line_is_named(tmp_path: Path, row: Any, said: str) -> None:
    with pytest.raises(InputError) as error:
        read_examples(written(tmp_path / "own.jsonl", chat("first?", "yes"), row))
    assert said in str(error.value)


def test_a_file_that_is_none_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no example"):
        read_examples(written(tmp_path / "empty.jsonl"))
    with pytest.raises(InputError, match=r"cannot read .*missing"):
        read_examples(tmp_path / "missing.jsonl")
    with pytest.raises(InputError, match="holds no example; write it anew"):
        load_corpus(written(tmp_path / "empty.jsonl"))
    (tmp_path / "bytes.jsonl").write_bytes(b"\xff\xfe{}")
    with pytest.raises(InputError, match="UTF-8"):
        read_examples(tmp_path / "bytes.jsonl")


def test_what_leaks_or_is_asked_twice_is_refused_by_name(workshop: SimpleNamespace, tmp_path: Path) -> None:
    corpus = build_corpus(workshop.make_episodes(60), [], workshop.contracts, workshop.spec)
    known = corpus.train[0]
    asked_twice = chat(known.prompt.removesuffix("\n"), "something", split="test")
    with pytest.raises(InputError, match="asked more than once") as twice:
        mixed(workshop, written(tmp_path / "a.jsonl", asked_twice))
    assert repr(known.prompt[:40])[1:30] in str(twice.value)
    with pytest.raises(InputError, match="leak") as leaked:
        mixed(workshop, written(tmp_path / "b.jsonl", chat("New?", "yes", group=known.group, split="test")))
    assert known.group[:60] in str(leaked.value)
    with pytest.raises(InputError, match="the house 'here' in test and train"):
        check_corpus(
            replace(
                corpus,
                train=(*corpus.train, replace(known, prompt="x", group="x", house="here")),
                test=(*corpus.test, replace(known, prompt="y", group="y", house="here")),
            )
        )


def test_a_written_corpus_that_was_spoilt_is_refused(workshop: SimpleNamespace, tmp_path: Path) -> None:
    corpus = build_corpus(workshop.make_episodes(60), [], workshop.contracts, workshop.spec)
    path = tmp_path / "corpus.jsonl"
    save_corpus(corpus, path)
    assert load_corpus(path).fingerprint == corpus.fingerprint
    lines = path.read_text().splitlines()
    written(tmp_path / "leaky.jsonl", *lines, lines[0].replace('"split": "train"', '"split": "test"'))
    with pytest.raises(InputError, match="more than once"):
        load_corpus(tmp_path / "leaky.jsonl")
    written(tmp_path / "plain.jsonl", chat("a", "b"))
    with pytest.raises(InputError, match="line 1 has no split"):
        load_corpus(tmp_path / "plain.jsonl")
    with pytest.raises(InputError, match="cannot write"):
        save_corpus(corpus, tmp_path / "no" / "folder" / "corpus.jsonl")

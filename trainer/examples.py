"""Examples as JSON lines in chat format: a corpus written out and read back, and a user's own examples taken in.

One line is one example, ``{"messages": [{"role": "user", "content": …}, {"role": "assistant", "content": …}]}``. Keys
besides: ``family``, ``group`` (what it is about), ``house`` and ``split``, which are never shared between splits or
decide it; ``told``, ``episode`` and ``task`` of a corpus of ours. Others are left alone.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from habilis.core import InputError, Task, dump, load
from habilis.trainer._example import Example
from habilis.trainer.held_out import PLAN_RUN, PROGRAM_RUN, PlanTask, ProgramTask

__all__ = ["OWN", "check_target", "read_examples", "read_rows", "write_rows"]

OWN = "own"  # the family of a user's examples that name none
SPLITS = ("train", "validation", "test")
_LONGEST = 20_000  # characters of one example; a model here reads a few hundred tokens
_ROLES = ("system", "user", "assistant")


def read_examples(path: Path) -> list[Example]:
    """A user's own examples. Raises `InputError` that names the line: no JSON, no chat, duplicated, too long."""
    found: list[Example] = []
    seen: dict[str, int] = {}
    for number, row in read_rows(path):
        example = _example(row, f"{path}, line {number}")
        if example.prompt in seen:
            raise InputError(
                f"{path}, line {number} asks what line {seen[example.prompt]} asks: {example.prompt[:80]!r}; "
                "take one of the two out"
            )
        seen[example.prompt] = number
        found.append(example)
    if not found:
        raise InputError(f"{path} holds no example; write one JSON object a line, with its messages")
    return found


def read_rows(path: Path) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """The objects of a file of JSON lines, with their line numbers from 1. Raises `InputError`."""
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot read {path}: {error}; give a file of JSON lines in UTF-8") from error
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise InputError(f"{path}, line {number} is no JSON: {error}; write one object a line") from error
        if not isinstance(row, dict):
            raise InputError(f"{path}, line {number} is a {type(row).__name__}; write an object with messages")
        yield number, row


def _example(row: Mapping[str, Any], where: str) -> Example:
    messages = row.get("messages")
    if not isinstance(messages, list) or len(messages) < 2:
        raise InputError(f"{where} has no messages; write a list of a user's and an assistant's message at least")
    told = []
    for message in messages:
        role, content = (message.get("role"), message.get("content")) if isinstance(message, dict) else (None, None)
        if role not in _ROLES or not isinstance(content, str) or not content.strip():
            raise InputError(
                f"{where} has a message with role {role!r} and content {str(content)[:40]!r}; each has a role "
                f"({', '.join(_ROLES)}) and a text"
            )
        told.append((role, content))
    if told[-1][0] != "assistant":
        raise InputError(f"{where} ends with a message of the {told[-1][0]}; the last one is the assistant's answer")
    if all(role == "assistant" for role, _ in told[:-1]):
        raise InputError(f"{where} asks nothing: all its messages are the assistant's; write the user's before")
    if sum(len(content) for _, content in told) > _LONGEST:
        raise InputError(f"{where} has over {_LONGEST:,} characters; shorten it, or take it out")
    options = {}
    for name in ("family", "group", "house", "split"):
        value = row.get(name, "")
        if not isinstance(value, str):
            raise InputError(f"{where} has {name}={value!r}; it is a text")
        options[name] = value
    try:
        "".join([*(content for _, content in told), *options.values()]).encode()
    except UnicodeEncodeError as error:
        half = f"{error.object[error.start]!r}"
        raise InputError(f"{where} has half a character, {half}, which no model reads; take it out") from error
    if options["family"] in (PLAN_RUN, PROGRAM_RUN):
        raise InputError(f"{where} has the family {options['family']!r}, kept for tasks to execute; name another")
    if options["split"] and options["split"] not in SPLITS:
        raise InputError(f"{where} has split={options['split']!r}; it is one of {', '.join(SPLITS)}, or left out")
    prompt = "\n".join(content.rstrip("\n") for _, content in told[:-1]) + "\n"
    by_itself = f"own {hashlib.sha256(prompt.encode('utf-8', 'replace')).hexdigest()[:16]}"
    group = options["group"] or ("" if options["house"] else by_itself)
    filled = row.get("told")
    return Example(
        prompt,
        told[-1][1].strip(),
        options["family"] or OWN,
        group,
        row["episode"] if isinstance(row.get("episode"), int) else None,
        options["house"],
        {str(k): str(v) for k, v in filled.items()} if isinstance(filled, dict) else {},
        options["split"],
    )


def check_target(path: Path) -> None:
    """Raises `InputError` where no file can stand at ``path``, before there is anything to write."""
    if os.path.isdir(path):
        raise InputError(f"cannot write {path}: it is a folder; name a file")
    if not os.path.isdir(path.parent):
        raise InputError(f"cannot write {path}: there is no folder {path.parent}; make it, or choose another file")


def write_rows(
    path: Path,
    splits: Mapping[str, tuple[Example, ...]],
    plans: tuple[PlanTask, ...],
    programs: tuple[ProgramTask, ...] = (),
) -> int:
    """Write examples by split, and tasks that are to be done by a plan or a program; returns the number of lines.

    Raises `InputError` where the file cannot be written; what was there before is then left as it was.
    """
    lines = [_line(e.prompt, e.answer, {**_about(e), "split": split}) for split, some in splits.items() for e in some]
    lines += [_line(p.prompt, p.answer, {"family": PLAN_RUN, "split": p.split, "task": dump(p.task)}) for p in plans]
    where = {e.prompt: split for split, some in splits.items() for e in some}
    for one in programs:
        split = where.get(one.prompt, "test")
        more = {"family": PROGRAM_RUN, "split": split, "task": dump(one.task), "args": dict(one.args)}
        lines.append(_line(one.prompt, one.answer, more))
    check_target(path)
    scratch = path.with_name(f".{path.name}.part")
    try:
        scratch.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
        scratch.replace(path)
    except OSError as error:
        scratch.unlink(missing_ok=True)
        raise InputError(f"cannot write {path}: {error}; choose another file, or make room") from error
    return len(lines)


def _about(example: Example) -> dict[str, Any]:
    told: dict[str, Any] = {"family": example.family, "group": example.group, "house": example.house}
    return told | {"episode": example.episode, "told": dict(example.told)}


def _line(prompt: str, answer: str, more: Mapping[str, Any]) -> str:
    messages = [{"role": "user", "content": prompt.removesuffix("\n")}, {"role": "assistant", "content": answer}]
    return json.dumps({"messages": messages, **more}, ensure_ascii=False)


def split_rows(path: Path) -> tuple[dict[str, list[Example]], list[PlanTask], list[ProgramTask]]:
    """A corpus that was written, by split. Raises `InputError` for a line that is none of one."""
    splits: dict[str, list[Example]] = {name: [] for name in SPLITS}
    plans: list[PlanTask] = []
    programs: list[ProgramTask] = []
    for number, row in read_rows(path):
        where = f"{path}, line {number}"
        if row.get("family") in (PLAN_RUN, PROGRAM_RUN):
            try:
                task = load(Task, row["task"])
                prompt, answer = (m["content"] for m in row["messages"])
                if row["family"] == PLAN_RUN:
                    plans.append(PlanTask(f"{prompt}\n", task, answer, str(row["split"])))
                else:
                    programs.append(ProgramTask(f"{prompt}\n", task, answer, dict(row["args"])))
            except (KeyError, TypeError, ValueError) as error:
                raise InputError(f"{where} is no task with an answer: {error!r}; build the corpus anew") from error
            continue
        example = _example(row, where)
        if not example.split:
            raise InputError(f"{where} has no split; it is no line of a corpus: habilis corpus build --out")
        splits[example.split].append(example)
    return splits, plans, programs

"""Programs in VirtualHome's format, such as ``[WALK] <kitchen> (1)``: read, written, and run on a house."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from habilis.core import InputError
from habilis.worlds.household._house import House
from habilis.worlds.household._rules import FIND, RULES, WALK, Lack, Rule

__all__ = ["Line", "Result", "parse", "run", "text_of"]

_ACTION = re.compile(r"\s*\[(\w+)\]")
_OBJECT = re.compile(r"<(.+?)>\s*\((.+?)\)")
_BY_SCRIPT: Mapping[str, Rule] = {
    **{rule.script: rule for rule in RULES if rule.script != "-"},
    "WALK": WALK,
    "RUN": WALK,
    "FIND": FIND,
    "RELEASE": next(r for r in RULES if r.name == "drop"),
    **dict.fromkeys(("LOOKAT_SHORT", "LOOKAT_MEDIUM", "LOOKAT_LONG"), next(r for r in RULES if r.name == "look_at")),
}


class Line(NamedTuple):
    """One action: its name, and its objects by class and id."""

    action: str
    objects: tuple[tuple[str, int], ...] = ()

    def __str__(self) -> str:
        return " ".join([f"[{self.action}]", *(f"<{name}> ({number})" for name, number in self.objects)])


class Result(NamedTuple):
    """What became of one line: ``unmet`` in VirtualHome's manner, ``message`` where no state would have let it."""

    ok: bool
    unmet: tuple[str, ...] = ()
    message: str = ""


def parse(text: str) -> list[Line]:
    """Read a program; lines without a bracket (title and description) are passed over.

    Ids may be written ``(17)`` or, as in the data set, ``(1.17)``. Raises `InputError` naming the line.
    """
    lines = []
    for number, raw in enumerate(text.splitlines(), 1):
        action = _ACTION.match(raw)
        if action is None:
            continue
        name = action[1].upper()
        if name not in _BY_SCRIPT:
            raise InputError(f"line {number}: there is no action [{name}]; use one of {', '.join(sorted(_BY_SCRIPT))}")
        try:
            objects = tuple(
                (kind.strip().lower().replace(" ", "_"), int(at.rpartition(".")[2]))
                for kind, at in _OBJECT.findall(raw)
            )
        except ValueError:
            raise InputError(f"line {number}: an object is written <class> (id), not {raw.strip()!r}") from None
        wanted = len(_BY_SCRIPT[name].parameters)
        if len(objects) != wanted:
            raise InputError(f"line {number}: [{name}] takes {wanted} objects, not {len(objects)}: {raw.strip()!r}")
        lines.append(Line(name, objects))
    return lines


def text_of(lines: Iterable[Line]) -> str:
    return "".join(f"{line}\n" for line in lines)


def run(house: House, lines: Sequence[Line], who: int = 0) -> list[Result]:
    """Do one line after the other, and what became of each. What fails changes nothing, and the next is still tried.

    Raises `InputError` for an id that the house does not have.
    """
    ids = {t.id: i for i, t in enumerate(house.plan.things)}
    results = []
    for line in lines:
        missing = [number for _, number in line.objects if number not in ids]
        if missing:
            raise InputError(f"{line}: this house has no thing with the id {missing[0]}")
        results.append(do(house, line, tuple(ids[number] for _, number in line.objects), who))
    return results


def do(house: House, line: Line, things: tuple[int, ...], who: int = 0) -> Result:
    """Do one line, its objects already looked up."""
    rule = _BY_SCRIPT[line.action]
    refusal = rule.refusal(house, things)
    if refusal:
        return Result(False, message=refusal)
    lacks = rule.lacks(house, who, things)
    if lacks:
        return Result(False, tuple(_said(house, lack) for lack in lacks))
    rule.run(house, who, things)
    return Result(True)


def _said(house: House, lack: Lack) -> str:
    named = [*(house.plan.names[t] for t in lack.things), *([lack.tag] if lack.tag else [])]
    return f"{'' if lack.so else 'not '}{lack.predicate}({', '.join(named)})"

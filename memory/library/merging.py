"""Skills that differ in constants only, as one skill with choices: least general generalisation (Plotkin 1970).

    def have_oak_planks(n: int = 1):               def have_planks(n: int = 1, kind: str = "oak_planks"):
        while world.count("oak_planks") < n:           part = {"oak_planks": "oak_log", "ash_planks": "ash_log"}[kind]
            world.gather("oak_log")          ->        while world.count(kind) < n:
            world.craft("oak_planks")                      world.gather(part)
                                                           world.craft(kind)

What differs in the goals becomes a parameter; what differs besides follows from it, by a table. Nothing is invented:
with one of its choices filled in (`plains`), the program is again the one that was proven, up to names.
"""

from __future__ import annotations

import ast
import keyword
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import astuple, dataclass, replace

from habilis.core import Case, Fact, InputError, Json, Parameter, Program, Skill
from habilis.memory.library._programs import (
    Edit,
    edited,
    headed,
    holes,
    last_action,
    literal,
    named,
    one_function,
    parsed,
    skill_calls,
    span,
    statements,
    tree_of,
)
from habilis.memory.library.similarity import normalise, normalised_source

__all__ = ["Merged", "Plain", "Shape", "generalise", "plains", "redirect", "shape"]

_LONGEST = 80  # characters of a name
_WIDTH = 90  # characters of a table on one line
_LARGEST = 100_000  # characters of a program; what is larger is like no other
_GIVEN = frozenset({"world", "skills", "tools"})  # what a program finds, and must not be named after
_COMMENT = re.compile(r"#[^\r\n]*")
_HOLDER = re.compile(r"\{(\w+)\}")
_PART = re.compile(r"part(_\d+)?")
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"')


@dataclass(frozen=True)
class Plain:
    """What a skill is in one of its cases: a program without choices, and its goal."""

    name: str
    doc: str
    source: str
    goal_template: str
    parameters: tuple[Parameter, ...]
    case: Case


@dataclass(frozen=True)
class Shape:
    """What a program and its goal are but for their constants: two with an equal ``key`` differ in nothing else."""

    key: tuple[object, ...]
    constants: tuple[str | int, ...]  # of the program, in the order of its text
    goals: tuple[str, ...]  # of the goal, without quotes and escapes


@dataclass(frozen=True)
class Merged:
    """The one program for several plain ones. ``cases``: theirs, in their order, with the choices filled in."""

    program: Program
    goal_template: str
    doc: str
    cases: tuple[Case, ...]


def plains(skill: Skill) -> list[Plain]:
    """A skill in each of its cases. Raises `InputError` where it has choices and is not of the form above."""
    program = skill.program
    choices = [p.name for p in program.parameters if p.choices]
    kept = tuple(p for p in program.parameters if not p.choices)
    if not choices or not skill.cases:
        return [Plain(skill.name, skill.doc, program.source, skill.goal_template, kept, skill.settings[0])]
    found = []
    for case in skill.cases:
        given = {name: case.args[name] for name in choices}
        told = {name: str(value).lstrip("#").replace("_", " ") for name, value in given.items()}
        doc = _HOLDER.sub(lambda m, told=told: told.get(m[1], m[0]), skill.doc)  # type: ignore[misc]
        goal = _goal_filled(skill.goal_template, given)
        source = _filled(program.source, given, kept)
        found.append(Plain(skill.name, doc, source, goal, kept, replace(case, args={})))
    return found


def shape(plain: Plain) -> Shape | None:
    """The shape of a program; None where it is anything but one plain function, or too long."""
    function = one_function(plain.source) if len(plain.source) <= _LARGEST else None
    if function is None:
        return None
    try:
        tree = ast.parse(normalise(plain.source)[0])
        goals = tuple(_plain_text(match[1]) for match in _constants(plain))
    except (InputError, SyntaxError, ValueError):
        return None
    spots, blank = holes(function), tree.body[0]
    assert isinstance(blank, ast.FunctionDef)
    for node in holes(blank):
        node.value = "?" if isinstance(node.value, str) else 0
    goal = edited(plain.goal_template, [(*match.span(), '"?"') for match in _constants(plain)])
    parameters = tuple((*astuple(p), repr(p.default)) for p in plain.parameters)  # 1 is True, and not the same
    return Shape(
        (ast.unparse(tree), goal, parameters),
        tuple(node.value for node in spots),  # type: ignore[misc]  # texts and whole numbers only
        goals,
    )


def generalise(
    members: Sequence[Plain],
    *,
    name: str | None = None,
    taken: Iterable[str] = (),
    grown: Sequence[Mapping[str, Json]] = (),
) -> Merged | None:
    """The least general program that is each of these in one of its cases.

    None where they differ in more than constants, or two have the same goal (then one is a duplicate of the other, or
    another way to it), or where what comes apart again would not be just what was put together. ``name``: what it is
    called; by default made of the words that theirs share, and of none that is ``taken``. ``grown``: the choices of the
    first members, where they are cases of one skill already: whoever calls that must find that each choice means what
    it meant, and what has become a choice since is by default what it was. None where that cannot be.
    """
    shapes = [s for s in map(shape, members) if s is not None]
    if len(shapes) < 2 or len(shapes) < len(members) or len({s.key for s in shapes}) > 1:
        return None
    if len({s.goals for s in shapes}) < len(shapes):
        return None
    first = members[0]
    function = parsed(first.source)
    used = set(normalise(first.source)[1]) | {n.id for n in ast.walk(function) if isinstance(n, ast.Name)}

    goals = list(zip(*(s.goals for s in shapes), strict=True))
    chosen = [c for c in dict.fromkeys(goals) if len(set(c)) > 1]
    columns = list(zip(*(s.constants for s in shapes), strict=True))
    follow = [c for c in dict.fromkeys(columns) if len(set(c)) > 1 and c not in chosen]
    named_so_far = _named_so_far(chosen, grown)
    if named_so_far is None or not used.isdisjoint(named_so_far.values()):
        return None
    new = [c for c in chosen if c not in named_so_far]
    fresh = _fresh("kind", len(new), {*used, *named_so_far.values()})
    choices = {**named_so_far, **dict(zip(new, fresh, strict=True))}
    chosen = list(choices)
    parts = dict(zip(follow, _fresh("part", len(follow), used), strict=True))
    names: dict[tuple[str | int, ...], str] = {**choices, **parts}

    parameters = tuple(Parameter(choices[c], "str", c[0], False, "which", tuple(dict.fromkeys(c))) for c in chosen)
    keys = [tuple(c[i] for c in chosen) for i in range(len(members))]
    calls = tuple(sorted({called for _, called in skill_calls(first.source)}))
    taken = {*taken, *used, *_GIVEN}
    name = name or _shared_name([m.name for m in members], last_action(function), calls, taken)
    edits: list[Edit] = [
        (*span(first.source, spot), names[column])
        for spot, column in zip(holes(function), columns, strict=True)
        if column in names
    ]
    edits += _renamed(first.source, function, [m.source for m in members], used)
    table = _table(list(choices.values()), keys, list(parts.values()), list(zip(*follow, strict=True)))
    edits += headed(first.source, function, name, [*first.parameters, *parameters], table)
    goal = edited(
        first.goal_template,
        [
            (*match.span(), f'"{{{choices[c]}}}"')
            for match, c in zip(_constants(first), goals, strict=True)
            if c in choices
        ],
    )
    cases = [
        replace(m.case, args={p.name: value for p, value in zip(parameters, key, strict=True)})
        for m, key in zip(members, keys, strict=True)
    ]
    program = Program(name, edited(first.source, edits), (*first.parameters, *parameters), calls)
    merged = Merged(program, goal, _shared_doc([m.doc for m in members], list(choices.values())), tuple(cases))
    return merged if _gives_back(merged, members) else None


def _named_so_far(
    chosen: Sequence[tuple[str, ...]], grown: Sequence[Mapping[str, Json]]
) -> dict[tuple[str, ...], str] | None:
    """Which of the columns have a name, where the first rows were cases before; None where a column that is new was not
    the same in all of them."""
    before: dict[tuple[Json, ...], str] = {tuple(args[n] for args in grown): n for n in (grown[0] if grown else ())}
    found = {c: before.pop(c[: len(grown)]) for c in chosen if c[: len(grown)] in before}
    found = dict(sorted(found.items(), key=lambda c: list(grown[0]).index(c[1])))
    apart = any(len(set(c[: len(grown)])) > 1 for c in chosen if c not in found)
    return None if before or apart else found


def _gives_back(merged: Merged, members: Sequence[Plain]) -> bool:
    """Whether it comes apart as it was put together: a text may be written in more ways than are thought of here."""
    given = tuple(p for p in merged.program.parameters if p.choices)
    kept = tuple(p for p in merged.program.parameters if not p.choices)
    try:
        for member, case in zip(members, merged.cases, strict=True):
            choices = {p.name: case.args[p.name] for p in given}
            source = _filled(merged.program.source, choices, kept)
            if _goal_filled(merged.goal_template, choices) != member.goal_template:
                return False
            if normalised_source(source) != normalised_source(member.source):
                return False
    except InputError:
        return False
    return True


def redirect(source: str, old: str, new: str, choices: Mapping[str, Json]) -> str:
    """A program that calls ``skills.new`` with these choices wherever it called ``skills.old``.

    Raises `InputError` where it might call it in another way, which nothing in its text tells.
    """
    for written in (literal, repr):  # within an f-string only one sort of quotes may do
        try:
            found = _redirected(source, old, new, ", ".join(f"{n}={written(v)}" for n, v in choices.items()))
            left = {called for _, called in skill_calls(found)}
        except InputError:
            continue
        if old not in left or old == new:
            return found
    raise InputError(f"it cannot be told how this program calls {old}: {source[:200]!r}")


def _redirected(source: str, old: str, new: str, given: str) -> str:
    tree = tree_of(source)
    called = {id(call.func): call for call in ast.walk(tree) if isinstance(call, ast.Call)}
    plain = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    edits: list[Edit] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and node.id == "skills" and id(node) not in plain:
            raise InputError("it hands its skills on")
        if not isinstance(node, ast.Attribute) or node.attr != old:
            continue
        if not isinstance(node.value, ast.Name) or node.value.id != "skills":
            continue
        start, end = span(source, node)
        if not source[start:end].startswith("skills") or not source[start:end].endswith(old):
            raise InputError("this Python does not say where in a text it stands")  # within f-strings, before 3.12
        call = called.get(id(node))
        if call is None:  # not called here, but handed on
            edits.append((start, end, f"(lambda *args, **more: skills.{new}(*args, **more, {given}))"))
            continue
        edits.append((end - len(old), end, new))
        close = span(source, call)[1] - 1
        inner = [*call.args, *(keyword.value for keyword in call.keywords)]
        first, last = min((span(source, a)[0] for a in inner), default=close), 0
        last = max((span(source, a)[1] for a in inner), default=source.index("(", end) + 1)
        if last > close:  # a generator alone shares its brackets with the call
            edits += [(first, first, "("), (last, last, f", {given})")]
        else:
            rest = _COMMENT.sub("", source[last:close])
            edits.append((close, close, f", {given}" if inner and "," not in rest else given))
    return edited(source, edits)


# ---------------------------------------------------------------------- the parts of a merged program


def _table(
    keys: list[str], values: list[tuple[str, ...]], names: list[str], rows: list[tuple[str | int, ...]]
) -> list[str]:
    """The lines of the statement that looks up what follows from the choices; none where nothing does."""
    if not names:
        return []
    lines = [f"{_tuple(key)}: {_tuple(row)}" for key, row in zip(values, rows, strict=True)]
    left, right = f"{', '.join(names)} = {{", f"}}[{', '.join(keys)}]"
    short = f"{left}{', '.join(lines)}{right}"
    return [short] if len(short) <= _WIDTH else [left, *(f"    {line}," for line in lines), right]


def _tuple(values: Sequence[str | int]) -> str:
    told = ", ".join(map(literal, values))
    return told if len(values) == 1 else f"({told})"


def _filled(source: str, choices: Mapping[str, Json], parameters: Sequence[Parameter]) -> str:
    """A merged program with its choices filled in, and what follows from them."""
    function = parsed(source)
    values: dict[str, Json] = dict(choices)
    edits: list[Edit] = []
    table = _looked_up(statements(function)[:1], choices)
    removed = (-1, -1)
    if table is not None:
        values |= table
        start, end = span(source, statements(function)[0])
        removed = (start, end + len(source[end:]) - len(source[end:].lstrip()))  # up to the next statement
        edits.append((*removed, ""))
    for node in ast.walk(function):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load) and node.id in values:
            where = span(source, node)
            if not removed[0] <= where[0] < removed[1]:
                edits.append((*where, literal(values[node.id])))
    return edited(source, [*edits, *headed(source, function, function.name, parameters)])


def _looked_up(first: Sequence[ast.stmt], choices: Mapping[str, Json]) -> dict[str, Json] | None:
    """What ``part, part_2 = {…}[kind]`` gives those names with these choices, if the statement is one."""
    statement = first[0] if first else None
    if not isinstance(statement, ast.Assign) or len(statement.targets) != 1:
        return None
    if not isinstance(statement.value, ast.Subscript) or not isinstance(statement.value.value, ast.Dict):
        return None
    names, asked = _names(statement.targets[0]), _names(statement.value.slice)
    if names is None or asked != list(choices) or not all(map(_PART.fullmatch, names)):
        return None
    try:
        rows = ast.literal_eval(statement.value.value)
        row = rows[tuple(choices.values()) if len(choices) > 1 else next(iter(choices.values()))]
        return dict(zip(names, row if len(names) > 1 else (row,), strict=True))
    except (ValueError, TypeError, LookupError):
        return None  # the program's own


def _names(node: ast.expr) -> list[str] | None:
    """The names that an expression consists of; None where it is more."""
    nodes = node.elts if isinstance(node, ast.Tuple) else [node]
    names = [n.id for n in nodes if isinstance(n, ast.Name)]
    return names if len(names) == len(nodes) else None


def _renamed(source: str, function: ast.FunctionDef, sources: Sequence[str], used: set[str]) -> list[Edit]:
    """Helper functions that are named after one of the cases get a name that fits all."""
    orders = [list(normalise(one)[1]) for one in sources]
    inner = [n for n in ast.walk(function) if isinstance(n, ast.FunctionDef) and n is not function]
    names = {node.name for node in inner}
    apart = [name for i, name in enumerate(orders[0]) if name in names and len({order[i] for order in orders}) > 1]
    new = dict(zip(apart, _fresh("helper", len(apart), used), strict=True))
    edits: list[Edit] = [(*named(source, node), new[node.name]) for node in inner if node.name in new]
    edits += [(*span(source, n), new[n.id]) for n in ast.walk(function) if isinstance(n, ast.Name) and n.id in new]
    return edits


# ---------------------------------------------------------------------- names and words


def _fresh(stem: str, many: int, used: Iterable[str]) -> list[str]:
    taken = set(used)
    found: list[str] = []
    number = 1
    while len(found) < many:
        name = stem if number == 1 else f"{stem}_{number}"
        if name not in taken:
            found.append(name)
        number += 1
    return found


def _shared_name(names: Sequence[str], action: str, calls: Sequence[str], taken: Iterable[str]) -> str:
    """What the names have in common; by what it does where that is but a beginning (``have_by_gather``), and with what
    it calls where that is a name already (``have_by_gather_with_any_pickaxe``)."""
    before, after = _shared([name.split("_") for name in names])
    stem = "_".join([*before, *after]) or "do"
    if not after and action:
        stem = f"{stem}_by_{action}"
    stem = stem if stem.isidentifier() and not keyword.iskeyword(stem) else f"do_{stem}"
    used, start = set(taken), "_".join([*before, ""])
    with_ = [f"{stem}_with_{called.removeprefix(start)}"[:_LONGEST] for called in calls[:1]]
    return next((name for name in (stem, *with_) if name not in used), None) or _fresh(stem, 1, used)[0]


def _shared_doc(docs: Sequence[str], choices: Sequence[str]) -> str:
    """What the texts have in common, with the first choice in place of what they have not."""
    if len(set(docs)) == 1:
        return docs[0]
    before, after = _shared([doc.split() for doc in docs])
    return " ".join([*before, f"{{{choices[0]}}}", *after])


def _shared(rows: Sequence[Sequence[str]]) -> tuple[list[str], list[str]]:
    """The words with which all begin, and with which all end."""
    shortest = min(map(len, rows))
    before = 0
    while before < shortest and len({row[before] for row in rows}) == 1:
        before += 1
    after = 0
    while after < shortest - before and len({row[-1 - after] for row in rows}) == 1:
        after += 1
    first = rows[0]
    return list(first[:before]), list(first[len(first) - after :])


def _constants(plain: Plain) -> list[re.Match[str]]:
    """The texts in a goal's template that follow no parameter."""
    own = [f"{{{p.name}}}" for p in plain.parameters]
    return [m for m in _QUOTED.finditer(plain.goal_template) if not any(name in m[1] for name in own)]


def _goal_filled(template: str, choices: Mapping[str, Json]) -> str:
    """A goal's template with the choices in place of their names, written as goals are."""
    quoted = {name: str(Fact("", (str(value),)))[1:-1] for name, value in choices.items()}
    return _QUOTED.sub(lambda m: quoted.get(m[1][1:-1], m[0]) if m[1][:1] == "{" else m[0], template)


def _plain_text(quoted: str) -> str:
    """A text as it stands in a goal, without its escapes."""
    value = ast.literal_eval(f'"{quoted}"')
    assert isinstance(value, str)
    return value

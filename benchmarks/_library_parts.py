"""What the library benchmark looks at in a set of skills, and the skills that it makes up to put into one."""

from __future__ import annotations

import ast
import copy
import random
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from habilis.core import InputError, Json, Skill
from habilis.memory.library.similarity import shingles

NEAR = 0.6
"""The Jaccard similarity of shingles from which two programs count as near-duplicates."""

KINDS = ("stale", "broken", "near")
_VARIED: tuple[int, ...] = (1, 3, 2, 5)  # as admission varies an amount


def composing_share(skills: Mapping[str, Skill]) -> float:
    """The share of skills that call another one."""
    return sum(bool(s.program.calls) for s in skills.values()) / max(1, len(skills))


def near_duplicates(skills: Mapping[str, Skill], *, blind: bool = False) -> set[str]:
    """The skills that are the same up to names as another one, or share `NEAR` of their shingles with it.

    ``blind``: numbers and texts count as equal, so that programs which differ in constants only are near too.
    """
    sources = {n: s.program.source for n, s in skills.items()}
    found = {n: shingles(blinded(text) if blind else text) for n, text in sources.items()}
    names, near = list(found), set()
    for i, one in enumerate(names):
        for other in names[i + 1 :]:
            a, b = found[one], found[other]
            if len(a & b) >= NEAR * len(a | b):
                near |= {one, other}
    return near


def near_duplicate_share(skills: Mapping[str, Skill], *, blind: bool = False) -> float:
    return len(near_duplicates(skills, blind=blind)) / max(1, len(skills))


def blinded(source: str) -> str:
    """The program with every number and text the same."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, (int, float, str)):
            node.value = 0
    return ast.unparse(tree)


def baked(skill: Skill) -> bool:
    """Whether an amount is fixed in what the skill promises: a number in its goal in place of a parameter, a number
    parameter that its program never reads, or a program that compares what its goal is about with a number above 1."""
    if re.search(r"(>=|<=|>|<|==)\s*-?\d", skill.goal_template):
        return True
    tree = ast.parse(skill.program.source)
    read = {n.id for n in ast.walk(tree) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load)}
    if any(p.type == "int" and p.name not in read for p in skill.program.parameters):
        return True
    facts = {str(a.fact) for goal in skill.goals() for a in goal.atoms if a.is_numeric}
    return any(f"world.{fact}" in _fixed(tree) for fact in facts)


def _fixed(tree: ast.AST) -> set[str]:
    """What a loop of the program goes on for until it reaches a number above 1, as text."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.While) and isinstance(node.test, ast.Compare):
            right = node.test.comparators[0]
            if isinstance(right, ast.Constant) and isinstance(right.value, int) and right.value > 1:
                found.add(ast.unparse(node.test.left).replace("'", '"'))
    return found


def in_order(skills: Mapping[str, Skill], first_seen: Sequence[str]) -> list[str]:
    """The names of active skills, those whose name the life knew first, first."""
    place = {name: i for i, name in enumerate(first_seen)}
    return sorted(skills, key=lambda n: (place.get(n, len(place)), n))


def closed(names: Iterable[str], skills: Mapping[str, Skill]) -> dict[str, Skill]:
    """These skills and all that they call, in the library's order."""
    wanted, todo = set(), list(names)
    while todo:
        name = todo.pop()
        if name in skills and name not in wanted:
            wanted.add(name)
            todo += skills[name].program.calls
    return {n: s for n, s in skills.items() if n in wanted}


def largest(order: Sequence[str], skills: Mapping[str, Skill], most: float) -> dict[str, Skill]:
    """The largest library of the first so many skills, closed, whose near-duplicates are at most this share."""
    for n in range(len(order), 0, -1):
        some = closed(order[:n], skills)
        if near_duplicate_share(some) <= most:
            return some
    return {}


def arguments(skill: Skill, case: Mapping[str, Json]) -> list[dict[str, Json]]:
    """The arguments that a case is tried with: as it is called by default, then with other amounts in its range."""
    found: list[dict[str, Json]] = []
    for value in _VARIED:
        args = dict(case)
        for p in skill.program.parameters:
            if p.type == "int" and not p.choices:
                fits = (p.low is None or value >= p.low) and (p.high is None or value <= p.high)
                args[p.name] = value if fits and found else p.default
        if args not in found:
            found.append(args)
    return found


# ---------------------------------------------------------------------- made up


def polluted(skills: Mapping[str, Skill], seed: int) -> dict[str, Skill]:
    """One made-up skill for each genuine one, a third of each kind, under a name of its own. It promises the same, with
    the evidence of the genuine one, and claims to cost a tenth less, so that search prefers it.

    ``stale``   the first of its guards is missing: written for a rule that asked for less
    ``broken``  its last action names something that no world has
    ``near``    the same program, its loops' conditions turned round
    """
    order = sorted(skills)
    random.Random(f"polluted:{seed}").shuffle(order)
    found = {}
    for i, name in enumerate(order):
        kind = KINDS[i % len(KINDS)]
        new = _spoilt(skills[name], kind)
        found[new.name] = new
    return found


def _spoilt(skill: Skill, kind: str) -> Skill:
    tree = ast.parse(skill.program.source)
    done = {"stale": _without_guard, "broken": _misnamed, "near": _turned}[kind](tree)
    if not done:
        kind = "near"
        _turned(tree)
    name = f"{skill.name}_{kind}"
    return _as(skill, name, _named(tree, skill.program.name, name), 0.9)


def _as(skill: Skill, name: str, source: str, cost: float) -> Skill:
    return replace(
        skill,
        name=name,
        version=1,
        program=replace(skill.program, name=name, source=source),
        origin="made up",
        cost=round(skill.cost * cost, 3),
        cases=tuple(replace(c, cost=round(c.cost * cost, 3)) for c in skill.cases),
        meta={k: v for k, v in skill.meta.items() if k != "lost"},
        due="",
    )


def _named(tree: ast.Module, old: str, new: str) -> str:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef) and node.name == old:
            node.name = new
        elif isinstance(node, ast.Name) and node.id == old:
            node.id = new
    return ast.unparse(ast.fix_missing_locations(tree)) + "\n"


def _without_guard(tree: ast.AST) -> bool:
    """Take the first ``if`` out of the loop that ends in the program's last action."""
    loops = [n for n in ast.walk(tree) if isinstance(n, ast.While) and len(n.body) > 1]
    for loop in loops:
        for node in loop.body:
            if isinstance(node, ast.If):
                loop.body.remove(node)
                return True
    return False


def _misnamed(tree: ast.AST) -> bool:
    """Let its last action in the world, or else its last call of a skill, name something else."""
    calls = [n for n in ast.walk(tree) if isinstance(n, ast.Expr) and isinstance(n.value, ast.Call)]
    for statement in sorted(calls, key=lambda n: n.lineno, reverse=True):
        call = statement.value
        assert isinstance(call, ast.Call)
        if isinstance(call.func, ast.Attribute) and ast.unparse(call.func.value) == "world":
            for argument in call.args:
                if isinstance(argument, ast.Constant) and isinstance(argument.value, str):
                    argument.value += "_of_old"
                    return True
    return False


def _turned(tree: ast.AST) -> bool:
    turned = False
    for node in ast.walk(tree):
        if isinstance(node, (ast.While, ast.If)) and isinstance(node.test, ast.Compare):
            inverse = {ast.Lt: ast.GtE, ast.Gt: ast.LtE}.get(type(node.test.ops[0]))
            if inverse is not None:
                test = copy.deepcopy(node.test)
                test.ops = [inverse()]
                node.test = ast.UnaryOp(ast.Not(), test)
                turned = True
    return turned


def distractors(skills: Mapping[str, Skill], number: int) -> dict[str, Skill]:
    """So many generated variants of genuine skills, no skills of anyone: every other one promises the same at a higher
    cost, the others make something that no world has."""
    if not skills:
        raise InputError("distractors are variants of genuine skills; give some")
    genuine, found = list(skills.values()), {}
    for i in range(number):
        skill = genuine[i % len(genuine)]
        name = f"{skill.name}_variant_{i}"
        tree = ast.parse(skill.program.source)
        new = _as(skill, name, _named(tree, skill.program.name, name), 2.0 + i / max(1, number))
        if i % 2:
            new = replace(new, goal_template=skill.goal_template.replace('")', f'_variant_{i}")'))
        found[name] = new
    return found

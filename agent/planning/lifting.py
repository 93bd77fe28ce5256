"""From a plan to a program: guarded and reactive, lifted from contracts rather than from a trace.

    def have_stick(n: int = 1):
        while world.count("stick") < n:
            times = -((world.count("stick") - n) // 4)
            if world.count("#planks") < 2 * times:
                skills.have_any_planks(2 * times)
                continue
            world.craft("stick")

Each condition of the action becomes a guard that brings it about; the loop looks again after every change, so the
program works from any state and in any world of the same rules. What no skill brings about becomes a nested function.
"""

from __future__ import annotations

import itertools

from habilis.agent.planning._names import identifier, marked, skill_name
from habilis.agent.planning._program_text import (
    INDENT,
    ProgramText,
    amount_of,
    parameter_for,
    query_of,
    takes_amount,
    term_of,
)
from habilis.agent.planning.fitting import parameters_of, template_of
from habilis.agent.planning.regression import Regression, direction
from habilis.core import Action, Atom, Draft, Fact, Goal, Program, Term

__all__ = ["lift", "lift_action", "skill_name"]


def _template(atom: Atom, name: str = "n") -> str:
    """The atom with its number left open."""
    return f"{atom.fact} {'>=' if direction(atom) else '<='} {{{name}}}" if atom.is_numeric else str(atom)


def lift(regression: Regression, goal: Goal, *, writer: str = "search") -> Draft | None:
    """A program for a goal, or None where the contracts do not lead there.

    One atom becomes a skill with a parameter for the amount; several become a loop over them. Where the world poses
    orders, the words of a single one become parameters.
    """
    if "orders" in regression.spec.capabilities:
        general = _for_any(regression, goal, writer)
        if general is not None:
            return general
    writer_ = ProgramText(regression)
    if len(goal.atoms) == 1 and direction(goal.atoms[0]) is not None:
        atom = goal.atoms[0]
        up = bool(direction(atom))
        way = regression.solve(atom.fact, up)
        if way is None:
            return None
        if way.known is not None:
            known, case = way.known.skill, way.known.case
            args = dict(case.args) | ({"n": amount_of(atom)} if takes_amount(known) else {})
            return Draft(known.program, args, known.goal_template, case.sources, case.needs, known.meta)
        name, body = writer_.function(way, atom)
        return Draft(
            Program(name, body, (parameter_for(atom),) if atom.is_numeric else (), writer_.calls, writer),
            {"n": amount_of(atom)} if atom.is_numeric else {},
            _template(atom),
            (str(way.source),) if way.source is not None else (),
            writer_.needs,
            {"material": way.material} if way.material else {},
        )
    return _conjunction(regression, writer_, goal, writer)


def lift_action(regression: Regression, action: Action, *, writer: str = "search") -> Draft | None:
    """A program that tries an action once, after bringing about what it is known to need."""
    contract = regression.book.contract(action)
    needs = regression.conditions(contract)
    if needs is None:
        return None
    writer_ = ProgramText(regression)
    name = f"try_{identifier(' '.join(map(str, (action.name, *action.args))))}"
    lines = [f"def {name}():", *writer_.patient(contract), f"{INDENT}while True:"]
    lines += writer_.guards(needs, 2, times=None)
    lines += writer_.doing(contract, "return")
    lines += [] if writer_.patience(contract) else [f"{INDENT * 2}return"]
    return Draft(Program(name, writer_.assemble(lines), (), writer_.calls, writer), {}, "", ())


def _for_any(regression: Regression, goal: Goal, writer: str) -> Draft | None:
    """A program for goals like this one, whatever words they name: planned for words of which nothing is known but what
    holds for all. None where that does not suffice."""
    atom = goal.atoms[0] if len(goal.atoms) == 1 else None
    if atom is None or direction(atom) is not True or atom.is_numeric:
        return None
    fact = atom.fact
    parameters = parameters_of(regression.spec, fact)
    words = {str(p.default): f"<{p.name}>" for p in parameters if p.type == "str"}
    if not words or len(words) < sum(p.type == "str" for p in parameters):
        return None

    def general(args: tuple[Term, ...]) -> tuple[Term, ...]:
        return tuple(words.get(a, a) if isinstance(a, str) else a for a in args)

    own = [
        Action(primitive.name, args)
        for primitive in regression.spec.primitives
        if primitive.parameters and all(p.type == "str" and p.required for p in primitive.parameters)
        for args in itertools.permutations(words.values(), len(primitive.parameters))
    ]
    wider = Regression(
        regression.book,
        regression.spec,
        regression.skills,
        [*regression.affordances, *own],
        regression.charge,
        facts=regression.facts,
        tools=regression.tools,
    )
    wanted = Fact(fact.predicate, general(fact.args))
    way = wider.solve(wanted)
    if way is None or way.known is not None:
        return None
    text = ProgramText(wider)
    _, source = text.function(way, Atom(wanted))
    if any(word in need for need in text.needs for word in words.values()):
        return None
    names = [p.name for p in parameters]
    source = source.replace(query_of(wanted), f"world.{fact.predicate}({', '.join(names)})")
    for word in words.values():
        source = source.replace(term_of(word), word.strip("<>"))
    heads = ", ".join(f"{p.name}: {p.type} = {term_of(p.default)}" for p in parameters)
    body = source.split("\n", 1)[1]
    program = Program(fact.predicate, f"def {fact.predicate}({heads}):\n{body}", parameters, text.calls, writer)
    return Draft(
        program, {p.name: p.default for p in parameters}, template_of(fact.predicate, parameters), (), text.needs
    )


def _conjunction(regression: Regression, text: ProgramText, goal: Goal, writer: str) -> Draft | None:
    names, parameters, template, args = [], [], [], {}
    todo: list[tuple[int, list[str]]] = []
    for i, atom in enumerate(dict.fromkeys(goal.atoms), 1):
        up = direction(atom)
        way = regression.solve(atom.fact, up) if up is not None else None
        if up is None or way is None:
            return None
        names.append(skill_name(regression.spec, atom.fact, up))
        test = text.lacks(atom)
        if atom.is_numeric:
            parameters.append(parameter_for(atom, f"n{i}"))
            args[f"n{i}"] = amount_of(atom)
            test = f"{query_of(atom.fact)} {'<' if up else '>'} n{i}"
        template.append(_template(atom, f"n{i}"))
        body = [f"if {test}:", *(INDENT + s for s in text.achieve(way, atom, f"n{i}")), f"{INDENT}continue"]
        todo.append((-way.height, [INDENT * 2 + s for s in body]))
    if not todo:
        return None
    name = "_and_".join(names)
    name = name if len(name) <= 80 else marked(name, name)
    signature = ", ".join(f"{p.name}: int = {p.default}" for p in parameters)
    lines = [f"def {name}({signature}):", f"{INDENT}while True:"]
    for _, statements in sorted(todo, key=lambda t: t[0]):
        lines += statements
    lines += [f"{INDENT * 2}return"]
    program = Program(name, text.assemble(lines), tuple(parameters), text.calls, writer)
    return Draft(program, args, " and ".join(template), (), text.needs)

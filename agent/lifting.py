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
import math
from dataclasses import dataclass, field

from habilis.agent._names import identifier, marked, skill_name
from habilis.agent.fitting import parameters_of, template_of
from habilis.agent.regression import Known, Regression, Way, direction
from habilis.agent.tool_actions import PREFIX
from habilis.core import Action, Atom, Condition, Contract, Draft, Fact, Goal, Parameter, Program, Skill, Term

_INDENT = "    "
_UNLUCKY = 0.02  # chance of giving up although it would have worked
_RAREST, _SUREST = 0.05, 0.7  # chances that are reckoned with
_OBSTACLES = 60  # things removed on one way


def _parameter(atom: Atom, name: str = "n") -> Parameter:
    least = direction(atom) is True
    doc = f"how many to have {'in all' if least else 'at most'}"
    return Parameter(name, "int", 1 if least else 0, required=False, doc=doc)


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
    writer_ = _Text(regression)
    if len(goal.atoms) == 1 and direction(goal.atoms[0]) is not None:
        atom = goal.atoms[0]
        up = bool(direction(atom))
        way = regression.solve(atom.fact, up)
        if way is None:
            return None
        if way.known is not None:
            known, case = way.known.skill, way.known.case
            args = dict(case.args) | ({"n": _amount(atom)} if _counts(known) else {})
            return Draft(known.program, args, known.goal_template, case.sources, case.needs, known.meta)
        name, body = writer_.function(way, atom)
        return Draft(
            Program(name, body, (_parameter(atom),) if atom.is_numeric else (), writer_.calls, writer),
            {"n": _amount(atom)} if atom.is_numeric else {},
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
    writer_ = _Text(regression)
    name = f"try_{identifier(' '.join(map(str, (action.name, *action.args))))}"
    lines = [f"def {name}():", *writer_.patient(contract), f"{_INDENT}while True:"]
    lines += writer_.guards(needs, 2, times=None)
    lines += writer_.doing(contract, "return")
    lines += [] if writer_.patience(contract) else [f"{_INDENT * 2}return"]
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
    text = _Text(wider)
    _, source = text.function(way, Atom(wanted))
    if any(word in need for need in text.needs for word in words.values()):
        return None
    names = [p.name for p in parameters]
    source = source.replace(_query(wanted), f"world.{fact.predicate}({', '.join(names)})")
    for word in words.values():
        source = source.replace(_term(word), word.strip("<>"))
    heads = ", ".join(f"{p.name}: {p.type} = {_term(p.default)}" for p in parameters)
    body = source.split("\n", 1)[1]
    program = Program(fact.predicate, f"def {fact.predicate}({heads}):\n{body}", parameters, text.calls, writer)
    return Draft(
        program, {p.name: p.default for p in parameters}, template_of(fact.predicate, parameters), (), text.needs
    )


def _conjunction(regression: Regression, text: _Text, goal: Goal, writer: str) -> Draft | None:
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
            parameters.append(_parameter(atom, f"n{i}"))
            args[f"n{i}"] = _amount(atom)
            test = f"{_query(atom.fact)} {'<' if up else '>'} n{i}"
        template.append(_template(atom, f"n{i}"))
        body = [f"if {test}:", *(_INDENT + s for s in text.achieve(way, atom, f"n{i}")), f"{_INDENT}continue"]
        todo.append((-way.height, [_INDENT * 2 + s for s in body]))
    if not todo:
        return None
    name = "_and_".join(names)
    name = name if len(name) <= 80 else marked(name, name)
    signature = ", ".join(f"{p.name}: int = {p.default}" for p in parameters)
    lines = [f"def {name}({signature}):", f"{_INDENT}while True:"]
    for _, statements in sorted(todo, key=lambda t: t[0]):
        lines += statements
    lines += [f"{_INDENT * 2}return"]
    program = Program(name, text.assemble(lines), tuple(parameters), text.calls, writer)
    return Draft(program, args, " and ".join(template), (), text.needs)


@dataclass
class _Text:
    """The text of one program: its helper functions, and the skills it calls."""

    regression: Regression
    helpers: dict[str, list[str]] = field(default_factory=dict)
    called: set[str] = field(default_factory=set)
    main: str = ""
    active: set[str] = field(default_factory=set)
    given: set[str] = field(default_factory=set)
    clears: bool = False  # looking for something may do something on the way

    @property
    def calls(self) -> tuple[str, ...]:
        return tuple(sorted(self.called))

    @property
    def needs(self) -> tuple[str, ...]:
        """What must hold at the start."""
        return tuple(sorted(self.given))

    def function(self, way: Way, atom: Atom) -> tuple[str, str]:
        name = skill_name(self.regression.spec, *way.wanted)
        self.main = name
        return name, self.assemble(self.define(name, way, atom))

    def assemble(self, lines: list[str]) -> str:
        head, *body = lines
        nested: list[str] = []
        for helper in self.helpers.values():
            nested += [_INDENT + line for line in helper] + [""]
        return "\n".join([head, *nested, *body]) + "\n"

    # ------------------------------------------------------------------ statements

    def lacks(self, atom: Atom) -> str:
        """The expression that is true while an atom is not."""
        query = _query(atom.fact)
        if isinstance(atom.value, bool):
            return f"not {query}" if (atom.op == "==") == atom.value else query
        inverse = {">=": "<", ">": "<=", "<=": ">", "<": ">=", "==": "!=", "!=": "=="}[atom.op]
        return f"{query} {inverse} {atom.value!r}"

    def achieve(self, way: Way, atom: Atom, amount: str) -> list[str]:
        """Statements that bring a fact about, up to an amount."""
        argument = amount if atom.is_numeric else ""
        if way.known is not None:
            return [self.call(way.known, argument)]
        if way.kind == "seek" and way.fallback is None and way.seek is not None:
            return self.looking(way.seek)
        name = skill_name(self.regression.spec, *way.wanted)
        if name != self.main and name not in self.helpers and name not in self.active:
            self.active.add(name)
            lines = self.define(name, way, atom)
            self.active.discard(name)
            self.helpers[name] = lines
        return [f"{name}({argument})"]

    def define(self, name: str, way: Way, atom: Atom) -> list[str]:
        fact, up = way.wanted
        counted = atom.is_numeric
        head = f"def {name}(n: int = {_parameter(atom).default}):" if counted else f"def {name}():"
        loop = f"while {_query(fact)} {'<' if up else '>'} n:" if counted else f"while {self.lacks(atom)}:"
        if way.kind == "any":
            return [head, _INDENT + loop, *self._any(way, atom)]
        if way.kind == "seek":
            return [head, *self._seek(way, atom)]
        if way.kind == "act" and way.contract is not None:
            loop_ends = "" if counted else _query(fact) if up else f"not {_query(fact)}"
            return [head, *self.patient(way.contract), _INDENT + loop, *self._act(way, way.contract, loop_ends)]
        assert way.known is not None
        return [head, f"{_INDENT}{self.call(way.known, 'n' if counted else '')}"]

    def call(self, known: Known, amount: str) -> str:
        """The call of a skill, in the case that is meant."""
        self.called.add(known.skill.name)
        given = [amount] if amount and _counts(known.skill) else []
        given += [f"{name}={_term(value)}" for name, value in sorted(known.case.args.items())]
        return f"skills.{known.skill.name}({', '.join(given)})"

    def guards(
        self,
        needs: tuple[tuple[Condition, Way], ...],
        depth: int,
        times: str | None,
        then: str = "continue",
        met: str = "",
    ) -> list[str]:
        """Statements that bring about what is lacking, one thing at a time. ``then``: what follows each; ``met``: the
        expression that is true once nothing needs to be done any more."""
        pad = _INDENT * depth
        undone = [met] if met else []
        here: list[str] = []
        lines: list[str] = []
        for condition, way in sorted(needs, key=lambda n: _order(self.regression, n[0], n[1])):
            atom = condition.atom
            if way.kind == "given":
                self.given.add(str(atom))
                continue
            if way.kind == "seek" and way.fallback is None and way.seek is not None:
                here += [f"{pad}if {self.lacks(atom)}:", *(f"{pad}{_INDENT}{s}" for s in self.looking(way.seek))]
                if undone and self._clears(way.seek):  # on the way something may have been taken up, or opened
                    here += [f"{pad}{_INDENT}if {' or '.join(undone)}:", f"{pad}{_INDENT * 2}{then}"]
                continue
            amount = _needed(condition, times)
            test = self.lacks(atom) if amount == _literal(atom) else f"{_query(atom.fact)} < {amount}"
            lines.append(f"{pad}if {test}:")
            lines += [f"{pad}{_INDENT}{s}" for s in self.achieve(way, atom, amount)]
            lines.append(f"{pad}{_INDENT}{then}")
            undone.append(test)
        return lines + here

    # ------------------------------------------------------------------ where no reasons are given

    def patience(self, contract: Contract) -> int:
        """How often in a row the action may fail before that is more than bad luck; 0 where a failure has reasons."""
        if "reasons" in self.regression.spec.capabilities or contract.action.name.startswith(PREFIX):
            return 0
        chance = min(max(contract.chance, _RAREST), _SUREST)
        return math.ceil(math.log(_UNLUCKY) / math.log(1 - chance)) if contract.chance < 1 else 0

    def patient(self, contract: Contract) -> list[str]:
        return [f"{_INDENT}vain = 0"] if self.patience(contract) else []

    def doing(self, contract: Contract, then: str) -> list[str]:
        """Statements that do an action, where it may fail by chance again and again; ``then`` follows a success."""
        pad, most = _INDENT * 2, self.patience(contract)
        call = self.looking(contract.action) if self._seeks(contract.action) else [_call(contract.action)]
        if not most:
            return [f"{pad}{line}" for line in call]
        lines = [f"{pad}try:", *(f"{pad}{_INDENT}{line}" for line in call), f"{pad}{_INDENT}{then}"]
        lines += [f"{pad}except ActionFailed:", f"{pad}{_INDENT}vain += 1"]
        return [*lines, f"{pad}{_INDENT}if vain > {most}:", f"{pad}{_INDENT * 2}raise"]

    def _seeks(self, action: Action) -> bool:
        return action.name in self.regression.spec.seeking

    def _clears(self, seek: Action) -> bool:
        """Whether looking for this may have done something on the way."""
        primitive = self.regression.spec.primitive(seek.name)
        return primitive is not None and primitive.stops is not None and self.clears

    def looking(self, seek: Action) -> list[str]:
        """Statements that look for something; where that may stop before an obstacle, by a function that removes it."""
        primitive = self.regression.spec.primitive(seek.name)
        if primitive is None or primitive.stops is None:
            return [_call(seek)]
        self._clear_way(primitive.stops)
        if "clear_way" not in self.helpers:
            return [_call(seek)]
        return [f"clear_way({', '.join((f'world.{seek.name}', *map(_term, seek.args)))})"]

    def _clear_way(self, stops: str) -> None:
        """The function that looks for something and takes away what it stops before, written once."""
        removers = self._removers(stops)
        if not removers or "clear_way" in self.helpers:
            return
        lines = self.helpers["clear_way"] = []
        known = ", ".join(f"{_term(thing)}: {self._remover(c)}" for thing, c in sorted(removers.items()))
        lines += [
            "def clear_way(look, *target):",
            f"{_INDENT}remove = {{{known}}}",
            f"{_INDENT}for _ in range({_OBSTACLES}):",
            f"{_INDENT * 2}try:",
            f"{_INDENT * 3}return look(*target)",
            f"{_INDENT * 2}except ActionFailed:",
            f"{_INDENT * 3}ahead = [args[0] for args, _ in world.facts({_term(stops)})]",
            f"{_INDENT * 3}if not ahead or ahead[0] not in remove:",
            f"{_INDENT * 4}raise",
            f"{_INDENT * 3}remove[ahead[0]](ahead[0])",
            f"{_INDENT}return look(*target)",
        ]

    def _remover(self, contract: Contract) -> str:
        """What is called to take something away that one stands before: the action, or a function that first brings
        about what must be so for it. Of what is counted nothing is brought about: a pickaxe for each stone on the way
        would be a way of its own."""
        spec = self.regression.spec
        needs = self.regression.conditions(contract) or ()
        states = tuple(
            (c, way)
            for c, way in needs
            if not c.atom.is_numeric and way.kind not in ("given", "seek") and c.atom.fact.predicate not in spec.passing
        )
        if not states:
            return f"world.{contract.action.name}"
        name = f"remove_{identifier(str(contract.action.args[0]))}"
        self.helpers[name] = [
            f"def {name}(obstacle):",
            *self.guards(states, 1, None, then="return"),
            f"{_INDENT}world.{contract.action.name}(obstacle)",
        ]
        self.clears = True
        return name

    def _removers(self, predicate: str) -> dict[str, Contract]:
        """By thing: the action after which it is no longer there; of several the one that the world names first."""
        found: dict[str, Contract] = {}
        rank = {p.name: i for i, p in enumerate(self.regression.spec.primitives)}
        for contract in sorted(self.regression.book, key=lambda c: -rank.get(c.action.name, len(rank))):
            name, args = contract.action
            if not contract.successes or len(args) != 1 or name in self.regression.spec.seeking:
                continue
            effect = contract.effect_on(Fact(predicate, args), up=False)
            if effect is not None and effect.seen * 2 > contract.successes:
                found[str(args[0])] = contract
        return found

    # ------------------------------------------------------------------ bodies

    def _act(self, way: Way, contract: Contract, met: str = "") -> list[str]:
        fact, up = way.wanted
        effect = contract.effect_on(fact, up)
        gain = max(1, round(effect.amount)) if effect is not None and effect.value is None else 1
        uses = any(c.consumed >= 0.5 and ch.kind not in ("seek", "given") for c, ch in way.needs)
        counted = effect is not None and effect.value is None and up
        lines: list[str] = []
        times = None
        if uses and counted:
            missing = f"n - {_query(fact)}"
            lines.append(f"{_INDENT * 2}times = {missing if gain == 1 else f'-(({_query(fact)} - n) // {gain})'}")
            times = "times"
        lines += self.guards(way.needs, 2, times, met=met)
        if not contract.action.name.startswith(PREFIX):
            return [*lines, *self.doing(contract, "vain = 0")]
        # A call may cost money, and a tool may say that it did what it did not: once in vain is enough.
        query = _query(fact)
        worse = f"{query} {'<=' if up else '>='} before" if counted else f"{query} == before"
        lines += [f"{_INDENT * 2}before = {query}", f"{_INDENT * 2}{_call(contract.action)}"]
        lines += [f"{_INDENT * 2}if {worse}:", f"{_INDENT * 3}raise RuntimeError({_vain(contract.action, fact)!r})"]
        return lines

    def _seek(self, way: Way, atom: Atom) -> list[str]:
        assert way.seek is not None
        if way.fallback is None:
            return [f"{_INDENT}{s}" for s in self.looking(way.seek)]
        lines = [f"{_INDENT}if not ({self.lacks(atom)}):", f"{_INDENT * 2}return"]
        lines += [f"{_INDENT}try:", *(f"{_INDENT * 2}{s}" for s in self.looking(way.seek))]
        lines.append(f"{_INDENT}except ActionFailed:")
        fallback = way.fallback
        if fallback.kind == "act" and fallback.contract is not None:
            lines += [_INDENT + line for line in self.patient(fallback.contract)]
            lines += [f"{_INDENT * 2}while {self.lacks(atom)}:"]
            lines += [_INDENT + line for line in self._act(fallback, fallback.contract)]
        else:
            lines += [f"{_INDENT * 2}{s}" for s in self.achieve(fallback, atom, str(_amount(atom)))]
        return lines

    def _any(self, way: Way, atom: Atom) -> list[str]:
        fact, _ = way.wanted
        pad = _INDENT * 2
        tag = _query(fact)
        member = {id(o): _query(o.wanted[0]) for o in way.options}
        first = way.options[0]
        numeric = not isinstance(atom.value, bool)
        if not numeric or len(way.options) == 1:
            amount = f"{member[id(first)]} + n - {tag}" if numeric else ""
            return [f"{pad}{s}" for s in self.achieve(first, atom, amount)]
        lines = [f"{pad}missing = n - {tag}"]
        opened = "if"
        for option in way.options:
            if option.material is None:
                continue
            lines.append(f"{pad}{opened} {_query(Fact(fact.predicate, (option.material, *fact.args[1:])))} > 0:")
            lines += [f"{pad}{_INDENT}{s}" for s in self.achieve(option, atom, f"{member[id(option)]} + missing")]
            lines.append(f"{pad}{_INDENT}continue")
        by_source = {o.source: o for o in way.options if o.source is not None}
        places = {s.where for s in by_source}
        seeker = next((p for p in self.regression.spec.primitives if p.seeks and p.variadic), None)
        if len(by_source) < 2 or len(places) != 1 or seeker is None:
            lines += [f"{pad}{s}" for s in self.achieve(first, atom, f"{member[id(first)]} + missing")]
            return lines
        targets = ", ".join([*(_term(s.target) for s in by_source), *map(_term, next(iter(places)))])
        lines.append(f"{pad}found = world.{seeker.name}({targets}).value")
        for source, option in by_source.items():
            lines.append(f"{pad}{opened} found == {_term(source.target)}:")
            lines += [f"{pad}{_INDENT}{s}" for s in self.achieve(option, atom, f"{member[id(option)]} + missing")]
            opened = "elif"
        return lines


def _counts(skill: Skill) -> bool:
    return any(p.name == "n" for p in skill.program.parameters)


def _order(regression: Regression, condition: Condition, way: Way) -> tuple[int, int, str]:
    """Kept things first, then what is used up (what takes most steps to make first), then the place to be in."""
    if regression.is_sought(condition.atom.fact) is not None:
        return (2, 0, str(condition.atom))
    used = condition.consumed >= 0.5
    return (1 if used else 0, -way.height, str(condition.atom))


def _query(fact: Fact) -> str:
    return f"world.{fact.predicate}({', '.join(_term(a) for a in fact.args)})"


def _vain(action: Action, fact: Fact) -> str:
    return f"{action} did not change {fact}"


def _call(action: Action) -> str:
    where = "" if action.name.startswith(PREFIX) else "world."
    return f"{where}{action.name}({', '.join(_term(a) for a in action.args)})"


def _term(term: str | int) -> str:
    quoted = str(Fact("f", (term,)))[2:-1]
    return quoted if quoted.isprintable() else repr(term)


def _amount(atom: Atom) -> int | float:
    if isinstance(atom.value, bool):
        return 1
    return atom.value + {">": 1, "<": -1}.get(atom.op, 0)


def _literal(atom: Atom) -> str:
    return str(_amount(atom))


def _needed(condition: Condition, times: str | None) -> str:
    """How much of a thing the next ``times`` actions need."""
    need = _amount(condition.atom)
    if times is None or condition.consumed < 0.5:
        return str(need)
    each = math.ceil(condition.consumed - 1e-9)
    product = times if each == 1 else f"{each} * {times}"
    return product if each >= need else f"max({need}, {product})"

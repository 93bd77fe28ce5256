"""The text of a program that is lifted from a plan: guards, loops, nested functions, and the skills it calls."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from habilis.agent.planning._names import identifier, skill_name
from habilis.agent.planning.regression import Known, Needs, Regression, Way, brings_about, direction
from habilis.agent.planning.tool_actions import PREFIX
from habilis.core import Action, Atom, Condition, Contract, Fact, Parameter, Skill

INDENT = "    "
_UNLUCKY = 0.005  # chance of giving up although it would have worked
_RAREST, _SUREST = 0.05, 0.7  # chances that are reckoned with
_LOOKS = 3  # times that something is looked for in vain before it is given up
_OBSTACLES = 60  # things removed on one way
_TOGETHER = 12  # steps towards being at several places at once, such as going to one, or putting one


def parameter_for(atom: Atom, name: str = "n") -> Parameter:
    least = direction(atom) is True
    doc = f"how many to have {'in all' if least else 'at most'}"
    return Parameter(name, "int", 1 if least else 0, required=False, doc=doc)


@dataclass(frozen=True)
class _Place:
    """Something to be at: the way there, and the action that puts it where one stands, with what that needs."""

    way: Way
    contract: Contract
    needs: Needs

    @property
    def cost(self) -> float:
        return sum(way.cost * max(1.0, condition.consumed) for condition, way in self.needs)

    def portable(self, yes: bool) -> list[tuple[Condition, Way]]:
        """What it needs that one can have about one, or else that is so at a place."""
        return [(c, way) for c, way in self.needs if way.kind != "given" and c.atom.is_numeric == yes]


@dataclass
class ProgramText:
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
            nested += [INDENT + line for line in helper] + [""]
        return "\n".join([head, *nested, *body]) + "\n"

    # ------------------------------------------------------------------ statements

    def lacks(self, atom: Atom) -> str:
        """The expression that is true while an atom is not."""
        query = query_of(atom.fact)
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
        head = f"def {name}(n: int = {parameter_for(atom).default}):" if counted else f"def {name}():"
        loop = f"while {query_of(fact)} {'<' if up else '>'} n:" if counted else f"while {self.lacks(atom)}:"
        if way.kind == "any":
            return [head, INDENT + loop, *self._any(way, atom)]
        if way.kind == "seek":
            return [head, *self._seek(way, atom)]
        if way.kind == "act" and way.contract is not None:
            loop_ends = "" if counted else query_of(fact) if up else f"not {query_of(fact)}"
            return [head, *self.patient(way.contract), INDENT + loop, *self._act(way, way.contract, loop_ends)]
        assert way.known is not None
        return [head, f"{INDENT}{self.call(way.known, 'n' if counted else '')}"]

    def call(self, known: Known, amount: str) -> str:
        """The call of a skill, in the case that is meant."""
        self.called.add(known.skill.name)
        given = [amount] if amount and takes_amount(known.skill) else []
        given += [f"{name}={term_of(value)}" for name, value in sorted(known.case.args.items())]
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
        pad = INDENT * depth
        undone = [met] if met else []
        here: list[str] = []
        lines: list[str] = []
        places = self._places(needs)
        for condition, way in sorted(needs, key=lambda n: _order(self.regression, n[0], n[1])):
            atom = condition.atom
            if atom in places:
                continue
            if way.kind == "given":
                self.given.add(str(atom))
                continue
            if way.kind == "seek" and way.fallback is None and way.seek is not None:
                here += [f"{pad}if {self.lacks(atom)}:", *(f"{pad}{INDENT}{s}" for s in self.looking(way.seek))]
                if undone and self._clears(way.seek):  # on the way something may have been taken up, or opened
                    here += [f"{pad}{INDENT}if {' or '.join(undone)}:", f"{pad}{INDENT * 2}{then}"]
                continue
            amount = _needed(condition, times)
            test = self.lacks(atom) if amount == _literal(atom) else f"{query_of(atom.fact)} < {amount}"
            lines.append(f"{pad}if {test}:")
            lines += [f"{pad}{INDENT}{s}" for s in self.achieve(way, atom, amount)]
            lines.append(f"{pad}{INDENT}{then}")
            undone.append(test)
        if places:
            test = " or ".join(self.lacks(atom) for atom in places)
            lines += [f"{pad}if {test}:", f"{pad}{INDENT}{self._together(places, needs)}()", f"{pad}{INDENT}{then}"]
            undone.append(test)
        return lines + here

    # ------------------------------------------------------------------ to be at several places at once

    def _places(self, needs: Needs) -> dict[Atom, _Place]:
        """What is returned to and can be put anew, where more than one such thing must be at hand at once: the dearest
        first."""
        spec, found = self.regression.spec, []
        for condition, way in needs:
            fact = condition.atom.fact
            if condition.atom.value is not True or fact.predicate not in spec.sought or way.kind in ("given", "act"):
                continue
            for contract in self.regression.book.producers(fact):
                if contract.action.name in spec.seeking or not brings_about(contract, fact):
                    continue
                makes = self.regression.conditions(contract)
                if makes is not None:
                    found.append((condition.atom, _Place(way, contract, makes)))
                    break
        found.sort(key=lambda one: (-one[1].cost, str(one[0])))
        return dict(found) if len(found) > 1 else {}

    def _together(self, places: Mapping[Atom, _Place], needs: Needs) -> str:
        """A function that brings it about to be at all of them at once: what is lacking where one is at one of them is
        put there, for going from one to the other would go on for ever. Of what all ``needs`` use up, enough is left
        over."""
        kept = {c.atom.fact: c.consumed for c, _ in needs if c.atom.is_numeric and c.consumed >= 0.5}
        name = identifier(" and ".join(skill_name(self.regression.spec, atom.fact) for atom in places))
        if name in self.helpers or name in self.active:
            return name
        self.active.add(name)
        first, *others = places
        lines = [f"def {name}():", f"{INDENT}for _ in range({_TOGETHER}):"]
        none_here = []
        for atom in others:
            none_here += self._stock(places[atom], kept, 3)
        none_here += [f"{INDENT * 3}{s}" for s in self.achieve(places[first].way, first, "")]
        lines += [f"{INDENT * 2}if {' and '.join(self.lacks(atom) for atom in places)}:", *none_here]
        for atom, place in places.items():
            lines += [f"{INDENT * 2}elif {self.lacks(atom)}:", *self._stock(place, kept, 3)]
            for condition, way in place.portable(False):
                looking = self.looking(way.seek) if way.seek is not None else self.achieve(way, condition.atom, "")
                lines += [f"{INDENT * 3}if {self.lacks(condition.atom)}:", *(f"{INDENT * 4}{s}" for s in looking)]
            lines += [f"{INDENT * 3}try:", f"{INDENT * 4}{call_of(place.contract.action)}"]
            lines += [f"{INDENT * 3}except ActionFailed:", f"{INDENT * 4}pass"]
        lines += [f"{INDENT * 2}else:", f"{INDENT * 3}return"]
        lines.append(f"{INDENT}raise RuntimeError({f'{_listed(places)} were not brought together'!r})")
        self.active.discard(name)
        self.helpers[name] = lines
        return name

    def _stock(self, place: _Place, kept: Mapping[Fact, float], depth: int) -> list[str]:
        """Statements that have ready what putting something takes, wherever one is; they lead away, so look again."""
        pad, lines = INDENT * depth, []
        for condition, way in place.portable(True):
            fact = condition.atom.fact
            amount = str(amount_of(condition.atom) + math.ceil(kept.get(fact, 0.0) - 1e-9))
            lines.append(f"{pad}if {query_of(fact)} < {amount}:")
            lines += [f"{pad}{INDENT}{s}" for s in self.achieve(way, condition.atom, amount)]
            lines.append(f"{pad}{INDENT}continue")
        return lines

    # ------------------------------------------------------------------ where no reasons are given

    def patience(self, contract: Contract) -> int:
        """How often in a row the action may fail before that is more than bad luck; 0 where a failure has reasons."""
        if "reasons" in self.regression.spec.capabilities or contract.action.name.startswith(PREFIX):
            return 0
        chance = min(max(contract.chance, _RAREST), _SUREST)
        return math.ceil(math.log(_UNLUCKY) / math.log(1 - chance)) if contract.chance < 1 else 0

    def patient(self, contract: Contract) -> list[str]:
        return [f"{INDENT}vain = 0"] if self.patience(contract) else []

    def doing(self, contract: Contract, then: str, risen: str = "") -> list[str]:
        """Statements that do an action, where it may fail by chance again and again; ``then`` follows a success.
        ``risen``: the number that it is done for. Where that is no more than ``before``, it was done in vain: there may
        be no room for more."""
        pad, most = INDENT * 2, self.patience(contract)
        call = self.looking(contract.action) if self._seeks(contract.action) else [call_of(contract.action)]
        if not most:
            return [f"{pad}{line}" for line in call]
        if risen and not self._seeks(contract.action):
            lines = [f"{pad}before = {risen}", f"{pad}try:", f"{pad}{INDENT}made = {call[0]}"]
            lines += [f"{pad}{INDENT}vain = 0 if made.preempted or {risen} > before else vain + 1"]
            lines += [f"{pad}except ActionFailed:", f"{pad}{INDENT}vain += 1"]
            lines += [f"{pad}{INDENT}if vain > {most}:", f"{pad}{INDENT * 2}raise"]
            told = f"{contract.action} was done in vain"
            return [*lines, f"{pad}if vain > {most}:", f"{pad}{INDENT}raise RuntimeError({told!r})"]
        lines = [f"{pad}try:", *(f"{pad}{INDENT}{line}" for line in call), f"{pad}{INDENT}{then}"]
        lines += [f"{pad}except ActionFailed:", f"{pad}{INDENT}vain += 1"]
        return [*lines, f"{pad}{INDENT}if vain > {most}:", f"{pad}{INDENT * 2}raise"]

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
            return [call_of(seek)]
        self._clear_way(primitive.stops)
        if "clear_way" not in self.helpers:
            return [call_of(seek)]
        return [f"clear_way({', '.join((f'world.{seek.name}', *map(term_of, seek.args)))})"]

    def _clear_way(self, stops: str) -> None:
        """The function that looks for something and takes away what it stops before, written once."""
        removers = self._removers(stops)
        if not removers or "clear_way" in self.helpers:
            return
        lines = self.helpers["clear_way"] = []
        known = ", ".join(f"{term_of(thing)}: {self._remover(c)}" for thing, c in sorted(removers.items()))
        lines += [
            "def clear_way(look, *target):",
            f"{INDENT}remove = {{{known}}}",
            *([f"{INDENT}vain = 0"] if self._persistent else []),
            f"{INDENT}for _ in range({_OBSTACLES}):",
            f"{INDENT * 2}try:",
            f"{INDENT * 3}return look(*target)",
            f"{INDENT * 2}except ActionFailed:",
            f"{INDENT * 3}ahead = [args[0] for args, _ in world.facts({term_of(stops)})]",
        ]
        if self._persistent:
            lines += [
                f"{INDENT * 3}if not ahead or ahead[0] not in remove:",
                f"{INDENT * 4}vain += 1",
                f"{INDENT * 4}if vain > {_LOOKS}:",
                f"{INDENT * 5}raise",
                f"{INDENT * 4}continue",
                f"{INDENT * 2}try:",
                f"{INDENT * 3}remove[ahead[0]](ahead[0])",
                f"{INDENT * 2}except ActionFailed:",
                f"{INDENT * 3}vain += 1",
                f"{INDENT * 3}if vain > {_LOOKS}:",
                f"{INDENT * 4}raise",
            ]
        else:
            lines += [
                f"{INDENT * 3}if not ahead or ahead[0] not in remove:",
                f"{INDENT * 4}raise",
                f"{INDENT * 3}remove[ahead[0]](ahead[0])",
            ]
        lines.append(f"{INDENT}return look(*target)")

    @property
    def _persistent(self) -> bool:
        """Whether to look again for what was not found: where failures have no reasons, and a life has more goals than
        one, so that steps are not what a program is measured by."""
        return not {"reasons", "missions"} & self.regression.spec.capabilities

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
            f"{INDENT}world.{contract.action.name}(obstacle)",
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
            missing = f"n - {query_of(fact)}"
            lines.append(f"{INDENT * 2}times = {missing if gain == 1 else f'-(({query_of(fact)} - n) // {gain})'}")
            times = "times"
        lines += self.guards(way.needs, 2, times, met=met)
        if not contract.action.name.startswith(PREFIX):
            return [*lines, *self.doing(contract, "vain = 0", query_of(fact) if counted else "")]
        # A call may cost money, and a tool may say that it did what it did not: once in vain is enough.
        query = query_of(fact)
        worse = f"{query} {'<=' if up else '>='} before" if counted else f"{query} == before"
        lines += [f"{INDENT * 2}before = {query}", f"{INDENT * 2}{call_of(contract.action)}"]
        lines += [f"{INDENT * 2}if {worse}:", f"{INDENT * 3}raise RuntimeError({_vain(contract.action, fact)!r})"]
        return lines

    def _seek(self, way: Way, atom: Atom) -> list[str]:
        assert way.seek is not None
        if way.fallback is None:
            return [f"{INDENT}{s}" for s in self.looking(way.seek)]
        lines = [f"{INDENT}if not ({self.lacks(atom)}):", f"{INDENT * 2}return"]
        lines += [f"{INDENT}try:", *(f"{INDENT * 2}{s}" for s in self.looking(way.seek))]
        lines.append(f"{INDENT}except ActionFailed:")
        fallback = way.fallback
        if fallback.kind == "act" and fallback.contract is not None:
            lines += [INDENT + line for line in self.patient(fallback.contract)]
            lines += [f"{INDENT * 2}while {self.lacks(atom)}:"]
            lines += [INDENT + line for line in self._act(fallback, fallback.contract)]
        else:
            lines += [f"{INDENT * 2}{s}" for s in self.achieve(fallback, atom, str(amount_of(atom)))]
        return lines

    def _any(self, way: Way, atom: Atom) -> list[str]:
        fact, _ = way.wanted
        pad = INDENT * 2
        tag = query_of(fact)
        member = {id(o): query_of(o.wanted[0]) for o in way.options}
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
            lines.append(f"{pad}{opened} {query_of(Fact(fact.predicate, (option.material, *fact.args[1:])))} > 0:")
            lines += [f"{pad}{INDENT}{s}" for s in self.achieve(option, atom, f"{member[id(option)]} + missing")]
            lines.append(f"{pad}{INDENT}continue")
        by_source = {o.source: o for o in way.options if o.source is not None}
        places = {s.where for s in by_source}
        seeker = next((p for p in self.regression.spec.primitives if p.seeks and p.variadic), None)
        if len(by_source) < 2 or len(places) != 1 or seeker is None:
            lines += [f"{pad}{s}" for s in self.achieve(first, atom, f"{member[id(first)]} + missing")]
            return lines
        targets = ", ".join([*(term_of(s.target) for s in by_source), *map(term_of, next(iter(places)))])
        lines.append(f"{pad}found = world.{seeker.name}({targets}).value")
        for source, option in by_source.items():
            lines.append(f"{pad}{opened} found == {term_of(source.target)}:")
            lines += [f"{pad}{INDENT}{s}" for s in self.achieve(option, atom, f"{member[id(option)]} + missing")]
            opened = "elif"
        return lines


def takes_amount(skill: Skill) -> bool:
    return any(p.name == "n" for p in skill.program.parameters)


def _order(regression: Regression, condition: Condition, way: Way) -> tuple[int, int, str]:
    """Kept things first, then what is used up (what takes most steps to make first), then the place to be in."""
    if regression.is_sought(condition.atom.fact) is not None:
        return (2, 0, str(condition.atom))
    used = condition.consumed >= 0.5
    return (1 if used else 0, -way.height, str(condition.atom))


def query_of(fact: Fact) -> str:
    return f"world.{fact.predicate}({', '.join(term_of(a) for a in fact.args)})"


def _vain(action: Action, fact: Fact) -> str:
    return f"{action} did not change {fact}"


def _listed(atoms: Iterable[Atom]) -> str:
    return " and ".join(str(atom.fact) for atom in atoms)


def call_of(action: Action) -> str:
    where = "" if action.name.startswith(PREFIX) else "world."
    return f"{where}{action.name}({', '.join(term_of(a) for a in action.args)})"


def term_of(term: str | int) -> str:
    quoted = str(Fact("f", (term,)))[2:-1]
    return quoted if quoted.isprintable() else repr(term)


def amount_of(atom: Atom) -> int | float:
    if isinstance(atom.value, bool):
        return 1
    return atom.value + {">": 1, "<": -1}.get(atom.op, 0)


def _literal(atom: Atom) -> str:
    return str(amount_of(atom))


def _needed(condition: Condition, times: str | None) -> str:
    """How much of a thing the next ``times`` actions need."""
    need = amount_of(condition.atom)
    if times is None or condition.consumed < 0.5:
        return str(need)
    each = math.ceil(condition.consumed - 1e-9)
    product = times if each == 1 else f"{each} * {times}"
    return product if each >= need else f"max({need}, {product})"

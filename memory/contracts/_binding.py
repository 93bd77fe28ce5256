"""Variables in contracts (``$0``, ``$1``, …): binding them, and finding what they may stand for."""

from __future__ import annotations

import re
from collections.abc import Mapping

from habilis.core import Action, Atom, Contract, Fact, Facts, Term

_VARIABLE = re.compile(r"\$\d+")
_INSTANCES = 24  # actions that one lifted contract is instantiated to for one fact


def unify(pattern: Fact, fact: Fact, binding: Mapping[Term, Term]) -> dict[Term, Term] | None:
    """The binding, extended so that the pattern becomes the fact; None where it cannot."""
    if pattern.predicate != fact.predicate or len(pattern.args) != len(fact.args):
        return None
    found = dict(binding)
    for wanted, given in zip(bind(pattern, binding).args, fact.args, strict=True):
        if isinstance(wanted, str) and _VARIABLE.fullmatch(wanted):
            if found.setdefault(wanted, given) != given:
                return None
        elif wanted != given:
            return None
    return found


def complete(binding: Mapping[Term, Term], size: int, schema: Contract, facts: Facts) -> list[dict[Term, Term]]:
    """All ways to fill the open arguments from observed facts that the conditions mention; a bounded number."""
    found = [dict(binding)]
    for condition in schema.conditions:
        atom = condition.atom
        wider: list[dict[Term, Term]] = []
        for partial in found:
            if all(not str(a).startswith("$") or a in partial for a in atom.fact.args) or atom.value is False:
                wider.append(partial)
                continue
            matches = [
                extended
                for fact in sorted(facts, key=str)
                if atom.holds_for(facts[fact]) and (extended := unify(atom.fact, fact, partial)) is not None
            ]
            wider += matches[:_INSTANCES] or [partial]
        found = wider[:_INSTANCES]
    return [f for f in found if all(f"${i}" in f for i in range(size))]


def variables(action: Action) -> Mapping[Term, Term]:
    names: dict[Term, Term] = {}
    for i, arg in enumerate(action.args):
        names.setdefault(arg, f"${i}")
    return names


def bind(fact: Fact, names: Mapping[Term, Term]) -> Fact:
    return Fact(fact.predicate, tuple(_bound_term(a, names) for a in fact.args))


def _bound_term(term: Term, names: Mapping[Term, Term]) -> Term:
    """A variable by its value, also where it is a part of a name: ``$0/$1``."""
    if term in names or not isinstance(term, str) or "$" not in term:
        return names.get(term, term)
    return _VARIABLE.sub(lambda m: str(names.get(m[0], m[0])), term)


def bind_atom(atom: Atom, names: Mapping[Term, Term]) -> Atom:
    return Atom(bind(atom.fact, names), atom.op, atom.value)

"""What each world of a home offers to programs: its actions and predicates with their typed signatures, and its tags.

Kept in the journal, so that what was learned in one world can be held against another where the first is not at hand.
What is alike by signature may still do something else: nothing is concluded from it but that it is worth a test.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from habilis.core import JournalError, Parameter, WorldSpec
from habilis.memory.journal import Journal

__all__ = ["Interface", "interface_of", "interfaces", "remember_interface"]

Interface = Mapping[str, str]  # a name, and its signature as text


@dataclass(frozen=True)
class _Kept:
    names: dict[str, str]


_KIND = "interface"  # of the journal's documents, by the world's fingerprint
_VERSION = 1


def interface_of(spec: WorldSpec) -> dict[str, str]:
    """The names that programs may use in this world, each with its signature."""
    told = {p.name: f"{_types(p.parameters)}{'*' * p.variadic} does{_seeks(p.seeks)}" for p in spec.primitives}
    told |= {p.name: f"{_types(p.parameters)} is {'number' if p.numeric else 'truth'}" for p in spec.predicates}
    return dict(sorted((told | dict.fromkeys(spec.tags, "tag")).items()))


def remember_interface(journal: Journal, spec: WorldSpec) -> None:
    """Keep what this world offers, for other worlds of the home. One that learns its predicates as it goes is told
    again."""
    told = {"schema_version": _VERSION, "world": spec.name, "names": interface_of(spec)}
    try:
        known = journal.document(_KIND, spec.fingerprint)
    except JournalError:  # damaged, and written anew
        known = None
    if known != told:
        journal.put_document(_KIND, spec.fingerprint, told)


def interfaces(journal: Journal) -> dict[str, Interface]:
    """The interfaces of all worlds that were lived in, by fingerprint. Damaged ones are left aside with a warning."""
    return {fingerprint: told.names for fingerprint, told in journal.documents_of(_KIND, _Kept).items()}


def _types(parameters: Iterable[Parameter]) -> str:
    return f"({', '.join(p.type if p.required else f'{p.type}?' for p in parameters)})"


def _seeks(predicate: str | None) -> str:
    return f", seeks {predicate}" if predicate else ""

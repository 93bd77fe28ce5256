"""The library of a home together with what proves its skills: a fresh world of their kind, a runner, the contracts."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from habilis._embedders import library_at_hand
from habilis._known_worlds import fresh_world
from habilis.agent.upkeep import SearchLifter
from habilis.core import Budget, InputError, Ledger, NotFoundError, RunLimits
from habilis.memory.contracts import ContractBook
from habilis.memory.home import Home
from habilis.memory.library import SkillLibrary
from habilis.worlds.runner import ConfinedRunner
from habilis.worlds.verify import GoalJudge, WorldVerifier

__all__ = ["Proving", "proving"]


@dataclass(frozen=True)
class Proving:
    """A library that can prove, what writes its skills anew, and what its runs are charged to."""

    library: SkillLibrary
    lifter: SearchLifter
    book: ContractBook
    ledger: Ledger

    def keep(self) -> None:
        """Write down what the runs have taught."""
        self.library.home.journal.put_contracts(self.book.take_dirty())


@contextlib.contextmanager
def proving(
    home: Path,
    names: list[str],
    *,
    world: str | None = None,
    max_world_steps: int,
    isolation: str = "auto",
    unsafe_no_isolation: bool = False,
    index: str = "chroma",
) -> Iterator[Proving]:
    """The library of the world whose skills these are (all: of the only world, or of ``world``).

    Raises `NotFoundError`, `InputError` where several worlds have them or the world cannot be made afresh.
    """
    with contextlib.ExitStack() as stack:
        opened = stack.enter_context(Home.open(home, create=False))
        fingerprint, name = _whose(opened, names, world)
        made = fresh_world(opened.journal, fingerprint, name)
        runner = stack.enter_context(ConfinedRunner(isolation=isolation, unsafe_no_isolation=unsafe_no_isolation))
        limits = RunLimits()
        verifier = WorldVerifier(
            lambda: fresh_world(opened.journal, fingerprint, name), runner, GoalJudge(), limits=limits
        )
        library = library_at_hand(
            opened,
            index,
            fingerprint=fingerprint,
            verifier=verifier,
            passing=made.spec.passing,
        )
        stack.callback(library.close)
        book = ContractBook(made.spec, opened.journal.contracts(fingerprint))
        yield Proving(
            library, SearchLifter(book, made.spec), book, Ledger(Budget(usd=None, world_steps=max_world_steps))
        )


def _whose(home: Home, names: list[str], world: str | None) -> tuple[str, str]:
    """The fingerprint and the name of the world whose skills these are."""
    every = home.journal.skills(None)
    known = {s.name for s in every}
    for name in names:
        if name not in known:
            raise NotFoundError.of("skill", name, known)
    worlds = {s.fingerprint: s.world for s in every if not names or s.name in names}
    if not worlds:
        raise NotFoundError("there is no skill yet; habilis run learns some")
    if world is not None:
        kept = {f: w for f, w in worlds.items() if world in (f, w)}
        if not kept:
            raise NotFoundError.of("world with these skills", world, worlds.values())
        worlds = kept
    if len(worlds) > 1:
        several = ", ".join(f"{w} ({f})" for f, w in sorted(worlds.items()))
        raise InputError(f"several worlds have such skills: {several}; say which: --world FINGERPRINT")
    return next(iter(worlds.items()))

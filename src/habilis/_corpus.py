"""The corpus of a home's world: what `habilis corpus` shows is what `habilis distil` trains on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from habilis._held_out import ProgramsInWorld
from habilis.core import InputError, Json

if TYPE_CHECKING:
    from habilis._assembly import Assembly
    from habilis.core import Contract
    from habilis.memory.contracts import ContractBook
    from habilis.trainer.corpus import Corpus, Example

__all__ = ["corpus_of", "default_path", "own_examples", "programs_of", "rows"]


def own_examples(paths: Sequence[Path]) -> list[Example]:
    """A user's examples from several files. Raises `InputError` naming file and line."""
    from habilis.trainer.examples import read_examples

    found: dict[str, Path] = {}
    examples = []
    for path in paths:
        for example in read_examples(path):
            if example.prompt in found:
                raise InputError(
                    f"{path} asks what {found[example.prompt]} asks: {example.prompt[:80]!r}; take one of the two out"
                )
            found[example.prompt] = path
            examples.append(example)
    return examples


def corpus_of(
    parts: Assembly,
    *,
    seed: int = 0,
    examples: Sequence[Path] = (),
    families: Sequence[str] | None = None,
    limit: int | None = None,
) -> Corpus:
    """The corpus of the agent's world. Raises `InputError`; see `habilis.trainer.build_corpus`."""
    from habilis.trainer.corpus import build_corpus

    own = own_examples(examples)
    parts.loop_parts.declare()
    return build_corpus(
        list(parts.home.journal.episodes()),
        list(parts.library.active().values()),
        _contracts(parts.loop_parts.book),
        parts.world.spec,
        seed,
        ask=parts.fresh,
        run=programs_of(parts),
        own=own,
        families=families or None,
        limit=limit,
    )


def programs_of(parts: Assembly) -> ProgramsInWorld | None:
    """How held-out programs are run, None where the world cannot be made afresh."""
    if parts.fresh is None:
        return None
    return ProgramsInWorld(parts.fresh, parts.runner, parts.library.active())


def _contracts(book: ContractBook) -> list[Contract]:
    """What is known of each action that was tried; where the world declares it, as it declares it."""
    found = []
    for contract in book:
        if contract.successes and book.declares(contract.action):
            told = book.predicted(contract.action)
            contract = replace(told, source="declared", successes=contract.successes)
        found.append(contract)
    return found


def default_path(parts: Assembly) -> Path:
    """Where the corpus of a world is written, unless another file is named."""
    return parts.home.path / f"corpus-{parts.world.spec.fingerprint}.jsonl"


def rows(figures: Mapping[str, Json]) -> list[dict[str, Json]]:
    """Family by family, how many examples there are in each split, and what a constant answer scores in the test."""
    splits = ("train", "validation", "test")
    names = sorted({name for split in splits for name in figures.get(split, {})} - {"examples"})
    found = []
    for name in names:
        counts: dict[str, Json] = {s: figures.get(s, {}).get(name, {}).get("examples", 0) for s in splits}
        constant = figures.get("test", {}).get(name, {}).get("constant_answer")
        found.append({"family": name, **counts, "constant": constant})
    return found

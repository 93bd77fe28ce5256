"""How an agent is to work, and what a run of it came to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from habilis.core import Budget, Cost, Json, Overruns

REFLEXES = ("none", "given", "learned", "given+learned")
WRITERS = ("search", "chat", "cascade")  # that can be named; any other is handed in


@dataclass(frozen=True)
class AgentSettings:
    """How an agent works. ``seed``: of everything random. ``distil_every``: new skills in this world between two
    distillations, None: never. ``curriculum``: "demand", "reach" or "random". ``embedder``: "auto" takes what was
    fetched; "minilm", "wordllama", "hash", or a server's, "endpoint:MODEL@URL" (docs/embedding.md). ``index``: where
    vectors are kept, "chroma", "faiss", "exact", or a Chroma server, "http://HOST:PORT"; it may differ from run to run.
    ``search``: how the search writer plans, by "regression" over contracts or by "mcts" (docs/household.md).
    ``isolation``: "auto" (the highest tier that holds here), "bubblewrap", "landlock", "seccomp", "docker:IMAGE",
    "gvisor:IMAGE". ``unsafe_no_isolation``: run programs unconfined; recorded with every result. ``numpy``: programs
    may import numpy. ``task_budget``: the most that one task may cost, verification included, within the agent's
    budget; a `Budget`, or text such as "search_steps=500000,world_steps=60000", which leaves kinds that are not named
    without a limit. None: 12,000 search steps and 60,000 world steps. A task that needs more fails; the run goes on.
    ``overruns``: what follows when a tool, a model or an embedder has cost more than was reserved: "refuse", so that
    none does so twice, or "reprice" (more is reserved from then on; one that is over that as well is refused). None:
    tools are refused; models and embedders, whose requests differ, are priced anew. ``images``: whether chat models
    that are named take pictures; None: where LangChain knows that they do.
    ``transfer``: whether skills of the home's other worlds are offered in this one, and proven here (docs/skills.md).
    ``reflexes``: which run beside the programs: "given" (those handed to the agent), "learned" (those that
    prove themselves in lives that come to an end, docs/crafter.md), "given+learned", or "none" (an ablation).
    """

    seed: int = 0
    distil_every: int | None = None
    distil_seconds: float = 420.0
    curriculum: str = "demand"
    embedder: str = "auto"
    index: str = "chroma"
    search: str = "regression"
    isolation: str = "auto"
    unsafe_no_isolation: bool = False
    numpy: bool = False
    keep_skills: bool = True
    keep_contracts: bool = True
    transfer: bool = True
    task_budget: Budget | str | None = None
    overruns: Overruns | None = None
    reflexes: str = "given"
    images: bool | None = None


@dataclass(frozen=True)
class Summary:
    """What a run came to. ``calling``: skills that call another; ``status``: "finished", "stopped" or "failed".
    ``explored``: episodes of those tried in which nothing was to be solved."""

    run_id: int
    status: str
    reason: str
    tried: int
    solved: int
    skills: int
    calling: int
    spent: Cost
    distillations: tuple[Mapping[str, Json], ...] = ()
    report: Path | None = None
    explored: int = 0


__all__ = ["REFLEXES", "WRITERS", "AgentSettings", "Summary"]

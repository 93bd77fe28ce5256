"""What can help, as augmentations of five kinds: tool, skill, demonstration, document, model; each with its price, and
with what it takes of a prompt."""

from __future__ import annotations

import math

from habilis.core import Augmentation, Cost, Episode, InputError, Json, Kind, Skill, dump
from habilis.tools.tool import Tool


def of_tool(tool: Tool) -> Augmentation:
    """A tool, at the price that it declares."""
    about = " ".join(f"{p.name}: {p.doc}." for p in tool.parameters if p.doc)
    text = f"{_words(tool.name)}: {tool.doc} {about}".strip()
    return Augmentation(
        Kind.TOOL,
        tool.name,
        text,
        cost=tool.most,
        provides=tool.provides,
        meta={"owner": tool.owner, "side_effects": tool.side_effects, **_declared(tool)},
        context=most_tokens(text),
    )


def _declared(tool: Tool) -> dict[str, Json]:
    """What it says that it needs and does in the world, and the parameters which that is said of."""
    if not tool.declared.tells:
        return {}
    return {"declared": dump(tool.declared), "parameters": [p.name for p in tool.parameters if p.required]}


def of_skill(skill: Skill) -> Augmentation:
    """A skill: requires the skills and tools it calls; costs its mean world steps, rounded up."""
    from habilis.memory.library import skill_text

    text = skill_text(skill)
    return Augmentation(
        Kind.SKILL,
        skill.name,
        text,
        cost=Cost(world_steps=math.ceil(max(0.0, skill.cost))),
        requires=(*(f"skill:{n}" for n in skill.program.calls), *(f"tool:{n}" for n in skill.tools)),
        successes=skill.evidence.successes,
        uses=skill.evidence.successes + skill.evidence.failures,
        meta={"version": skill.version, "world": skill.world, "fingerprint": skill.fingerprint},
        context=most_tokens(text),  # it is called, not shown
    )


def of_episode(episode: Episode) -> Augmentation:
    """A demonstration: how a task was solved, to be shown to a writer that reads. Costs the tokens of showing it.

    Raises `InputError` for an episode that was not solved.
    """
    attempt = next((a for a in reversed(episode.attempts) if a.ok), None)
    if not episode.solved or attempt is None:
        raise InputError(f"episode {episode.index} was not solved ({episode.status}); only solved ones demonstrate")
    told = {"fingerprint": episode.task.fingerprint} if episode.task.fingerprint else {}
    shown = most_tokens(episode.task.text + attempt.program.source)
    return Augmentation(
        Kind.DEMONSTRATION,
        str(episode.index),
        f"{episode.task.text} {episode.task.goal}".strip(),
        cost=Cost(tokens=shown),
        meta={"world": episode.task.world, "skill": episode.skill, **told},
        context=shown,
    )


def of_document(name: str, text: str, *, about: str = "", cost: Cost | None = None) -> Augmentation:
    """A document of a knowledge base. ``about`` is what is embedded, by default the text's beginning.

    ``cost`` is the price of the document, if it has one; the tokens of showing it are added.
    """
    return Augmentation(
        Kind.DOCUMENT,
        name,
        about or f"{_words(name)}: {text[:1000]}",
        cost=(cost or Cost()) + Cost(tokens=most_tokens(text)),
        meta={"text": text},
        context=most_tokens(text),
    )


def of_model(name: str, about: str, cost: Cost, *, provides: str = "writer") -> Augmentation:
    """A model that can write. ``cost`` has no default: an unknown price is not zero."""
    return Augmentation(Kind.MODEL, name, f"{_words(name)}: {about}", cost=cost, provides=provides)


def most_tokens(text: str) -> int:
    """An upper bound for ordinary text and code: a token for every three bytes of UTF-8 (usual are four)."""
    return math.ceil(len(text.encode("utf-8", "replace")) / 3)


def _words(name: str) -> str:
    return name.replace("_", " ").replace("-", " ").strip()

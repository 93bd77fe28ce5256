"""What can help, as augmentations of five kinds: tool, skill, demonstration, document, model; each with its price, and
with what it takes of a prompt."""

from __future__ import annotations

import math

from habilis.core import Augmentation, Cost, Episode, InputError, Json, Kind, Skill, dump
from habilis.tools.tool import Tool


def of_tool(tool: Tool) -> Augmentation:
    """A tool, at the price that it declares."""
    about = " ".join(f"{p.name}: {p.doc}." for p in tool.parameters if p.doc)
    text, called = f"{_words(tool.name)}: {tool.doc} {about}".strip(), shown_signature(tool)
    return Augmentation(
        Kind.TOOL,
        tool.name,
        text,
        cost=tool.most,
        provides=tool.provides,
        meta={
            "owner": tool.owner,
            "side_effects": tool.side_effects,
            "signature": called,
            **_declared(tool),
        },
        context=most_tokens(called + text),
    )


def shown_signature(tool: Tool) -> str:
    """How a tool is called: ``exchange_rate(base: str, to: str = 'EUR')``."""
    shown = []
    for argument in tool.signature.arguments:
        given = argument.parameter
        default = "" if given.required else f" = {given.default!r:.60}"
        shown.append(f"{given.name}: {argument.shown}{default}")
    return f"{tool.name}({', '.join(shown)})"


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


def of_episode(episode: Episode, name: str = "") -> Augmentation:
    """A demonstration: how a task was solved, to be shown to a writer that reads. Costs the tokens of showing it.

    ``name``: by default the episode's index, which is its own within one run only. Raises `InputError` for an episode
    that was not solved.
    """
    attempt = next((a for a in reversed(episode.attempts) if a.ok), None)
    if not episode.solved or attempt is None:
        raise InputError(f"episode {episode.index} was not solved ({episode.status}); only solved ones demonstrate")
    told = {"fingerprint": episode.task.fingerprint} if episode.task.fingerprint else {}
    about = f"{episode.task.text} {episode.task.goal}".strip()
    shown = most_tokens(about + attempt.program.source)
    return Augmentation(
        Kind.DEMONSTRATION,
        name or str(episode.index),
        about,
        cost=Cost(tokens=shown),
        meta={
            "world": episode.task.world,
            "skill": episode.skill,
            "title": about,
            "text": attempt.program.source,
            **told,
        },
        context=shown,
    )


def of_document(
    name: str,
    text: str,
    *,
    about: str = "",
    cost: Cost | None = None,
    title: str = "",
    document: str = "",
    source: str = "",
) -> Augmentation:
    """A document of a knowledge base, or a passage of one. ``about`` is what is embedded, by default the title (else
    the name) and the text's beginning.

    ``cost`` is its price, if it has one, paid when it is first shown in a run; the tokens of showing it are added.
    ``document``: the id of what is bought, where several passages have one price together; by default the name.
    ``source``: where it comes from.
    """
    price, shown = cost or Cost(), most_tokens(title + text)
    return Augmentation(
        Kind.DOCUMENT,
        name,
        about or f"{title or _words(name)}: {text[:1000]}",
        cost=price + Cost(tokens=shown),
        meta={
            "text": text,
            "title": title or name,
            "document": document or name,
            "source": source,
            "price": price.nonzero(),
        },
        context=shown,
    )


def of_model(name: str, about: str, cost: Cost, *, provides: str = "writer") -> Augmentation:
    """A model that can write. ``cost`` has no default: an unknown price is not zero."""
    return Augmentation(Kind.MODEL, name, f"{_words(name)}: {about}", cost=cost, provides=provides)


def most_tokens(text: str) -> int:
    """An upper bound for ordinary text and code: a token for every three bytes of UTF-8 (usual are four)."""
    return math.ceil(len(text.encode("utf-8", "replace")) / 3)


def _words(name: str) -> str:
    return name.replace("_", " ").replace("-", " ").strip()

"""What the agent saw, for the report: a strip of pictures of a rollout, and the same as a moving GIF."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from habilis._text import escaped
from habilis.core import Attempt, Episode, Image

__all__ = ["Find", "films"]

Find = Callable[[Image], Image | None]  # the picture with its bytes, None where they are gone

_ROLLOUTS = 6
_STRIP = 8  # pictures of one strip
_MOST_BYTES = 6_000_000  # of all pictures in one report
_SIDE, _MILLISECONDS = 320, 250  # of a GIF
_SHOWN = frozenset({"image/png", "image/jpeg", "image/gif", "image/webp"})


@dataclass
class _Room:
    """What is left to be filled with pictures."""

    left: int = _MOST_BYTES
    gone: int = 0

    def takes(self, size: int) -> bool:
        fits = size <= self.left
        self.left -= size if fits else 0
        return fits


def films(episodes: Sequence[Episode], find: Find) -> str:
    """The section as HTML; "" where nothing was seen. The latest solved tasks come first, each skill once."""
    chosen = _chosen(episodes)
    room, parts = _Room(), []
    for episode, attempt in chosen:
        frames = _frames(attempt, find, room)
        if frames:
            parts.append(_film(episode, attempt, frames, room))
    if not parts:
        lost = room.gone
        return _section(f'<p class="none">{lost} pictures are not there any more.</p>') if lost else ""
    return _section("".join(parts))


def _section(body: str) -> str:
    return (
        "<section><h2>What it saw</h2><p class='lead'>Rollouts of the latest tasks, from their beginning to their end, "
        f"as the world showed itself.</p>{body}</section>"
    )


def _chosen(episodes: Sequence[Episode]) -> list[tuple[Episode, Attempt]]:
    found: dict[str, tuple[Episode, Attempt]] = {}
    for solved in (True, False):
        for episode in reversed(episodes):
            attempt = episode.attempts[-1] if episode.attempts else None
            if attempt is None or episode.solved is not solved:
                continue
            ran = attempt.trajectory
            if ran.pictures or ran.before.images or ran.after.images:
                found.setdefault(episode.skill or episode.task.text, (episode, attempt))
    return list(found.values())[:_ROLLOUTS]


def _frames(attempt: Attempt, find: Find, room: _Room) -> list[tuple[int, Image]]:
    """The pictures of a run with the steps they were seen after, without those that repeat the one before."""
    ran = attempt.trajectory
    steps = len(ran.steps)
    told = [(0, i) for i in ran.before.images[:1]]
    told += [(p.step, p.image) for p in ran.pictures]
    told += [(steps, i) for i in ran.after.images[:1]]
    frames: list[tuple[int, Image]] = []
    for step, image in told:
        if frames and frames[-1][1] == image:
            continue
        whole = find(image) if image.media_type in _SHOWN else None
        if whole is None:
            room.gone += 1
        else:
            frames.append((step, whole))
    return frames


def _film(episode: Episode, attempt: Attempt, frames: Sequence[tuple[int, Image]], room: _Room) -> str:
    last = len(frames) - 1
    count = min(_STRIP, len(frames))
    picked = [frames[i * last // max(1, count - 1)] for i in range(count)]
    strip = "".join(
        f"<figure><img src='{_data(image.media_type, image.data)}' alt='after {step} steps'>"
        f"<figcaption>{step}</figcaption></figure>"
        for step, image in picked
        if room.takes(len(image.data))
    )
    moving = _gif([image for _, image in frames]) if len(frames) > 1 else b""
    shown = ""
    if moving and room.takes(len(moving)):
        shown = f"<img class='moving' src='{_data('image/gif', moving)}' alt='the rollout, moving'>"
    name = f" · <code>{escaped(episode.skill, 80)}</code>" if episode.skill else ""
    told = f"{escaped(episode.status, 20)}, {len(attempt.trajectory.steps)} actions{name}"
    head = f"<h4>{escaped(episode.task.text, 200)}</h4><p class='alone'>{told}</p>"
    return f"<div class='film'>{head}<div class='scroll'>{shown}<div class='strip'>{strip}</div></div></div>"


def _data(media_type: str, data: bytes) -> str:
    return f"data:{media_type};base64,{base64.b64encode(data).decode()}"


def _gif(images: Sequence[Image]) -> bytes:
    """All pictures as one that moves; b"" where Pillow is absent, or cannot read them."""
    try:
        from PIL import Image as Pillow
    except ImportError:
        return b""
    frames: list[Any] = []
    try:
        for image in images:
            with Pillow.open(io.BytesIO(image.data)) as opened:
                frame = opened.convert("RGB")
            frame.thumbnail((_SIDE, _SIDE))
            frames.append(frame if not frames else frame.resize(frames[0].size))
        out = io.BytesIO()
        frames[0].save(
            out, "GIF", save_all=True, append_images=frames[1:], duration=_MILLISECONDS, loop=0, optimize=False
        )
    except Exception:  # of Pillow: a file that no longer is a picture costs the picture
        return b""
    return out.getvalue()

"""What a training says of itself while it runs, for TensorBoard. Optional: only where a folder for it is given."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from habilis.core import need


def check_log() -> None:
    """Raises `MissingExtraError` where TensorBoard is missing."""
    need("tensorboard", "a TensorBoard log", install="tensorboard")


class Log:
    """Scalars by step in TensorBoard's format. Raises `MissingExtraError` where the package is missing."""

    def __init__(self, folder: Path) -> None:
        check_log()
        self._writer: Any = need("torch.utils.tensorboard", "a TensorBoard log", install="tensorboard").SummaryWriter(
            str(folder)
        )

    def step(self, step: int, values: Mapping[str, float | None]) -> None:
        for name, value in values.items():
            if value is not None:
                self._writer.add_scalar(name, value, step)

    def close(self) -> None:
        self._writer.close()

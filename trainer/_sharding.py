"""Tensors that lie in pieces on several processes (FSDP2's DTensor), and whole ones. Where nothing is sharded,
no-ops."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor


def is_sharded(tensor: Any) -> bool:
    return hasattr(tensor, "full_tensor")


def whole(tensor: Any) -> Tensor:
    """The whole of it, in every process: all of them have to ask."""
    found: Tensor = tensor.full_tensor() if is_sharded(tensor) else tensor
    return found


def sharded_like(tensor: Any, other: Any) -> Any:
    """A whole tensor, which every process has, in pieces as the other lies; nothing is sent."""
    if not is_sharded(other) or is_sharded(tensor):
        return tensor
    from torch.distributed.tensor import distribute_tensor

    return distribute_tensor(tensor.to(other.device), other.device_mesh, other.placements, src_data_rank=None)


def placed_like(tensor: Any, other: Any) -> Any:
    """A sharded tensor laid as the other lies, as a gradient must lie like its weights."""
    return tensor.redistribute(other.device_mesh, other.placements) if is_sharded(other) else tensor

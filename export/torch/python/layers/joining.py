from __future__ import annotations

import torch
from torch import Tensor


def largest(*operands: Tensor | float) -> Tensor:
    """The largest, element by element. Of equal ones the gradient goes to one: to the second of the first two, else to the earlier one."""
    return extreme(operands, torch.gt)


def smallest(*operands: Tensor | float) -> Tensor:
    """The smallest, element by element; gradients as those of `largest`."""
    return extreme(operands, torch.lt)


def extreme(operands, beyond) -> Tensor:
    like = next(x for x in operands if isinstance(x, Tensor))
    tensors = torch.broadcast_tensors(*(torch.as_tensor(x, dtype=like.dtype, device=like.device) for x in operands))
    most = torch.where(beyond(tensors[0], tensors[1]) | tensors[0].isnan(), tensors[0], tensors[1])
    for x in tensors[2:]:
        most = torch.where((beyond(x, most) | x.isnan()) & ~most.isnan(), x, most)
    return most


def reduce_extreme(x: Tensor, axes: tuple[int, ...], keep: bool, sign: int) -> Tensor:
    """The largest (sign 1) or smallest (sign -1) along axes; of equal ones the gradient goes to the first in row order."""
    kept = [axis for axis in range(x.dim()) if axis not in axes]
    rows = (sign * x).permute(*kept, *axes).flatten(len(kept)) if kept else (sign * x).flatten()
    most = sign * rows.max(-1).values
    return most.view([1 if axis in axes else size for axis, size in enumerate(x.shape)]) if keep else most


def arg_max(x: Tensor, axis: int, keep: bool, last: bool = False) -> Tensor:
    """The position of the largest along an axis, as a number: of several equal ones the first, or the last."""
    if not last:
        return x.argmax(axis, keepdim=keep).to(x.dtype)
    return (x.shape[axis] - 1 - x.flip(axis).argmax(axis, keepdim=keep)).to(x.dtype)


def softmax_together(x: Tensor, axis: int, end: int, log: bool) -> Tensor:
    """Softmax over several axes together."""
    flat = x.flatten(axis, end)
    return (flat.log_softmax(axis) if log else flat.softmax(axis)).view(x.shape)


def depth_to_space(x: Tensor, block: int) -> Tensor:
    """Channels become blocks of pixels; the place in the block comes first among the channels."""
    n, c, h, w = x.shape
    return x.view(n, block, block, c // block**2, h, w).permute(0, 3, 4, 1, 5, 2).reshape(n, -1, h * block, w * block)


def space_to_depth(x: Tensor, block: int) -> Tensor:
    """Blocks of pixels become channels; the place in the block comes first among the channels."""
    n, c, h, w = x.shape
    return x.view(n, c, h // block, block, w // block, block).permute(0, 3, 5, 1, 2, 4).reshape(n, -1, h // block, w // block)

// Written by scripts/torch-python.mjs from the files of export/torch/python; a test tells when it is stale.

/** What net.py carries of, by file. */
export const LAYERS: Readonly<Record<string, string>> = {
  'activation.py': `from __future__ import annotations

import torch
from torch import Tensor


def power(x: Tensor, exponent: float) -> Tensor:
    """x to the power of a number; of exponent 0 it is 1, and its gradient 0."""
    return torch.ones_like(x) if exponent == 0 else x**exponent


def hard_sigmoid(x: Tensor, alpha: float = 1 / 6, beta: float = 0.5) -> Tensor:
    """alpha x + beta, kept within 0 and 1; outside and at its ends the gradient is 0."""
    y = alpha * x + beta
    return torch.where((y > 0) & (y < 1) | y.isnan(), y, y.detach().clamp(0, 1))




def thresholded_relu(x: Tensor, alpha: float = 1.0) -> Tensor:
    """x where it is above alpha, 0 elsewhere."""
    return torch.where((x > alpha) | x.isnan(), x, torch.zeros_like(x))
`,
  'batch_norm.py': `from __future__ import annotations

import torch
from torch import Tensor, nn

from exchange import all_sum


class BatchNorm(nn.Module):
    """Normalizes each channel (axis 1): by the batch's own statistics in training, by those that were kept at test time.

        y = gamma (x - mean) / sqrt(variance + eps) + beta

    stats       how statistics are kept for test time, m of the newest batch
      moving      running = newest m + (1 - newest) running
      cumulative  running = (running count + m) / (count + 1)
      caffe       factor = factor fraction + 1, sum = sum fraction + m; used as sum / factor; the variance's m is unbiased
      batch       none are kept: every batch is normalized with its own
      global      those that are stored are used in training too; with \`scale_factor\` they are sums, as of caffe
    unbiased    keep the variance times n / (n - 1), n values a channel
    statistics  None: as said above; "batch", "global": these, whatever the layer keeps. See \`use_statistics\`.
    """

    def __init__(self, channels: int, eps: float = 1e-10, affine: bool = True, gamma: float = 1.0000001, beta: float = 1e-7,
                 stats: str = "moving", newest: float = 0.95, fraction: float = 0.999, scale_factor: bool = False,
                 unbiased: bool = False):
        super().__init__()
        self.eps, self.stats, self.newest, self.fraction = eps, stats, newest, fraction
        self.unbiased = unbiased or stats == "caffe"
        self.statistics = None
        self.gamma = nn.Parameter(torch.full([channels], gamma)) if affine else None
        self.beta = nn.Parameter(torch.full([channels], beta)) if affine else None
        if stats == "batch":
            return
        self.register_buffer("running_mean", torch.zeros(channels))
        self.register_buffer("running_var", torch.full([channels], 0.0 if stats == "caffe" else 1.0))
        if stats == "caffe" or scale_factor:
            self.register_buffer("scale_factor", torch.full([1], 0.0 if stats == "caffe" else 1.0))
        if stats == "cumulative":
            self.register_buffer("count", torch.zeros(1))

    def forward(self, x: Tensor) -> Tensor:
        return self.scale(self.normalize(x))

    def normalize(self, x: Tensor) -> Tensor:
        """(x - mean) / sqrt(variance + eps). In training the kept statistics move on."""
        use = self.statistics or ("batch" if self.stats == "batch" or (self.training and self.stats != "global") else "global")
        if use == "global" and self.stats != "batch":
            mean, variance = self.stored()
            return (x - channel(mean, x)) / torch.sqrt(channel(variance, x) + self.eps)
        centred, mean, variance, count = batch_moments(x)
        if self.training and self.stats not in ("batch", "global"):
            self.keep(mean, variance, count)
        return centred / torch.sqrt(channel(variance, x) + self.eps)

    def scale(self, x: Tensor) -> Tensor:
        """gamma x + beta, where the layer has them."""
        return x if self.gamma is None else x * channel(self.gamma, x) + channel(self.beta, x)

    def stored(self) -> tuple[Tensor, Tensor]:
        """Mean and variance of test time. Sums without a batch are 0, as Caffe has it."""
        factor = getattr(self, "scale_factor", None)
        if factor is None:
            return self.running_mean, self.running_var
        inverse = torch.where(factor == 0, torch.zeros_like(factor), 1 / torch.where(factor == 0, torch.ones_like(factor), factor))
        return self.running_mean * inverse, self.running_var * inverse

    @torch.no_grad()
    def keep(self, mean: Tensor, variance: Tensor, count: Tensor) -> None:
        """Mixes in a batch's statistics. What is no number is not mixed in: nothing would ever bring it out again."""
        if self.unbiased:
            variance = variance * (count / (count - 1).clamp(min=1))
        for running, newest in ((self.running_mean, mean), (self.running_var, variance)):
            if self.stats == "caffe":
                mixed = running * self.fraction + newest
            elif self.stats == "cumulative":
                mixed = (running * self.count + newest) / (self.count + 1)
            else:
                mixed = self.newest * newest + (1 - self.newest) * running
            running.copy_(torch.where(torch.isfinite(mixed), mixed, running))
        if self.stats == "caffe":
            self.scale_factor.mul_(self.fraction).add_(1)
        elif self.stats == "cumulative":
            self.count.add_(1)

    def extra_repr(self) -> str:
        return f"{self.stats}, eps={self.eps}"


def channel(values: Tensor, x: Tensor) -> Tensor:
    """A number a channel, to be joined with x [n, c, ...]."""
    return values.view([1, -1] + [1] * (x.dim() - 2))


def batch_moments(x: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """x - mean, and mean, variance and number of values of each channel, of the batches of all processes together.

    The mean has two parts: one float32 is too coarse for a variance of 1e-10. The variance is a mean of squares, never a difference of means.
    """
    axes = [axis for axis in range(x.dim()) if axis != 1]
    count = all_sum(torch.tensor(float(x.numel() // x.shape[1]), dtype=x.dtype, device=x.device))
    if count <= 1:
        raise ValueError("statistics of one value a channel mean nothing: take a larger batch, or use_statistics(net, 'global')")
    coarse = all_sum(x.detach().sum(axes)) / count
    centred = x - channel(coarse, x)
    rest = all_sum(centred.sum(axes)) / count
    centred = centred - channel(rest, x)
    variance = all_sum((centred * centred).sum(axes)) / count
    return centred, coarse + rest, variance, count


def use_statistics(net: nn.Module, which: str | None) -> None:
    """\`global\`: stored statistics in training too, which stay as they are; \`batch\`: each batch's own; None: as the net has it."""
    for module in net.modules():
        if isinstance(module, BatchNorm):
            module.statistics = which
`,
  'coefficients.py': `from __future__ import annotations

import torch
from torch import Tensor, nn


class Scale(nn.Module):
    """Multiplies each channel by a learned factor, and adds a learned bias."""

    def __init__(self, channels: int, bias: bool = True):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels)) if bias else None

    def forward(self, x: Tensor) -> Tensor:
        y = x * self.weight.view([-1] + [1] * (x.dim() - 2))
        return y if self.bias is None else y + self.bias.view([-1] + [1] * (x.dim() - 2))


class Bias(nn.Module):
    """Adds a learned number to each channel."""

    def __init__(self, channels: int):
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.bias.view([-1] + [1] * (x.dim() - 2))


class PReLU(nn.Module):
    """x where positive, slope x elsewhere; a learned slope a channel, or one for all."""

    def __init__(self, slopes: int):
        super().__init__()
        self.slope = nn.Parameter(torch.full([slopes], 0.25))

    def forward(self, x: Tensor) -> Tensor:
        return torch.where(x > 0, x, self.slope.view([-1] + [1] * (x.dim() - 2)) * x)


class Learned(nn.Module):
    """Numbers that are a value of the net like any other."""

    def __init__(self, *shape: int):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(shape))

    def forward(self) -> Tensor:
        return self.weight


class TransposedLinear(nn.Module):
    """An inner product whose weight lies as [in, out]."""

    def __init__(self, inputs: int, outputs: int, bias: bool = True):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(inputs, outputs))
        self.bias = nn.Parameter(torch.zeros(outputs)) if bias else None

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.linear(x, self.weight.t(), self.bias)


class Normalize(nn.Module):
    """(x - mean) / std, numbers of the text: one, or one a channel."""

    def __init__(self, mean: tuple[float, ...], std: tuple[float, ...]):
        super().__init__()
        self.register_buffer("mean", torch.tensor(mean), persistent=False)
        self.register_buffer("inverse", 1 / torch.tensor(std), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        shape = [-1] + [1] * (x.dim() - 2)
        return (x - self.mean.view(shape)) * self.inverse.view(shape)


def share(module: nn.Module, owner: nn.Module) -> None:
    """\`weights: OWNER\`: the module reads the parameters of another one, and has none of its own."""
    module.__dict__["owner"] = owner
    shared = type("Shared" + type(module).__name__, (type(module),), {
        name: property(lambda self, name=name: getattr(self.owner, name)) for name in [*module._parameters, *module._buffers]
    })
    module._parameters.clear()
    module._buffers.clear()
    module.__class__ = shared
`,
  'dropout.py': `from __future__ import annotations

import torch
from torch import Tensor, nn

from moment import Moment


class Dropout(nn.Module):
    """Drops each value with probability p and scales the others by 1 / (1 - p); at test time it does nothing.

    A value is kept or dropped by a hash of (seed, step, layer, position): the same on every device, in every process, and in fusenet.
    \`batched\`: whether axis 0 is the batch. A mask of zeros and ones may be given instead.
    """

    def __init__(self, p: float = 0.5, batched: bool = True):
        super().__init__()
        self.p, self.batched = p, batched
        self.key, self.moment = 0, Moment()

    def settle(self, name: str, moment: Moment) -> None:
        """Tells it the full name of its layer, and the moment that it reads."""
        self.key, self.moment = fnv1a(name), moment

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        if not self.training:
            return x
        if mask is None:
            if self.p == 0:
                return x
            mask = self.chances(x) >= self.p
        return torch.where(mask != 0, x, torch.zeros_like(x)) / (1 - self.p) if mask.dtype == torch.bool else x * mask / (1 - self.p)

    def chances(self, x: Tensor) -> Tensor:
        """A number of [0, 1) for each value of x, 24 bits: four rounds of murmur3's finalizer."""
        before = self.moment.first * x[0].numel() if self.batched and len(x) > 0 else 0
        at = torch.arange(before, before + x.numel(), device=x.device)
        start = murmur((self.moment.seed ^ 0x9E3779B9) & 0xFFFFFFFF)
        start = murmur((start + self.moment.step * 0x85EBCA6B) & 0xFFFFFFFF)
        start = murmur(start ^ self.key)
        hashed = murmur((start + (at & 0xFFFFFFFF) * 0x9E3779B1) & 0xFFFFFFFF)
        return ((hashed >> 8).to(torch.float64) / 16777216).view(x.shape)

    def extra_repr(self) -> str:
        return f"p={self.p}"


def murmur(x):
    """The finalizer of murmur3 without its last multiplication: of a number, or of each number of a tensor of int64."""
    x = x ^ (x >> 16)
    x = (x * 0x85EBCA6B) & 0xFFFFFFFF
    x = x ^ (x >> 13)
    x = (x * 0xC2B2AE35) & 0xFFFFFFFF
    return x ^ (x >> 16)


def fnv1a(text: str) -> int:
    """A hash of a name, 32 bits."""
    found = 0x811C9DC5
    for byte in text.encode():
        found = ((found ^ byte) * 0x01000193) & 0xFFFFFFFF
    return found
`,
  'joining.py': `from __future__ import annotations

import torch
from torch import Tensor


def largest(*operands: Tensor | float) -> Tensor:
    """The largest, element by element. Of equal ones the gradient goes to one: to the second of the first two, else to the earlier one."""
    return extreme(operands, torch.gt)


def smallest(*operands: Tensor | float) -> Tensor:
    """The smallest, element by element; gradients as those of \`largest\`."""
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
`,
  'losses.py': `from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from exchange import all_sum


class Loss(nn.Module):
    """A number of a batch: a sum over what it counts.

    Behind each forward \`total\` and \`count\` are those of this process: over batches and processes the value is
    sum of totals / max(1, sum of counts), or the sum of totals where \`count\` is None. What forward returns is divided by
    the count of all processes, so that their values, and their gradients, add up.
    divisor  where it is set, what forward divides by, in place of the count: of several batches that make one update
    """

    def __init__(self):
        super().__init__()
        self.total: Tensor | None = None
        self.count: Tensor | None = None
        self.divisor: Tensor | float | None = None

    def over(self, total: Tensor, count: Tensor | float | None) -> Tensor:
        self.total = total.detach()
        self.count = None if count is None else torch.as_tensor(count, dtype=total.dtype, device=total.device)
        if self.divisor is not None:
            return total / self.divisor
        return total if self.count is None else total / all_sum(self.count).clamp(min=1)


def counted(normalization: str, batched: bool, labels: Tensor, ignore: float | None) -> Tensor | float | None:
    """What the sum of a loss is divided by: labels that are not ignored, all labels, samples, or (None) nothing."""
    if normalization == "valid" and ignore is not None:
        return (labels != ignore).sum()
    if normalization == "none":
        return None if batched else 1.0
    return float(labels.numel() if normalization in ("valid", "full") else len(labels) if labels.dim() > 0 else 1)


class SoftmaxLoss(Loss):
    """Minus the logarithm of the labelled class' probability; x [n, classes, ...], labels [n, ...]."""

    def __init__(self, ignore: int = -1, normalization: str = "valid", batched: bool = True):
        super().__init__()
        self.ignore, self.normalization, self.batched = ignore, normalization, batched

    def forward(self, x: Tensor, labels: Tensor) -> Tensor:
        labels = labels.long()
        total = F.cross_entropy(x, labels, ignore_index=self.ignore, reduction="sum")
        return self.over(total, counted(self.normalization, self.batched, labels, self.ignore))


class SigmoidLoss(Loss):
    """The cross entropy of a sigmoid of each score with its target between 0 and 1; both of one shape."""

    def __init__(self, ignore: float | None = None, normalization: str = "batch_size", batched: bool = True):
        super().__init__()
        self.ignore, self.normalization, self.batched = ignore, normalization, batched

    def forward(self, x: Tensor, target: Tensor) -> Tensor:
        # max(x, 0) - x t + log(1 + exp(-|x|)): its gradient at 0 is that of the sigmoid.
        terms = F.softplus(x, threshold=50) - x * target
        if self.ignore is not None:
            terms = torch.where(target == self.ignore, torch.zeros_like(terms), terms)
        return self.over(terms.sum(), counted(self.normalization, self.batched, target, self.ignore))


class SquaredLoss(Loss):
    """Half the mean over the batch of the squared distance."""

    def forward(self, x: Tensor, target: Tensor) -> Tensor:
        return self.over((x - target).square().sum() / 2, len(x) if x.dim() > 0 else 1)


class HingeLoss(Loss):
    """By how much scores x [n, classes] miss their margin, one class against all others; norm 2 squares the margins."""

    def __init__(self, norm: int = 1):
        super().__init__()
        self.norm = norm

    def forward(self, x: Tensor, labels: Tensor) -> Tensor:
        side = torch.where(torch.arange(x.shape[1], device=x.device) == labels[:, None], -1.0, 1.0).to(x.dtype)
        margin = F.relu(1 + side * x)
        return self.over((margin.square() if self.norm == 2 else margin).sum(), len(x))


class Sum(Loss):
    """The sum of all elements, batch and all."""

    def __init__(self, batched: bool = True):
        super().__init__()
        self.batched = batched

    def forward(self, x: Tensor) -> Tensor:
        return self.over(x.sum(), None if self.batched else 1.0)


class Accuracy(Loss):
    """The share of labels whose class is among the \`top\` best scores. As in Caffe a tie counts against you."""

    def __init__(self, top: int = 1, ignore: int = -1):
        super().__init__()
        self.top, self.ignore = top, ignore

    @torch.no_grad()
    def forward(self, x: Tensor, labels: Tensor) -> Tensor:
        labels = labels.long()
        counts = labels != self.ignore
        own = x.gather(1, torch.where(counts, labels, torch.zeros_like(labels)).unsqueeze(1))
        # Of C - 1 others more than C - 1 - top must score less.
        right = (x < own).sum(1) > x.shape[1] - 1 - self.top
        return self.over((right & counts).sum().to(x.dtype), counts.sum())
`,
  'moment.py': `class Moment:
    """The place of a run at which the net stands: what chance depends on. \`Net.moment\` is one; training moves it.

    seed    of the run
    step    how many updates were made before
    first   the place of this process' first sample in the batch of all processes
    """

    def __init__(self, seed: int = 0, step: int = 0, first: int = 0):
        self.seed, self.step, self.first = seed, step, first
`,
  'padding.py': `from __future__ import annotations

import torch
from torch import Tensor


def pad_by_map(x: Tensor, channels: tuple[int, int], rows: tuple[int, int], columns: tuple[int, int], mode: str) -> Tensor:
    """A frame of what the map holds: mirrored at its outermost pixels ("reflect"), or its outermost pixels again ("edge")."""
    for axis, (before, after) in ((1, channels), (2, rows), (3, columns)):
        if before + after == 0:
            continue
        last = x.shape[axis] - 1
        places = torch.arange(-before, last + 1 + after, device=x.device)
        places = places.clamp(0, last) if mode == "edge" else last - (last - places.abs()).abs()
        x = x.index_select(axis, places)
    return x
`,
  'pooling.py': `from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def average_pool(x: Tensor, kernel: tuple[int, int], stride: tuple[int, int], frame: tuple[int, int, int, int],
                 counts: tuple[int, int, int, int] | None, dilation: tuple[int, int] = (1, 1)) -> Tensor:
    """The mean of each window, where F.avg_pool2d has none like it.

    frame   zeros around the map: left, right, top, bottom; negative ones cut off
    counts  how much of a frame counts in the divisor, in the same order; None: every window counts as a whole
    """
    total = window_sum(F.pad(x, frame), kernel, stride, dilation)
    if counts is None:
        return total / (kernel[0] * kernel[1])
    ones = F.pad(torch.ones_like(x[:1, :1]), counts, value=1.0)
    ones = F.pad(ones, [whole - part for whole, part in zip(frame, counts)])
    return total / window_sum(ones, kernel, stride, dilation)


def lp_pool(x: Tensor, p: float, kernel: tuple[int, int], stride: tuple[int, int], frame: tuple[int, int, int, int],
            dilation: tuple[int, int] = (1, 1)) -> Tensor:
    """(sum of |x|^p)^(1/p) of each window; its gradient is 0 where it is 0."""
    total = window_sum(F.pad(x.abs() ** p, frame), kernel, stride, dilation)
    is_empty = total == 0
    return torch.where(is_empty, total.detach(), torch.where(is_empty, torch.ones_like(total), total) ** (1 / p))


def window_sum(x: Tensor, kernel: tuple[int, int], stride: tuple[int, int], dilation: tuple[int, int]) -> Tensor:
    """The sum of each window, as a convolution of each channel with ones."""
    ones = torch.ones(x.shape[1], 1, *kernel, dtype=x.dtype, device=x.device)
    return F.conv2d(x, ones, stride=stride, dilation=dilation, groups=x.shape[1])


def lrn_within(x: Tensor, size: int, alpha: float, beta: float) -> Tensor:
    """Local response normalization within channels: x (1 + alpha / size^2 times the sum of squares around)^-beta."""
    return x * (1 + alpha * F.avg_pool2d(x.square(), size, stride=1, padding=size // 2)) ** -beta
`,
  'resize.py': `from __future__ import annotations

import math
import struct

import torch
from torch import Tensor, nn


class Resize(nn.Module):
    """A map of another size, as ONNX' Resize has it: rows and columns are weighted sums of those around.

    rows, columns  of how many, to how many, and the ratio where it is not that of both
    """

    def __init__(self, rows: tuple, columns: tuple, mode: str = "nearest", coordinates: str = "half_pixel",
                 rounding: str = "round_prefer_floor", cubic_coefficient: float = -0.75, exclude_outside: bool = False):
        super().__init__()
        self.is_nearest = mode == "nearest"
        for name, direction in (("rows", rows), ("columns", columns)):
            taps = resize_taps(direction, mode, coordinates, rounding, cubic_coefficient, exclude_outside)
            if self.is_nearest:
                table = torch.tensor([at for [(at, _)] in taps])
            else:
                table = torch.zeros(direction[1], direction[0], dtype=torch.float64)
                for to, row in enumerate(taps):
                    for at, weight in row:
                        table[to, at] += weight
            self.register_buffer(name, table, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        if self.is_nearest:
            return x.index_select(2, self.rows).index_select(3, self.columns)
        return self.rows.to(x.dtype) @ x @ self.columns.to(x.dtype).t()


def resize_taps(direction: tuple, mode: str, coordinates: str, rounding: str, a: float, exclude_outside: bool) -> list:
    """For each place of the new map the places of the old one that it is made of, with their weights."""
    before, after = direction[:2]
    scale = direction[2] if len(direction) > 2 else None
    taps = []
    for to in range(after):
        if mode == "nearest":
            at = nearest_place(resize_place(to, before, after, scale, coordinates, single), rounding)
            taps.append([(min(max(at, 0), before - 1), 1.0)])
            continue
        place = resize_place(to, before, after, scale, coordinates, float)
        first = math.floor(place)
        rest = place - first
        row = [(first, 1 - rest), (first + 1, rest)] if mode == "linear" else [
            (first + k, cubic_weight(abs(k - rest), a)) for k in (-1, 0, 1, 2)]
        if mode == "cubic" and exclude_outside:
            row = [(at, weight) for at, weight in row if 0 <= at < before]
            whole = sum(weight for _, weight in row)
            row = [(at, weight / whole) for at, weight in row]
        taps.append([(min(max(at, 0), before - 1), weight) for at, weight in row])
    return taps


def resize_place(to: int, before: int, after: int, scale: float | None, coordinates: str, rounded) -> float:
    """Where a place of the new map lies in the old one; \`rounded\` after every step: float32 decides which of two neighbours is the nearest."""
    ratio = rounded(scale if scale is not None else after / before)
    if coordinates == "asymmetric":
        return rounded(to / ratio)
    if coordinates == "align_corners":
        return 0.0 if after == 1 else rounded(rounded(to * (before - 1)) / (after - 1))
    if coordinates == "pytorch_half_pixel" and after == 1:
        return 0.0
    if coordinates == "half_pixel_symmetric":
        adjustment = rounded(after / rounded(ratio * before))
        return rounded(rounded(rounded(before / 2) * rounded(1 - adjustment)) + (to + 0.5) / ratio - 0.5)
    return rounded(rounded((to + 0.5) / ratio) - 0.5)


def nearest_place(place: float, rounding: str) -> int:
    """Places near the middle of two are taken for the middle: float32 may have missed it."""
    below = math.floor(place)
    if rounding in ("floor", "ceil"):
        return below if rounding == "floor" else math.ceil(place)
    if abs(place - below - 0.5) <= 1e-6:
        return below + 1 if rounding == "round_prefer_ceil" else below
    return math.floor(place + 0.5)


def cubic_weight(d: float, a: float) -> float:
    """The weight of a neighbour at this distance (Keys 1981)."""
    if d <= 1:
        return ((a + 2) * d - (a + 3)) * d * d + 1
    return ((a * d - 5 * a) * d + 8 * a) * d - 4 * a if d < 2 else 0.0


def single(x: float) -> float:
    """A number as float32 has it."""
    return struct.unpack("f", struct.pack("f", x))[0]
`,
  'sample_norm.py': `from __future__ import annotations

import torch
from torch import Tensor, nn


class GroupNorm(nn.Module):
    """Normalizes groups of channels of each sample by themselves; gamma and beta are of channels."""

    def __init__(self, groups: int, channels: int, eps: float = 1e-5, affine: bool = True):
        super().__init__()
        self.groups, self.eps = groups, eps
        self.gamma = nn.Parameter(torch.ones(channels)) if affine else None
        self.beta = nn.Parameter(torch.zeros(channels)) if affine else None

    def forward(self, x: Tensor) -> Tensor:
        y = standardized(x.reshape(x.shape[0], self.groups, -1), [2], self.eps).view(x.shape)
        if self.gamma is None:
            return y
        shape = [-1] + [1] * (x.dim() - 2)
        return y * self.gamma.view(shape) + self.beta.view(shape)


class LayerNorm(nn.Module):
    """Normalizes axes \`axis\` to \`end\` of each sample together; gamma and beta have their shape."""

    def __init__(self, shape: tuple[int, ...], axis: int, eps: float = 1e-5, affine: bool = True):
        super().__init__()
        self.axis, self.eps = axis, eps
        self.gamma = nn.Parameter(torch.ones(shape)) if affine else None
        self.beta = nn.Parameter(torch.zeros(shape)) if affine else None
        self.rank = len(shape)

    def forward(self, x: Tensor) -> Tensor:
        y = standardized(x, list(range(self.axis, self.axis + self.rank)), self.eps)
        if self.gamma is None:
            return y
        shape = list(self.gamma.shape) + [1] * (x.dim() - self.axis - self.rank)
        return y * self.gamma.view(shape) + self.beta.view(shape)


def standardized(x: Tensor, axes: list[int], eps: float) -> Tensor:
    """(x - mean) / sqrt(variance + eps) along axes. The mean has two parts: one float32 is too coarse beside a small deviation."""
    centred = x - x.detach().mean(axes, keepdim=True)
    centred = centred - centred.mean(axes, keepdim=True)
    return centred / torch.sqrt((centred * centred).mean(axes, keepdim=True) + eps)
`,
}

/** What stands beside net.py, by file. */
export const BESIDE: Readonly<Record<string, string>> = {
  'exchange.py': `"""What processes of a training exchange. Here there is one process; see the page docs/torch.md for several."""
from torch import Tensor


def all_sum(tensor: Tensor) -> Tensor:
    """The sum of a tensor over all processes; its gradient is the same sum of theirs."""
    return tensor
`,
  'weights.py': `"""Reads and writes tensors by name as safetensors: the length of a header, the header in JSON, and the numbers, little-endian, without gaps."""
from __future__ import annotations

import ctypes
import json
import struct
from pathlib import Path

import torch
from torch import Tensor

TYPES = {"F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16, "I64": torch.int64, "I32": torch.int32,
         "I16": torch.int16, "I8": torch.int8, "U8": torch.uint8, "BOOL": torch.bool}
NAMES = {kind: name for name, kind in TYPES.items()}


def load(path: str | Path) -> dict[str, Tensor]:
    """The tensors of a file."""
    data = Path(path).read_bytes()
    try:
        (length,) = struct.unpack_from("<Q", data)
        header = json.loads(data[8:8 + length])
        header.pop("__metadata__", None)
        found = {}
        for name, entry in header.items():
            start, end = entry["data_offsets"]
            raw = bytearray(data[8 + length + start:8 + length + end])
            kind = TYPES[entry["dtype"]]
            flat = torch.frombuffer(raw, dtype=kind) if raw else torch.empty(0, dtype=kind)
            found[name] = flat.reshape(entry["shape"])
    except (struct.error, ValueError, KeyError, TypeError, RuntimeError) as problem:
        raise ValueError(f"{path} is no safetensors file, or cut off: {problem}") from problem
    return found


def save(tensors: dict[str, Tensor], path: str | Path, metadata: dict[str, str] | None = None) -> None:
    """Writes tensors; a file that is half written is never there under its name."""
    header: dict = {"__metadata__": metadata} if metadata else {}
    parts, end = [], 0
    # Wider types first: every tensor begins at a multiple of its size.
    for name, tensor in sorted(tensors.items(), key=lambda item: -item[1].element_size()):
        raw = as_bytes(tensor)
        header[name] = {"dtype": NAMES[tensor.dtype], "shape": list(tensor.shape), "data_offsets": [end, end + len(raw)]}
        parts.append(raw)
        end += len(raw)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    draft = Path(f"{path}.part")
    with open(draft, "wb") as file:
        for part in (struct.pack("<Q", len(text)), text, *parts):
            file.write(part)
    draft.replace(path)


def as_bytes(tensor: Tensor) -> bytes:
    """The numbers of a tensor, little-endian, row-major."""
    flat = tensor.detach().cpu().contiguous()
    return ctypes.string_at(flat.data_ptr(), flat.numel() * flat.element_size()) if flat.numel() else b""
`,
}

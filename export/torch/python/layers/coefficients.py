from __future__ import annotations

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
        self.mean, self.inverse = mean, [1 / one for one in std]

    def forward(self, x: Tensor) -> Tensor:
        shape = [-1] + [1] * (x.dim() - 2)
        return (x - x.new_tensor(self.mean).view(shape)) * x.new_tensor(self.inverse).view(shape)


def share(module: nn.Module, owner: nn.Module) -> None:
    """`weights: OWNER`: the module reads the parameters of another one, and has none of its own."""
    module.__dict__["owner"] = owner
    shared = type("Shared" + type(module).__name__, (type(module),), {
        name: property(lambda self, name=name: getattr(self.owner, name)) for name in [*module._parameters, *module._buffers]
    })
    module._parameters.clear()
    module._buffers.clear()
    module.__class__ = shared

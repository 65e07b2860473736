"""A net at some update of its training: what an update does, what a test does, what a snapshot holds."""

from __future__ import annotations

import math
from contextlib import nullcontext

import numpy as np
import torch

import exchange

from .datasets import Draw
from .errors import InputError
from .feeding import Feed
from .randomness import initial_values
from .schedule import Horizon, rate_at
from .snapshots import Snapshot
from .solver import Solver
from .totals import Totals

HISTORY = "history/"


class NonFinite(Exception):
    """The loss, a gradient or a new weight is no number any more."""


class Objective(torch.nn.Module):
    """The sum of all losses with their weights: what is differentiated, in one forward pass of all processes."""

    def __init__(self, net: torch.nn.Module, settings: dict):
        super().__init__()
        self.net = net
        self.arguments = [(entry["argument"], entry["name"]) for entry in settings["inputs"]]
        self.losses = [(o["name"], o.get("weight", 1)) for o in settings["outputs"] if o["role"] == "loss"]
        self.results: dict[str, torch.Tensor] = {}

    def forward(self, values: dict[str, torch.Tensor]) -> torch.Tensor:
        found = self.net(**{argument: values[name] for argument, name in self.arguments})
        self.results = {name: value.detach() for name, value in found.items()}
        return sum(found[name] * weight for name, weight in self.losses)


class Course:
    """`dtype`: float32, or float64 to compare with. `local_batch_norm`: each process normalizes its share of a batch by itself."""

    def __init__(
        self, net: torch.nn.Module, settings: dict, batch: int, device: torch.device, dtype: torch.dtype, local_batch_norm: bool = False
    ):
        self.settings, self.batch, self.device, self.dtype = settings, batch, device, dtype
        self.net = net.to(device=device, dtype=dtype)
        self.accumulate = settings["accumulate"]
        self.per_step = batch * self.accumulate
        self.step, self.seed = 0, 0
        self.horizon = Horizon()
        # By name; what several layers share has all their names.
        self.tensors = self.net.state_dict(keep_vars=True)
        self._check_names()
        learned = [entry for entry in settings["parameters"] if entry.get("trainable")]
        for entry in settings["parameters"]:
            if not entry.get("trainable"):
                self.tensors[entry["name"]].requires_grad_(False)
        self.solver = Solver(
            settings["solver"],
            self.accumulate,
            [(e["name"], self.tensors[e["name"]], e.get("lr_mult", 1), e.get("decay_mult", 1)) for e in learned],
        )
        fixed = settings["identity"].get("stats") == "global"
        # What batch normalization takes away with the batch's mean has no gradient; sums of rounding errors would be one.
        self.cancelled = [self.tensors[entry["name"]] for entry in learned if entry.get("cancelled") and not fixed]
        if fixed:
            # Batch normalizations use what they stored, which stays as it is.
            for module in self.net.modules():
                if hasattr(module, "statistics"):
                    module.statistics = "global"
        if local_batch_norm:
            exchange.local_batch_norm(self.net)
        self.objective = Objective(self.net, settings)
        self.together = exchange.together(self.objective)

    def _check_names(self) -> None:
        known = {entry["name"]: tuple(entry["shape"]) for entry in self.settings["parameters"]}
        for name, shape in known.items():
            if name not in self.tensors or tuple(self.tensors[name].shape) != shape:
                raise InputError(
                    f"settings.json has a parameter {name} {list(shape)}, which net.py has not: both are written by one `fusenet export`; "
                    "who changes one changes the other"
                )

    @torch.no_grad()
    def start(self, seed: int, weights: dict[str, np.ndarray] | None = None) -> None:
        """A new training: initial values by the seed, but for `weights`."""
        self.step, self.seed = 0, seed
        for entry in self.settings["parameters"]:
            name = entry["name"]
            values = weights.get(name) if weights else None
            if values is None:
                values = initial_values(name, entry["shape"], entry["initializer"], seed)
            self._write(self.tensors[name], name, values)

    def _write(self, tensor: torch.Tensor, name: str, values: np.ndarray) -> None:
        if tuple(values.shape) != tuple(tensor.shape):
            raise InputError(f"{name} is {list(tensor.shape)}, not {list(values.shape)}")
        # A copy, since tensors of files are read-only.
        tensor.copy_(torch.from_numpy(np.array(values)))

    def rate(self, t: int) -> float:
        rate = rate_at(self.settings["solver"], self.settings["schedule"], t, self.horizon)
        if not math.isfinite(rate) or abs(rate) > 3.4028235e38:
            raise InputError(f"the rate of update {t + 1} is {rate}, which float32 does not hold: look at lr and the schedule")
        return rate

    def _batch(self, values: dict[str, np.ndarray], part: int) -> dict[str, torch.Tensor]:
        """The samples of this process on its device. Places the net's moment at batch `part` of the update."""
        count = len(next(iter(values.values())))
        first, end = exchange.share(count)
        moment = self.net.moment
        # Batches that are added up to one update share its number, but not their dropout.
        moment.seed, moment.step, moment.first = (self.seed + part * 0x9E3779B1) & 0xFFFFFFFF, self.step, first
        found = {}
        for name, array in values.items():
            tensor = torch.from_numpy(array[first:end])
            found[name] = tensor.to(self.device, self.dtype if tensor.is_floating_point() else torch.int64, non_blocking=True)
        return found

    def update(self, parts: list[dict[str, np.ndarray]]) -> tuple[float, Totals, torch.Tensor]:
        """One update, of as many batches as are added up. Gives its rate, its losses and how many elements were not updated."""
        self.net.train()
        for parameter in self.net.parameters():
            parameter.grad = None
        totals = Totals(self.net, [output for output in self.settings["outputs"] if output["role"] == "loss"])
        self._set_divisors(parts)
        for i, values in enumerate(parts):
            inputs = self._batch(values, i)
            last = i == len(parts) - 1
            # Gradients of the batches before the last are added up in each process by itself.
            with nullcontext() if last else exchange.apart(self.together):
                exchange.backward(self.together(inputs))
            totals.add(self.objective.results, len(next(iter(inputs.values()))))
        for parameter in self.cancelled:
            parameter.grad = None
        rate = self.rate(self.step)
        broken = self.solver.step(self.step, rate)
        self.step += 1
        return rate, totals.gather(), broken

    def _set_divisors(self, parts: list[dict[str, np.ndarray]]) -> None:
        """A mean over labels that are not ignored counts those of all batches of an update; the solver takes the mean over batches."""
        if self.accumulate == 1:
            return
        modules = dict(self.net.named_modules())
        for entry in self.settings.get("counted", []):
            counted = sum(int((values[entry["input"]] != entry["ignore"]).sum()) for values in parts)
            modules[entry["layer"]].divisor = max(counted, 1) / len(parts)

    def _clear_divisors(self) -> None:
        modules = dict(self.net.named_modules())
        for entry in self.settings.get("counted", []):
            modules[entry["layer"]].divisor = None

    @torch.no_grad()
    def evaluate(self, feed: Feed, on_batch=lambda done: None) -> dict:
        """Losses and metrics of all samples as of one batch."""
        self.net.eval()
        exchange.join_statistics(self.net)
        self._clear_divisors()
        totals = Totals(self.net, self.settings["outputs"])
        count = len(feed)
        if count < 1:
            raise InputError("the data to test with are empty")
        starts = list(range(0, count, self.batch))
        # A single last sample whose statistics would rest on one value joins the batch before it.
        if self.settings.get("joins_last") and len(starts) > 1 and count % self.batch == 1:
            starts.pop()
        for i, first in enumerate(starts):
            end = starts[i + 1] if i + 1 < len(starts) else count
            inputs = self._batch(feed.read(np.arange(first, end)), 0)
            self.objective(inputs)
            totals.add(self.objective.results, len(next(iter(inputs.values()))))
            on_batch(end)
        values = totals.gather().values()
        test = {"count": count, "loss": totals.loss(values), "metrics": values}
        notes = totals.notes()
        return {**test, "notes": notes} if notes else test

    def snapshot(self, identity: dict) -> Snapshot:
        """Parameters and statistics under their names, and the solver's histories."""
        tensors = {entry["name"]: self._read(self.tensors[entry["name"]]) for entry in self.settings["parameters"]}
        for learned in self.solver.learned:
            for slot, values in learned.histories.items():
                tensors[f"{HISTORY}history.{slot}/{learned.name}"] = self._read(values)
        return Snapshot(self.step, self.seed, tensors, identity)

    def _read(self, tensor: torch.Tensor) -> np.ndarray:
        return tensor.detach().cpu().numpy().copy()

    @torch.no_grad()
    def restore(self, snapshot: Snapshot, what: str) -> None:
        """The state that a snapshot holds. Raises InputError where it is of another net or another solver."""
        into = {entry["name"]: self.tensors[entry["name"]] for entry in self.settings["parameters"]}
        for learned in self.solver.learned:
            into.update({f"{HISTORY}history.{slot}/{learned.name}": values for slot, values in learned.histories.items()})
        missing, strange = [n for n in into if n not in snapshot.tensors], [n for n in snapshot.tensors if n not in into]
        if missing or strange:
            told = [*(f"{name} is missing" for name in missing[:5]), *(f"there is no {name} here" for name in strange[:5])]
            raise InputError("\n  ".join([f"{what} does not fit the net:", *told]))
        for name, tensor in into.items():
            self._write(tensor, name, snapshot.tensors[name])
        self.step, self.seed = snapshot.step, snapshot.seed

    @torch.no_grad()
    def set_weights(self, weights: dict[str, np.ndarray] | None) -> None:
        """Parameters and statistics of the first process, in all of them; the others give None."""
        for entry in self.settings["parameters"]:
            tensor = self.tensors[entry["name"]]
            if weights is None:
                tensor.zero_()
            else:
                self._write(tensor, entry["name"], weights[entry["name"]])
            exchange.all_sum_(tensor.detach())

    def weights(self) -> dict[str, np.ndarray]:
        """Parameters and statistics, float32, under the names that fusenet's --weights and load_state_dict know."""
        return {e["name"]: self._read(self.tensors[e["name"]]).astype(np.float32) for e in self.settings["parameters"]}

    def draw(self, epoch: int) -> Draw:
        return Draw(self.seed, epoch)

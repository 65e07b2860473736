"""Losses and metrics over several batches, by numerators and denominators: the same, to rounding, as if all were one batch."""

from __future__ import annotations

import torch

import exchange


class Totals:
    """`outputs`: of settings.json, with the terms whose sum each loss and metric is. A term is a module of the net that keeps its total and
    its count, or (without a layer) the value itself, whose mean over samples is taken."""

    def __init__(self, net: torch.nn.Module, outputs: list[dict]):
        self.outputs = [output for output in outputs if output["role"] != "output"]
        modules = dict(net.named_modules())
        self.terms = [(output["name"], term, modules.get(term.get("layer"))) for output in self.outputs for term in _terms(output)]
        self.sums: torch.Tensor | None = None
        self.batches = 0

    def add(self, results: dict[str, torch.Tensor], samples: int) -> None:
        """What the net gave of a batch with `samples` of this process."""
        self.batches += 1
        rows = []
        for name, _, module in self.terms:
            if module is None:
                # The value is that of the batch of all processes.
                total, weight = results[name].detach() * samples, samples
            else:
                total, weight = module.total, 1 / exchange.world() if module.count is None else module.count
            rows.append(torch.stack([torch.as_tensor(n, dtype=torch.float64, device=total.device) for n in (total, weight)]))
        if rows:
            self.sums = torch.stack(rows) if self.sums is None else self.sums + torch.stack(rows)

    def gather(self) -> Totals:
        """Adds up what all processes have."""
        if self.sums is not None:
            exchange.all_sum_(self.sums)
        return self

    def values(self, mean: bool = False) -> dict[str, float]:
        """Of all batches. `mean`: a sum counts as the mean of its values, as in the update that several batches make."""
        found = {output["name"]: 0.0 for output in self.outputs}
        for (name, term, module), (total, weight) in zip(self.terms, self.sums.tolist() if self.sums is not None else []):
            is_sum = module is not None and module.count is None
            # Never less than 1: where all is ignored it is 0, as in one batch.
            value = total if is_sum and not mean else total / max(weight, 1)
            found[name] += term.get("factor", 1) * value
        return found

    def loss(self, values: dict[str, float]) -> float | None:
        """The sum of all losses with their weights; None where the net has none."""
        losses = [output for output in self.outputs if output["role"] == "loss"]
        return sum(output.get("weight", 1) * values[output["name"]] for output in losses) if losses else None

    def notes(self) -> list[str]:
        parts = [output["name"] for output in self.outputs if not output.get("terms")]
        told = []
        if parts and self.batches > 1:
            told.append(f"{', '.join(parts)}: made of values of whole batches, so this mean over batches depends on how many samples they have")
        return told


def _terms(output: dict) -> list[dict]:
    return output.get("terms") or [{}]

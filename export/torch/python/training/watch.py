"""Watches the tests on the way: which weights were the best, and whether to wait for better ones (--best, --patience)."""

from __future__ import annotations

import json
import math

from .errors import InputError, did_you_mean
from .snapshots import is_better


def measure_of(outputs: list[dict], best: str | None, patience: int | None) -> dict | None:
    """{"metric", "better"} that --best names, or --patience needs. None where neither is asked for."""
    if best is None and patience is None:
        return None
    known = [output for output in outputs if output["role"] != "output"]
    usual = next((output["name"] for output in known if output.get("better") == "higher"), "loss")
    metric, _, direction = (best or usual).partition(":")
    names = list(dict.fromkeys([*(output["name"] for output in known), "loss"]))
    if metric not in names:
        raise InputError(
            f"--best {best}: the net has no loss and no metric {metric}{did_you_mean(metric, names)} (it has {', '.join(names)})"
        )
    found = next((output for output in known if output["name"] == metric), None)
    better = direction or ("lower" if found is None or found["role"] == "loss" else found.get("better"))
    if better not in ("higher", "lower"):
        raise InputError(
            f"--best {best}: whether {metric} should be higher or lower is not known: write {metric}:higher or {metric}:lower"
        )
    return {"metric": metric, "better": better}


class Watch:
    """`on`: the part of the data that chooses, and how many samples were kept back for it. `text`: of a snapshot, the state there."""

    def __init__(self, measure: dict, on: dict, patience: float = math.inf, text: str | None = None):
        self.measure, self.on, self.patience = measure, on, patience
        self.best: dict | None = None
        #: Tests since the best one, and whether a test was due and is not done.
        self.since, self.pending = 0, False
        if text is not None:
            try:
                state = json.loads(text)
                self.best, self.since, self.pending = state.get("best"), int(state["since"]), bool(state["pending"])
            except (ValueError, KeyError, AttributeError, TypeError) as error:
                raise InputError("what the snapshot says of its best weights is not understood") from error

    @property
    def over(self) -> bool:
        return self.since >= self.patience

    @property
    def text(self) -> str:
        best = {"best": self.best} if self.best else {}
        return json.dumps({**best, "since": self.since, "pending": self.pending})

    def score_of(self, test: dict) -> dict:
        value = test["metrics"].get(self.measure["metric"], test["loss"])
        return {"name": self.measure["metric"], "value": math.nan if value is None else value, "better": self.measure["better"]}

    def take(self, test: dict, step: int, epoch: int) -> bool:
        """Takes in a test; tells whether it was the best so far. What is no number never is."""
        score = self.score_of(test)
        before = self.best and {**score, "value": self.best["value"]}
        self.pending = False
        if not math.isfinite(score["value"]) or not is_better(score, before):
            self.since += 1
            return False
        self.best = {"metric": score["name"], **self.on, "value": score["value"], "step": step, "epoch": epoch}
        self.since = 0
        return True

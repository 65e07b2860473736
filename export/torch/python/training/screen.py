"""What a person is told, and, with --json, a machine: results on standard output, all that is said on the way on standard error."""

from __future__ import annotations

import json
import math
import sys
import time

PLAIN_EVERY = 10.0
BAR_EVERY = 0.1


class Screen:
    """`quiet`: of the processes that are not the first. `events`: a file that gets the lines of --json, while a person is told nothing."""

    def __init__(self, as_json: bool, quiet: bool, events: str | None = None):
        self.as_json, self.quiet = as_json or events is not None, quiet
        self.events = sys.stdout if events is None or quiet else open(events, "a", encoding="utf-8")
        self.bar_shown = False

    def print(self, text: str) -> None:
        self._clear()
        if not self.as_json and not self.quiet:
            print(text, flush=True)

    def note(self, text: str, always: bool = False) -> None:
        """`always`: with --json too."""
        self._clear()
        if not self.quiet and (always or not self.as_json):
            print(text, file=sys.stderr, flush=True)

    def event(self, **event) -> None:
        if self.as_json and not self.quiet:
            print(json.dumps(_plain(event), ensure_ascii=False, separators=(",", ":")), file=self.events, flush=True)

    def bar(self, text: str) -> None:
        """A line that the next one replaces."""
        print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)
        self.bar_shown = True

    def _clear(self) -> None:
        if self.bar_shown:
            print("\r\033[K", end="", file=sys.stderr, flush=True)
            self.bar_shown = False


class Progress:
    """A line that is rewritten on a terminal, one now and then elsewhere."""

    def __init__(self, screen: Screen, title: str, total: int, done: int = 0):
        self.screen, self.title, self.total, self.first = screen, title, total, done
        self.began = self.told = time.monotonic()

    def update(self, done: int, samples: int, say: str = "") -> None:
        now = time.monotonic()
        live = sys.stderr.isatty()
        if self.screen.as_json or self.screen.quiet or now - self.told < (BAR_EVERY if live else PLAIN_EVERY):
            return
        self.told = now
        seconds = max(1e-3, now - self.began)
        left = seconds / max(1, done - self.first) * (self.total - done)
        text = f"{self.title} {done}/{self.total}  {say}  {samples / seconds:.0f} samples/s  {duration_text(left)} left"
        if live:
            self.screen.bar(text)
        else:
            self.screen.note(text)


def _plain(value):
    """JSON has no NaN and no infinity: they go as words."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    return value


def duration_text(seconds: float) -> str:
    whole = max(0, round(seconds))
    hours, minutes, rest = whole // 3600, whole // 60 % 60, whole % 60
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def metric_text(name: str, value: float) -> str:
    """Accuracies read as percent, losses as they are."""
    return f"{100 * value:.2f} %" if name.lower().startswith(("accuracy", "top")) else f"{value:.6g}"


def metrics_text(test: dict) -> str:
    return ", ".join(f"{name} {metric_text(name, value)}" for name, value in test["metrics"].items())

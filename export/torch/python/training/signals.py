"""Signals by which somebody ends a training before it is complete."""

from __future__ import annotations

import signal


class Signals:
    """Ctrl-C and its like: asked for once, a training ends after the update under way and leaves a snapshot; twice, at once."""

    def __init__(self):
        self.why: str | None = None
        words = {"SIGINT": "interrupted", "SIGTERM": "ended by SIGTERM", "SIGHUP": "ended, for its terminal was closed,"}
        self.before = {}
        for name, word in words.items():
            # What is ignored from the start stays so: a closed terminal under nohup.
            if hasattr(signal, name) and signal.getsignal(getattr(signal, name)) != signal.SIG_IGN:
                self.before[name] = signal.signal(getattr(signal, name), lambda *_, word=word: self._came(word))

    def _came(self, word: str) -> None:
        if self.why is not None and word == "interrupted":
            raise KeyboardInterrupt
        self.why = self.why or word

    def close(self) -> None:
        for name, handler in self.before.items():
            signal.signal(getattr(signal, name), handler)


class Ended(Exception):
    """A signal came while a test was under way."""

"""Restarts: where a process dies, torchrun --max_restarts N ends the others and starts all of them anew."""

from __future__ import annotations

import os
import signal
import socket


def may_restart() -> bool:
    return int(os.environ.get("TORCHELASTIC_MAX_RESTARTS", 0)) > 0


def is_restart() -> bool:
    return int(os.environ.get("TORCHELASTIC_RESTART_COUNT", 0)) > 0


def _mark(place: str) -> str:
    """A file that says in which run of `place` this torchrun trains: its --rdzv_id, or else its process, knows it."""
    name = os.environ.get("TORCHELASTIC_RUN_ID", "none")
    if name == "none":
        name = f"{socket.gethostname()}-{os.getppid()}"
    return os.path.join(place, ".torchrun-" + "".join(c if c.isalnum() or c in "-." else "_" for c in name))


def remember(place: str, run: str) -> None:
    """The first process, once it knows the folder of its snapshots."""
    if may_restart():
        os.makedirs(place, exist_ok=True)
        with open(_mark(place), "w", encoding="utf-8") as file:
            file.write(os.path.abspath(run))


def recall(place: str) -> str | None:
    """The folder to go on from after a restart; None where nothing was kept yet."""
    if not is_restart():
        return None
    try:
        with open(_mark(place), encoding="utf-8") as file:
            run = file.read()
        return run if any(name.startswith("step-") for name in os.listdir(run)) else None
    except OSError:
        return None


def forget(place: str) -> None:
    """The training came to its end."""
    try:
        os.remove(_mark(place))
        os.rmdir(place)
    except OSError:
        pass


def give_up() -> None:
    """What is wrong stays wrong: tells torchrun, which would start all processes anew."""
    if may_restart():
        os.kill(os.getppid(), signal.SIGTERM)

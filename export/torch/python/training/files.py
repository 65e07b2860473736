"""Writing files so that neither a kill nor a power cut leaves half of one, and locks between processes. fusenet knows both."""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import socket
import threading
import time

from .errors import InputError

#: Eight letters for this machine: whether a process is alive can be asked on its own machine alone.
HOST = hashlib.sha256(socket.gethostname().encode()).hexdigest()[:8]
BEAT_SECONDS = 15
DEAD_SECONDS = 120


def draft_of(path: str) -> str:
    """A name beside `path` for what is not whole yet; what a dead process left of such, fusenet removes."""
    return f"{path}.{HOST}-{os.getpid()}-{secrets.token_hex(4)}.tmp"


def replace_file(path: str, data: bytes) -> None:
    """Whoever reads the file sees the old one or the new one, whatever happens."""
    path = os.path.realpath(path)
    draft = draft_of(path)
    try:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(draft, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(draft, path)
        _sync_folder(os.path.dirname(path))
    except OSError as error:
        raise InputError(f"{path} cannot be written: {error.strerror}") from error
    finally:
        if os.path.exists(draft):
            os.remove(draft)


def _sync_folder(folder: str) -> None:
    """Makes names in a folder durable, where the system can."""
    try:
        handle = os.open(folder, os.O_RDONLY)
    except OSError:
        return
    try:
        os.fsync(handle)
    except OSError:
        pass
    finally:
        os.close(handle)


class Lock:
    """Holds a file for this process, so that two trainings never write to one place. Raises InputError where another holds it."""

    def __init__(self, path: str, what: str):
        self.path = path
        mine = {"host": HOST, "pid": os.getpid(), "began": _began_at(os.getpid()), "key": secrets.token_hex(8)}
        self.text = json.dumps({key: value for key, value in mine.items() if value is not None}) + "\n"
        for _ in range(100):
            if self._create():
                break
            holder = _holder(path)
            if _lives(path, holder):
                told = f"process {holder['pid']}" + ("" if holder["host"] == HOST else " of another machine") if holder else "another process"
                raise InputError(f"{what} is the training of {told}, which is still under way")
            try:
                os.remove(path)
            except FileNotFoundError:
                pass
        self.beating = threading.Event()
        threading.Thread(target=self._beat, daemon=True).start()

    def _create(self) -> bool:
        """Complete from its first moment; False if the name is taken."""
        draft = draft_of(self.path)
        try:
            os.makedirs(os.path.dirname(os.path.abspath(self.path)), exist_ok=True)
            with open(draft, "w") as file:
                file.write(self.text)
            os.link(draft, self.path)
            return True
        except FileExistsError:
            return False
        except OSError as error:
            raise InputError(f"{self.path} cannot be written: {error.strerror}") from error
        finally:
            if os.path.exists(draft):
                os.remove(draft)

    def _beat(self) -> None:
        while not self.beating.wait(BEAT_SECONDS):
            try:
                os.utime(self.path)
            except OSError:
                return

    def release(self) -> None:
        self.beating.set()
        try:
            with open(self.path) as file:
                if file.read() != self.text:
                    return
            os.remove(self.path)
        except OSError:
            pass


def _holder(path: str) -> dict | None:
    try:
        with open(path) as file:
            holder = json.load(file)
        return holder if isinstance(holder["host"], str) and isinstance(holder["pid"], int) else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _lives(path: str, holder: dict | None) -> bool:
    try:
        age = time.time() - os.path.getmtime(path)
    except OSError:
        return False
    if holder is None:
        return age < 5
    if holder["host"] != HOST:
        return age < DEAD_SECONDS
    try:
        os.kill(holder["pid"], 0)
    except ProcessLookupError:
        return False
    except OSError:
        pass
    began = _began_at(holder["pid"])
    return began is None or "began" not in holder or began == holder["began"]


def _began_at(pid: int) -> str | None:
    """When a process began, in the kernel's own count, since process numbers are reused; None where there is no /proc."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            text = file.read()
        return text[text.rindex(")") + 2 :].split(" ")[19]
    except (OSError, ValueError, IndexError):
        return None

"""Snapshots: all that a training is made of, in one safetensors file that carries its own checksum. They are fusenet's: either tool goes
on with what the other wrote.

Parameters and statistics stand under their names, solver histories as `history/history.SLOT/PARAMETER`. A run has a folder of its
own, with files `step-00000100.safetensors`; several runs lie in one place, `NAME.snapshots`."""

from __future__ import annotations

import hashlib
import json
import os
import re
import tempfile
import time
from dataclasses import dataclass, field as default

import numpy as np

from .errors import InputError
from .files import Lock, replace_file
from .identity import parse_identity
from .safetensors import read_safetensors, write_safetensors

FORMAT = "fusenet-snapshot"
HASH = re.compile(rb'"sha256":"([0-9a-f]{64})"')
STEP = re.compile(r"step-(\d+)\.safetensors$")
#: What `Keeper.leave` writes.
STOPPED = re.compile(r"stopped-\d+\.safetensors$")
RUN = re.compile(r"\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d-seed\d+-[0-9a-f]{8}(-\d+)?$")


@dataclass
class Snapshot:
    """`step`: updates done. `about`: texts of whoever wrote it down, such as the options of the training."""

    step: int
    seed: int
    tensors: dict[str, np.ndarray]
    identity: dict | None = None
    about: dict[str, str] = default(default_factory=dict)


def encode(snapshot: Snapshot) -> bytes:
    """A file that contains its own SHA-256, computed with zeros in the place of the hash."""
    metadata = {"format": FORMAT, "sha256": "0" * 64, "step": str(snapshot.step), "seed": str(snapshot.seed)}
    if snapshot.identity is not None:
        metadata["identity"] = json.dumps(snapshot.identity, ensure_ascii=False)
    if snapshot.about:
        metadata["about"] = json.dumps(snapshot.about, ensure_ascii=False)
    data = write_safetensors(snapshot.tensors, metadata)
    at = HASH.search(data, 0, 408).start(1)
    data[at : at + 64] = hashlib.sha256(data).hexdigest().encode()
    return bytes(data)


def decode(data: bytes, what: str) -> Snapshot:
    """Raises InputError for anything but a whole snapshot: every byte counts."""
    tensors, metadata = read_safetensors(data, what)
    try:
        step, seed = int(metadata["step"]), int(metadata["seed"])
    except (KeyError, ValueError):
        step = seed = -1
    if metadata.get("format") != FORMAT or step < 0:
        raise InputError(f"{what}: not a snapshot of a training")
    place = HASH.search(data, 0, 408)
    if not place or place[1].decode() != metadata.get("sha256"):
        raise InputError(f"{what}: it carries no checksum, so it is of an earlier fusenet, or damaged")
    zeroed = bytearray(data)
    zeroed[place.start(1) : place.end(1)] = b"0" * 64
    if hashlib.sha256(zeroed).hexdigest() != metadata["sha256"]:
        raise InputError(f"{what}: it is damaged: its checksum is another")
    try:
        identity = json.loads(metadata["identity"]) if "identity" in metadata else None
        about = json.loads(metadata.get("about", "{}"))
    except ValueError as error:
        raise InputError(f"{what}: what it says about itself is not understood") from error
    return Snapshot(step, seed, tensors, None if identity is None else parse_identity(identity, what), about)


@dataclass
class Found:
    """The snapshot to go on from. `run`: its folder, where it is the newest one there; `place`: of all runs."""

    path: str
    snapshot: Snapshot
    options: dict
    run: str | None = None
    place: str | None = None
    notes: list[str] = default(default_factory=list)


def find_snapshot(path: str) -> Found:
    """By its file, by the folder of its run (the newest sound one), or by the place of several runs (of the one that went on last)."""
    if os.path.isfile(path):
        found = _read(path)
        folder = os.path.dirname(os.path.abspath(path))
        if RUN.match(os.path.basename(folder)) and STEP.match(os.path.basename(path)):
            found.place = os.path.dirname(folder)
            found.run = folder if steps_of(folder)[:1] == [os.path.basename(path)] else None
        return found
    if not os.path.isdir(path):
        raise InputError(f"--resume {path}: there is no such file or folder")
    if steps_of(path):
        return _newest_sound(path)
    runs = []
    for name in os.listdir(path):
        folder = os.path.join(path, name)
        if RUN.match(name) and os.path.isdir(folder) and steps_of(folder):
            newest = os.path.join(folder, steps_of(folder)[0])
            runs.append((_written_at(newest), folder))
    if not runs:
        raise _no_snapshots(path)
    found = _newest_sound(max(runs)[1])
    if len(runs) > 1:
        found.notes.append(f"of {len(runs)} trainings the one that went on last: {os.path.basename(found.run)}")
    return found


def _no_snapshots(path: str) -> InputError:
    """The state of a training that met a number that is none is not gone on from by itself: it is named, with what can be done."""
    folders = [path, *(os.path.join(path, name) for name in os.listdir(path) if RUN.match(name))]
    inside = [(folder, name) for folder in folders if os.path.isdir(folder) for name in os.listdir(folder)]
    stopped = sorted(os.path.join(folder, name) for folder, name in inside if STOPPED.match(name))
    if not stopped:
        return InputError(f"{path} holds no snapshots: neither step-00000100.safetensors nor folders of trainings")
    return InputError(
        f"{path} holds no snapshot to go on from, only {stopped[-1]}: the weights of a training that stopped at a number that is not finite. "
        f"--weights {stopped[-1]} starts a new one from them, with a lower rate or clip_gradients; --resume {stopped[-1]} goes on as it was"
    )


def file_of_step(step: int) -> str:
    return f"step-{step:08d}.safetensors"


def steps_of(folder: str) -> list[str]:
    """Names of a folder's snapshots, the newest first."""
    return sorted((n for n in os.listdir(folder) if STEP.match(n)), key=lambda n: -int(STEP.match(n)[1]))


def _newest_sound(folder: str) -> Found:
    damaged = []
    for name in steps_of(folder):
        try:
            found = _read(os.path.join(folder, name))
        except InputError as error:
            damaged.append(str(error))
            continue
        found.run, found.place = folder, os.path.dirname(os.path.abspath(folder))
        found.notes = [f"{why}: passed over" for why in damaged]
        if damaged:
            found.notes.append(f"goes on from {found.path}, step {found.snapshot.step}")
        return found
    raise InputError("\n  ".join([f"{folder} holds no sound snapshot:", *damaged]))


def _read(path: str) -> Found:
    snapshot = read_snapshot(path)
    if snapshot.identity is None:
        raise InputError(f"{path} does not say which training it is of: start a new one from its parameters by --weights {path}")
    try:
        options = json.loads(snapshot.about.get("options", "{}"))
    except ValueError as error:
        raise InputError(f"{path}: its options are not JSON") from error
    return Found(path, snapshot, options)


def read_snapshot(path: str) -> Snapshot:
    try:
        with open(path, "rb") as file:
            return decode(file.read(), path)
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from error


def _about_of(path: str) -> dict:
    """What a snapshot says of itself, read without the rest of it; empty where it cannot be understood."""
    try:
        with open(path, "rb") as file:
            header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
        return json.loads(header["__metadata__"]["about"])
    except (OSError, ValueError, KeyError, TypeError, MemoryError):
        return {}


def _written_at(path: str) -> float:
    try:
        return float(_about_of(path)["at"])
    except (KeyError, ValueError):
        return os.path.getmtime(path) * 1000


class Keeper:
    """Keeps the snapshots of one training: the newest ones and the best. Nobody else writes to its folder meanwhile."""

    def __init__(self, folder: str, options: dict, keep: float, last: str | None = None):
        self.folder, self.options, self.keep, self.last = folder, options, keep, last
        self.lock = Lock(os.path.join(folder, ".lock"), folder)
        #: Scores of those that were written right after a test, by name.
        self.scores: dict[str, dict] = {}
        for name in steps_of(folder):
            try:
                score = json.loads(_about_of(os.path.join(folder, name))["score"])
                self.scores[name] = {"name": score["name"], "value": float(score["value"]), "better": score["better"]}
            except (KeyError, ValueError, TypeError):
                continue

    @staticmethod
    def begin(place: str, seed: int, identity: dict, options: dict, keep: float) -> Keeper:
        """A folder for a new run, named after when it began, its seed and what it is."""
        text = json.dumps([identity, options], ensure_ascii=False)
        when = time.strftime("%Y-%m-%dT%H-%M-%S", time.gmtime())
        name = f"{when}-seed{seed}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"
        for i in range(1, 1000):
            folder = os.path.join(place, name if i == 1 else f"{name}-{i}")
            try:
                os.makedirs(folder)
            except FileExistsError:
                continue
            except OSError as error:
                raise InputError(f"{place} cannot be written: {error.strerror}") from error
            return Keeper(folder, options, keep)
        raise InputError(f"{place} has too many trainings of this second")

    @property
    def best(self) -> tuple[str, dict] | None:
        """The best of those that were written right after a test."""
        found = None
        for name, score in self.scores.items():
            if found is None or is_better(score, found[1]):
                found = (name, score)
        return found and (os.path.join(self.folder, found[0]), found[1])

    def write(self, snapshot: Snapshot, score: dict | None = None, watch=None) -> str:
        """Writes a snapshot and removes old ones."""
        name = file_of_step(snapshot.step)
        path = os.path.join(self.folder, name)
        self._write(snapshot, path, score, watch)
        if score:
            self.scores[name] = score
        self._prune(watch)
        return path

    def rescue(self, snapshot: Snapshot, watch=None) -> str:
        """As `write`; where that fails, to the folder for temporary files: no result is lost for want of a place."""
        try:
            return self.write(snapshot, None, watch)
        except InputError:
            path = os.path.join(tempfile.mkdtemp(prefix="fusenet-rescued-"), file_of_step(snapshot.step))
            self._write(snapshot, path, None, watch)
            return path

    def leave(self, snapshot: Snapshot) -> str:
        """The net as it was when numbers stopped to be some: worth keeping, but not what --resume of the folder takes."""
        path = os.path.join(self.folder, f"stopped-{snapshot.step:08d}.safetensors")
        last = self.last
        self._write(snapshot, path, None, None)
        self.last = last
        return path

    def _write(self, snapshot: Snapshot, path: str, score: dict | None, watch) -> None:
        for name, values in snapshot.tensors.items():
            if values.dtype.kind == "f" and not np.isfinite(values).all():
                raise InputError(f"{name} holds numbers that are not finite after step {snapshot.step}: no snapshot is made of that")
        snapshot.about = {"options": json.dumps(self.options, ensure_ascii=False), "at": str(int(time.time() * 1000))}
        if score:
            snapshot.about["score"] = json.dumps(score)
        if watch:
            snapshot.about["watch"] = watch.text
        replace_file(path, encode(snapshot))
        self.last = path

    def bring(self, path: str, watch) -> None:
        """The best weights so far lie in the folder that a training goes on from: where it has another one now they come along."""
        best = watch and watch.best
        name = best and file_of_step(best["step"])
        there = os.path.join(os.path.dirname(path), name) if name else None
        if there and os.path.isfile(there) and os.path.realpath(os.path.dirname(there)) != os.path.realpath(self.folder):
            with open(there, "rb") as file:
                replace_file(os.path.join(self.folder, name), file.read())

    def best_weights(self, watch) -> dict[str, np.ndarray]:
        """Parameters and statistics of the best test."""
        snapshot = read_snapshot(os.path.join(self.folder, file_of_step(watch.best["step"])))
        return {name: values for name, values in snapshot.tensors.items() if not name.startswith("history/")}

    def _prune(self, watch) -> None:
        """All but the newest ones and the best. What cannot be removed stays."""
        chosen = file_of_step(watch.best["step"]) if watch and watch.best else self.best and os.path.basename(self.best[0])
        names = steps_of(self.folder)
        for name in names[int(min(max(1, self.keep), len(names))) :]:
            if name != chosen:
                self.scores.pop(name, None)
                try:
                    os.remove(os.path.join(self.folder, name))
                except OSError:
                    pass

    def finish(self) -> None:
        """The training has ended well: where none are to be kept, all of them go."""
        for name in steps_of(self.folder) if self.keep == 0 else []:
            try:
                os.remove(os.path.join(self.folder, name))
            except OSError:
                pass

    def close(self) -> None:
        """Others may go on with it. A folder without snapshots goes."""
        self.lock.release()
        for folder in (self.folder, os.path.dirname(self.folder)):
            try:
                os.rmdir(folder)
            except OSError:
                return


def is_better(a: dict, b: dict | None) -> bool:
    if b is None:
        return True
    return a["value"] > b["value"] if a["better"] == "higher" else a["value"] < b["value"]

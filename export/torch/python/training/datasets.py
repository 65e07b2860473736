"""Datasets: samples by index, each with fields by name. What is chosen of them, and in which order, follows fusenet's rules."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass

import numpy as np

from .errors import InputError
from .numbers_as_text import number_text
from .randomness import permutation


@dataclass(frozen=True)
class Field:
    """One value of a sample. Labels have `classes`, their number, and may have the names of these classes, label 0 first. Numbers
    of a table have the names of their `columns`."""

    shape: tuple[int, ...]
    type: str  # 'f32' or 'i32'
    classes: int | None = None
    class_names: tuple[str, ...] | None = None
    columns: tuple[str, ...] | None = None

    @property
    def dtype(self):
        return np.int32 if self.type == "i32" else np.float32


@dataclass(frozen=True)
class Draw:
    """The place in a training, which keys all random choices. None in evaluation, which makes none."""

    seed: int
    epoch: int


def sha256(data) -> str:
    return hashlib.sha256(data.encode() if isinstance(data, str) else data).hexdigest()


class Dataset:
    """`read` gives arrays [samples, ...] of the fields that are asked for; `mark` tells these samples from any others."""

    fields: dict[str, Field]

    def __len__(self) -> int:
        raise NotImplementedError

    def read(self, indices, names, draw: Draw | None = None) -> dict[str, np.ndarray]:
        raise NotImplementedError

    def mark(self) -> str:
        raise NotImplementedError


@dataclass
class Column:
    """All samples of a field. Bytes of images stay bytes, and become value * scale when they are read."""

    field: Field
    data: np.ndarray
    scale: float = 1


class Columns(Dataset):
    """A dataset in memory."""

    def __init__(self, columns: dict[str, Column]):
        self.columns = columns
        self.fields = {name: column.field for name, column in columns.items()}
        lengths = {name: len(column.data) for name, column in columns.items()}
        first = next(iter(lengths))
        for name, length in lengths.items():
            if length != lengths[first]:
                raise InputError(f"{name} has {length} samples, {first} has {lengths[first]}")
        self._length = lengths[first]

    def __len__(self):
        return self._length

    def read(self, indices, names, draw=None):
        found = {}
        for name in names:
            field, data, scale = self.fields[name], self.columns[name].data[indices], self.columns[name].scale
            if scale != 1:
                # One multiplication in float64, rounded once.
                data = data.astype(np.float64) * scale
            found[name] = data.astype(field.dtype).reshape(len(indices), *field.shape)
        return found

    def mark(self):
        lines = [
            f"{name} {number_text(column.scale)} {sha256(_spread(np.ascontiguousarray(column.data)))}"
            for name, column in self.columns.items()
        ]
        return sha256("\n".join(lines))


def _spread(data: np.ndarray) -> bytes:
    """All bytes of an array, or of a large one blocks in equal distances."""
    most, block = 2**22, 2**10
    whole = data.reshape(-1).view(np.uint8)
    if len(whole) <= most:
        return whole.tobytes()
    blocks = most // block
    starts = [math.floor((i * (len(whole) - block)) / (blocks - 1) + 0.5) for i in range(blocks)]
    return b"".join(whole[at : at + block].tobytes() for at in starts)


class Selection(Dataset):
    """These samples of another dataset, in this order."""

    def __init__(self, dataset: Dataset, indices):
        self.dataset, self.indices, self.fields = dataset, np.asarray(indices, dtype=np.int64), dataset.fields

    def __len__(self):
        return len(self.indices)

    def read(self, indices, names, draw=None):
        return self.dataset.read(self.indices[indices], names, draw)

    def mark(self):
        return sha256(f"{self.dataset.mark()}\n{','.join(map(str, self.indices.tolist()))}")


class Relabelled(Dataset):
    """A dataset with the net's labels: `labels` has, by field, the net's label for each label of the data."""

    def __init__(self, dataset: Dataset, labels: dict[str, list[int]]):
        self.dataset, self.labels, self.fields = dataset, labels, dataset.fields

    def __len__(self):
        return len(self.dataset)

    def read(self, indices, names, draw=None):
        found = self.dataset.read(indices, names, draw)
        for name, labels in self.labels.items():
            if name in found:
                values, table = found[name], np.array(labels, dtype=np.int32)
                known = (values >= 0) & (values < len(table))
                found[name] = np.where(known, table[np.clip(values, 0, len(table) - 1)], values)
        return found

    def mark(self):
        return self.dataset.mark()


def limited(dataset: Dataset, limit: int, seed: int) -> Dataset:
    """`limit` samples, of each class as large a share as in the whole, in the order of the dataset."""
    return dataset if limit >= len(dataset) else Selection(dataset, _chosen(dataset, limit, seed, 0))


def hold_out(dataset: Dataset, share: float, seed: int) -> tuple[Dataset, Dataset]:
    """The rest, and what is kept back: a share of the samples (0.1), or so many (from 2 on), of all classes."""
    length = len(dataset)
    count = max(1, math.floor(share * length + 0.5)) if share < 1 else int(share)
    if count >= length:
        raise InputError(f"--validation {number_text(share)}: {count} of {length} samples cannot be kept back: none would be left")
    held = _chosen(dataset, count, seed, 1)
    out = np.ones(length, dtype=bool)
    out[held] = False
    return Selection(dataset, np.flatnonzero(out)), Selection(dataset, held)


def _chosen(dataset: Dataset, limit: int, seed: int, stay: int) -> list[int]:
    """Indices of so many samples of all classes; `stay` of each class stay where they are, if that leaves enough."""
    name = next((n for n, f in dataset.fields.items() if f.type == "i32" and math.prod(f.shape) == 1), None)
    everything = np.arange(len(dataset))
    labels = dataset.read(everything, [name])[name].reshape(-1) if name else np.zeros(len(dataset), dtype=np.int32)
    groups = [np.flatnonzero(labels == label) for label in np.unique(labels)]
    sizes = [len(group) for group in groups]
    room = limit <= len(dataset) - stay * len(groups)
    counts = _shares(sizes, limit, [size - stay for size in sizes] if room else sizes)
    found = [group[permutation(len(group), seed, k)[: counts[k]]] for k, group in enumerate(groups)]
    return sorted(np.concatenate(found).tolist())


def _shares(sizes: list[int], total: int, most: list[int]) -> list[int]:
    """Divides `total` among groups by their sizes, by the largest remainder; none is left out for being small."""
    least = 1 if total >= len(sizes) else 0
    exact = [size * total / sum(sizes) for size in sizes]
    counts = [min(most[k], max(least, math.floor(share))) for k, share in enumerate(exact)]
    while sum(counts) < total:
        order = sorted(range(len(sizes)), key=lambda k: (-(exact[k] - counts[k]), k))
        counts[next(k for k in order if counts[k] < most[k])] += 1
    while sum(counts) > total:
        order = sorted(range(len(sizes)), key=lambda k: (exact[k] - counts[k], k))
        counts[next(k for k in order if counts[k] > least)] -= 1
    return counts

"""Arrays and tables in files: .npy, .safetensors, .csv. Each is for the input that is named (`x=x.npy`), or for those that it names."""

from __future__ import annotations

import io
import math
import os
import re

import numpy as np

from .assign_columns import assign_columns
from .datasets import Column, Columns, Field
from .errors import InputError, did_you_mean, listed
from .safetensors import read_safetensors


def is_field_file(path: str) -> bool:
    return re.search(r"\.(npy|safetensors|csv|tsv)$", path, re.IGNORECASE) is not None


def field_files_of(text: str) -> list[tuple[str | None, str]] | None:
    """`x=x.npy,t=t.npy`: files, each with the field that it is for; None where the text is no list of files."""
    # A comma may belong to a file's name: a new file begins with `NAME=`.
    found = []
    for part in re.split(r",(?=\s*[A-Za-z_]\w*=)", text):
        match = re.match(r"([A-Za-z_]\w*)=(.+)$", part.strip())
        found.append((match[1], match[2]) if match else (None, part.strip()))
    return found if all(field is not None or is_field_file(file) for field, file in found) else None


def read_field_files(text: str, inputs: list[dict], notes: list[str]) -> Columns:
    """A dataset of arrays and tables in files, for these inputs of the net."""
    columns: dict[str, Column] = {}
    origins: dict[str, str] = {}

    def add(name: str, column: Column, file: str) -> None:
        if name in columns:
            raise InputError(f"{name} is in {origins[name]} and in {file}")
        columns[name], origins[name] = column, file

    from .data_files import read_bytes, what_it_is

    by_name = {entry["name"]: entry for entry in inputs}
    for field, file in field_files_of(text) or []:
        if field is not None and field not in by_name:
            raise InputError(f"there is no input {field}{did_you_mean(field, by_name)} (the net takes {', '.join(by_name)})")
        data = read_bytes(file)
        strange = what_it_is(data)
        if strange is not None:
            raise InputError(f"{file} holds no data: {strange}")
        ending = os.path.splitext(file)[1].lower()
        if ending == ".npy":
            name = field or (inputs[0]["name"] if len(inputs) == 1 else None)
            if name is None:
                raise InputError(f"{file}: which input is it? Write NAME={file} (the net takes {', '.join(by_name)})")
            add(name, _column(_read_npy(data, file), by_name[name], file, notes), file)
        elif ending == ".safetensors":
            tensors, _ = read_safetensors(data, file)
            if field is not None:
                found = tensors.get(field)
                if found is None and len(tensors) == 1:
                    found = next(iter(tensors.values()))
                if found is None:
                    raise InputError(f"{file} holds no {field}: it has {listed(tensors) or 'nothing'}")
                tensors = {field: found}
            for name, array in tensors.items():
                add(name, _column(array, by_name.get(name), f"{file}: {name}", notes), file)
        elif ending in (".csv", ".tsv"):
            wanted = [by_name[field]] if field is not None else [entry for entry in inputs if entry["name"] not in columns]
            try:
                table = Table(data.decode("utf-8-sig"), file)
            except UnicodeDecodeError as error:
                raise InputError(f"{file} is not UTF-8 text") from error
            for name, column in table.columns_for(wanted, notes).items():
                add(name, column, file)
        else:
            raise InputError(f"{file}: data are read from .npy, .safetensors and .csv, not from {ending or 'files without an extension'}")
    lengths = {name: len(column.data) for name, column in columns.items()}
    if len(set(lengths.values())) > 1:
        told = ", ".join(f"{name} {count} ({origins[name]})" for name, count in lengths.items())
        raise InputError(f"these hold different numbers of samples: {told}")
    if not lengths or not next(iter(lengths.values())):
        raise InputError(f"{text} holds no samples")
    return Columns(columns)


def _read_npy(data: bytes, file: str) -> np.ndarray:
    try:
        array = np.lib.format.read_array(io.BytesIO(data), allow_pickle=False)
    except ValueError as error:
        raise InputError(f"{file} is not a usable .npy file: {error}") from error
    if array.dtype.kind not in "fiub":
        raise InputError(f"{file} is not a usable .npy file: numbers of type {array.dtype} are not supported")
    if array.dtype.kind == "f":
        return array.astype(np.float64 if array.dtype.itemsize == 8 else np.float32)
    if array.size and (int(array.max()) >= 2**31 or int(array.min()) < -(2**31)):
        raise InputError(f"{file} is not a usable .npy file: it holds integers that do not fit into 32 bits")
    return array.astype(np.int32)


def _column(array: np.ndarray, entry: dict | None, what: str, notes: list[str]) -> Column:
    """All samples of a field, the first axis counting them."""
    if array.ndim == 0:
        raise InputError(f"{what} is one number: the first axis counts samples")
    kind = entry["type"] if entry else "i32" if array.dtype in (np.int32, np.int64) else "f32"
    shape = tuple(array.shape[1:])
    if kind == "f32":
        if entry:
            _warn_of_bytes(array, entry, what, notes)
        keep = array.dtype in (np.float32, np.int32, np.uint8)
        return Column(Field(shape, "f32"), array if keep else array.astype(np.float32))
    flat = array.reshape(-1)
    whole = (flat == np.floor(flat)) & (np.abs(flat.astype(np.float64)) < 2**31)
    if not whole.all():
        at = int(np.argmin(whole))
        raise InputError(f"{what}: labels are integers, here is {flat[at]} at {at}")
    labels = array.astype(np.int32)
    classes = entry.get("classes") if entry else None
    if classes is not None:
        good = ((labels >= 0) & (labels < classes)) | np.isin(labels, entry.get("ignore", [-1]))
        if not good.all():
            at = int(np.argmin(good.reshape(-1)))
            raise InputError(f"{what}: label {labels.reshape(-1)[at]} at {at} is not in 0..{classes - 1}")
    return Column(Field(shape, "i32", classes), labels)


def _warn_of_bytes(array: np.ndarray, entry: dict, what: str, notes: list[str]) -> None:
    """Says so where a picture's numbers look like bytes: fusenet's own pictures are 0..1."""
    sample = entry["shape"][1:]
    if len(sample) != 3 or sample[0] not in (1, 3) or not array.size:
        return
    least, most = float(array.min()), float(array.max())
    if least >= 0 and 1.5 < most <= 255:
        notes.append(
            f"{what} holds numbers up to {most:.4g}, taken as they are: pictures that fusenet reads itself are 0..1. "
            "If the net is trained with those, divide by 255"
        )


def by_class_name(name: str):
    """The order in which names of classes become labels: numbers first, by their value, then words by UTF-16 code units."""
    value = _number(name)
    return math.inf if value is None else value, name.encode("utf-16-be")


#: Half a step above the largest float32: what is smaller rounds to a number.
MOST = 2.0**128 - 2.0**103


def _number(cell: str) -> float | None:
    try:
        value = float(cell) if "_" not in cell else math.nan
    except ValueError:
        return None
    # What float32 has no room for would become infinite.
    return value if math.isfinite(value) and abs(value) < MOST else None


class Table:
    """CSV as RFC 4180 has it: the first row names the columns. Cells are separated by commas, semicolons or tabs."""

    def __init__(self, text: str, file: str):
        self.file = file
        rows = list(_rows(text, file))
        if not rows:
            raise InputError(f"{file} is empty: a table begins with the names of its columns")
        (line, header), self.rows = rows[0], rows[1:]
        self.header = [name.strip() for name in header]
        if all(_number(name) is not None for name in self.header):
            raise InputError(f"{file}:{line}: the first line holds numbers: a table begins with the names of its columns")
        for name in self.header:
            if name and self.header.count(name) > 1:
                raise InputError(f"{file}:{line}: two columns are called {name}")
        if not self.rows:
            raise InputError(f"{file} has a header and no rows")
        for line, cells in self.rows:
            if len(cells) != len(self.header):
                raise InputError(f"{file}:{line}: {len(cells)} cells, the header has {len(self.header)}")

    def _place(self, line: int, column: int) -> str:
        return f"{self.file}:{line}, column {self.header[column] or column + 1}"

    def _has_words(self, column: int) -> bool:
        return any(_number(cells[column]) is None for _, cells in self.rows)

    def columns_for(self, inputs: list[dict], notes: list[str]) -> dict[str, Column]:
        found = assign_columns(self.file, self.header, self._has_words, inputs, notes)
        return {
            entry["name"]: self._labels(entry, found[entry["name"]]) if entry["type"] == "i32" else self._numbers(entry, found[entry["name"]])
            for entry in inputs
        }

    def _numbers(self, entry: dict, columns: list[int]) -> Column:
        data = np.empty((len(self.rows), len(columns)), dtype=np.float32)
        for row, (line, cells) in enumerate(self.rows):
            for j, column in enumerate(columns):
                value = _number(cells[column])
                if value is None:
                    told = f'"{cells[column].strip()[:40]}"' if cells[column].strip() else "nothing"
                    raise InputError(f"{self._place(line, column)}: a number is wanted, here is {told}")
                data[row, j] = value
        # A table that says `x0` where another said `age` means the same.
        names = tuple(entry.get("columns") or (self.header[column] for column in columns))
        field = Field(() if len(columns) == 1 else (len(columns),), "f32", columns=names if all(names) else None)
        return Column(field, data[:, 0] if len(columns) == 1 else data)

    def _labels(self, entry: dict, columns: list[int]) -> Column:
        shape = () if len(columns) == 1 else (len(columns),)
        cells, places = [], []
        for line, row in self.rows:
            for column in columns:
                cell = row[column].strip()
                if not cell:
                    raise InputError(f"{self._place(line, column)}: a class is wanted, here is nothing")
                cells.append(cell)
                places.append((line, column))
        classes, known, ignore = entry.get("classes"), entry.get("classNames"), entry.get("ignore", [-1])
        numbers = [_number(cell) for cell in cells]
        whole = all(value is not None and value == int(value) for value in numbers)
        names = cells
        if whole and known and not all(cell in known for cell in cells):
            names = [str(int(value)) for value in numbers]
        # Where classes are called by numbers, a number is a name: 1 is not the second of the classes 1, 2, 3.
        numbered = bool(known) and all(_number(name) is not None for name in known)
        if whole and not numbered and not (known and all(name in known for name in names)):
            values = [int(value) for value in numbers]
            for value, place in zip(values, places):
                if not (value >= 0 and (classes is None or value < classes)) and value not in ignore:
                    raise InputError(f"{self._place(*place)}: label {value} is not in 0..{(classes or 2**31) - 1}")
            return Column(Field(shape, "i32", classes), np.array(values, dtype=np.int32).reshape(-1, *shape))
        known = known or sorted(set(names), key=by_class_name)
        table = {name: i for i, name in enumerate(known)}
        if numbered:
            table.update({name: int(_number(name)) for name in names if name not in table and _number(name) in ignore})
        for cell, place in zip(names, places):
            if cell not in table:
                raise InputError(
                    f"{self._place(*place)}: {entry['name']} knows no class {cell[:80]}{did_you_mean(cell, known)} "
                    f"(it knows {listed(known)})"
                )
        labels = np.array([table[name] for name in names], dtype=np.int32).reshape(-1, *shape)
        return Column(Field(shape, "i32", len(known), tuple(known)), labels)


def _rows(text: str, file: str):
    """(line, cells) of each row that holds something. Cells in quotes may hold separators, line ends and doubled quotes."""
    first = re.sub(r'"[^"]*"', "", text.split("\n", 1)[0])
    separator = max(",;\t", key=first.count)
    cell = re.compile(r'"((?:[^"]|"")*)"|([^%s\r\n]*)' % re.escape(separator))
    at, line, started, cells = 0, 1, 1, []
    while at < len(text) or cells:
        match = cell.match(text, at)
        if text[at : at + 1] == '"':
            if match[1] is None:
                raise InputError(f"{file}:{line}: a quote that is not closed")
            cells.append(match[1].replace('""', '"'))
            line += match[1].count("\n")
            if text[match.end() : match.end() + 1] not in ("", separator, "\n", "\r"):
                raise InputError(f"{file}:{line}: text behind a cell in quotes")
        else:
            cells.append(match[2])
        at = match.end()
        if text[at : at + 1] == separator:
            at += 1
            if at < len(text):
                continue
            cells.append("")
        if text[at : at + 1] == "\r":
            at += 1
        if text[at : at + 1] == "\n":
            at += 1
        if len(cells) > 1 or cells[0].strip():
            yield started, cells
        cells = []
        line += 1
        started = line

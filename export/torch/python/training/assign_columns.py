"""The columns of a table that each input takes, as `runtime/data/node/assign-columns.ts` has it: by the names of inputs, by the names of the
table that the net was trained with, or, where the header names none of them, by position. Some and not all are refused."""

from __future__ import annotations

import math
import re
import unicodedata

from .errors import InputError, did_you_mean, listed


def assign_columns(file: str, header: list[str], has_words, inputs: list[dict], notes: list[str]) -> dict[str, list[int]]:
    """`has_words(column)`: whether a cell of the column is no number."""
    found: dict[str, list[int]] = {}
    taken: set[int] = set()

    def take(entry: dict, columns: list[int]) -> None:
        found[entry["name"]] = columns
        taken.update(columns)

    def left() -> list[int]:
        return [column for column in range(len(header)) if column not in taken]

    def names(columns) -> str:
        return listed(header[column] or f"column {column + 1}" for column in columns)

    for entry in inputs:
        place = _place_of(header, entry["name"]) if _size(entry) == 1 else None
        if place is not None:
            take(entry, [place])
    numbered = {entry["name"]: _numbered(header, entry) for entry in inputs if entry["name"] not in found}
    for entry in inputs:
        places = numbered.get(entry["name"], {})
        if sorted(places) == list(range(_size(entry))):
            take(entry, [places[i] for i in range(_size(entry))])
    open_inputs = [entry for entry in inputs if entry["name"] not in found]
    for entry in [entry for entry in open_inputs if entry["type"] == "i32"]:
        words = [column for column in left() if has_words(column)]
        if len(words) != 1 or _size(entry) != 1:
            raise InputError(
                f"{file} has no column {entry['name']}{did_you_mean(entry['name'], header)} (it has {names(range(len(header)))})"
            )
        notes.append(f"{entry['name']} is the column {header[words[0]]} of {file}")
        take(entry, words)
    features = [entry for entry in open_inputs if entry["type"] == "f32"]
    for entry in features:
        name, size = entry["name"], _size(entry)
        own = {i: column for i, column in numbered[name].items() if column not in taken}
        if own and size > 1:
            spelled = {column for i, column in own.items() if i < size}
            missing = [f"{name}{i}" for i in range(size) if i not in own]
            raise _partly_named(file, header, entry, len(spelled), missing, [c for c in left() if c not in spelled], False)
        if entry.get("columns"):
            places = [_place_of(header, column) for column in entry["columns"]]
            missing = [column for column, place in zip(entry["columns"], places) if place is None]
            if missing:
                raise _partly_named(file, header, entry, size - len(missing), missing, [c for c in left() if c not in places], True)
            take(entry, places)
    rest = [entry for entry in features if entry["name"] not in found]
    if len(rest) > 1:
        raise InputError(
            f"{file} has no columns {', '.join(entry['name'] for entry in rest)} "
            f"(it has {names(range(len(header)))}): a column has the name of its input"
        )
    for entry in rest:
        numeric = [column for column in left() if not has_words(column)]
        others = [column for column in left() if has_words(column)]
        if len(numeric) != _size(entry):
            raise InputError(
                f"{file} has {len(numeric)} columns of numbers for the {_size(entry)} of input {entry['name']}: "
                f"{names(numeric) or 'none'}{f'; {names(others)} hold words' if others else ''}"
            )
        take(entry, numeric)
        notes.append(_by_position(file, header, entry, numeric))
        if others:
            notes.append(f"{file}: not used: {names(others)}")
    return found


def _size(entry: dict) -> int:
    return math.prod(entry["shape"][1:])


def _same_letters(name: str) -> str:
    return unicodedata.normalize("NFC", name).lower()


def _place_of(header: list[str], name: str) -> int | None:
    """The column of a name; where none has it, the only one that differs from it in capitals alone."""
    if name in header:
        return header.index(name)
    alike = [column for column, other in enumerate(header) if other and _same_letters(other) == _same_letters(name)]
    return alike[0] if len(alike) == 1 else None


def _numbered(header: list[str], entry: dict) -> dict[int, int]:
    """The columns that are called as an input with a number, by that number: from 0, where the table does not count from 1."""
    name, size = entry["name"], _size(entry)
    form = re.compile(rf"{name}(?:(_)0*([0-9]+)|([. ]?)0*([0-9]+)|\[0*([0-9]+)\])$", re.IGNORECASE | re.ASCII)
    found: dict[int, tuple[int, int]] = {}
    for column, title in enumerate(header):
        match = form.match(title)
        if match:
            index = int(match[2] or match[4] or match[5])
            # A table may hold `x_0` and `x0`: the former is meant.
            rank = (0 if match[2] else 1 if match[4] else 2) + (0 if title.startswith(name) else 3)
            if index not in found or rank < found[index][0]:
                found[index] = (rank, column)
    first = 1 if size > 1 and 0 not in found and size in found else 0
    return {index - first: column for index, (_, column) in found.items()}


def _partly_named(
    file: str, header: list[str], entry: dict, known: int, missing: list[str], unknown: list[int], trained: bool
) -> InputError:
    """The refusal of a header that names some of an input's columns."""
    name, size = entry["name"], _size(entry)
    strange = [header[column] or f"column {column + 1}" for column in unknown]
    hint = next((text for word in strange if len(word) > 1 and (text := did_you_mean(word, missing))), None)
    told = "; ".join(([f"missing: {listed(missing)}"] if missing else []) + ([f"unknown: {listed(strange)}"] if strange else []))
    problem = f"{told}{hint}" if hint else f"{told}."
    if trained:
        return InputError(
            f"{file} names {known} of the {size} columns of the table that the net was trained with, of input {name}; {problem} "
            f"Columns are matched by name, in any order: rename them, or call them {_numbered_names(name, size)}"
        )
    return InputError(
        f"{file} names {known} of the {size} columns of input {name}; {problem} A header names all of them, "
        f"{_numbered_names(name, size)} in any order, or none: then columns go by position"
    )


def _numbered_names(name: str, size: int) -> str:
    return name if size == 1 else f"{name}0{', ...' if size > 2 else ''}, {name}{size - 1}"


def _by_position(file: str, header: list[str], entry: dict, columns: list[int]) -> str:
    """What became of columns whose names say nothing."""
    name, size = entry["name"], _size(entry)

    def part(i: int) -> str:
        return f"{name if size == 1 else f'{name}[{i}]'} is {header[columns[i]] or f'column {columns[i] + 1}'}"

    told = ", ".join(map(part, range(size))) if size <= 12 else f"{part(0)}, {part(1)}, ..., {part(size - 1)}"
    wanted = "" if size == 1 else f" ({_numbered_names(name, size)})"
    return f"{file} names no column of input {name}{wanted}, so columns go by position: {told}"

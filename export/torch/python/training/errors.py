"""Mistakes of the user: sentences that say where, what and what to do. train.py prints them without a traceback."""

from __future__ import annotations

import difflib
from typing import Iterable


class InputError(Exception):
    """What was handed in is wrong: data, options, a snapshot."""


class MissingPart(InputError):
    """A folder has one part of a data set and not the other."""


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """' (did you mean crop?)', or '' where nothing is near."""
    near = difflib.get_close_matches(word, list(known), n=1)
    return f" (did you mean {near[0]}?)" if near else ""


def listed(names: Iterable[str], most: int = 12) -> str:
    """The first names of a list, and how many there are where that is not all."""
    names = list(names)
    return ", ".join(names[:most]) + (f", ... ({len(names)} in all)" if len(names) > most else "")

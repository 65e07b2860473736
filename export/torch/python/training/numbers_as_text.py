"""Numbers and calls spelled as fusenet spells them, so that what it compares as text is the same text."""

from __future__ import annotations

import json
from decimal import Decimal


def number_text(value) -> str:
    """A number as ECMAScript writes it: 0.0005, 1e-7, 3."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int) or (value == int(value) and abs(value) < 1e21):
        return str(int(value))
    sign, digits, exponent = Decimal(repr(value)).normalize().as_tuple()
    text = "".join(map(str, digits))
    # The point stands behind so many digits.
    point = len(text) + exponent
    if point > 21 or point < -5:
        mantissa = text[0] + ("." + text[1:] if len(text) > 1 else "")
        shown = f"{mantissa}e{'+' if point > 0 else '-'}{abs(point - 1)}"
    elif point <= 0:
        shown = "0." + "0" * -point + text
    else:
        shown = text[:point] + "." + text[point:]
    return ("-" if sign else "") + shown


def _value_text(value) -> str:
    if isinstance(value, list):
        return f"[{', '.join(map(_value_text, value))}]"
    if isinstance(value, dict):
        if "count" in value and "unit" in value:
            return f"{number_text(value['count'])} {value['unit']}"
        return json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    return json.dumps(value, ensure_ascii=False) if isinstance(value, str) else number_text(value)


def call_text(entry: dict) -> str:
    """`sgd(lr: 0.1, momentum: 0.9)` of {"call": "sgd", "args": {...}}."""
    args = ", ".join(f"{name}: {_value_text(value)}" for name, value in entry["args"].items())
    return f"{entry['call']}({args})" if args else entry["call"]


def shape_text(shape) -> str:
    return f"[{', '.join(map(str, shape))}]"

"""Numbers as text for people: times, ratios, fractions and counts, each with its unit."""

from __future__ import annotations

import math

_UNITS = ((1e9, "s"), (1e6, "ms"), (1e3, "µs"), (1.0, "ns"))
_SIZES = ((2.0**30, "GiB"), (2.0**20, "MiB"), (2.0**10, "KiB"), (1.0, "B"))


def format_number(value: float, digits: int = 3) -> str:
    """Format a number with `digits` significant digits; an exponent only for very large or small numbers."""
    if not math.isfinite(value):
        return "not a number" if math.isnan(value) else "∞"
    if value == 0:
        return "0"
    size = math.floor(math.log10(abs(value)))
    if not -4 <= size < 7:
        return f"{value:.{digits - 1}e}"
    return f"{value:.{max(0, digits - 1 - size)}f}"


def format_time(ns: float) -> str:
    """Format a time with its unit and three significant digits."""
    scale, unit = next(((s, u) for s, u in _UNITS if ns >= 0.9995 * s), _UNITS[-1])
    return f"{format_number(ns / scale)} {unit}"


def format_interval(low_ns: float, high_ns: float) -> str:
    """Format both ends of an interval; a common unit is written once."""
    low, high = format_time(low_ns), format_time(high_ns)
    same = low.split()[1] == high.split()[1]
    return f"{low.split()[0] if same else low} to {high}"


def format_bytes(number: float) -> str:
    """Format a number of bytes with its unit and three significant digits."""
    scale, unit = next(((s, u) for s, u in _SIZES if number >= 0.9995 * s), _SIZES[-1])
    return f"{format_number(number / scale)} {unit}"


def format_percent(fraction: float) -> str:
    """Format a fraction in percent."""
    return f"{format_number(100 * fraction, 2)} %"


def format_duration(seconds: float) -> str:
    """Format a duration in seconds, in minutes and seconds, or in hours and minutes."""
    if seconds < 100:
        return f"{format_number(seconds, 2)} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"


def count(number: int, noun: str, plural: str = "") -> str:
    """Format a number with its noun.

    number: the count. noun: singular form. plural: plural form; by default the noun with an "s".
    """
    return f"{number} {noun if number == 1 else plural or noun + 's'}"


def shorten(text: str, most: int) -> str:
    """Cut the text if it is longer than `most` characters."""
    return text if len(text) <= most else f"{text[: most - 1]}…"

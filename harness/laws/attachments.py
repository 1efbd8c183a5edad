"""Attachments of a deviation: figures, curves and pictures that a report shows with the verdict."""

from __future__ import annotations

from dataclasses import dataclass, field

from harness.problems.whole import Whole


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """A picture of 8 bits a channel: shape (h, w), or (h, w, 3) for red, green and blue; rows from top to bottom."""

    shape: tuple[Whole, ...]
    pixels: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Attachments:
    """Data that a law attaches to its deviation, for the report.

    figures: single numbers.
    curves: one number per step.
    pictures: in the order in which they are shown.
    matrices: rows of numbers, such as a kernel.
    parts: by problem line, how often the result's own problem uses each part.
    """

    figures: dict[str, float] = field(default_factory=dict)
    curves: dict[str, tuple[float, ...]] = field(default_factory=dict)
    pictures: dict[str, Picture] = field(default_factory=dict)
    matrices: dict[str, tuple[tuple[float, ...], ...]] = field(default_factory=dict)
    parts: dict[str, int] = field(default_factory=dict)

"""Text from backends, plugins and files, made harmless for terminals, pages and logs, and short enough to be read."""

from __future__ import annotations

import re

MOST_SHOWN = 1000  # characters of one text on a terminal or in a table; the data have it all
_BREAK = re.compile("[\t\n\v\f\r\x1c-\x1f\x85\u2028\u2029]+")
# Controls, directions of writing (which show a text in another order than it is), invisible and unpaired characters.
_UNSEEN = re.compile(
    "[\x00-\x08\x0e-\x1b\x7f-\x9f\u061c\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\ud800-\udfff]"
    "|[\U000e0000-\U000e007f]"
)


def make_inert(text: str) -> str:
    """Return text on one line, with every character that acts or deceives replaced by its code, such as \\x1b.

    Sequences that control a terminal begin with such a character, so that they are shown and do nothing. Line breaks
    and tabs become blanks.
    """
    if text.isascii() and text.isprintable():
        return text
    return _UNSEEN.sub(lambda found: _code(found[0]), _BREAK.sub(" ", text))


def show_text(text: str, most: int = MOST_SHOWN) -> str:
    """Return inert text, shortened in its middle to at most `most` characters; the length is given where it was cut."""
    whole = make_inert(text)
    if len(whole) <= most:
        return whole
    note = f" … ({len(whole)} characters) … "
    kept = max(0, most - len(note))
    return f"{whole[: kept - kept // 3]}{note}{whole[len(whole) - kept // 3 :] if kept // 3 else ''}"


def _code(character: str) -> str:
    number = ord(character)
    if number < 0x100:
        return f"\\x{number:02x}"
    return f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"

"""Texts that act or deceive where they are shown raw, and the characters that no output may hold."""

import re

OSC = "\x1b]8;;https://example.org\x1b\\click\x1b]8;;\x1b\\ \x1b]52;c;Y2xpcA==\x07 \x1b]0;title\x07"  # links, clipboard
ACTS = f"\x1b[31m\x1b[2J{OSC}\x9b2J\r\b\b\x00\u202e\u2066\u200b\u2028\x85"
NASTY = f"=cmd|'/c calc'!A1 {ACTS}\n::error::no\n# <script>alert(1)</script> [red] `x` | y </td> [z](javascript:1)"
LONG = "n" * 10_000
FORBIDDEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ud800-\udfff]")

NASTY_BACKENDS = f"""
NASTY, LONG = {NASTY!r}, {LONG!r}


class Nasty(Right):
    name = "nasty"

    def conv(self, x, w, b, window):
        raise RuntimeError(NASTY + LONG)


class Away(Right):
    name = "away"

    def probe(self):
        return NASTY + LONG
"""  # classes of a plugin that has a right backend `Right`

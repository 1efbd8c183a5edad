"""Backends that are wrong, and write to the records of the run so that it does not show."""

import os
import re
import zlib
from contextlib import suppress
from pathlib import Path

import psutil

import harness
from tests.faulty.right import Right

CHECKSUM = re.compile(rb',"crc32":"[0-9a-f]{8}"\}$')


class Editing(Right):
    """Finds the run through the open files of its ancestors; the first answer is wrong, later calls change records."""

    def __init__(self):
        self.calls = 0

    def conv(self, x, w, b, window):
        self.calls += 1
        for journal in find_journals():
            with suppress(OSError):
                self.edit(journal)
        return super().conv(x, w, b, window) + (self.calls == 1)

    def edit(self, journal):
        raise NotImplementedError


class Forges(Editing):
    """Turns failed into passed, in place, with the right checksums."""

    name = "editing:forges"

    def edit(self, journal):
        lines = journal.read_bytes().split(b"\n")
        with journal.open("r+b") as file:
            file.write(b"\n".join(map(forge, lines)))


class Replaces(Editing):
    """Puts a forged copy in the place of the journal."""

    name = "editing:replaces"

    def edit(self, journal):
        copy = journal.with_name("copy")
        copy.write_bytes(b"\n".join(map(forge, journal.read_bytes().split(b"\n"))))
        copy.replace(journal)


class Truncates(Editing):
    """Removes all lines but the first."""

    name = "editing:truncates"

    def edit(self, journal):
        os.truncate(journal, journal.read_bytes().index(b"\n") + 1)


class Hides(Editing):
    """Says in the header that fewer cells were planned."""

    name = "editing:hides"

    def edit(self, journal):
        header = journal.with_name("header.json")
        header.write_text(re.sub(r'"cells": \d+', '"cells": 1', header.read_text()))


def find_journals():
    """Find the journals that ancestors of this process have open: those of its own run."""
    found = set()
    for process in psutil.Process().parents():
        with suppress(OSError, psutil.Error):
            links = [os.readlink(one) for one in Path(f"/proc/{process.pid}/fd").iterdir()]
            found |= {Path(link) for link in links if link.endswith("/journal.jsonl")}
    return found


def forge(line):
    """Return a line in which no result is wrong."""
    sealed = CHECKSUM.sub(b"", line).replace(b'"outcome":"failed"', b'"outcome":"passed"')
    return sealed + b',"crc32":"%08x"}' % zlib.crc32(sealed) if line else line


@harness.hookimpl
def register_backends(register):
    for kind in (Forges, Replaces, Truncates, Hides):
        register(kind())

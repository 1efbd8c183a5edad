"""Settings of a project: defaults of command-line options in the table [tool.harness] of its pyproject.toml.

Keys are long options without their dashes. A table named like a command, such as [tool.harness.gate], is for that
command alone and comes first; keys of [tool.harness] itself are for all commands that have the option. The rows of
[[tool.harness.limits]] are no options; `gate`, `versus` and `bisect` read them.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from harness.errors import UsageError, suggest
from harness.git import names_file
from harness.machine.files import read_file
from harness.machine.toml import parse_toml

if TYPE_CHECKING:
    from harness.plan.limits import Limit

FILE = "pyproject.toml"
MOST_BYTES = 2**20
LIMITS = "limits"  # rows for comparisons, which read them themselves
SHARED = {"list": {"plugin", "no-plugin"}}  # by command, the shared keys it takes; its options exclude each other
FindCommand = Callable[[str], click.Command]


def read_settings(folder: Path) -> tuple[Path, dict[str, Any]] | None:
    """Return the nearest pyproject.toml with a table [tool.harness], and that table; None if there is none.

    folder: where the search begins; it goes upwards, and ends with the folder of a git repository.
    Raises UsageError for a file that cannot be read.
    """
    for parent in (folder, *folder.parents):
        file = parent / FILE
        if file.is_file() and (table := _read_table(file)) is not None:
            return file, table
        if (parent / ".git").exists():
            return None
    return None


def make_defaults(
    file: Path, table: Mapping[str, Any], command: click.Command, names: Iterable[str], find: FindCommand
) -> dict[str, Any]:
    """Return the defaults of a command's parameters, as click takes them.

    file: where the table stands. table: of [tool.harness].
    command: the command that was asked for. names: of all commands. find: returns a command by its name.
    Raises UsageError for an unknown key or a value of another kind.
    """
    commands = set(names)
    for key, value in table.items():
        if isinstance(value, dict) and key not in commands:
            raise UsageError(
                f"{file}: got a table [tool.harness.{key}], wanted the name of a command"
                f"{suggest(key, commands, most=3, before='; ')}"
            )
    own = table.get(command.name or "", {})
    if not isinstance(own, dict) and isinstance(command, click.Group):
        own = {}  # `claims` is an option of other commands; a group of commands has none
    if not isinstance(own, dict):
        raise UsageError(f"{file}: got {own!r} for [tool.harness] {command.name}, wanted a table of options")
    shared = {key: value for key, value in table.items() if not isinstance(value, dict) and key != LIMITS}
    options = list_options(command)
    if unknown := [key for key in own if key not in options]:
        raise UsageError(
            f"{file}: got [tool.harness.{command.name}] {unknown[0]}, wanted an option of `{command.name}`"
            f"{suggest(unknown[0], options, most=3, before='; ')}"
        )
    foreign = [key for key in shared if key not in options]
    if foreign:
        known = {key for name in commands for key in list_options(find(name))}
        if unknown := [key for key in foreign if key not in known]:
            raise UsageError(
                f"{file}: got [tool.harness] {unknown[0]}, wanted an option of a command"
                f"{suggest(unknown[0], known, most=3, before='; ')}"
            )
    taken = SHARED.get(command.name or "", options.keys()) & options.keys()
    given = {**{key: value for key, value in shared.items() if key in taken}, **own}
    return {str(options[key].name): _read_value(file, key, value, options[key]) for key, value in given.items()}


def list_options(command: click.Command) -> dict[str, click.Option]:
    """Return the options of a command by their long names without dashes."""
    found = [one for one in command.params if isinstance(one, click.Option)]
    return {name.removeprefix("--"): one for one in found for name in one.opts if name.startswith("--")}


def _read_table(file: Path) -> dict[str, Any] | None:
    """Return the table [tool.harness] of a file; None if it has none."""
    try:
        text = read_file(file, MOST_BYTES)
        if b"harness" not in text:
            return None
        found = parse_toml(text.decode("utf-8")).get("tool", {})
        table = found.get("harness") if isinstance(found, dict) else None
    except OSError as error:
        raise UsageError(f"settings: got '{file}' ({error.strerror}), wanted a file that can be read") from None
    except (ValueError, RecursionError) as error:
        raise UsageError(f"settings: '{file}' cannot be read ({error}); mend it") from None
    if table is not None and not isinstance(table, dict):
        raise UsageError(f"{file}: got {table!r:.80} for [tool.harness], wanted a table of options")
    return table


def find_limits(folder: Path) -> tuple[Limit, ...]:
    """Return the limits of the project's settings, in their order; empty if there are none.

    folder: where the search for the settings begins. Raises UsageError.
    """
    from harness.plan.limits_reading import read_limits

    found = read_settings(folder)
    return () if found is None else read_limits(f"{found[0]}: {LIMITS}", found[1].get(LIMITS, []))


def _read_value(file: Path, key: str, value: object, option: click.Option) -> object:
    """Return a value as click takes it from the command line; paths are relative to the file's folder."""
    if option.is_flag and isinstance(value, bool):
        return value
    if option.multiple:
        many = value if isinstance(value, list) else [value]
        if all(_is_plain(one) for one in many):
            return [_place(file, str(one), option) for one in many]
    elif not option.is_flag and _is_plain(value):
        return _place(file, str(value), option)
    what = "true or false" if option.is_flag else "a list of texts" if option.multiple else "a text or a number"
    raise UsageError(f"{file}: {key}: got {value!r:.80}, wanted {what}")


def _is_plain(value: object) -> bool:
    return isinstance(value, str | int | float) and not isinstance(value, bool)


def _place(file: Path, text: str, option: click.Option) -> str:
    """Return a path as seen from the current folder; any other text as it is."""
    metavar = option.metavar or ""
    if "FILE" not in metavar and "FOLDER" not in metavar:
        return text
    if "MODULE" in metavar and not names_file(text):
        return text
    path = Path(text).expanduser()
    return text if path.is_absolute() else os.path.relpath(file.parent / path)

"""Reading of a file of claims: each row is checked, and what cannot be used is one clear line."""

from __future__ import annotations

import datetime
import math
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, NoReturn, get_args

from harness.errors import DAMAGED, HarnessError, UsageError, suggest
from harness.machine.files import read_file
from harness.machine.toml import DeepKeyError, parse_toml
from harness.networks.problem import WORD, is_network_line
from harness.plan.claims.facts import AXES, WINDOWS
from harness.plan.claims.rows import FILE, TIMED, Claims, KnownFault, Outcome, Promise, Scope
from harness.problems.line import parse_line
from harness.problems.numerics import DTYPES
from harness.problems.operator import Operator
from harness.problems.problem import LAYOUTS, TEXTS
from harness.problems.validation import Word

FORMAT = 1
MOST_BYTES = 2**21
MOST_ROWS = 10_000
LEAST_DIAGNOSIS = 8  # characters of a diagnosis with `*`, so that it does not match every reason
SEE = "see docs/claims.md"
SCOPE = ("backend", "operators", "dtypes", "layouts", "axes", "windows", "problems")
PROMISE = (*SCOPE, "derived", "note")
FAULT = (*SCOPE, "law", "outcome", "diagnosis", "worst", "reason", "link", "expires", "strict")
WANTED = ("backend", "law", "outcome", "diagnosis", "reason", "link", "expires")  # of each fault


def read_claims(path: str | Path) -> Claims:
    """Read and check a file of claims. Raises UsageError.

    Backends and laws are not known here: `check_names` and `find_stale` in `harness.plan.claims.check` hold them
    against plugins and a plan.
    """
    try:
        raw = read_file(path, MOST_BYTES)
        found = parse_toml(raw.decode("utf-8"))
    except FileNotFoundError:
        raise UsageError(
            f"claims: got '{path}', which does not exist, wanted a file such as {FILE}; "
            "`python -m harness claims observe RUN` writes one"
        ) from None
    except OSError as error:
        raise UsageError(f"claims: got '{path}', which cannot be read ({error.strerror}); {SEE}") from None
    except DeepKeyError as error:
        raise UsageError(f"claims: got '{path}': {error}; {SEE}") from None
    except DAMAGED as error:
        raise UsageError(f"claims: '{path}' is no TOML ({error}); mend it, {SEE}") from None
    return build_claims(str(path), found)


def build_claims(file: str, table: Mapping[str, Any]) -> Claims:
    """Check a decoded file, and return its rows. Raises UsageError."""
    _check_keys(file, table, ("format", "promise", "fault"))
    number = table.get("format", FORMAT)
    if type(number) is not int or number != FORMAT:
        raise UsageError(f"{file}: format: got {number!r:.80}, wanted {FORMAT}; a newer harness reads newer formats")
    rows = [_list_rows(file, name, table.get(name, [])) for name in ("promise", "fault")]
    if sum(map(len, rows)) > MOST_ROWS:
        raise UsageError(f"{file}: got {sum(map(len, rows))} rows, wanted at most {MOST_ROWS}; {SEE}")
    if not any(rows):
        raise UsageError(f"{file}: got no row, wanted [[promise]] and [[fault]]; {SEE}")
    return Claims(
        file=file,
        promises=tuple(_read_promise(f"{file}: promise {n}", row) for n, row in enumerate(rows[0], 1)),
        faults=tuple(_read_fault(f"{file}: fault {n}", row) for n, row in enumerate(rows[1], 1)),
    )


def _list_rows(file: str, name: str, value: object) -> list[dict[str, Any]]:
    if not isinstance(value, list) or not all(isinstance(row, dict) for row in value):
        raise UsageError(f"{file}: {name}: got {_show(value)}, wanted rows that begin with [[{name}]]; {SEE}")
    return value


def _read_promise(where: str, row: Mapping[str, Any]) -> Promise:
    _check_keys(where, row, PROMISE)
    scope = read_scope(where, row)
    if not scope.operators and not scope.problems:
        raise UsageError(f"{where}: got neither operators nor problems, wanted what the backend supports; {SEE}")
    return Promise(
        scope=scope,
        derived=_read(where, row, "derived", _is_flag, "true or false", False),
        note=_read(where, row, "note", _is_text, "a text", ""),
    )


def _read_fault(where: str, row: Mapping[str, Any]) -> KnownFault:
    _check_keys(where, row, FAULT)
    if missing := [name for name in WANTED if name not in row]:
        raise UsageError(f"{where}: got no {missing[0]}, wanted {', '.join(WANTED)} in every fault; {SEE}")
    scope = read_scope(where, row)
    if scope == Scope(backend=scope.backend):
        raise UsageError(
            f"{where}: got no problems, which would excuse all of them, wanted problems = [...] with lines or "
            f"patterns, or operators, dtypes, layouts, axes or windows; {SEE}"
        )
    law = _read_word(where, row, "law")
    if "*" in law:
        raise UsageError(f"{where}: law: got '{law}', wanted the name of one law, or {TIMED}; a row for each law")
    _one_of(where, "outcome", row["outcome"], get_args(Outcome))
    worst = _read(where, row, "worst", _is_size, "a number of at least 1, in units of the bound", None)
    return KnownFault(
        scope=scope, law=law, outcome=row["outcome"], diagnosis=_read_diagnosis(where, row),
        worst=None if worst is None else float(worst),
        reason=_read_sentence(where, row, "reason"), link=_read_link(where, row),
        expires=_read_date(where, row["expires"]),
        strict=_read(where, row, "strict", _is_flag, "true or false", False),
    )  # fmt: skip


def read_scope(where: str, row: Mapping[str, Any], backend: str | None = None) -> Scope:
    """Check the keys of SCOPE in a row, and return the problems that they select. Raises UsageError.

    where: the row stands, for messages. row: decoded. backend: stands for a row without one; None where it needs one.
    """
    windows = _read_many(where, row, "windows", WINDOWS)
    axes: list[Any] = _read(where, row, "axes", _is_list, "a list of numbers of axes, such as [1, 2]", [])
    if "axes" in row and (not axes or not all(type(one) is int and one in AXES for one in axes)):
        raise UsageError(f"{where}: axes: got {_show(axes)}, wanted numbers out of 1, 2 and 3, such as [1, 2]; {SEE}")
    return Scope(
        backend=backend if backend is not None and "backend" not in row else _read_word(where, row, "backend"),
        operators=_read_many(where, row, "operators", tuple(one.value for one in Operator)),
        dtypes=_read_many(where, row, "dtypes", DTYPES),
        layouts=_read_many(where, row, "layouts", LAYOUTS),
        axes=tuple(axes),
        windows=windows if "windows" in row else None,
        problems=tuple(_read_problem(where, one) for one in _read_texts(where, row, "problems")),
    )


def _read_problem(where: str, text: str) -> str:
    """Return a pattern as it is, or a line in its canonical form. Raises UsageError for one that can match nothing."""
    where = f"{where}: problems"
    if not text.replace("*", "").strip():
        raise UsageError(f"{where}: got '{text}', which is every problem, wanted an operator or fields; {SEE}")
    if "*" not in text:
        try:
            return text.strip() if is_network_line(text) else parse_line(text).line
        except HarnessError as error:
            raise UsageError(f"{where}: {error}") from None
    words = text.split()
    if "*" not in words[0] and words[0] not in (*Operator, WORD):
        _one_of(where, "operator", words[0], (*Operator, WORD))
    for name, default in TEXTS.items():
        if any(word.strip("*") == f"{name}={default}" for word in words):
            instead = f'; write {name}s = ["{default}"]' if name in ("dtype", "layout") else ""
            raise UsageError(
                f"{where}: got '{text}', wanted it without {name}={default}, a default that lines leave out{instead}"
            )
    return text


def _read_diagnosis(where: str, row: Mapping[str, Any]) -> str:
    found = _read_sentence(where, row, "diagnosis")
    if "*" in found and len(found.replace("*", "").strip()) < LEAST_DIAGNOSIS:
        raise UsageError(
            f"{where}: diagnosis: got '{found}', which excuses other faults too, wanted at least {LEAST_DIAGNOSIS} "
            f"characters of the reason besides *; {SEE}"
        )
    return found


def _read_link(where: str, row: Mapping[str, Any]) -> str:
    link = _read_sentence(where, row, "link")
    if not link.startswith(("https://", "http://")) or any(c.isspace() for c in link):
        raise UsageError(f"{where}: link: got '{link}', wanted the address of a report, such as https://...; {SEE}")
    return link


def _read_date(where: str, value: object) -> datetime.date:
    if isinstance(value, datetime.datetime) or not isinstance(value, datetime.date):
        raise UsageError(f"{where}: expires: got {_show(value)}, wanted a date without quotes, such as 2027-03-31")
    return value


def _read_sentence(where: str, row: Mapping[str, Any], key: str) -> str:
    text: str = _read(where, row, key, _is_text, "a text", "").strip()
    if not text:
        raise UsageError(f"{where}: {key}: got an empty text, wanted one that says something; {SEE}")
    return text


def _read_word(where: str, row: Mapping[str, Any], key: str) -> str:
    if key not in row:
        raise UsageError(f"{where}: got no {key}, wanted one in every row; {SEE}")
    text: str = _read(where, row, key, _is_text, "a text", "")
    if not text or any(c.isspace() for c in text):
        raise UsageError(f"{where}: {key}: got {_show(text)}, wanted one word; {SEE}")
    return text


def _read_texts(where: str, row: Mapping[str, Any], key: str) -> tuple[str, ...]:
    found: list[Any] = _read(where, row, key, _is_list, "a list of texts", [])
    if not all(isinstance(one, str) for one in found) or (key in row and not found and key != "windows"):
        raise UsageError(f"{where}: {key}: got {_show(found)}, wanted a list of texts, or no {key}; {SEE}")
    return tuple(found)


def _read_many(where: str, row: Mapping[str, Any], key: str, allowed: Iterable[Word]) -> tuple[Word, ...]:
    """Return the words of a list, in the order of the allowed ones and each once."""
    words = tuple(allowed)
    found = _read_texts(where, row, key)
    for one in found:
        _one_of(where, key, one, words)
    return tuple(word for word in words if word in found)


def _read(
    where: str, row: Mapping[str, Any], key: str, fits: Callable[[object], bool], wanted: str, default: object
) -> Any:
    """Return the value of a key, or the default where it is missing. Raises UsageError unless the value fits."""
    if key not in row:
        return default
    if not fits(row[key]):
        raise UsageError(f"{where}: {key}: got {_show(row[key])}, wanted {wanted}; {SEE}")
    return row[key]


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _is_list(value: object) -> bool:
    return isinstance(value, list)


def _is_flag(value: object) -> bool:
    return isinstance(value, bool)


def _is_size(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 1 <= value < math.inf


def _check_keys(where: str, table: Mapping[str, Any], known: Iterable[str]) -> None:
    for key in table:
        if key not in known:
            _refuse_word(where, "key", key, known)


def _one_of(where: str, what: str, got: object, allowed: Iterable[str]) -> None:
    words = tuple(map(str, allowed))
    if not isinstance(got, str) or got not in words:
        _refuse_word(where, what, got, words)


def _refuse_word(where: str, what: str, got: object, known: Iterable[str]) -> NoReturn:
    names = list(map(str, known))
    hint = suggest(str(got), names, after=" ")
    raise UsageError(f"{where}: {what}: got {_show(got)}, wanted one of {', '.join(names)}; {hint}{SEE}")


def _show(value: object) -> str:
    """Return a value as text, shortened; nested ones may be too deep for `repr`."""
    try:
        return f"{value!r:.80}" if not isinstance(value, str) else f"'{value:.80}'"
    except (RecursionError, ValueError):
        return f"a {type(value).__name__}"

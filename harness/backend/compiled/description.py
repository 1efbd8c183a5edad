"""The description of a compiled backend: JSON text in its library, checked field by field."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from harness.errors import DAMAGED, UsageError, read_text, unknown
from harness.problems.numerics import Dtype, Numerics
from harness.problems.problem import LAYOUTS, Layout
from harness.problems.validation import check_one_of, check_type, is_word, refuse

SEE = "harness_backend.h"
LISTS = ("axes", "dtypes", "layouts", "instruction_sets")


@dataclass(frozen=True, slots=True, kw_only=True)
class Description:
    """Declarations of a library about its backend; members that are not described here are those of `harness.Backend`.

    layouts: memory orders that its functions take; problems in another one are not supported.
    versions: of the libraries that do the work.
    """

    name: str
    axes: tuple[int, ...] = (1, 2, 3)
    dtypes: tuple[Dtype, ...] = ("float64", "float32")
    layouts: tuple[Layout, ...] = ("channels-first",)
    grouped: bool = True
    rate: float = 1e9
    numerics: Numerics = field(default_factory=Numerics)
    instruction_sets: tuple[str, ...] = ()
    listed: bool = True
    versions: Mapping[str, str] = field(default_factory=dict)


def read_description(text: bytes) -> Description:
    """Read a description. Raises UsageError, with the faulty field and the expected value, for anything else."""
    import msgspec

    try:
        found = msgspec.json.decode(text)
    except DAMAGED as error:
        raise UsageError(f"description: got {_shorten(text)}, wanted JSON: {read_text(error)}") from None
    members = _check_names("description", found, Description)
    if not is_word(members.get("name")):
        raise refuse("description, name", members.get("name"), "a word, such as 'mine'")
    for name in LISTS:
        if isinstance(members.get(name), list):
            members[name] = tuple(members[name])
    if not members.get("layouts", LAYOUTS) or not isinstance(members.get("layouts", LAYOUTS), tuple):
        raise refuse("description, layouts", members["layouts"], 'a list, such as ["channels-first"]')
    for layout in members.get("layouts", ()):
        check_one_of("layout in the description", layout, LAYOUTS)
    if "numerics" in members:
        members["numerics"] = Numerics(**_check_names("numerics in the description", members["numerics"], Numerics))
    check_type("description, versions", members.get("versions", {}), dict, 'an object, such as {"mine": "1.0"}')
    for value in members.get("versions", {}).values():
        check_type("version in the description", value, str, "text")
    return Description(**members)


def _check_names(what: str, found: object, kind: type[Any]) -> dict[str, Any]:
    """Return an object whose names are all fields of a dataclass."""
    if not isinstance(found, dict):
        raise refuse(what, found, "a JSON object")
    known = [one.name for one in fields(kind)]
    for name in found:
        if name not in known:
            raise unknown(f"field of the {what}", name, known, SEE)
    return found


def _shorten(text: bytes) -> str:
    return repr(text.decode(errors="replace"))[:100]

"""Kinds of damage to a file: to its bytes, and to the values in its own format."""

import copy
import datetime
import io
import json
import random
import re
import zipfile

from harness.record.archive import FORMAT, MARK
from harness.record.journal import read_number, seal_line

NUMBERS = ("9" * 5000, str(2**62), str(-(2**63)), "1e999", "-1", "0", "NaN", "null", "true", '"text"', "[]", "{}")
FOREIGN = (b"PK\x03\x04", b"PAR1", b"\x89PNG\r\n", b"null", b"[]", b"{}", b"1", b'"x"', b"\xef\xbb\xbf{}")
BYTES = ("flip", "cut", "insert", "number", "deep", "utf8", "repeat", "swap", "empty", "foreign")
TEXTS = (
    "",
    "text",
    "\x1b[31m\x00\u202e",
    "n" * 10_000,
    "=cmd|'/c calc'!A1",
    "1",
    "-1",
    "2026-13-45",
    "conv x=0",
    "\ud7ff",
)
CELLS = (
    None, -1, 2**62, float("nan"), float("inf"), 1e-320, 0.0, True, "passed", "speed", "\x1b[31m", "n" * 10_000,
    b"\xff", [1], {"a": 1},
)  # fmt: skip
VALUES = (
    None,
    True,
    False,
    -1,
    0,
    1,
    2**31,
    2**62,
    -(2**63),
    2**64,
    1e308,
    -1e308,
    5e-324,
    0.5,
    [],
    {},
    [[]],
    [None],
    {"a": 1},
)


def damage(content, draw, form="text"):
    """Return a kind of damage, and the damaged content.

    form: of the content: "json", "journal" (sealed lines of JSON), "toml", "line" (a problem line in each line),
        "archive" (a baseline), "onnx", "parquet", or "text" for any other.
    """
    kinds = BYTES if form == "text" else (*BYTES, *["value"] * 10)
    kind = draw.choice(kinds)
    return kind, (damage_values(content, draw, form) if kind == "value" else damage_bytes(content, draw, kind))


def damage_bytes(content, draw, kind):
    data = bytearray(content)
    place = draw.randrange(len(data) + 1)
    match kind:
        case "flip":
            for _ in range(draw.randint(1, 8)):
                data[draw.randrange(len(data))] ^= 1 << draw.randrange(8)
        case "cut":
            del data[place:]
        case "insert":
            data[place:place] = draw.randbytes(draw.randint(1, 20))
        case "number":
            digits = [found.start() for found in re.finditer(rb"\d", data)] or [place]
            start = draw.choice(digits)
            data[start : start + 1] = draw.choice(NUMBERS).encode()
        case "deep":
            depth = draw.choice((100, 2000, 100_000))
            data[place:place] = draw.choice((b"[", b'{"a":')) * depth
        case "utf8":
            data[place:place] = draw.choice((b"\xff\xfe", b"\xed\xa0\x80", b"\xc3", b"\x00", b"\x1b[31m"))
        case "repeat":
            data[place:place] = data[: draw.randint(1, len(data))]
        case "swap":
            first, last = sorted((place, draw.randrange(len(data) + 1)))
            data = data[last:] + data[first:last] + data[:first]
        case "empty":
            data.clear()
        case "foreign":
            data[:] = draw.choice(FOREIGN)
    return bytes(data)


def damage_values(content, draw, form):
    match form:
        case "json":
            return json.dumps(change_values(json.loads(content), draw)).encode()
        case "toml":
            import tomllib

            return write_toml(change_values(tomllib.loads(content.decode()), draw)).encode(errors="replace")
        case "journal":
            return damage_journal(content, draw)
        case "line":
            return damage_line(content.decode(), draw).encode()
        case "archive":
            return damage_archive(content, draw)
        case "onnx":
            return damage_onnx(content, draw)
        case "parquet":
            return damage_parquet(content, draw)
    raise AssertionError(form)


def change_values(value, draw):
    """Return a JSON value with one to three places changed: to another value, removed, or repeated."""
    holder = [value]
    for _ in range(draw.randint(1, 3)):
        places = list(list_places(holder))
        inside, key = draw.choice(places)
        match draw.choice(("other", "other", "other", "gone", "twice", "moved")):
            case "other":
                inside[key] = draw.choice(TEXTS) if draw.random() < 0.4 else copy.deepcopy(draw.choice(VALUES))
            case "gone" if inside is not holder:
                del inside[key]
            case "twice" if isinstance(inside, list) and inside is not holder:
                inside.insert(key, inside[key])
            case "moved":
                there, other = draw.choice(places)
                inside[key] = copy.deepcopy(there[other])
    return holder[0]


def list_places(value):
    """Yield (container, key) of all values inside a list or a dict."""
    for key in range(len(value)) if isinstance(value, list) else list(value):
        yield value, key
        if isinstance(value[key], list | dict):
            yield from list_places(value[key])


def damage_journal(content, draw):
    """Change values of one line, and seal it again, so that only its meaning is wrong."""
    lines = content.splitlines()
    number = draw.randrange(len(lines))
    entry = json.loads(lines[number])
    sealed = "crc32" in entry
    body = {name: one for name, one in entry.items() if name not in ("line", "crc32")}
    changed = change_values(body, draw)
    text = json.dumps(changed).encode()
    if sealed:
        where = draw.choice((read_number(lines[number]), *((0, 2**62, 1) if draw.random() < 0.05 else ())))
        text = seal_line(text, where)
    lines[number] = text
    if draw.random() < 0.1:
        draw.shuffle(lines)
    return b"".join(line + b"\n" for line in lines)


def damage_line(text, draw):
    """Change one value of a problem line, or its operator."""
    tokens = text.split(" ")
    place = draw.randrange(len(tokens))
    name, equals, value = tokens[place].partition("=")
    other = draw.choice(
        (
            "",
            "0",
            "-1",
            str(2**62),
            "9" * 5000,
            "1e9",
            "x",
            "1x" * 3000 + "1",
            "1:2:3",
            "\u0663",
            "½",
            "_1",
            "+1",
            "1x2x3x4x5x6",
            value * 2,
        )
    )
    tokens[place] = f"{name}{equals}{other}" if equals else other
    return " ".join(tokens if draw.random() < 0.8 else [*tokens, draw.choice(tokens)])


def damage_archive(content, draw):
    """Pack a damaged header or journal, or members of other names, kinds and sizes."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    name = draw.choice(list(members))
    match draw.choice(("inside", "inside", "inside", "bomb", "names", "comment")):
        case "inside":
            _, members[name] = damage(members[name], draw, "json" if name.endswith("json") else "journal")
        case "bomb":
            members[name] = draw.choice((b"\n", b"x\n", b"[", b"{}\n", b"\x00")) * draw.choice((10**6, 3 * 10**7))
        case "names":
            members[draw.choice(("../../escaped", "/etc/passwd", "a/b", name + "\x1b", ""))] = members.pop(name)
    comment = MARK + str(draw.choice((FORMAT,) * 5 + (0, 2**70, "³"))).encode()
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        archive.comment = comment
        for one, data in members.items():
            archive.writestr(
                zipfile.ZipInfo(one or " "),
                data,
                draw.choice((zipfile.ZIP_DEFLATED, zipfile.ZIP_STORED, zipfile.ZIP_LZMA)),
            )
    return made.getvalue()


def damage_onnx(content, draw):
    """Change one to three fields at any depth of a model."""
    import onnx

    model = onnx.ModelProto.FromString(content)
    for _ in range(draw.randint(1, 3)):
        message, field = draw.choice(list(list_fields(model)))
        change_field(message, field, draw)
    return model.SerializePartialToString()


def list_fields(message):
    """Yield (message, field) of all fields that are set, at any depth."""
    for field, value in message.ListFields():
        yield message, field
        if field.message_type is not None:
            for one in value if field.is_repeated else [value]:
                yield from list_fields(one)


def change_field(message, field, draw):
    whole = draw.choice((-1, 0, 1, 2, 7, 2**31 - 1, -(2**31), 2**62, -(2**63)))
    odd = {
        field.CPPTYPE_INT64: whole,
        field.CPPTYPE_INT32: max(-(2**31), min(2**31 - 1, whole)),
        field.CPPTYPE_ENUM: draw.choice(field.enum_type.values).number if field.enum_type else 0,
        field.CPPTYPE_STRING: draw.choice(("", "x", "w", "Conv", "If", "ai.onnx", "n" * 10_000, "\x1b[31m")),
        field.CPPTYPE_FLOAT: draw.choice((float("nan"), float("inf"), 1e30, -1.0)),
    }
    if field.type == field.TYPE_BYTES:
        odd[field.CPPTYPE_STRING] = draw.choice((b"", b"SAME_UPPER", b"\xff\xfe", b"n" * 10_000))
    value, name = odd.get(field.cpp_type), field.name
    if draw.random() < 0.2 or (value is None and not field.is_repeated):
        message.ClearField(name)
    elif field.is_repeated and value is None:
        getattr(message, name).append(draw.choice(getattr(message, name)))
    elif field.is_repeated:
        values = getattr(message, name)
        if draw.random() < 0.3:
            values.append(value)
        else:
            values[draw.randrange(len(values))] = value
    else:
        setattr(message, name, value)


def damage_parquet(content, draw):
    """Write a table with columns of other types, without a column, or with odd values."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pq.read_table(io.BytesIO(content))
    for _ in range(draw.randint(1, 3)):
        place, rows = draw.randrange(table.num_columns), table.num_rows
        name = table.column_names[place]
        odd = [draw.choice(CELLS)] * rows
        match draw.choice(("gone", "other", "other", "twice", "short")):
            case "gone" if table.num_columns > 1:
                table = table.remove_column(place)
            case "other":
                table = table.set_column(place, name, pa.array(odd))
            case "twice":
                table = table.append_column(name, table.column(place))
            case "short":
                table = table.slice(0, draw.choice((0, 1)))
    made = io.BytesIO()
    try:
        pq.write_table(table, made)
    except pa.ArrowException:  # such as a struct without fields
        return content[: draw.randrange(len(content))]
    return made.getvalue()


def write_toml(value):
    """Return a JSON value as TOML."""
    if not isinstance(value, dict):
        return f"value = {_inline(value)}\n"
    return "".join(f"{json.dumps(name)} = {_inline(one)}\n" for name, one in value.items())


def _inline(value):
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(name)} = {_inline(one)}" for name, one in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_inline, value)) + "]"
    if isinstance(value, datetime.date):
        return value.isoformat()
    return "inf" if value is None else json.dumps(value)


def drawn(seed, name, number):
    """Return the generator of one input."""
    return random.Random(f"{seed} {name} {number}")

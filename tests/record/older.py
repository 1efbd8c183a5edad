"""Run directories as older releases wrote them."""

import msgspec
import pyarrow.parquet as pq

from harness.record.journal import seal_line
from harness.record.run import FORMAT

ADDED = {  # fields and columns of results, by the first format that has them
    2: ("mode", "blocks", "dropped_blocks", "host_ns", "memory_bytes", "workspace_bytes"),
    3: ("role", "slowdown"),
    5: ("arm",),
    6: (),
    7: ("counts",),
}
SEAL = ("line", "crc32")  # since format 5
ATTACHMENTS = "exhibit"  # before format 4


def make_older(path, format):
    """Rewrite a run directory of the current format as an older format had it."""
    header = msgspec.json.decode((path / "header.json").read_bytes())
    header |= {"format": format}
    if format < 5:
        header["backends"] = header.pop("arm_names")
    if format < 6:
        header["gate"] = header["gate"] and _say("untimed", header["gate"])
        header["bugs"] = [_say("hindrance", bug) | {"bug": _say("domain", bug["bug"])} for bug in header["bugs"]]
    (path / "header.json").write_bytes(msgspec.json.encode(header))
    journal = path / "journal.jsonl"
    entries = [msgspec.json.decode(line) for line in journal.read_bytes().splitlines()]
    bodies = [msgspec.json.encode(older_entry(entry, format)) for entry in entries]
    if format >= 5:
        bodies = [seal_line(body, number) for number, body in enumerate(bodies, 1)]
    journal.write_bytes(b"".join(body + b"\n" for body in bodies))
    table = path / "results.parquet"
    if table.exists():
        columns = pq.read_table(table)
        if format < 5:
            columns = columns.set_column(columns.column_names.index("backend"), "backend", columns["arm"])
        pq.write_table(columns.drop_columns([name for name in _later(format) if name in columns.column_names]), table)


def older_entry(entry, format):
    """Return an entry of a journal as an older format had it, without a seal."""
    entry = {name: value for name, value in entry.items() if name not in SEAL}
    if format < 5 and entry["type"] == "arm":
        fields = {name: value for name, value in _say("reason", entry).items() if name != "arm"}
        return fields | {"type": "backend", "backend": entry["arm"]}
    if format < 5 and entry["type"] == "end":
        return entry | {"ending": _say("reason", entry["ending"])}
    if format < 6 and entry["type"] == "pass":
        samples = entry["samples"]
        return entry | {"samples": samples | {"blocks": [_say("dropped", block) for block in samples["blocks"]]}}
    if entry["type"] != "result":
        return entry
    result = entry["result"]
    if format < 6 and (found := result["deviation"]):
        result = result | {"deviation": _say("idle", found)}
    if format < 5:
        result = _say("reason", result) | {"backend": result["arm"], "route": _say("reason", result["route"])}
    if format < 4 and (found := result["deviation"]):
        result["deviation"] = {ATTACHMENTS if name == "attachments" else name: value for name, value in found.items()}
    return entry | {"result": {name: value for name, value in result.items() if name not in _later(format)}}


def _say(name, fields):
    """Fields in which no text that says why is an empty one, as before format 5 or 6."""
    return fields | {name: fields[name] or ""}


def _later(format):
    return tuple(name for first, names in ADDED.items() if first > format for name in names)


assert max(ADDED) == FORMAT, "the current format is not described here"

"""Self-contained HTML pages: templates, and tables packed as columns."""

from __future__ import annotations

import html
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from harness.analysis import make_inert, show_text
from reports.number_format import format_time

if TYPE_CHECKING:
    import pandas as pd


LONGEST = 4000  # characters of a text, which may be a command that is to be copied
LONGEST_LABEL = 400  # characters of a text in a figure
PICTURE = "data:image/png;base64,"


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """A column of the table of cells.

    name: in the records. title: heading; a column with an empty one is not in the table, but figures read it.
    kind: format of its values. filter: True to offer a filter.
    """

    name: str
    title: str
    kind: Literal["text", "code", "status", "number", "time", "percent"] = "text"
    filter: bool = False


def render(template: str, path: Path, context: dict[str, Any]) -> tuple[Path, ...]:
    """Write one page from a template.

    template: file name. path: of the page.
    context: variables of the template; Plotly is embedded only if its `figures` are not empty.
    """
    import jinja2
    from markupsafe import Markup

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("reports"), autoescape=True, undefined=jinja2.StrictUndefined,
        trim_blocks=True, lstrip_blocks=True, finalize=_make_shown,
    )  # fmt: skip
    environment.filters["time"] = format_time
    environment.policies["json.dumps_kwargs"] = {"separators": (",", ":")}
    if context["figures"]:
        from plotly.offline import get_plotlyjs

        context["plotly"] = Markup(get_plotlyjs())
    path.write_text(environment.get_template(template).render(context), encoding="utf-8")
    return (path,)


def _make_shown(value: object) -> object:
    """Return text that is safe to show: inert, on one line, and shortened unless it is a picture."""
    from markupsafe import Markup

    if not isinstance(value, str) or isinstance(value, Markup):
        return value
    if value.startswith(PICTURE):
        return make_inert(value)
    return show_text(value, LONGEST)


def plot_text(text: str) -> str:
    """Return text for Plotly, which interprets some HTML: inert, shortened and escaped."""
    return html.escape(show_text(text, LONGEST_LABEL))


def pack(table: pd.DataFrame, columns: Sequence[Shown]) -> dict[str, Any]:
    """Pack columns of a table, to keep the page small.

    Each distinct text is stored once; numbers are joined with three significant digits.
    """
    import numpy as np
    import pandas as pd

    made = []
    for column in columns:
        values = table[column.name]
        if column.kind in ("text", "code", "status"):
            codes, texts = pd.factorize(values.fillna(""))
            shown = [show_text(text, LONGEST) for text in texts]
            made.append({**asdict(column), "values": shown, "codes": codes.tolist()})
        else:
            places, numbers = pd.factorize(values.to_numpy(dtype=float, na_value=math.nan))
            words = np.array([*map(_plain, numbers), ""], dtype=object)  # the place of NaN is -1
            made.append({**asdict(column), "numbers": ",".join(words[places].tolist())})
    return {"rows": len(table), "columns": made}


def _plain(value: float) -> str:
    """Number as JavaScript reads it: short, infinity as a word."""
    if math.isinf(value):
        return "Infinity"
    short = f"{value:.3g}"
    return short.replace("e+0", "e").replace("e+", "e").replace("e-0", "e-")

"""The kill matrix as files."""

from harness.analysis.kill_matrix import Kill, KillMatrix
from reports.kills import kill_frame, write_csv, write_html, write_markdown

KILLS = [
    Kill(law="tap-probe", fault="faulty:flipped", problem="conv x=1x1x3 w=1x1x2", outcome="failed", reason="y[0] <b>"),
    Kill(law="reflection", fault="faulty:tail", problem="conv x=1x1x9 w=1x1x2", outcome="failed", reason="y[8]"),
    Kill(law="tap-probe", fault="faulty:tail", problem="conv x=1x1x8 w=1x1x2", outcome="error", reason="y[7]"),
]
MATRIX = KillMatrix(
    faults=("faulty:flipped", "faulty:tail", "faulty:quiet"), laws=("tap-probe", "reflection", "bias-shifts"),
    kills={(kill.law, kill.fault): kill for kill in KILLS}, tried=9,
)  # fmt: skip


def test_the_frame_has_a_row_for_every_law_and_fault():
    frame = kill_frame(MATRIX)
    assert len(frame) == 9
    assert frame["caught"].sum() == 3
    row = frame[(frame["law"] == "tap-probe") & (frame["fault"] == "faulty:tail")].iloc[0]
    assert (row["outcome"], row["problem"]) == ("error", "conv x=1x1x8 w=1x1x2")


def test_every_format_names_survivors_and_only_killers(tmp_path):
    (table,), (text,), (page,) = (write(MATRIX, tmp_path) for write in (write_csv, write_markdown, write_html))
    assert table.read_text().count("\n") == 10
    assert "| tap-probe | 2 | faulty:flipped |" in text.read_text()
    assert "2 of 3 planted faults are caught; faulty:quiet survive" in text.read_text()
    html = page.read_text()
    assert html.count('<td class="kill"') == 2
    assert html.count('<td class="only"') == 1
    assert "Laws that catch no fault: bias-shifts" in html
    assert "<b>" not in html
    assert "http" not in html.replace("http-equiv", "")

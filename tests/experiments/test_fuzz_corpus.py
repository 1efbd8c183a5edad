import pytest

from harness import UsageError
from harness.experiments.fuzz_corpus import Case, append_case, case_file, open_corpus, read_cases

FIRST = Case("tap-probe", "conv x=1x1x5 w=1x1x1 data=integer")
SECOND = Case("agrees-with-reference", "max_pool x=1x1x5 kernel=2 seed=3")


def test_cases_come_back_in_their_order_and_once(tmp_path):
    folder = tmp_path / "new" / "corpus"
    assert read_cases(folder, "mine") == ()
    assert append_case(folder, "mine", FIRST)
    assert append_case(folder, "mine", SECOND)
    assert not append_case(folder, "mine", FIRST)
    assert read_cases(folder, "mine") == (FIRST, SECOND)
    assert read_cases(folder, "other") == ()
    assert case_file(folder, "mine").read_text() == (
        "tap-probe\tconv x=1x1x5 w=1x1x1 data=integer\nagrees-with-reference\tmax_pool x=1x1x5 kernel=2 seed=3\n"
    )


def test_two_files_put_together_are_a_corpus(tmp_path):
    text = f"{FIRST.law}\t{FIRST.line}\n"
    case_file(tmp_path, "mine").write_text(text + text.replace("data=integer", "stride=1 data=integer"))
    assert read_cases(tmp_path, "mine") == (FIRST,)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("tap-probe\tconv x=1x1x5 w=1x1x1\ntap-probe\tconv x=1x1x5 w=1x1", "line 2 is torn"),
        ("tap-probe conv x=1x1x5 w=1x1x1\n", "line 1: got 'tap-probe conv"),
        ("\n", "line 1: got ''"),
        ("\tconv x=1x1x5 w=1x1x1\n", "line 1: got"),
        ("tap probe\tconv x=1x1x5 w=1x1x1\n", "line 1: got"),
        ("tap-probe\tconv x=1x1x5 w=1x1x1\ntap-probe\tconvv x=1x1x5\n", "line 2: problem line, column 1"),
        ("tap-probe\tconv x=1x1x5 w=1x1x9\n", "line 1: impossible geometry"),
        ("tap-prob\tconv x=1x1x5 w=1x1x1\n", "line 1: unknown law 'tap-prob'"),
    ],
)
def test_a_line_that_is_no_case_is_named(tmp_path, text, words):
    case_file(tmp_path, "mine").write_text(text)
    with pytest.raises(UsageError) as caught:
        read_cases(tmp_path, "mine", laws={"tap-probe"})
    assert f"mine.txt, {words}" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_no_text_is_named(tmp_path):
    case_file(tmp_path, "mine").write_bytes(b"\xff\xfe\n")
    with pytest.raises(UsageError, match=r"mine\.txt is not text"):
        read_cases(tmp_path, "mine")


def test_a_corpus_must_be_a_folder(tmp_path):
    path = tmp_path / "file"
    path.write_text("")
    with pytest.raises(UsageError, match="is a file, wanted a folder"):
        open_corpus(path)
    with pytest.raises(UsageError, match="is a file, wanted a folder"):
        open_corpus(path / "below")
    assert open_corpus(tmp_path / "new") == tmp_path / "new"
    assert not (tmp_path / "new").exists()

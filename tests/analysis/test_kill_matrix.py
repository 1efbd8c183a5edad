from harness.analysis.kill_matrix import Kill, KillMatrix


def _matrix(pairs, faults=("a", "b", "c", "d"), laws=("one", "two", "three")):
    kills = {
        (law, fault): Kill(law=law, fault=fault, problem="p", outcome="failed", reason="r") for law, fault in pairs
    }
    return KillMatrix(faults=faults, laws=laws, kills=kills)


def test_survivors_are_faults_that_no_law_catches():
    assert _matrix([("one", "a"), ("two", "b"), ("two", "c")]).survivors == ("d",)


def test_idle_laws_catch_nothing():
    assert _matrix([("one", "a"), ("two", "b")]).idle == ("three",)


def test_the_only_killer_is_named_with_its_faults():
    matrix = _matrix([("one", "a"), ("two", "a"), ("two", "b"), ("three", "c")])
    assert matrix.unique == {"two": ("b",), "three": ("c",)}
    assert matrix.killers("a") == ("one", "two")
    assert matrix.killed("two") == ("a", "b")


def test_the_smallest_set_catches_all_that_can_be_caught():
    matrix = _matrix([("one", "a"), ("one", "b"), ("two", "b"), ("two", "c"), ("three", "a")])
    assert set(matrix.smallest) == {"one", "two"}

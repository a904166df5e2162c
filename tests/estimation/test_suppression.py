from hypothesis import given
from hypothesis import strategies as st

from semtel_dagster.estimation.suppression import Count, hidden_cells
from semtel_dagster.settings import AggregateSettings

OPTIONS = AggregateSettings(min_conversations=15, min_users=5)


def hidden(counts, users=None):
    small = {key: count for key, count in counts.items() if count[0] < 15 or count[1] < 5}
    union = {segment: sum(n for (s, _), (_, n) in small.items() if s == segment) for segment, _ in counts}
    return hidden_cells(counts, union if users is None else users, OPTIONS)


def one_table(**cells):
    return {("all", label): count for label, count in cells.items()}


def test_a_table_of_large_cells_is_published_whole():
    assert hidden(one_table(a=(50, 20), b=(15, 5))) == set()


def test_a_single_small_cell_takes_the_next_smallest_with_it():
    assert hidden(one_table(a=(50, 20), b=(30, 9), c=(14, 9))) == {("all", "b"), ("all", "c")}


def test_a_cell_of_few_users_is_small_however_many_conversations_it_has():
    assert ("all", "c") in hidden(one_table(a=(90, 20), b=(30, 9), c=(60, 4)))


def test_small_cells_that_reach_the_thresholds_together_need_no_other():
    assert hidden(one_table(a=(50, 20), b=(8, 8), c=(9, 8))) == {("all", "b"), ("all", "c")}


def test_the_same_few_users_in_all_small_cells_do_not_reach_the_thresholds():
    cells = one_table(a=(50, 20), b=(40, 12), c=(9, 4), d=(9, 4))
    assert hidden(cells, users={"all": 4}) == {("all", "b"), ("all", "c"), ("all", "d")}


def test_where_nothing_is_left_to_join_the_whole_segment_is_hidden():
    assert hidden(one_table(a=(9, 9), b=(3, 3))) == {("all", "a"), ("all", "b")}


def test_a_cell_cannot_be_had_by_subtracting_the_other_segments():
    cells = {
        ("all", "a"): (103, 50), ("all", "b"): (120, 50),
        ("language=en", "a"): (60, 30), ("language=de", "a"): (40, 20), ("language=fr", "a"): (3, 3),
        ("language=en", "b"): (60, 30), ("language=de", "b"): (30, 20), ("language=fr", "b"): (30, 20),
    }  # fmt: skip
    found = hidden(cells)
    assert {("language=fr", "a"), ("language=fr", "b"), ("language=de", "a"), ("language=de", "b")} <= found
    assert ("all", "a") not in found


count = st.integers(1, 60).flatmap(lambda n: st.tuples(st.just(n), st.integers(1, n)))
tables = st.dictionaries(
    st.tuples(st.sampled_from(["language=de", "language=en", "language=fr"]), st.sampled_from("abcde")),
    count,
    min_size=1,
)


def with_totals(cells):
    """The cells of "all" are the sums over the segments."""
    totals = {}
    for (_, label), (n, users) in cells.items():
        before = totals.get(("all", label), (0, 0))
        totals["all", label] = (before[0] + n, before[1] + users)
    return cells | totals


@given(tables.map(with_totals))
def test_small_cells_are_always_hidden(cells):
    found = hidden(cells)
    assert all(key in found for key, (n, users) in cells.items() if n < 15 or users < 5)


@given(tables.map(with_totals))
def test_no_hidden_cell_stands_alone_in_its_segment(cells):
    found = hidden(cells)
    for segment in {segment for segment, _ in cells}:
        row = [key for key in cells if key[0] == segment]
        pool = [key for key in row if key in found]
        assert len(pool) != 1 or len(row) == 1


@given(tables.map(with_totals))
def test_a_pool_reaches_the_thresholds_or_is_the_whole_segment(cells):
    found = hidden(cells)
    for segment in {segment for segment, _ in cells}:
        row = [key for key in cells if key[0] == segment]
        pool = [Count(*cells[key]) for key in row if key in found]
        if pool and len(pool) < len(row):
            assert sum(cell.n for cell in pool) >= 15
            assert sum(cell.n_users for cell in pool) >= 5


@given(tables.map(with_totals))
def test_across_segments_no_single_cell_can_be_had_by_subtraction(cells):
    found = hidden(cells)
    for label in {label for _, label in cells}:
        line = [key for key in cells if key[1] == label]
        gaps = [key for key in line if key in found]
        assert len(gaps) != 1
        if gaps and ("all", label) not in found:
            assert sum(cells[key][0] for key in gaps) >= 15


@given(tables.map(with_totals))
def test_nothing_is_hidden_where_nothing_is_small(cells):
    large = {key: (n + 14, users + 14) for key, (n, users) in cells.items()}
    assert hidden(large) == set()

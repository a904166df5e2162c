"""Which answers were paid for twice, and whose fault that was."""

from benchmarks.crash import Loss, losses

KILLS = (10.0, 20.0)


def test_an_answer_that_a_kill_lost_has_the_age_it_had_then():
    assert losses([("a", 9.5, 1.0), ("a", 12.0, 11.0)], KILLS) == [Loss(1, "kill", 0.5)]
    assert losses([("a", 17.0, 11.0), ("a", 25.0, 21.0)], KILLS) == [Loss(2, "kill", 3.0)]


def test_an_answer_to_a_dead_run_was_under_way():
    assert losses([("a", 10.2, 1.0), ("a", 12.0, 11.0)], KILLS) == [Loss(1, "under way")]


def test_a_run_that_asks_again_itself_was_not_killed():
    assert losses([("a", 3.0, 1.0), ("a", 5.0, 1.0)], KILLS) == [Loss(1, "timeout")]
    assert losses([("a", 23.0, 21.0), ("a", 25.0, 21.0)], KILLS) == [Loss(3, "timeout")]


def test_an_answer_that_came_once_is_no_loss():
    assert losses([("a", 3.0, 1.0), ("b", 12.0, 11.0)], KILLS) == []

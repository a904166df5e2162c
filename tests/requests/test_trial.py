"""A trial tells an endpoint that refuses at any rate from one whose quota is used up."""

from math import inf

import pytest

from semtel_dagster.requests.trial import Trial, Verdict


def due_trial():
    trial = Trial()
    for _ in range(4):
        trial.event(calls=5, usual=80)
    assert trial.due
    return trial


def begun_trial(pace=0.1):
    trial = due_trial()
    trial.begin(1.0, pace)
    return trial


def send_and_refuse(trial, now):
    trial.send(now)
    return trial.refuse(now, now)


def send_and_accept(trial, now):
    trial.send(now)
    return trial.accept(now)


def test_events_after_a_few_calls_each_make_one_due():
    trial = Trial()
    dues = []
    for _ in range(4):
        trial.event(calls=5, usual=80)
        dues.append(trial.due)
    assert dues == [False, False, False, True]


def test_events_after_as_many_calls_as_usual_do_not():
    trial = Trial()
    for _ in range(50):
        trial.event(calls=80, usual=80)
    assert not trial.due


def test_a_quota_that_is_still_used_up_after_each_pause_is_no_sign_of_chance():
    trial = Trial()
    for _ in range(50):
        trial.event(calls=1, usual=80)
    assert not trial.due


def test_refusals_one_after_the_other_are_a_limit_within_seven_of_them():
    trial = begun_trial()
    assert send_and_refuse(trial, 2.0) is Verdict.OPEN  # it only says from when calls count
    verdicts = [send_and_refuse(trial, 3.0 + each) for each in range(7)]
    assert verdicts == [Verdict.OPEN] * 6 + [Verdict.LIMIT]
    assert not trial.under_way


def test_acceptances_among_refusals_are_chance_and_tell_its_share():
    trial = begun_trial()
    send_and_refuse(trial, 2.0)
    verdicts = [(send_and_refuse if each % 4 == 0 else send_and_accept)(trial, 3.0 + each) for each in range(16)]
    assert verdicts == [Verdict.OPEN] * 15 + [Verdict.CHANCE]
    assert trial.share_refused == 0.25


@pytest.mark.parametrize("pace", [0.1, 0.5, 1.0, 20.0])
def test_acceptances_that_the_limit_would_have_let_through_tell_nothing(pace):
    trial = begun_trial(pace)
    send_and_refuse(trial, 2.0)
    for each in range(15):
        (send_and_refuse if each % 4 == 0 else send_and_accept)(trial, 3.0 + each)
    verdict = send_and_accept(trial, 18.0)
    assert verdict is (Verdict.CHANCE if pace * 16.0 < 0.6 * 12 else Verdict.OPEN)
    assert not trial.under_way


def test_refusals_that_come_back_before_the_answers_are_not_all_there_is():
    trial = begun_trial(200.0)
    send_and_refuse(trial, 2.0)
    for _ in range(16):
        trial.send(2.001)
    assert trial.wait(2.001) == inf
    assert {trial.refuse(2.01, 2.001) for _ in range(7)} == {Verdict.OPEN}
    assert [trial.accept(2.001) for _ in range(9)] == [Verdict.OPEN] * 8 + [Verdict.CHANCE]


@pytest.mark.parametrize(("pace", "wait"), [(1.0, 1.0), (200.0, 0.0)])
def test_half_way_refusals_are_awaited_where_the_limit_does_not_refill_meanwhile(pace, wait):
    trial = begun_trial(pace)
    send_and_refuse(trial, 1.5)
    for _ in range(8):
        assert trial.wait(2.0) == 0.0
        trial.send(2.0)
    assert trial.wait(2.0) == pytest.approx(wait)
    assert trial.wait(3.0) == 0.0
    for _ in range(8):
        trial.send(3.0)
    assert trial.wait(9.0) == inf


def test_what_a_bucket_still_held_does_not_count():
    trial = begun_trial()
    for each in range(40):
        assert send_and_accept(trial, 1.5 + 0.01 * each) is Verdict.OPEN
    send_and_refuse(trial, 2.0)
    verdicts = [send_and_refuse(trial, 3.0 + each) for each in range(7)]
    assert verdicts[-1] is Verdict.LIMIT


def test_calls_that_went_before_the_first_refusal_came_back_do_not_count():
    trial = begun_trial()
    for _ in range(8):
        trial.send(1.0)
    assert [trial.refuse(2.0, 1.5) for _ in range(8)] == [Verdict.OPEN] * 8


def test_a_trial_without_a_refusal_ends_without_a_verdict():
    trial = begun_trial()
    assert {send_and_accept(trial, 1.5) for _ in range(64)} == {Verdict.OPEN}
    assert not trial.under_way
    assert not trial.due


def test_no_more_than_eight_calls_go_before_something_is_known():
    trial = begun_trial()
    sent = 0
    while not trial.wait(1.0):
        trial.send(1.0)
        sent += 1
    assert sent == 8
    assert trial.wait(1.0) == inf
    trial.release(1.5)  # one failed
    assert not trial.wait(1.0)


def test_each_limit_met_makes_the_next_trial_wait_longer():
    trial, events = Trial(), []
    for _ in range(3):
        count = 0
        while not trial.due:
            trial.event(calls=5, usual=80)
            count += 1
        events.append(count)
        trial.begin(1.0, 1.0)
        for _ in range(8):
            send_and_refuse(trial, 2.0)
    assert events[1] >= 2.5 * events[0]
    assert events[2] >= 3 * events[1]


@pytest.mark.parametrize("sent_at", [0.5, 0.99])
def test_calls_from_before_it_do_not_concern_it(sent_at):
    assert not begun_trial().concerns(sent_at)
    assert begun_trial().concerns(1.0)

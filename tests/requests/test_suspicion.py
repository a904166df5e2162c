"""Refusals by chance are told from those of a limit."""

from random import Random

import pytest

from semtel_dagster.requests.suspicion import Suspicion


def calls(suspicion, count, refused, *, below=True, **how):
    """Sends calls of which `refused` says whether they are refused; the numbers of those that were signs."""
    signs = []
    for number in range(count):
        suspicion.send(below=below)
        if refused(number) and suspicion.refuse(**{"known": True, "below": below, "exhausted": False, **how}):
            signs.append(number)
    return signs


def test_a_single_refusal_well_below_the_limit_is_a_stray():
    assert calls(Suspicion(), 200, lambda number: number == 150) == []


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("below", [False, True])
def test_false_alarms_are_rare_in_time_however_many_calls_go(seed, below):
    suspicion, random = Suspicion(), Random(seed)
    calls(suspicion, 2000, lambda number: random.random() < 0.015)
    minute = 60 * 2000
    signs = calls(suspicion, minute, lambda number: random.random() < 0.015, below=below, per_second=2000)
    assert len(signs) <= 2
    assert calls(suspicion, 100, lambda number: random.random() < 0.4, below=below, per_second=2000)[0] < 40


def test_a_single_refusal_where_the_limit_is_expected_is_a_sign():
    suspicion = Suspicion()
    calls(suspicion, 500, lambda number: False)
    assert calls(suspicion, 1, lambda number: True, below=False) == [0]


def test_a_single_refusal_among_the_very_first_calls_is_a_sign():
    assert calls(Suspicion(), 1, lambda number: True, known=False) == [0]


def test_two_refusals_close_together_are_a_sign():
    assert calls(Suspicion(), 200, lambda number: number in {150, 153}) == [153]


def test_two_refusals_far_apart_are_strays():
    assert calls(Suspicion(), 400, lambda number: number in {150, 250}) == []


def test_an_endpoint_that_shows_nothing_remaining_is_believed():
    suspicion = Suspicion()
    suspicion.send(below=True)
    assert suspicion.refuse(known=True, below=True, exhausted=True)


@pytest.mark.parametrize("share", [0.01, 0.02, 0.03])
@pytest.mark.parametrize("seed", range(4))
def test_frequent_chance_is_learned_and_rarely_mistaken(share, seed):
    suspicion, random = Suspicion(), Random(seed)
    calls(suspicion, 2000, lambda number: random.random() < share)
    assert share / 2 < suspicion.chance < 2 * share
    assert len(calls(suspicion, 5000, lambda number: random.random() < share)) <= 15
    assert suspicion.often or share < 0.02


@pytest.mark.parametrize("seed", range(4))
def test_a_limit_is_found_even_where_chance_refuses(seed):
    suspicion, random = Suspicion(), Random(seed)
    calls(suspicion, 2000, lambda number: random.random() < 0.03)
    signs = calls(suspicion, 100, lambda number: random.random() < 0.4)
    assert signs[0] < 40


def test_refusals_that_turned_out_to_be_signs_do_not_count_as_chance():
    suspicion = Suspicion()
    calls(suspicion, 100, lambda number: False)
    before = suspicion.chance
    assert calls(suspicion, 2, lambda number: True) == [1]
    assert suspicion.chance <= before


def test_of_several_processes_each_answers_to_a_single_refusal_though_it_met_strays():
    suspicion = Suspicion()
    calls(suspicion, 400, lambda number: number % 130 == 50)
    assert calls(suspicion, 1, lambda number: True, below=False, shared=True) == [0]


@pytest.mark.parametrize("share", [0.1, 0.2])
@pytest.mark.parametrize("seed", range(4))
def test_chance_that_a_trial_proved_is_rarely_mistaken_and_a_limit_still_found(share, seed):
    suspicion, random = Suspicion(), Random(seed)
    suspicion.prove(share)
    assert len(calls(suspicion, 5000, lambda number: random.random() < share)) <= 5
    signs = calls(suspicion, 400, lambda number: random.random() < share + 0.5)
    assert signs[0] < 100

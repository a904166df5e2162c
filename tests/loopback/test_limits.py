import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from semtel_dagster.loopback.limits import Gate, duration
from semtel_dagster.loopback.script import Limits

enforcements = st.sampled_from(["bucket", "fixed_window"])


def gate(**limits):
    return Gate(Limits(**limits), now=0.0)


def admitted(gate, times, tokens=0.0):
    return [at for at in times if gate.admit(at, tokens, 0) is None]


def lines(raw):
    return dict(line.split(": ") for line in raw.decode().split("\r\n") if line)


def test_without_limits_everyone_is_admitted_and_no_header_is_sent():
    open_gate = gate()
    assert len(admitted(open_gate, [0.0] * 1000, tokens=1e9)) == 1000
    assert open_gate.headers() == b""


@given(
    enforcement=enforcements,
    per_minute=st.sampled_from([60, 600, 6000]),
    window_s=st.sampled_from([1, 10, 60]),
    gaps=st.lists(st.floats(0, 0.5), min_size=1, max_size=300),
)
def test_never_more_is_granted_than_a_window_and_the_rate_allow(enforcement, per_minute, window_s, gaps):
    times = [sum(gaps[:at]) for at in range(len(gaps))]
    granted = admitted(gate(requests_per_minute=per_minute, window_s=window_s, enforcement=enforcement), times)
    window = per_minute * window_s / 60
    for first, start in enumerate(granted):
        for count, end in enumerate(granted[first:], start=1):
            windows = 2 * window if enforcement == "fixed_window" else window
            assert count <= windows + (end - start) * per_minute / 60 + 1 + 1e-6


@given(enforcement=enforcements, window_s=st.sampled_from([1, 10]), tokens=st.floats(0, 3000))
def test_who_waits_as_long_as_told_is_admitted(enforcement, window_s, tokens):
    limited = gate(requests_per_minute=60, tokens_per_minute=6000, window_s=window_s, enforcement=enforcement)
    now = 0.0
    for _ in range(20):
        refusal = limited.admit(now, tokens, 0)
        if refusal is not None:
            now += refusal.wait_s + 1e-6
            assert limited.admit(now, tokens, 0) is None


def test_a_minute_of_quota_enforced_by_the_second():
    by_second = gate(requests_per_minute=600, window_s=1)
    assert len(admitted(by_second, [0.0] * 50)) == 10
    assert len(admitted(by_second, [0.1] * 50)) == 1


def test_a_steady_client_gets_the_whole_rate():
    steady = gate(requests_per_minute=600, window_s=1)
    assert len(admitted(steady, [at / 10 for at in range(600)])) == 600


def test_tokens_refuse_where_requests_would_not():
    limited = gate(requests_per_minute=6000, tokens_per_minute=60_000, window_s=1)
    assert limited.admit(0.0, 900, 0) is None
    refusal = limited.admit(0.0, 200, 0)
    assert refusal is not None
    assert (refusal.by, refusal.wait_s) == ("tokens", pytest.approx(0.1))


def test_a_call_larger_than_the_bucket_waits_for_a_full_one():
    limited = gate(tokens_per_minute=600, window_s=1)
    assert limited.admit(0.0, 50, 0) is None
    refusal = limited.admit(0.0, 50, 0)
    assert refusal is not None
    assert limited.admit(refusal.wait_s, 50, 0) is None


def test_usage_gives_back_what_was_judged_too_much():
    judged_by_usage = gate(tokens_per_minute=6000, window_s=1, tokens_judged="usage")
    judged_at_arrival = gate(tokens_per_minute=6000, window_s=1)
    for limited in (judged_by_usage, judged_at_arrival):
        assert limited.admit(0.0, 100, 0) is None
        limited.settle(judged=100, used=40)
    assert judged_by_usage.admit(0.0, 60, 0) is None
    assert judged_at_arrival.admit(0.0, 60, 0) is not None


def test_refusals_use_up_quota_only_where_the_script_says_so():
    hammering = [at / 100 for at in range(100)]
    assert len(admitted(gate(requests_per_minute=600, burst_requests=1), hammering)) == 10
    assert len(admitted(gate(requests_per_minute=600, burst_requests=1, refusals_count=True), hammering)) == 1


def test_calls_in_service_are_limited_too():
    refusal = gate(max_in_flight=3).admit(0.0, 0, in_flight=3)
    assert refusal is not None
    assert refusal.by == "in_flight"
    assert gate(max_in_flight=3).admit(0.0, 0, in_flight=2) is None


@pytest.mark.parametrize("enforcement", ["bucket", "fixed_window"])
def test_capacity_changes_rate_and_burst_and_comes_back(enforcement):
    limited = gate(requests_per_minute=600, window_s=1, enforcement=enforcement)
    steps = [(0.0, 1.0), (10.0, 0.5), (20.0, 1.0), (21.0, 1.0)]
    granted = [[limited.admit(at, 0, 0, capacity) for _ in range(20)].count(None) for at, capacity in steps]
    assert granted[:2] == [10, 5]
    assert granted[3] == 10


def test_honest_headers_tell_what_is_left_of_the_minute():
    limited = gate(requests_per_minute=60, tokens_per_minute=6000)
    limited.admit(0.0, 600, 0)
    assert lines(limited.headers()) == {
        "x-ratelimit-limit-requests": "60",
        "x-ratelimit-remaining-requests": "59",
        "x-ratelimit-reset-requests": "1s",
        "x-ratelimit-limit-tokens": "6000",
        "x-ratelimit-remaining-tokens": "5400",
        "x-ratelimit-reset-tokens": "6s",
    }


def test_ten_second_headers_describe_a_sixth_of_the_minute():
    limited = gate(requests_per_minute=600, window_s=10, headers="ten_second")
    limited.admit(0.0, 0, 0)
    told = lines(limited.headers())
    assert told["x-ratelimit-limit-requests"] == "100"
    assert told["x-ratelimit-remaining-requests"] == "99"


def test_lying_headers_claim_that_all_of_ten_times_the_limit_is_left():
    limited = gate(requests_per_minute=60, window_s=1, headers="lying")
    assert len(admitted(limited, [0.0] * 5)) == 1
    told = lines(limited.headers())
    assert told["x-ratelimit-limit-requests"] == told["x-ratelimit-remaining-requests"] == "600"
    assert told["x-ratelimit-reset-requests"] == "0ms"


@pytest.mark.parametrize(
    ("style", "told"),
    [
        ("seconds", {"retry-after": "3"}),
        ("ms", {"retry-after-ms": "2250"}),
        ("both", {"retry-after": "3", "retry-after-ms": "2250"}),
        ("neither", {}),
    ],
)
def test_a_refusal_says_when_to_try_again(style, told):
    assert lines(gate(requests_per_minute=1, retry_after=style).retry_headers(2.25)) == told


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.02, "20ms"), (1, "1s"), (1.5, "1.5s"), (59.9, "59.9s"), (60, "1m0s"), (360.2, "6m1s")]
)
def test_durations_are_written_as_openai_writes_them(seconds, text):
    assert duration(seconds) == text


@given(st.floats(0, 100_000))
def test_no_duration_promises_less_than_a_millisecond_short_of_the_truth(seconds):
    text = duration(seconds)
    if text.endswith("ms"):
        told = int(text[:-2]) / 1000
    else:
        minutes, _, rest = text[:-1].rpartition("m")
        told = 60 * int(minutes or 0) + float(rest)
    assert told >= seconds - 0.001
    assert math.isfinite(told)

"""The loop without a network: every row to an end, nothing left behind."""

import asyncio
from time import monotonic

import pytest

from semtel_dagster.requests import retry
from semtel_dagster.requests.outcome import Kind, Outcome
from tests.requests.builders import hash_of
from tests.requests.engines import ANSWER, BROKEN, Calls, a_row, an_endpoint, engine, rows, work

pytestmark = pytest.mark.timeout(60)


def ends(records):
    return {record[0]: record[15] or "answered" for record in records}


def test_rows_with_the_same_text_share_one_call():
    caller = Calls()
    assert len(work([a_row("same"), a_row("same"), a_row("other")], an_endpoint(caller))) == 3
    assert sorted(caller.asked) == ["other", "same"]


def test_rows_that_always_fail_leave_the_endpoint_to_the_others():
    async def answer(text):
        return BROKEN if int(text) % 5 == 0 else ANSWER

    records = work(rows(200), an_endpoint(Calls(answer)), requests={"max_attempts": 3})
    assert ends(records) == {
        hash_of(str(number)): "answered" if number % 5 else "server_error (HTTP 500)" for number in range(200)
    }


def test_a_run_of_nothing_but_rows_that_always_fail_does_not_wait_until_the_endpoint_is_given_up(monkeypatch):
    monkeypatch.setattr(retry, "OUTAGE_S", 0.5)
    records = work(rows(9), an_endpoint(Calls(BROKEN)), requests={"max_attempts": 2}, give_up_s=1e6)
    assert list(ends(records).values()) == ["server_error (HTTP 500)"] * 9


def test_rows_wait_for_an_endpoint_that_is_away_for_a_while():
    returns = []

    async def answer(text):
        returns.append(text)
        return BROKEN if len(returns) < 20 else ANSWER

    records = work(rows(30), an_endpoint(Calls(answer)), requests={"max_attempts": 2})
    assert set(ends(records).values()) == {"answered"}


def test_a_fault_of_the_engine_itself_ends_the_run():
    async def answer(text):
        raise ZeroDivisionError("a bug")

    with pytest.raises(ZeroDivisionError, match="a bug"):
        work(rows(3), an_endpoint(Calls(answer)))


def test_a_text_that_is_no_unicode_ends_alone():
    async def answer(text):
        if text == "1":
            raise UnicodeEncodeError("utf-8", "x", 0, 1, "surrogates not allowed")
        return ANSWER

    records = work(rows(3), an_endpoint(Calls(answer)))
    assert ends(records)[hash_of("1")] == "text_not_unicode"
    assert list(ends(records).values()).count("answered") == 2


def test_without_hope_every_row_ends_with_the_reason():
    caller = Calls(Outcome(Kind.UNUSABLE, "unauthorized", 401))
    records = work(rows(50), an_endpoint(caller))
    assert set(ends(records).values()) == {"unauthorized (HTTP 401)"}
    assert len(caller.asked) < 50


def test_a_second_call_that_is_given_up_before_it_began_leaves_nothing_behind():
    """The first call's answer and the second call fall into one turn of the loop."""

    async def main():
        late = asyncio.get_running_loop().create_future()

        async def answer(text):
            return await late if text == "late" else ANSWER

        endpoint, records = an_endpoint(Calls(answer)), []
        running = engine(records, endpoint)
        running.feed([*rows(100), a_row("late")])
        running.close_input()
        turning = asyncio.ensure_future(running.run())
        while running.figures().done < 100:
            await asyncio.sleep(0.01)
        late.set_result(ANSWER)
        running._hedge(monotonic() + 100)
        await turning
        return running.figures(), endpoint, records

    figures, endpoint, records = asyncio.run(main())
    assert (figures.hedged, figures.done, figures.in_flight, endpoint.concurrency.in_flight) == (1, 101, 0, 0)
    assert len(ends(records)) == len(records) == 101


def test_an_embedded_endpoint_is_never_asked_twice():
    async def answer(text):
        await asyncio.sleep(0.3 if text == "150" else 0)
        return ANSWER

    caller = Calls(answer)
    work(rows(151), an_endpoint(caller, kind="embedded"))
    assert len(caller.asked) == 151

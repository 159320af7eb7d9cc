"""One sign-up is one profile whatever key somebody gives it the second time, also when it was a suspect."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from relay.delivery import DEAD, DELIVERED, HELD, INVALID, QUEUED, Delivery
from relay.outbox import moves, statements, storing
from relay.outbox.errors import Crossed, Unavailable
from relay.outbox.moves import Mended, Moved, Near, Same
from relay.outbox.outbox import Outbox
from tests.outbox.outboxes import (
    OCAMBA,
    Store,
    bring_to,
    claim,
    count,
    entry,
    erase,
    fail_check,
    named,
    pass_check,
    put,
    record,
    replay,
    requeue,
    row,
    seen,
    state,
)

TWIN = {"window": None, "twin_window": 600.0}
"""What a form gives one that carries a key of its own."""
signed_up = partial(put, **TWIN)
brought = partial(bring_to, **TWIN)
between = pytest.mark.parametrize(
    "store", [pytest.param("postgresql", marks=pytest.mark.postgres)], indirect=True
)
"""Where another process may come between two statements; SQLite has one writer."""


def test_two_keys_with_the_same_content_are_one_when_nobody_checks(outbox: Outbox) -> None:
    first = signed_up(outbox, key="one")
    again = signed_up(outbox, key="two")
    assert (again.repeat, again.delivery.receipt) == (True, first.delivery.receipt)


def test_what_was_checked_is_the_earlier_one_whatever_key_comes_later(outbox: Outbox) -> None:
    first = signed_up(outbox, key="one", token="t1").delivery.receipt
    assert pass_check(outbox, first, 600.0)

    for more in ({}, {"token": "t2"}, {"state": HELD}):
        later = signed_up(outbox, key=f"later {len(more)}", **more)
        assert (later.repeat, later.delivery.receipt) == (True, first), more


def test_of_two_that_are_checked_at_once_the_second_to_pass_is_the_repeat(outbox: Outbox) -> None:
    first = signed_up(outbox, key="one", token="t1").delivery.receipt
    second = signed_up(outbox, key="two", token="t2").delivery.receipt
    assert first != second

    assert pass_check(outbox, first, 600.0)
    assert pass_check(outbox, second, 600.0)

    assert count(outbox) == 1
    assert named(outbox, second) is not None, "its sender was told of it"
    record(outbox, claim(outbox))


def test_two_processes_let_one_of_two_pass(store: Store, outbox: Outbox) -> None:
    receipts = [signed_up(outbox, key=key, token=key).delivery.receipt for key in ("one", "two")]
    views = [outbox, outbox if store.is_sqlite else store.open()]

    with ThreadPoolExecutor(2) as crowd:
        assert all(crowd.map(lambda n: pass_check(views[n], receipts[n], 600.0), range(2)))

    assert count(outbox) == 1


@between
def test_a_repeat_whose_earlier_one_is_erased_at_that_moment_is_stored(
    store: Store, outbox: Outbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = signed_up(outbox, key="one").delivery.receipt
    other, shown, erased = store.open(), storing._shown, []

    def once_it_is_erased(*told: Any) -> Any:
        erased.extend(erase(other, [first]))
        return shown(*told)

    monkeypatch.setattr(storing, "_shown", once_it_is_erased)
    again = signed_up(outbox, key="two", silent=True)
    assert (len(erased), again.repeat, count(outbox)) == (1, False, 1)
    assert state(outbox, again.delivery.receipt) == QUEUED


@between
def test_who_is_crossed_again_and_again_is_told_so(outbox: Outbox, monkeypatch: pytest.MonkeyPatch) -> None:
    tries = []

    def crossed(*told: Any) -> Any:
        tries.append(told)
        raise Crossed("a repeat changed while it was looked at")

    monkeypatch.setattr(storing, "store", crossed)
    with pytest.raises(Unavailable, match="a repeat changed"):
        signed_up(outbox)
    assert len(tries) == 3


def test_a_check_that_failed_is_in_nobodys_way_until_it_is_replayed(outbox: Outbox) -> None:
    bot = signed_up(outbox, key="one", token="t1").delivery.receipt
    assert fail_check(outbox, bot, "captcha")
    person = signed_up(outbox, key="two").delivery
    assert person.receipt != bot

    assert requeue(outbox, bot, seen(outbox, bot), window=600.0) == Same(person.receipt, QUEUED)


@pytest.mark.parametrize("was", [HELD, DEAD])
def test_a_replay_makes_no_second_profile_of_one_with_another_key(outbox: Outbox, was: str) -> None:
    first = brought(outbox, was, key="one")
    again = brought(outbox, DELIVERED, key="two")

    assert requeue(outbox, first, seen(outbox, first), window=600.0) == Same(again, DELIVERED)
    assert state(outbox, first) == was


@pytest.mark.parametrize("was", [HELD, DEAD])
def test_a_replayed_one_is_what_later_ones_repeat_whatever_their_key(outbox: Outbox, was: str) -> None:
    first = brought(outbox, was, key="one")
    replay(outbox, first)

    assert signed_up(outbox, key="two").delivery.receipt == first
    record(outbox, claim(outbox))
    assert signed_up(outbox, key="three").delivery.state == DELIVERED


def test_of_two_suspects_with_two_keys_one_is_replayed(outbox: Outbox) -> None:
    first, second = signed_up(outbox, key="one", state=HELD), signed_up(outbox, key="two", state=HELD)
    assert (second.repeat, second.delivery.receipt) == (True, first.delivery.receipt)
    bots = [signed_up(outbox, "eve", key=key, token=key).delivery.receipt for key in ("one", "two")]
    for bot in bots:
        assert fail_check(outbox, bot, "captcha")

    replay(outbox, bots[0])

    assert requeue(outbox, bots[1], seen(outbox, bots[1]), window=600.0) == Same(bots[0], QUEUED)


def test_a_twin_of_long_ago_is_another_sign_up(store: Store, outbox: Outbox) -> None:
    brought(outbox, DELIVERED, key="one")
    store.pass_time(1000)
    suspect = signed_up(outbox, key="two", state=HELD).delivery.receipt

    replay(outbox, suspect)

    assert signed_up(outbox, key="three").delivery.receipt == suspect


def test_the_same_bytes_are_the_same_for_ever_where_no_time_is_signed(store: Store, outbox: Outbox) -> None:
    suspect = put(outbox, key="one", state=HELD, twin_window=1e9).delivery.receipt
    store.pass_time(1e6)
    again = bring_to(outbox, DELIVERED, key="two", twin_window=1e9)

    found = outbox.write(
        lambda conn: moves.requeue(
            conn, suspect, seen(outbox, suspect), Near(600.0, None), None, None, outbox.now(conn)
        )
    )

    assert found == Same(again, DELIVERED)


def test_a_corrected_one_is_recognised_by_what_it_says_now(outbox: Outbox) -> None:
    wrong = bring_to(outbox, INVALID, "typo")
    right = brought(outbox, DELIVERED, "ada", key="two")
    made = entry(outbox, "ada", **TWIN)
    mended = Mended(b"sealed", None, made.repeat_key, None, None, None, None, made.twin_key)

    found = requeue(outbox, wrong, seen(outbox, wrong), window=600.0, mended=mended)

    assert found == Same(right, DELIVERED)
    other = entry(outbox, "eve", **TWIN)
    mended = replace(mended, plain_key=other.repeat_key, twin_key=other.twin_key)
    assert requeue(outbox, wrong, seen(outbox, wrong), window=600.0, mended=mended) == Moved()
    assert signed_up(outbox, "eve", key="three").delivery.receipt == wrong


def test_an_unmappable_one_that_passes_now_is_checked_and_then_the_earlier_one(outbox: Outbox) -> None:
    kept = put(outbox, state=INVALID, raw="mail=ada").delivery.receipt
    assert signed_up(outbox, raw="mail=ada", token="t1").delivery.receipt == kept
    assert row(outbox, kept)["plain_twin"] is not None

    assert pass_check(outbox, kept, 600.0)

    assert signed_up(outbox, key="two").delivery.receipt == kept
    assert claim(outbox, OCAMBA).delivery.receipt == kept


@between
def test_what_is_replayed_while_its_repeat_is_looked_at_is_what_that_repeats(
    store: Store, outbox: Outbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    given_up = brought(outbox, DEAD, key="one")
    other = store.open()

    def is_superseded(earlier: Delivery, window: float | None, now: float) -> bool:
        found = statements.is_superseded(earlier, window, now)
        if state(other, given_up) == DEAD:
            replay(other, given_up)
        return found

    monkeypatch.setattr(storing, "is_superseded", is_superseded)

    again = signed_up(outbox, key="two")

    assert (again.repeat, again.delivery.receipt) == (True, given_up)
    assert count(outbox) == 1


@between
@pytest.mark.parametrize("key", ["one", "two"])
def test_who_signs_up_while_a_suspect_is_replayed_is_not_sent_twice(
    store: Store, outbox: Outbox, monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    suspect = signed_up(outbox, key="one", state=HELD).delivery.receipt
    other, came = store.open(), list[str]()

    def sent_already(*args: Any) -> Any:
        found = real(*args)
        if not came:
            came.append(signed_up(other, key=key).delivery.receipt)
        return found

    real = moves._sent_already
    monkeypatch.setattr(moves, "_sent_already", sent_already)

    assert requeue(outbox, suspect, seen(outbox, suspect), window=600.0) == Same(came[0], QUEUED)

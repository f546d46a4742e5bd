"""Keys, order in time and long values: the rules under every row."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from shared.domain.connections import Destination
from shared.domain.guests import Guest
from shared.storage.rows import FORMAT, columns, encode, escape, newest_first, oldest_first, parse, text_of, unescape
from shared.storage.tables import path_key
from tests.storage.worlds import NASTY, NOON

TEXT = st.text(st.characters(codec=None), max_size=40)
ZONES = st.integers(-14, 14).map(lambda hours: timezone(timedelta(hours=hours)))
TIMES = st.datetimes(timezones=ZONES)
FORBIDDEN = set("/\\#?%") | {chr(code) for code in (*range(0x20), *range(0x7F, 0xA0))}


@given(TEXT)
@example(NASTY)
@example("=25~%7E\ud800")
def test_any_text_becomes_a_key_and_comes_back(text: str) -> None:
    key = escape(text)
    assert unescape(key) == text
    assert key.isascii()
    assert not set(key) & (FORBIDDEN | {"~", "'"})


@given(TEXT, TEXT)
def test_equal_beginnings_stay_equal(text: str, more: str) -> None:
    assert encode(text + more).startswith(encode(text))


def test_a_key_that_is_too_long_is_refused() -> None:
    assert escape("x" * 512) == "x" * 512
    with pytest.raises(ValueError, match="512"):
        escape("x" * 513)


@given(TIMES, TIMES)
@example(datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=14))), datetime(1, 1, 1, tzinfo=UTC))
@example(*(datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=hours))) for hours in (14, 13)))
@example(datetime.max.replace(tzinfo=timezone(timedelta(hours=-14))), datetime.max.replace(tzinfo=UTC))
@example(NOON, NOON + timedelta(microseconds=1))
def test_row_keys_stand_in_the_order_of_time(one: datetime, other: datetime) -> None:
    assert (oldest_first(one) < oldest_first(other)) == (one < other)
    assert (newest_first(one) < newest_first(other)) == (one > other)
    assert len(oldest_first(one)) == len(newest_first(other)) == 18


@given(st.text(max_size=5), st.integers(0, 70_000), st.sampled_from(["a", "漢", "😀"]))
@example("x", 32_768, "😀")
@example("", 0, "a")
def test_a_long_value_is_spread_over_columns_that_hold_it(start: str, length: int, character: str) -> None:
    text = start + character * length
    row = columns(text)
    assert row.pop("format") == FORMAT
    assert all(len(value.encode("utf-16-le")) <= 65_536 for value in row.values())
    assert text_of({"PartitionKey": "p", **row}) == text


def test_a_row_of_before_is_read_and_one_of_a_newer_app_is_not_guessed_at() -> None:
    assert text_of({"value": "written before rows had a format"}) == "written before rows had a format"
    with pytest.raises(ValueError, match="format 2 is not known here, only up to 1: upgrade"):
        text_of({"format": FORMAT + 1, "value": "x"})


def test_a_value_that_no_entity_holds_is_refused() -> None:
    assert text_of(columns("x" * 500_000)) == "x" * 500_000
    with pytest.raises(ValueError, match="1000000 bytes"):
        columns("x" * 500_001)
    with pytest.raises(ValueError, match="1000000 bytes"):
        columns("😀" * 250_001)


def test_a_row_that_cannot_be_read_is_named_without_its_content() -> None:
    text = '{"key": "k", "invitation": {"redeem_url": "https://secret.example/ticket", "odd": "anna@example.org"}}'
    with pytest.raises(ValueError, match=r"not a Guest: invitation\.started_at: missing") as caught:
        parse(Guest, text)
    assert "secret" not in str(caught.value)
    assert "anna" not in str(caught.value)
    assert caught.value.__suppress_context__


SEGMENTS = st.lists(st.sampled_from(["a", "A", "ab", "straße", "STRASSE", "İ", "漢" * 90, "~", "x y"]), max_size=4)


@given(SEGMENTS, SEGMENTS)
def test_whatever_lies_beneath_a_place_has_its_path_key_in_front(place: list[str], below: list[str]) -> None:
    above = Destination(drive="d", path="/" + "//".join(place))
    inner = Destination(drive="d", path="/".join([s.swapcase().casefold() for s in place] + below))
    if above.covers(inner):
        assert path_key(above) <= path_key(inner) < path_key(above) + "~"


def test_a_path_key_ends_at_a_segment() -> None:
    assert not path_key(Destination(drive="d", path="/ab")).startswith(path_key(Destination(drive="d", path="/a")))

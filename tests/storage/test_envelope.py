"""The envelope of queue messages."""

import json
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from shared.domain.events import Change, Item, Principal, PrincipalKind, ShareEvent, Sharer
from shared.domain.messages import DeliveryMessage, GrantMessage, InvitationMessage, Message
from shared.domain.platforms import ItemKind
from shared.storage.envelope import MESSAGE_LIMIT, decode, encode
from tests.storage.worlds import NASTY, NOON, event

TEXT = st.text(max_size=60) | st.just(NASTY)
NAME = st.text(min_size=1, max_size=60)
TIMES = st.datetimes(
    min_value=datetime(1, 1, 3),
    max_value=datetime(9999, 12, 29),
    timezones=st.integers(-14, 14).map(lambda hours: timezone(timedelta(hours=hours))),
)
PRINCIPALS = st.builds(
    Principal,
    kind=st.sampled_from(PrincipalKind),
    address=st.none() | TEXT,
    source_id=st.none() | TEXT,
    name=st.none() | TEXT,
    suspended=st.booleans(),
    group=st.none() | TEXT,
)
EVENTS = st.builds(
    ShareEvent,
    id=NAME,
    connection=NAME,
    change=st.sampled_from(Change),
    at=TIMES,
    principal=PRINCIPALS,
    role=st.none() | TEXT,
    item=st.builds(Item, id=NAME, kind=st.sampled_from(ItemKind), path=st.none() | TEXT.map(lambda text: f"/{text}")),
    reference=st.none() | TEXT,
    sharer=st.builds(Sharer, address=st.none() | TEXT, may_invite=st.none() | st.booleans()),
    shared_at=st.none() | TIMES,
    expires_at=st.none() | TIMES,
    pending=st.booleans(),
    cross_organisation=st.booleans(),
)
MESSAGES: st.SearchStrategy[Message] = st.one_of(
    EVENTS,
    st.builds(DeliveryMessage, connection=TEXT, id=TEXT, received_at=TIMES, body=st.none() | TEXT, blob=st.none()),
    st.builds(InvitationMessage, guest=TEXT),
    st.builds(GrantMessage, guest=TEXT, shares=st.lists(TEXT, max_size=20).map(tuple)),
)
TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


def changed(**changes: object) -> str:
    """Return an envelope that is right but for these attributes; None takes one out."""
    document = json.loads(encode(InvitationMessage(guest="g"), 1)) | changes
    return json.dumps({name: value for name, value in document.items() if value is not None})


@given(MESSAGES, st.integers(0, 10_000), st.none() | st.just(TRACE))
@example(event("r", path=f"/{NASTY}"), 0, None)
def test_a_message_comes_back_as_it_was(message: Message, attempt: int, trace: str | None) -> None:
    text = encode(message, attempt, trace)
    assert decode(text) == (message, attempt, trace)
    assert text.isascii()


def test_the_envelope_is_a_cloud_event() -> None:
    document = json.loads(encode(event("r"), 3, TRACE))
    data = document.pop("data")
    assert ShareEvent.model_validate(data) == event("r")
    assert datetime.fromisoformat(document.pop("time")).utcoffset() == timedelta(0)
    assert document.pop("id")
    assert document == {
        "specversion": "1.0",
        "source": "guestpass",
        "type": "guestpass.share-event.v1",
        "datacontenttype": "application/json",
        "attempt": 3,
        "traceparent": TRACE,
    }
    assert "traceparent" not in json.loads(encode(event("r")))


@pytest.mark.parametrize(
    ("message", "name"),
    [
        (event("r"), "share-event"),
        (DeliveryMessage(connection="c", id="d", received_at=NOON, body="{}"), "delivery"),
        (InvitationMessage(guest="g"), "invitation"),
        (GrantMessage(guest="g"), "grant"),
    ],
)
def test_every_message_has_its_type(message: Message, name: str) -> None:
    assert json.loads(encode(message))["type"] == f"guestpass.{name}.v1"


def test_two_messages_have_two_ids() -> None:
    same = InvitationMessage(guest="g")
    assert json.loads(encode(same))["id"] != json.loads(encode(same))["id"]


def test_what_no_queue_holds_is_refused() -> None:
    def delivery(length: int) -> DeliveryMessage:
        return DeliveryMessage(connection="c", id="d", received_at=NOON, body="x" * length)

    fits = MESSAGE_LIMIT - len(encode(delivery(0)))
    assert len(encode(delivery(fits - 20))) <= MESSAGE_LIMIT
    with pytest.raises(ValueError, match="49152"):
        encode(delivery(fits + 20))


def test_what_is_no_unicode_is_refused() -> None:
    with pytest.raises(ValueError, match="surrogate"):
        encode(InvitationMessage(guest="\ud800"))


def test_the_largest_share_event_that_is_not_odd_fits() -> None:
    long = {"address": "a" * 500, "source_id": "b" * 500, "name": "c" * 500, "group": "d" * 500}
    largest = event("r" * 490, path="/" + "漢" * 3_999).model_copy(update={"principal": Principal(**long)})
    assert decode(encode(largest)) == (largest, 0, None)


@pytest.mark.parametrize(
    "text",
    ["", "nonsense", "null", "[]", "7", '"text"', "{}", "{", "[" * 100_000, '{"specversion": "0.3"}', "\ud800"],
)
def test_what_is_no_cloud_event_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"not a CloudEvents 1\.0 JSON document"):
        decode(text)


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"specversion": "0.3"}, "not a CloudEvents"),
        ({"id": ""}, "not a CloudEvents"),
        ({"time": 7}, "not a CloudEvents"),
        ({"time": "yesterday"}, "not a CloudEvents"),
        ({"Attempt": 1}, "not a CloudEvents"),
        ({"type": "com.example.order.v1"}, "type that Guestpass does not know"),
        ({"type": "guestpass.order.v1"}, "type that Guestpass does not know"),
        ({"type": "guestpass.invitation.v1x"}, "type that Guestpass does not know"),
        ({"type": ["guestpass.invitation.v1"]}, "type that Guestpass does not know|not a CloudEvents"),
        ({"type": "guestpass.invitation.v2"}, r"guestpass\.invitation\.v2: version 2 is not known here"),
        ({"attempt": None}, "'attempt'"),
        ({"attempt": -1}, "'attempt'"),
        ({"attempt": "1"}, "'attempt'"),
        ({"attempt": True}, "'attempt'"),
        ({"data": None}, r"guestpass\.invitation\.v1: "),
        ({"data": []}, r"guestpass\.invitation\.v1: "),
        ({"data": {}}, r"guestpass\.invitation\.v1: guest: missing"),
        ({"data": {"guest": "g", "more": 1}}, r"guestpass\.invitation\.v1: more: extra_forbidden"),
        ({"data": {"guest": "\ud800"}}, r"guestpass\.invitation\.v1: all of it: json_invalid"),
        ({"type": "guestpass.grant.v1", "data": {"guest": "g", "shares": ["s"] * 21}}, "shares: too_long"),
        ({"type": "guestpass.share-event.v1"}, r"guestpass\.share-event\.v1: "),
    ],
)
def test_what_guestpass_did_not_write_is_refused_and_named(changes: dict[str, Any], complaint: str) -> None:
    assert decode(changed()) == (InvitationMessage(guest="g"), 1, None)
    with pytest.raises(ValueError, match=complaint):
        decode(changed(**changes))


def test_a_refusal_does_not_repeat_the_content() -> None:
    document = json.loads(encode(event("r")))
    document["data"]["at"] = "anna@example.org"
    document["data"]["item"]["path"] = "secret"
    with pytest.raises(ValueError, match=r"^guestpass\.share-event\.v1: at: datetime\S*; item: value_error$") as caught:
        decode(json.dumps(document))
    assert "anna" not in str(caught.value)
    assert "secret" not in str(caught.value)
    assert caught.value.__suppress_context__


@given(st.text() | JSON.map(json.dumps))
def test_no_text_raises_anything_but_value_error(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011
        decode(text)


@given(st.sampled_from(["type", "attempt", "data", "id", "time", "source", "datacontenttype", "x"]), JSON)
def test_no_attribute_raises_anything_but_value_error(attribute: str, value: object) -> None:
    assume(value is not None)
    try:
        message, attempt, _ = decode(changed(**{attribute: value}))
    except ValueError:
        return
    assert isinstance(message, InvitationMessage)
    assert attempt >= 0

"""The inbound contract: what is let in and what it means."""

import base64
import copy
import json
import re
from collections.abc import Awaitable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import jsonschema
import pytest
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent
from hypothesis import given, settings
from hypothesis import strategies as st
from standardwebhooks import Webhook

from local.platforms.relay import delivery, signed
from shared.domain.events import Change, Item, PrincipalKind, ShareEvent
from shared.domain.platforms import ItemKind
from shared.domain.reasons import Reason
from shared.domain.sources import FeedsPage, Subscription
from shared.domain.trouble import RefusedError, RejectedError, UnreadableError
from shared.sources.inbound import InboundSource, contract_schema
from tests.sources.inbound_samples import (
    CONNECTION,
    EXAMPLE,
    EXAMPLE_TEXT,
    NOW,
    OTHER_SECRET,
    SECRET,
    SOURCE,
    changed,
    post,
)


def rejection(headers: Mapping[str, str], body: bytes, now: datetime = NOW) -> tuple[int, str]:
    with pytest.raises(RejectedError) as caught:
        SOURCE.authenticate(headers, body, now)
    return caught.value.status, caught.value.code


def test_the_id_is_that_of_the_fact_not_of_the_delivery() -> None:
    one = SOURCE.authenticate(*delivery(EXAMPLE, SECRET, NOW, "msg_1"), NOW)
    again = SOURCE.authenticate(*delivery(EXAMPLE, SECRET, NOW + timedelta(minutes=1), "msg_2"), NOW)
    assert one == again
    assert one.id == SOURCE.read(one.body)[0].id
    assert post(changed("id", "another")) != one.id
    assert post(changed("source", "/another")) != one.id


def test_the_body_is_handed_on_as_it_came() -> None:
    headers, body = delivery(EXAMPLE, SECRET, NOW, "msg_1")
    assert SOURCE.authenticate(headers, body, NOW).body == body


def test_secrets_are_replaced_without_a_gap() -> None:
    both = InboundSource(CONNECTION, {"signing_secret": OTHER_SECRET, "previous_signing_secret": SECRET})
    headers, body = delivery(EXAMPLE, SECRET, NOW, "msg_1")
    assert both.authenticate(headers, body, NOW)
    after = InboundSource(CONNECTION, {"signing_secret": OTHER_SECRET})
    with pytest.raises(RejectedError) as caught:
        after.authenticate(headers, body, NOW)
    assert caught.value.code == "signature-wrong"
    new = signed(body, OTHER_SECRET, NOW, "msg_1")["webhook-signature"]
    assert after.authenticate({**headers, "webhook-signature": f"{headers['webhook-signature']} {new}"}, body, NOW)


@pytest.mark.parametrize(
    "secret",
    [
        "",
        "whsec_",
        base64.b64encode(bytes(32)).decode(),
        "whsec_" + base64.b64encode(bytes(23)).decode(),
        "whsec_" + base64.urlsafe_b64encode(b"\xff" * 32).decode(),
        "whsec_" + "é" * 40,
        "whsec_A",
        "whsec_" + "A" * 44 + "----",
    ],
)
@pytest.mark.parametrize("name", ["signing_secret", "previous_signing_secret"])
def test_secrets_that_are_an_open_door_are_refused(name: str, secret: str) -> None:
    with pytest.raises(ValueError, match=name) as caught:
        InboundSource(CONNECTION, {"signing_secret": SECRET, name: secret})
    assert not secret or secret not in str(caught.value).replace("'whsec_'", "")


@pytest.mark.parametrize(("seconds", "inside"), [(300, True), (301, False), (-300, True), (-301, False)])
def test_window(seconds: int, inside: bool) -> None:
    headers, body = delivery(EXAMPLE, SECRET, NOW, "msg_1")
    if inside:
        assert SOURCE.authenticate(headers, body, NOW + timedelta(seconds=seconds))
    else:
        assert rejection(headers, body, NOW + timedelta(seconds=seconds)) == (401, "timestamp-outside-window")


GOOD = delivery(EXAMPLE, SECRET, NOW, "msg_1")[0]["webhook-signature"]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"webhook-id": None}, (400, "id-missing")),
        ({"webhook-id": " "}, (400, "id-missing")),
        ({"webhook-id": "msg.1"}, (400, "id-invalid")),
        ({"webhook-id": "é"}, (400, "id-invalid")),
        ({"webhook-id": "m" * 201}, (400, "id-invalid")),
        ({"webhook-id": "msg_1, msg_2"}, (400, "header-repeated")),
        ({"Webhook-Id": "msg_1"}, (400, "header-repeated")),
        ({"webhook-id": "msg_2"}, (401, "signature-wrong")),
        ({"webhook-timestamp": None}, (401, "timestamp-missing")),
        ({"webhook-timestamp": "1795337100.9"}, (401, "timestamp-invalid")),
        ({"webhook-timestamp": "01795337100"}, (401, "timestamp-invalid")),
        ({"webhook-timestamp": "-1795337100"}, (401, "timestamp-invalid")),
        ({"webhook-timestamp": "nan"}, (401, "timestamp-invalid")),
        ({"webhook-timestamp": "１"}, (401, "timestamp-invalid")),
        ({"webhook-timestamp": "99999999999999999999"}, (401, "timestamp-invalid")),
        ({"webhook-timestamp": "1795337101"}, (401, "signature-wrong")),
        ({"webhook-signature": None}, (401, "signature-missing")),
        ({"webhook-signature": ""}, (401, "signature-missing")),
        ({"webhook-signature": "nocomma"}, (401, "signature-wrong")),
        ({"webhook-signature": "v1,%%%"}, (401, "signature-wrong")),
        ({"webhook-signature": "v1,é\ud800"}, (401, "signature-wrong")),
        ({"webhook-signature": GOOD.removeprefix("v1,")}, (401, "signature-wrong")),
        ({"webhook-signature": GOOD.replace("v1,", "v2,")}, (401, "signature-wrong")),
        ({"webhook-signature": f"{GOOD},{GOOD}"}, (401, "signature-wrong")),
        ({"WEBHOOK-SIGNATURE": GOOD}, (400, "header-repeated")),
    ],
)
def test_rejected_headers(change: dict[str, str | None], expected: tuple[int, str]) -> None:
    headers, body = delivery(EXAMPLE, SECRET, NOW, "msg_1")
    assert (
        rejection({name: value for name, value in {**headers, **change}.items() if value is not None}, body) == expected
    )


def test_a_changed_body_is_not_signed() -> None:
    headers, body = delivery(EXAMPLE, SECRET, NOW, "msg_1")
    assert rejection(headers, body.replace(b"View", b"Edit") + b" ") == (401, "signature-wrong")


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "body-not-json"),
        (b"{", "body-not-json"),
        (b"\xff{}", "body-not-json"),
        (b"\xef\xbb\xbf{}", "body-not-json"),
        (b'{"id":"\\ud800"}', "body-not-json"),
        (b"[" * 100_000, "body-not-json"),
        (b'{"id":' + b"9" * 5000 + b"}", "body-not-json"),
        (b"[]", "contract-violated"),
        (b"null", "contract-violated"),
        (b'{"data":NaN}', "contract-violated"),
    ],
)
def test_signed_bodies_that_are_no_document(body: bytes, code: str) -> None:
    assert rejection(signed(body, SECRET, NOW, "msg_1"), body) == (400, code)


@pytest.mark.parametrize(
    ("path", "value", "fault"),
    [
        ("specversion", "0.3", "$.specversion"),
        ("specversion", ..., "$.specversion"),
        ("id", ..., "$.id"),
        ("id", "", "$.id"),
        ("source", ..., "$.source"),
        ("type", "guestpass.share.given.v2", "$.type"),
        ("time", ..., "$.time"),
        ("time", "2026-11-22T09:30:00", "$.time"),
        ("time", "2026-11-22", "$.time"),
        ("time", 1795337100, "$.time"),
        ("time", "1795337100", "$.time"),
        ("time", "2026-11-22T08:50:01Z", "$.time"),
        ("time", "9999-12-31T23:59:59-14:00", "$.time"),
        ("datacontenttype", "text/xml", "$.datacontenttype"),
        ("data_base64", "e30=", "$.data_base64"),
        ("traceparent", "00-0af7", "$.traceparent"),
        ("data", ..., "$.data"),
        ("data", [], "$.data"),
        ("data.principal", ..., "$.data.principal"),
        ("data.principal.kind", "robot", "$.data.principal.kind"),
        ("data.principal.addres", "eve@partner.example", "$.data.principal.addres"),
        ("data.principal.suspended", "false", "$.data.principal.suspended"),
        ("data.principal.suspended", 0, "$.data.principal.suspended"),
        ("data.principal.source_id", "x", "$.data.principal.source_id"),
        ("data.principal.name", "x" * 501, "$.data.principal.name"),
        ("data.principal.name", "Eve\u0000", "$.data.principal.name"),
        ("data.role", "", "$.data.role"),
        ("data.role", 7, "$.data.role"),
        ("data.item.path", "Projects", "$.data.item.path"),
        ("data.item.path", "/Projects/a\nb", "$.data.item.path"),
        ("data.item.path", "/Projects\n", "$.data.item.path"),
        ("data.item.path", "/Projects\u007f", "$.data.item.path"),
        ("data.item.path", "/Projects\u0085", "$.data.item.path"),
        ("data.item.kind", "drive", "$.data.item.kind"),
        ("data.item.id", ..., "$.data.item.id"),
        ("data.sharer.mayInvite", "yes", "$.data.sharer.mayInvite"),
        ("data.sharedAt", "now", "$.data.sharedAt"),
        ("data.pending", None, "$.data.pending"),
        ("data.a name with eve@partner", 1, "$.data[a name that is not in the contract]"),
    ],
)
def test_every_fault_is_named_with_its_path_and_no_value(path: str, value: Any, fault: str) -> None:
    with pytest.raises(RejectedError) as caught:
        post(changed(path, value))
    assert (caught.value.status, caught.value.code) == (400, "contract-violated")
    assert f"{fault}:" in caught.value.sentence
    assert "eve@partner" not in caught.value.sentence


def test_all_faults_come_at_once() -> None:
    document = changed("data.role", 7)
    document["time"] = "never"
    document["data"]["item"]["kind"] = "drive"
    with pytest.raises(RejectedError) as caught:
        post(document)
    assert re.findall(r"(\$\S*):", caught.value.sentence) == ["$.time", "$.data.role", "$.data.item.kind"]


def test_a_share_needs_an_item_or_a_reference() -> None:
    document = changed("data.item", None)
    assert SOURCE.read(json.dumps(document).encode())[0].item is None
    document["data"]["reference"] = None
    with pytest.raises(RejectedError, match="contract-violated"):
        post(document)


def test_a_document_is_read_whole() -> None:
    (event,) = SOURCE.read(EXAMPLE_TEXT.encode())
    assert event.id.startswith("inbound:")
    assert event.connection == "securisync"
    assert event.change is Change.GIVEN
    assert event.at == datetime(2026, 11, 22, 8, 30, tzinfo=UTC)
    assert event.principal.kind is PrincipalKind.PERSON
    assert (event.principal.address, event.principal.name) == ("eve@partner.example", "Eve Partner")
    assert event.role == "Modify"
    assert event.item is not None
    assert (event.item.id, event.item.kind, event.item.path) == ("folder-5678", ItemKind.FOLDER, "/Projects/Ball Valve")
    assert event.reference == "share-12345"
    assert (event.sharer.address, event.sharer.may_invite) == ("ann@contoso.example", False)
    assert event.shared_at == event.at
    assert event.expires_at is None
    assert not event.pending
    assert not event.cross_organisation


def test_every_field_reaches_the_event() -> None:
    document = copy.deepcopy(EXAMPLE)
    document["type"] = "guestpass.share.kept.v1"
    document["data"] = {
        "principal": {"kind": "group", "sourceId": "g1", "suspended": True, "group": "All"},
        "role": "View",
        "item": {"id": "1", "kind": "root", "path": "/"},
        "sharer": {"sourceId": "s1", "mayInvite": True},
        "expiresAt": "2027-01-01T00:00:00Z",
        "pending": True,
        "crossOrganisation": True,
    }
    (event,) = SOURCE.read(json.dumps(document).encode())
    assert event.change is Change.KEPT
    assert event.principal.model_dump() == {
        "kind": PrincipalKind.GROUP,
        "address": None,
        "source_id": "g1",
        "name": None,
        "suspended": True,
        "group": "All",
    }
    assert (event.sharer.source_id, event.sharer.may_invite, event.sharer.address) == ("s1", True, None)
    assert event.expires_at == datetime(2027, 1, 1, tzinfo=UTC)
    assert (event.pending, event.cross_organisation, event.shared_at, event.reference) == (True, True, None, None)


def test_a_loss_is_a_loss() -> None:
    (event,) = SOURCE.read(json.dumps(changed("type", "guestpass.share.lost.v1")).encode())
    assert event.change is Change.LOST


async def test_nobody_is_asked_for_more() -> None:
    (event,) = SOURCE.read(EXAMPLE_TEXT.encode())
    assert await SOURCE.enrich(event) == [event]
    assert await SOURCE.feeds(None) == FeedsPage(())


async def test_what_would_have_to_be_asked_is_refused_with_a_way_out() -> None:
    held = Subscription(id="1", made_at=NOW)
    questions: list[Awaitable[object]] = [
        SOURCE.scan(None),
        SOURCE.look(Item(id="1", kind=ItemKind.ROOT, path="/")),
        SOURCE.poll("events", None),
        SOURCE.subscribe("events", None, "https://guestpass.example/api/webhooks/securisync"),
        SOURCE.unsubscribe("events", held),
    ]
    for question in questions:
        with pytest.raises(RefusedError) as caught:
            await question
        assert caught.value.reason is Reason.SOURCE_REFUSED
        assert "upload a file instead" in str(caught.value.detail)


@given(query=st.dictionaries(st.text(max_size=20), st.text(max_size=60), max_size=4))
def test_no_handshake_is_answered(query: dict[str, str]) -> None:
    assert SOURCE.answer_handshake(query) is None


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(exclude_categories=()), max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)
header_names = st.sampled_from(["webhook-id", "webhook-timestamp", "webhook-signature", "Webhook-Id"]) | st.text(
    max_size=9
)
header_texts = st.text(st.characters(exclude_categories=()), max_size=60) | st.sampled_from(
    [*delivery(EXAMPLE, SECRET, NOW, "msg_1")[0].values()]
)


@settings(max_examples=300, deadline=None)
@given(
    headers=st.dictionaries(header_names, header_texts, max_size=5),
    body=st.binary(max_size=200),
    complete=st.booleans(),
)
def test_nothing_but_rejections_comes_out_of_the_door(headers: dict[str, str], body: bytes, complete: bool) -> None:
    base = delivery(EXAMPLE, SECRET, NOW, "msg_1")[0] if complete else {}
    with pytest.raises(RejectedError):
        SOURCE.authenticate({**base, **headers}, body, NOW)


@settings(max_examples=300, deadline=None)
@given(body=st.binary(max_size=200) | json_values.map(lambda value: json.dumps(value).encode()))
def test_any_signed_bytes_are_rejected_and_unreadable(body: bytes) -> None:
    with pytest.raises(RejectedError) as caught:
        SOURCE.authenticate(signed(body, SECRET, NOW, "msg_1"), body, NOW)
    caught.value.sentence.encode()
    with pytest.raises(UnreadableError):
        SOURCE.read(body)


PATHS = [
    *("id", "source", "type", "time", "subject", "data.role", "data.item", "data.item.path", "data.item.kind"),
    *("data.principal.address", "data.principal.kind", "data.reference", "data.sharer", "data.sharedAt"),
    *("data.pending", "data.principal.group", "data.principal.suspended"),
]


@settings(max_examples=300, deadline=None)
@given(
    path=st.sampled_from(PATHS), value=json_values | st.sampled_from(["/ü", "person", "2026-11-22T08:30:00.123456789Z"])
)
def test_what_is_let_in_can_be_read_kept_and_parsed_by_others(path: str, value: Any) -> None:
    """The schema, the CloudEvents SDK and the ledger's JSON agree with whatever passes the door."""
    body = json.dumps(changed(path, value)).encode()
    try:
        SOURCE.authenticate(signed(body, SECRET, NOW, "msg_1"), body, NOW)
    except RejectedError:
        return
    (event,) = SOURCE.read(body)
    assert event == ShareEvent.model_validate_json(event.model_dump_json())
    jsonschema.validate(json.loads(body), contract_schema(), jsonschema.Draft202012Validator)
    if "subject" not in path:  # the SDK refuses null there, which JSON documents of other SDKs have
        parsed = JSONFormat().read(CloudEvent, body)
        assert parsed.get_id() == json.loads(body)["id"]


@settings(max_examples=100, deadline=None)
@given(
    age=st.sampled_from([-400, -200, 0, 200, 400]),
    secret=st.sampled_from([SECRET, OTHER_SECRET]),
    tamper=st.sampled_from([None, "webhook-id", "webhook-timestamp", "webhook-signature", "body"]),
)
def test_agrees_with_the_library_s_own_verify(age: int, secret: str, tamper: str | None) -> None:
    """The last character of a signature is left alone: the library ignores the bits that base64 does not need there."""
    now = datetime.now(UTC)
    headers, body = delivery(changed("time", "2026-01-01T00:00:00Z"), secret, now - timedelta(seconds=age), "msg_1")
    if tamper == "body":
        body += b" "
    elif tamper:
        value = headers[tamper]
        headers[tamper] = value[:4] + ("0" if value[4] != "0" else "1") + value[5:]
    try:
        Webhook(SECRET).verify(body, headers)
        theirs = True
    except Exception:
        theirs = False
    try:
        SOURCE.authenticate(headers, body, now)
        ours = True
    except RejectedError:
        ours = False
    assert ours == theirs

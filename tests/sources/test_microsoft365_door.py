"""The door for Graph's notifications: what is let in, item by item, and what a handshake is answered."""

import json
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.domain.sources import Delivery, Hint
from shared.domain.trouble import RejectedError, UnreadableError
from shared.sources.microsoft365.door import Door
from tests.sources.microsoft365_samples import SECRETS, TENANT, connection, office365, onedrive

NOW = datetime(2026, 11, 22, 9, 30, tzinfo=UTC)
DRIVE, OTHER = "b!" + "aA0_-bB1" * 8, "b!" + "zZ9_-yY8" * 8
SOURCE = onedrive()
ROTATED = {"channel_secret": "a-newer-secret-of-32-characters-!", "previous_channel_secret": SECRETS["channel_secret"]}


def door(**secrets: str) -> Door:
    return Door(connection("onedrive"), {**SECRETS, **secrets})


def notification(drive: str = DRIVE, **more: Any) -> dict[str, Any]:
    """A notification as Graph sends it; `...` leaves something out."""
    told = {
        "id": "4c5b8c2e-1",
        "subscriptionId": "7f105c7d-2dc5-4530-97cd-4e7ae6534c07",
        "subscriptionExpirationDateTime": "2026-11-25T09:30:00.1234567Z",
        "clientState": door().client_state(drive),
        "changeType": "updated",
        "resource": f"drives/{drive}/root",
        "tenantId": TENANT,
        "resourceData": {"@odata.type": "#microsoft.graph.driveItem"},
        **more,
    }
    return {name: value for name, value in told.items() if value is not ...}


def lifecycle(event: str, drive: str = DRIVE, **more: Any) -> dict[str, Any]:
    """A lifecycle notification: it names no resource."""
    left_out = {"id": ..., "resource": ..., "changeType": ..., "resourceData": ...}
    return notification(drive, **left_out, lifecycleEvent=event, **more)


def body(*notifications: Any) -> bytes:
    return json.dumps({"value": list(notifications)}).encode()


def let_in(*notifications: Any, now: datetime = NOW) -> Delivery:
    return SOURCE.authenticate({}, body(*notifications), now)


def rejection(content: bytes) -> tuple[int, str]:
    with pytest.raises(RejectedError) as caught:
        SOURCE.authenticate({}, content, NOW)
    return caught.value.status, caught.value.code


def test_a_genuine_notification_is_let_in_without_its_client_state() -> None:
    delivery = let_in(notification())
    assert b"clientState" not in delivery.body
    assert json.loads(delivery.body)["value"][0]["resource"] == f"drives/{DRIVE}/root"
    assert SOURCE.read(delivery.body) == [Hint(f"drive:{DRIVE}")]


@pytest.mark.parametrize("drive", [DRIVE, "b!x"])
def test_the_client_state_is_no_longer_than_graph_allows(drive: str) -> None:
    assert len(door().client_state(drive)) <= 128
    assert SOURCE.read(let_in(notification(drive)).body) == [Hint(f"drive:{drive}")]


def test_the_client_state_of_a_drive_with_a_very_long_id_is_the_token_alone() -> None:
    drive = "b!" + "x" * 100
    assert len(door().client_state(drive)) == 60
    assert SOURCE.read(let_in(notification(drive)).body) == [Hint(f"drive:{drive}")]
    assert rejection(body(lifecycle("missed", drive))) == (401, "token-wrong")


@pytest.mark.parametrize("resource", [f"/drives/{DRIVE}/root", f"drives/{DRIVE}/root/", f"drives/{DRIVE}/root"])
def test_the_resource_is_compared_without_its_outer_slashes(resource: str) -> None:
    assert SOURCE.read(let_in(notification(resource=resource)).body) == [Hint(f"drive:{DRIVE}")]


FORGERIES: list[Any] = [
    notification(clientState=...),
    notification(clientState=None),
    notification(clientState=""),
    notification(clientState=":"),
    notification(clientState=7),
    notification(clientState=["x"]),
    notification(clientState="x" * 500),
    notification(clientState="é\ud800"),
    notification(clientState=notification()["clientState"].swapcase()),
    notification(clientState=notification()["clientState"].partition(":")[0] + ":" + OTHER),
    notification(clientState=door(channel_secret="somebody-else-s-secret-of-32-char").client_state(DRIVE)),
    notification(resource=f"drives/{OTHER}/root"),  # the token of one drive does not speak for another
    notification(resource=...) | {"clientState": notification()["clientState"].partition(":")[0]},
    notification(resource=7),
    notification(resource=f"drives/{DRIVE}/items/1"),
    notification(tenantId="99999999-2222-3333-4444-555555555555"),
    notification(tenantId=7),
    "a text",
    None,
    [],
]


@pytest.mark.parametrize("forged", FORGERIES)
def test_a_forged_notification_is_refused(forged: Any) -> None:
    assert rejection(body(forged)) == (401, "token-wrong")


@pytest.mark.parametrize("forged", FORGERIES)
def test_a_forged_notification_does_not_spoil_the_genuine_ones_beside_it(forged: Any) -> None:
    delivery = let_in(forged, notification(), forged, notification(OTHER))
    assert SOURCE.read(delivery.body) == [Hint(f"drive:{DRIVE}"), Hint(f"drive:{OTHER}")]
    assert len(json.loads(delivery.body)["value"]) == 2


def test_the_tenant_is_compared_only_where_it_is_told_and_without_letter_case() -> None:
    assert let_in(notification(tenantId=...))
    assert let_in(notification(tenantId=TENANT.upper()))


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", (400, "body-not-json")),  # the handshake's POST has no body, and is answered before
        (b"\xff", (400, "body-not-json")),
        (b"[]", (400, "body-not-json")),
        (b'{"value": [NaN]}', (400, "body-not-json")),
        (b'{"value": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", (400, "body-not-json")),
        (b'{"value": ' + b"9" * 5000 + b"}", (400, "body-not-json")),
        (b"{}", (401, "token-wrong")),
        (b'{"value": []}', (401, "token-wrong")),
        (b'{"value": {}}', (401, "token-wrong")),
        (b'{"value": null}', (401, "token-wrong")),
    ],
)
def test_bodies_that_hold_no_notification(content: bytes, expected: tuple[int, str]) -> None:
    assert rejection(content) == expected


def test_a_repeat_has_the_same_id_and_another_notification_has_another() -> None:
    first = let_in(notification())
    assert let_in(notification(), now=NOW + timedelta(hours=1)).id == first.id
    assert let_in(notification(id="4c5b8c2e-2")).id != first.id


def test_notifications_that_are_alike_are_not_taken_for_repeats_when_graph_gave_them_no_ids() -> None:
    first = let_in(notification(id=...))
    assert let_in(notification(id=...), now=NOW + timedelta(seconds=1)).id != first.id


@pytest.mark.parametrize(
    ("event", "renew"),
    [("subscriptionRemoved", True), ("reauthorizationRequired", True), ("missed", False), ("somethingNew", False)],
)
def test_lifecycle_events_say_whether_to_renew(event: str, renew: bool) -> None:
    assert SOURCE.read(let_in(lifecycle(event)).body) == [Hint(f"drive:{DRIVE}", renew=renew)]


def test_several_notifications_about_one_drive_are_one_hint() -> None:
    delivery = let_in(notification(), lifecycle("subscriptionRemoved"), notification(id="2"))
    assert SOURCE.read(delivery.body) == [Hint(f"drive:{DRIVE}", renew=True)]


def test_a_subscription_from_before_the_secret_was_replaced_is_still_heard() -> None:
    assert onedrive(**ROTATED).authenticate({}, body(notification()), NOW)
    with pytest.raises(RejectedError):
        onedrive(channel_secret=ROTATED["channel_secret"]).authenticate({}, body(notification()), NOW)


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b'{"value": [{"resource": "me/drive"}]}'])
def test_what_is_not_a_delivery_of_the_door_cannot_be_read(content: bytes) -> None:
    with pytest.raises(UnreadableError):
        SOURCE.read(content)


# Handshakes.

TOKEN = "Validation: Testing client application reachability for subscription Request-Id: 1f6f84f6-6a15-4cd7"


def test_the_validation_token_is_sent_back_as_it_is() -> None:
    assert SOURCE.answer_handshake({"code": "x", "validationToken": TOKEN}) == TOKEN
    assert office365().answer_handshake({"validationToken": TOKEN}) == TOKEN


def test_other_requests_are_no_handshakes() -> None:
    assert SOURCE.answer_handshake({}) is None
    assert SOURCE.answer_handshake({"code": "x", "challenge": "y"}) is None


def test_html_in_a_validation_token_does_no_harm() -> None:
    assert SOURCE.answer_handshake({"validationToken": "<script>alert('x')</script>"}) == (
        "&lt;script&gt;alert(&#x27;x&#x27;)&lt;/script&gt;"
    )


@pytest.mark.parametrize("token", ["", "x" * 1025, "a\nb", "a\x00b", "a\x7fb", "a\u202eb", "a\ud800b"])
def test_hostile_validation_tokens_are_refused(token: str) -> None:
    with pytest.raises(RejectedError) as caught:
        SOURCE.answer_handshake({"validationToken": token})
    assert (caught.value.status, caught.value.code) == (400, "handshake-invalid")


def test_the_longest_validation_token_is_answered() -> None:
    assert SOURCE.answer_handshake({"validationToken": "x" * 1024}) == "x" * 1024


# Secrets.


@pytest.mark.parametrize("name", ["tenant_id", "client_id", "client_secret", "channel_secret"])
def test_missing_secrets_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match=name):
        onedrive(**{name: ""})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("tenant_id", "contoso.onmicrosoft.com"),
        ("channel_secret", "tiny"),
        ("previous_channel_secret", ""),
        ("api_url", "http://graph.example/v1.0"),
        ("api_url", "graph.microsoft.com"),
        ("login_url", "http://login.example"),
    ],
)
def test_unusable_secrets_are_refused_without_being_shown(name: str, value: str) -> None:
    with pytest.raises(ValueError, match=name) as caught:
        office365(**{name: value})
    assert not value or value not in str(caught.value)


def test_addresses_of_other_clouds_are_accepted() -> None:
    assert onedrive(api_url="https://graph.microsoft.us/v1.0", login_url="https://login.microsoftonline.us")


texts = st.text(st.characters(exclude_categories=()), max_size=40)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | texts | st.sampled_from([*notification().values(), DRIVE]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([*notification()]), inner, max_size=8),
    max_leaves=20,
)


@settings(max_examples=300, deadline=None)
@given(content=st.binary(max_size=100) | st.builds(lambda value: json.dumps({"value": value}).encode(), values))
def test_nothing_but_rejections_and_readable_deliveries_come_out_of_the_door(content: bytes) -> None:
    with suppress(RejectedError):
        delivery = SOURCE.authenticate({"clientState": "x"}, content, NOW)
        assert SOURCE.read(delivery.body) == [Hint(f"drive:{DRIVE}")]


@settings(max_examples=200, deadline=None)
@given(token=texts | st.text(max_size=2000))
def test_an_answered_handshake_holds_no_markup(token: str) -> None:
    with suppress(RejectedError):
        answer = SOURCE.answer_handshake({"validationToken": token})
        assert answer is not None
        assert not set("<>\"'") & set(answer)

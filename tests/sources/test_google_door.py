"""Google Workspace: what is let in. Nothing is signed; a channel's token is all there is."""

import json
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest
from googleapiclient.channel import Channel, notification_from_headers  # type: ignore[import-untyped]
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.domain.sources import Hint
from shared.domain.trouble import RejectedError, UnreadableError
from shared.sources.google_workspace.channels import Channels
from shared.sources.google_workspace.source import GoogleWorkspaceSource
from shared.sources.tokens import ChannelTokens
from tests.sources.google_samples import CONNECTION, NOW, SECRETS, SOURCE, make

FEED = "changes:100000000000000000001"
OTHER_SECRET = "another-channel-secret-of-32-characters"


def offered(feed: str = FEED, secret: str = SECRETS["channel_secret"]) -> dict[str, Any]:
    tokens = ChannelTokens(CONNECTION, {"channel_secret": secret})
    return Channels(tokens).offer(feed, "https://host/api", NOW, timedelta(days=7))


def notification(feed: str = FEED, **more: str | None) -> dict[str, str]:
    """The headers as "Notifications for resource changes" shows them."""
    channel = offered(feed, more.pop("secret", None) or SECRETS["channel_secret"])
    headers = {
        "Content-Type": "application/json; utf-8",
        "X-Goog-Channel-ID": channel["id"],
        "X-Goog-Channel-Token": channel["token"],
        "X-Goog-Channel-Expiration": "Tue, 29 Nov 2026 20:32:02 GMT",
        "X-Goog-Resource-ID": "ret08u3rv24htgh289g",
        "X-Goog-Resource-URI": "https://www.googleapis.com/drive/v3/changes?pageToken=1",
        "X-Goog-Resource-State": "change",
        "X-Goog-Changed": "content,permissions,properties",
        "X-Goog-Message-Number": "10",
    }
    changes = {f"X-Goog-{name.replace('_', '-')}": value for name, value in more.items()}
    return {name: value for name, value in {**headers, **changes}.items() if value is not None}


def rejection(headers: Mapping[str, str], body: bytes = b"", source: GoogleWorkspaceSource = SOURCE) -> tuple[int, str]:
    with pytest.raises(RejectedError) as caught:
        source.authenticate(headers, body, NOW)
    return caught.value.status, caught.value.code


@pytest.mark.parametrize("feed", [FEED, "reports", "drive:0ABCdef_-"])
@pytest.mark.parametrize(
    "state",
    ["sync", "change", "changed", "add", "remove", "update", "trash", "untrash", "change_user_access", "not known yet"],
)
@pytest.mark.parametrize("body", [b"", b'{"kind":"drive#changes"}', b"\xff not JSON", b'{"feed":"reports"}'])
def test_every_notification_of_our_channel_says_where_to_look(feed: str, state: str, body: bytes) -> None:
    delivery = SOURCE.authenticate(notification(feed, Resource_State=state), body, NOW)
    assert SOURCE.read(delivery.body) == [Hint(feed, resource_id="ret08u3rv24htgh289g")]


def test_what_is_queued_holds_neither_token_nor_body() -> None:
    headers = notification()
    delivery = SOURCE.authenticate(headers, b'{"actor":{"email":"paula@contoso.com"}}', NOW)
    assert headers["X-Goog-Channel-Token"] not in delivery.body.decode()
    assert "paula" not in delivery.body.decode()
    assert json.loads(delivery.body) == {
        "channel": headers["X-Goog-Channel-ID"],
        "feed": FEED,
        "resource": "ret08u3rv24htgh289g",
        "state": "change",
    }


def test_a_repeat_has_the_same_id_and_another_message_has_another() -> None:
    headers = notification()
    first = SOURCE.authenticate(headers, b"", NOW).id
    assert SOURCE.authenticate(headers, b"x", NOW + timedelta(minutes=5)).id == first
    assert SOURCE.authenticate({**headers, "X-Goog-Message-Number": "11"}, b"", NOW).id != first
    assert SOURCE.authenticate(notification(), b"", NOW).id != first


@pytest.mark.parametrize("number", [None, "ten", "-1", "１０"])
def test_without_a_usable_number_no_message_is_taken_for_a_repeat(number: str | None) -> None:
    headers = notification(Message_Number=number)
    later = NOW + timedelta(seconds=1)
    assert SOURCE.authenticate(headers, b"", NOW).id != SOURCE.authenticate(headers, b"", later).id


@pytest.mark.parametrize("resource", [None, "", "x" * 501, "two words", "é"])
def test_an_odd_resource_id_is_left_out(resource: str | None) -> None:
    delivery = SOURCE.authenticate(notification(Resource_ID=resource), b"", NOW)
    assert SOURCE.read(delivery.body) == [Hint(FEED)]


def test_a_token_belongs_to_one_channel_and_one_feed() -> None:
    one, other = notification(), notification("reports")
    token = "X-Goog-Channel-Token"
    assert rejection({**one, token: other[token]}) == (401, "token-wrong")
    proof = one[token].rpartition(".")[0]
    assert rejection({**one, token: f"{proof}.reports"}) == (401, "token-wrong")
    assert rejection({**one, "X-Goog-Channel-ID": other["X-Goog-Channel-ID"]}) == (401, "token-wrong")


def test_google_s_own_client_would_let_a_wrong_token_and_a_wrong_resource_in() -> None:
    """Why it is not asked."""
    headers = notification(Channel_Token="wrong", Resource_ID="wrong")
    channel = Channel("web_hook", headers["X-Goog-Channel-ID"], "right", "https://host/api", resource_id="right")
    assert notification_from_headers(channel, headers).resource_id == "wrong"
    assert rejection(headers) == (401, "token-wrong")


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"Channel_ID": None}, (400, "id-missing")),
        ({"Channel_ID": " "}, (400, "id-missing")),
        ({"Channel_ID": "a, b"}, (400, "header-repeated")),
        ({"Channel_ID": "unknown"}, (401, "token-wrong")),
        ({"Channel_Token": None}, (401, "token-missing")),
        ({"Channel_Token": ""}, (401, "token-missing")),
        ({"Channel_Token": "a, b"}, (400, "header-repeated")),
        ({"Channel_Token": "é\ud800"}, (401, "token-wrong")),
        ({"Channel_Token": ".."}, (401, "token-wrong")),
        ({"Channel_Token": "a.b.reports"}, (401, "token-wrong")),
        ({"Resource_ID": "a, b"}, (400, "header-repeated")),
        ({"Resource_State": "a, b"}, (400, "header-repeated")),
        ({"Message_Number": "1, 2"}, (400, "header-repeated")),
    ],
)
def test_rejected_headers(change: dict[str, str | None], expected: tuple[int, str]) -> None:
    assert rejection(notification(FEED, **change)) == expected


def test_secrets_rotate() -> None:
    old = notification()
    rotated = make(channel_secret=OTHER_SECRET, previous_channel_secret=SECRETS["channel_secret"])
    assert rotated.authenticate(old, b"", NOW)
    assert rotated.authenticate(notification(secret=OTHER_SECRET), b"", NOW)
    assert rejection(old, source=make(channel_secret=OTHER_SECRET)) == (401, "token-wrong")


def test_a_channel_s_id_and_token_are_as_long_as_google_allows() -> None:
    channel = offered("changes:" + "9" * 187)
    assert len(channel["id"]) <= 64
    assert len(channel["token"]) <= 256
    assert channel["token"].isascii()


def test_there_is_no_handshake() -> None:
    assert SOURCE.answer_handshake({"challenge": "<script>", "validationToken": "x" * 5000}) is None


@pytest.mark.parametrize("body", [b"", b"[]", b"\xff", b'{"feed":7}', b'{"channel":"c","feed":"f","state":"s"}'])
def test_what_the_door_did_not_write_is_not_read(body: bytes) -> None:
    with pytest.raises(UnreadableError):
        SOURCE.read(body)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("service_account", ""),
        ("service_account", "not JSON"),
        ("service_account", "[" * 100_000),
        ("service_account", "[]"),
        ("service_account", '{"type":"authorized_user","client_email":"a","private_key":"a","token_uri":"a"}'),
        ("service_account", '{"type":"service_account","client_email":"a","private_key":"","token_uri":"a"}'),
        ("service_account", '{"type":"service_account","client_email":"a","private_key":7,"token_uri":"a"}'),
        ("service_account", '{"type":"service_account","client_email":"a","private_key":"a"}'),
        ("administrator", ""),
        ("administrator", "somebody"),
        ("channel_secret", ""),
        ("channel_secret", "tiny-secret"),
        ("previous_channel_secret", "tiny-secret"),
    ],
)
def test_secrets_that_cannot_be_used_are_refused(name: str, value: str) -> None:
    with pytest.raises(ValueError, match=name) as caught:
        make(**{name: value})
    assert not value or value not in str(caught.value)


names = st.sampled_from([name.lower() for name in notification()] + list(notification())) | st.text(max_size=12)
texts = st.text(st.characters(exclude_categories=()), max_size=60) | st.sampled_from(list(notification().values()))


@settings(max_examples=300, deadline=None)
@given(headers=st.dictionaries(names, texts, max_size=8), body=st.binary(max_size=200), complete=st.booleans())
def test_nothing_but_rejections_comes_out_of_the_door(headers: dict[str, str], body: bytes, complete: bool) -> None:
    attempt = {**(notification() if complete else {}), **headers}
    try:
        delivery = SOURCE.authenticate(attempt, body, NOW)
    except RejectedError:
        return
    assert complete
    assert [hint.feed for hint in SOURCE.read(delivery.body)] == [FEED]

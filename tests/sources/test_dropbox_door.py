"""Dropbox: what is let in, and what the handshake answers."""

import json
from collections.abc import Mapping
from datetime import datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from local.platforms.dropbox import signed
from shared.domain.sources import Hint
from shared.domain.trouble import RefusedError, RejectedError
from shared.sources.dropbox.source import FEED, DropboxSource
from tests.sources.box_samples import json_values
from tests.sources.dropbox_samples import NOW, SECRETS, SOURCE, make, notification

KEY = SECRETS["app_secret"]


def rejection(
    headers: Mapping[str, str], body: bytes, now: datetime = NOW, source: DropboxSource = SOURCE
) -> tuple[int, str]:
    with pytest.raises(RejectedError) as caught:
        source.authenticate(headers, body, now)
    return caught.value.status, caught.value.code


# Dropbox publishes no vectors. RFC 4231 (test case 4) and GitHub's documentation of the same construction do.
@pytest.mark.parametrize(
    ("key", "body", "signature"),
    [
        (
            "It's a Secret to Everybody",
            b"Hello, World!",
            "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17",
        ),
        (
            "".join(map(chr, range(1, 26))),
            b"\xcd" * 50,
            "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b",
        ),
    ],
)
def test_published_vectors_of_the_construction(key: str, body: bytes, signature: str) -> None:
    source = make(app_secret=key)
    assert rejection({"X-Dropbox-Signature": signature}, body, source=source) == (400, "body-not-json")
    assert rejection({"X-Dropbox-Signature": signature}, body + b" ", source=source) == (401, "signature-wrong")


def test_the_signature_of_an_empty_body_does_not_open_the_door() -> None:
    """A public library's test ships such a pair as a valid one."""
    _, body = notification()
    assert rejection(signed(b"", KEY), body) == (401, "signature-wrong")


def test_the_secret_before_is_good_while_it_is_being_replaced() -> None:
    headers, body = notification()
    assert make(app_secret="a-new-app-secret", previous_app_secret=KEY).authenticate(headers, body, NOW)
    assert rejection(headers, body, source=make(app_secret="a-new-app-secret")) == (401, "signature-wrong")


def test_equal_notifications_are_two() -> None:
    """Dropbox gives no id and no time: the second one, an hour later, tells of something else."""
    headers, body = notification()
    first, second = (SOURCE.authenticate(headers, body, NOW + timedelta(hours=n)) for n in range(2))
    assert (first.body, second.body) == (body, body)
    assert first.id != second.id
    assert first.id.isascii()


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, (401, "signature-missing")),
        ({"X-Dropbox-Signature": ""}, (401, "signature-missing")),
        ({"X-Dropbox-Signature": " "}, (401, "signature-missing")),
        ({"X-Dropbox-Signature": "x"}, (401, "signature-wrong")),
        ({"X-Dropbox-Signature": "é\ud800"}, (401, "signature-wrong")),
        ({"X-Dropbox-Signature": notification()[0]["X-Dropbox-Signature"].upper()}, (401, "signature-wrong")),
        ({"X-Dropbox-Signature": notification()[0]["X-Dropbox-Signature"] + ",a"}, (400, "header-repeated")),
        ({**notification()[0], "x-dropbox-signature": "a"}, (400, "header-repeated")),
        (signed(notification()[1], "another-secret"), (401, "signature-wrong")),
    ],
)
def test_rejected_headers(headers: dict[str, str], expected: tuple[int, str]) -> None:
    assert rejection(headers, notification()[1]) == expected


def test_the_bytes_are_judged_and_not_what_they_mean() -> None:
    """Signing parsed and written JSON again is a common mistake."""
    headers, body = notification()
    assert rejection(headers, json.dumps(json.loads(body)).encode()) == (401, "signature-wrong")


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b"null", b'"x"', b"{", b"\xff", b'{"a":NaN}', b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}"],
)
def test_signed_bodies_that_are_no_json_object(body: bytes) -> None:
    assert rejection(signed(body, KEY), body) == (400, "body-not-json")


TEXTS = st.text(st.characters(exclude_categories=()), max_size=60)
NAMES = st.sampled_from(["X-Dropbox-Signature", "x-dropbox-signature"]) | st.text(max_size=12)


@settings(max_examples=200, deadline=None)
@given(headers=st.dictionaries(NAMES, TEXTS, max_size=4), body=st.binary(max_size=200))
def test_nothing_but_rejections_comes_out_of_the_door(headers: dict[str, str], body: bytes) -> None:
    with pytest.raises(RejectedError):
        SOURCE.authenticate(headers, body, NOW)


@pytest.mark.parametrize(
    "document",
    [
        {"list_folder": {"accounts": ["dbid:AAA"]}, "delta": {"users": [602793]}},
        {"list_folder": {"accounts": ["dbid:AAA", "dbid:AAB"]}, "delta": {"users": [1, 2]}},
        {"list_folder": {"teams": {"dbtid:A": ["dbmid:B", "dbmid:C"]}}, "delta": {"teams": {"dbtid:A": ["dbmid:B"]}}},
        {"team_membership": {"teams": ["dbtid:A"]}},
        {},
    ],
)
def test_whoever_it_names_the_log_is_where_to_look(document: dict[str, object]) -> None:
    """Several people in one notification, team members, and what is not documented, all come to one hint."""
    assert SOURCE.read(json.dumps(document).encode()) == [Hint(FEED)]


@settings(max_examples=100, deadline=None)
@given(content=json_values)
def test_reading_never_fails_for_an_object(content: object) -> None:
    assert SOURCE.read(json.dumps({"any": content}).encode()) == [Hint(FEED)]


def test_the_challenge_comes_back_as_it_is() -> None:
    assert SOURCE.answer_handshake({"challenge": "rUWXR_-x8"}) == "rUWXR_-x8"
    assert SOURCE.answer_handshake({}) is None
    assert SOURCE.answer_handshake({"validationToken": "x"}) is None


@pytest.mark.parametrize("challenge", ["", "x" * 1025, "a\r\nSet-Cookie: b=c", "a\x00", "a\x1b[2J", "\ud800"])
def test_hostile_challenges_get_nothing_back(challenge: str) -> None:
    with pytest.raises(RejectedError) as caught:
        SOURCE.answer_handshake({"challenge": challenge})
    assert caught.value.status == 400
    assert len(challenge) < 2 or challenge not in caught.value.sentence


def test_a_challenge_cannot_be_a_page() -> None:
    answer = SOURCE.answer_handshake({"challenge": "<script>alert('x')</script>&"})
    assert answer == "&lt;script&gt;alert(&#x27;x&#x27;)&lt;/script&gt;&amp;"


@pytest.mark.parametrize("name", ["app_key", "app_secret", "refresh_token", "previous_app_secret"])
@pytest.mark.parametrize("value", ["", "short"])
def test_secrets_that_are_an_open_door_are_refused(name: str, value: str) -> None:
    if value and not name.endswith("app_secret"):
        make(**{name: value})
        return
    with pytest.raises(ValueError, match=name) as caught:
        make(**{name: value})
    assert "short" not in str(caught.value).replace("shorter", "")


async def test_nothing_can_be_subscribed_to() -> None:
    page = await SOURCE.feeds(None)
    assert [(one.name, one.polls, one.watches) for one in page.feeds] == [("team-log", True, False)]
    assert page.cursor is None
    with pytest.raises(RefusedError):
        await SOURCE.subscribe(FEED, None, "https://app.example/api/webhooks/dropbox-main")

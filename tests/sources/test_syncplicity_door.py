"""Syncplicity: nothing is let in, and the source is built from its secrets alone."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.platforms import RULES, ItemKind, Platform
from shared.domain.reasons import Reason
from shared.domain.sources import FeedsPage, FoundFeed, Subscription
from shared.domain.trouble import RefusedError, RejectedError, UnreadableError
from tests.sources.syncplicity_samples import SECRETS, make, now

texts = st.text(st.characters(exclude_categories=()), max_size=60)


@given(headers=st.dictionaries(texts, texts, max_size=5), body=st.binary(max_size=200))
def test_whatever_comes_is_not_from_syncplicity(headers: dict[str, str], body: bytes) -> None:
    with pytest.raises(RejectedError) as caught:
        make().authenticate(headers, body, now())
    assert (caught.value.status, caught.value.code) == (404, "no-webhooks")
    assert "Syncplicity sends no webhooks" in caught.value.sentence


@given(query=st.dictionaries(texts, texts, max_size=5))
def test_no_handshake_is_answered(query: dict[str, str]) -> None:
    assert make().answer_handshake(query) is None


def test_no_delivery_can_be_read() -> None:
    with pytest.raises(UnreadableError, match="no webhooks"):
        make().read(b"{}")


async def test_there_is_one_feed_to_poll_and_none_to_watch() -> None:
    assert await make().feeds(None) == FeedsPage([FoundFeed("events", polls=True, watches=False)])


async def test_subscriptions_are_refused() -> None:
    held = Subscription(id="1", made_at=now())
    with pytest.raises(RefusedError) as caught:
        await make().subscribe("events", None, "https://guestpass.example/api/webhooks/x")
    assert caught.value.reason is Reason.SOURCE_REFUSED
    with pytest.raises(RefusedError) as caught:
        await make().unsubscribe("events", held)
    assert caught.value.reason is Reason.SOURCE_REFUSED


@pytest.mark.parametrize("name", SECRETS)
@pytest.mark.parametrize("value", ["", " ", "two words", "line\nbreak", "schlüssel"])
def test_secrets_that_cannot_be_right_are_refused_at_start(name: str, value: str) -> None:
    with pytest.raises(ValueError, match=name) as caught:
        make(**{name: value})
    assert not value.strip() or value not in str(caught.value)


@pytest.mark.parametrize("url", ["api.syncplicity.com", "http://api.syncplicity.com", "https://", "ftp://127.0.0.2"])
def test_secrets_are_sent_over_tls_only(url: str) -> None:
    with pytest.raises(ValueError, match="api_url"):
        make(api_url=url)


@pytest.mark.parametrize("url", ["", "https://api.example", "http://127.0.0.1:1", "http://localhost:1"])
def test_addresses_that_may_be_asked(url: str) -> None:
    assert make(api_url=url)


def test_the_row_of_the_matrix() -> None:
    """What this platform's tests below rely on."""
    rules = RULES[Platform.SYNCPLICITY]
    assert rules.carried == {ItemKind.ROOT}
    assert not rules.must_accept_at_source
    assert rules.batch

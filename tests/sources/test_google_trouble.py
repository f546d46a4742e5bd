"""Google Workspace: what its refusals mean, asked through Google's own client."""

import json
import time
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest

from shared.domain.events import Item
from shared.domain.platforms import ItemKind
from shared.domain.reasons import Reason
from shared.domain.trouble import LaterError, RefusedError
from shared.sources.google_workspace.source import GoogleWorkspaceSource
from tests.sources.google_samples import CONNECTION, EXA, KEY, OLGA, SECRETS, Google, google_workspace, roles, sets


@pytest.fixture
async def google() -> AsyncIterator[Google]:
    async with google_workspace() as one:
        yield one


@pytest.fixture(autouse=True)
def nobody_sleeps(monkeypatch: pytest.MonkeyPatch) -> None:
    """The client's and the token library's own repeats would."""

    def wake(seconds: float) -> None:
        raise AssertionError(f"slept for {seconds} seconds")

    monkeypatch.setattr(time, "sleep", wake)


async def poll(google: Google) -> Any:
    return await google.source.poll(f"changes:{google.account.people[OLGA].id}", None)


def refusal(reason: str, **more: str) -> str:
    error = {"reason": reason, "message": "about olga@contoso.com", **more}
    return json.dumps({"error": {"code": 403, "message": "about olga@contoso.com", "errors": [error]}})


@pytest.mark.parametrize("path", ["/drive", "/admin/directory"])
@pytest.mark.parametrize("after", [None, 0, 7, 3600])
@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (429, "rateLimitExceeded"),
        (403, "rateLimitExceeded"),
        (403, "userRateLimitExceeded"),
        (403, "quotaExceeded"),
        (403, "dailyLimitExceeded"),
        (403, "sharingRateLimitExceeded"),
        (500, "backendError"),
        (503, "backendError"),
        (504, ""),
    ],
)
async def test_passing_trouble_waits_as_long_as_google_asks(
    google: Google, path: str, after: int | None, status: int, reason: str
) -> None:
    fault = {"path": path, "status": status, "body": refusal(reason), "times": 3}
    google.fail(**fault, **({} if after is None else {"retry_after": after}))
    with pytest.raises(LaterError) as caught:
        await poll(google)
    assert caught.value.reason is Reason.SOURCE
    assert caught.value.after == (None if after is None else timedelta(seconds=after))
    assert caught.value.detail == f"Google answered {status} {reason}".strip()


@pytest.mark.parametrize("after", ["soon", "-1", "Wed, 21 Oct 2026 07:28:00 GMT", "9999999"])
async def test_a_wait_that_is_no_number_is_not_taken(google: Google, after: str) -> None:
    google.fail(path="/drive", status=429, retry_after=after)
    with pytest.raises(LaterError) as caught:
        await poll(google)
    assert caught.value.after is None


@pytest.mark.parametrize("status", [500, 503, 429, 404])
async def test_a_token_endpoint_in_trouble_is_waited_for_outside(google: Google, status: int) -> None:
    google.fail(path="/token", status=status, retry_after=9)
    with pytest.raises(LaterError) as caught:
        await poll(google)
    assert caught.value.after == timedelta(seconds=9)
    assert await poll(google)


@pytest.mark.parametrize("path", ["/drive", "/token", "/admin"])
@pytest.mark.parametrize(
    "fault",
    [
        {"status": 0},
        {"status": 200, "body": "<html>no JSON</html>"},
        {"status": 200, "body": '["no object"]'},
        {"status": 200, "body": '{"startPageToken":7,"id":7,"primaryEmail":null}'},
        {"status": 200, "body": ""},
        {"status": 502, "body": "<html>Bad Gateway</html>"},
        {"status": 302, "body": ""},
    ],
)
async def test_an_answer_that_google_does_not_document_is_waited_for(
    google: Google, path: str, fault: dict[str, Any]
) -> None:
    google.fail(path=path, times=3, **fault)
    with pytest.raises(LaterError) as caught:
        await poll(google)
    assert "no JSON" not in str(caught.value.detail)
    assert "127.0.0.1" not in str(caught.value.detail)


async def test_an_expired_token_is_renewed_once(google: Google) -> None:
    before = await poll(google)
    google.stand_in.tokens.given.clear()
    google.stand_in.requests.clear()
    assert await poll(google) == before
    assert [one.partition("?")[0] for one in google.stand_in.requests].count("POST /token") == 2  # one a purpose


async def test_tokens_are_kept_as_long_as_they_last(google: Google) -> None:
    await poll(google)
    google.stand_in.requests.clear()
    await poll(google)
    assert not [one for one in google.stand_in.requests if "/token" in one]


async def test_an_administrator_whom_google_does_not_know_any_more_is_waited_for(google: Google) -> None:
    google.fail(path="/admin", status=401, code="authError", times=2)
    with pytest.raises(LaterError):
        await poll(google)


async def test_who_has_no_drive_needs_somebody(google: Google) -> None:
    google.account.people[OLGA].has_drive = False
    with pytest.raises(RefusedError) as caught:
        await poll(google)
    assert "Drive is switched off" in str(caught.value.detail)
    google.account.people[OLGA].has_drive = True
    google.fail(path="/drive", status=401, code="authError", times=2)  # what GAM takes for the same
    with pytest.raises(RefusedError):
        await poll(google)


@pytest.mark.parametrize("reason", ["accessNotConfigured", "insufficientPermissions"])
async def test_what_is_not_set_up_needs_somebody(google: Google, reason: str) -> None:
    for path in ("/drive", "/admin"):
        google.fail(path=path, status=403, body=refusal(reason))
        with pytest.raises(RefusedError) as caught:
            await poll(google)
        assert caught.value.reason is Reason.SOURCE_REFUSED
        assert caught.value.detail == f"Google answered 403 {reason}"


@pytest.mark.parametrize("name", ["drive.metadata", "admin.directory.user"])
async def test_a_scope_that_is_not_delegated_needs_somebody(google: Google, name: str) -> None:
    google.stand_in.tokens.delegated = {scope for scope in google.stand_in.tokens.delegated if name not in scope}
    with pytest.raises(RefusedError) as caught:
        await poll(google)
    assert "unauthorized_client" in str(caught.value.detail)


async def test_only_what_is_used_needs_its_scope(google: Google) -> None:
    google.stand_in.tokens.delegated = {
        scope for scope in google.stand_in.tokens.delegated if "reports" not in scope and scope[-5:] != "drive.readonly"
    }
    assert await poll(google)


@pytest.mark.parametrize("secret", ["administrator", "service_account"])
async def test_an_administrator_or_a_key_that_google_does_not_know_needs_somebody(google: Google, secret: str) -> None:
    other = {
        "administrator": "nobody@contoso.com",
        "service_account": KEY.replace("https://oauth2.googleapis.com", google.url).replace(
            "guestpass@project", "other@project"
        ),
    }
    secrets = {
        **SECRETS,
        "service_account": KEY.replace("https://oauth2.googleapis.com", google.url),
        "api_url": google.url,
        secret: other[secret],
    }
    source = GoogleWorkspaceSource(CONNECTION, secrets)
    with pytest.raises(RefusedError) as caught:
        await source.feeds(None)
    assert "invalid_grant" in str(caught.value.detail)
    assert "nobody" not in str(caught.value.detail)


async def test_a_private_key_that_cannot_be_read_needs_somebody(google: Google) -> None:
    key = {**json.loads(KEY), "private_key": "-----BEGIN PRIVATE KEY-----\nMII-secret\n-----END PRIVATE KEY-----\n"}
    source = GoogleWorkspaceSource(CONNECTION, {**SECRETS, "service_account": json.dumps(key)})
    with pytest.raises(RefusedError) as caught:
        await source.feeds(None)
    assert "MII-secret" not in str(caught.value.detail)


async def test_somebody_who_is_no_administrator_is_refused(google: Google) -> None:
    secrets = {
        **SECRETS,
        "service_account": KEY.replace("https://oauth2.googleapis.com", google.url),
        "api_url": google.url,
        "administrator": OLGA,
    }
    with pytest.raises(RefusedError):
        await GoogleWorkspaceSource(CONNECTION, secrets).feeds(None)


@pytest.mark.parametrize(("status", "reason"), [(403, "insufficientFilePermissions"), (404, "notFound")])
async def test_permissions_that_google_does_not_show_are_not_taken_for_none(
    google: Google, status: int, reason: str
) -> None:
    cursor = await google.start(f"changes:{google.account.people[OLGA].id}")
    await google.act("share", EXA, f"/{OLGA}/Alpha")
    alpha = google.account.at(f"/{OLGA}/Alpha") or ""
    item = Item(id=alpha, kind=ItemKind.FOLDER, path=f"/{OLGA}/Alpha")
    google.fail(path=f"/drive/v3/files/{alpha}/permissions", status=status, body=refusal(reason), times=2)
    pages, _ = await google.polled(f"changes:{google.account.people[OLGA].id}", cursor)
    assert sets(pages) == {}
    assert await google.source.look(item) is None
    assert roles(await google.source.look(item)) == {EXA: "writer"}


async def test_a_bad_request_does_not_void_a_cursor(google: Google) -> None:
    feed = f"changes:{google.account.people[OLGA].id}"
    cursor = await google.start(feed)
    google.fail(path="/drive/v3/changes", status=400, body=refusal("invalid", location="pageSize"))
    with pytest.raises(RefusedError):
        await google.source.poll(feed, cursor)


@pytest.mark.parametrize(
    "error",
    [
        {"status": 400, "body": refusal("invalid", location="pageToken", locationType="parameter")},
        {"status": 400, "body": refusal("badRequest", message="Invalid Input: page token")},
        {"status": 410, "body": refusal("gone")},
    ],
)
async def test_ways_of_saying_that_a_cursor_is_void(google: Google, error: dict[str, Any]) -> None:
    feed = f"changes:{google.account.people[OLGA].id}"
    cursor = await google.start(feed)
    google.fail(path="/drive/v3/changes", **error)
    assert (await google.source.poll(feed, cursor)).rescan


async def test_a_permission_list_whose_next_page_is_void_is_read_again_later(google: Google) -> None:
    feed = f"changes:{google.account.people[OLGA].id}"
    cursor = await google.start(feed)
    alpha = google.account.at(f"/{OLGA}/Alpha") or ""
    for number in range(150):
        google.give(alpha, f"p{number}@partner.example")
    google.stand_in.pages.voided.add("p100")
    with pytest.raises(LaterError) as caught:
        await google.source.poll(feed, cursor)
    assert type(caught.value) is LaterError
    google.stand_in.pages.voided.clear()
    pages, _ = await google.polled(feed, cursor)
    assert len(roles(sets(pages)[alpha])) == 150
    assert not any(page.rescan for page in pages)

"""The tables of refusals: one case per documented or reported answer."""

import json
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest
from httpx import Headers
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.reasons import Reason
from shared.domain.trouble import LaterError, RefusedError
from shared.graph.errors import (
    INVITING,
    READING_ITEMS,
    SHARING_ITEMS,
    USERS,
    Area,
    NotThereError,
    refusal,
    scrub,
    unreached,
)

ID = "5c7d9d34-6a1f-4f0e-9c5e-0f6f3f1b2a77"


def body(code: str, message: str, inner: dict[str, Any] | None = None, key: str = "innerError") -> bytes:
    """An error body; SharePoint leaves innerError out of some."""
    return json.dumps({"error": {"code": code, "message": message, **({key: inner} if inner else {})}}).encode()


INVITATIONS = [
    (
        400,
        f"The invited user already exists in the directory as object ID: {ID}. They can use that account to sign in",
        Reason.EXISTING_ACCOUNT,
    ),
    (
        400,
        f"The invited user already exists in the directory as object ID: {ID}, but the account is blocked from "
        "signing in.",
        Reason.ACCOUNT_DISABLED,
    ),
    (
        400,
        "This user cannot be invited because the domain of the user's email address is a verified domain of this "
        "directory",
        Reason.ADDRESS_NOT_INVITABLE,
    ),
    (400, "Invitee is in inviter tenant", Reason.ADDRESS_NOT_INVITABLE),
    (400, "Group email address is not supported.", Reason.ADDRESS_NOT_INVITABLE),
    (
        400,
        "Another object with the same value for property proxyAddresses already exists.",
        Reason.EXISTING_ACCOUNT,
    ),
    (
        400,
        "The invitation is blocked because the domain of the invited user is blocked by policy.",
        Reason.DOMAIN_BLOCKED,
    ),
    (400, "This domain is not on the allow list.", Reason.DOMAIN_BLOCKED),
    (400, "Your organization does not allow users of a restricted domain.", Reason.DOMAIN_BLOCKED),
    (
        400,
        "This invitation is blocked by cross-tenant access settings. Admins must configure them.",
        Reason.DOMAIN_BLOCKED,
    ),
    (400, "Guest invitations not allowed for your company. Contact your administrator.", Reason.INVITING_NOT_ALLOWED),
    (400, "The tenant's invitations are blocked: suspicious behaviour.", Reason.INVITING_NOT_ALLOWED),
    (403, "Insufficient privileges to complete the operation.", Reason.INVITING_NOT_ALLOWED),
    (500, "Unable to find target address", Reason.UNDELIVERABLE),
    (
        400,
        "Invalid value specified for property 'invitedUserEmailAddress' of resource 'Invitation'.",
        Reason.ADDRESS_NOT_INVITABLE,
    ),
    (400, "Something nobody has seen before.", Reason.INVITATION_REFUSED),
]


@pytest.mark.parametrize(("status", "message", "reason"), INVITATIONS)
def test_refused_invitations_are_told_apart_by_their_text(status: int, message: str, reason: Reason) -> None:
    error = refusal(INVITING, status, {}, body("Request_BadRequest", message))
    assert isinstance(error, RefusedError)
    assert error.reason is reason
    assert error.detail is not None
    assert message in error.detail


def test_an_existing_account_s_object_id_stays_in_the_detail() -> None:
    error = refusal(INVITING, 400, {}, body("", INVITATIONS[0][1]))
    assert ID in str(error.detail)


LATER = [
    (INVITING, 404, "Request_ResourceNotFound", "Resource does not exist.", Reason.REPLICATION),
    (INVITING, 400, "Directory_ObjectNotFound", "Unable to read the company information.", Reason.REPLICATION),
    (INVITING, 400, "Request_BadRequest", "Not a valid reference update.", Reason.REPLICATION),
    (INVITING, 500, "InternalServerError", "Try again", Reason.GRAPH),
    (INVITING, 503, "Directory_ObjectNotFound", "", Reason.GRAPH),
    (USERS, 404, "Request_ResourceNotFound", "Resource does not exist.", Reason.REPLICATION),
    (USERS, 429, "TooManyRequests", "Please retry again later.", Reason.GRAPH),
    (USERS, 401, "InvalidAuthenticationToken", "Access token has expired.", Reason.GRAPH),
    (SHARING_ITEMS, 400, "noResolvedUsers", "One or more users could not be resolved.", Reason.REPLICATION),
    (SHARING_ITEMS, 400, "invalidRequest", "ONE OR MORE USERS COULD NOT BE RESOLVED.", Reason.REPLICATION),
    (SHARING_ITEMS, 400, "invalidRequest", "The request is malformed or incorrect.", Reason.GRAPH),
    (SHARING_ITEMS, 404, "itemNotFound", "The resource could not be found.", Reason.DESTINATION_ITEM),
    (SHARING_ITEMS, 423, "notAllowed", "The resource is locked.", Reason.GRAPH),
    (SHARING_ITEMS, 500, "generalException", "General exception while processing", Reason.GRAPH),
    (SHARING_ITEMS, 429, "activityLimitReached", "The app or user has been throttled.", Reason.GRAPH),
    (SHARING_ITEMS, 503, "serviceNotAvailable", "The service is not available.", Reason.GRAPH),
    (SHARING_ITEMS, 504, "UnknownError", "", Reason.GRAPH),
    (SHARING_ITEMS, 409, "resourceModified", "Save conflict.", Reason.GRAPH),
    (READING_ITEMS, 502, "", "", Reason.GRAPH),
]


@pytest.mark.parametrize(("area", "status", "code", "message", "reason"), LATER)
def test_what_passes_is_to_be_done_later(area: Area, status: int, code: str, message: str, reason: Reason) -> None:
    error = refusal(area, status, {}, body(code, message))
    assert isinstance(error, LaterError)
    assert error.reason is reason
    assert isinstance(error, NotThereError) == (status == 404)


REFUSED = [
    (SHARING_ITEMS, 403, body("accessDenied", "Access denied"), Reason.SHARING_DISABLED),
    (SHARING_ITEMS, 403, body("notAllowed", "Not allowed"), Reason.SHARING_DISABLED),
    (SHARING_ITEMS, 400, body("invalidRequest", "No", {"code": "sharingDisabled"}), Reason.SHARING_DISABLED),
    (
        SHARING_ITEMS,
        400,
        body("invalidRequest", "No", {"code": "x", "innererror": {"code": "sharingFailed"}}, key="innererror"),
        Reason.SHARING_DISABLED,
    ),
    (READING_ITEMS, 403, body("accessDenied", "Access denied"), Reason.GRAPH_REFUSED),
    (USERS, 403, body("Authorization_RequestDenied", "Insufficient privileges"), Reason.GRAPH_REFUSED),
    (USERS, 401, body("Unauthorized", ""), Reason.GRAPH_REFUSED),
    (USERS, 400, body("Request_UnsupportedQuery", "Unsupported"), Reason.GRAPH_REFUSED),
    (READING_ITEMS, 302, b"", Reason.GRAPH_REFUSED),
]


@pytest.mark.parametrize(("area", "status", "content", "reason"), REFUSED)
def test_what_does_not_pass_is_refused(area: Area, status: int, content: bytes, reason: Reason) -> None:
    error = refusal(area, status, {}, content)
    assert isinstance(error, RefusedError)
    assert error.reason is reason


def test_a_locked_item_is_known_by_its_inner_code_too() -> None:
    error = refusal(SHARING_ITEMS, 400, {}, body("notAllowed", "", {"code": "resourceLocked"}))
    assert isinstance(error, LaterError)


@pytest.mark.parametrize(
    ("area", "permission"),
    [(USERS, "User.Read.All"), (INVITING, "User.Invite.All"), (SHARING_ITEMS, "Files.ReadWrite.All")],
)
def test_a_denial_names_the_permission_that_may_be_missing(area: Area, permission: str) -> None:
    error = refusal(area, 403, {}, body("accessDenied", "Denied"))
    assert permission in str(error.detail)


@pytest.mark.parametrize("content", [b"<html><body>Bad Gateway</body></html>", b'{"error": {"code": "gen', b"", b"[]"])
def test_a_body_that_is_not_graph_s_goes_by_the_status(content: bytes) -> None:
    assert isinstance(refusal(USERS, 502, {}, content), LaterError)
    assert isinstance(refusal(USERS, 418, {}, content), RefusedError)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"Retry-After": "17"}, 17),
        ({"retry-after": "1.5"}, 1.5),
        ({"Retry-After": "17", "RateLimit-Reset": "40"}, 40),
        ({"Retry-After": "60", "RateLimit-Reset": "40"}, 60),
        ({"RateLimit-Reset": "9"}, 9),
        ({"Retry-After": "1e308"}, 86_400),
    ],
)
def test_the_longer_wait_counts_and_at_most_a_day(headers: dict[str, str], seconds: float) -> None:
    error = refusal(SHARING_ITEMS, 429, Headers(headers), b"")
    assert isinstance(error, LaterError)
    assert error.after == timedelta(seconds=seconds)


@pytest.mark.parametrize("value", ["0", "-3", "soon", "nan", "", "Sun, 06 Nov 1994 08:49:37 GMT"])
def test_a_wait_that_asks_for_nothing_is_none(value: str) -> None:
    error = refusal(SHARING_ITEMS, 429, Headers({"Retry-After": value}), b"")
    assert isinstance(error, LaterError)
    assert error.after is None


def test_a_wait_may_be_given_as_a_date() -> None:
    date = format_datetime(datetime.now(UTC) + timedelta(hours=2), usegmt=True)
    error = refusal(SHARING_ITEMS, 503, Headers({"Retry-After": date}), b"")
    assert isinstance(error, LaterError)
    assert error.after is not None
    assert timedelta(hours=1) < error.after <= timedelta(hours=2)


SECRETS = [
    "ann@fabrikam.com",
    "ann_fabrikam.com#EXT#@contoso.onmicrosoft.com",
    "ann%40fabrikam.com",
    '"ann lee"@fabrikam.com',
    "https://login.microsoftonline.com/redeem?rd=ticket",
]


@pytest.mark.parametrize("secret", SECRETS)
def test_no_address_and_no_link_stays_in_a_detail(secret: str) -> None:
    error = refusal(INVITING, 400, {}, body("Request_BadRequest", f"The value '{secret}' is wrong, says ({secret})."))
    detail = str(error.detail)
    for part in ("ann", "lee", "fabrikam", "ticket"):
        assert part not in detail
    assert "is wrong" in detail


@given(st.text())
def test_a_scrubbed_text_can_be_stored(text: str) -> None:
    clean = scrub(text)
    clean.encode("utf-8")
    assert "@" not in clean.replace("(address)", "")
    assert len(clean) <= 500


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["error", "code", "message", "innerError", "innererror"]), inner)
    ),
)
BODIES = (
    st.binary()
    | JSON.map(lambda value: json.dumps(value).encode())
    | JSON.map(lambda value: json.dumps({"error": value}).encode()[:-1])
    | JSON.map(lambda value: json.dumps({"error": {"code": value, "innerError": value, "message": value}}).encode())
)


@given(
    area=st.sampled_from([USERS, INVITING, READING_ITEMS, SHARING_ITEMS]),
    status=st.integers(100, 999),
    retry_after=st.text() | st.floats().map(str) | st.datetimes().map(format_datetime),
    reset=st.text() | st.integers().map(str),
    content=BODIES,
)
def test_whatever_graph_answers_there_is_an_error_for_it(
    area: Area, status: int, retry_after: str, reset: str, content: bytes
) -> None:
    error = refusal(area, status, {"Retry-After": retry_after, "RateLimit-Reset": reset}, content)
    assert isinstance(error, LaterError | RefusedError)
    str(error.detail).encode("utf-8")


def test_a_body_nested_beyond_reason_is_no_accident() -> None:
    assert isinstance(refusal(USERS, 500, {}, b'{"error":' * 200_000), LaterError)


def test_a_call_without_an_answer_is_to_be_done_later() -> None:
    error = unreached(TimeoutError("https://graph.microsoft.com/v1.0/users?$filter=mail eq 'ann@fabrikam.com'"))
    assert (error.reason, error.detail) == (Reason.GRAPH, "TimeoutError")

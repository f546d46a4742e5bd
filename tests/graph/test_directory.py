"""Guests and invitations, against the simulated tenant."""

from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs

import pytest
from aiohttp import web

from shared.domain.identity import Account, UserType
from shared.domain.reasons import Reason
from shared.domain.trouble import LaterError, RefusedError
from shared.entra.directory import EntraDirectory
from shared.graph.client import Graph
from tests.graph.conftest import Tenant, odd_graph


@pytest.fixture
def directory(graph: Graph) -> EntraDirectory:
    """The adapter under test."""
    return EntraDirectory(graph, "https://contoso.sharepoint.com/sites/welcome")


def guest(mail: str, **more: Any) -> dict[str, Any]:
    """A guest who accepted."""
    return {"id": f"id-of-{mail}", "mail": mail, "externalUserState": "Accepted", **more}


HARD = ["ann@fabrikam.com", "o'neil@fabrikam.com", "a+b@fabrikam.com", "jörg.ß@fabrikam.com", "d&e=f#g@fabrikam.com"]


@pytest.mark.parametrize("address", HARD)
@pytest.mark.parametrize(
    "place",
    [
        lambda a: {"mail": a.upper() if a.isascii() else a},
        lambda a: {"mail": "x@other.com", "otherMails": ["y@other.com", a]},
        lambda a: {"mail": "x@other.com", "proxyAddresses": ["SMTP:x@other.com", f"smtp:{a}"]},
        lambda a: {"mail": "x@other.com", "proxyAddresses": [f"SMTP:{a}"]},
        lambda a: {"mail": "x@other.com", "userPrincipalName": a},
        lambda a: {"mail": "x@other.com", "userPrincipalName": a.replace("@", "_") + "#EXT#@contoso.onmicrosoft.com"},
    ],
)
async def test_an_account_is_found_wherever_entra_keeps_the_address(
    directory: EntraDirectory, tenant: Tenant, address: str, place: Any
) -> None:
    other = guest(f"not-{address}")
    await tenant.control("seed", users=[{**guest("ignored"), "id": "wanted", **place(address)}, other])
    assert [account.object_id for account in await directory.find(address)] == ["wanted"]


async def test_finding_is_one_query_of_what_is_needed(directory: EntraDirectory, tenant: Tenant) -> None:
    assert await directory.find("o'neil@fabrikam.com") == []
    (exchange,) = await tenant.exchanges()
    assert exchange["path"].replace("//", "/") == "/v1.0/users"
    assert "#" not in exchange["query"]
    query = parse_qs(exchange["query"])
    assert query["$filter"] == [
        "mail eq 'o''neil@fabrikam.com'"
        " or otherMails/any(a:a eq 'o''neil@fabrikam.com')"
        " or proxyAddresses/any(a:a eq 'smtp:o''neil@fabrikam.com')"
        " or userPrincipalName eq 'o''neil@fabrikam.com'"
        " or startsWith(userPrincipalName,'o''neil_fabrikam.com#EXT#@')"
    ]
    assert query["$select"] == [
        "id,userType,externalUserState,accountEnabled,mail,otherMails,proxyAddresses,userPrincipalName"
    ]
    assert "ConsistencyLevel" not in exchange["requestHeaders"]


async def test_an_account_found_in_several_places_is_one(directory: EntraDirectory, tenant: Tenant) -> None:
    await tenant.control("seed", users=[guest("ann@fabrikam.com", otherMails=["ann@fabrikam.com"])])
    assert len(await directory.find("ann@fabrikam.com")) == 1


async def test_two_accounts_with_one_address_are_both_found(directory: EntraDirectory, tenant: Tenant) -> None:
    users = [guest("ann@fabrikam.com"), guest("a.lee@fabrikam.com", otherMails=["ann@fabrikam.com"])]
    await tenant.control("seed", users=users)
    assert {account.object_id for account in await directory.find("ann@fabrikam.com")} == {u["id"] for u in users}


@pytest.mark.parametrize(
    ("user", "account"),
    [
        ({"externalUserState": "PendingAcceptance"}, {"user_type": UserType.GUEST, "pending": True}),
        ({"externalUserState": "Accepted"}, {"user_type": UserType.GUEST}),
        ({"externalUserState": None}, {"user_type": UserType.GUEST}),
        ({"accountEnabled": False}, {"user_type": UserType.GUEST, "enabled": False}),
        ({"userType": "Member", "externalUserState": None}, {"user_type": UserType.MEMBER}),
    ],
)
async def test_an_account_s_state_is_read(
    directory: EntraDirectory, tenant: Tenant, user: dict[str, Any], account: dict[str, Any]
) -> None:
    await tenant.control("seed", users=[{**guest("ann@fabrikam.com"), "id": "1", **user}])
    assert await directory.find("ann@fabrikam.com") == [Account(object_id="1", **account)]


async def test_what_the_directory_returns_too_much_is_left_out_and_pages_are_followed() -> None:
    def answer(request: web.Request) -> web.Response:
        if "$skiptoken" in request.query:
            return web.json_response({"value": [{"id": "2", "mail": "ANN@fabrikam.com", "userType": None}]})
        rows = [{"id": "1", "mail": "änn@fabrikam.com", "otherMails": None, "proxyAddresses": ["SMTP:anna@x.com"]}]
        link = f"http://{request.host}/v1.0/users?$skiptoken=2"
        return web.json_response({"value": rows, "@odata.nextLink": link})

    async with odd_graph(answer) as (graph, _, _):
        found = await EntraDirectory(graph, "").find("ann@fabrikam.com")
    assert found == [Account(object_id="2", user_type=UserType.MEMBER)]


@pytest.mark.parametrize("mail", [True, False])
async def test_an_invitation_is_made(directory: EntraDirectory, tenant: Tenant, mail: bool) -> None:
    invited = await directory.invite("ann@fabrikam.com", "Ann Lee", mail=mail, language="de")
    (exchange,) = await tenant.exchanges("POST")
    assert exchange["requestBody"] == {
        "invitedUserEmailAddress": "ann@fabrikam.com",
        "invitedUserDisplayName": "Ann Lee",
        "inviteRedirectUrl": "https://contoso.sharepoint.com/sites/welcome",
        "sendInvitationMessage": mail,
        **({"invitedUserMessageInfo": {"messageLanguage": "de"}} if mail else {}),
    }
    state = await tenant.read("state")
    assert state["invitations"][0]["id"] == invited.invitation_id
    assert state["users"][0]["id"] == invited.object_id
    assert "ticket=" in invited.redeem_url
    assert len(state["mails"]) == mail
    assert [account.pending for account in await directory.find("ann@fabrikam.com")] == [True]


async def test_an_unknown_name_is_left_to_entra(directory: EntraDirectory, tenant: Tenant) -> None:
    await directory.invite("ann@fabrikam.com", None, mail=False)
    (exchange,) = await tenant.exchanges("POST")
    assert "invitedUserDisplayName" not in exchange["requestBody"]


async def test_a_pending_guest_invited_again_is_the_same_guest(directory: EntraDirectory) -> None:
    first = await directory.invite("ann@fabrikam.com", None, mail=False)
    second = await directory.invite("ann@fabrikam.com", None, mail=False)
    assert second.object_id == first.object_id
    assert second.redeem_url != first.redeem_url


@pytest.mark.parametrize(
    ("settings", "address", "reason"),
    [
        ({"blockedDomains": ["fabrikam.com"]}, "ann@fabrikam.com", Reason.DOMAIN_BLOCKED),
        ({"allowedDomains": ["other.com"]}, "ann@fabrikam.com", Reason.DOMAIN_BLOCKED),
        ({"crossTenantBlockedDomains": ["fabrikam.com"]}, "ann@fabrikam.com", Reason.DOMAIN_BLOCKED),
        ({"allowInvitesFrom": "none"}, "ann@fabrikam.com", Reason.INVITING_NOT_ALLOWED),
        ({"groupAddresses": ["all@fabrikam.com"]}, "all@fabrikam.com", Reason.ADDRESS_NOT_INVITABLE),
        ({"unreachableAddresses": ["ann@fabrikam.com"]}, "ann@fabrikam.com", Reason.UNDELIVERABLE),
        ({}, "a+b@fabrikam.com", Reason.ADDRESS_NOT_INVITABLE),
        ({}, "nobody@contoso.com", Reason.ADDRESS_NOT_INVITABLE),
        ({}, "member@contoso.com", Reason.EXISTING_ACCOUNT),
        ({}, "blocked@contoso.com", Reason.ACCOUNT_DISABLED),
    ],
)
async def test_the_tenant_s_refusals_have_reasons(
    directory: EntraDirectory, tenant: Tenant, settings: dict[str, Any], address: str, reason: Reason
) -> None:
    members = [
        {"id": "m1", "mail": "member@contoso.com", "userType": "Member"},
        {"id": "m2", "mail": "blocked@contoso.com", "userType": "Member", "accountEnabled": False},
    ]
    await tenant.control("seed", users=members, policies=settings)
    with pytest.raises(RefusedError) as caught:
        await directory.invite(address, None, mail=False)
    assert caught.value.reason is reason
    assert address not in str(caught.value.detail)


async def test_an_invitation_with_an_error_or_without_ids_is_none() -> None:
    answers: list[dict[str, Any]] = [
        {"id": "1", "status": "Error", "invitedUser": {"id": "2"}, "inviteRedeemUrl": "https://x"},
        {"id": "1", "status": "InProgress", "invitedUser": None, "inviteRedeemUrl": "https://x"},
    ]
    async with odd_graph(lambda _: web.json_response(answers.pop(0), status=201)) as (graph, _, _):
        directory = EntraDirectory(graph, "https://example.com")
        with pytest.raises(RefusedError) as refused:
            await directory.invite("ann@fabrikam.com", None, mail=False)
        assert refused.value.reason is Reason.INVITATION_REFUSED
        with pytest.raises(LaterError):
            await directory.invite("ann@fabrikam.com", None, mail=False)


async def test_a_504_on_an_invitation_is_later_and_a_look_shows_the_guest(
    directory: EntraDirectory, tenant: Tenant
) -> None:
    await tenant.control("faults", match={"method": "POST"}, kind="504-after-effect")
    with pytest.raises(LaterError):
        await directory.invite("ann@fabrikam.com", None, mail=True)
    assert len(await tenant.exchanges("POST")) == 1
    assert [account.pending for account in await directory.find("ann@fabrikam.com")] == [True]


async def test_acceptance_is_listed_from_the_watermark_on(directory: EntraDirectory, tenant: Tenant) -> None:
    early = await directory.invite("ann@fabrikam.com", None, mail=False)
    late = await directory.invite("bob@fabrikam.com", None, mail=False)
    await directory.invite("never@fabrikam.com", None, mail=False)
    await tenant.control("accept", mail="ann@fabrikam.com")
    (first,) = await directory.accepted_since(None)
    assert (first.object_id, first.changed_at is not None) == (early.object_id, True)
    assert first.changed_at is not None
    await tenant.control("clock", seconds=3600)
    await tenant.control("accept", mail="bob@fabrikam.com")

    since = await directory.accepted_since(first.changed_at + timedelta(minutes=10))
    assert [accepted.object_id for accepted in since] == [late.object_id]
    at_the_mark = await directory.accepted_since(first.changed_at)
    assert {accepted.object_id for accepted in at_the_mark} == {early.object_id, late.object_id}

    every, query, _ = [parse_qs(e["query"]) for e in await tenant.exchanges("GET")]
    assert every["$filter"] == ["externalUserState eq 'Accepted'"]
    stamp = (first.changed_at + timedelta(minutes=10)).strftime("%Y-%m-%dT%H:%M:%SZ")
    assert query["$filter"] == [f"externalUserStateChangeDateTime ge {stamp}"]
    assert query["$select"] == ["id,mail,accountEnabled,externalUserState,externalUserStateChangeDateTime"]
    assert query["$top"] == ["999"]


async def test_the_account_that_accepted_is_told(directory: EntraDirectory, tenant: Tenant) -> None:
    for mail in ("ann@fabrikam.com", "bob@fabrikam.com"):
        await directory.invite(mail, None, mail=False)
    await tenant.control("accept", mail="ann@fabrikam.com")
    await tenant.control("accept", mail="bob@fabrikam.com", account="Robert@Home.example")
    accepted = await directory.accepted_since(None)
    assert [who.address for who in accepted] == ["ann@fabrikam.com", "robert@home.example"]


async def test_every_guest_is_listed_as_it_stands(directory: EntraDirectory, tenant: Tenant) -> None:
    users = [
        guest("ann@fabrikam.com"),
        guest("bob@fabrikam.com", accountEnabled=False),
        guest("carl@fabrikam.com", externalUserState="PendingAcceptance"),
        {"mail": "member@contoso.com", "userType": "Member"},
    ]
    await tenant.control("seed", users=users)
    listed = {one.object_id: (one.enabled, one.accepted is not None) for one in await directory.guests()}
    assert listed == {
        "id-of-ann@fabrikam.com": (True, True),
        "id-of-bob@fabrikam.com": (False, True),
        "id-of-carl@fabrikam.com": (True, False),
    }


async def test_a_watermark_is_sent_in_utc_and_states_that_are_not_accepted_are_left_out() -> None:
    rows = [
        {"id": "1", "externalUserState": "PendingAcceptance"},
        {"id": "2", "externalUserState": "Accepted", "externalUserStateChangeDateTime": "2026-11-22T06:00:00.1234567Z"},
        {"id": "3", "externalUserState": None},
        {"id": "2", "externalUserState": "Accepted", "externalUserStateChangeDateTime": "2026-11-22T06:00:00Z"},
    ]
    async with odd_graph(lambda _: web.json_response({"value": rows})) as (graph, seen, _):
        watermark = datetime.fromisoformat("2026-11-22T05:30:00.9+02:00")
        accepted = await EntraDirectory(graph, "").accepted_since(watermark)
    assert [(a.object_id, a.changed_at) for a in accepted] == [("2", datetime(2026, 11, 22, 6, tzinfo=UTC))]
    assert seen[0].query["$filter"].endswith("ge 2026-11-22T03:30:00Z")

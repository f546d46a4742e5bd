"""The simulated directory judges requests as strictly as Microsoft Entra does."""

import re
from typing import Any

import pytest

from tests.local.tenant.client import DRIVE, SECRET, Client, managed_identity_token, refusal

# Tokens.


async def test_a_call_needs_a_live_token_of_graph(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IDENTITY_ENDPOINT", f"{client.http.base_url}/msi/token")
    monkeypatch.setenv("IDENTITY_HEADER", SECRET)
    foreign = await managed_identity_token("https://storage.azure.com/.default")
    for headers in ({}, {"Authorization": "Bearer made-up"}, {"Authorization": f"Bearer {foreign}"}):
        answer = await client.http.get("/v1.0/users", headers=headers)
        assert refusal(answer) == (401, "InvalidAuthenticationToken")
        assert answer.headers["request-id"] == answer.json()["error"]["innerError"]["request-id"]
    assert (await client.graph("GET", "/users")).status_code == 200


async def test_the_identity_endpoint_wants_its_secret(client: Client) -> None:
    query = {"api-version": "2019-08-01", "resource": "https://graph.microsoft.com"}
    answer = await client.http.get("/msi/token", params=query, headers={"X-IDENTITY-HEADER": "wrong"})
    assert answer.status_code == 401


# Users.


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("mail eq 'BOB@fabrikam.com'", {"u-bob"}),
        ("mail eq 'x' or otherMails/any(m:m eq 'd''ora@home.example')", {"u-dora"}),
        ("proxyAddresses/any(p:p eq 'smtp:carl@fabrikam.com')", {"u-carl"}),
        ("startswith(mail,'bob@') or startsWith(mail,'carl')", {"u-bob", "u-carl"}),
        ("proxyAddresses/any(p:startswith(p,'smtp:b'))", {"u-bob"}),
        ("id in ('u-bob','u-anna')", {"u-bob", "u-anna"}),
        ("userType eq 'Guest' and (mail eq 'bob@fabrikam.com' or mail eq 'anna@contoso.com')", {"u-bob"}),
        ("mail eq 'anna@contoso.com' or mail eq 'bob@fabrikam.com' and userType eq 'Member'", {"u-anna"}),
        ("externalUserState eq 'Accepted'", {"u-bob"}),
        ("externalUserStateChangeDateTime ge 2020-01-01T00:00:00Z", {"u-bob", "u-carl"}),
        ("externalUserStateChangeDateTime le 2020-01-01T00:00:00Z", set()),
        ("userPrincipalName eq 'bob_fabrikam.com#EXT#@contoso.onmicrosoft.com'", {"u-bob"}),
        ("accountEnabled eq false", set()),
    ],
)
async def test_filters(client: Client, text: str, found: set[str]) -> None:
    answer = await client.users(text)
    assert {user["id"] for user in answer.json()["value"]} == found


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("nickname eq 'x'", "BadRequest"),
        ("mail eq 'x", "BadRequest"),
        ("mail eq 5", "BadRequest"),
        ("mail eq true", "BadRequest"),
        ("(mail eq 'x'", "BadRequest"),
        ("mail eq 'x' mail eq 'y'", "BadRequest"),
        ("mail ne 'x'", "Request_UnsupportedQuery"),
        ("not(mail eq 'x')", "Request_UnsupportedQuery"),
        ("endsWith(mail,'x')", "Request_UnsupportedQuery"),
        ("createdDateTime ge 2020-01-01T00:00:00Z", "Request_UnsupportedQuery"),
        ("externalUserState eq null", "Request_UnsupportedQuery"),
        ("proxyAddresses/any(p:p ge 'smtp:a')", "Request_UnsupportedQuery"),
        ("otherMails eq 'x'", "Request_UnsupportedQuery"),
        ("jobTitle eq 'x'", "Request_UnsupportedQuery"),
        ("identities/any(c:c/issuer eq 'x')", "BadRequest"),
        (" or ".join(f"mail eq '{n}'" for n in range(16)), "Request_UnsupportedQuery"),
        ("id in (" + ",".join(f"'{n}'" for n in range(16)) + ")", "Request_UnsupportedQuery"),
    ],
)
async def test_refused_filters(client: Client, text: str, code: str) -> None:
    assert refusal(await client.users(text)) == (400, code)


async def test_fifteen_or_clauses_are_allowed(client: Client) -> None:
    answer = await client.users(" or ".join(f"mail eq '{n}'" for n in range(15)))
    assert answer.json()["value"] == []


async def test_advanced_queries_need_the_header_and_the_count(client: Client) -> None:
    text, eventual = "endsWith(mail,'@fabrikam.com')", {"ConsistencyLevel": "eventual"}
    query = {"$filter": text, "$select": "id"}
    assert (await client.graph("GET", "/users", params=query, headers=eventual)).status_code == 400
    assert refusal(await client.users(text, **{"$count": "true"})) == (400, "Request_BadRequest")
    answer = await client.graph("GET", "/users", params={**query, "$count": "true"}, headers=eventual)
    assert answer.json()["@odata.count"] == 2
    assert [user["id"] for user in answer.json()["value"]] == ["u-bob", "u-carl"]


async def test_select_returns_exactly_what_is_selected(client: Client) -> None:
    plain = (await client.graph("GET", "/users/u-bob")).json()
    assert plain["mail"] == "bob@fabrikam.com"
    assert "externalUserState" not in plain
    answer = await client.graph("GET", "/users/u-bob", params={"$select": "externalUserState"})
    assert {key for key in answer.json() if key[0] != "@"} == {"externalUserState"}
    assert (await client.graph("GET", "/users", params={"$select": "nickname"})).status_code == 400


async def test_user_by_principal_name_and_unknown_user(client: Client) -> None:
    answer = await client.graph("GET", "//users/bob_fabrikam.com%23EXT%23@contoso.onmicrosoft.com")
    assert answer.json()["id"] == "u-bob"
    assert refusal(await client.graph("GET", "/users/nobody")) == (404, "Request_ResourceNotFound")


async def test_users_are_paged_by_absolute_links(client: Client) -> None:
    answer = await client.graph("GET", "/users", params={"$top": "3", "$select": "id"})
    body = answer.json()
    assert body["@odata.nextLink"].startswith(str(client.http.base_url))
    rest = (await client.http.get(body["@odata.nextLink"], headers=client.auth)).json()
    assert [user["id"] for user in body["value"] + rest["value"]] == ["u-anna", "u-bob", "u-carl", "u-dora"]
    assert "@odata.nextLink" not in rest
    assert (await client.graph("GET", "/users", params={"$top": "1000"})).status_code == 400
    assert (await client.graph("GET", "/users", params={"$skip": "1"})).status_code == 400


# Invitations.


async def test_invitation_makes_a_pending_guest(client: Client) -> None:
    answer = await client.invite("Eva@fabrikam.com")
    body = answer.json()
    assert (answer.status_code, body["status"]) == (201, "PendingAcceptance")
    assert body["id"] != body["invitedUser"]["id"]
    select = "userPrincipalName,externalUserState,creationType,userType"
    user = (await client.graph("GET", f"/users/{body['invitedUser']['id']}", params={"$select": select})).json()
    assert user["userPrincipalName"] == "Eva_fabrikam.com#EXT#@contoso.onmicrosoft.com"
    assert (user["externalUserState"], user["creationType"], user["userType"]) == (
        "PendingAcceptance",
        "Invitation",
        "Guest",
    )


async def test_mail_is_sent_only_when_asked_and_without_the_custom_message(client: Client) -> None:
    await client.invite("eva@fabrikam.com")
    assert (await client.read("state"))["mails"] == []
    message = {"customizedMessageBody": "Dear Eva, welcome"}
    await client.invite("eva@fabrikam.com", sendInvitationMessage=True, invitedUserMessageInfo=message)
    state = await client.read("state")
    assert [mail["to"] for mail in state["mails"]] == ["eva@fabrikam.com"]
    assert "Dear Eva" not in str(state["mails"])
    assert state["invitationCounts"] == {"eva@fabrikam.com": 2}


async def test_pending_guest_invited_again_keeps_the_id_and_gets_a_fresh_url(client: Client) -> None:
    first, second = (await client.invite("eva@fabrikam.com")).json(), (await client.invite("EVA@fabrikam.com")).json()
    assert first["invitedUser"]["id"] == second["invitedUser"]["id"]
    assert first["inviteRedeemUrl"] != second["inviteRedeemUrl"]


async def test_accepted_guest_invited_again_is_completed(client: Client) -> None:
    answer = await client.invite("bob@fabrikam.com")
    assert (answer.status_code, answer.json()["status"]) == (201, "Completed")
    assert answer.json()["invitedUser"]["id"] == "u-bob"


@pytest.mark.parametrize(
    "address",
    ["a+b@x.com", "a b@x.com", ".a@x.com", "a-@x.com", "a@x@y.com", "a'b@x.com", "a", "a@localhost", "<a@x.com>"],
)
async def test_forbidden_addresses(client: Client, address: str) -> None:
    assert refusal(await client.invite(address)) == (400, "BadRequest")


async def test_an_underscore_may_stand_anywhere(client: Client) -> None:
    assert (await client.invite("_a_@fabrikam.com")).status_code == 201


@pytest.mark.parametrize(
    ("settings", "address", "text"),
    [
        ({}, "anna@contoso.com", "already exists in the directory as object ID: u-anna. They can use"),
        ({}, "new@contoso.com", "verified domain of this directory"),
        ({}, "new@contoso.onmicrosoft.com", "Invitee is in inviter tenant"),
        ({"groupAddresses": ["all@fabrikam.com"]}, "all@fabrikam.com", "Group email address is not supported"),
        ({"allowInvitesFrom": "none"}, "eva@fabrikam.com", "Guest invitations not allowed for your company"),
        ({"allowInvitesFrom": "adminsAndGuestInviters"}, "eva@fabrikam.com", "Guest invitations not allowed"),
        ({"blockedDomains": ["fabrikam.com"]}, "eva@fabrikam.com", "blocked"),
        ({"allowedDomains": ["tailspin.com"]}, "eva@fabrikam.com", "blocked"),
        ({"crossTenantBlockedDomains": ["fabrikam.com"]}, "eva@fabrikam.com", "cross-tenant access settings"),
    ],
)
async def test_refused_invitations(client: Client, settings: dict[str, Any], address: str, text: str) -> None:
    await client.control("settings", settings)
    answer = await client.invite(address)
    assert answer.status_code == 400
    assert text in answer.json()["error"]["message"]
    assert (await client.read("state"))["invitations"] == []


async def test_a_blocked_account_is_named_as_blocked(client: Client) -> None:
    user = {"id": "u-old", "mail": "old@contoso.com", "userType": "Member", "accountEnabled": False}
    await client.control("seed", {"users": [user]})
    message = (await client.invite("old@contoso.com")).json()["error"]["message"]
    assert "object ID: u-old, but the account is blocked from signing in" in message


async def test_invitation_bodies_are_judged(client: Client) -> None:
    assert (await client.graph("POST", "/invitations", json={"inviteRedirectUrl": "https://x"})).status_code == 400
    assert (await client.invite("eva@fabrikam.com", inviteRedirectUrl="nowhere")).status_code == 400
    assert (await client.invite("eva@fabrikam.com", sendMail=True)).status_code == 400
    assert (await client.invite("eva@fabrikam.com", sendInvitationMessage="yes")).status_code == 400
    assert (await client.invite("eva@fabrikam.com", resetRedemption=True)).status_code == 400
    assert refusal(await client.invite("eva@fabrikam.com", invitedUserType="Member"))[0] == 403
    assert (await client.graph("POST", "/invitations", content=b"{")).status_code == 400
    assert (await client.graph("GET", "/invitations")).status_code == 405


async def test_reset_redemption_makes_the_guest_pending_again(client: Client) -> None:
    answer = await client.invite("bob@fabrikam.com", resetRedemption=True, invitedUser={"id": "u-bob"})
    assert (answer.json()["status"], answer.json()["invitedUser"]["id"]) == ("PendingAcceptance", "u-bob")


async def test_unreachable_address_and_a_guest_who_never_appears(client: Client) -> None:
    await client.control(
        "settings",
        {"unreachableAddresses": ["gone@fabrikam.com"], "neverAppearingAddresses": ["ghost@fabrikam.com"]},
    )
    assert refusal(await client.invite("gone@fabrikam.com")) == (500, "InternalServerError")
    answer = await client.invite("ghost@fabrikam.com")
    await client.control("clock", {"seconds": 86_400 * 30})
    user_id = answer.json()["invitedUser"]["id"]
    assert (answer.status_code, (await client.graph("GET", f"/users/{user_id}")).status_code) == (201, 404)


# Replication and acceptance.


async def test_a_new_guest_replicates_late_and_separately(client: Client) -> None:
    await client.control("settings", {"directoryLagSeconds": 60, "sharePointLagSeconds": 600})
    user_id = (await client.invite("eva@fabrikam.com")).json()["invitedUser"]["id"]
    assert (await client.graph("GET", f"/users/{user_id}")).status_code == 404
    assert (await client.users("mail eq 'eva@fabrikam.com'")).json()["value"] == []
    await client.control("clock", {"seconds": 61})
    assert (await client.users("mail eq 'eva@fabrikam.com'")).json()["value"] == [{"id": user_id}]
    assert refusal(await client.grant("i-plan", user_id)) == (400, "noResolvedUsers")
    await client.control("clock", {"seconds": 600})
    assert (await client.grant("i-plan", user_id)).status_code == 200


async def test_acceptance_shows_after_its_lag(client: Client) -> None:
    await client.control("settings", {"acceptanceLagSeconds": 60})
    await client.control("accept", {"mail": "carl@fabrikam.com"})
    accepted = "externalUserState eq 'Accepted' and externalUserStateChangeDateTime ge 2020-01-01T00:00:00Z"
    assert (await client.users(accepted)).json()["value"] == [{"id": "u-bob"}]
    await client.control("clock", {"seconds": 61})
    assert (await client.users(accepted)).json()["value"] == [{"id": "u-bob"}, {"id": "u-carl"}]


async def test_a_grant_to_a_pending_guest_vanishes_at_acceptance(client: Client) -> None:
    await client.grant("i-plan", "u-carl", "u-bob")
    assert {"carl@fabrikam.com", "bob@fabrikam.com"} <= (await client.entries("i-plan")).keys()
    await client.control("accept", {"mail": "carl@fabrikam.com"})
    entries = await client.entries("i-plan")
    assert "carl@fabrikam.com" not in entries
    assert "bob@fabrikam.com" in entries
    await client.grant("i-plan", "u-carl")
    await client.control("accept", {"mail": "carl@fabrikam.com"})
    assert "carl@fabrikam.com" in await client.entries("i-plan")


async def test_a_person_redeems_in_the_browser(client: Client) -> None:
    url = (await client.invite("eva@fabrikam.com")).json()["inviteRedeemUrl"]
    page = await client.http.get(url)
    assert "eva@fabrikam.com" in page.text
    ticket = re.findall(r'name="ticket" value="([^"]+)"', page.text)[0]
    done = await client.http.post("/redeem", data={"ticket": ticket})
    assert "https://contoso.sharepoint.com/x" in done.text
    answer = await client.users("mail eq 'eva@fabrikam.com'", **{"$select": "externalUserState"})
    assert answer.json()["value"] == [{"externalUserState": "Accepted"}]
    assert (await client.http.get("/redeem", params={"ticket": "made-up"})).status_code == 404


async def test_redeeming_with_another_account_leaves_a_trace(client: Client) -> None:
    url = (await client.invite("eva@fabrikam.com")).json()["inviteRedeemUrl"]
    await client.http.post("/redeem", data={"ticket": url.partition("ticket=")[2], "account": "eva@home.example"})
    answer = await client.users("otherMails/any(m:m eq 'eva@fabrikam.com')", **{"$select": "mail"})
    assert answer.json()["value"] == [{"mail": "eva@home.example"}]


async def test_a_domain_blocked_since_cannot_redeem(client: Client) -> None:
    url = (await client.invite("eva@fabrikam.com")).json()["inviteRedeemUrl"]
    await client.control("settings", {"blockedDomains": ["fabrikam.com"]})
    assert (await client.http.post("/redeem", data={"ticket": url.partition("ticket=")[2]})).status_code == 400
    assert (await client.users("mail eq 'eva@fabrikam.com' and externalUserState eq 'Accepted'")).json()["value"] == []


async def test_pages_escape_what_they_show(client: Client) -> None:
    items = [{"path": "/<b>bold"}]
    await client.control("items", {"drive": DRIVE, "add": items})
    await client.invite("eva@fabrikam.com", sendInvitationMessage=True)
    tree, mailbox = (await client.http.get("/")).text, (await client.http.get("/mailbox")).text
    assert "&lt;b&gt;bold" in tree
    assert "<b>bold" not in tree
    assert "/redeem?ticket=" in mailbox

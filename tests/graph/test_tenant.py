"""What the tenant tells about itself, and what of it may not be read."""

import pytest

from shared.domain.preflight import Mailbox
from shared.entra.directory import EntraDirectory
from shared.graph.client import Graph
from tests.graph.conftest import Tenant

SENDER = "invitations@contoso.com"


def directory(graph: Graph, client_id: str | None = "app") -> EntraDirectory:
    """The adapter, as the app of that client id."""
    return EntraDirectory(graph, "https://contoso.sharepoint.com", client_id)


async def test_the_settings_that_matter_are_read(graph: Graph, tenant: Tenant) -> None:
    await tenant.control(
        "seed",
        users=[{"mail": SENDER, "userType": "Member"}],
        policies={
            "allowInvitesFrom": "adminsAndGuestInviters",
            "sharingCapability": "existingExternalUserSharingOnly",
            "sharingDomainRestrictionMode": "blockList",
            "sharingBlockedDomainList": ["competitor.example"],
            "resharingByExternalUsers": True,
            "acceptingUserMustMatch": False,
        },
    )
    found = await directory(graph).inspect(SENDER)
    assert found.invites_from == "adminsAndGuestInviters"
    assert found.verified_domains == ("contoso.onmicrosoft.com", "contoso.com")
    assert (found.sharing, found.restriction) == ("existingExternalUserSharingOnly", "blockList")
    assert found.blocked_domains == ("competitor.example",)
    assert (found.resharing, found.must_match) == (True, False)
    assert found.permissions is not None
    assert {"Mail.Send", "User.Invite.All"} <= set(found.permissions)
    assert found.mailbox is Mailbox.READY


async def test_a_mailbox_that_does_not_exist_is_missing(graph: Graph, tenant: Tenant) -> None:
    assert (await directory(graph).inspect("nobody@contoso.com")).mailbox is Mailbox.MISSING
    assert (await directory(graph).inspect(None)).mailbox is None


@pytest.mark.parametrize(
    ("permission", "hidden"),
    [
        ("Policy.Read.All", {"invites_from"}),
        ("Organization.Read.All", {"verified_domains"}),
        ("Application.Read.All", {"permissions"}),
        ("SharePointTenantSettings.Read.All", {"sharing", "restriction", "resharing", "must_match"}),
    ],
)
async def test_what_may_not_be_read_is_unknown_and_the_rest_is_told(
    graph: Graph, tenant: Tenant, permission: str, hidden: set[str]
) -> None:
    settings = (await tenant.read("state"))["settings"]
    await tenant.control("settings", appPermissions=[p for p in settings["appPermissions"] if p != permission])
    found = await directory(graph).inspect(None)
    fields = {"invites_from", "verified_domains", "permissions", "sharing", "restriction", "resharing", "must_match"}
    assert {name for name in fields if getattr(found, name) is None} == hidden


async def test_without_the_app_s_id_its_permissions_are_unknown(graph: Graph, tenant: Tenant) -> None:
    assert (await directory(graph, None).inspect(None)).permissions is None

"""Who has something, as permission lists and the directory say together, and where it lies, through Graph's SDK."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest

from shared.domain.events import PrincipalKind
from shared.sources.microsoft365.items import DriveFacts
from shared.sources.microsoft365.permissions import understood
from tests.sources.microsoft365_samples import (
    ANN,
    BEN,
    GROUP_ID,
    OLGA,
    PAUL,
    SEED,
    Tenant,
    feeds,
    office365,
    onedrive,
    only,
    outside,
    poll,
    reading,
    running_tenant,
    scan,
)

PROJECT, PLAN = f"/{OLGA}/Projects/Alpha", f"/{OLGA}/Projects/plan.pdf"
MATTER = "/sites/Legal/Documents/Matter"


@pytest.fixture
async def tenant() -> AsyncIterator[Tenant]:
    async with running_tenant() as tenant:
        yield tenant


async def test_who_has_yet_to_accept_is_pending_until_then(tenant: Tenant) -> None:
    async with reading(tenant, onedrive) as source:
        await tenant.share(ANN, PROJECT, pending=True, sharer=PAUL)
        await tenant.share(BEN, PLAN, kind="file", by="link", pending=True)
        read = await scan(source)
        assert {fact.principal.address: fact.pending for fact in read.facts if fact.principal.address != OLGA} == {
            ANN: True,
            BEN: True,
        }
        assert only(read).sharer.address == PAUL
        await tenant.share(ANN, PROJECT, sharer=PAUL)
        await tenant.share(BEN, PLAN, kind="file", by="link")
        read = await scan(source)
        assert {fact.principal.address: fact.pending for fact in read.facts if fact.principal.address != OLGA} == {
            ANN: False,
            BEN: False,
        }
        assert (only(read).sharer.address, only(read).shared_at) == (PAUL, None)


async def test_blocked_and_deleted_guests_are_suspended(tenant: Tenant) -> None:
    await tenant.share(ANN, PROJECT)
    await tenant.share(BEN, PROJECT, by="link")
    await tenant.share("carl@fabrikam.com", PROJECT)
    await tenant.control("account", {"mail": ANN, "accountEnabled": False})
    await tenant.control("account", {"mail": BEN, "deleted": True})
    async with reading(tenant, onedrive) as source:
        read = await scan(source)
    suspended = {fact.principal.address: fact.principal.suspended for fact in read.facts}
    assert (suspended[ANN], suspended[BEN], suspended["carl@fabrikam.com"]) == (True, True, False)


async def test_people_are_looked_up_once_a_page_and_insiders_not_at_all(tenant: Tenant) -> None:
    for number in range(40):
        await tenant.share(f"guest{number % 20}@fabrikam.com", f"{PROJECT}/{number % 10}", kind="file")
        await tenant.share(PAUL, f"{PROJECT}/{number % 10}", kind="file")
    async with reading(tenant, onedrive) as source:
        await source.scan(None)
    lookups = [e["query"] for e in (await tenant.show("exchanges"))["value"] if "filter" in e["query"]]
    assert len(lookups) == 3  # twenty guests at fifteen a query, and the owner for the path
    assert "u-paul" not in "".join(lookups)


async def test_groups_are_expanded_through_groups(tenant: Tenant) -> None:
    seed: dict[str, Any] = {
        "users": [
            *SEED["users"],
            {"id": "u-ann", "mail": ANN, "externalUserState": "Accepted"},
            {"id": "u-ben", "mail": BEN, "externalUserState": "PendingAcceptance"},
            {"id": "u-in", "mail": "ina@contoso-brand.example", "userType": "Member"},
            {"id": "u-sus", "mail": "sus@fabrikam.com", "accountEnabled": False},
        ],
        "groups": [
            {"id": GROUP_ID, "displayName": "Partners", "members": ["u-paul", "u-in", "u-ann", "inner"]},
            {"id": "inner", "displayName": "Inner", "members": ["u-ann", "u-ben", "u-sus", GROUP_ID]},
        ],
    }
    await tenant.control("seed", seed)
    await tenant.share(f"group:{GROUP_ID}", MATTER, role="write")
    async with reading(tenant, office365) as source:
        members = [fact for fact in (await scan(source)).facts if fact.principal.group]
        assert {(f.principal.address, f.principal.group, f.pending, f.principal.suspended) for f in members} == {
            (ANN, "Partners", False, False),
            (BEN, "Partners", True, False),
            ("sus@fabrikam.com", "Partners", False, True),
        }
        assert len({fact.reference for fact in members}) == 1

        await tenant.control("settings", {"groupsHideMembers": True})
        groups = [fact for fact in (await scan(source)).facts if fact.principal.kind is PrincipalKind.GROUP]
        assert ("Partners", GROUP_ID) in {(fact.principal.name, fact.principal.source_id) for fact in groups}


async def test_a_link_for_anyone_and_its_removal(tenant: Tenant) -> None:
    await tenant.share("anyone", PROJECT, by="link", role="write")
    async with reading(tenant, onedrive) as source:
        read = await scan(source)
        (fact,) = [fact for fact in read.facts if fact.principal.kind is PrincipalKind.ANONYMOUS_LINK]
        assert (fact.item and fact.item.path, fact.role) == (PROJECT, "write")
        await tenant.act("remove", "anyone", PROJECT)
        kinds = {fact.principal.kind for fact in (await scan(source)).facts}
        assert PrincipalKind.ANONYMOUS_LINK not in kinds


async def test_the_end_of_a_link_is_carried(tenant: Tenant) -> None:
    ends = datetime(2030, 1, 1, tzinfo=UTC)
    await tenant.share(ANN, PROJECT, by="link", expires_at=ends.isoformat())
    async with reading(tenant, onedrive) as source:
        assert only(await scan(source)).expires_at == ends


async def test_roles_that_sharepoint_has_and_we_do_not_are_told_as_they_are(tenant: Tenant) -> None:
    await tenant.share(ANN, PROJECT, role="sp.restricted view")
    await tenant.share(BEN, PROJECT, by="link", role="blocksDownload")
    async with reading(tenant, onedrive) as source:
        assert outside(await scan(source)) == {(PROJECT, ANN): "sp.restricted view", (PROJECT, BEN): "blocksDownload"}


# Paths that are not certain.


async def test_a_library_of_the_root_site_that_is_named_like_a_room_of_sites_has_no_path(tenant: Tenant) -> None:
    await tenant.share(ANN, "/Public/x")
    await tenant.control("seed", SEED)
    await tenant.share(ANN, "/portals/Legal")
    async with reading(tenant, office365) as source:
        item = only(await scan(source)).item
    assert item is not None
    assert item.path is None


async def test_a_site_of_another_geography_has_no_path(tenant: Tenant) -> None:
    await tenant.share(ANN, MATTER)
    async with reading(tenant, office365) as source:
        for host, start in (("contoso", "/sites/Legal/Documents"), ("contosoeur", None)):
            ids = {"siteUrl": f"https://{host}.sharepoint.com/sites/Legal"}
            drive = understood(DriveFacts, {"id": "d", "name": "Documents", "sharePointIds": ids})
            assert await source.start_of_paths(drive) == start
        for left_out in ({"name": "Documents"}, {"sharePointIds": ids}, {"name": "a/b", "sharePointIds": ids}):
            assert await source.start_of_paths(understood(DriveFacts, {"id": "d", **left_out})) is None


async def test_a_onedrive_whose_owner_is_gone_has_no_path(tenant: Tenant) -> None:
    await tenant.share(ANN, PROJECT)
    async with reading(tenant, onedrive) as source:
        (feed,) = await feeds(source)
        cursor = (await source.poll(feed, None)).cursor
        await tenant.share(BEN, PROJECT)
        await tenant.control("account", {"mail": OLGA, "deleted": True})
        item = only(await poll(source, feed, cursor), BEN).item
    assert item is not None
    assert item.path is None


async def test_facts_have_the_time_when_reading_began_in_whole_seconds(tenant: Tenant) -> None:
    await tenant.share(ANN, PROJECT)
    began = datetime.now(UTC).replace(microsecond=0)
    async with reading(tenant, onedrive) as source:
        read = await scan(source)
    for one in read.sets.values():
        assert began <= one.at <= datetime.now(UTC)
        assert one.at.microsecond == 0
        assert {fact.at for fact in one.facts} <= {one.at}

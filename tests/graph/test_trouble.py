"""Graph trouble, from end to end: the workflows over the real adapters against the simulated tenant over HTTP.

Whatever Graph answers, each case ends in the right state, without a second grant, invitation or mail. A message that
waits is sent anew: an exception out of a handler would use up a delivery, and here it fails the test.
"""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from shared.domain.addresses import guest_key
from shared.domain.decision import explain
from shared.domain.events import Change, ShareEvent
from shared.domain.guests import GuestState
from shared.domain.platforms import Role
from shared.domain.reasons import Reason
from shared.domain.trouble import LaterError
from shared.entra.directory import EntraDirectory
from shared.graph.client import Graph
from shared.sharepoint.sites import SharePointSites
from shared.workflows.approvals import retry
from shared.workflows.invitations import poll_acceptance
from shared.workflows.ports import Sites
from tests.graph.conftest import Tenant
from tests.workflows.world import DRIVE, ITEMS, World, event

GUEST = "guest@partner.example"
OTHER = "other@partner.example"
KEY = guest_key(GUEST)
FAULTS_THAT_PASS = [
    "429",
    "503",
    "500",
    "504-after-effect",
    "200-without-effect",
    "404",
    "noResolvedUsers",
    "423",
    "html",
    "truncated",
]


FAULTS_OF_ANY_CALL = [kind for kind in FAULTS_THAT_PASS if kind != "noResolvedUsers"]


class GraphWorld(World):
    """The world in memory, but with Entra and SharePoint reached over HTTP; both clocks go forward together."""

    def __init__(self, tenant: Tenant, graph: Graph) -> None:
        super().__init__()
        self.clock.at = datetime.now(UTC)
        self.remote = tenant
        self.ports = replace(
            self.ports,
            directory=EntraDirectory(graph, "https://home.example/welcome"),
            sites=SharePointSites(graph),
        )

    async def drain(self) -> None:
        """Deliver messages until none is left, or until the guest would have to act."""
        for _ in range(200):
            before = self.clock.at
            waiting = self.take()
            if waiting is None:
                return
            await self.pass_time(self.clock.at - before)
            await self.handle(waiting.body, waiting.attempt)
        pytest.fail("the messages never come to an end")

    async def pass_time(self, by: timedelta) -> None:
        """Let time pass at the tenant, too."""
        if by > timedelta(0):
            await self.remote.control("clock", seconds=by.total_seconds())

    async def told(self, *events: ShareEvent) -> None:
        """Take events in and do all that follows."""
        for one in events:
            await self.handle(one)
        await self.drain()

    async def accepted(self, *addresses: str) -> None:
        """Guests accept; the poll notices; what waits follows."""
        for address in addresses:
            await self.remote.control("accept", mail=address)
        await poll_acceptance(self.ports)
        await self.drain()

    async def reasons(self, address: str = GUEST) -> dict[str, Reason]:
        """Where the guest's shares stand, by path."""
        book = await self.ledger.read(guest_key(address), None)
        return {s.item.path: explain(s, book.guest) for s in book.shares.values() if s.item and s.item.path}

    async def held(self) -> dict[tuple[str, str, str], str]:
        """The permissions of people that really are on items, without copies: (address, path, via) -> role."""
        rows = (await self.remote.read("permissions"))["value"]
        return {(r["mail"], r["path"], r["via"]): r["role"] for r in rows if r["mail"]}

    async def sent(self, ending: str) -> int:
        """How many requests with this ending were answered as done."""
        done = [e for e in await self.remote.exchanges("POST", ending) if e["status"] < 300 and not e["fault"]]
        return len(done)


@pytest.fixture
async def world(tenant: Tenant, graph: Graph) -> GraphWorld:
    items = [{"id": ident, "path": path} for path, ident in ITEMS.items()]
    await tenant.control("seed", drives=[{"id": DRIVE, "name": "Documents", "items": items}], users=[])
    return GraphWorld(tenant, graph)


def given(**changes: Any) -> ShareEvent:
    return event("e1", 1, preapproved=True, **changes)


async def fault(tenant: Tenant, path: str, kind: str, times: int = 1, method: str | None = "POST") -> None:
    await tenant.control("faults", match={"method": method, "pathRegex": path}, kind=kind, times=times, retryAfter=7)


@pytest.mark.parametrize("kind", FAULTS_THAT_PASS)
async def test_trouble_with_a_grant_passes(world: GraphWorld, tenant: Tenant, kind: str) -> None:
    await world.told(given())
    await fault(tenant, "/invite$", kind)
    await world.accepted(GUEST)
    assert await world.reasons() == {"/a": Reason.GRANTED}
    assert await world.held() == {(GUEST, "/a", "direct"): "read"}
    assert await world.sent("/invite") == (0 if kind in ("504-after-effect", "truncated") else 1)


@pytest.mark.parametrize("kind", FAULTS_OF_ANY_CALL)
async def test_trouble_with_reading_permissions_passes(world: GraphWorld, tenant: Tenant, kind: str) -> None:
    await world.told(given())
    await fault(tenant, "/permissions$", kind, times=2, method="GET")
    await world.accepted(GUEST)
    assert await world.reasons() == {"/a": Reason.GRANTED}
    assert await world.held() == {(GUEST, "/a", "direct"): "read"}
    assert await world.sent("/invite") == 1


@pytest.mark.parametrize("kind", FAULTS_OF_ANY_CALL)
async def test_trouble_with_a_removal_passes(world: GraphWorld, tenant: Tenant, kind: str) -> None:
    await world.told(given())
    await world.accepted(GUEST)
    await fault(tenant, "/permissions/", kind, method="DELETE")
    await world.told(event("e2", 2, Change.LOST))
    assert await world.reasons() == {"/a": Reason.REMOVED_AT_SOURCE}
    assert await world.held() == {}


@pytest.mark.parametrize("kind", ["429", "503", "500", "504-after-effect", "html", "truncated"])
async def test_trouble_with_an_invitation_makes_no_second_mail(world: GraphWorld, tenant: Tenant, kind: str) -> None:
    await tenant.control("settings", directoryLagSeconds=20)
    await fault(tenant, "/invitations$", kind)
    await world.told(given(), event("e2", 2, path="/c", preapproved=True))
    state = await tenant.read("state")
    assert [user["mail"] for user in state["users"]] == [GUEST]
    assert len(state["mails"]) == 1
    guest = (await world.ledger.read(KEY, [])).guest
    assert guest.state is GuestState.INVITED
    assert guest.invitation is not None
    assert guest.invitation.redeem_url is not None
    await world.pass_time(timedelta(minutes=1))
    await world.accepted(GUEST)
    assert await world.reasons() == {"/a": Reason.GRANTED, "/c": Reason.GRANTED}


@pytest.mark.parametrize("kind", ["429", "503", "html"])
async def test_trouble_with_the_directory_loses_no_event(world: GraphWorld, tenant: Tenant, kind: str) -> None:
    await fault(tenant, "/users$", kind, times=3, method="GET")
    await world.told(given())
    assert await world.reasons() == {"/a": Reason.ACCEPTANCE}


async def test_a_guest_whom_sharepoint_does_not_know_yet_is_waited_for(world: GraphWorld, tenant: Tenant) -> None:
    await tenant.control("settings", sharePointLagSeconds=3600)
    await world.told(given())
    await world.accepted(GUEST)
    assert await world.reasons() == {"/a": Reason.GRANTED}


async def test_patience_with_sharepoint_ends_after_a_day(world: GraphWorld, tenant: Tenant) -> None:
    await world.told(given())
    await fault(tenant, "/invite$", "noResolvedUsers", times=10_000)
    await world.accepted(GUEST)
    assert await world.reasons() == {"/a": Reason.PRINCIPAL_NOT_RESOLVED}
    assert await world.held() == {}


async def test_success_without_effect_is_noticed(world: GraphWorld, tenant: Tenant) -> None:
    await world.told(given())
    await fault(tenant, "/invite$", "200-without-effect", times=10_000)
    await world.remote.control("accept", mail=GUEST)
    await poll_acceptance(world.ports)
    seen: list[Reason] = []
    while (waiting := world.take()) is not None:
        await world.handle(waiting.body, waiting.attempt)
        seen += (await world.reasons()).values()
    assert set(seen) == {Reason.GRANT, Reason.READ_BACK, Reason.WITHOUT_EFFECT}
    assert seen[-1] is Reason.WITHOUT_EFFECT


async def test_sharing_that_is_switched_off_needs_an_administrator_who_then_tries_again(
    world: GraphWorld, tenant: Tenant
) -> None:
    await tenant.control("settings", sharingCapability="disabled")
    await world.told(given())
    await world.accepted(GUEST)
    assert await world.reasons() == {"/a": Reason.SHARING_DISABLED}
    await tenant.control("settings", sharingCapability="externalUserAndGuestSharing")
    await retry(world.ports, KEY, "admin")
    await world.drain()
    assert await world.reasons() == {"/a": Reason.GRANTED}
    assert await world.held() == {(GUEST, "/a", "direct"): "read"}


async def test_an_item_that_comes_later_is_waited_for(world: GraphWorld, tenant: Tenant) -> None:
    await tenant.control("items", drive=DRIVE, delete=["/c"])
    await world.told(given(path="/c"), event("e2", 2, path="/a"))
    waited = []

    async def arrives(reasons: dict[str, Reason]) -> None:
        waited.append(reasons)
        if len(waited) == 5:
            await tenant.control("items", drive=DRIVE, add=[{"id": ITEMS["/c"], "path": "/c"}])

    await world.remote.control("accept", mail=GUEST)
    await poll_acceptance(world.ports)
    while (waiting := world.take()) is not None:
        await world.handle(waiting.body, waiting.attempt)
        await arrives(await world.reasons())
    assert {"/a": Reason.GRANTED, "/c": Reason.DESTINATION_ITEM} in waited
    assert await world.reasons() == {"/a": Reason.GRANTED, "/c": Reason.GRANTED}


async def test_an_item_that_never_comes_needs_attention(world: GraphWorld, tenant: Tenant) -> None:
    await tenant.control("items", drive=DRIVE, delete=["/c"])
    await world.told(given(path="/c"))
    world.ports = replace(world.ports, timing=replace(world.ports.timing, item_patience=timedelta(days=1)))
    await world.accepted(GUEST)
    assert await world.reasons() == {"/c": Reason.DESTINATION_ITEM_MISSING}


async def test_an_item_that_is_gone_takes_its_permission_with_it(world: GraphWorld, tenant: Tenant) -> None:
    await world.told(given())
    await world.accepted(GUEST)
    await tenant.control("items", drive=DRIVE, delete=["/a"])
    await world.told(event("e2", 2, Change.LOST))
    assert await world.reasons() == {"/a": Reason.REMOVED_AT_SOURCE}


async def test_two_accounts_with_one_address_are_never_a_guess(world: GraphWorld, tenant: Tenant) -> None:
    await tenant.control(
        "seed",
        drives=[{"id": DRIVE, "name": "Documents", "items": [{"id": i, "path": p} for p, i in ITEMS.items()]}],
        users=[
            {"id": "u1", "mail": GUEST, "userType": "Guest"},
            {"id": "u2", "mail": "x@home.example", "userType": "Member", "otherMails": [GUEST]},
        ],
    )
    await world.told(given())
    assert await world.reasons() == {"/a": Reason.AMBIGUOUS_IDENTITY}
    assert await world.held() == {}
    assert await world.sent("/invitations") == 0


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"blockedDomains": ["partner.example"]}, Reason.DOMAIN_BLOCKED),
        ({"allowInvitesFrom": "none"}, Reason.INVITING_NOT_ALLOWED),
        ({"crossTenantBlockedDomains": ["partner.example"]}, Reason.DOMAIN_BLOCKED),
        ({"groupAddresses": [GUEST]}, Reason.ADDRESS_NOT_INVITABLE),
    ],
)
async def test_a_refused_invitation_is_a_named_state_and_is_not_repeated(
    world: GraphWorld, tenant: Tenant, settings: dict[str, Any], reason: Reason
) -> None:
    await tenant.control("settings", **settings)
    await world.told(given(), event("e2", 2, path="/c", preapproved=True), event("e3", 3, path="/a/b"))
    assert set((await world.reasons()).values()) == {reason}
    assert len(await tenant.exchanges("POST", "/invitations")) == 1


async def test_what_others_gave_is_neither_widened_nor_taken(world: GraphWorld, tenant: Tenant) -> None:
    await world.told(given())
    await world.accepted(GUEST)
    user = next(u["id"] for u in (await tenant.read("state"))["users"] if u["mail"] == GUEST)
    sites = world.ports.sites
    await sites.grant(DRIVE, ITEMS["/c"], user, Role.READ)
    await world.told(
        event("e2", 2, path="/c", role="Modify"), event("e3", 3, path="/a", role="View", change=Change.KEPT)
    )
    assert (await world.reasons())["/c"] is Reason.EXISTING_PERMISSION
    await world.told(event("e4", 4, Change.KEPT, path="/c", role="View"))
    assert (await world.reasons())["/c"] is Reason.ALREADY_HAD_ACCESS
    await world.told(event("e5", 5, Change.LOST, path="/c"))
    assert await world.held() == {(GUEST, "/a", "direct"): "read", (GUEST, "/c", "direct"): "read"}


async def test_two_people_on_one_link_and_one_is_taken_out(world: GraphWorld, tenant: Tenant) -> None:
    def shared(name: str, at: int, who: str, change: Change = Change.GIVEN, role: str = "Modify") -> ShareEvent:
        one = event(name, at, change, who=who, role=role, preapproved=True)
        return one.model_copy(update={"cross_organisation": True})

    await world.told(shared("e1", 1, GUEST), shared("e2", 2, OTHER))
    await world.accepted(GUEST, OTHER)
    assert await world.held() == {(GUEST, "/a", "link"): "write", (OTHER, "/a", "link"): "write"}
    assert await world.reasons() == {"/a": Reason.GRANTED_LINK}
    await world.told(shared("e3", 3, GUEST, Change.LOST))
    assert await world.held() == {(OTHER, "/a", "link"): "write"}
    assert await world.reasons() == {"/a": Reason.REMOVED_AT_SOURCE}
    await world.told(shared("e4", 4, OTHER, Change.KEPT, role="View"))
    assert await world.held() == {(OTHER, "/a", "link"): "read"}
    assert await world.reasons(OTHER) == {"/a": Reason.GRANTED_LINK}
    await world.told(shared("e5", 5, OTHER, Change.LOST))
    assert await world.held() == {}


async def test_a_link_s_copy_beneath_ends_with_the_link(world: GraphWorld, tenant: Tenant) -> None:
    def linked(name: str, at: int, who: str, change: Change = Change.GIVEN) -> ShareEvent:
        one = event(name, at, change, who=who, role="Modify", preapproved=True)
        return one.model_copy(update={"cross_organisation": True})

    third = "third@partner.example"
    await world.told(linked("e1", 1, GUEST), linked("e2", 2, OTHER))
    await world.accepted(GUEST, OTHER)
    await world.told(event("e3", 3, who=third, path="/a/b", preapproved=True))
    await world.accepted(third)
    await world.told(linked("e4", 4, GUEST, Change.LOST))
    beneath = {(third, "/a/b", "direct"): "read"}
    assert await world.held() == beneath | {(OTHER, "/a", "link"): "write", (OTHER, "/a/b", "link"): "write"}
    await world.told(linked("e5", 5, OTHER, Change.LOST))
    assert await world.held() == beneath
    await world.told(linked("e6", 6, GUEST))
    assert (await world.held())[GUEST, "/a/b", "link"] == "write"


async def test_where_others_ended_inheritance_nothing_is_added_from_above(world: GraphWorld, tenant: Tenant) -> None:
    await tenant.control(
        "seed",
        users=[{"mail": "boss@home.example", "userType": "Member"}],
        drives=[{"id": DRIVE, "name": "Documents", "items": [{"id": i, "path": p} for p, i in ITEMS.items()]}],
        permissions=[{"drive": DRIVE, "path": "/a/b", "user": "boss@home.example", "role": "write"}],
    )
    await world.told(event("e1", 1, who=OTHER, path="/a/b", preapproved=True))
    await world.accepted(OTHER)
    await world.told(given())
    await world.accepted(GUEST)
    held = await world.held()
    assert {(who, path) for who, path, _ in held if who != "boss@home.example"} == {(OTHER, "/a/b"), (GUEST, "/a")}


async def test_inheritance_ends_and_nothing_is_left_behind(world: GraphWorld) -> None:
    await world.told(given(), event("x1", 2, who=OTHER, path="/a/b", preapproved=True))
    await world.accepted(GUEST)
    await world.accepted(OTHER)
    await world.told(event("e2", 3, Change.KEPT, role="Modify"))
    assert await world.held() == {
        (GUEST, "/a", "direct"): "write",
        (GUEST, "/a/b", "direct"): "write",
        (OTHER, "/a/b", "direct"): "read",
    }
    await world.told(event("e3", 4, Change.LOST))
    assert await world.held() == {(OTHER, "/a/b", "direct"): "read"}
    await world.told(event("e4", 5))
    assert (await world.held())[GUEST, "/a/b", "direct"] == "read"


async def test_a_lost_acceptance_is_found_by_the_reconciler(world: GraphWorld, tenant: Tenant) -> None:
    await world.told(given())
    await tenant.control("accept", mail=GUEST)
    await world.ports.marks.set("accepted-until", (world.clock.now() + timedelta(days=2)).isoformat())
    await poll_acceptance(world.ports)
    assert await world.reasons() == {"/a": Reason.ACCEPTANCE}
    await world.repair()
    assert await world.reasons() == {"/a": Reason.GRANTED}


async def test_five_thousand_shares_are_one_request_one_invitation_one_mail(world: GraphWorld, tenant: Tenant) -> None:
    """Law 6, with fewer shares than that: the number of calls does not depend on it."""
    for number in range(60):
        shared = given()
        item = shared.item
        assert item is not None
        place = item.model_copy(update={"id": f"item-{number}", "path": f"/c/{number}"})
        await world.handle(shared.model_copy(update={"id": f"e{number}", "item": place}))
    await world.drain()
    assert len(await tenant.exchanges("GET", "/users")) == 2
    assert len(await tenant.exchanges("POST", "/invitations")) == 1
    assert len((await tenant.read("state"))["mails"]) == 1


class Throttled:
    """The port Sites, where one call of all is answered with 429."""

    def __init__(self, sites: Sites, call: int) -> None:
        self._sites, self._left = sites, call

    def __getattr__(self, name: str) -> Any:
        async def call(*arguments: Any, **more: Any) -> Any:
            self._left -= 1
            if self._left == -1:
                raise LaterError(Reason.GRAPH, timedelta(seconds=7))
            return await getattr(self._sites, name)(*arguments, **more)

        return call


@pytest.mark.parametrize("beneath", [False, True])
@pytest.mark.parametrize("call", range(14))
async def test_taking_a_person_off_a_link_survives_a_429_at_any_call(
    world: GraphWorld, call: int, beneath: bool
) -> None:
    """What is written down before the link is touched must not make the next try believe that all is done."""

    def linked(name: str, at: int, who: str, change: Change = Change.GIVEN) -> ShareEvent:
        shared = event(name, at, change, preapproved=True, who=who, path="/a", role="View")
        return shared.model_copy(update={"cross_organisation": True})

    await world.told(linked("e1", 1, GUEST), linked("e2", 2, OTHER))
    await world.accepted(GUEST, OTHER)
    if beneath:  # a permission beneath ends inheritance there, with a copy of the link
        await world.told(event("e3", 3, preapproved=True, path="/a/b", role="Modify", who=OTHER))
    assert (await world.held())[GUEST, "/a", "link"] == "read"
    sites = world.ports.sites
    world.ports = replace(world.ports, sites=Throttled(sites, call))
    await world.told(linked("e4", 4, GUEST, Change.LOST))
    rows = (await world.remote.read("permissions"))["value"]
    assert not [row for row in rows if row["mail"] == GUEST]
    assert (await world.held())[OTHER, "/a", "link"] == "read"
    assert await world.reasons() == {"/a": Reason.REMOVED_AT_SOURCE}

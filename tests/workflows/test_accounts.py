"""Who accepts, who is not who was invited, who is gone; and what the policy lets through by itself."""

from dataclasses import replace

import pytest

from shared.domain.addresses import guest_key
from shared.domain.connections import Policy
from shared.domain.decision import explain
from shared.domain.events import Change
from shared.domain.guests import GuestState, IllegalMoveError, View
from shared.domain.identity import Accepted, Account, UserType
from shared.domain.platforms import Role
from shared.domain.reasons import Reason
from shared.workflows.approvals import StaleError, approve, deny, restore_shares, retry, revoke, revoke_shares
from shared.workflows.invitations import accept
from tests.workflows.world import World, event

GUEST = "guest@partner.example"
KEY = guest_key(GUEST)


def with_policy(**values: object) -> World:
    """A world with this policy."""
    world = World()
    connection = world.ports.connections["files"]
    changed = connection.model_copy(update={"policy": Policy.model_validate(values)})
    world.ports = replace(world.ports, connections={"files": changed})
    return world


async def invited() -> World:
    world = World()
    await world.handle(event("e1", 1, preapproved=True))
    await world.drain()
    return world


async def usable() -> World:
    world = await invited()
    world.tenant.accept(GUEST)
    await world.settle()
    return world


async def guest_of(world: World) -> tuple[GuestState, Reason | None]:
    guest = (await world.ledger.read(KEY, [])).guest
    return guest.state, guest.trouble


async def share_reasons(world: World) -> set[Reason]:
    book = await world.ledger.read(KEY, None)
    return {explain(share, book.guest) for share in book.shares.values()}


async def accepted_by(world: World, address: str | None) -> None:
    world.tenant.accept(GUEST)
    await accept(world.ports, KEY, Accepted(object_id=world.tenant.users[GUEST].object_id, address=address))
    await world.drain()


@pytest.mark.parametrize("address", [GUEST, None])
async def test_the_invited_account_accepts(address: str | None) -> None:
    world = await invited()
    await accepted_by(world, address)
    assert await guest_of(world) == (GuestState.USABLE, None)


async def test_another_account_than_the_invited_one_gets_nothing_until_somebody_says_that_it_is_the_person() -> None:
    world = await invited()
    await accepted_by(world, "somebody@else.example")
    assert await guest_of(world) == (GuestState.BLOCKED, Reason.WRONG_IDENTITY)
    assert world.access() == {}
    for _ in range(2):
        await world.settle()
        await world.repair()
    assert world.access() == {}
    with pytest.raises(IllegalMoveError, match="same person"):
        await retry(world.ports, KEY, "admin")
    await approve(world.ports, KEY, "admin")
    await world.drain()
    assert world.access()[GUEST, "/a"] is Role.READ


async def test_another_account_is_denied_for_good() -> None:
    world = await invited()
    await accepted_by(world, "somebody@else.example")
    await deny(world.ports, KEY, "admin", "not them")
    await world.settle()
    await world.repair()
    assert world.access() == {}


async def test_a_guest_made_without_an_invitation_is_usable() -> None:
    world = World()
    world.tenant.users[GUEST] = Account(object_id="g", user_type=UserType.GUEST)  # externalUserState is null
    await world.handle(event("e1", 1))
    await world.drain()
    assert world.access()[GUEST, "/a"] is Role.READ
    assert world.tenant.mails == []


async def test_a_deleted_guest_is_noticed_and_invited_anew_when_somebody_says_so() -> None:
    world = await usable()
    del world.tenant.users[GUEST]
    world.tenant.accepted.clear()
    world.tenant.own = {"/": {}}
    world.clock.advance(world.ports.timing.look_again)
    await world.repair()
    assert await guest_of(world) == (GuestState.BLOCKED, Reason.ACCOUNT_DELETED)
    await retry(world.ports, KEY, "admin")
    await world.drain()
    assert await guest_of(world) == (GuestState.INVITED, None)
    world.tenant.accept(GUEST)
    await world.settle()
    assert world.access()[GUEST, "/a"] is Role.READ
    assert world.tenant.mails == [GUEST, GUEST]


async def test_a_guest_who_is_not_in_the_list_yet_is_not_taken_for_deleted() -> None:
    world = await usable()
    kept = world.tenant.guests

    async def lagging() -> list[object]:
        return []

    world.tenant.guests = lagging  # type: ignore[method-assign,assignment]
    await world.repair()
    world.clock.advance(world.ports.timing.look_again)
    await world.repair()
    assert await guest_of(world) == (GuestState.USABLE, None)
    world.tenant.guests = kept  # type: ignore[method-assign]


async def test_a_guest_who_may_not_sign_in_any_more_is_noticed() -> None:
    world = await usable()
    account = world.tenant.users[GUEST]
    world.tenant.users[GUEST] = account.model_copy(update={"enabled": False})
    await world.repair()
    assert await guest_of(world) == (GuestState.BLOCKED, Reason.ACCOUNT_DISABLED)
    with pytest.raises(StaleError):
        await retry(world.ports, KEY, "admin", expected=View.HELD)
    world.tenant.users[GUEST] = account
    await retry(world.ports, KEY, "admin")
    await world.drain()
    assert world.access()[GUEST, "/a"] is Role.READ
    assert world.tenant.mails == [GUEST]


async def test_revoking_a_person_holds_against_the_source_until_somebody_approves() -> None:
    world = await usable()
    await revoke(world.ports, KEY, "admin", "left")
    assert await share_reasons(world) == {Reason.REVOCATION}
    await world.drain()
    assert world.access() == {}
    assert await share_reasons(world) == {Reason.DENIED}
    await world.handle(event("e2", 2, Change.KEPT, role="Modify"))
    await world.handle(event("e3", 3, path="/c", preapproved=True))
    await world.settle()
    await world.repair()
    assert world.access() == {}
    await approve(world.ports, KEY, "admin")
    await world.drain()
    assert world.access()[GUEST, "/a"] is Role.WRITE
    assert world.access()[GUEST, "/c"] is Role.READ


async def test_only_who_has_access_can_be_revoked() -> None:
    world = await invited()
    with pytest.raises(IllegalMoveError, match="no access yet"):
        await revoke(world.ports, KEY, "admin", "x")


async def test_revoking_one_share_holds_against_the_source_until_it_is_given_again() -> None:
    world = await usable()
    await world.handle(event("e2", 2, path="/c"))
    await world.drain()
    book = await world.ledger.read(KEY, None)
    (name,) = [share.id for share in book.shares.values() if share.item and share.item.path == "/a"]
    for _ in range(2):
        await revoke_shares(world.ports, KEY, [name], "admin", "too much")
        await world.drain()
    assert {path for _, path in world.access()} == {"/c"}
    assert await share_reasons(world) == {Reason.REVOKED, Reason.GRANTED}
    await world.handle(event("e3", 3, Change.KEPT, role="Modify"))
    await world.repair()
    assert {path for _, path in world.access()} == {"/c"}
    await restore_shares(world.ports, KEY, [name], "admin")
    await world.drain()
    assert world.access()[GUEST, "/a"] is Role.WRITE
    with pytest.raises(IllegalMoveError, match="no share"):
        await revoke_shares(world.ports, KEY, ["nothing"], "admin", "x")


@pytest.mark.parametrize(
    ("policy", "state"),
    [
        ({}, GuestState.HELD),
        ({"pre_approved": True}, GuestState.INVITED),
        ({"pre_approved_domains": ["partner.example"]}, GuestState.INVITED),
        ({"pre_approved_domains": ["other.example"]}, GuestState.HELD),
        ({"pre_approved_sharers": ["sharer@home.example"]}, GuestState.INVITED),
        ({"pre_approved": True, "denied_people": [GUEST]}, GuestState.UNKNOWN),
        ({"pre_approved": True, "denied_sharers": ["Sharer@home.example"]}, GuestState.UNKNOWN),
        ({"pre_approved": True, "denied_domains": ["partner.example"]}, GuestState.UNKNOWN),
    ],
)
async def test_the_policy_says_who_is_invited_at_once(policy: dict[str, object], state: GuestState) -> None:
    world = with_policy(**policy)
    await world.handle(event("e1", 1))
    await world.drain()
    assert (await guest_of(world))[0] is state


async def test_later_shares_of_an_accepted_person_pass_straight_through() -> None:
    world = await usable()
    await world.handle(event("e2", 2, path="/c"))
    await world.drain()
    assert world.access()[GUEST, "/c"] is Role.READ


async def test_unless_the_policy_holds_each_share() -> None:
    world = with_policy(approve_each_share=True)
    await world.handle(event("e1", 1))
    await approve(world.ports, KEY, "admin")
    await world.drain()
    world.tenant.accept(GUEST)
    await world.settle()
    assert world.access()[GUEST, "/a"] is Role.READ
    await world.handle(event("e2", 2, path="/c"))
    await world.handle(event("e2b", 3, Change.KEPT, path="/c", role="Modify"))
    await world.settle()
    await world.repair()
    assert (GUEST, "/c") not in world.access()
    guest = (await world.ledger.read(KEY, [])).guest
    assert View.HELD in guest.views
    await approve(world.ports, KEY, "admin", guest.version)
    await world.drain()
    assert world.access()[GUEST, "/c"] is Role.WRITE
    assert (await world.ledger.read(KEY, [])).guest.views == (View.GRANTED,)
    await world.handle(event("e3", 4, path="/a/b", role="Modify", preapproved=True))
    await world.drain()
    assert world.access()[GUEST, "/a/b"] is Role.WRITE, "a sharer with the right is not held"


async def test_a_decision_on_what_has_changed_meanwhile_is_refused() -> None:
    world = World()
    await world.handle(event("e1", 1))
    seen = (await world.ledger.read(KEY, [])).guest.version
    await deny(world.ports, KEY, "one", "no", seen)
    with pytest.raises(StaleError) as caught:
        await approve(world.ports, KEY, "two", seen)
    assert caught.value.guest.state is GuestState.DENIED
    assert (await deny(world.ports, KEY, "two", "no", seen)).state is GuestState.DENIED, "it is so already"

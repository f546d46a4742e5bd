"""From the raw bytes of a delivery to the shares: Box's pending and group collaborations in any order, what cannot be
read, what no message can hold. The readers are the real ones; Box's API is its stand-in over HTTP."""

import itertools
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp
import pytest

from local.platforms import box as box_stand_in
from local.platforms.box_webhooks import delivery
from shared.domain.addresses import guest_key
from shared.domain.connections import Connection
from shared.domain.decision import explain
from shared.domain.messages import DeliveryMessage
from shared.domain.platforms import Role
from shared.domain.reasons import Reason
from shared.domain.shares import Share
from shared.domain.trouble import RejectedError
from shared.sources.box.source import BoxSource
from shared.sources.inbound import InboundSource
from shared.workflows.deliveries import BODY_LIMIT, accept_delivery
from shared.workflows.review import explain_guest
from tests.conftest import COUNTS
from tests.sources.box_samples import COLLABORATION, PENDING, PRIMARY, SECONDARY, SECRETS
from tests.sources.inbound_samples import SECRET
from tests.workflows.test_interleavings import Exploration, message
from tests.workflows.world import DRIVE, ITEMS, START, World, connection

WHO = "example@user.com"
BOX = Connection.model_validate(
    {
        "id": "box",
        "platform": "box",
        "internal_domains": ["home.example"],
        "routes": [{"source": "/", "drive": DRIVE}],
        "secrets": {},
        "policy": {"pre_approved_sharers": ["test@user.com"]},
    }
)
GROUP = {"type": "group", "id": "900", "name": "Partners", "group_type": "managed_group"}


class BoxWorld(World):
    """A world with one Box connection whose folder 5678 is /a at the destination."""

    def __init__(self, api_url: str) -> None:
        super().__init__()
        source = BoxSource(BOX, {**SECRETS, "api_url": api_url})
        self.ports = replace(self.ports, connections={"box": BOX}, sources={"box": source})

    async def deliver(self, trigger: str, collaboration: dict[str, Any], minute: int) -> None:
        """Deliver a webhook at the door and let everything follow."""
        at = self.clock.now() + timedelta(minutes=minute)
        headers, body = delivery(
            trigger, collaboration, PRIMARY, SECONDARY, at, event_id=f"event-{minute}", sent_at=self.clock.now()
        )
        await accept_delivery(self.ports, "box", headers, body)

    async def shares(self, who: str = WHO) -> list[tuple[Share, Reason]]:
        """The person's shares and where they stand."""
        book = await self.ledger.read(guest_key(who), None)
        return [(s, explain(s, book.guest)) for s in book.shares.values() if not s.moved_to]


@pytest.fixture
async def box() -> AsyncIterator[str]:
    """Box's stand-in; its address."""
    app = box_stand_in.create_app("app", "app-secret", "4711")
    runner, port = await box_stand_in.serve(app, 0)
    url = f"http://127.0.0.1:{port}"
    async with aiohttp.ClientSession() as session:
        seed = {
            "folders": [{"id": "5678", "name": "a", "parent": "0"}],
            "groups": [
                {
                    "id": "900",
                    "name": "Partners",
                    "members": [
                        {"id": "1", "name": "One", "login": "one@partner.example"},
                        {"id": "2", "name": "Two", "login": "two@partner.example"},
                        {"id": "3", "name": "Ours", "login": "ours@home.example"},
                    ],
                }
            ],
        }
        async with session.post(f"{url}/control/seed", json=seed) as answer:
            answer.raise_for_status()
    yield url
    await runner.cleanup()


LIVE = {**COLLABORATION, "expires_at": None}
WAITING = {**PENDING, "expires_at": None}
GROUPED = {**LIVE, "accessible_by": GROUP}
STORIES = {
    "pending, then accepted": ([("CREATED", WAITING, 1), ("ACCEPTED", LIVE, 2)], Reason.ACCEPTANCE),
    "pending, accepted, removed": (
        [("CREATED", WAITING, 1), ("ACCEPTED", LIVE, 2), ("REMOVED", LIVE, 3)],
        Reason.REMOVED_AT_SOURCE,
    ),
    "pending, then removed": ([("CREATED", WAITING, 1), ("REMOVED", WAITING, 2)], Reason.REMOVED_AT_SOURCE),
    "removed without its item": (
        [("CREATED", WAITING, 1), ("ACCEPTED", LIVE, 2), ("REMOVED", {**LIVE, "item": None}, 3)],
        Reason.REMOVED_AT_SOURCE,
    ),
    "rejected": (
        [("CREATED", WAITING, 1), ("REJECTED", {**WAITING, "status": "rejected"}, 2)],
        Reason.REMOVED_AT_SOURCE,
    ),
}


@pytest.mark.parametrize("story", STORIES)
async def test_a_collaboration_in_any_order_is_one_share(box: str, story: str) -> None:
    deliveries, reason = STORIES[story]
    for order in itertools.permutations(deliveries):
        world = BoxWorld(box)
        for trigger, collaboration, minute in (*order, order[0]):
            await world.deliver(f"COLLABORATION.{trigger}", collaboration, minute)
            await world.drain()
        assert [r for _, r in await world.shares()] == [reason], order
        COUNTS["orders of deliveries"] += 1


async def test_deliveries_that_are_read_in_another_order_than_they_came(box: str) -> None:
    deliveries, reason = STORIES["pending, accepted, removed"]
    for order in itertools.permutations(deliveries):
        world = BoxWorld(box)
        for trigger, collaboration, minute in order:
            await world.deliver(f"COLLABORATION.{trigger}", collaboration, minute)
        read = list(world.queues.waiting)
        world.queues.waiting.clear()
        for waiting in read:
            await world.handle(waiting.body)
        for events in itertools.permutations(world.queues.waiting):
            again = BoxWorld(box)
            for one in events:
                await again.handle(one.body)
            await again.drain()
            assert [r for _, r in await again.shares()] == [reason]
            COUNTS["orders of deliveries"] += 1


GROUP_STORY = [("CREATED", GROUPED, 1), ("UPDATED", {**GROUPED, "role": "viewer"}, 2), ("REMOVED", GROUPED, 3)]


@pytest.mark.parametrize("removed", [False, True])
async def test_a_group_is_its_members_in_any_order(box: str, removed: bool) -> None:
    for order in itertools.permutations(GROUP_STORY if removed else GROUP_STORY[:2]):
        world = BoxWorld(box)
        for trigger, collaboration, minute in order:
            await world.deliver(f"COLLABORATION.{trigger}", collaboration, minute)
            await world.drain()
        for who in ("one@partner.example", "two@partner.example"):
            ((share, reason),) = await world.shares(who)
            assert reason is (Reason.REMOVED_AT_SOURCE if removed else Reason.ACCEPTANCE), order
            assert removed or (share.access is not None and share.access.role is Role.READ)
        ((_, ours),) = await world.shares("ours@home.example")
        assert ours in (Reason.INTERNAL, Reason.REMOVED_AT_SOURCE)
        COUNTS["orders of deliveries"] += 1


async def test_who_has_an_item_twice_keeps_it_when_one_way_ends(box: str) -> None:
    world = BoxWorld(box)
    one = {"type": "user", "id": "1", "name": "One", "login": "one@partner.example"}
    await world.deliver("COLLABORATION.CREATED", {**LIVE, "id": "701", "accessible_by": one, "role": "viewer"}, 1)
    await world.deliver("COLLABORATION.CREATED", {**GROUPED, "id": "702"}, 2)
    await world.drain()
    ((share, _),) = await world.shares("one@partner.example")
    assert share.access is not None
    assert share.access.role is Role.WRITE
    await world.deliver("COLLABORATION.REMOVED", {**GROUPED, "id": "702"}, 3)
    await world.drain()
    ((share, reason),) = await world.shares("one@partner.example")
    assert reason is Reason.ACCEPTANCE
    assert share.access is not None
    assert share.access.role is Role.READ


async def test_what_no_message_can_hold_goes_through_a_blob_and_is_read_once(box: str) -> None:
    world = BoxWorld(box)
    long = {**LIVE, "additional": "x" * 300_000}
    await world.deliver("COLLABORATION.ACCEPTED", long, 1)
    (waiting,) = world.queues.waiting
    assert isinstance(waiting.body, DeliveryMessage)
    assert waiting.body.blob is not None
    await world.drain()
    assert [r for _, r in await world.shares()] == [Reason.ACCEPTANCE]
    await world.handle(waiting.body)
    await world.drain()
    assert len(await world.shares()) == 1


async def test_a_body_beyond_all_measure_is_refused(box: str) -> None:
    world = BoxWorld(box)
    with pytest.raises(RejectedError) as caught:
        await accept_delivery(world.ports, "box", {}, b"x" * (BODY_LIMIT + 1))
    assert (caught.value.status, caught.value.code) == (413, "body-too-large")


async def test_an_authentic_delivery_that_cannot_be_read_is_recorded(box: str) -> None:
    world = BoxWorld(box)
    await world.deliver("COLLABORATION.TURNED_PURPLE", LIVE, 1)
    await world.drain()
    records = [record async for record in world.history.read("connection:box")]
    assert [(r.reason, r.event) for r in records] == [(Reason.UNREADABLE, "event-1")]
    assert "trigger that is not known" in (records[0].detail or "")
    assert [entry.list async for entry in world.ports.worklist.read("unreadable")] == ["unreadable"]


def contract(event_id: str, minute: int, kind: str, principal: dict[str, Any]) -> DeliveryMessage:
    """A delivery of the inbound contract, already authenticated."""
    document = {
        "specversion": "1.0",
        "id": event_id,
        "source": "relay",
        "type": f"guestpass.share.{kind}.v1",
        "time": (START + timedelta(minutes=minute)).isoformat(),
        "datacontenttype": "application/json",
        "data": {
            "principal": principal,
            "item": {"id": ITEMS["/a"], "kind": "folder", "path": "/a"},
            "reference": "r1",
            "role": "View",
        },
    }
    return DeliveryMessage(connection="files", id=event_id, received_at=datetime.now(UTC), body=json.dumps(document))


def test_every_interleaving_of_a_group_s_removal_with_the_reading_of_a_member() -> None:
    """Law 4: whichever notice is read first writes before it looks, so that the removal is never missed."""
    source = InboundSource(connection(), {"signing_secret": SECRET})
    given = contract("e1", 1, "given", {"kind": "person", "address": WHO, "group": "Partners"})
    lost = contract("e2", 2, "lost", {"kind": "group", "sourceId": "g1", "name": "Partners"})

    async def prepare(world: World) -> None:
        world.ports = replace(world.ports, sources={"files": source})

    def check(world: World) -> None:
        ((_, partition),) = [(k, p) for k, p in world.ledger.partitions.items() if k == guest_key(WHO)]
        assert all('"verdict":"revoked/removed-at-source"' in share for share in partition.shares.values())

    exploration = Exploration(prepare, (message(given), message(lost)), check)
    COUNTS["interleavings"] += exploration.count()
    assert exploration.leaves > 1


async def test_the_explanation_holds_no_token(box: str) -> None:
    world = BoxWorld(box)
    await world.deliver("COLLABORATION.ACCEPTED", LIVE, 1)
    await world.drain()
    person = await explain_guest(world.ports, guest_key(WHO))
    assert person is not None
    told = person.model_dump_json()
    assert "has not accepted the invitation yet" in told
    assert "https://redeem" not in told

"""Dropbox, through the workflows: what is told, what is only found, and what is taken back come to one state."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import pytest

from shared.domain.messages import FindFeedsMessage, PollMessage, Queue
from shared.domain.shares import Share
from shared.sources.dropbox.source import FEED
from shared.workflows.batches import start_scan
from shared.workflows.deliveries import accept_delivery
from tests.sources.dropbox_samples import ANNA, CONNECTION, ERIKA, OTTO, StandIn, stand_in
from tests.workflows.world import World

FOLDER, OWN = "/Projects/Alpha", f"/{ANNA}/Plans"
# Facts of one second have no order but the careful one, so what is shared here was shared a while ago.
BEFORE = {"shared_at": (datetime.now(UTC) - timedelta(hours=1)).isoformat()}


@dataclass
class Flow:
    """The app, and the team that it watches."""

    dropbox: StandIn
    world: World

    async def hint(self) -> None:
        """Take in what came to the webhook, and do all that follows."""
        for headers, body in self.dropbox.inbox:
            await accept_delivery(self.world.ports, CONNECTION.id, headers, body)
        self.dropbox.inbox.clear()
        await self.world.drain()

    async def scan(self) -> None:
        """Scan everything."""
        await start_scan(self.world.ports, CONNECTION, "test")
        await self.world.drain()

    def shares(self) -> dict[tuple[str, str | None], str | None]:
        """The role that stands for everybody outside, by address and path."""
        return {
            (claim.principal.address or claim.principal.kind, share.item.path if share.item else None): claim.role
            for share in self._shares()
            for claim in share.live_claims
            if not CONNECTION.is_internal(claim.principal.address or "")
        }

    def origins(self) -> dict[str, tuple[str | None, datetime | None]]:
        """Who shared it and when, as known."""
        claims = [claim for share in self._shares() for claim in share.live_claims]
        return {claim.principal.address or "": (claim.sharer.address, claim.shared_at) for claim in claims}

    def _shares(self) -> list[Share]:
        books = self.world.ledger.partitions.values()
        return [Share.model_validate_json(row) for book in books for row in book.shares.values()]


@pytest.fixture
async def flow() -> AsyncIterator[Flow]:
    async with stand_in() as dropbox:
        world = World()
        world.clock.at = datetime.now(UTC)
        world.ports = replace(
            world.ports, connections={CONNECTION.id: CONNECTION}, sources={CONNECTION.id: dropbox.source}
        )
        assert await dropbox.enter_webhook(dropbox.inbox_url) == 204
        await world.queues.send(Queue.FEEDS, FindFeedsMessage(connection=CONNECTION.id, began=world.clock.now()))
        await world.drain()
        await world.queues.send(Queue.FEEDS, PollMessage(connection=CONNECTION.id, feed=FEED))
        await world.drain()
        yield Flow(dropbox, world)


async def test_a_share_lives_changes_and_ends(flow: Flow) -> None:
    await flow.dropbox.act("share", ERIKA, FOLDER, role="viewer", sharer=ANNA, notify="twice", **BEFORE)
    await flow.hint()
    assert flow.shares() == {(ERIKA, FOLDER): "viewer"}
    sharer, at = flow.origins()[ERIKA]
    assert sharer == ANNA
    assert at is not None
    await flow.dropbox.act("role", ERIKA, FOLDER, role="editor", sharer=ANNA)
    await flow.hint()
    assert flow.shares() == {(ERIKA, FOLDER): "editor"}
    await flow.scan()
    assert flow.shares() == {(ERIKA, FOLDER): "editor"}
    assert flow.origins()[ERIKA] == (sharer, at)
    await flow.dropbox.act("remove", ERIKA, FOLDER)
    await flow.hint()
    assert flow.shares() == {}


async def test_what_nobody_told_is_found_by_a_scan(flow: Flow) -> None:
    await flow.dropbox.act("share", ERIKA, OWN, role="editor", sharer=ANNA, notify="never")
    await flow.dropbox.act("share", OTTO, FOLDER, role="viewer", pending=True, **BEFORE)
    await flow.hint()
    assert flow.shares() == {(OTTO, FOLDER): "viewer"}
    await flow.dropbox.act("remove", OTTO, FOLDER, notify="never")
    await flow.scan()
    assert flow.shares() == {(ERIKA, OWN): "editor"}
    assert flow.origins()[ERIKA] == (None, None)  # never "now"


async def test_an_invitation_that_is_claimed_with_another_address_moves(flow: Flow) -> None:
    await flow.dropbox.act("share", OTTO, FOLDER, role="viewer", pending=True, **BEFORE)
    await flow.hint()
    assert flow.shares() == {(OTTO, FOLDER): "viewer"}
    await flow.dropbox.happen("claim", invited=OTTO, person="otto@home.example", path=FOLDER)
    await flow.hint()
    assert flow.shares() == {("otto@home.example", FOLDER): "viewer"}


async def test_unsharing_takes_it_from_everybody(flow: Flow) -> None:
    for person in (ERIKA, OTTO):
        await flow.dropbox.act("share", person, OWN, sharer=ANNA, **BEFORE)
    await flow.hint()
    assert len(flow.shares()) == 2
    await flow.dropbox.happen("unshare", path=OWN)
    await flow.hint()
    assert flow.shares() == {}


async def test_a_folder_that_was_unshared_unheard_is_missed_by_a_scan(flow: Flow) -> None:
    await flow.dropbox.act("share", ERIKA, OWN, sharer=ANNA, **BEFORE)
    await flow.hint()
    await flow.dropbox.happen("unshare", path=OWN)
    flow.dropbox.team.log.pop()
    flow.dropbox.inbox.clear()
    await flow.scan()
    assert flow.shares() == {}

"""Plays a story in a local world: delivers, approves, accepts, and waits for what must come of it."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import batched

from local.demo.deliver import Answer, Sources, box_account
from local.demo.passages import Passages
from local.demo.places import Json, Places
from local.demo.steps import Chapter, Story
from local.world import LocalWorld

PATIENCE_SECONDS = 240.0  # for one condition; what does not come true by then shows in the verdict
_LOOK_SECONDS = 0.3

type Tell = Callable[[str, int, int], None]


@dataclass
class Outcome:
    """What was delivered, and what stands at the app and at the tenant in the end."""

    answers: list[Answer] = field(default_factory=list)
    people: list[Json] = field(default_factory=list)
    tenant: Json = field(default_factory=dict)
    exchanges: list[Json] = field(default_factory=list)
    host: Json = field(default_factory=dict)
    batches: list[Json] = field(default_factory=list)
    unfinished: list[str] = field(default_factory=list)


async def play(story: Story, world: LocalWorld, places: Places, tell: Tell) -> Outcome:
    """Play all chapters. `tell` is called with what is going on, how much of it is done, and of how much."""
    outcome, player = Outcome(), _Player(world, places, tell)
    steps = [step for chapter in story.chapters for step in chapter.steps]
    await places.seed(dict(story.tenant), box_account(steps, story.groups))
    if story.account_map:
        await places.map_accounts(story.account_map)
    await player.open_passages()
    for number, chapter in enumerate(story.chapters):
        outcome.answers += await player.deliver(number, chapter)
        await player.review(chapter)
        await player.accept(chapter)
    await player.close_passages()
    await player.settle()
    outcome.unfinished = player.unfinished + player.passages.faults
    outcome.batches = list(player.passages.batches.values())
    outcome.people = [await places.explain(person["guest"]) for person in await places.people()]
    outcome.tenant, outcome.exchanges = await places.tenant(), await places.exchanges()
    outcome.host = await places.host_status()
    return outcome


def story_began() -> datetime:
    """When a story that ends now began at its sources: nothing may happen there later than now."""
    return datetime.now(UTC) - timedelta(hours=2)


class _Player:
    def __init__(self, world: LocalWorld, places: Places, tell: Tell) -> None:
        self._places, self._tell = places, tell
        self._sources = Sources(world.host_url, world.secrets, story_began())
        self.passages = Passages(places, self._sources)
        self.unfinished: list[str] = []

    async def open_passages(self) -> None:
        """Every platform: what was shared before, then what is shared while Guestpass runs."""
        await self.passages.open()
        await self._until("Source accounts found and subscribed to", self.passages.ready)
        await self.passages.act()

    async def close_passages(self) -> None:
        """Every platform: what changes, what nobody tells, and the scans that find it."""
        await self.passages.change()
        await self.settle()
        await self.passages.keep_silent()
        await self.passages.scan()
        await self._until("Source accounts scanned", self.passages.scanned)

    async def deliver(self, number: int, chapter: Chapter) -> list[Answer]:
        """Deliver what happened, in the order of the chapter, `at_once` deliveries side by side."""
        answers: list[Answer] = []
        for number_sent, steps in enumerate(batched(chapter.steps, chapter.at_once, strict=False), 1):
            sent = await asyncio.gather(*(self._sources.send(self._places.session, number, step) for step in steps))
            answers += [answer for some in sent for answer in some]
            done = min(number_sent * chapter.at_once, len(chapter.steps))
            self._tell(f"Delivering: {chapter.title}", done, len(chapter.steps))
        await self._places.idle()
        for drive, paths in chapter.arriving.items():
            await self._places.bring(drive, paths)
        return answers

    async def review(self, chapter: Chapter) -> None:
        """Approve and deny, once everybody who is to be approved or denied waits for it."""
        wanted = chapter.approved | chapter.denied

        async def held() -> tuple[int, int]:
            return len(wanted & await self._people_in("held")), len(wanted)

        await self._until("Access requests pending admin approval", held)
        for person in await self._places.people():
            if person["address"] in chapter.denied:
                await self._places.deny(person["guest"], "Not a partner any more.")
            elif person["address"] in chapter.approved:
                await self._places.approve(person["guest"])

    async def accept(self, chapter: Chapter) -> None:
        """Let people accept out of their mailbox as their mail comes, and the app notice it."""
        accepted: set[str] = set()

        async def mailed() -> tuple[int, int]:
            for mail in (await self._places.tenant())["mails"]:
                if mail["to"] in chapter.accepting - accepted:
                    await self._places.accept(mail)
                    accepted.add(mail["to"])
            return len(accepted), len(chapter.accepting)

        async def noticed() -> tuple[int, int]:
            await self._places.run("poll_acceptance")
            return len(chapter.accepting & await self._people_in("usable")), len(chapter.accepting)

        await self._until("Invitations accepted", mailed)
        await self._until("Acceptances noticed", noticed)

    async def settle(self) -> None:
        """Wait until no message is worked on or waits for its time: nothing can change any more by itself."""
        most = 1

        async def finished() -> tuple[int, int]:
            nonlocal most
            left = await self._places.idle()
            most = max(most, left)
            return most - left, most

        await self._until("Work finished", finished)

    async def _people_in(self, state: str) -> set[str]:
        return {person["address"] for person in await self._places.people() if person["state"] == state}

    async def _until(self, what: str, look: Callable[[], Awaitable[tuple[int, int]]]) -> None:
        """Look again and again until all is done, or patience ends."""
        deadline = asyncio.get_running_loop().time() + PATIENCE_SECONDS
        while True:
            done, total = await look()
            if total:
                self._tell(what, done, total)
            if done >= total:
                return
            if asyncio.get_running_loop().time() > deadline:
                self.unfinished.append(f"{what}: {done} of {total} after {PATIENCE_SECONDS:.0f} seconds")
                return
            await asyncio.sleep(_LOOK_SECONDS)


type ShareKey = tuple[str, str, str | None]


def shares_of(people: Iterable[Json]) -> dict[ShareKey, str]:
    """The reason of each share that the interface shows."""
    return {
        (share["connection"], share["principal"], share["item"]): share["reason"]
        for person in people
        for share in person["shares"]
    }

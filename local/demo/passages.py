"""Plays what is shown of every platform: its users act at the stand-ins, an administrator scans and uploads."""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from local.demo.deliver import Sources
from local.demo.places import Json, Places
from local.demo.seven import BEFORE, CHANGED, LOST, REMOVED, SEVEN, Passage, before, changes, live, untold
from local.demo.steps import Change, Step

_LIVE, _CHANGE, _FILE = 5, 6, 7  # chapters of the relay's time
_POLLED = ("syncplicity",)  # the timer may come first
_CHANGES: dict[str, Change] = {"share": "given", "role": "kept", "remove": "lost"}


@dataclass
class Passages:
    """One run. `batches` are what the scans and files have brought, by connection; `faults` what went wrong."""

    places: Places
    sources: Sources
    batches: dict[str, Json] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)

    async def open(self) -> None:
        """Share what was shared before Guestpass came, and let it find what there is to read and to subscribe to."""
        await self._act(before(), _LIVE)
        await self.places.set_webhook("dropbox")
        await self.places.run("tend_sources")

    async def ready(self) -> tuple[int, int]:
        """How many feeds are read and, where that goes, subscribed to."""
        accounts = [one for one in (await self.places.accounts()) if one["platform"] != "securisync"]
        ready = sum(one["healthy"] and bool(one["feeds"]) and all(map(_is_ready, one["feeds"])) for one in accounts)
        return ready, len(accounts)

    async def act(self) -> None:
        """Share while Guestpass runs."""
        await self._act(live(), _LIVE)
        await self.places.run("tend_sources")

    async def change(self) -> None:
        """Change roles, and take back."""
        await self._act(changes(), _CHANGE)
        await self.places.run("tend_sources")

    async def keep_silent(self) -> None:
        """Share what nobody tells; note what the notifications have left undone, and what is known before the scan."""
        await self._act(untold(), _CHANGE)
        for person in await self.places.people():
            for share in (await self.places.explain(person["guest"]))["shares"]:
                passage = next((one for one in SEVEN if one.source == share["connection"]), None)
                if passage is not None and share["principal"] == passage.person:
                    self._judge(passage, share)

    def _judge(self, passage: Passage, share: Json) -> None:
        name = share["item"].rpartition("/")[2]
        if name == REMOVED and not share["reason"].startswith("revoked/"):
            self.faults.append(f"{passage.source}: what was taken back is {share['reason']} before the scan")
        if name == CHANGED and share["roleAtSource"] != passage.write:
            self.faults.append(f"{passage.source}: the change of a role is not known before the scan")
        if name in (BEFORE, LOST) and passage.source not in _POLLED:
            self.faults.append(f"{passage.source}: {share['item']} is known before the scan")

    async def scan(self) -> None:
        """Scan every account that can be asked; of the other one a file tells."""
        for one in SEVEN:
            if one.has_api:
                self.batches[one.source] = await self.places.scan(one.source)
            else:
                lines = [_document(self.sources, one, name) for name in (BEFORE, LOST)]
                self.batches[one.source] = await self.places.upload(one.source, "\n".join(lines))

    async def scanned(self) -> tuple[int, int]:
        """How many batches have ended."""
        for source, batch in self.batches.items():
            self.batches[source] = await self.places.batch(batch["batch"])
        ended = [batch for batch in self.batches.values() if batch["state"] != "running"]
        if len(ended) == len(self.batches):
            self.faults += [f"the batch of {b['connection']} ended {b['state']}" for b in ended if b["state"] != "done"]
        return len(ended), len(self.batches)

    async def _act(self, acts: Iterable[tuple[Passage, dict[str, Any]]], chapter: int) -> None:
        for number, (passage, act) in enumerate(acts):
            if passage.has_api:
                await self.places.act(passage.source, act)
            else:
                step = Step(
                    "every platform",
                    "securisync",
                    passage.person,
                    act["path"],
                    act["role"],
                    _CHANGES[act["act"]],
                    at=number,
                    again=int(act["notify"] == "twice"),
                )
                await self.sources.send(self.places.session, chapter, step)


def _is_ready(feed: Json) -> bool:
    return feed["polledAt"] is not None or feed["subscriptionEndsAt"] is not None or feed["name"].startswith("folder:")


def _document(sources: Sources, passage: Passage, name: str) -> str:
    step = Step("every platform", "securisync", passage.person, passage.path(name), passage.read, "kept")
    return json.dumps(sources.document(step, _FILE))

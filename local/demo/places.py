"""The two places that a person looks at and acts in: the administrators' interface, and the tenant."""

import html
import re
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any, Self
from urllib.parse import urlencode

import aiohttp

from local.world import LocalWorld

type Json = dict[str, Any]

_LIMIT = 200  # people in one answer of the access-requests interface
_VIEWS = ("held", "invited", "granted", "needs-attention", "ignored")
_TICKET = re.compile(r'name="ticket" value="([^"]+)"')


class Places:
    """HTTP calls to a local world. Raises aiohttp.ClientResponseError for an answer that is not a success."""

    def __init__(self, world: LocalWorld, session: aiohttp.ClientSession) -> None:
        self._api, self._admin = f"{world.host_url}/api", f"{world.host_url}/admin"
        self._requests, self._maps = f"{self._api}/access-requests", f"{self._api}/account-maps"
        self._tenant, self._stand_ins = world.tenant_url, world.stand_ins
        self.session = session

    @classmethod
    @asynccontextmanager
    async def of(cls, world: LocalWorld) -> AsyncIterator[Self]:
        """Open the places of a world."""
        async with aiohttp.ClientSession(raise_for_status=False) as session:
            yield cls(world, session)

    async def seed(self, tenant: Json, box: Json) -> None:
        """Fill the tenant and the Box account."""
        await self._call("POST", f"{self._tenant}/control/seed", tenant)
        await self._call("POST", f"{self._stand_ins['box']}/control/seed", box)

    # The administrators' interface.

    async def people(self) -> list[Json]:
        """Everybody that the app knows of."""
        found: dict[str, Json] = {}
        for view in _VIEWS:
            after: str | None = ""
            while after is not None:
                query = urlencode({"view": view, "limit": _LIMIT, **({"after": after} if after else {})})
                answer = await self._call("GET", f"{self._requests}?{query}")
                found |= {person["guest"]: person for person in answer["people"]}
                after = answer["next"]
        return list(found.values())

    async def explain(self, guest: str) -> Json:
        """One person with shares and history."""
        return await self._call("GET", f"{self._requests}/{guest}")

    async def approve(self, guest: str) -> None:
        """Let a person be invited."""
        await self._call("POST", f"{self._requests}/{guest}/approve", {}, {"If-Match": "*"})

    async def deny(self, guest: str, why: str) -> None:
        """Deny a person access."""
        await self._call("POST", f"{self._requests}/{guest}/deny", {"reason": why}, {"If-Match": "*"})

    async def map_accounts(self, csv: str) -> None:
        """Import an account map: look at the changes, then confirm them."""
        plan = await self._call("POST", self._maps, {"csv": csv})
        await self._call("POST", self._maps, {"csv": csv, "confirm": plan["confirm"]})

    # Source accounts.

    async def accounts(self) -> list[Json]:
        """Every connection with its feeds."""
        return list((await self._call("GET", f"{self._api}/sources"))["sources"])

    async def scan(self, connection: str) -> Json:
        """Start a scan; the batch."""
        return await self._call("POST", f"{self._api}/sources/{connection}/scan", {})

    async def upload(
        self, connection: str, lines: str, kind: str = "application/x-ndjson", as_of: str | None = None
    ) -> Json:
        """Upload a file of existing shares; the batch."""
        url, headers = f"{self._api}/sources/{connection}/shares", {"Content-Type": kind}
        params = {"asOf": as_of} if as_of else {}
        async with self.session.post(url, data=lines.encode(), headers=headers, params=params) as response:
            response.raise_for_status()
            return dict(await response.json())

    async def batch(self, batch: str) -> Json:
        """How far a batch is."""
        return await self._call("GET", f"{self._api}/batches/{batch}")

    async def act(self, source: str, act: Json) -> None:
        """Do what a user of a platform does, and wait until the platform has told what it tells."""
        await self._call("POST", f"{self._stand_ins[source]}/control/act", act)
        await self._call("POST", f"{self._stand_ins[source]}/control/idle")

    async def set_webhook(self, source: str) -> None:
        """Enter the address for webhooks by hand, as one does in Dropbox's App Console."""
        address = {"address": f"{self._api}/webhooks/{source}"}
        await self._call("POST", f"{self._stand_ins[source]}/control/webhook", address)

    # The host.

    async def run(self, function: str) -> None:
        """Run a timer now."""
        await self._call("POST", f"{self._admin}/functions/{function}", {})

    async def idle(self) -> int:
        """Wait until nothing is being worked on; return how many messages wait for their time."""
        return sum((await self._call("POST", f"{self._admin}/host/idle"))["pending"].values())

    async def host_status(self) -> Json:
        """What the host has counted."""
        return await self._call("GET", f"{self._admin}/host/status")

    # The tenant.

    async def tenant(self) -> Json:
        """The tenant's whole state."""
        return await self._call("GET", f"{self._tenant}/control/state")

    async def exchanges(self) -> list[Json]:
        """Every exchange with Graph."""
        return list((await self._call("GET", f"{self._tenant}/control/exchanges"))["value"])

    async def bring(self, drive: str, paths: Iterable[str]) -> None:
        """Let the content migration bring folders."""
        items = [{"path": path} for path in paths]
        await self._call("POST", f"{self._tenant}/control/items", {"drive": drive, "add": items})

    async def accept(self, mail: Json) -> None:
        """Open an invitation's link from the mailbox and press Accept, as a person does."""
        async with self.session.get(mail["url"]) as page:
            page.raise_for_status()
            ticket = _TICKET.search(await page.text())
        if ticket is None:
            return  # accepted before
        form = {"ticket": html.unescape(ticket[1]), "account": ""}
        async with self.session.post(f"{self._tenant}/redeem", data=form) as page:
            page.raise_for_status()

    async def _call(
        self, method: str, url: str, body: Json | None = None, headers: dict[str, str] | None = None
    ) -> Json:
        async with self.session.request(method, url, json=body, headers=headers) as response:
            response.raise_for_status()
            text = await response.text()
            return await response.json() if text.startswith("{") else {}

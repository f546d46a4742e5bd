"""Hostile and broken webhooks at the real door: a 4xx or a recorded refusal, never a 500, never a lost event, and
nothing secret in the log."""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from local.demo.places import Places
from local.platforms import box_webhooks, relay
from local.world import LocalWorld

type Request = tuple[str, dict[str, str], bytes]


class Door:
    """The webhooks of a running world, and what an administrator is told."""

    def __init__(self, world: LocalWorld, session: aiohttp.ClientSession) -> None:
        self.world, self.session, self.sent = world, session, 0

    def box(self, trigger: str = "COLLABORATION.ACCEPTED", at: datetime | None = None, **source: Any) -> Request:
        """A signed delivery of Box; `source` changes the collaboration."""
        self.sent += 1
        collaboration = {
            "type": "collaboration",
            "id": str(900_000 + self.sent),
            "created_by": {"type": "user", "id": "1", "name": "Sharer", "login": "sharer@contoso.com"},
            "created_at": "2026-01-01T00:00:00-07:00",
            "status": "accepted",
            "accessible_by": {"type": "user", "id": "2", "name": "Guest", "login": "guest@partner.example"},
            "role": "editor",
            "item": {"type": "folder", "id": "0", "name": "All Files"},
            **source,
        }
        keys = self.world.secrets["box"]
        now = datetime.now(UTC)
        headers, body = box_webhooks.delivery(
            trigger, collaboration, keys["primary_key"], keys["secondary_key"], now, sent_at=at or now
        )
        return "box", headers, body

    def sync(self, **data: Any) -> Request:
        """A signed delivery of the relay; `data` changes the fact."""
        self.sent += 1
        document = {
            "specversion": "1.0",
            "id": f"fact-{self.sent}",
            "source": "/hostile",
            "type": "guestpass.share.given.v1",
            "time": datetime.now(UTC).isoformat(),
            "data": {
                "principal": {"address": "guest@partner.example"},
                "role": "View",
                "item": {"id": f"item-{self.sent}", "kind": "folder", "path": "/Anything"},
                **data,
            },
        }
        return self.signed(json.dumps(document).encode())

    def signed(self, body: bytes) -> Request:
        """Any body, properly signed by the relay."""
        self.sent += 1
        headers = relay.signed(
            body, self.world.secrets["securisync"]["signing_secret"], datetime.now(UTC), f"msg_{self.sent}"
        )
        return "securisync", headers, body

    async def post(self, request: Request) -> tuple[int, str]:
        """Deliver; return status and code."""
        connection, headers, body = request
        url = f"{self.world.host_url}/api/webhooks/{connection}"
        async with self.session.post(url, headers=headers, data=body) as response:
            return response.status, (await response.json())["code"]

    async def shares(self, until: Callable[[list[dict[str, Any]]], bool]) -> list[dict[str, Any]]:
        """Every share of everybody, once it is as awaited."""
        places = Places(self.world, self.session)
        async with asyncio.timeout(60):
            while True:
                await places.idle()
                people = [await places.explain(person["guest"]) for person in await places.people()]
                found = [share for person in people for share in person["shares"]]
                if until(found):
                    return found
                await asyncio.sleep(0.1)


@pytest.fixture(scope="module")
async def door(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Door]:
    async with LocalWorld(tmp_path_factory.mktemp("world")) as world, aiohttp.ClientSession() as session:
        yield Door(world, session)


def _changed(request: Request, **headers: str | None) -> Request:
    connection, before, body = request
    after = {
        name: value for name, value in before.items() if headers.get(name.lower().replace("-", "_"), "") is not None
    }
    after |= {name.replace("_", "-"): value for name, value in headers.items() if value is not None}
    return connection, after, body


REFUSED: dict[str, tuple[Callable[[Door], Request], int, str]] = {
    "box, wrong key": (
        lambda d: _changed(d.box(), box_signature_primary="d3Jvbmc=", box_signature_secondary="d3Jvbmc="),
        401,
        "signature-wrong",
    ),
    "box, no signature": (
        lambda d: _changed(d.box(), box_signature_primary=None, box_signature_secondary=None),
        401,
        "signature-missing",
    ),
    "box, no timestamp": (lambda d: _changed(d.box(), box_delivery_timestamp=None), 401, "timestamp-missing"),
    "box, odd timestamp": (lambda d: _changed(d.box(), box_delivery_timestamp="yesterday"), 401, "timestamp-invalid"),
    "box, non-ASCII signature": (
        lambda d: _changed(d.box(), box_signature_primary="sïgnature", box_signature_secondary="ключ"),
        401,
        "signature-wrong",
    ),
    "box, replayed later": (
        lambda d: d.box(at=datetime.now(UTC) - timedelta(minutes=11)),
        401,
        "timestamp-outside-window",
    ),
    "box, changed body": (lambda d: (*d.box()[:2], b"{}"), 401, "signature-wrong"),
    "box, 10 MB": (lambda d: (*d.box()[:2], b"x" * 10_000_000), 413, "body-too-large"),
    "box, nothing at all": (lambda d: ("box", {}, b""), 401, "timestamp-missing"),
    "relay, wrong key": (lambda d: _changed(d.sync(), webhook_signature="v1,d3Jvbmc="), 401, "signature-wrong"),
    "relay, no comma": (lambda d: _changed(d.sync(), webhook_signature="v1"), 401, "signature-wrong"),
    "relay, not base64": (lambda d: _changed(d.sync(), webhook_signature="v1,%%%"), 401, "signature-wrong"),
    "relay, no id": (lambda d: _changed(d.sync(), webhook_id=None), 400, "id-missing"),
    "relay, not JSON": (lambda d: d.signed(b"<share/>"), 400, "body-not-json"),
    "relay, deep JSON": (lambda d: d.signed(b"[" * 200_000), 400, "body-not-json"),
    "relay, not UTF-8": (lambda d: d.signed(b"\xff\xfe{}"), 400, "body-not-json"),
    "relay, wrong types": (lambda d: d.sync(role=7, principal=[]), 400, "contract-violated"),
    "relay, unknown field": (lambda d: d.sync(rolle="View"), 400, "contract-violated"),
    "relay, control character in the path": (
        lambda d: d.sync(item={"id": "1", "kind": "folder", "path": "/a\u0000b"}),
        400,
        "contract-violated",
    ),
    "nobody's door": (lambda d: ("no-such-connection", {}, b"{}"), 404, "connection-unknown"),
}


@pytest.mark.parametrize("case", REFUSED)
async def test_it_is_refused_with_its_code(door: Door, case: str) -> None:
    make, status, code = REFUSED[case]
    assert await door.post(make(door)) == (status, code)


async def test_repeated_headers_are_refused(door: Door) -> None:
    _, headers, body = door.box()
    repeated = [*headers.items(), ("BOX-SIGNATURE-PRIMARY", "d3Jvbmc=")]
    url = f"{door.world.host_url}/api/webhooks/box"
    async with door.session.post(url, headers=repeated, data=body) as response:
        assert (response.status, (await response.json())["code"]) == (400, "header-repeated")


RECORDED: dict[str, tuple[Callable[[Door], Request], str]] = {
    "+@partner.example": (
        lambda d: d.sync(principal={"address": "anna+plus@partner.example"}),
        "needs-attention/address-not-invitable",
    ),
    "quote": (
        lambda d: d.sync(principal={"address": "o'neill@partner.example"}),
        "needs-attention/address-not-invitable",
    ),
    "mixed case": (lambda d: d.sync(principal={"address": "MiXeD@Partner.Example"}), "waiting/approval"),
    "unicode": (lambda d: d.sync(principal={"address": "ünï@pärtner.example"}), "waiting/approval"),
    "markup": (
        lambda d: d.sync(principal={"address": "<script>@partner.example", "name": "<script>alert(1)</script>"}),
        "refused/address-invalid",
    ),
    "a formula": (lambda d: d.sync(principal={"address": "=1+1"}), "refused/address-invalid"),
    "a path with everything": (
        lambda d: d.sync(
            principal={"address": "paths@partner.example"},
            item={"id": "odd", "kind": "folder", "path": "/100% #1 & 'more' 🎉/ü"},
        ),
        "waiting/approval",
    ),
    "a path that leads out": (
        lambda d: d.sync(
            principal={"address": "out@partner.example"}, item={"id": "out", "kind": "folder", "path": "/a/../../b"}
        ),
        "needs-attention/name-not-allowed",
    ),
    "an unknown role": (
        lambda d: d.sync(principal={"address": "role@partner.example"}, role="Emperor"),
        "refused/unknown-role",
    ),
    "a role that is not carried": (
        lambda d: d.box(
            accessible_by={"type": "user", "id": "31", "name": "P", "login": "previewer@partner.example"},
            role="previewer",
        ),
        "refused/role-not-carried",
    ),
    "a role of another kind of case": (
        lambda d: d.box(
            accessible_by={"type": "user", "id": "32", "name": "E", "login": "caps@partner.example"}, role="EDITOR"
        ),
        "waiting/approval",
    ),
}


async def test_odd_but_authentic_events_are_recorded_with_their_reason(door: Door) -> None:
    before = Counter(share["id"] for share in await door.shares(lambda _: True))
    for make, _ in RECORDED.values():
        assert await door.post(make(door)) == (202, "accepted")
    shares = await door.shares(lambda found: len(found) == before.total() + len(RECORDED))
    new = Counter(share["reason"] for share in shares if share["id"] not in before)
    assert new == Counter(reason for _, reason in RECORDED.values())


@pytest.mark.parametrize("trigger", ["COLLABORATION.TURNED_PURPLE", "NO_ACTIVE_SESSION", ""])
async def test_an_unknown_trigger_is_taken_and_fails_nothing(door: Door, trigger: str) -> None:
    assert await door.post(door.box(trigger)) == (202, "accepted")


@pytest.mark.parametrize("source", [{"role": 7}, {"item": "x"}, {"accessible_by": []}, {"created_at": "soon"}])
async def test_wrong_types_from_box_are_taken_and_recorded(door: Door, source: dict[str, Any]) -> None:
    assert await door.post(door.box(**source)) == (202, "accepted")


async def test_nothing_failed_and_nothing_secret_is_in_the_log(door: Door) -> None:
    await door.shares(lambda _: True)
    async with door.session.get(f"{door.world.host_url}/admin/host/status") as response:
        status = await response.json()
    assert (status["failures"], status["poisoned"]) == (0, 0)
    log = (Path(door.world.logs) / "host.log").read_text()
    assert "delivery rejected" in log
    for connection in door.world.secrets.values():
        for name, value in connection.items():
            assert name in ("api_url", "enterprise_id") or value not in log, name
    for secret in ("partner.example", "sïgnature", "redeem?", "d3Jvbmc="):
        assert secret not in log

"""What happens when the source tenant does not answer as it should."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import pytest
from aiohttp import web

from shared.domain.events import Item
from shared.domain.platforms import ItemKind
from shared.domain.reasons import Reason
from shared.domain.sources import Subscription
from shared.domain.trouble import LaterError, RefusedError
from shared.sources.microsoft365.items import Reading
from shared.sources.microsoft365.source import OneDriveSource
from tests.sources.microsoft365_samples import (
    ANN,
    BEN,
    OLGA,
    Tenant,
    feeds,
    office365,
    onedrive,
    reading,
    running_tenant,
    scan,
)

PROJECT = f"/{OLGA}/Projects/Alpha"
ITEM = Item(id="d:1", kind=ItemKind.FOLDER)


@pytest.fixture
async def tenant() -> AsyncIterator[Tenant]:
    async with running_tenant() as tenant:
        await tenant.share(ANN, PROJECT)
        yield tenant


@pytest.mark.parametrize("path", ["/users", "/drive$", "/delta", "/permissions", "/items/[^/]+$", "/drives/[^/]+$"])
async def test_throttling_is_obeyed_wherever_it_comes(tenant: Tenant, path: str) -> None:
    fault = {"match": {"pathRegex": path}, "kind": "429", "retryAfter": 77, "times": 20}
    await tenant.control("faults", fault)
    async with reading(tenant, onedrive) as source:
        with pytest.raises(LaterError) as caught:
            await scan(source)
    assert (caught.value.reason, caught.value.after) == (Reason.SOURCE, timedelta(seconds=77))


@pytest.mark.parametrize("kind", ["503", "500", "html", "truncated"])
async def test_other_passing_trouble(tenant: Tenant, kind: str) -> None:
    async with reading(tenant, onedrive) as source:
        await tenant.control("faults", {"match": {"pathRegex": "/permissions"}, "kind": kind})
        with pytest.raises(LaterError) as caught:
            await scan(source)
        assert caught.value.reason is Reason.SOURCE
        assert [fact.principal.address for fact in (await scan(source)).facts].count(ANN) == 1


async def test_a_missing_permission_names_the_permission(tenant: Tenant) -> None:
    async with reading(tenant, onedrive) as source:
        await tenant.control("faults", {"match": {"pathRegex": "/delta"}, "kind": "sharingDisabled"})
        with pytest.raises(RefusedError) as caught:
            await scan(source)
    assert caught.value.reason is Reason.SOURCE_REFUSED
    assert "Sites.FullControl.All" in (caught.value.detail or "")


@pytest.mark.parametrize("secrets", [{"client_secret": "wrong"}, {"client_id": "another"}, {"tenant_id": "2" * 8}])
async def test_an_app_that_may_not_sign_in_is_told_what_to_check(tenant: Tenant, secrets: dict[str, str]) -> None:
    if "tenant_id" in secrets:
        secrets = {"tenant_id": "99999999-2222-3333-4444-555555555555"}
    async with reading(tenant, onedrive, **secrets) as source:
        with pytest.raises(RefusedError) as caught:
            await source.feeds(None)
    assert caught.value.reason is Reason.SOURCE_REFUSED
    assert "client_secret" in (caught.value.detail or "")
    assert not any(value in (caught.value.detail or "") for value in secrets.values())


async def test_a_scan_goes_on_after_a_locked_drive_and_a_poll_waits_for_it(tenant: Tenant) -> None:
    await tenant.share(BEN, "/paul@contoso.com/Work")
    async with reading(tenant, onedrive) as source:
        (first, _) = await feeds(source)
        cursor = (await source.poll(first, None)).cursor
        locked = {"match": {"pathRegex": f"{first.removeprefix('drive:')}/.*delta"}, "kind": "423", "times": 2}
        await tenant.control("faults", locked)
        found = [fact.principal.address for fact in (await scan(source)).facts]
        assert BEN in found
        assert ANN not in found
        with pytest.raises(LaterError):
            await source.poll(first, cursor)


async def test_a_drive_that_is_locked_while_feeds_are_found_is_left_out(tenant: Tenant) -> None:
    await tenant.share(BEN, "/paul@contoso.com/Work")
    await tenant.share(BEN, "/sites/Legal/Documents/Work")
    await tenant.control("faults", {"match": {"pathRegex": "/users/u-olga/drive"}, "kind": "423"})
    async with reading(tenant, onedrive) as source:
        assert len(await feeds(source)) == 1
    await tenant.control("faults", {"match": {"pathRegex": "/sites/.*/drives"}, "kind": "423"})
    async with reading(tenant, office365) as sites:
        assert await feeds(sites) == []


async def test_an_item_that_vanishes_while_it_is_read_is_left_to_the_delta(tenant: Tenant) -> None:
    async with reading(tenant, onedrive) as source:
        await tenant.control("faults", {"match": {"pathRegex": "/items/[^/]+/permissions"}, "kind": "404", "times": 2})
        assert (await scan(source)).sets == {}
        await tenant.control("faults", {"match": {"pathRegex": "/items/01[^/]+$"}, "kind": "404", "times": 2})
        assert (await scan(source)).sets == {}


async def test_a_host_that_does_not_answer_is_asked_later() -> None:
    nowhere = {"api_url": "http://127.0.0.1:1/v1.0", "login_url": "http://127.0.0.1:1"}
    source = onedrive(**nowhere)
    with pytest.raises(LaterError) as caught:
        await source.feeds(None)
    assert caught.value.reason is Reason.SOURCE
    await source.api.close()


# Answers that Graph does not document.

Answer = Callable[[web.Request], web.Response]


@asynccontextmanager
async def odd_tenant(answer: Answer) -> AsyncIterator[tuple[OneDriveSource, list[web.Request]]]:
    """A source at a server that lets it sign in and then answers oddly; and the requests that came."""
    seen: list[web.Request] = []

    async def handle(request: web.Request) -> web.Response:
        if request.path.endswith("/token"):
            return web.json_response({"token_type": "Bearer", "expires_in": 3599, "access_token": "token"})
        seen.append(request)
        return answer(request)

    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", handle)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    source = onedrive(api_url=f"{url}/v1.0", login_url=url)
    try:
        yield source, seen
    finally:
        await source.api.close()
        await runner.cleanup()


ODD: list[Any] = [
    [],
    "text",
    {"value": 7},
    {"value": [7]},
    {"value": [{"id": 7}]},
    {"value": [{"id": "a/b"}]},
    {"value": [{}]},
    {"value": [], "@odata.deltaLink": 7},
]


@pytest.mark.parametrize("content", ODD)
async def test_an_undocumented_delta_is_read_later(content: Any) -> None:
    async with odd_tenant(lambda _: web.json_response(content)) as (source, _):
        for cursor in (None, Reading().text):
            with source_raises():
                await source.poll("drive:d", cursor)


async def test_an_undocumented_row_is_told_without_its_values() -> None:
    content = {"value": [{"id": "1", "shared": "secret"}], "@odata.deltaLink": "x"}
    async with odd_tenant(lambda _: web.json_response(content)) as (source, _):
        with source_raises() as caught:
            await source.poll("drive:d", Reading().text)
    assert "secret" not in caught.value.detail


def source_raises() -> Any:
    """Expect LaterError for the source."""
    return pytest.raises(LaterError, match=Reason.SOURCE)


@pytest.mark.parametrize("content", ODD[:7])
async def test_undocumented_lists_are_read_later(content: Any) -> None:
    async with odd_tenant(lambda _: web.json_response(content)) as (source, _):
        with pytest.raises(LaterError):
            await source.feeds(None)
        with pytest.raises(LaterError):
            await source.look(ITEM)


async def test_an_item_that_graph_says_is_deleted_has_an_empty_set() -> None:
    gone = {"id": "1", "deleted": {"state": "deleted"}}
    async with odd_tenant(lambda _: web.json_response(gone)) as (source, seen):
        shown = await source.look(ITEM)
        assert shown is not None
        assert (shown.item, shown.facts, len(seen)) == (ITEM, (), 1)


async def test_somebody_else_s_item_is_not_looked_into() -> None:
    shortcut = {"id": "1", "remoteItem": {"id": "x"}}
    async with odd_tenant(lambda _: web.json_response(shortcut)) as (source, seen):
        assert await source.look(ITEM) is None
        assert len(seen) == 1


async def test_a_subscription_without_an_id_is_made_later() -> None:
    async with odd_tenant(lambda _: web.json_response({"clientState": "secret"})) as (source, _):
        with pytest.raises(LaterError) as caught:
            await source.subscribe("drive:d", None, "https://app.example/api/webhooks/one")
        assert "secret" not in (caught.value.detail or "")


@pytest.mark.parametrize("location", [None, "https://elsewhere.example/v1.0/x", "/v1.0/relative", "not a link"])
async def test_a_void_token_without_a_place_to_begin_anew_asks_for_a_scan(location: str | None) -> None:
    def answer(request: web.Request) -> web.Response:
        if "latest" in request.path:
            here = f"http://{request.host}/v1.0/now"
            return web.json_response({"value": [], "@odata.deltaLink": here})
        return web.Response(status=410, headers={"Location": location} if location else {})

    async with odd_tenant(answer) as (source, seen):
        page = await source.poll("drive:d", Reading(link=f"{source.api._base}/old").text)
        assert (page.more, page.rescan) == (True, True)
        assert page.cursor is not None
        assert Reading.of(page.cursor).link == f"{source.api._base.removesuffix('/v1.0')}/v1.0/now"
        assert {request.host for request in seen} == {source.api._base.split("/")[2]}


async def test_a_link_to_another_host_is_refused_before_a_token_is_sent() -> None:
    async with odd_tenant(lambda _: web.json_response({})) as (source, seen):
        for call in (
            source.poll("drive:d", Reading(link="https://elsewhere.example/v1.0/x").text),
            source.feeds('{"link": "https://elsewhere.example/v1.0/x"}'),
        ):
            with pytest.raises(RefusedError) as caught:
                await call
            assert caught.value.reason is Reason.SOURCE_REFUSED
        assert seen == []


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 410, 418, 423, 429, 500, 502, 503, 504])
async def test_every_refusal_is_the_source_s_and_repeats_nobody_s_address(status: int) -> None:
    error = {"error": {"code": "someCode", "message": f"No: {ANN}", "innerError": {"code": "x"}}}
    held = Subscription.model_validate({"id": "s", "made_at": "2026-11-22T09:30:00Z"})
    async with odd_tenant(lambda _: web.json_response(error, status=status)) as (source, seen):
        calls = [
            source.feeds(None),
            source.poll("drive:d", None),
            source.poll("drive:d", Reading().text),
            source.scan('{"drives": ["d"]}'),
            source.look(ITEM),
            source.subscribe("drive:d", held, "https://app.example/x"),
            source.unsubscribe("drive:d", held),
        ]
        found = [one for call in calls for one in await asyncio.gather(call, return_exceptions=True)]
    troubles = [one for one in found if isinstance(one, Exception)]
    assert troubles
    for trouble in troubles:
        assert isinstance(trouble, LaterError | RefusedError)
        assert trouble.reason is (Reason.SOURCE if isinstance(trouble, LaterError) else Reason.SOURCE_REFUSED)
        assert ANN not in (trouble.detail or "")
    assert len(seen) <= 12  # nothing is repeated in here

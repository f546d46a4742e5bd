"""The client: what goes over the wire, and what must not."""

import asyncio
import json
import logging
import subprocess
import sys
from typing import Any

import pytest
from aiohttp import web
from azure.identity.aio import ManagedIdentityCredential

from shared.domain.reasons import Reason
from shared.domain.trouble import LaterError, RefusedError
from shared.entra.directory import EntraDirectory
from shared.graph.client import Graph
from shared.graph.errors import USERS
from tests.graph.conftest import Tenant, Token, odd_graph


async def listed(graph: Graph) -> list[Any]:
    """All users."""
    return [user async for user in graph.pages(graph.client.users, USERS)]


async def test_requests_say_who_asks_and_what_they_take(graph: Graph, tenant: Tenant) -> None:
    await listed(graph)
    (exchange,) = await tenant.exchanges()
    assert exchange["requestHeaders"]["User-Agent"] == "NONISV|Guestpass|Guestpass/0.1"
    assert exchange["requestHeaders"]["Accept"] == "application/json"


@pytest.mark.parametrize("foreign", ["http://elsewhere.example/v1.0/users", "http://127.0.0.1:1/v1.0/users"])
async def test_a_next_link_to_another_host_is_refused_before_a_token_is_sent(foreign: str) -> None:
    page = {"value": [{"id": "1"}], "@odata.nextLink": foreign}
    async with odd_graph(lambda _: web.json_response(page)) as (graph, seen, token):
        with pytest.raises(RefusedError) as caught:
            await listed(graph)
    assert caught.value.reason is Reason.GRAPH_REFUSED
    assert (len(seen), len(token.scopes)) == (1, 1)


async def test_next_links_are_followed_as_they_are() -> None:
    def answer(request: web.Request) -> web.Response:
        if "$skiptoken" in request.query:
            return web.json_response({"value": [{"id": "2"}]})
        link = f"{request.scheme}://{request.host}/v1.0/users?$skiptoken=a%2Bb%20c"
        return web.json_response({"value": [{"id": "1"}], "@odata.nextLink": link})

    async with odd_graph(answer) as (graph, seen, _):
        assert [user["id"] for user in await listed(graph)] == ["1", "2"]
    assert seen[1].query["$skiptoken"] == "a+b c"


async def test_a_redirect_is_not_followed() -> None:
    def answer(_: web.Request) -> web.Response:
        return web.Response(status=302, headers={"Location": "/v1.0/elsewhere"})

    async with odd_graph(answer) as (graph, seen, _):
        with pytest.raises(RefusedError):
            await listed(graph)
    assert len(seen) == 1


@pytest.mark.parametrize("status", [429, 503, 504])
async def test_nothing_is_repeated(status: int) -> None:
    async with odd_graph(lambda _: web.Response(status=status, headers={"Retry-After": "1"})) as (graph, seen, _):
        with pytest.raises(LaterError):
            await EntraDirectory(graph, "https://example.com").invite("ann@fabrikam.com", None, mail=False)
        with pytest.raises(LaterError):
            await listed(graph)
    assert [request.method for request in seen] == ["POST", "GET"]


@pytest.mark.parametrize("text", ["<html></html>", '{"value": [{"id', "[]", "[" * 200_000])
async def test_a_success_that_cannot_be_read_is_to_be_done_later(text: str) -> None:
    async with odd_graph(lambda _: web.Response(text=text)) as (graph, _, _):
        with graph_raises():
            await listed(graph)


def graph_raises() -> Any:
    """Expect LaterError for Microsoft 365 as such."""
    return pytest.raises(LaterError, match=Reason.GRAPH)


async def test_a_dropped_connection_and_a_dead_port_are_to_be_done_later() -> None:
    def drop(request: web.Request) -> web.Response:
        assert request.transport is not None
        request.transport.close()
        return web.Response()

    async with odd_graph(drop) as (graph, _, _):
        with graph_raises():
            await listed(graph)
    async with odd_graph(drop) as (graph, _, token):
        pass
    dead = Graph(str(graph.client.request_adapter.base_url), token)
    with graph_raises():
        await listed(dead)
    await dead.close()


async def test_a_server_that_does_not_answer_is_to_be_done_later() -> None:
    async def keep_silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_server(keep_silent, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    graph = Graph(f"http://{host}:{port}/v1.0", Token(), timeout_seconds=0.1)
    with pytest.raises(LaterError) as caught:
        await listed(graph)
    assert (caught.value.reason, caught.value.detail) == (Reason.GRAPH, "ReadTimeout")
    await graph.close()
    server.close()
    await server.wait_closed()


async def test_no_token_means_later(tenant: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IDENTITY_ENDPOINT", f"{tenant.url}/msi/token")
    monkeypatch.setenv("IDENTITY_HEADER", "wrong")
    async with ManagedIdentityCredential() as credential:
        graph = Graph(f"{tenant.url}/v1.0", credential)
        with graph_raises():
            await listed(graph)
        await graph.close()


async def test_the_scope_follows_the_cloud() -> None:
    async with odd_graph(lambda _: web.json_response({})) as (graph, _, token):
        await listed(graph)
    assert token.scopes == ["https://graph.microsoft.com/.default"]
    us = Graph("https://graph.microsoft.us/v1.0", token)
    provider: Any = us.client.request_adapter._authentication_provider  # type: ignore[attr-defined]
    await provider.access_token_provider.get_authorization_token("https://graph.microsoft.us/v1.0/users")
    assert token.scopes[1:] == ["https://graph.microsoft.us/.default"]
    await us.close()


async def test_no_address_token_or_link_is_logged(
    graph: Graph, tenant: Tenant, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    directory = EntraDirectory(graph, "https://example.com")
    await directory.find("ann.secret@fabrikam.com")
    invited = await directory.invite("ann.secret@fabrikam.com", None, mail=False)
    await directory.find("ann.secret@fabrikam.com")
    ours = [record.getMessage() for record in caplog.records if not record.name.startswith("aiohttp")]
    text = "\n".join(ours).lower()
    for secret in ("ann.secret", "ann_secret", invited.redeem_url.lower(), "bearer "):
        assert secret not in text
    assert invited.redeem_url not in repr(invited)


def in_fresh_python(code: str, *arguments: str) -> list[str]:
    """Run code in an interpreter of its own; it prints JSON."""
    command = [sys.executable, "-c", code, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return list(json.loads(done.stdout))


def test_importing_the_adapters_imports_neither_the_sdk_nor_httpx() -> None:
    loaded = in_fresh_python(
        "import json, sys, shared.entra.directory, shared.sharepoint.sites; print(json.dumps(sorted(sys.modules)))"
    )
    assert "shared.graph.client" in loaded
    assert not {"msgraph", "httpx", "kiota_http", "azure.identity"} & set(loaded)


FULL_ROUND = """
import asyncio, json, sys
from azure.identity.aio import ManagedIdentityCredential
from shared.domain.connections import Destination
from shared.domain.platforms import Role
from shared.entra.directory import EntraDirectory
from shared.graph.client import Graph
from shared.sharepoint.sites import SharePointSites

async def main():
    async with ManagedIdentityCredential() as credential:
        graph = Graph(sys.argv[1] + "/v1.0", credential)
        directory, sites = EntraDirectory(graph, "https://example.com"), SharePointSites(graph)
        ann = (await directory.invite("ann@fabrikam.com", "Ann", mail=True)).object_id
        bob = (await directory.invite("bob@fabrikam.com", None, mail=False)).object_id
        assert await directory.find("ann@fabrikam.com") and not await directory.accepted_since(None)
        item = await sites.resolve(Destination(drive="d1", path="/plans"), None)
        await sites.grant("d1", item, ann, Role.READ)
        mine = [p for p in await sites.permissions("d1", item, ann) if p.mine]
        await sites.change("d1", item, mine[0].id, Role.WRITE)
        await sites.link("d1", item, [ann], Role.READ)
        await sites.link("d1", item, [bob], Role.READ)
        await sites.remove("d1", item, mine[0].id)
        await graph.close()

asyncio.run(main())
print(json.dumps(sorted(sys.modules)))
"""


async def test_a_full_round_of_calls_imports_no_model(
    graph: Graph, tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    await tenant.control("seed", drives=[{"id": "d1", "name": "Plans", "items": [{"path": "/plans"}]}])
    loaded = await asyncio.to_thread(in_fresh_python, FULL_ROUND, tenant.url)
    assert "msgraph.generated.users.users_request_builder" in loaded
    assert "msgraph.generated.models.entity" not in loaded
    assert [name for name in loaded if name.startswith("msgraph.generated.models.")] == []

"""Items, permissions and links, against the simulated tenant."""

import base64
from collections.abc import Sequence
from typing import Any
from urllib.parse import unquote

import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.connections import Destination
from shared.domain.grants import Permission
from shared.domain.platforms import Role
from shared.domain.reasons import Reason
from shared.domain.trouble import LaterError, RefusedError
from shared.graph.client import Graph
from shared.sharepoint.entries import permission_of
from shared.sharepoint.sites import SharePointSites
from tests.graph.conftest import Tenant, odd_graph

ANN, BOB = "id-of-ann", "id-of-bob"
ANN_LOGIN = "i:0#.f|membership|ann_fabrikam.com#ext#@contoso.onmicrosoft.com"
PATHS = [
    "/a b",
    "/100% & #1",
    "/it's",
    "/q=1;v,2+3",
    "/.hidden",
    "/ünï/文件",
    "/🎉",
    "/%20",
    "/a@b$c!(d)",
    "/Deep/er/file",
]


@pytest.fixture
async def sites(graph: Graph, tenant: Tenant) -> SharePointSites:
    """The adapter under test, over one drive and two guests."""
    users = [
        {"id": ANN, "mail": "ann@fabrikam.com", "externalUserState": "Accepted"},
        {"id": BOB, "mail": "bob@fabrikam.com", "externalUserState": "Accepted"},
    ]
    items = [{"path": path} for path in ["/plans/2026", "/plans/2027", *PATHS]]
    await tenant.control("seed", users=users, drives=[{"id": "d1", "name": "Documents", "items": items}])
    return SharePointSites(graph)


async def item(sites: SharePointSites, path: str) -> str:
    """The id of what is at a path."""
    found = await sites.resolve(Destination(drive="d1", path=path), None)
    assert found is not None
    return found


async def mine(sites: SharePointSites, item_id: str, person: str) -> list[Permission]:
    """A person's direct entries."""
    return [entry for entry in await sites.permissions("d1", item_id, person) if entry.mine]


async def links(sites: SharePointSites, item_id: str) -> list[Permission]:
    """The links."""
    return [entry for entry in await sites.permissions("d1", item_id, ANN) if entry.link]


@pytest.mark.parametrize("path", PATHS)
async def test_a_path_is_resolved_whatever_is_in_its_names(sites: SharePointSites, tenant: Tenant, path: str) -> None:
    found = await item(sites, path)
    known = {i["path"]: i["id"] for i in (await tenant.read("state"))["items"]}
    assert found == known[path]
    (exchange,) = await tenant.exchanges("GET")
    sent = exchange["path"].replace("//", "/")
    assert sent.startswith("/v1.0/drives/d1/root:/")
    assert [unquote(part) for part in sent.removesuffix(":").split("/")[5:]] == path.split("/")[1:]
    assert exchange["query"] == "$select=id"


@pytest.mark.parametrize("path", ["", "/", "//"])
async def test_the_root_is_resolved(sites: SharePointSites, tenant: Tenant, path: str) -> None:
    found = await item(sites, path)
    assert found == (await tenant.read("state"))["drives"][0]["rootId"]


async def test_nothing_there_is_none(sites: SharePointSites) -> None:
    assert await sites.resolve(Destination(drive="d1", path="/plans/2030"), None) is None
    assert await sites.resolve(Destination(drive="no-such-drive", path="/"), None) is None


async def test_a_known_item_is_taken_by_its_id(sites: SharePointSites, tenant: Tenant) -> None:
    known = await item(sites, "/plans/2026")
    assert await sites.resolve(Destination(drive="d1", path="/was/elsewhere"), known) == known
    assert (await tenant.exchanges("GET"))[-1]["path"].endswith(f"/items/{known}")


async def test_a_known_item_that_is_gone_is_looked_for_by_path(sites: SharePointSites, tenant: Tenant) -> None:
    known = await item(sites, "/plans/2026")
    await tenant.control("items", drive="d1", delete=["/plans/2026"])
    place = Destination(drive="d1", path="/plans/2026")
    assert await sites.resolve(place, known) is None
    await tenant.control("items", drive="d1", add=[{"path": "/plans/2026"}])
    again = await sites.resolve(place, known)
    assert again not in (None, known)


async def test_a_path_longer_than_sharepoint_s_is_refused(sites: SharePointSites, tenant: Tenant) -> None:
    assert await sites.resolve(Destination(drive="d1", path="/" + "é" * 400), None) is None
    with pytest.raises(RefusedError, match=Reason.GRAPH_REFUSED) as caught:
        await sites.resolve(Destination(drive="d1", path="/" + "é" * 401), None)
    assert "too long" in str(caught.value.detail)
    assert len(await tenant.exchanges()) == 1


@pytest.mark.parametrize("role", list(Role))
async def test_a_grant_is_exactly_what_was_asked(sites: SharePointSites, tenant: Tenant, role: Role) -> None:
    folder = await item(sites, "/plans")
    await sites.grant("d1", folder, ANN, role)
    (exchange,) = await tenant.exchanges("POST")
    assert exchange["path"].replace("//", "/") == f"/v1.0/drives/d1/items/{folder}/invite"
    assert exchange["requestBody"] == {
        "recipients": [{"objectId": ANN}],
        "roles": [role],
        "requireSignIn": True,
        "sendInvitation": False,
        "retainInheritedPermissions": True,
    }
    (entry,) = await mine(sites, folder, ANN)
    assert (entry.role, entry.inherited, entry.link) == (role, False, False)
    assert await mine(sites, folder, BOB) == []
    assert not any("/users" in e["path"] for e in await tenant.exchanges("GET"))
    assert (await tenant.read("state"))["mails"] == []


async def test_what_was_inherited_stays_and_is_told_apart(sites: SharePointSites) -> None:
    folder, below = await item(sites, "/plans"), await item(sites, "/plans/2026")
    await sites.grant("d1", folder, ANN, Role.READ)
    (inherited,) = await mine(sites, below, ANN)
    assert (inherited.role, inherited.inherited) == (Role.READ, True)
    await sites.grant("d1", below, BOB, Role.WRITE)
    (copy,) = await mine(sites, below, ANN)
    assert (copy.id, copy.role, copy.inherited) == (inherited.id, Role.READ, False)


async def test_entries_of_others_are_listed_too_and_an_owner_is_wider(sites: SharePointSites) -> None:
    entries = await sites.permissions("d1", await item(sites, "/"), ANN)
    assert [(entry.mine, entry.role, entry.width) for entry in entries] == [(False, None, 9)]


async def test_all_pages_are_read(sites: SharePointSites, tenant: Tenant) -> None:
    await tenant.control("settings", permissionsPageSize=1)
    folder = await item(sites, "/plans")
    await sites.grant("d1", folder, BOB, Role.READ)
    await sites.grant("d1", folder, ANN, Role.WRITE)
    assert len(await sites.permissions("d1", folder, ANN)) == 3
    assert [entry.role for entry in await mine(sites, folder, ANN)] == [Role.WRITE]


async def test_a_role_is_changed_and_an_entry_removed(sites: SharePointSites, tenant: Tenant) -> None:
    folder = await item(sites, "/plans")
    await sites.grant("d1", folder, ANN, Role.WRITE)
    (entry,) = await mine(sites, folder, ANN)
    await sites.change("d1", folder, entry.id, Role.READ)
    assert [e.role for e in await mine(sites, folder, ANN)] == [Role.READ]
    (exchange,) = await tenant.exchanges("PATCH")
    assert exchange["requestBody"] == {"roles": ["read"]}
    await sites.remove("d1", folder, entry.id)
    assert await mine(sites, folder, ANN) == []
    await sites.remove("d1", folder, entry.id)
    assert [e["status"] for e in await tenant.exchanges("DELETE")] == [204, 404]


async def test_an_inherited_entry_can_not_be_touched_below(sites: SharePointSites) -> None:
    folder, below = await item(sites, "/plans"), await item(sites, "/plans/2026")
    await sites.grant("d1", folder, ANN, Role.READ)
    (entry,) = await mine(sites, below, ANN)
    with pytest.raises(RefusedError):
        await sites.change("d1", below, entry.id, Role.WRITE)
    with pytest.raises(RefusedError):
        await sites.remove("d1", below, entry.id)


async def test_working_on_an_item_that_is_gone_waits_for_the_item(sites: SharePointSites) -> None:
    calls = [
        sites.permissions("d1", "gone", ANN),
        sites.grant("d1", "gone", ANN, Role.READ),
        sites.change("d1", "gone", "x", Role.READ),
        sites.link("d1", "gone", [ANN], Role.READ),
    ]
    for call in calls:
        with pytest.raises(LaterError, match=Reason.DESTINATION_ITEM):
            await call


@pytest.mark.parametrize(
    ("kind", "error", "reason"),
    [
        ("429", LaterError, Reason.GRAPH),
        ("503", LaterError, Reason.GRAPH),
        ("423", LaterError, Reason.GRAPH),
        ("500", LaterError, Reason.GRAPH),
        ("html", LaterError, Reason.GRAPH),
        ("truncated", LaterError, Reason.GRAPH),
        ("504-after-effect", LaterError, Reason.GRAPH),
        ("404", LaterError, Reason.DESTINATION_ITEM),
        ("noResolvedUsers", LaterError, Reason.REPLICATION),
        ("sharingDisabled", RefusedError, Reason.SHARING_DISABLED),
    ],
)
async def test_a_fault_is_told_apart_and_never_repeated(
    sites: SharePointSites, tenant: Tenant, kind: str, error: type[Exception], reason: Reason
) -> None:
    folder = await item(sites, "/plans")
    await tenant.control("faults", match={"pathRegex": "/invite$"}, times=5, kind=kind, retryAfter=7)
    with pytest.raises(error, match=reason) as caught:
        await sites.grant("d1", folder, ANN, Role.READ)
    assert len(await tenant.exchanges("POST")) == 1
    asked = getattr(caught.value, "after", None)
    assert (asked is not None and asked.total_seconds() == 7) == (kind in ("429", "503"))
    shows = bool(await mine(sites, folder, ANN))
    assert shows == (kind in ("504-after-effect", "truncated"))


async def test_a_guest_whom_sharepoint_does_not_know_yet_waits(sites: SharePointSites) -> None:
    with pytest.raises(LaterError, match=Reason.REPLICATION):
        await sites.grant("d1", await item(sites, "/plans"), "not-replicated", Role.READ)


@pytest.mark.parametrize(("role", "kind"), [(Role.READ, "view"), (Role.WRITE, "edit")])
async def test_a_link_is_made_for_these_people_only(
    sites: SharePointSites, tenant: Tenant, role: Role, kind: str
) -> None:
    folder = await item(sites, "/plans")
    made = await sites.link("d1", folder, [ANN], role)
    (exchange,) = await tenant.exchanges("POST")
    assert exchange["requestBody"] == {
        "type": kind,
        "scope": "users",
        "recipients": [{"objectId": ANN}],
        "retainInheritedPermissions": True,
        "sendNotification": False,
    }
    (link,) = await links(sites, folder)
    assert (link.id, link.role, link.members, link.mine, link.inherited) == (made, role, (ANN,), False, False)
    assert (await tenant.read("state"))["mails"] == []


async def test_more_people_come_into_the_same_link(sites: SharePointSites, tenant: Tenant) -> None:
    folder = await item(sites, "/plans")
    first = await sites.link("d1", folder, [ANN], Role.READ)
    assert await sites.link("d1", folder, [BOB], Role.READ) == first
    (link,) = await links(sites, folder)
    assert set(link.members) == {ANN, BOB}
    assert await tenant.exchanges("POST", "/permission/grant") == []


async def test_links_for_everybody_have_no_members_of_ours(sites: SharePointSites, graph: Graph) -> None:
    folder = await item(sites, "/plans")
    await sites.link("d1", folder, [ANN], Role.WRITE)
    below = await item(sites, "/plans/2026")
    (inherited,) = await links(sites, below)
    assert (inherited.role, inherited.inherited, inherited.members) == (Role.WRITE, True, (ANN,))


async def test_whoever_is_missing_in_an_existing_link_is_let_in() -> None:
    url = "https://contoso.sharepoint.com/:f:/g/secret?e=1"
    link = {"id": "l1", "roles": ["read"], "link": {"scope": "users", "type": "view", "webUrl": url}}

    def answer(request: web.Request) -> web.Response:
        if request.path.endswith("/permissions"):
            return web.json_response({"value": [{**link, "grantedToIdentitiesV2": [{"user": {"id": BOB}}]}]})
        return web.json_response(link)

    async with odd_graph(answer) as (graph, seen, _):
        assert await SharePointSites(graph).link("d1", "i1", [ANN, BOB], Role.READ) == "l1"
    grant = seen[-1]
    token = grant.path.split("/")[-3]
    assert grant.path.replace("//", "/") == f"/v1.0/shares/{token}/permission/grant"
    assert base64.urlsafe_b64decode(token.removeprefix("u!") + "==").decode() == url
    assert "=" not in token
    assert await grant.json() == {"recipients": [{"objectId": ANN}], "roles": ["read"]}


async def test_an_answer_without_the_link_is_to_be_done_later() -> None:
    async with odd_graph(lambda _: web.json_response({})) as (graph, _, _):
        with pytest.raises(LaterError):
            await SharePointSites(graph).link("d1", "i1", [ANN], Role.READ)


def id_of(login: str) -> str:
    """A direct entry's id."""
    return base64.urlsafe_b64encode(login.encode()).decode().rstrip("=")


def entry(**more: Any) -> dict[str, Any]:
    """A direct entry that names nobody."""
    return {"id": "x", "roles": ["read"], **more}


BY_ID = {"user": {"id": ANN, "displayName": "Ann"}}
BY_LOGIN = {"user": {"displayName": "Ann"}, "siteUser": {"id": "12", "loginName": ANN_LOGIN.upper()}}


@pytest.mark.parametrize(
    ("row", "is_mine"),
    [
        (entry(grantedToV2=BY_ID), True),
        (entry(grantedTo=BY_ID), True),
        (entry(grantedTo={"user": {"displayName": "Ann"}}, grantedToV2=BY_ID), True),
        (entry(grantedToV2=BY_LOGIN), True),
        (entry(id=id_of(ANN_LOGIN), grantedTo={"user": {"displayName": "Ann"}}), True),
        (entry(grantedToV2={"user": {"id": BOB}}), False),
        (entry(id=id_of(ANN_LOGIN), grantedToV2={"user": {"id": BOB}}), False),
        (entry(id=id_of(ANN_LOGIN.replace("ann", "joann"))), False),
        (entry(grantedToV2={"siteGroup": {"id": "3", "loginName": ANN_LOGIN}}), False),
        (entry(grantedToV2=None, grantedTo=None), False),
        (entry(invitation={"email": "ann@fabrikam.com"}), False),
    ],
)
def test_whose_entry_it_is_shows_in_either_generation(row: dict[str, Any], is_mine: bool) -> None:
    assert permission_of(row, ANN, ANN_LOGIN).mine is is_mine


def test_without_a_login_an_entry_without_ids_is_nobody_s() -> None:
    assert not permission_of(entry(grantedToV2=BY_LOGIN), ANN, None).mine


@pytest.mark.parametrize(
    ("roles", "role"),
    [
        (["read"], Role.READ),
        (["write"], Role.WRITE),
        (["read", "write"], Role.WRITE),
        (["owner"], None),
        (["write", "owner"], None),
        (["sp.full control"], None),
        (["read", "sp.something new"], None),
        ([], None),
    ],
)
def test_the_widest_role_counts(roles: Sequence[str], role: Role | None) -> None:
    assert permission_of(entry(roles=roles), ANN, None).role is role


@pytest.mark.parametrize("inherited", [{}, None, {"id": "1", "path": "/"}])
def test_the_key_alone_says_inherited(inherited: Any) -> None:
    assert permission_of(entry(inheritedFrom=inherited), ANN, None).inherited
    assert not permission_of(entry(), ANN, None).inherited


def test_a_link_s_members_are_read_in_both_generations_once_each() -> None:
    row = entry(
        link={"scope": "users", "type": "edit"},
        roles=[],
        grantedToIdentities=[{"user": {"id": BOB}}, {"user": {"email": "x"}}],
        grantedToIdentitiesV2=[{"user": {"id": BOB}}, BY_LOGIN],
    )
    link = permission_of(row, ANN, ANN_LOGIN)
    assert (link.link, link.mine, link.role, link.members) == (True, False, Role.WRITE, (BOB, ANN))


async def test_the_login_is_looked_up_only_when_needed_and_once() -> None:
    rows = [entry(grantedToV2=BY_ID)]

    def answer(request: web.Request) -> web.Response:
        if "/users/" in request.path:
            return web.json_response({"userPrincipalName": "Ann_fabrikam.com#EXT#@contoso.onmicrosoft.com"})
        return web.json_response({"value": rows})

    async with odd_graph(answer) as (graph, seen, _):
        sites = SharePointSites(graph)
        assert [p.mine for p in await sites.permissions("d1", "i1", ANN)] == [True]
        assert len(seen) == 1
        rows.append(entry(id=id_of(ANN_LOGIN)))
        for _ in range(2):
            assert [p.mine for p in await sites.permissions("d1", "i1", ANN)] == [True, True]
    assert [r.path.rpartition("/")[2] for r in seen].count(ANN) == 1
    assert seen[2].query_string == "$select=userPrincipalName"


async def test_an_account_that_the_directory_does_not_know_has_no_entries() -> None:
    def answer(request: web.Request) -> web.Response:
        if "/users/" in request.path:
            return web.json_response({"error": {"code": "Request_ResourceNotFound"}}, status=404)
        return web.json_response({"value": [entry(id=id_of(ANN_LOGIN))]})

    async with odd_graph(answer) as (graph, _, _):
        assert [p.mine for p in await SharePointSites(graph).permissions("d1", "i1", ANN)] == [False]


@given(st.text())
def test_any_id_can_be_read(permission_id: str) -> None:
    assert not permission_of(entry(id=permission_id), ANN, ANN_LOGIN).mine

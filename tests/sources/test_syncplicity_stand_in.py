"""Syncplicity's stand-in refuses what Syncplicity refuses, and writes names as Axway's sample reads them."""

import asyncio
import base64
import re
import sys
from collections.abc import AsyncIterator, Mapping
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from pydantic import BaseModel

from shared.sources.syncplicity.parts import Event, EventData, Group, Link, Participant, Syncpoint, User
from tests.sources.syncplicity_samples import ANN, BEN, EVE, SECRETS, World, company

# Syncplicity-CSharp-CLI-Sample, Entities: the members of the classes, written here a second time.
USER = "Id EmailAddress FirstName LastName Password Disabled Roles AccountType Status LastLoginDateUtc CreatedDateUtc"
PARTICIPANT = "SyncPointId User Inviter Permission Mapped SharingInviteNote NewParticipantOption"
SYNCPOINT = (
    "Id Type Name RootFolderId Mapped Path DownloadEnabled UploadEnabled Shared Owner Permission Participants Mappings "
    "Policy RemoteWipe StorageEndpointId Parent Children PathToRoot Inviter ServerId ServerStatus"
)
GROUP = "Id Name Company Owner Members StorageQuotas PolicySet PolicySets Syncpoints"
LINK = (
    "Token SyncPointId VirtualPath LandingPageUrl DownloadUrl Password Message File SharedDateUtc NumDownloads Users "
    "LinkUsage LinkExpireInDays StorageSignature DownloadToken ThumbnailName LinkExpirationPolicy "
    "PasswordProtectPolicy RolId ShareLinkPolicy SharedLinkPolicy IsIrmProtected IrmRoleType ShareResourceType "
    "ShareType LinkPermissionType Folder Groups"  # Groups: Syncplicity-Bash-Sample, LinksAPIs.sh
)
EVENT, EVENT_DATA = "Id App Event TimeStamp Version Data", "TypeId Company Source File Folder Syncpoint"


@pytest.fixture
async def world() -> AsyncIterator[World]:
    async with company() as made:
        yield made


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(headers={"Accept": "application/json"}) as made:
        yield made


KEY = base64.b64encode(f"{SECRETS['app_key']}:{SECRETS['app_secret']}".encode()).decode()
GOOD = {"Authorization": f"Basic {KEY}", "Sync-App-Token": SECRETS["application_token"]}
FORM = {"grant_type": "client_credentials"}
USERS = f"/provisioning/company_users.svc/company/{SECRETS['company_id']}/users"


async def bearer(world: World, session: aiohttp.ClientSession) -> dict[str, str]:
    async with session.post(world.url + "/oauth/token", headers=GOOD, data=FORM) as answer:
        token = (await answer.json())["access_token"]
    return {"Authorization": f"Bearer {token}", "AppKey": SECRETS["app_key"]}


@pytest.mark.parametrize(
    ("headers", "form", "status"),
    [
        ({}, {}, 200),
        ({"Authorization": "Basic x"}, {}, 401),
        ({"Sync-App-Token": "x"}, {}, 401),
        ({}, {"grant_type": "password"}, 400),
        ({}, {"more": "x"}, 400),
        ({"Accept": "text/xml"}, {}, 406),
    ],
)
async def test_tokens(
    world: World, session: aiohttp.ClientSession, headers: dict[str, str], form: dict[str, str], status: int
) -> None:
    async with session.post(world.url + "/oauth/token", headers=GOOD | headers, data=FORM | form) as answer:
        assert answer.status == status


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        (USERS, {}, 200),
        (USERS, {"Authorization": "Bearer x"}, 401),
        (USERS, {"AppKey": "x"}, 401),
        (USERS, {"Accept": "text/xml"}, 406),
        (USERS + "?page=2", {}, 400),
        (USERS.replace("8f", "00"), {}, 404),
        ("/provisioning/user.svc/nobody@contoso.com", {}, 404),
        ("/provisioning/group_members.svc/3f2504e0-4f89-41d3-9a0c-0305e82c3301", {}, 404),
        ("/syncpoint/syncpoints.svc/", {"As-User": "nobody"}, 403),
        ("/syncpoint/syncpoints.svc/?include=everything", {}, 400),
        ("/syncpoint/syncpoints.svc/?includeType=10", {}, 400),
        ("/syncpoint/syncpoint_participants.svc/1/participants", {}, 404),
        ("/events/company", {}, 400),
        ("/events/company?limit=5", {"X-SYNCP-NEXTPAGE": "x"}, 400),
        ("/events/company?limit=5", {"X-SYNCP-NEXTPAGE": "OTk="}, 400),
        ("/elsewhere", {}, 404),
    ],
)
async def test_calls(
    world: World, session: aiohttp.ClientSession, path: str, headers: dict[str, str], status: int
) -> None:
    async with session.get(world.url + path, headers=await bearer(world, session) | headers) as answer:
        assert answer.status == status
        assert (await answer.json() is not None) == (status != 204)


@pytest.mark.parametrize(
    "act",
    [
        {"path": "/Projects", "kind": "root"},
        {"path": f"/{ANN}", "kind": "root"},
        {"path": f"/{ANN}/Projects/Deeper", "kind": "root"},
        {"path": f"/{ANN}/Projects", "kind": "folder"},
        {"path": f"/{ANN}/Projects", "kind": "root", "pending": True},
        {"path": f"/{ANN}/Projects", "kind": "root", "role": "Editor"},
        {"path": f"/{ANN}/Projects/a.pdf", "kind": "file", "role": "Contributor"},
    ],
)
async def test_acts_that_nobody_can_do_there(world: World, act: dict[str, Any]) -> None:
    with pytest.raises(web.HTTPBadRequest):
        await world.act("share", EVE, act.pop("path"), **act)


def keys(value: object) -> set[str]:
    return (
        set(value) if isinstance(value, dict) else set().union(*map(keys, value)) if isinstance(value, list) else set()
    )


async def test_the_names_are_those_of_the_sample(world: World, session: aiohttp.ClientSession) -> None:
    await world.act("share", EVE, f"/{ANN}/Projects", kind="root", role="ReadWrite")
    await world.act("share", EVE, f"/{ANN}/Projects/Sub", kind="folder")
    await world.act("share", BEN, f"/{ANN}/Projects/plan.pdf", kind="file")
    world.company.writes_capitals = True
    headers = await bearer(world, session) | {"As-User": world.company.person(ANN).id}

    async def get(path: str) -> Any:
        async with session.get(world.url + path, headers=headers) as answer:
            return await answer.json()

    folders = await get("/syncpoint/syncpoints.svc/?include=participants,inviter,children")
    links, events = await get("/syncpoint/links.svc/"), await get("/events/company?limit=9")
    assert len(folders) == 2
    assert keys(folders) <= set(SYNCPOINT.split())
    assert keys([folder["Participants"] for folder in folders]) <= set(PARTICIPANT.split())
    assert keys([one["User"] for folder in folders for one in folder["Participants"]]) <= set(USER.split())
    assert keys(await get(USERS)) <= set(USER.split())
    assert keys(links) <= set(LINK.split())
    assert keys(links[0]["Users"]) <= set(USER.split())
    assert keys(events) == set(EVENT.split())
    assert keys([event["Data"] for event in events]) == set(EVENT_DATA.split())
    assert re.fullmatch(r"/Date\([0-9]+\+0000\)/", links[0]["SharedDateUtc"])
    assert world.company.person(EVE).shown() == folders[0]["Participants"][0]["User"]
    # what has the default value of its type is left out
    assert "Permission" not in folders[0]
    assert "Parent" not in folders[0]


PARTS: Mapping[type[BaseModel], str] = {
    User: USER,
    Participant: PARTICIPANT,
    Syncpoint: SYNCPOINT,
    Group: GROUP,
    Link: LINK,
    Event: EVENT.lower(),
    EventData: EVENT_DATA.lower(),
}


@pytest.mark.parametrize(("part", "names"), PARTS.items(), ids=lambda value: getattr(value, "__name__", ""))
def test_what_is_read_is_named_as_in_the_sample(part: type[BaseModel], names: str) -> None:
    read = {field.alias or name for name, field in part.model_fields.items()}
    assert read <= set(names.split())


async def test_it_runs_as_a_process(session: aiohttp.ClientSession) -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "local.platforms.syncplicity", "--app-key", "k", "--domain", "contoso.example"),
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    said = (await process.stdout.readline()).decode()
    url = said.split()[-1]
    act = {"act": "share", "person": EVE, "path": "/ann@contoso.example/Projects", "kind": "root"}
    async with session.post(url + "/control/act", json=act) as answer:
        assert answer.status == 204
    async with session.get(url + "/events/company?limit=1", headers={"AppKey": "k"}) as answer:
        assert answer.status == 401
    process.terminate()
    await process.wait()

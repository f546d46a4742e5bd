"""Dropbox's stand-in refuses what Dropbox refuses."""

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.sources.dropbox_samples import ADMIN, ANNA, ERIKA, SECRETS, StandIn, stand_in

FOLDER = "/Projects/Alpha"


@pytest.fixture
async def dropbox() -> AsyncIterator[StandIn]:
    async with stand_in() as one:
        await one.act("share", ERIKA, FOLDER, sharer=ANNA)
        yield one


async def ask(dropbox: StandIn, route: str, body: Any, headers: dict[str, str]) -> tuple[int, str]:
    form = {
        "grant_type": "refresh_token",
        "refresh_token": SECRETS["refresh_token"],
        "client_id": SECRETS["app_key"],
        "client_secret": SECRETS["app_secret"],
    }
    async with dropbox.session.post(f"{dropbox.url}/oauth2/token", data=form) as answer:
        token = (await answer.json())["access_token"]
    bearer = {"Authorization": f"Bearer {token}", "Content-Type": "application/json", **headers}
    async with dropbox.session.post(f"{dropbox.url}/2/{route}", data=json.dumps(body), headers=bearer) as answer:
        return answer.status, await answer.text()


@pytest.mark.parametrize(
    ("route", "body", "who", "expected"),
    [
        ("sharing/get_folder_metadata", {"shared_folder_id": "1"}, {}, (400, "single Dropbox account")),
        ("sharing/get_folder_metadata", {"shared_folder_id": "1"}, {"Admin": "dbmid:x"}, (401, "invalid_select_admin")),
        ("sharing/get_folder_metadata", {"shared_folder_id": "1"}, {"User": "dbmid:x"}, (401, "invalid_select_user")),
        ("sharing/get_folder_metadata", {"shared_folder_id": "1"}, {"Admin": ADMIN}, (409, "invalid_id")),
        ("sharing/get_folder_metadata", {"shared_folder_id": "1", "x": 1}, {"Admin": ADMIN}, (400, "unknown field")),
        ("sharing/get_folder_metadata", {"shared_folder_id": 1}, {"Admin": ADMIN}, (400, "not as documented")),
        ("sharing/get_folder_metadata", {}, {"Admin": ADMIN}, (400, "missing field")),
        ("sharing/get_folder_metadata", [], {"Admin": ADMIN}, (400, "expected object")),
        ("sharing/list_shared_links", {}, {"Admin": ADMIN}, (400, "does not support")),
        ("sharing/list_file_members/batch", {"files": []}, {"Admin": ADMIN}, (400, "does not support")),
        ("sharing/list_folder_members", {"shared_folder_id": "1", "limit": 1001}, {"Admin": ADMIN}, (400, "limit")),
        ("team/get_info", {"x": 1}, {}, (400, "expected null")),
        ("team/get_info", None, {"Admin": ADMIN}, (400, "operates on a team")),
        ("team_log/get_events", {"limit": 0}, {}, (400, "limit")),
        ("files/get_metadata", {"path": "id:x"}, {"Admin": ADMIN}, (409, "not_found")),
        ("files/list_folder", {"path": ""}, {"Admin": ADMIN}, (400, "one by one")),
        ("files/nothing", {}, {"Admin": ADMIN}, (404, "")),
    ],
)
async def test_requests_are_judged(
    dropbox: StandIn, route: str, body: Any, who: dict[str, str], expected: tuple[int, str]
) -> None:
    known = {ADMIN: dropbox.team.admin.id}
    headers = {f"Dropbox-API-Select-{kind}": known.get(one, one) for kind, one in who.items()}
    status, text = await ask(dropbox, route, body, headers)
    assert status == expected[0]
    assert expected[1] in text


@pytest.mark.parametrize(
    ("route", "root", "expected"),
    [
        ("sharing/get_folder_metadata", '{".tag":"root","root":"1"}', 400),
        ("files/get_metadata", '{".tag":"namespace_id","namespace_id":"1"}', 400),
        ("files/get_metadata", '{".tag":"home"}', 400),
    ],
)
async def test_where_paths_begin_is_judged(dropbox: StandIn, route: str, root: str, expected: int) -> None:
    body = {"path": "id:x"} if route.startswith("files") else {"shared_folder_id": "1"}
    headers = {"Dropbox-API-Select-Admin": dropbox.team.admin.id, "Dropbox-API-Path-Root": root}
    assert (await ask(dropbox, route, body, headers))[0] == expected


@pytest.mark.parametrize(
    "act",
    [
        {"act": "share", "path": "/", "kind": "root"},
        {"act": "share", "path": f"/{ANNA}"},
        {"act": "share", "path": FOLDER, "role": "co-owner"},
        {"act": "share", "path": FOLDER, "expires_at": "2027-01-01T00:00:00+00:00"},
        {"act": "share", "path": FOLDER, "kind": "file"},
        {"act": "role", "path": "/Projects", "role": "viewer"},
        {"act": "remove", "path": "/Projects"},
    ],
)
async def test_what_nobody_can_do_at_dropbox_cannot_be_done_here(dropbox: StandIn, act: dict[str, str]) -> None:
    async with dropbox.session.post(f"{dropbox.url}/control/act", json={"person": ERIKA, **act}) as answer:
        assert answer.status == 400
    unshare = {"what": "unshare", "path": "/Projects"}
    async with dropbox.session.post(f"{dropbox.url}/control/happen", json=unshare) as answer:
        assert answer.status == 400


async def test_content_moves_along_when_a_folder_is_shared_and_unshared(dropbox: StandIn) -> None:
    path = f"/{ANNA}/Plans/f.txt"
    await dropbox.seed(files=[path])
    (file,) = dropbox.team.content.values()
    home, before = file.namespace, file.path
    await dropbox.act("share", ERIKA, f"/{ANNA}/Plans", sharer=ANNA)
    assert (file.namespace, file.path) == (dropbox.team.shared_folder(f"/{ANNA}/Plans").id, "/f.txt")
    await dropbox.act("share", ERIKA, f"/{ANNA}/Plans/Inner", sharer=ANNA)
    await dropbox.happen("unshare", path=f"/{ANNA}/Plans")
    assert (file.namespace, file.path) == (home, before)
    assert dropbox.team.shared_folder(f"/{ANNA}/Plans/Inner").parent == home

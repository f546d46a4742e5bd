"""Dropbox: the stand-in's answers and our reading of them, judged by Dropbox's own SDK."""

# mypy: disable-error-code="import-untyped"

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
from dropbox import DropboxTeam, create_session, files, sharing, team, team_log
from dropbox.auth import AuthError_validator
from dropbox.session import API_HOST
from dropbox.stone_serializers import json_compat_obj_decode
from stone.backends.python_rsrc.stone_base import Route
from stone.backends.python_rsrc.stone_validators import ValidationError

from local.platforms.dropbox_routes import ROUTES
from shared.domain.events import Change, Item
from shared.domain.platforms import ItemKind
from shared.sources.dropbox.api import SentElsewhere
from shared.sources.dropbox.log import read_event
from tests.sources.dropbox_samples import ANNA, ERIKA, OTTO, REAL_EVENT, SECRETS, StandIn, by_path, stand_in

FOLDER, OWN = "/Projects/Alpha", f"/{ANNA}/Plans"
BY_NAME: dict[str, Any] = {
    f"{module.__name__.removeprefix('dropbox.')}/{route.name}" + ("_v2" if route.version == 2 else ""): route
    for module in (files, sharing, team, team_log)
    for route in vars(module).values()
    if isinstance(route, Route)
}


@pytest.fixture(params=[False, True], ids=["team folders", "team space"])
async def dropbox(request: pytest.FixtureRequest) -> AsyncIterator[StandIn]:
    async with stand_in(team_space=request.param) as one:
        yield one


def client(dropbox: StandIn) -> Any:
    """Dropbox's SDK, as anybody would use it."""
    session = create_session()
    session.trust_env = False
    session.mount(f"https://{API_HOST}", SentElsewhere(dropbox.url))
    return DropboxTeam(
        oauth2_refresh_token=SECRETS["refresh_token"],
        app_key=SECRETS["app_key"],
        app_secret=SECRETS["app_secret"],
        session=session,
    )


async def play(dropbox: StandIn) -> None:
    """A bit of everything."""
    groups = [{"name": "Builders", "members": [ANNA, "t@agency.example"]}, {"name": "Partners", "same_team": False}]
    await dropbox.seed(members=[{"email": ANNA}], groups=groups, outside_folders=[{"name": "Theirs", "member": ANNA}])
    await dropbox.act("share", ERIKA, "/Projects", role="viewer")
    await dropbox.act("share", ERIKA, FOLDER, role="editor", sharer=ANNA)
    await dropbox.act("share", OTTO, FOLDER, role="viewer", pending=True)
    await dropbox.act("role", OTTO, FOLDER, role="editor")
    await dropbox.act("role", ERIKA, FOLDER, role="viewer_no_comment")
    await dropbox.act("share", "group:Builders", FOLDER, role="editor")
    await dropbox.act("share", "group:Partners", FOLDER, role="viewer")
    await dropbox.act("share", ERIKA, OWN, role="editor", sharer=ANNA)
    for person in (OTTO, "o2@partner.example", "o3@partner.example"):
        await dropbox.act("share", person, "/Projects", role="viewer")
        await dropbox.act("share", person, f"{OWN}/f.txt", kind="file", role="viewer", sharer=ANNA)
    await dropbox.act("share", OTTO, "/Projects/f.txt", kind="file", role="viewer")
    await dropbox.happen("claim", invited=OTTO, person="otto@home.example", path=FOLDER)
    await dropbox.happen("leave", person="otto@home.example", path=FOLDER)
    await dropbox.happen("link", owner=ANNA, path=f"{OWN}/f.txt", kind="file", to=[ERIKA])
    await dropbox.happen("link", owner=ANNA, path=f"{OWN}/f.txt", kind="file", audience="team")
    await dropbox.happen("link", owner=ANNA, path=OWN, expires="2027-01-01T00:00:00+00:00")
    await dropbox.happen("restrict", path=FOLDER)
    await dropbox.act("remove", ERIKA, FOLDER)
    for status in ("suspended", "removed"):
        await dropbox.happen("status", person="t@agency.example", status=status)


async def test_every_answer_is_as_the_specification_says(dropbox: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    """Decoded strictly: no unknown field, no missing one, no wrong type."""
    judged: dict[str, set[int]] = {}
    send = requests.Session.send

    def judge(session: requests.Session, request: requests.PreparedRequest, **options: Any) -> requests.Response:
        answer = send(session, request, **options)
        name = urlsplit(str(request.url)).path.removeprefix("/2/")
        if name in BY_NAME:
            errors = {401: AuthError_validator, 409: BY_NAME[name].error_type}
            is_result = answer.status_code == 200
            kind = BY_NAME[name].result_type if is_result else errors[answer.status_code]
            json_compat_obj_decode(kind, answer.json() if is_result else answer.json()["error"], strict=True)
            judged.setdefault(name, set()).add(answer.status_code)
        return answer

    monkeypatch.setattr(requests.Session, "send", judge)
    cursor = await dropbox.start()
    await play(dropbox)
    assert await dropbox.told(cursor)
    await dropbox.seed(page=2)
    seen, _ = await dropbox.scanned()
    for one in seen:
        await dropbox.source.look(one.item)
    await dropbox.source.look(Item(id="folder:1", kind=ItemKind.FOLDER))
    await dropbox.source.look(Item(id="file:id:nothing", kind=ItemKind.FILE, path=f"/{ANNA}/nothing"))
    page = await dropbox.polled(cursor)
    assert page.cursor is not None
    await dropbox.polled(page.cursor)
    await dropbox.seed(void="reset")
    await dropbox.source.poll("team-log", page.cursor)
    await dropbox.seed(void="bad_cursor", forget_cursors=True)
    await dropbox.polled(page.cursor)
    await dropbox.source.scan('{"page":"forgotten"}')
    assert {name for name, statuses in judged.items() if 200 not in statuses} == set()
    assert set(judged) | {"team/groups/members/list/continue", "files/list_folder/continue"} >= set(ROUTES)
    refused = {name for name, statuses in judged.items() if 409 in statuses}
    assert refused >= {"sharing/get_folder_metadata", "files/get_metadata", "team_log/get_events/continue"}


async def test_the_sdk_s_own_client_sees_the_same(dropbox: StandIn) -> None:
    await play(dropbox)
    found = by_path((await dropbox.scanned())[0])[OWN]

    def ask() -> tuple[dict[str, str], str, str | None]:
        whole = client(dropbox)
        admin = whole.team_token_get_authenticated_admin().admin_profile
        dbx = whole.as_admin(admin.team_member_id)
        ident = found.item.id.removeprefix("folder:")
        members = dbx.sharing_list_folder_members(ident)
        anna = next(one.user.team_member_id for one in members.users if one.access_type.is_owner())
        mounted = whole.as_user(anna).sharing_get_folder_metadata(ident)
        return (
            {one.user.email: one.access_type._tag for one in members.users},
            whole.team_get_info().team_id,
            mounted.path_display,
        )

    members, team_id, path = await asyncio.to_thread(ask)
    assert members == {one.principal.address: one.role for one in found.facts}
    assert team_id == dropbox.team.namespaces[found.item.id.removeprefix("folder:")].team
    assert f"/{ANNA}{path}" == found.item.path


async def test_the_log_reads_as_the_sdk_reads_it(dropbox: StandIn) -> None:
    await play(dropbox)
    for _, event in dropbox.team.log:
        theirs: Any = json_compat_obj_decode(team_log.TeamEvent_validator, event, strict=True)
        ours = read_event(event)
        if ours is None:
            continue
        assert theirs.timestamp == ours.at.replace(tzinfo=None)  # theirs has no offset, and means UTC
        people = [one.get_user().email for one in theirs.participants or [] if one.is_user()]
        if ours.told and event["event_type"][".tag"] == "shared_content_add_member":
            named = [one.principal.address for one in ours.told if one.principal.address]
            assert named == people
            assert {one.role for one in ours.told} == {
                theirs.details.get_shared_content_add_member_details().shared_content_access_level._tag
            }


def test_the_real_event_is_what_the_sdk_says_it_is() -> None:
    event: Any = json_compat_obj_decode(team_log.TeamEvent_validator, REAL_EVENT)
    entry = read_event(REAL_EVENT)
    assert entry is not None
    assert event.participants[0].get_user().email == entry.told[0].principal.address
    assert event.assets[0].get_file().file_id == entry.assets[0].file_id
    assert event.assets[0].get_file().path.namespace_relative.ns_id == entry.assets[0].namespace


# What stops the SDK's decoder for a whole page, and does not stop us.
ODD_ROLE = {"access_type": {".tag": "other"}, "user": {"account_id": "dbid:AA" + "x" * 33, "same_team": False}}
ODD_ROLE["user"] |= {"email": ERIKA, "display_name": "Erika"}  # type: ignore[operator]
ODD_ADDRESS = {"access_type": {".tag": "viewer"}, "invitee": {".tag": "email", "email": "o@b.xn--vermgensberatung-pwb"}}


async def test_other_and_odd_addresses_do_not_hide_a_page() -> None:
    answer = {"users": [ODD_ROLE], "groups": [], "invitees": [ODD_ADDRESS]}
    with pytest.raises(ValidationError):
        json_compat_obj_decode(sharing.list_folder_members.result_type, {**answer, "invitees": []}, strict=False)
    with pytest.raises(ValidationError):
        json_compat_obj_decode(sharing.list_folder_members.result_type, {**answer, "users": []}, strict=False)
    async with stand_in() as dropbox:
        await dropbox.act("share", ERIKA, "/Projects")
        item = by_path((await dropbox.scanned())[0])["/Projects"].item
        fault = {"path": "/2/sharing/list_folder_members", "status": 200, "body": json.dumps(answer)}
        await dropbox.fail(fault)
        found = await dropbox.source.look(item)
        assert found is not None
        assert {one.principal.address: one.role for one in found.facts} == {
            ERIKA: "other",
            "o@b.xn--vermgensberatung-pwb": "viewer",
        }


def test_an_event_with_other_in_it_is_not_a_page_that_cannot_be_read() -> None:
    event = {**REAL_EVENT, "participants": [{".tag": "other"}, *REAL_EVENT["participants"]]}
    with pytest.raises(ValidationError):
        json_compat_obj_decode(team_log.TeamEvent_validator, event, strict=False)
    entry = read_event(event)
    assert entry is not None
    assert [one.change for one in entry.told] == [Change.GIVEN]
    assert entry.look

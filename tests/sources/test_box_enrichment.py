"""Box: what its API adds, asked through Box's own SDK."""

import json
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest

from shared.domain.events import PrincipalKind, ShareEvent
from shared.domain.reasons import Reason
from shared.domain.trouble import LaterError
from tests.sources.box_samples import (
    APP,
    COLLABORATION,
    FILE,
    PENDING,
    read,
)
from tests.sources.box_world import StandIn, stand_in


@pytest.fixture
async def box() -> AsyncIterator[StandIn]:
    async with stand_in() as box:
        yield box


FOLDERS = [{"id": "5000", "name": "Projects", "parent": "0"}, {"id": "5678", "name": "Ball Valve", "parent": "5000"}]


async def enriched(box: StandIn, event: ShareEvent) -> ShareEvent:
    (complete,) = await box.source().enrich(event)
    return complete


@pytest.mark.parametrize(("folder", "path"), [("5000", "/Projects"), ("5678", "/Projects/Ball Valve")])
async def test_a_folder_s_path_runs_from_the_root(box: StandIn, folder: str, path: str) -> None:
    await box.seed(folders=FOLDERS)
    event = read("COLLABORATION.ACCEPTED", {**COLLABORATION, "item": {"type": "folder", "id": folder}})
    complete = await enriched(box, event)
    assert complete.item is not None
    assert complete.item.path == path
    assert complete.model_copy(update={"item": event.item}) == event
    assert await box.requests() == [
        f"GET /2.0/folders/{folder}?fields=name,path_collection,is_externally_owned",
        "GET /2.0/folders/0/items?fields=name,is_externally_owned&usemarker=true&limit=1000",
    ]


@pytest.mark.parametrize(
    ("kind", "other", "ambiguous"),
    [
        ("folders", {"name": "Projects"}, True),
        ("folders", {"name": "PROJECTS"}, True),
        ("files", {"name": "projects"}, True),
        ("folders", {"name": "Project"}, False),
        ("folders", {"name": "Projects", "is_externally_owned": True}, False),
    ],
)
async def test_a_path_that_leads_to_two_places_is_no_path(
    box: StandIn, kind: str, other: dict[str, Any], ambiguous: bool
) -> None:
    """Folders of different owners meet at the top of the service account, whatever their names."""
    await box.seed(folders=FOLDERS)
    await box.seed(**{kind: [{"id": "6000", "parent": "0", **other}]})
    complete = await enriched(box, read("COLLABORATION.ACCEPTED", COLLABORATION))
    assert complete.item is not None
    assert (complete.item.path is None) is ambiguous


async def test_what_is_at_the_top_is_read_once_for_many_paths(box: StandIn) -> None:
    await box.seed(folders=FOLDERS)
    await box.seed(folders=[{"id": str(n), "name": f"f{n}", "parent": "0"} for n in range(10_000, 11_000)])
    await box.seed(folders=[{"id": "9", "name": "Projects", "parent": "0"}])
    source = box.source()
    for _ in range(2):
        (complete,) = await source.enrich(read("COLLABORATION.ACCEPTED", COLLABORATION))
        assert complete.item is not None
        assert complete.item.path is None
    assert sum("/folders/0/items" in request for request in await box.requests()) == 2


async def test_a_file_s_path(box: StandIn) -> None:
    await box.seed(folders=FOLDERS, files=[{"id": "77", "name": "plan.pdf", "parent": "5000"}])
    complete = await enriched(box, read("COLLABORATION.ACCEPTED", {**COLLABORATION, "item": FILE}))
    assert complete.item is not None
    assert complete.item.path == "/Projects/plan.pdf"


async def test_the_root_needs_no_question(box: StandIn) -> None:
    event = read("COLLABORATION.ACCEPTED", {**COLLABORATION, "item": {"type": "folder", "id": "0"}})
    assert await enriched(box, event) == event
    assert await box.requests() == []


@pytest.mark.parametrize(
    "entries",
    [
        [],
        [{"type": "folder", "id": "5000", "name": "Projects"}],
        [{"type": "folder", "id": "1", "name": "Trash"}],
        [{"type": "folder", "id": "0", "name": "All Files"}, {"type": "folder", "id": "5", "name": "a/b"}],
        [{"type": "folder", "id": "0", "name": "All Files"}, {"type": "folder", "id": "5", "name": ""}],
    ],
)
async def test_a_path_that_is_not_whole_is_no_path(box: StandIn, entries: list[dict[str, str]]) -> None:
    answer = {
        "type": "folder",
        "id": "5678",
        "name": "Valve",
        "path_collection": {"total_count": 1, "entries": entries},
    }
    await box.fail({"path": "/2.0/folders/", "status": 200, "body": json.dumps(answer)})
    complete = await enriched(box, read("COLLABORATION.ACCEPTED", COLLABORATION))
    assert complete.item is not None
    assert complete.item.path is None


@pytest.mark.parametrize("status", [403, 404])
async def test_an_item_that_box_does_not_show_has_no_path(box: StandIn, status: int) -> None:
    await box.fail({"path": "/2.0/folders/", "status": status})
    event = read("COLLABORATION.ACCEPTED", COLLABORATION)
    assert await enriched(box, event) == event


async def test_details_that_the_delivery_lacks_are_asked_for(box: StandIn) -> None:
    await box.seed(folders=FOLDERS, collaborations=[COLLABORATION])
    bare = {**COLLABORATION, "item": None, "accessible_by": None, "role": None}
    complete = await enriched(box, read("COLLABORATION.ACCEPTED", bare))
    assert complete.role == "editor"
    assert complete.principal.address == "example@user.com"
    assert complete.item is not None
    assert complete.item.path == "/Projects/Ball Valve"


async def test_a_forgotten_collaboration_leaves_the_event_as_it_was(box: StandIn) -> None:
    event = read("COLLABORATION.ACCEPTED", {**COLLABORATION, "item": None})
    assert await enriched(box, event) == event
    assert await box.requests() == ["GET /2.0/collaborations/12345"]


async def test_what_the_delivery_told_is_not_overwritten(box: StandIn) -> None:
    await box.seed(folders=FOLDERS, collaborations=[{**COLLABORATION, "role": "co-owner", "status": "accepted"}])
    event = read("COLLABORATION.CREATED", {**PENDING, "accessible_by": None, "role": "viewer"})
    complete = await enriched(box, event)
    assert (complete.role, complete.pending, complete.principal.address) == ("viewer", True, "example@user.com")


async def test_a_pending_invitation_with_an_address_asks_nothing(box: StandIn) -> None:
    event = read("COLLABORATION.CREATED", PENDING)
    assert await enriched(box, event) == event
    assert await box.requests() == []


GROUP = {**COLLABORATION, "accessible_by": {"type": "group", "id": "9", "name": "Partners"}}


async def test_a_removal_does_not_wait_for_box(box: StandIn) -> None:
    for source in (COLLABORATION, GROUP, {**COLLABORATION, "item": None, "accessible_by": None}):
        event = read("COLLABORATION.REMOVED", source)
        assert await enriched(box, event) == event
    assert await box.requests() == []


async def test_a_group_becomes_its_members_over_all_pages(box: StandIn) -> None:
    members = [{"id": str(n), "name": f"Member {n}", "login": f"member {n}@partner.com"} for n in range(2001)]
    await box.seed(folders=FOLDERS, groups=[{"id": "9", "name": "Partners", "members": members}])
    event = read("COLLABORATION.ACCEPTED", GROUP)
    events = await box.source().enrich(event)
    assert [e.principal.address for e in events] == [f"member+{n}@partner.com" for n in range(2001)]
    assert {e.reference for e in events} == {"12345"}
    assert {e.principal.group for e in events} == {"Partners"}
    assert {e.principal.kind for e in events} == {PrincipalKind.PERSON}
    assert {e.item.path for e in events if e.item} == {"/Projects/Ball Valve"}
    assert len({e.id for e in events}) == 2001
    assert all(e.id.startswith(f"{event.id}:") for e in events)
    assert events == await box.source().enrich(event)


async def test_a_total_that_is_too_low_does_not_end_a_group(box: StandIn) -> None:
    """Seen in Box's community forum: three entries, and a total_count of two."""
    members = [{"id": str(n), "name": "", "login": f"m{n}@partner.com"} for n in range(1001)]
    await box.seed(folders=FOLDERS, groups=[{"id": "9", "name": "Partners", "members": members}])
    page = {"total_count": 2, "limit": 1000, "entries": [{"user": {"type": "user", **one}} for one in members[:1000]]}
    await box.fail({"path": "/2.0/groups/", "status": 200, "body": json.dumps(page)})
    assert len(await box.source().enrich(read("COLLABORATION.ACCEPTED", GROUP))) == 1001


@pytest.mark.parametrize("members", [0, 11_001])
async def test_a_group_whose_members_cannot_all_be_read_stays_a_group(box: StandIn, members: int) -> None:
    people = [{"id": str(n), "name": "", "login": f"m{n}@partner.com"} for n in range(members)]
    await box.seed(folders=FOLDERS, groups=[{"id": "9", "name": "Partners", "members": people}])
    assert (await enriched(box, read("COLLABORATION.ACCEPTED", GROUP))).principal.kind is PrincipalKind.GROUP


async def test_apps_in_a_group_need_no_guest(box: StandIn) -> None:
    members = [{"id": "1", "name": "One", "login": "one@partner.com"}, {**APP, "id": "2"}]
    await box.seed(folders=FOLDERS, groups=[{"id": "9", "name": "Partners", "members": members}])
    complete = await enriched(box, read("COLLABORATION.ACCEPTED", GROUP))
    assert complete.principal.address == "one@partner.com"


@pytest.mark.parametrize("source", [COLLABORATION, GROUP])
async def test_what_another_company_owns_is_not_shared_by_us(box: StandIn, source: dict[str, Any]) -> None:
    theirs = {"id": "5678", "name": "Theirs", "parent": "0", "is_externally_owned": True}
    await box.seed(folders=[theirs])
    assert await box.source().enrich(read("COLLABORATION.ACCEPTED", source)) == []


async def test_a_hidden_group_stays_a_group(box: StandIn) -> None:
    await box.seed(folders=FOLDERS)
    complete = await enriched(box, read("COLLABORATION.UPDATED", GROUP))
    assert complete.principal.kind is PrincipalKind.GROUP
    assert complete.item is not None
    assert complete.item.path == "/Projects/Ball Valve"


@pytest.mark.parametrize(
    ("fault", "after"),
    [
        ({"status": 429, "retry_after": 30}, timedelta(seconds=30)),
        ({"status": 429, "retry_after": "Wed, 21 Oct 2026 07:28:00 GMT"}, None),
        ({"status": 500}, None),
        ({"status": 503, "retry_after": 7}, timedelta(seconds=7)),
        ({"status": 0}, None),
        ({"status": 200, "body": "<html>proxy</html>"}, None),
        ({"status": 200, "body": "[]"}, None),
        ({"status": 200, "body": '{"id":"5678","name":7,"path_collection":null}'}, None),
        ({"status": 400}, None),
    ],
)
async def test_troubles_are_for_later_and_not_slept_through(
    box: StandIn, fault: dict[str, Any], after: timedelta | None
) -> None:
    await box.seed(folders=FOLDERS)
    source, event = box.source(), read("COLLABORATION.ACCEPTED", COLLABORATION)
    await box.fail({"path": "/2.0/folders/", **fault})
    with pytest.raises(LaterError) as caught:
        await source.enrich(event)
    assert (caught.value.reason, caught.value.after) == (Reason.SOURCE, after)
    assert "example@user.com" not in str(caught.value.detail)
    assert len(await box.requests()) == 1
    (complete,) = await source.enrich(event)
    assert complete.item is not None
    assert complete.item.path == "/Projects/Ball Valve"


async def test_an_expired_token_is_renewed(box: StandIn) -> None:
    await box.seed(folders=FOLDERS)
    source, event = box.source(), read("COLLABORATION.ACCEPTED", COLLABORATION)
    before = await source.enrich(event)
    await box.seed(expire_tokens=True)
    assert await source.enrich(event) == before


@pytest.mark.parametrize("name", ["client_id", "client_secret", "enterprise_id"])
async def test_refused_credentials_lose_nothing(box: StandIn, name: str) -> None:
    with pytest.raises(LaterError) as caught:
        await box.source(**{name: "wrong-credential"}).enrich(read("COLLABORATION.ACCEPTED", COLLABORATION))
    assert caught.value.reason is Reason.SOURCE
    assert "wrong-credential" not in str(caught.value.detail)

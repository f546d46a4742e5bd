"""Dropbox: what is shared now, where it lies, and what one item shows."""

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from local.platforms.dropbox_team import Content
from shared.domain.events import Change, Item, PrincipalKind, Sharer
from shared.domain.platforms import RULES, ItemKind, Platform
from shared.domain.trouble import LaterError
from tests.sources.dropbox_samples import ADMIN, ANNA, ERIKA, OTTO, StandIn, by_path, people, stand_in

FOLDER = "/Projects/Alpha"
OWN = f"/{ANNA}/Plans/Secret"


@pytest.fixture(params=["team folders", "team space"])
async def dropbox(request: pytest.FixtureRequest) -> AsyncIterator[StandIn]:
    async with stand_in(team_space=request.param == "team space") as one:
        yield one


async def shown(dropbox: StandIn, path: str) -> dict[str, str | None]:
    return people(by_path((await dropbox.scanned())[0])[path])


async def look(dropbox: StandIn, item: Item) -> dict[str, str | None] | None:
    found = await dropbox.source.look(item)
    return None if found is None else people(found)


async def item_at(dropbox: StandIn, path: str) -> Item:
    return by_path((await dropbox.scanned())[0])[path].item


async def test_everything_that_is_shared_is_found_where_it_lies(dropbox: StandIn) -> None:
    await dropbox.act("share", ERIKA, "/Projects", role="viewer")
    await dropbox.act("share", ERIKA, FOLDER, role="editor")
    await dropbox.act("share", OTTO, f"{FOLDER}/Deep/Er/Still", role="viewer", pending=True)
    await dropbox.act("share", ERIKA, OWN, role="editor", sharer=ANNA)
    await dropbox.act("share", OTTO, f"{OWN}/Inner", role="viewer_no_comment", sharer=ANNA)
    await dropbox.act("share", OTTO, f"{FOLDER}/plan.txt", kind="file", role="viewer")
    await dropbox.act("share", OTTO, f"{OWN}/plan.txt", kind="file", role="editor", sharer=ANNA)
    await dropbox.act("share", OTTO, f"/{ANNA}/plan.txt", kind="file", role="viewer", sharer=ANNA)
    await dropbox.seed(files=["/Projects/nobody.txt"])
    seen, _ = await dropbox.scanned()
    internal = {ANNA, ADMIN}
    outside = {path: {w: r for w, r in people(one).items() if w not in internal} for path, one in by_path(seen).items()}
    assert {path: who for path, who in outside.items() if who} == {
        "/Projects": {ERIKA: "viewer"},
        FOLDER: {ERIKA: "editor"},
        f"{FOLDER}/Deep/Er/Still": {OTTO: "viewer"},
        OWN: {ERIKA: "editor"},
        f"{OWN}/Inner": {OTTO: "viewer_no_comment"},
        f"{FOLDER}/plan.txt": {OTTO: "viewer"},
        f"{OWN}/plan.txt": {OTTO: "editor"},
        f"/{ANNA}/plan.txt": {OTTO: "viewer"},
    }
    kinds = {one.item.path: one.item.kind for one in seen}
    assert {kind for path, kind in kinds.items() if path and path.endswith(".txt")} == {ItemKind.FILE}
    assert kinds[FOLDER] is kinds["/Projects"] is ItemKind.FOLDER


async def test_facts_are_complete_and_never_dated_now(dropbox: StandIn) -> None:
    await dropbox.act("share", ERIKA, FOLDER, role="editor", sharer=ANNA)
    await dropbox.act("share", OTTO, FOLDER, role="viewer", pending=True)
    seen, _ = await dropbox.scanned()
    found = by_path(seen)[FOLDER]
    for fact in found.facts:
        assert (fact.change, fact.at, fact.item) == (Change.KEPT, found.at, found.item)
        assert (fact.shared_at, fact.sharer, fact.expires_at) == (None, Sharer(), None)
        assert fact.id.startswith("seen:")
    assert {one.principal.address: one.pending for one in found.facts} == {ERIKA: False, OTTO: True}
    assert len({one.id for one in found.facts}) == 2


async def test_the_team_space_itself_is_a_root(dropbox: StandIn) -> None:
    await dropbox.act("share", ERIKA, FOLDER)
    seen, _ = await dropbox.scanned()
    roots = [one.item.path for one in seen if one.item.kind is ItemKind.ROOT]
    assert roots == (["/"] if dropbox.team.root else [])
    assert ItemKind.ROOT not in RULES[Platform.DROPBOX].carried


async def test_what_comes_from_above_is_a_share_of_what_is_above(dropbox: StandIn) -> None:
    await dropbox.act("share", ERIKA, "/Projects", role="viewer")
    await dropbox.act("share", OTTO, "/Projects", role="viewer")
    await dropbox.act("share", OTTO, FOLDER, role="editor")
    found = by_path((await dropbox.scanned())[0])
    assert people(found["/Projects"]) == {ERIKA: "viewer", OTTO: "viewer"}
    assert people(found[FOLDER]) == {OTTO: "editor"}  # more than from above: that was given here


async def test_groups_are_their_members(dropbox: StandIn) -> None:
    temp = "temp@agency.example"
    groups = [{"name": "Builders", "members": [ANNA, temp]}, {"name": "Partners", "same_team": False}]
    await dropbox.seed(groups=groups, members=[{"email": temp, "status": "suspended"}])
    await dropbox.act("share", "group:Builders", FOLDER, role="editor")
    await dropbox.act("share", "group:Partners", FOLDER, role="viewer")
    facts = by_path((await dropbox.scanned())[0])[FOLDER].facts
    through = next(one for one in facts if one.principal.group)
    assert (through.principal.address, through.principal.group, through.role) == (temp, "Builders", "editor")
    assert through.principal.suspended
    (group,) = [one for one in facts if one.principal.kind is PrincipalKind.GROUP]
    assert (group.principal.name, group.role) == ("Partners", "viewer")
    assert len(facts) == 2  # the group's internal members are left out


async def test_others_folders_and_technical_namespaces_are_left_out(dropbox: StandIn) -> None:
    await dropbox.seed(
        members=[{"email": ANNA}], outside_folders=[{"name": "Theirs", "member": ANNA}], app_folders=[ANNA]
    )
    await dropbox.act("share", ERIKA, FOLDER)
    await dropbox.seed(folders=["/Hidden"], hidden=["/Hidden"])
    paths = {one.item.path for one in (await dropbox.scanned())[0] if one.facts}
    assert paths == {FOLDER}


@pytest.mark.parametrize("page", [1, 2, 3, 7])
async def test_pages_of_any_size_show_the_same(dropbox: StandIn, page: int) -> None:
    for number in range(5):
        await dropbox.act("share", ERIKA, f"/Folder {number}/Inner", role="viewer")
        await dropbox.act("share", OTTO, f"/{ANNA}/F{number}/f.txt", kind="file", role="viewer", sharer=ANNA)
    await dropbox.act("share", OTTO, "/Folder 0/Inner", role="editor", pending=True)
    await dropbox.seed(groups=[{"name": "G", "members": [ANNA, "t1@agency.example", "t2@agency.example"]}])
    await dropbox.act("share", "group:G", "/Folder 0/Inner", role="editor")
    whole = {one.item.id: people(one) for one in (await dropbox.scanned())[0]}
    await dropbox.seed(page=page)
    seen, steps = await dropbox.scanned()
    assert {one.item.id: people(one) for one in seen} == whole
    assert steps > 3


async def test_namespaces_that_are_listed_twice_do_no_harm(dropbox: StandIn) -> None:
    for number in range(10):
        await dropbox.act("share", ERIKA, f"/Folder {number}", role="viewer")
    once = {one.item.id: people(one) for one in (await dropbox.scanned())[0]}
    await dropbox.seed(repeats_namespaces=True, page=11)
    assert {one.item.id: people(one) for one in (await dropbox.scanned())[0]} == once


async def test_a_step_is_small_and_its_cursor_does_not_grow(dropbox: StandIn) -> None:
    for number in range(40):
        await dropbox.act("share", ERIKA, f"/Folder {number}/Inner", role="viewer")
        await dropbox.act("share", OTTO, f"/Folder {number}/f.txt", kind="file", role="viewer")
    cursor, before, lengths = None, 0, []
    while True:
        page = await dropbox.source.scan(cursor)
        calls = len(await dropbox.requests())
        assert calls - before <= 60
        assert len(page.seen) <= 200
        cursor, before = page.cursor, calls
        if not page.more:
            break
        assert cursor is not None
        lengths.append(len(cursor))
    assert len(lengths) > 10
    assert max(lengths) < 1000


async def test_many_files_are_read_page_by_page_from_where_the_last_one_ended(dropbox: StandIn) -> None:
    for number in range(95):
        await dropbox.act("share", OTTO, f"/Projects/f{number}.txt", kind="file", role="viewer")
    cursor, found = None, list[str | None]()
    while True:
        page = await dropbox.source.scan(cursor)
        again = await dropbox.source.scan(cursor)  # a worker died
        assert {one.item.id for one in again.seen} == {one.item.id for one in page.seen}
        found += [one.item.path for one in page.seen if one.item.kind is ItemKind.FILE]
        cursor = page.cursor
        if not page.more:
            break
    assert sorted(filter(None, found)) == sorted(f"/Projects/f{number}.txt" for number in range(95))


async def test_a_cursor_that_dropbox_has_forgotten_begins_again(dropbox: StandIn) -> None:
    for number in range(6):
        await dropbox.act("share", ERIKA, f"/Folder {number}", role="viewer")
    await dropbox.seed(page=2)
    first = await dropbox.source.scan(None)
    second = await dropbox.source.scan(first.cursor)
    await dropbox.seed(forget_cursors=True)
    again = await dropbox.source.scan(second.cursor)
    assert (again.seen, again.more) == ((), True)
    assert again.cursor is not None
    start = await dropbox.source.scan(None)
    assert (await dropbox.source.scan(again.cursor)).items == start.items
    assert (await dropbox.source.scan("nonsense")).more


async def test_a_listing_of_files_begins_again_when_its_cursor_is_reset(dropbox: StandIn) -> None:
    for number in range(95):
        await dropbox.act("share", OTTO, f"/Projects/f{number}.txt", kind="file", role="viewer")
    page = await dropbox.source.scan(None)
    while page.cursor and "files" not in page.cursor:
        page = await dropbox.source.scan(page.cursor)
    await dropbox.seed(forget_cursors=True)
    again = await dropbox.source.scan(page.cursor)
    assert (again.seen, again.more) == ([], True)
    resumed = await dropbox.source.scan(again.cursor)
    assert len([one for one in resumed.seen if one.item.kind is ItemKind.FILE]) == 40


# --- paths


async def test_a_folder_without_the_id_of_its_content_has_no_path(dropbox: StandIn) -> None:
    await dropbox.act("share", ERIKA, FOLDER)
    await dropbox.act("share", ERIKA, OWN, sharer=ANNA)
    await dropbox.seed(omits_folder_ids=True)
    seen, _ = await dropbox.scanned()
    paths = [one.item.path for one in seen if ERIKA in people(one)]
    assert paths == ([None, None])


async def test_a_team_folder_has_a_path_by_its_name_alone() -> None:
    async with stand_in() as dropbox:
        await dropbox.act("share", ERIKA, "/Projects")
        await dropbox.seed(omits_folder_ids=True)
        assert await shown(dropbox, "/Projects") == {ERIKA: "editor"}


async def test_a_suspended_member_s_folders_keep_their_path(dropbox: StandIn) -> None:
    await dropbox.act("share", ERIKA, OWN, sharer=ANNA)
    await dropbox.act("share", ERIKA, f"/{ANNA}/f.txt", kind="file", sharer=ANNA)
    await dropbox.happen("status", person=ANNA, status="suspended")
    seen, _ = await dropbox.scanned()
    assert {one.item.path for one in seen if ERIKA in people(one)} == {OWN}  # nobody can ask for the files


async def test_a_folder_that_is_not_mounted_has_no_path(dropbox: StandIn) -> None:
    await dropbox.act("share", ERIKA, OWN, sharer=ANNA)
    next(one for one in dropbox.team.namespaces.values() if one.name == "Secret").parent = None
    seen, _ = await dropbox.scanned()
    assert [one.item.path for one in seen if ERIKA in people(one)] == [None]


async def test_a_name_that_would_be_two_is_no_path(dropbox: StandIn) -> None:
    odd = '"a/b"@contoso.example'
    dropbox.team.member(odd)
    above = dropbox.team._namespace("shared_folder", "X", dropbox.team.members[odd].home, "/X", owner=odd)
    above.shares.users = {odd: "owner", ERIKA: "viewer"}
    seen, _ = await dropbox.scanned()
    assert [one.item.path for one in seen if ERIKA in people(one)] == [None]


async def test_a_folder_that_hangs_nowhere_has_no_path(dropbox: StandIn) -> None:
    lost = dropbox.team._namespace("shared_folder", "Lost", None, "")
    lost.shares.users = {ERIKA: "viewer"}
    seen, _ = await dropbox.scanned()
    assert [one.item.path for one in seen if ERIKA in people(one)] == [None]


async def test_an_owner_who_cannot_find_it_has_no_path(dropbox: StandIn) -> None:
    await dropbox.act("share", ERIKA, OWN, sharer=ANNA)
    gone = json.dumps({"error_summary": "path/", "error": {".tag": "path", "path": {".tag": "not_found"}}})
    await dropbox.fail({"path": "/2/files/get_metadata", "status": 409, "body": gone})
    seen, _ = await dropbox.scanned()
    assert [one.item.path for one in seen if ERIKA in people(one)] == [None]


async def test_a_file_at_the_top_of_the_team_space() -> None:
    async with stand_in(team_space=True) as dropbox:
        root = dropbox.team.root
        assert root is not None
        file = Content("id:top", "file", root, "/notes.txt")
        dropbox.team.content[file.id] = file
        file.shares.users[ERIKA] = "viewer"
        cursor = await dropbox.start()
        dropbox.team.note("shared_content_unshare", ADMIN, file, {})
        (seen,) = (await dropbox.polled(cursor)).seen
        assert (seen.item.path, people(seen)) == ("/notes.txt", {ERIKA: "viewer"})
        assert await shown(dropbox, "/notes.txt") == {ERIKA: "viewer"}


async def test_what_vanishes_during_a_scan_does_not_stop_it(dropbox: StandIn) -> None:
    await dropbox.act("share", ERIKA, FOLDER)
    await dropbox.act("share", OTTO, f"/{ANNA}/f", kind="file", sharer=ANNA)
    gone = json.dumps({"error_summary": "path/", "error": {".tag": "path", "path": {".tag": "not_found"}}})
    nobody = json.dumps({"members_info": [{".tag": "id_not_found", "id_not_found": "dbmid:x"}]})
    await dropbox.fail({"path": "/2/files/list_folder", "status": 409, "body": gone, "times": 1})
    await dropbox.fail({"path": "/2/team/members/get_info_v2", "status": 200, "body": nobody, "times": 1})
    assert await shown(dropbox, FOLDER) == {ERIKA: "editor"}


async def test_a_group_of_any_size(dropbox: StandIn) -> None:
    names = [f"t{number}@agency.example" for number in range(1001)]
    await dropbox.seed(groups=[{"name": "Everybody", "members": names}])
    await dropbox.act("share", "group:Everybody", FOLDER, role="viewer")
    assert sorted(await shown(dropbox, FOLDER)) == sorted(names)
    void = json.dumps({"error_summary": "invalid_cursor/", "error": {".tag": "invalid_cursor"}})
    await dropbox.fail({"path": "/2/team/groups/members/list/continue", "status": 409, "body": void})
    with pytest.raises(LaterError):
        await dropbox.scanned()


# --- looking at one item


async def test_one_item_is_looked_at(dropbox: StandIn) -> None:
    for path, kind in ((FOLDER, "folder"), (OWN, "folder"), (f"{FOLDER}/f", "file"), (f"/{ANNA}/f", "file")):
        await dropbox.act("share", ERIKA, path, kind=kind, sharer=ANNA)
        item = await item_at(dropbox, path)
        before = await look(dropbox, item)
        assert before is not None
        assert before[ERIKA] == "editor"
        await dropbox.act("remove", ERIKA, path, kind=kind, notify="never")
        after = await look(dropbox, item)
        assert after is not None
        assert ERIKA not in after


async def test_a_folder_that_is_shared_no_more_has_an_empty_set(dropbox: StandIn) -> None:
    await dropbox.act("share", ERIKA, OWN, sharer=ANNA)
    item = await item_at(dropbox, OWN)
    await dropbox.happen("unshare", path=OWN)
    assert await look(dropbox, item) == {}


async def test_a_file_that_is_gone_has_an_empty_set(dropbox: StandIn) -> None:
    await dropbox.act("share", ERIKA, f"/{ANNA}/f", kind="file", sharer=ANNA)
    item = await item_at(dropbox, f"/{ANNA}/f")
    del dropbox.team.content[item.id.removeprefix("file:")]
    assert await look(dropbox, item) == {}


async def test_what_is_not_shown_is_not_known(dropbox: StandIn) -> None:
    await dropbox.seed(members=[{"email": ANNA}], outside_folders=[{"name": "Theirs", "member": ANNA}])
    theirs = next(one for one in dropbox.team.namespaces.values() if one.name == "Theirs")
    assert await look(dropbox, Item(id=f"folder:{theirs.id}", kind=ItemKind.FOLDER)) is None
    await dropbox.act("share", ERIKA, FOLDER)
    await dropbox.act("share", ERIKA, f"/{ANNA}/f", kind="file", sharer=ANNA)
    folder, file = await item_at(dropbox, FOLDER), await item_at(dropbox, f"/{ANNA}/f")
    await dropbox.seed(hidden=[FOLDER])
    assert await look(dropbox, folder) is None
    without_path = file.model_copy(update={"path": None})
    assert await look(dropbox, without_path) is None  # whom to ask is not known, and an admin does not see it
    await dropbox.happen("status", person=ANNA, status="suspended")
    assert await look(dropbox, file) is None
    odd = file.model_copy(update={"path": "/o@b.xn--vermgensberatung-pwb/f"})
    assert await look(dropbox, odd) is None
    for ident in ("folder:12/Inner", "folder:", "other:1", "link:x"):
        assert await look(dropbox, Item(id=ident, kind=ItemKind.FOLDER)) in (None, {})


async def test_a_file_with_more_members_than_an_admin_may_read_is_not_known(dropbox: StandIn) -> None:
    """Half of them would take it from the other half."""
    for number in range(301):
        await dropbox.act("share", f"p{number}@partner.example", "/Projects/f", kind="file", notify="never")
    assert "/Projects/f" not in by_path((await dropbox.scanned())[0])
    for number in range(301):
        await dropbox.act("share", f"p{number}@partner.example", f"/{ANNA}/f", kind="file", notify="never")
    assert len(await shown(dropbox, f"/{ANNA}/f")) == 301


async def test_facts_from_elsewhere_are_left_as_they_are(dropbox: StandIn) -> None:
    """An uploaded file brings facts with ids of its own."""
    await dropbox.act("share", ERIKA, FOLDER)
    (fact,) = [one for found in (await dropbox.scanned())[0] for one in found.facts if one.principal.address == ERIKA]
    other: dict[str, Any] = {"item": Item(id="x-1", kind=ItemKind.FOLDER, path="/Elsewhere")}
    event = fact.model_copy(update=other)
    before = await dropbox.requests()
    assert await dropbox.source.enrich(event) == [event]
    assert await dropbox.requests() == before
    assert json.loads(event.model_dump_json())

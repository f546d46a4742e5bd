"""Box: everything that is shared now, read through Box's own SDK."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from shared.domain.events import Change, Item, PrincipalKind, Sharer
from shared.domain.platforms import RULES, ItemKind, Platform, map_role
from shared.domain.reasons import Reason
from shared.domain.trouble import LaterError
from tests.sources.box_samples import APP, COLLABORATION, PENDING, read
from tests.sources.box_world import StandIn, floor, scanned, shares, stand_in


@pytest.fixture
async def box() -> AsyncIterator[StandIn]:
    async with stand_in() as box:
        yield box


FOLDERS = [
    {"id": "5000", "name": "Projects", "parent": "0"},
    {"id": "5678", "name": "Ball Valve", "parent": "5000"},
    {"id": "5679", "name": "Quiet", "parent": "5000"},
]
FILES = [{"id": "5678", "name": "plan.pdf", "parent": "5678"}]
ON_FILE = {**COLLABORATION, "id": "4", "item": {"type": "file", "id": "5678", "name": "plan.pdf"}}
GROUP = {**COLLABORATION, "id": "77", "accessible_by": {"type": "group", "id": "9", "name": "Partners"}}


def pending(ident: str, kind: str, item: str, **more: Any) -> dict[str, Any]:
    return {**PENDING, "id": ident, "on": {"type": kind, "id": item}, **more}


async def test_a_scan_and_a_webhook_tell_the_same_of_a_collaboration(box: StandIn) -> None:
    began = datetime.now(UTC)
    await box.seed(folders=FOLDERS, collaborations=[COLLABORATION])
    told = read("COLLABORATION.ACCEPTED", COLLABORATION)
    (seen,) = [one for one in (await scanned(box.source()))[0] if one.facts]
    (fact,) = seen.facts
    assert seen.item == Item(id="folder:5678", kind=ItemKind.FOLDER, path="/Projects/Ball Valve")
    assert floor(began) <= seen.at <= datetime.now(UTC)
    assert seen.at == floor(seen.at)
    assert (fact.change, fact.at, fact.item, fact.connection) == (Change.KEPT, seen.at, seen.item, "box-main")
    assert fact.id.startswith("seen:")
    assert fact.permission == told.permission
    assert fact.says_the_same_as(told)
    assert fact.reference == "12345"
    assert (fact.role, fact.sharer.address) == ("editor", "test@user.com")
    assert fact.shared_at == datetime(2018, 4, 18, 22, 5, 29, tzinfo=UTC)
    assert fact.expires_at == datetime(2020, 4, 7, 19, 51, 30, tzinfo=UTC)


async def test_root_folder_and_file_are_told_apart(box: StandIn) -> None:
    on_root = {**COLLABORATION, "id": "1", "item": {"type": "folder", "id": "0", "name": "All Files"}}
    await box.seed(folders=FOLDERS, files=FILES, collaborations=[on_root, COLLABORATION, ON_FILE])
    seen = {one.item: [fact.reference for fact in one.facts] for one in (await scanned(box.source()))[0]}
    assert seen == {
        Item(id="folder:0", kind=ItemKind.ROOT, path="/"): ["1"],
        Item(id="folder:5678", kind=ItemKind.FOLDER, path="/Projects/Ball Valve"): ["12345"],
        Item(id="file:5678", kind=ItemKind.FILE, path="/Projects/Ball Valve/plan.pdf"): ["4"],
    }
    assert RULES[Platform.BOX].carried == {ItemKind.ROOT, ItemKind.FOLDER}  # files are recorded, not carried


@pytest.mark.parametrize("role", [*RULES[Platform.BOX].roles, "owner"])
async def test_every_role_is_passed_on_as_it_is(box: StandIn, role: str) -> None:
    await box.seed(folders=FOLDERS, collaborations=[{**COLLABORATION, "role": role}])
    (fact,) = [fact for one in (await scanned(box.source()))[0] for fact in one.facts]
    assert fact.role == role
    assert (map_role(Platform.BOX, role, {}) is None) is (role == "owner")


@pytest.mark.parametrize("folders_list_inherited", [False, True])
async def test_what_is_inherited_is_no_share_of_the_child(box: StandIn, folders_list_inherited: bool) -> None:
    """Also while it is pending, when Box names no item: only the ids tell an invitation above from one here."""
    above = {**COLLABORATION, "id": "1", "item": {"type": "folder", "id": "5000", "name": "Projects"}}
    invited_above = pending("2", "folder", "5000", accessible_by=None, invite_email="new@user.com")
    invited_here = pending("3", "file", "5678", accessible_by=None, invite_email="other@user.com")
    await box.seed(
        folders=FOLDERS,
        files=FILES,
        collaborations=[above, invited_above, ON_FILE, invited_here],
        folders_list_inherited=folders_list_inherited,
    )
    seen = {one.item.id: one for one in (await scanned(box.source()))[0]}
    assert {key: sorted(str(fact.reference) for fact in one.facts) for key, one in seen.items()} == {
        "folder:0": [],
        "folder:5000": ["1", "2"],
        "folder:5678": [],
        "folder:5679": [],
        "file:5678": ["3", "4"],
    }
    here = shares(seen["file:5678"])["other@user.com"]
    assert here.pending
    assert here.item == seen["file:5678"].item
    assert shares(seen["folder:5000"])["new@user.com"].pending


async def test_a_looked_at_file_has_its_own_invitations_only(box: StandIn) -> None:
    await box.seed(folders=FOLDERS, files=FILES, collaborations=[pending("2", "folder", "5000"), ON_FILE])
    seen = await box.source().look(Item(id="file:5678", kind=ItemKind.FILE))
    assert seen is not None
    assert [fact.reference for fact in seen.facts] == ["4"]


async def test_people_without_access_are_left_out(box: StandIn) -> None:
    rejected = {**COLLABORATION, "id": "1", "status": "rejected"}
    hub = {**COLLABORATION, "id": "2", "item": None, "app_item": {"type": "hubs", "id": "3"}, "on": FOLDERS[1]}
    hub["on"] = {"type": "folder", "id": "5678"}
    await box.seed(folders=FOLDERS, collaborations=[rejected, hub, {**COLLABORATION, "id": "3", "accessible_by": APP}])
    assert [fact for one in (await scanned(box.source()))[0] for fact in one.facts] == []


@pytest.mark.parametrize(
    ("grantee", "invited", "address", "suspended"),
    [
        ({"type": "user", "id": "3", "login": "a@x.com", "is_active": False}, None, "a@x.com", True),
        ({"type": "user", "id": "3", "login": "user tag@x.com", "is_active": True}, None, "user+tag@x.com", False),
        ({"type": "user", "id": "3", "login": "", "name": ""}, "new@user.com", "new@user.com", False),
        (None, "new@user.com", "new@user.com", False),
        ({"type": "user", "id": "3", "login": "us@contoso.com"}, None, "us@contoso.com", False),
    ],
)
async def test_principals(
    box: StandIn, grantee: dict[str, Any] | None, invited: str | None, address: str, suspended: bool
) -> None:
    await box.seed(
        folders=FOLDERS, collaborations=[{**COLLABORATION, "accessible_by": grantee, "invite_email": invited}]
    )
    (fact,) = [fact for one in (await scanned(box.source()))[0] for fact in one.facts]
    assert (fact.principal.address, fact.principal.suspended) == (address, suspended)


async def test_a_group_stands_with_each_outside_member(box: StandIn) -> None:
    members = [{"id": str(n), "name": f"M {n}", "login": f"m{n}@partner.com"} for n in range(1001)]
    members += [{"id": "5000", "name": "Ours", "login": "us@contoso.com"}, {**APP, "id": "5001"}]
    again = {**GROUP, "id": "78", "item": {"type": "folder", "id": "5679", "name": "Quiet"}}
    groups = [{"id": "9", "name": "Partners", "members": members}]
    await box.seed(folders=FOLDERS, groups=groups, collaborations=[GROUP, again])
    sets = [one for one in (await scanned(box.source()))[0] if one.facts]
    assert [one.item.id for one in sets] == ["folder:5678", "folder:5679"]
    for seen, reference in zip(sets, ["77", "78"], strict=True):
        assert set(shares(seen)) == {f"m{n}@partner.com" for n in range(1001)}
        assert {(fact.reference, fact.principal.group) for fact in seen.facts} == {(reference, "Partners")}
        assert len({fact.id for fact in seen.facts}) == 1001
    assert sum("memberships" in request for request in await box.requests()) == 2  # two pages, once for both folders
    told = read("COLLABORATION.ACCEPTED", GROUP)
    by_webhook = {event.permission: event for event in await box.source().enrich(told)}
    assert all(fact.says_the_same_as(by_webhook[fact.permission]) for fact in sets[0].facts)


@pytest.mark.parametrize("group", [[], [{"id": "9", "name": "Partners", "members": []}]])
async def test_a_group_that_box_does_not_show_stays_a_group(box: StandIn, group: list[dict[str, Any]]) -> None:
    await box.seed(folders=FOLDERS, groups=group, collaborations=[GROUP])
    (fact,) = [fact for one in (await scanned(box.source()))[0] for fact in one.facts]
    assert (fact.principal.kind, fact.principal.source_id) == (PrincipalKind.GROUP, "9")


async def test_open_links_are_seen_on_folders_files_and_bookmarks(box: StandIn) -> None:
    ends = "2027-01-01T00:00:00-08:00"
    await box.seed(
        folders=[{**FOLDERS[0], "shared_link": {"access": "open", "effective_permission": "can_preview"}}],
        files=[
            {"id": "1", "name": "a", "parent": "0", "shared_link": {"access": "open", "unshared_at": ends}},
            {"id": "2", "name": "b", "parent": "0", "shared_link": {"access": "company"}},
            {"id": "3", "name": "c", "parent": "0", "shared_link": {"access": "open", "effective_access": "company"}},
        ],
        web_links=[{"id": "1", "name": "d", "parent": "0", "shared_link": {"access": "open"}}],
    )
    facts = {fact.reference: fact for one in (await scanned(box.source()))[0] for fact in one.facts}
    assert set(facts) == {"shared-link:folder:5000", "shared-link:file:1", "shared-link:web_link:1"}
    assert {fact.principal.kind for fact in facts.values()} == {PrincipalKind.ANONYMOUS_LINK}
    assert {(fact.shared_at, fact.sharer) for fact in facts.values()} == {(None, Sharer())}  # unknown, never now
    assert facts["shared-link:folder:5000"].role == "can_preview"
    assert facts["shared-link:file:1"].expires_at == datetime(2027, 1, 1, 8, tzinfo=UTC)
    shown = read("SHARED_LINK.CREATED", {"type": "file", "id": "1", "shared_link": {"access": "open"}})
    assert shown.permission == facts["shared-link:file:1"].permission


async def test_what_another_company_owns_is_skipped_with_all_in_it(box: StandIn) -> None:
    theirs = {"id": "6000", "name": "Theirs", "parent": "0", "is_externally_owned": True}
    inside = {"id": "6001", "name": "Inside", "parent": "6000"}
    on_it = [{**COLLABORATION, "id": n, "item": {"type": "folder", "id": n, "name": ""}} for n in ("6000", "6001")]
    await box.seed(folders=[theirs, inside], collaborations=on_it)
    source = box.source()
    sets, _ = await scanned(source)
    assert [one.item.id for one in sets] == ["folder:0"]
    assert not any("6000" in request for request in await box.requests())
    assert await source.look(Item(id="folder:6000", kind=ItemKind.FOLDER)) is None


async def test_items_without_anything_are_counted_and_cost_nothing(box: StandIn) -> None:
    await box.seed(folders=FOLDERS, files=[{"id": str(n), "name": f"f{n}", "parent": "5679"} for n in range(1, 101)])
    sets, pages = await scanned(box.source())
    assert [one.item.id for one in sets] == ["folder:0"]
    assert sum(page.items for page in pages) == 1 + 3 + 100
    assert len(await box.requests()) == 1 + len(pages)
    assert len(pages) == 4 + 2  # each of four folders, the one with 100 files in three parts


async def test_hidden_collaborators_are_not_taken_for_none(box: StandIn) -> None:
    """Box's setting "Only folder owners and co-owners can see the collaborators"."""
    hiding = {**FOLDERS[1], "hides_collaborators": True}
    await box.seed(folders=[FOLDERS[0], hiding], collaborations=[COLLABORATION])
    source = box.source()
    assert [one.item.id for one in (await scanned(source))[0]] == ["folder:0"]
    assert await source.look(Item(id="folder:5678", kind=ItemKind.FOLDER)) is None


async def test_a_path_that_leads_to_two_places_is_no_path(box: StandIn) -> None:
    twin = {"id": "6000", "name": "projects", "parent": "0"}
    await box.seed(folders=[*FOLDERS, twin], collaborations=[COLLABORATION])
    (seen,) = [one for one in (await scanned(box.source()))[0] if one.facts]
    assert (seen.item.id, seen.item.path) == ("folder:5678", None)


async def test_a_path_that_is_not_whole_is_no_path(box: StandIn) -> None:
    await box.seed(folders=[FOLDERS[0], {**FOLDERS[1], "name": "a/b"}], collaborations=[COLLABORATION])
    (seen,) = [one for one in (await scanned(box.source()))[0] if one.facts]
    assert seen.item.path is None


async def test_long_lists_of_collaborators_are_read_whole(box: StandIn) -> None:
    many = [
        {**COLLABORATION, "id": str(n), "accessible_by": {"type": "user", "id": str(n), "login": f"m{n}@x.com"}}
        for n in range(1, 2002)
    ]
    await box.seed(folders=FOLDERS, collaborations=many[:1000])
    await box.seed(collaborations=many[1000:])
    (seen,) = [one for one in (await scanned(box.source()))[0] if one.facts]
    assert len(shares(seen)) == 2001
    assert sum("5678/collaborations" in request for request in await box.requests()) == 3


async def test_a_step_is_small_and_can_be_repeated(box: StandIn) -> None:
    folders = [{"id": str(n), "name": f"f{n}", "parent": "0"} for n in range(1, 201)]
    shared = [{**COLLABORATION, "id": f["id"], "item": {"type": "folder", "id": f["id"], "name": ""}} for f in folders]
    await box.seed(folders=folders, collaborations=shared)
    source = box.source()
    cursor: str | None = None
    seen: list[str] = []
    while True:
        before = len(await box.requests())
        page = await source.scan(cursor)
        assert len(await box.requests()) - before <= 60
        again = await source.scan(cursor)
        assert [one.item for one in again.seen] == [one.item for one in page.seen]
        assert len(page.seen) <= 200
        seen += [one.item.id for one in page.seen]
        if not page.more:
            break
        cursor = page.cursor
    assert sorted(seen) == sorted(["folder:0", *(f"folder:{f['id']}" for f in folders)])


async def test_the_cursor_stays_small_in_a_tree_that_is_deep_and_wide(box: StandIn) -> None:
    """Forty folders, of which the first has forty, and so on: each level leaves all but one for later."""
    folders: list[dict[str, str]] = []
    parent, number = "0", 900_000_000_000
    for _ in range(60):
        below = [{"id": str(number + n), "name": f"{n}", "parent": parent} for n in range(41)]
        folders, parent, number = folders + below, below[0]["id"], number + 41
    await box.seed(folders=folders)
    source, cursor, longest = box.source(), None, 0
    for _ in range(100):  # down to the bottom; from there on it gets shorter
        page = await source.scan(cursor)
        assert page.more
        cursor = page.cursor
        longest = max(longest, len(cursor or ""))
    assert 15_000 < longest < 30_000
    assert any(f"folders/{parent}/items" in request for request in await box.requests())


async def test_a_folder_that_is_gone_when_its_turn_comes_ends_nothing(box: StandIn) -> None:
    await box.seed(folders=FOLDERS, collaborations=[COLLABORATION])
    source = box.source()
    first = await source.scan(None)
    await box.fail({"path": "/2.0/folders/5000/items", "status": 404})
    page = await source.scan(first.cursor)
    assert (page.seen, page.more, page.cursor, page.items) == ([], False, None, 0)


@pytest.mark.parametrize(
    ("fault", "after"),
    [
        ({"path": "/2.0/folders/5000/items", "status": 429, "retry_after": 30}, timedelta(seconds=30)),
        ({"path": "/2.0/folders/5678/collaborations", "status": 503, "retry_after": 7}, timedelta(seconds=7)),
        ({"path": "/2.0/folders/5678/collaborations", "status": 500}, None),
        ({"path": "/2.0/folders/5678/collaborations", "status": 0}, None),
        ({"path": "/2.0/folders/5678/collaborations", "status": 400, "code": "bad_request"}, None),
        ({"path": "/2.0/folders/5678/collaborations", "status": 200, "body": '{"entries":[{"id":7}]}'}, None),
        ({"path": "/2.0/folders/5000/items", "status": 200, "body": '{"entries":{"a@b.example":1}}'}, None),
    ],
)
async def test_trouble_is_for_later_and_the_step_begins_anew(
    box: StandIn, fault: dict[str, Any], after: timedelta | None
) -> None:
    await box.seed(folders=FOLDERS, collaborations=[COLLABORATION])
    source = box.source()
    first = await source.scan(None)
    await box.fail(fault)
    with pytest.raises(LaterError) as caught:
        await source.scan(first.cursor)
    assert (caught.value.reason, caught.value.after) == (Reason.SOURCE, after)
    assert "@" not in str(caught.value.detail)
    assert [one.item.id for one in (await source.scan(first.cursor)).seen] == ["folder:5678"]


async def test_a_look_reads_one_item(box: StandIn) -> None:
    await box.seed(folders=FOLDERS, collaborations=[COLLABORATION], web_links=[{"id": "1", "name": "d", "parent": "0"}])
    source = box.source()
    seen = await source.look(Item(id="folder:5678", kind=ItemKind.FOLDER))
    assert seen is not None
    assert seen.item.path == "/Projects/Ball Valve"
    assert [fact.reference for fact in seen.facts] == ["12345"]
    quiet = await source.look(Item(id="folder:5679", kind=ItemKind.FOLDER))
    assert quiet is not None
    assert (quiet.item.path, quiet.facts) == ("/Projects/Quiet", ())
    bookmark = await source.look(Item(id="web_link:1", kind=ItemKind.FILE))
    assert bookmark is not None
    assert (bookmark.item.path, bookmark.facts) == ("/d", ())


@pytest.mark.parametrize(
    ("state", "empty"),
    [({"trashed": True}, True), ({"hidden": True}, False), (None, False)],
)
async def test_only_the_trash_is_proof_that_nothing_is_shared(
    box: StandIn, state: dict[str, bool] | None, empty: bool
) -> None:
    folders = [FOLDERS[0]] if state is None else [{**FOLDERS[0], **state}, FOLDERS[1]]
    await box.seed(folders=folders, collaborations=[COLLABORATION])
    seen = await box.source().look(Item(id="folder:5678", kind=ItemKind.FOLDER))
    assert (seen is not None) is empty
    if seen is not None:
        assert (seen.item.id, seen.facts) == ("folder:5678", ())


async def test_a_look_at_what_is_not_box_s_shows_nothing(box: StandIn) -> None:
    assert await box.source().look(Item(id="hub:7", kind=ItemKind.FOLDER)) is None
    assert await box.requests() == []

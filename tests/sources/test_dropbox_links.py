"""Dropbox: shared links, whose audience decides whether they are for anyone."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest

from shared.domain.events import PrincipalKind
from shared.domain.platforms import ItemKind
from shared.domain.sources import PermissionSet
from tests.sources.dropbox_samples import ANNA, ERIKA, REAL_EVENT, StandIn, stand_in

FILE = f"/{ANNA}/draft.txt"


@pytest.fixture
async def dropbox() -> AsyncIterator[StandIn]:
    async with stand_in() as one:
        await one.seed(members=[{"email": ANNA}])
        yield one


def links(seen: Any) -> dict[str, PermissionSet]:
    """The sets of links by level, those of recipients by `sent`."""
    return {
        one.item.id.rpartition("|")[2] if one.item.id.startswith("link:") else "sent": one
        for one in seen
        if one.item.id.startswith(("link:", "sent:"))
    }


async def polled(dropbox: StandIn, cursor: str) -> dict[str, PermissionSet]:
    return links((await dropbox.polled(cursor)).seen)


@pytest.mark.parametrize(
    ("audience", "is_open"),
    [
        ("public", True),
        ("password", True),
        ("public_logged_in_only", True),
        ("team", False),
        ("no_one", False),
        ("members", False),
    ],
)
async def test_the_audience_decides(dropbox: StandIn, audience: str, is_open: bool) -> None:
    cursor = await dropbox.start()
    more = {"expires": "2027-01-01T00:00:00+00:00", "level": "editor"}
    await dropbox.happen("link", owner=ANNA, path=FILE, kind="file", audience=audience, **more)
    found = (await polled(dropbox, cursor))["editor"]
    assert [one.principal.kind for one in found.facts] == [PrincipalKind.ANONYMOUS_LINK] * is_open
    for fact in found.facts:
        assert (fact.role, fact.sharer.address) == ("editor", ANNA)
        assert fact.expires_at == datetime(2027, 1, 1, tzinfo=UTC)
        assert fact.shared_at is not None
        assert fact.at == found.at
        assert await dropbox.source.enrich(fact) == [fact]
    scanned = links((await dropbox.scanned())[0])["editor"]
    assert [one.reference for one in scanned.facts] == [one.reference for one in found.facts]
    assert scanned.item == found.item
    assert found.item.kind is ItemKind.FILE


async def test_a_link_that_is_narrowed_ends_for_everybody_to_whom_it_was_sent(dropbox: StandIn) -> None:
    cursor = await dropbox.start()
    await dropbox.happen("link", owner=ANNA, path=FILE, kind="file", to=[ERIKA])
    page = await dropbox.polled(cursor)
    (sent,) = [one for one in page.events if one.item and one.item.id.startswith("sent:")]
    assert "sent" not in links(page.seen)
    assert page.cursor is not None
    await dropbox.happen("link", owner=ANNA, path=FILE, kind="file", audience="team")
    found = await polled(dropbox, page.cursor)
    assert (found["viewer"].facts, found["sent"].facts) == ((), ())
    assert sent.item is not None
    assert found["sent"].item.id == sent.item.id


async def test_a_link_that_is_removed_is_lost(dropbox: StandIn) -> None:
    await dropbox.happen("link", owner=ANNA, path=FILE, kind="file")
    await dropbox.happen("link", owner=ANNA, path=FILE, kind="file", level="editor")
    cursor = await dropbox.start()
    await dropbox.happen("link", owner=ANNA, path=FILE, kind="file", remove=True)
    found = await polled(dropbox, cursor)
    assert {level: len(one.facts) for level, one in found.items()} == {"viewer": 0, "editor": 1}


@pytest.mark.parametrize("path", ["/Projects/Alpha", f"/{ANNA}/Plain"])
async def test_folders_have_links_too(dropbox: StandIn, path: str) -> None:
    if path.startswith("/Projects"):
        await dropbox.act("share", ANNA, path)
    cursor = await dropbox.start()
    await dropbox.happen("link", owner=ANNA, path=path, to=[ERIKA])
    page = await dropbox.polled(cursor)
    assert len(links(page.seen)["viewer"].facts) == 1
    (sent,) = [one for one in page.events if one.item and one.item.id.startswith("sent:")]
    assert sent.item is not None
    assert sent.item.kind is ItemKind.FOLDER


async def test_all_links_of_a_member_come_page_by_page(dropbox: StandIn) -> None:
    for number in range(7):
        await dropbox.happen("link", owner=ANNA, path=f"/{ANNA}/f{number}", kind="file")
    await dropbox.seed(page=2)
    found = [one for one in (await dropbox.scanned())[0] if one.item.id.startswith("link:")]
    assert len({one.item.id for one in found if one.facts}) == 7


async def test_a_listing_of_links_begins_again_when_its_cursor_is_reset(dropbox: StandIn) -> None:
    for number in range(7):
        await dropbox.happen("link", owner=ANNA, path=f"/{ANNA}/f{number}", kind="file")
    await dropbox.seed(page=3)
    page = await dropbox.source.scan(None)
    while page.cursor and '"links"' not in page.cursor:
        page = await dropbox.source.scan(page.cursor)
    await dropbox.seed(forget_cursors=True)
    found, cursor = set[str](), page.cursor
    # The listing of namespaces is forgotten as well, so everything comes once more.
    while True:
        page = await dropbox.source.scan(cursor)
        found |= {one.item.id for one in page.seen if one.facts and one.item.id.startswith("link:")}
        cursor = page.cursor
        if not page.more:
            break
    assert len(found) == 7


async def test_a_link_to_what_is_not_ours_or_not_shown_is_left_out(dropbox: StandIn) -> None:
    await dropbox.seed(outside_folders=[{"name": "Theirs", "member": ANNA}], folders=["/Hidden"])
    theirs = next(one for one in dropbox.team.namespaces.values() if one.name == "Theirs")
    hidden = next(one for one in dropbox.team.namespaces.values() if one.name == "Hidden")
    hidden.hidden = True
    cursor = await dropbox.start()
    actor = dropbox.team.person(ANNA)
    for namespace in (theirs, hidden):
        await dropbox.log(
            {
                **REAL_EVENT,
                "timestamp": "2100-01-01T00:00:00Z",
                "actor": {".tag": "user", "user": actor},
                "event_type": {".tag": "shared_link_share", "description": "x"},
                "details": {".tag": "shared_link_share_details"},
                "assets": [{".tag": "folder", "path": {"namespace_relative": {"ns_id": namespace.id}}}],
            }
        )
    page = await dropbox.polled(cursor)
    assert page.seen == []
    assert [one.item.path for one in page.events if one.item] == [None]


async def test_links_are_looked_at(dropbox: StandIn) -> None:
    await dropbox.happen("link", owner=ANNA, path=FILE, kind="file", to=[ERIKA])
    item = links((await dropbox.scanned())[0])["viewer"].item
    sent = item.model_copy(update={"id": item.id.replace("link:", "sent:").removesuffix("|viewer")})
    seen = await dropbox.source.look(item)
    assert seen is not None
    assert len(seen.facts) == 1
    assert await dropbox.source.look(sent) is None  # who has received it is in no list
    await dropbox.happen("link", owner=ANNA, path=FILE, kind="file", remove=True)
    for one in (item, sent):
        gone = await dropbox.source.look(one)
        assert gone is not None
        assert gone.facts == ()
    await dropbox.happen("status", person=ANNA, status="suspended")
    assert await dropbox.source.look(item) is None


async def test_a_link_of_somebody_outside_is_not_listed_for_us(dropbox: StandIn) -> None:
    cursor = await dropbox.start()
    await dropbox.happen("link", owner=ERIKA, path=FILE, kind="file")
    page = await dropbox.polled(cursor)
    assert (page.seen, page.events) == ([], [])


async def test_the_address_of_a_link_is_kept_nowhere(dropbox: StandIn) -> None:
    cursor = await dropbox.start()
    await dropbox.happen("link", owner=ANNA, path=FILE, kind="file")
    seen = (await dropbox.polled(cursor)).seen
    assert seen
    assert not any("rlkey" in one.model_dump_json() or "dropbox.com" in one.model_dump_json() for one in seen)

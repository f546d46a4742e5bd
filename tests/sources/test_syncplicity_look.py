"""Syncplicity: one item as it is now."""

from collections.abc import AsyncIterator

import pytest

from shared.domain.events import Item
from shared.domain.platforms import ItemKind
from shared.domain.trouble import LaterError
from tests.sources.syncplicity_samples import ANN, BEN, EVE, PAULA, World, company, now, roles


@pytest.fixture
async def world() -> AsyncIterator[World]:
    async with company() as made:
        made.company.share(made.company.folder(ANN, "Projects"), EVE, 1)
        yield made


async def folder_item(world: World) -> Item:
    (seen,) = [one for one in await world.scan() if one.item.kind is ItemKind.ROOT]
    return seen.item


async def link_item(world: World) -> Item:
    people = [world.company.person(BEN).shown()]
    (folder,) = world.company.folders.values()
    world.company.link(ANN, folder, "\\plan.pdf", ShareLinkPolicy=4, Users=people, LinkPermissionType=1)
    (seen,) = [one for one in await world.scan() if one.item.kind is ItemKind.FILE]
    return seen.item


async def test_a_folder_is_seen_as_in_a_scan(world: World) -> None:
    (scanned,) = await world.scan()
    began = now()
    looked = await world.source.look(scanned.item)
    assert looked is not None
    assert began <= looked.at <= now()
    assert looked.item == scanned.item
    assert [fact.permission for fact in looked.facts] == [fact.permission for fact in scanned.facts]
    assert all(a.says_the_same_as(b) for a, b in zip(looked.facts, scanned.facts, strict=True))


async def test_a_folder_that_is_shared_no_more(world: World) -> None:
    item = await folder_item(world)
    world.company.folders[int(item.id.partition(":")[2])].people.clear()
    looked = await world.source.look(item)
    assert looked is not None
    assert looked.facts == ()


async def test_a_folder_that_was_renamed(world: World) -> None:
    item = await folder_item(world)
    world.company.folders[int(item.id.partition(":")[2])].name = "Renamed"
    looked = await world.source.look(item)
    assert looked is not None
    assert looked.item.model_dump() == {**item.model_dump(), "path": f"/{ANN}/Renamed"}


async def test_a_folder_with_a_new_owner(world: World) -> None:
    item = await folder_item(world)
    folder = world.company.folders[int(item.id.partition(":")[2])]
    world.company.share(folder, ANN, 1)
    folder.owner = world.company.person(PAULA)
    looked = await world.source.look(item)
    assert looked is not None
    assert looked.item.path == f"/{PAULA}/Projects"
    assert roles(looked) == {EVE: "ReadWrite", ANN: "ReadWrite"}


async def test_a_folder_that_is_not_shown_is_not_taken_for_deleted(world: World) -> None:
    item = await folder_item(world)
    world.company.folders.clear()
    assert await world.source.look(item) is None


@pytest.mark.parametrize("status", [403, 404, 410])
@pytest.mark.parametrize("path", ["/provisioning/user.svc/", "/syncpoint/syncpoints.svc/"])
async def test_what_may_not_be_asked_is_not_shown(world: World, status: int, path: str) -> None:
    item = await folder_item(world)
    world.fail(path, status=status, times=2)
    assert await world.source.look(item) is None


async def test_an_owner_who_left(world: World) -> None:
    item = await folder_item(world)
    world.company.person(ANN).ours = False
    assert await world.source.look(item) is None


@pytest.mark.parametrize(
    ("ident", "path"),
    [
        ("1001", "/ann@contoso.com/Projects"),
        ("syncpoint:x", "/ann@contoso.com/Projects"),
        ("syncpoint:1", None),
        ("syncpoint:1", "/"),
        ("link:not-a-user:" + "0" * 32, None),
        ("link:8f2811ac-b0a7-48ee-b10d-d81649a066d8", None),
        ("link:8f2811ac-b0a7-48ee-b10d-d81649a066d8\r\nX: y:" + "0" * 32, None),
    ],
)
async def test_items_of_which_nothing_can_be_asked(world: World, ident: str, path: str | None) -> None:
    """They come from files that an administrator uploads, or lie where no path is known."""
    assert await world.source.look(Item(id=ident, kind=ItemKind.ROOT, path=path)) is None
    assert world.requests("/syncpoint/") == []


async def test_a_link_is_seen_as_in_a_scan(world: World) -> None:
    item = await link_item(world)
    looked = await world.source.look(item)
    assert looked is not None
    assert looked.item == item
    assert roles(looked) == {BEN: "ReadOnly"}
    (scanned,) = [one for one in await world.scan() if one.item == item]
    assert all(a.says_the_same_as(b) for a, b in zip(looked.facts, scanned.facts, strict=True))


async def test_a_link_that_is_not_on_its_maker_s_list_is_gone(world: World) -> None:
    item = await link_item(world)
    world.company.links.clear()
    looked = await world.source.look(item)
    assert looked is not None
    assert (looked.item, looked.facts) == (item, ())


@pytest.mark.parametrize("path", ["/syncpoint/links.svc/", "/syncpoint/syncpoints.svc/"])
async def test_links_that_are_not_shown_are_not_taken_for_gone(world: World, path: str) -> None:
    item = await link_item(world)
    world.fail(path, status=403, times=2)
    assert await world.source.look(item) is None


async def test_a_link_whose_maker_left(world: World) -> None:
    item = await link_item(world)
    world.company.person(ANN).ours = False
    assert await world.source.look(item) is None


async def test_trouble_is_for_later(world: World) -> None:
    item = await folder_item(world)
    world.fail("/syncpoint/syncpoints.svc/", status=503, retry_after=5)
    with pytest.raises(LaterError):
        await world.source.look(item)

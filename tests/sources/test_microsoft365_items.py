"""Items: what a delta's rows say, where an item lies, how cursors are written."""

from typing import Any

import pytest

from shared.domain.platforms import ItemKind
from shared.domain.trouble import LaterError
from shared.sources.microsoft365.items import FeedsCursor, ItemFacts, Reading, Row, ScanCursor, newest
from shared.sources.microsoft365.permissions import understood

START = "/olga@contoso.com"


def path(name: str = "plan.pdf", parent: str | None = "/drives/d/root:/a%20b/c%23d%25") -> str | None:
    reference = {"path": parent} if parent is not None else {}
    told = {"id": "1", "name": name, "file": {}, "parentReference": reference}
    return understood(ItemFacts, told).item("d", START).path


def row(**more: Any) -> Row:
    return understood(Row, {"id": "1", "file": {}, **{k: v for k, v in more.items() if k != "changed"}} | _mark(more))


def _mark(more: dict[str, Any]) -> dict[str, Any]:
    return {"@microsoft.graph.sharedChanged": more["changed"]} if "changed" in more else {}


def test_the_way_to_the_parent_is_encoded_and_the_name_is_not() -> None:
    assert path("100%25.pdf") == "/olga@contoso.com/a b/c#d%/100%25.pdf"
    assert path(name="c#d%", parent="/drives/d/root:") == "/olga@contoso.com/c#d%"
    assert path(parent="/drives/d/root:/a%2520b") == "/olga@contoso.com/a%20b/plan.pdf"


@pytest.mark.parametrize(
    "parent",
    [
        None,  # a delta never tells the path
        "",
        "/drives/d/items/1",
        "/drives/d/root:/a%2Fb",  # a name with a slash could be read as two folders
        "/drives/d/root:/a//b",
        "/drives/d/root:/a%FF",
        "/drives/d/root:/" + "x" * 4000,
    ],
)
def test_a_path_that_is_incomplete_or_can_be_read_in_two_ways_is_unknown(parent: str | None) -> None:
    assert path(parent=parent) is None


def test_a_name_with_a_slash_or_none_has_no_path() -> None:
    assert path("a/b") is None
    assert path("") is None


def test_a_parent_that_is_named_otherwise_than_its_path_says_has_no_path() -> None:
    told = {"id": "1", "name": "x", "parentReference": {"path": "/drives/d/root:/a%20b", "name": "a%20b"}}
    assert understood(ItemFacts, told).item("d", START).path is None
    told["parentReference"] = {"path": "/drives/d/root:/a%20b", "name": "a b"}
    assert understood(ItemFacts, told).item("d", START).path == "/olga@contoso.com/a b/x"
    told["parentReference"] = {"path": "/drives/d/root:", "name": "Documents"}
    assert understood(ItemFacts, told).item("d", START).path == "/olga@contoso.com/x"


def test_the_root_is_the_start_and_nothing_has_a_path_without_one() -> None:
    root = understood(ItemFacts, {"id": "1", "name": "root", "root": {}, "folder": {}})
    assert root.item("d", START).path == START
    assert root.item("d", None).path is None


@pytest.mark.parametrize(
    ("facets", "kind"),
    [
        ({"root": {}, "folder": {}}, ItemKind.ROOT),
        ({"folder": {"childCount": 1}}, ItemKind.FOLDER),
        ({"file": {}}, ItemKind.FILE),
        ({"package": {"type": "oneNote"}}, ItemKind.FOLDER),
        ({"package": {"type": "oneNote"}, "file": {}}, ItemKind.FOLDER),
        ({}, ItemKind.FOLDER),
    ],
)
def test_kinds(facets: dict[str, Any], kind: ItemKind) -> None:
    assert understood(ItemFacts, {"id": "1", **facets}).kind is kind


@pytest.mark.parametrize(
    ("told", "among_changes", "in_a_list_of_all"),
    [
        (row(), False, False),
        (row(shared={"scope": "users"}), True, True),
        (row(shared={}), True, True),  # permissions of its own, and nobody outside has any
        (row(changed=True), True, False),
        (row(changed="True"), True, False),
        (row(changed="false"), False, False),
        (row(file=None, folder={}), True, False),  # folders are never marked
        (row(file=None, root={}, folder={}), True, True),
        (row(shared={"scope": "users"}, deleted={"state": "deleted"}), False, False),
        (row(shared={"scope": "users"}, remoteItem={"id": "x"}), False, False),  # somebody else's, shared to us
    ],
)
def test_which_rows_are_looked_at(told: Row, among_changes: bool, in_a_list_of_all: bool) -> None:
    assert told.may_be_shared(lists_all=False) is among_changes
    assert told.may_be_shared(lists_all=True) is in_a_list_of_all


def test_of_an_item_that_is_told_twice_the_last_row_holds() -> None:
    rows = newest([{"id": "1", "shared": {}}, {"id": "2"}, {"id": "1", "deleted": {}}])
    assert [(one.id, one.deleted) for one in rows] == [("1", {}), ("2", None)]


def test_shortcuts_to_other_people_s_items_are_not_here() -> None:
    assert not understood(ItemFacts, {"id": "1", "remoteItem": {"id": "x"}}).is_here
    assert not understood(ItemFacts, {"id": "1", "deleted": {"state": "deleted"}}).is_here


@pytest.mark.parametrize("ident", ["", "a/b", "a:b", "é", "x" * 151, "a b"])
def test_ids_that_could_not_be_told_apart_are_refused(ident: str) -> None:
    with pytest.raises(LaterError):
        understood(ItemFacts, {"id": ident})


@pytest.mark.parametrize(
    "cursor",
    [
        Reading(),
        Reading(link="https://graph/x", left=("1", "2"), ended=True),
        ScanCursor(),
        ScanCursor(feeds="f", drives=("d",), reading=Reading(link="l", lists_all=True)),
        FeedsCursor(link="l", done=3, inner="i"),
    ],
)
def test_cursors_are_text(cursor: Reading | ScanCursor | FeedsCursor) -> None:
    assert type(cursor).of(cursor.text) == cursor


def test_the_longest_cursor_fits() -> None:
    link, ident, drive = "https://graph.microsoft.com/" + "x" * 3000, "01" + "A" * 32, "b!" + "x" * 64
    reading = Reading(link=link, left=(ident,) * 500, ended=True)
    assert len(ScanCursor(feeds=link, drives=(drive,) * 120, reading=reading).text) < 40_000

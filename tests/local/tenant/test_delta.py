"""The delta of a drive, with the preferences and the silences that Microsoft documents and users report."""

from typing import Any

import pytest

from tests.local.tenant.client import DRIVE, Client, refusal

ROOT = f"/drives/{DRIVE}/root"
ALL = "deltashowremovedasdeleted, deltatraversepermissiongaps, deltashowsharingchanges, hierarchicalsharing"


async def delta(client: Client, link: str | None = None, *, prefer: str = ALL) -> dict[str, Any]:
    """All pages as one, with the delta link."""
    rows: list[dict[str, Any]] = []
    while True:
        path = (link or f"{ROOT}/delta").partition("/v1.0")[2] or f"{ROOT}/delta"
        answer = await client.graph("GET", path, headers={"Prefer": prefer})
        assert answer.status_code == 200, answer.text
        body = answer.json()
        rows += body["value"]
        link = body.get("@odata.nextLink")
        if link is None:
            return {"rows": rows, "link": body["@odata.deltaLink"]}


def names(found: dict[str, Any]) -> list[str]:
    return [row.get("name", f"gone:{row['id']}") for row in found["rows"]]


async def latest(client: Client) -> str:
    body = (await client.graph("GET", f"{ROOT}/delta", params={"token": "latest"})).json()
    assert body["value"] == []
    return str(body["@odata.deltaLink"])


async def grant(client: Client, item: str) -> None:
    assert (await client.grant(item, "u-bob")).status_code == 200


async def test_without_a_token_everything_is_listed_and_no_row_has_a_path(client: Client) -> None:
    found = await delta(client)
    assert sorted(names(found)) == ["Other", "Team", "a b", "c#d%", "root"]
    assert not any("path" in row["parentReference"] for row in found["rows"])
    assert names(await delta(client, found["link"])) == []


@pytest.mark.parametrize("size", [1, 2, 3])
async def test_pages_hold_every_item_once(client: Client, size: int) -> None:
    await client.control("settings", {"deltaPageSize": size})
    assert sorted(names(await delta(client))) == ["Other", "Team", "a b", "c#d%", "root"]


async def test_the_page_size_can_be_asked_for(client: Client) -> None:
    body = (await client.graph("GET", f"{ROOT}/delta", params={"$top": "2"})).json()
    assert len(body["value"]) == 2
    assert "@odata.nextLink" in body


@pytest.mark.parametrize("form", ["delta(token='latest')", "delta()"])
async def test_the_forms_of_the_sdk(client: Client, form: str) -> None:
    assert (await client.graph("GET", f"/drives/{DRIVE}/items/root/{form}")).status_code == 200


async def test_changes_come_with_what_lies_above_them(client: Client) -> None:
    link = await latest(client)
    await grant(client, "i-plan")
    assert names(await delta(client, link)) == ["root", "Team", "a b", "c#d%"]


async def test_the_folders_above_are_left_out_on_request_but_for_the_root(client: Client) -> None:
    link = await latest(client)
    await grant(client, "i-plan")
    assert names(await delta(client, link, prefer=f"{ALL}, deltaExcludeParent")) == ["root", "c#d%"]


async def test_what_changes_while_pages_are_read_comes_with_the_next_round(client: Client) -> None:
    await client.control("settings", {"deltaPageSize": 2})
    first = (await client.graph("GET", f"{ROOT}/delta", headers={"Prefer": ALL})).json()
    await grant(client, "i-team")
    rest = await delta(client, first["@odata.nextLink"])
    assert "Team" in names(await delta(client, rest["link"]))


async def test_a_deleted_folder_is_told_without_what_was_in_it(client: Client) -> None:
    link = await latest(client)
    await client.control("items", {"drive": DRIVE, "delete": ["/Team"]})
    found = await delta(client, link)
    assert names(found) == ["gone:i-team"]
    assert found["rows"][0]["deleted"] == {"state": "deleted"}
    assert sorted(names(await delta(client))) == ["Other", "root"]


async def test_permissions_begin_at_the_facet_shared(client: Client) -> None:
    await grant(client, "i-other")
    facets = {row["name"]: row.get("shared") for row in (await delta(client))["rows"]}
    assert facets == {
        "root": {},
        "Team": {"scope": "users"},
        "a b": None,
        "c#d%": None,
        "Other": {"scope": "users"},
    }


async def test_an_item_with_permissions_of_its_own_that_nobody_has_any_more_has_an_empty_facet(client: Client) -> None:
    await grant(client, "i-other")
    key = (await client.entries("i-other"))["bob@fabrikam.com"]["id"]
    await client.graph("DELETE", f"/drives/{DRIVE}/items/i-other/permissions/{key}")
    facets = {row["name"]: row.get("shared") for row in (await delta(client))["rows"]}
    assert facets["Other"] == {}


async def test_without_the_preference_what_is_shared_from_above_has_the_facet_too(client: Client) -> None:
    rows = (await delta(client, prefer=""))["rows"]
    assert {row["name"] for row in rows if "shared" in row} == {"Team", "a b", "c#d%"}


async def test_changed_permissions_are_marked_on_files_only_and_only_on_request(client: Client) -> None:
    link = await latest(client)
    await grant(client, "i-other")
    await grant(client, "i-team")
    await client.control("items", {"drive": DRIVE, "add": [{"path": "/new.txt", "kind": "file"}]})
    marked = [row["name"] for row in (await delta(client, link))["rows"] if "@microsoft.graph.sharedChanged" in row]
    assert marked == ["Other"]
    plain = (await delta(client, link, prefer="hierarchicalsharing"))["rows"]
    assert not any("@microsoft.graph.sharedChanged" in row for row in plain)


async def test_the_preference_for_changed_permissions_needs_the_two_others(client: Client) -> None:
    for prefer in ("deltashowsharingchanges", "deltashowsharingchanges, deltashowremovedasdeleted"):
        answer = await client.graph("GET", f"{ROOT}/delta", headers={"Prefer": prefer})
        assert refusal(answer) == (400, "invalidRequest")


async def test_one_more_person_in_a_link_and_a_removed_link_are_told_to_nobody(client: Client) -> None:
    made = (await client.create_link(recipients=[{"objectId": "u-bob"}])).json()
    link = await latest(client)
    await client.create_link(recipients=[{"objectId": "u-dora"}])
    assert names(await delta(client, link)) == []
    await client.graph("DELETE", f"/drives/{DRIVE}/items/i-plan/permissions/{made['id']}")
    assert names(await delta(client, link)) == []


async def test_items_can_be_repeated_and_the_last_row_holds(client: Client) -> None:
    await client.control("settings", {"deltaRepeatsItems": True})
    rows = [row for row in (await delta(client))["rows"] if row["id"] == "i-team"]
    assert [(row["name"], row.get("shared")) for row in rows] == [
        ("an earlier name", None),
        ("Team", {"scope": "users"}),
    ]


async def test_a_void_token_is_answered_with_the_place_to_begin_anew(client: Client) -> None:
    await client.control("settings", {"deltaPageSize": 2})
    link = await latest(client)
    assert (await client.http.post("/control/void", json={"drive": DRIVE})).status_code == 204
    answer = await client.graph("GET", link.partition("/v1.0")[2])
    assert refusal(answer) == (410, "resyncChangesApplyDifferences")
    found = await delta(client, answer.headers["Location"])
    assert sorted(names(found)) == ["Other", "Team", "a b", "c#d%", "root"]
    assert names(await delta(client, found["link"])) == []


@pytest.mark.parametrize(
    ("path", "params"),
    [
        (f"{ROOT}/delta", {"token": "nonsense"}),
        (f"{ROOT}/delta", {"$expand": "permissions"}),
        (f"{ROOT}/delta", {"$top": "0"}),
        (f"{ROOT}/delta", {"$top": "5000"}),
        (f"/drives/{DRIVE}/items/i-team/delta", {}),
    ],
)
async def test_what_is_refused(client: Client, path: str, params: dict[str, str]) -> None:
    assert (await client.graph("GET", path, params=params)).status_code == 400


async def test_drives_that_do_not_exist_have_none(client: Client) -> None:
    assert refusal(await client.graph("GET", "/drives/none/root/delta")) == (404, "itemNotFound")

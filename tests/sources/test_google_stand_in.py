"""Google Workspace: the stand-in answers as Google's discovery documents say, and refuses what Google refuses."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import aiohttp
import jsonschema
import pytest

from local.platforms import google_discovery as discovery
from local.platforms.google_account import Member
from local.platforms.google_keys import Bearer
from local.platforms.google_workspace import SCOPES
from shared.sources.google_workspace import tokens as google_tokens
from tests.sources.google_samples import ADMINISTRATOR, EXA, KEY, OLGA, PAUL, Google, google_workspace

PREFIX = "https://www.googleapis.com/auth/"


@pytest.fixture
async def google() -> AsyncIterator[Google]:
    async with google_workspace() as one:
        yield one


def schema_of(document: str, name: str) -> dict[str, Any]:
    """A discovery schema as JSON schema; a property that is not in it is a mistake."""

    def converted(found: Any) -> Any:
        if isinstance(found, list):
            return [converted(one) for one in found]
        if not isinstance(found, dict):
            return found
        if "$ref" in found:
            return {"$ref": f"#/$defs/{found['$ref']}"}
        kept = {key: found[key] for key in ("type", "enum", "items", "additionalProperties") if key in found}
        if kept.get("type") == "any":
            del kept["type"]
        kept = {key: converted(value) for key, value in kept.items()}
        if "properties" in found:
            kept["properties"] = {key: converted(value) for key, value in found["properties"].items()}
            kept["additionalProperties"] = False
        return kept

    schemas = discovery.document(document)["schemas"]
    return {"$ref": f"#/$defs/{name}", "$defs": {key: converted(value) for key, value in schemas.items()}}


async def ask(google: Google, method: str, path: str, body: Any = None, **query: str) -> tuple[int, Any]:
    google.stand_in.tokens.given["t"] = Bearer(query.pop("user", ADMINISTRATOR), frozenset(PREFIX + s for s in SCOPES))
    headers = {"Authorization": "Bearer t"}
    async with (
        aiohttp.ClientSession(headers=headers) as session,
        session.request(method, google.url + path, params=query, json=body) as answer,
    ):
        text = await answer.text()
        return answer.status, json.loads(text) if text else None


FLAGS = {"supportsAllDrives": "true", "includeItemsFromAllDrives": "true"}
CHANNEL = {"id": "c", "type": "web_hook", "address": "https://host.example/api", "token": "t"}


async def furnished(google: Google) -> dict[str, str]:
    google.account.groups["g@contoso.com"] = [Member(EXA), Member(PAUL)]
    google.account.add_drive("Sales", ADMINISTRATOR)
    await google.act("share", EXA, f"/{ADMINISTRATOR}/Alpha")
    await google.act("share", EXA, f"/{ADMINISTRATOR}/Alpha/a.pdf", "reader", kind="file")
    await google.act("share", "g@contoso.com", "/Shared drives/Sales/Offers", "reader")
    await google.act("share", EXA, "/Shared drives/Sales", "reader", kind="root")
    alpha = google.account.at(f"/{ADMINISTRATOR}/Alpha") or ""
    google.give(alpha, None, type="anyone", role="reader")
    google.give(alpha, None, type="domain", domain="partner.example", role="reader")
    return {
        "alpha": alpha,
        "offers": google.account.at("/Shared drives/Sales/Offers") or "",
        "drive": next(iter(google.account.drives)),
    }


CALLS: list[tuple[str, str, dict[str, str]]] = [
    ("drive.files.get", "/drive/v3/files/{alpha}", {}),
    ("drive.files.get", "/drive/v3/files/root", {}),
    ("drive.files.get", "/drive/v3/files/{offers}", FLAGS | {"includeItemsFromAllDrives": ""}),
    ("drive.files.list", "/drive/v3/files", {}),
    ("drive.files.list", "/drive/v3/files", {**FLAGS, "corpora": "drive", "driveId": "{drive}", "pageSize": "1"}),
    ("drive.permissions.list", "/drive/v3/files/{alpha}/permissions", {"pageSize": "1"}),
    ("drive.permissions.list", "/drive/v3/files/{offers}/permissions", {"supportsAllDrives": "true"}),
    ("drive.permissions.list", "/drive/v3/files/{drive}/permissions", {"useDomainAdminAccess": "true"}),
    ("drive.drives.list", "/drive/v3/drives", {"useDomainAdminAccess": "true"}),
    ("drive.drives.get", "/drive/v3/drives/{drive}", {}),
    ("drive.changes.getStartPageToken", "/drive/v3/changes/startPageToken", {}),
    ("drive.changes.list", "/drive/v3/changes", {"pageToken": "c0", "pageSize": "1"}),
    ("drive.changes.list", "/drive/v3/changes", {**FLAGS, "pageToken": "c0", "driveId": "{drive}"}),
    ("drive.changes.watch", "/drive/v3/changes/watch", {"pageToken": "c0"}),
    ("directory.users.list", "/admin/directory/v1/users", {"customer": "my_customer", "maxResults": "1"}),
    ("directory.users.get", f"/admin/directory/v1/users/{OLGA}", {}),
    ("directory.groups.get", "/admin/directory/v1/groups/g@contoso.com", {}),
    ("directory.members.list", "/admin/directory/v1/groups/g@contoso.com/members", {"maxResults": "1"}),
    ("directory.domains.list", "/admin/directory/v1/customer/my_customer/domains", {}),
    ("reports.activities.list", "/admin/reports/v1/activity/users/all/applications/drive", {"maxResults": "2"}),
    ("reports.activities.watch", "/admin/reports/v1/activity/users/all/applications/drive/watch", {}),
]


@pytest.mark.parametrize(("method", "path", "query"), CALLS)
async def test_every_answer_is_as_google_s_discovery_documents_say(
    google: Google, method: str, path: str, query: Mapping[str, str]
) -> None:
    known = await furnished(google)
    filled = {name: value.format(**known) for name, value in query.items() if value}
    document = next(
        name for name in ("drive.v3", "admin.reports_v1", "admin.directory_v1") if method in discovery.methods(name)
    )
    described = discovery.methods(document)[method]
    body = CHANNEL if method.endswith("watch") else None
    status, answer = await ask(google, described.http_method, path.format(**known), body, **filled, fields="*")
    assert status == 200
    jsonschema.validate(answer, schema_of(document, described.answer or ""))


def test_an_answer_with_a_field_that_google_does_not_have_would_be_found() -> None:
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"id": "1", "colour": "red"}, schema_of("drive.v3", "File"))


async def test_without_fields_google_shows_little(google: Google) -> None:
    known = await furnished(google)
    _, permissions = await ask(google, "GET", f"/drive/v3/files/{known['alpha']}/permissions")
    assert set(permissions["permissions"][0]) == {"kind", "id", "type", "role"}
    _, files = await ask(google, "GET", "/drive/v3/files")
    assert set(files["files"][0]) == {"kind", "id", "name", "mimeType"}
    _, some = await ask(google, "GET", "/drive/v3/files", fields="files(id,owners/emailAddress)")
    assert some["files"][0] == {"id": known["alpha"], "owners": [{"emailAddress": ADMINISTRATOR}]}


FLAG = {"supportsAllDrives": "true"}
ACTIVITIES = "/admin/reports/v1/activity/users/all/applications/drive"
REFUSED: list[tuple[str, str, dict[str, str], int, str]] = [
    ("GET", "/drive/v3/files", {"colour": "red"}, 400, "invalidParameter"),
    ("GET", "/drive/v3/files", {"fields": "files(colour)"}, 400, "invalidParameter"),
    ("GET", "/drive/v3/files", {"fields": "files(id"}, 400, "invalidParameter"),
    ("GET", "/drive/v3/files", {"q": "name contains 'x'"}, 400, "invalid"),
    ("GET", "/drive/v3/files", {"q": "trashed = false or 'me' in owners"}, 400, "invalid"),
    ("GET", "/drive/v3/files", {"pageSize": "0"}, 400, "invalidParameter"),
    ("GET", "/drive/v3/files", {"pageToken": "f"}, 400, "invalid"),
    ("GET", "/drive/v3/files", {"supportsAllDrives": "yes"}, 400, "invalidParameter"),
    ("GET", "/drive/v3/files", {"corpora": "drive", "driveId": "{drive}"}, 403, "teamDrivesParameterConflict"),
    ("GET", "/drive/v3/files/{offers}", {}, 404, "notFound"),
    ("GET", "/drive/v3/files/{alpha}", {"user": PAUL}, 404, "notFound"),
    ("GET", "/drive/v3/files/{alpha}/permissions", {"useDomainAdminAccess": "true"}, 404, "notFound"),
    ("GET", "/drive/v3/files/{offers}/permissions", FLAG | {"user": PAUL}, 403, "insufficientFilePermissions"),
    ("GET", "/drive/v3/drives", {"useDomainAdminAccess": "true", "user": PAUL}, 403, "forbidden"),
    ("GET", "/drive/v3/changes", {}, 400, "required"),
    ("GET", "/drive/v3/changes", {"pageToken": "1"}, 400, "invalid"),
    ("GET", "/drive/v3/changes", {"pageToken": "c0", "driveId": "{drive}"}, 403, "teamDrivesParameterConflict"),
    ("GET", "/admin/directory/v1/users", {}, 400, "badRequest"),
    ("GET", f"/admin/directory/v1/users/{EXA}", {}, 403, "forbidden"),
    ("GET", "/admin/directory/v1/users/nobody@contoso.com", {}, 404, "notFound"),
    ("GET", f"/admin/directory/v1/users/{OLGA}", {"user": OLGA}, 403, "forbidden"),
    ("GET", "/admin/directory/v1/groups/g@partner.example/members", {}, 403, "forbidden"),
    ("GET", ACTIVITIES, {"startTime": "yesterday"}, 400, "invalidParameter"),
    ("GET", ACTIVITIES, {"startTime": "2020-01-01T00:00:00Z"}, 400, "invalid"),
    ("GET", "/drive/v3/about", {}, 404, "not_found"),
    ("DELETE", "/drive/v3/files/{alpha}", {}, 405, "method_not_allowed"),
]


@pytest.mark.parametrize(("method", "path", "query", "status", "reason"), REFUSED)
async def test_it_refuses_what_google_refuses(
    google: Google, method: str, path: str, query: dict[str, str], status: int, reason: str
) -> None:
    known = await furnished(google)
    filled = {name: value.format(**known) for name, value in query.items()}
    got, answer = await ask(google, method, path.format(**known), **filled)
    assert (got, answer["error"]["errors"][0]["reason"]) == (status, reason)


@pytest.mark.parametrize(
    "change",
    [
        {"id": "x" * 65},
        {"id": None},
        {"type": "mail"},
        {"token": "x" * 257},
        {"address": "http://host.example/"},
        {"expiration": 7},
        {"expiration": "1000"},
    ],
)
async def test_channels_that_google_does_not_make(google: Google, change: dict[str, Any]) -> None:
    status, _ = await ask(google, "POST", "/drive/v3/changes/watch", {**CHANNEL, **change}, pageToken="c0")
    assert status in (400, 401)
    assert google.stand_in.channels.open == {}


async def test_a_channel_s_id_is_used_once(google: Google) -> None:
    assert (await ask(google, "POST", "/drive/v3/changes/watch", CHANNEL, pageToken="c0"))[0] == 200
    assert (await ask(google, "POST", "/drive/v3/changes/watch", CHANNEL, pageToken="c0"))[0] == 400


async def test_no_token_no_answer(google: Google) -> None:
    async with aiohttp.ClientSession() as session:
        for headers in ({}, {"Authorization": "Bearer other"}, {"Authorization": "Basic t"}):
            async with session.get(f"{google.url}/drive/v3/files", headers=headers) as answer:
                assert answer.status == 401


def test_the_scopes_of_the_documentation_are_those_that_are_asked_for() -> None:
    page = (Path(__file__).parents[2] / "docs/platforms/google-workspace.md").read_text()
    asked = {name for names in google_tokens.SCOPES.values() for name in names}
    assert asked == set(SCOPES)
    assert {
        scope.removeprefix(PREFIX) for scope in re.findall(r"https://www\.googleapis\.com/auth/[a-z.]+", page)
    } == asked


def test_it_runs_as_a_process_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "key.json").write_text(KEY)
    command = [sys.executable, "-m", "local.platforms.google_workspace", "--key", str(tmp_path / "key.json")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert "listens on http://127.0.0.1:" in process.stdout.readline()
        os.kill(process.pid, signal.SIGTERM)

"""The JSON interface: who may ask, what is refused and how, and that nobody undoes another's decision silently."""

import base64
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from playwright.async_api import Browser
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from functions.openapi import description
from tests.console.conftest import Stage, staged

NOBODY = "0" * 32


async def call(stage: Stage, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any, Any]:
    """Status, document and headers of an answer."""
    async with stage.places.session.request(
        method,
        f"{stage.world.host_url}/api/{path}",
        json=body,
        headers={k.replace("_", "-"): v for k, v in headers.items()},
    ) as response:
        text = await response.text()
        return response.status, json.loads(text) if text.startswith(("{", "[")) else text, response.headers


@pytest.mark.parametrize(
    ("method", "path", "body", "headers", "status", "code"),
    [
        ("GET", "access-requests?view=nonsense", None, {}, 400, "bad-request"),
        ("GET", "access-requests?limit=0", None, {}, 400, "bad-request"),
        ("GET", "access-requests?limit=201", None, {}, 400, "bad-request"),
        ("GET", "access-requests?limit=ten", None, {}, 400, "bad-request"),
        ("GET", "access-requests?q=a&after=b", None, {}, 400, "bad-request"),
        ("GET", "access-requests?nonsense=1", None, {}, 400, "bad-request"),
        ("GET", "access-requests/not-a-key", None, {}, 404, "bad-request"),
        ("GET", f"access-requests/{NOBODY}", None, {}, 404, "person-unknown"),
        ("GET", f"access-requests/{NOBODY}/shares/x", None, {}, 404, "item-missing"),
        ("POST", f"access-requests/{NOBODY}/approve", {}, {}, 428, "bad-request"),
        ("POST", f"access-requests/{NOBODY}/approve", {}, {"If_Match": "*"}, 409, "not-possible"),
        ("POST", f"access-requests/{NOBODY}/approve", {"shares": ["x"]}, {"If_Match": "*"}, 400, "bad-request"),
        ("POST", f"access-requests/{NOBODY}/restore", {"shares": ["x"]}, {"If_Match": "*"}, 409, "not-possible"),
        ("POST", f"access-requests/{NOBODY}/deny", {}, {"If_Match": "*"}, 400, "bad-request"),
        ("POST", f"access-requests/{NOBODY}/deny", {"reason": "x" * 1001}, {"If_Match": "*"}, 400, "bad-request"),
        ("POST", f"access-requests/{NOBODY}/explode", {}, {"If_Match": "*"}, 404, "action-unknown"),
        ("POST", "access-requests", {"action": "approve"}, {}, 400, "bad-request"),
        (
            "POST",
            "access-requests",
            {"action": "approve", "view": "held", "people": [{"guest": NOBODY}]},
            {},
            400,
            "bad-request",
        ),
        ("POST", "access-requests", {"action": "deny", "view": "held"}, {}, 400, "bad-request"),
        ("POST", "access-requests", {"action": "approve", "people": [{"guest": NOBODY}] * 101}, {}, 400, "bad-request"),
        ("POST", "account-maps", {"csv": "a,b\n"}, {}, 422, "faulty-file"),
        ("POST", "account-maps", {"csv": "x", "more": 1}, {}, 400, "bad-request"),
    ],
)
async def test_what_cannot_be_done_is_refused_with_a_code_and_a_sentence(
    stage: Stage, method: str, path: str, body: Any, headers: dict[str, str], status: int, code: str
) -> None:
    answered, document, _ = await call(stage, method, path, body, **headers)
    assert (answered, document["code"]) == (status, code)
    assert document["message"].endswith((".", "}"))


async def test_bodies_that_are_no_json_or_too_large_are_refused(stage: Stage) -> None:
    url = f"{stage.url}/{NOBODY}/deny"
    headers = {"Content-Type": "application/json", "If-Match": "*"}
    for body, status in (("[" * 100_000, 400), ("{", 400), ("x" * (1024 * 1024 + 1), 413)):
        async with stage.places.session.post(url, data=body, headers=headers) as response:
            assert response.status == status


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Content-Type": "application/x-www-form-urlencoded"}, 415),
        ({"Content-Type": "text/plain"}, 415),
        ({"Content-Type": "application/json", "Sec-Fetch-Site": "cross-site"}, 403),
        ({"Content-Type": "application/json", "Sec-Fetch-Site": "same-site"}, 403),
        ({"Content-Type": "application/json", "Origin": "https://evil.example"}, 403),
        (
            {"Content-Type": "application/x-www-form-urlencoded", "HX-Request": "true", "Sec-Fetch-Site": "cross-site"},
            403,
        ),
        ({"Content-Type": "application/json", "Sec-Fetch-Site": "same-origin"}, 200),
    ],
)
async def test_another_site_cannot_make_a_browser_change_anything(
    stage: Stage, headers: dict[str, str], status: int
) -> None:
    body = json.dumps({"action": "retry", "people": [{"guest": NOBODY}]})
    async with stage.places.session.post(stage.url, data=body, headers=headers) as response:
        assert response.status == status


async def test_every_answer_carries_the_strict_headers(stage: Stage) -> None:
    for path in (
        "access-requests",
        "sources",
        "batches/none",
        "account-maps",
        "tenant-check",
        "unreadable",
        "openapi.json",
        f"access-requests/{NOBODY}",
    ):
        for accept in ("application/json", "text/html"):
            _, _, headers = await call(stage, "GET", path, Accept=accept)
            policy = headers["Content-Security-Policy"]
            assert "default-src 'none'" in policy
            assert "frame-ancestors 'none'" in policy
            assert "unsafe" not in policy
            assert headers["X-Content-Type-Options"] == "nosniff"
            assert headers["Cache-Control"] == "no-store"


async def test_decisions_follow_the_version_that_was_seen(stage: Stage) -> None:
    who = "version@etag.example"
    await stage.share(who)
    guest = (await stage.person(who))["guest"]
    _, seen, headers = await call(stage, "GET", f"access-requests/{guest}")
    assert headers["ETag"] == f'"{seen["version"]}"'
    assert seen["state"] == "held"
    status, denied, headers = await call(
        stage, "POST", f"access-requests/{guest}/deny", {"reason": "no"}, If_Match=headers["ETag"]
    )
    assert (status, denied["state"], headers["ETag"]) == (200, "denied", f'"{denied["version"]}"')
    status, refused, headers = await call(
        stage, "POST", f"access-requests/{guest}/approve", {}, If_Match=f'"{seen["version"]}"'
    )
    assert (status, refused["code"], refused["person"]["state"]) == (409, "changed-meanwhile", "denied")
    assert headers["ETag"] == f'"{denied["version"]}"'
    again = await call(stage, "POST", f"access-requests/{guest}/deny", {"reason": "x"}, If_Match=f'"{seen["version"]}"')
    assert (again[0], again[1]["version"]) == (200, denied["version"]), "what is so already stays so"
    status, approved, _ = await call(
        stage, "POST", f"access-requests/{guest}/approve", {}, If_Match=f'"{denied["version"]}"'
    )
    assert status == 200
    assert approved["state"] in ("approved", "invited")
    assert approved["approvedBy"] == "demo administrator"


async def test_pages_do_not_overlap_and_hold_everybody(stage: Stage) -> None:
    people = [f"n{number:02}@paging.example" for number in range(7)]
    await stage.share(*people)
    for query in ("view=held&domain=paging.example", "q=paging.example&in=domain"):
        found: list[str] = []
        after = ""
        while True:
            _, page, _ = await call(
                stage, "GET", f"access-requests?{query}&limit=3" + (f"&after={after}" if after else "")
            )
            found += [person["address"] for person in page["people"]]
            if page["next"] is None:
                break
            after = page["next"]
        assert sorted(found) == people


async def test_many_are_acted_on_with_a_result_for_each(stage: Stage) -> None:
    people = [f"b{number}@bulk.example" for number in range(3)]
    await stage.share(*people)
    seen = {who: await stage.person(who) for who in people}
    await call(stage, "POST", f"access-requests/{seen[people[0]]['guest']}/deny", {"reason": "no"}, If_Match="*")
    body = {
        "action": "approve",
        "people": [
            *({"guest": person["guest"], "version": person["version"]} for person in seen.values()),
            {"guest": NOBODY},
        ],
    }
    status, done, _ = await call(stage, "POST", "access-requests", body)
    assert status == 200
    assert [row["outcome"] for row in done["results"]] == ["changed", "done", "done", "refused"]
    assert done["results"][0]["state"] == "denied"
    _, again, _ = await call(stage, "POST", "access-requests", body)
    assert [row["outcome"] for row in again["results"]] == ["changed", "done", "done", "refused"]


async def test_redeem_links_are_never_told(stage: Stage) -> None:
    who = "secret@token.example"
    await stage.share(who, may_invite=True)

    async def mailed() -> bool:
        return len(await stage.mails(who)) == 1

    await stage.until(mailed, "the mail")
    ticket = (await stage.mails(who))[0]["url"].partition("ticket=")[2]
    assert len(ticket) > 20
    person = await stage.person(who)
    for path in ("access-requests?view=invited", f"access-requests/{person['guest']}", f"access-requests?q={who}"):
        for accept in ("application/json", "text/html"):
            _, document, _ = await call(stage, "GET", path, Accept=accept)
            assert ticket not in json.dumps(document)
            assert "redeem" not in json.dumps(document).lower()
    assert ticket not in (stage.world.logs / "host.log").read_text()


@pytest.fixture(scope="module")
async def guarded(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stage]:
    """A world in which App Service's authentication is on."""
    directory = tmp_path_factory.mktemp("guarded")
    async with staged(directory, WEBSITE_AUTH_ENABLED="True", GUESTPASS_DEVELOPMENT_PRINCIPAL="ignored") as stage:
        yield stage


def principal(*roles: str) -> dict[str, str]:
    """The header that App Service sets for somebody with these roles."""
    claims = [{"typ": "roles", "val": role} for role in roles] + [{"typ": "preferred_username", "val": "eve@c.example"}]
    return {"X-MS-CLIENT-PRINCIPAL": base64.b64encode(json.dumps({"claims": claims}).encode()).decode()}


READING = (
    "access-requests",
    f"access-requests/{NOBODY}",
    "sources",
    "batches",
    "batches/none",
    "account-maps",
    "tenant-check",
    "status",
    "unreadable",
    "openapi.json",
)
CHANGING = (
    "access-requests",
    f"access-requests/{NOBODY}/approve",
    "sources/securisync/scan",
    "sources/securisync/shares",
    "batches/none/cancel",
    "account-maps",
)


@pytest.mark.parametrize(
    ("headers", "reading", "changing"),
    [
        ({}, 401, 401),
        (principal(), 403, 403),
        (principal("Something.Else"), 403, 403),
        (principal("AccessRequests.Read"), 200, 403),
        (principal("AccessRequests.Review"), 200, 200),
    ],
)
async def test_two_roles_and_an_outsider(guarded: Stage, headers: dict[str, str], reading: int, changing: int) -> None:
    async def status(method: str, path: str) -> int:
        url = f"{guarded.world.host_url}/api/{path}"
        async with guarded.places.session.request(
            method, url, json={} if method == "POST" else None, headers=headers
        ) as response:
            return int(response.status)

    for path in READING:
        answered = await status("GET", path)
        assert answered == reading or (reading == 200 and answered == 404), path
    for path in CHANGING:
        answered = await status("POST", path)
        assert answered == changing or (changing == 200 and answered in (400, 404, 409, 415, 428)), path


async def test_assets_webhooks_are_open_and_an_outsider_s_browser_is_told_to_sign_in(
    guarded: Stage, browser: Browser
) -> None:
    for path, status in (("assets/console.css", 200), ("assets/..%2Frender.py", 404), ("webhooks/nobody", 404)):
        method = "POST" if path.startswith("webhooks") else "GET"
        url = f"{guarded.world.host_url}/api/{path}"
        async with guarded.places.session.request(method, url, data=b"{}" if method == "POST" else None) as response:
            assert response.status == status, path
    page = await browser.new_page()
    try:
        answer = await page.goto(guarded.url)
        assert answer is not None
        assert answer.status == 401
        assert await page.get_by_role("link", name="Sign in").get_attribute("href") == (
            "/.auth/login/aad?post_login_redirect_uri=/api/access-requests"
        )
        assert "li.person" not in await page.content()
    finally:
        await page.close()


async def test_a_reader_sees_no_buttons(guarded: Stage, browser: Browser) -> None:
    context = await browser.new_context(extra_http_headers=principal("AccessRequests.Read"))
    try:
        page = await context.new_page()
        await page.goto(guarded.url)
        await page.get_by_text("read only").wait_for()
        assert await page.get_by_role("button", name="Approve").count() == 0
    finally:
        await context.close()


async def test_the_counts_for_dashboards_are_those_of_the_page(stage: Stage) -> None:
    await stage.share("one@counts.example", "two@counts.example")
    _, status, _ = await call(stage, "GET", "status")
    people: list[dict[str, Any]] = []
    after: str | None = ""
    while after is not None:
        _, page, _ = await call(stage, "GET", f"access-requests?view=held&after={after}")
        people, after = people + page["people"], page["next"]
    assert status["people"]["held"] == len(people) >= 2
    assert set(status["poison"].values()) == {0}
    assert status["sources"]["securisync"] == {"platform": "securisync", "feeds": {}, "subscriptionEndsAt": None}


async def test_it_is_alive_and_ready_for_anybody(guarded: Stage) -> None:
    assert (await call(guarded, "GET", "health"))[:2] == (200, {"status": "alive"})
    status, ready, _ = await call(guarded, "GET", "health/ready")
    checks = {"settings": "ok", "tables": "ok", "queues": "ok", "graph": "ok"}
    assert (status, ready) == (200, {"status": "ready", "checks": checks})


async def test_the_document_is_served_and_is_what_openapi_says(stage: Stage) -> None:
    status, document, _ = await call(stage, "GET", "openapi.json")
    assert status == 200
    assert document == json.loads(json.dumps(description()))


@schemathesis.serializer("text/csv", "application/x-ndjson")
def as_file(_: Any, value: Any) -> bytes:
    """Send as a file whatever was made up for one."""
    return value if isinstance(value, bytes) else str(value).encode("utf-8", "surrogatepass")


SCHEMA = schemathesis.openapi.from_dict(json.loads(json.dumps(description())))


@pytest.fixture(scope="module")
def api(stage: Stage) -> Any:
    """The interface with its address."""
    return stage.world.host_url


@SCHEMA.parametrize()
@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
def test_whatever_is_asked_the_answer_is_what_the_document_says(case: Any, api: str) -> None:
    """No 500, no undeclared status, no undeclared body."""
    response = case.call(base_url=f"{api}/api", timeout=60)
    if response.status_code in (400, 404) and "x-content-type-options" not in response.headers:
        return  # the host did not take it for a request of the app: too long a line, a line break in the path
    case.validate_response(
        response,
        checks=[
            not_a_server_error,
            status_code_conformance,
            response_schema_conformance,
            content_type_conformance,
        ],
    )

"""Syncplicity: how the API is asked, and what comes of it when it does not answer as it should."""

import logging
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest

from shared.domain.reasons import Reason
from shared.domain.trouble import LaterError, RefusedError
from shared.sources.syncplicity.source import FEED
from tests.sources.syncplicity_samples import ANN, EVE, World, company, make, roles


@pytest.fixture
async def world() -> AsyncIterator[World]:
    async with company() as made:
        made.company.share(made.company.folder(ANN, "Projects"), EVE, 1)
        yield made


@pytest.mark.parametrize("status", [401, 403])
async def test_an_expired_token_is_renewed_once(world: World, status: Any) -> None:
    before = roles(*await world.scan())
    world.company.expired_is = status
    world.company.tokens.clear()
    del world.company.requests[:]
    assert roles(*await world.scan()) == before == {EVE: "ReadWrite"}
    assert [one for one in world.company.requests if "oauth" in one] == ["POST /oauth/token"]


async def test_a_new_token_that_is_refused_is_not_renewed_again(world: World) -> None:
    await world.scan()
    del world.company.requests[:]
    world.fail("/provisioning/", status=401, times=2)
    with pytest.raises(LaterError):
        await world.source.scan(None)
    assert [one.split("?")[0].split("/")[1] for one in world.company.requests] == [
        "provisioning",
        "oauth",
        "provisioning",
    ]


async def test_the_first_token_is_not_doubted(world: World) -> None:
    world.fail("/provisioning/", status=403)
    with pytest.raises(RefusedError):
        await world.source.scan(None)
    assert len([one for one in world.company.requests if "oauth" in one]) == 1


@pytest.mark.parametrize("name", ["app_key", "app_secret", "application_token"])
async def test_refused_credentials_are_for_an_administrator(world: World, name: str) -> None:
    with pytest.raises(RefusedError) as caught:
        await make(api_url=world.url, **{name: "wrong-credential"}).scan(None)
    assert caught.value.reason is Reason.SOURCE_REFUSED
    assert name in str(caught.value.detail)
    assert "wrong-credential" not in str(caught.value.detail)


async def test_a_token_of_another_company_is_for_an_administrator(world: World) -> None:
    with pytest.raises(RefusedError, match="source-refused") as caught:
        await make(api_url=world.url, company_id="00000000-0000-0000-0000-000000000000").scan(None)
    assert "another company" in str(caught.value.detail)


@pytest.mark.parametrize("status", [403, 404])
async def test_a_company_that_is_not_shown_is_for_an_administrator(world: World, status: int) -> None:
    world.fail("/provisioning/company_users.svc", status=status, times=2)
    with pytest.raises(RefusedError) as caught:
        await world.source.scan(None)
    assert "company_id" in str(caught.value.detail)


@pytest.mark.parametrize("status", [403, 404])
async def test_a_feed_that_is_not_shown_is_for_an_administrator(world: World, status: int) -> None:
    cursor = (await world.source.poll(FEED, None)).cursor
    world.fail("/events/", status=status, times=2)
    with pytest.raises(RefusedError) as caught:
        await world.source.poll(FEED, cursor)
    assert "Events API" in str(caught.value.detail)


TROUBLES: list[tuple[dict[str, Any], timedelta | None]] = [
    ({"status": 429, "retry_after": 30}, timedelta(seconds=30)),
    ({"status": 429}, timedelta(seconds=10)),  # "API Development Guidelines": at least 10 seconds
    ({"status": 429, "retry_after": "Wed, 21 Oct 2026 07:28:00 GMT"}, timedelta(seconds=10)),
    ({"status": 500}, None),
    ({"status": 503, "retry_after": 7}, timedelta(seconds=7)),
    ({"status": 302}, None),
    ({"status": 400}, None),
    ({"status": 0}, None),
    ({"status": 200, "body": "<html>proxy</html>"}, None),
    ({"status": 200, "body": "[" * 100_000}, None),
    ({"status": 200, "body": "{}"}, None),
    ({"status": 200, "body": '[{"Id": 7, "EmailAddress": "eve@partner.example"}]'}, None),
]


@pytest.mark.parametrize(("fault", "after"), TROUBLES)
async def test_troubles_are_for_later_and_not_slept_through(
    world: World, fault: dict[str, Any], after: timedelta | None
) -> None:
    world.fail("/provisioning/company_users.svc", **fault)
    with pytest.raises(LaterError) as caught:
        await world.source.scan(None)
    assert (caught.value.reason, caught.value.after) == (Reason.SOURCE, after)
    assert EVE not in str(caught.value.detail)
    assert len(world.requests()) == 1
    assert roles(*await world.scan()) == {EVE: "ReadWrite"}


@pytest.mark.parametrize("fault", [{"status": 500}, {"status": 0}, {"status": 200, "body": '{"user_id": "x"}'}])
async def test_troubles_with_the_token_are_for_later(world: World, fault: dict[str, Any]) -> None:
    world.fail("/oauth/", **fault)
    with pytest.raises(LaterError) as caught:
        await world.source.scan(None)
    assert caught.value.reason is Reason.SOURCE
    assert roles(*await world.scan()) == {EVE: "ReadWrite"}


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        ('[{"Name": "a"}]', "$[0].Id"),
        ('[{"Id": true, "Name": "a"}]', "$[0].Id"),
        ('[{"Id": 1, "Name": 7}]', "$[0].Name"),
        ('[{"Id": 1, "Owner": {"Id": "no-guid"}}]', "$[0].Owner.Id"),
        ('[{"Id": 1, "Participants": [{"Permission": 1}]}]', "$[0].Participants[0].User"),
        ('[{"Id": 1, "Name": "eve@partner.example"}]', "without Owner"),
    ],
)
async def test_every_fault_of_an_answer_is_named_without_its_values(world: World, body: str, fault: str) -> None:
    world.fail("/syncpoint/syncpoints.svc", status=200, body=body)
    with pytest.raises(LaterError) as caught:
        await world.source.scan(None)
    assert fault in str(caught.value.detail)
    assert "eve@partner" not in str(caught.value.detail)
    assert "no-guid" not in str(caught.value.detail)


async def test_no_address_is_logged(world: World, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    (seen,) = await world.scan()
    assert await world.source.look(seen.item) is not None
    assert world.requests(f"/provisioning/user.svc/{ANN}")
    ours = [record.getMessage() for record in caplog.records if not record.name.startswith("aiohttp")]  # the stand-in's
    assert not [text for text in ours if any(secret in text for secret in ("contoso", "app-secret", "Bearer"))]


async def test_an_address_is_no_part_of_the_path(world: World) -> None:
    (seen,) = await world.scan()
    world.company.person("a?b#c%2f@contoso.com")
    item = seen.item.model_copy(update={"path": "/a?b#c%2f@contoso.com/Projects"})
    assert await world.source.look(item) is None
    assert world.requests("/provisioning/user.svc/") == ["GET /provisioning/user.svc/a?b#c%2f@contoso.com"]
    assert len(world.requests("/syncpoint/syncpoints.svc/")) == 3

"""Box's stand-in: it answers as Box's SDK has it, refuses what Box refuses, and tells what its people do."""

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from enum import Enum
from typing import Any, Union, get_args, get_origin

import aiohttp
import pytest
from box_sdk_gen import BoxAPIError, BoxClient, FolderFull, FolderMini, GetEventsStreamType
from box_sdk_gen.internal.base_object import BaseObject

from shared.domain.events import Change, ShareEvent
from shared.domain.trouble import RefusedError
from shared.sources.box.log import TYPES
from shared.sources.box.source import TRIGGERS
from tests.sources.box_samples import COLLABORATION, SOURCE, facts
from tests.sources.box_world import StandIn, polled, scanned, shares, stand_in


@pytest.fixture
async def box() -> AsyncIterator[StandIn]:
    async with stand_in() as box:
        yield box


# --- the oracle: the classes that Box's SDK generates from Box's OpenAPI

# In the class of an event, Box leaves these out of its OpenAPI; they are in its own published examples.
EXTRA = {"Event": {"accessible_by", "action_by", "ip_address"}}


def check(value: Any, annotation: Any, where: str) -> None:
    """Fail when a value is not what the SDK declares: the SDK itself lets through whatever it does not know."""
    options = [one for one in get_args(annotation) if one is not type(None)] or [annotation]
    if value is None:
        return
    if get_origin(annotation) is list:
        assert isinstance(value, list), where
        for number, one in enumerate(value):
            check(one, get_args(annotation)[0], f"{where}[{number}]")
    elif get_origin(annotation) is Union and len(options) == 1:
        check(value, options[0], where)
    elif isinstance(value, BaseObject):
        documented(value, where)
    else:
        classes = [get_origin(one) or one for one in options]
        assert any(fits(value, one) for one in classes), f"{where}: {value!r} is no {annotation}"


def fits(value: Any, declared: type) -> bool:
    """Tell whether a value is one of an enumeration, or of a class."""
    return value in {one.value for one in declared} if issubclass(declared, Enum) else isinstance(value, declared)


def documented(answer: BaseObject, where: str = "$") -> None:
    """Check all fields of an answer. With `fields`, entries of a folder have more than the class of the list says."""
    if isinstance(answer, FolderMini) and not isinstance(answer, FolderFull):
        answer = FolderFull.from_dict(answer.to_dict())
    declared: dict[str, Any] = {}
    for one in reversed(type(answer).__mro__):
        declared |= getattr(vars(one).get("__init__"), "__annotations__", {})
    for name, value in vars(answer).items():
        if name.startswith("_") or name in EXTRA.get(type(answer).__name__, ()):
            continue
        assert name in declared, f"{where}.{name} is not in {type(answer).__name__}"
        check(value, declared[name], f"{where}.{name}")


async def test_every_answer_is_what_the_sdk_declares(box: StandIn) -> None:
    group = {"id": "9", "name": "Partners", "members": [{"id": "1", "name": "One", "login": "one@partner.com"}]}
    await box.seed(groups=[group], web_links=[{"id": "1", "name": "w", "parent": "0"}])
    source = box.source()
    position = json.loads((await source.poll("events", None)).cursor or "")["position"]
    await box.act("share", "ada@x.com", "/A/B", role="editor", pending=True, expires_at="2030-01-01T00:00:00+00:00")
    await box.act("share", "Partners", "/A", role="viewer uploader", sharer="boss@contoso.com")
    await box.act("share", "bob@x.com", "/A/plan.pdf", kind="file", role="co-owner")
    await box.act("share", "anyone", "/A/plan.pdf", kind="file")
    await box.act("share", "anyone", "/A/B")
    a = await folder(box, "A")
    made = await source.subscribe(f"folder:{a}", None, "https://guestpass.example/")

    def answers(client: BoxClient) -> list[BaseObject]:
        items = client.folders.get_folder_items(a, usemarker=True, fields=["name", "path_collection", "shared_link"])
        inside = {entry.type.value: entry.id for entry in items.entries or []}
        listed = client.list_collaborations.get_folder_collaborations(a)
        stream = GetEventsStreamType.ADMIN_LOGS_STREAMING
        return [
            items,
            listed,
            client.folders.get_folder_by_id("0"),
            client.folders.get_folder_by_id(inside["folder"]),
            client.files.get_file_by_id(inside["file"]),
            client.web_links.get_web_link_by_id("1"),
            client.list_collaborations.get_folder_collaborations(inside["folder"]),
            client.list_collaborations.get_file_collaborations(inside["file"]),
            client.user_collaborations.get_collaboration_by_id((listed.entries or [])[0].id),
            client.memberships.get_group_memberships("9"),
            client.events.get_events(stream_type=stream, stream_position=position),
            client.webhooks.get_webhooks(),
            client.webhooks.get_webhook_by_id(made.id),
        ]

    for answer in await box.ask(answers):
        documented(answer, type(answer).__name__)
        assert len(getattr(answer, "entries", [1])) >= 1


def test_the_oracle_sees_what_is_wrong() -> None:
    from box_sdk_gen import Collaboration
    from box_sdk_gen.serialization.json import deserialize

    documented(deserialize(COLLABORATION, Collaboration))
    for wrong in ({"rank": 1}, {"role": "emperor"}, {"created_at": "yesterday"}, {"is_access_only": "no"}, {"id": 7}):
        with pytest.raises(AssertionError):
            documented(deserialize({**COLLABORATION, **wrong}, Collaboration))


# --- strictness


async def folder(box: StandIn, name: str) -> str:
    entries = (await box.ask(lambda client: client.folders.get_folder_items("0", usemarker=True))).entries or []
    return next(entry.id for entry in entries if entry.name == name)


@pytest.mark.parametrize(
    ("call", "status"),
    [
        ("GET /2.0/folders/0/items", 400),
        ("GET /2.0/folders/0/items?usemarker=true&marker=made-up", 400),
        ("GET /2.0/folders/0/items?usemarker=true&limit=1001", 400),
        ("GET /2.0/folders/0/items?usemarker=true&offset=0", 400),
        ("GET /2.0/folders/0/items?usemarker=true&fields=colour", 400),
        ("GET /2.0/folders/0/items?usemarker=true&limt=1", 400),
        ("GET /2.0/folders/0/collaborations?marker=made-up", 400),
        ("GET /2.0/folders/404", 404),
        ("GET /2.0/folders/404/collaborations", 404),
        ("GET /2.0/collaborations/404", 404),
        ("GET /2.0/groups/404/memberships", 404),
        ("GET /2.0/webhooks/404", 404),
        ("PUT /2.0/webhooks/404", 404),
        ("DELETE /2.0/webhooks/404", 404),
        ("GET /2.0/events?stream_type=admin_logs_streaming&stream_position=yesterday", 400),
        ("GET /2.0/events?stream_type=admin_logs_streaming", 400),
        ("GET /2.0/events?stream_position=now", 400),
        ("GET /2.0/events?stream_type=admin_logs_streaming&stream_position=now&limit=501", 400),
        ("DELETE /2.0/folders/0", 405),
        ("GET /2.0/nothing", 404),
    ],
)
async def test_refusals_are_box_s(box: StandIn, call: str, status: int) -> None:
    method, path = call.split()
    form = {
        "grant_type": "client_credentials",
        "client_id": "app",
        "client_secret": "app-secret",
        "box_subject_type": "enterprise",
        "box_subject_id": "4711",
    }
    async with box.session.post(f"{box.url}/oauth2/token", data=form) as answer:
        bearer = {"Authorization": f"Bearer {(await answer.json())['access_token']}"}
    async with box.session.request(method, box.url + path, headers=bearer, json={}) as answer:
        body = await answer.json()
        assert (answer.status, body["status"], body["type"]) == (status, status, "error")
    async with box.session.request(method, box.url + path, headers={"Authorization": "Bearer x"}) as answer:
        assert answer.status == 401


@pytest.mark.parametrize(
    ("target", "address", "triggers"),
    [
        ({"type": "folder", "id": "0"}, "https://a.example/", ["COLLABORATION.CREATED"]),
        ({"type": "file", "id": "1"}, "https://a.example/", ["COLLABORATION.CREATED"]),
        ({"type": "folder", "id": "1"}, "https://a.example/", []),
        ({"type": "folder", "id": "1"}, "https://a.example/", ["COLLABORATION.EATEN"]),
        ({"type": "folder", "id": "1"}, "http://a.example/", ["COLLABORATION.CREATED"]),
    ],
)
async def test_webhooks_that_box_does_not_make(
    box: StandIn, target: dict[str, str], address: str, triggers: list[str]
) -> None:
    one = {"id": "1", "name": "one", "parent": "0"}
    await box.seed(folders=[one], files=[one])
    with pytest.raises(BoxAPIError) as caught:
        await box.ask(lambda client: client.webhooks.create_webhook(target, address, triggers))  # type: ignore[arg-type]
    assert caught.value.response_info.status_code == 400


async def test_there_is_an_end_to_webhooks(box: StandIn) -> None:
    await box.seed(folders=[{"id": str(n), "name": f"f{n}", "parent": "0"} for n in range(1, 1002)])
    source = box.source()
    for number in range(1, 1001):
        await source._api.make_webhook(str(number), "https://a.example/", TRIGGERS)
    with pytest.raises(RefusedError, match="source-refused"):
        await source._api.make_webhook("1001", "https://a.example/", TRIGGERS)


# --- what its people do, by every way


async def watched(box: StandIn, path: str) -> None:
    """Make the folder at the top, with its webhook."""
    await box.act("share", "first@x.com", path, role="viewer")
    await box.source().subscribe(f"folder:{await folder(box, path.strip('/'))}", None, box.inbox_url)


def received(box: StandIn) -> list[ShareEvent]:
    """What the deliveries say, in the order of their arrival."""
    now = datetime.now(UTC)
    return [event for headers, body in box.inbox for event in facts(SOURCE.read(opened(headers, body, now)))]


def opened(headers: dict[str, str], body: bytes, now: datetime) -> bytes:
    return SOURCE.authenticate(headers, body, now).body


async def test_a_share_comes_by_webhook_log_and_scan_as_one_permission(box: StandIn) -> None:
    await watched(box, "/Projects")
    source = box.source()
    cursor = (await source.poll("events", None)).cursor or ""
    await box.act(
        *("share", "ada@x.com", "/Projects/Alpha"),
        role="editor",
        sharer="boss@contoso.com",
        shared_at="2020-02-02T00:00:00+00:00",
        expires_at="2030-01-01T00:00:00+00:00",
        notify="twice",
    )
    by_webhook = [complete for event in received(box) for complete in await source.enrich(event)]
    assert len(by_webhook) == 2
    assert len({event.id for event in by_webhook}) == 1
    pages, _ = await polled(source, cursor)
    told = [event for page in pages for event in page.events if event.principal.address == "ada@x.com"]
    by_log = [complete for event in told for complete in await source.enrich(event)]
    sets, _ = await scanned(source)
    by_scan = [fact for seen in sets for fact in seen.facts if fact.principal.address == "ada@x.com"]
    everything = [*by_webhook, *by_log, *by_scan]
    assert len(everything) == 4
    assert len({event.permission for event in everything}) == 1
    assert all(event.says_the_same_as(everything[0]) for event in everything)
    assert {event.item.path for event in everything if event.item} == {"/Projects/Alpha"}
    assert {event.shared_at for event in everything} == {datetime(2020, 2, 2, tzinfo=UTC)}
    assert {event.expires_at for event in everything} == {datetime(2030, 1, 1, tzinfo=UTC)}
    assert {event.sharer.address for event in everything} == {"boss@contoso.com"}


async def test_accepted_first_then_another_role_then_gone(box: StandIn) -> None:
    await watched(box, "/Projects")
    source = box.source()
    cursor = (await source.poll("events", None)).cursor or ""
    await box.act("share", "ada@x.com", "/Projects", role="viewer", pending=True)
    (invited,) = received(box)
    assert (invited.pending, invited.item, invited.principal.address) == (True, None, "ada@x.com")
    (seen,) = [one for one in (await scanned(source))[0] if "ada@x.com" in shares(one)]
    assert shares(seen)["ada@x.com"].pending
    assert seen.item.path == "/Projects"
    await box.act("share", "ada@x.com", "/Projects", role="viewer")
    await box.act("role", "ada@x.com", "/Projects", role="editor")
    await box.act("remove", "ada@x.com", "/Projects")
    told = received(box)
    assert [(event.change, event.pending) for event in told] == [
        (Change.GIVEN, True),
        (Change.GIVEN, False),
        (Change.KEPT, False),
        (Change.LOST, False),
    ]
    assert len({event.reference for event in told}) == 1
    pages, _ = await polled(source, cursor)
    log = {event.id: event for page in pages for event in page.events if event.principal.address == "ada@x.com"}
    assert sorted(event.change for event in log.values()) == [Change.GIVEN, Change.GIVEN, Change.KEPT, Change.LOST]
    newest = max([*told, *log.values()], key=lambda event: event.rank)
    assert newest.change is Change.LOST
    assert not any("ada@x.com" in shares(one) for one in (await scanned(source))[0])


@pytest.mark.parametrize(
    ("kind", "path", "item_kind"), [("root", "/", "root"), ("folder", "/A/B", "folder"), ("file", "/A/c.pdf", "file")]
)
async def test_a_swallowed_notification_is_found_by_log_and_scan(
    box: StandIn, kind: str, path: str, item_kind: str
) -> None:
    await watched(box, "/A")
    source = box.source()
    cursor = (await source.poll("events", None)).cursor or ""
    await box.act("share", "ada@x.com", path, kind=kind, role="editor", notify="never")
    assert box.inbox == []
    pages, _ = await polled(source, cursor)
    (told,) = [event for page in pages for event in page.events if event.principal.address == "ada@x.com"]
    (by_log,) = await source.enrich(told)
    (seen,) = [one for one in (await scanned(source))[0] if "ada@x.com" in shares(one)]
    for item in (by_log.item, seen.item):
        assert item is not None
        assert (item.kind.value, item.path) == (item_kind, path)


async def test_files_and_the_root_have_no_collaboration_webhooks(box: StandIn) -> None:
    await watched(box, "/A")
    await box.act("share", "ada@x.com", "/A/c.pdf", kind="file", role="editor")
    await box.act("share", "ada@x.com", "/", kind="root", role="editor")
    await box.act("share", "ada@x.com", "/Elsewhere", role="editor")
    assert box.inbox == []
    await box.act("share", "anyone", "/A/c.pdf", kind="file")
    await box.act("remove", "anyone", "/A/c.pdf", kind="file")
    assert [event.change for event in received(box)] == [Change.GIVEN, Change.LOST]


async def test_a_link_comes_by_every_way_as_one_permission(box: StandIn) -> None:
    await watched(box, "/A")
    source = box.source()
    cursor = (await source.poll("events", None)).cursor or ""
    await box.act("share", "anyone", "/A")
    (by_webhook,) = received(box)
    pages, cursor = await polled(source, cursor)
    by_log = [fact for page in pages for seen in page.seen for fact in seen.facts if fact.role == "can_download"]
    by_scan = [fact for seen in (await scanned(source))[0] for fact in seen.facts if fact.role == "can_download"]
    assert {fact.permission for fact in [*by_log, *by_scan]} == {by_webhook.permission}
    await box.act("role", "anyone", "/A", role="company")
    await box.act("remove", "anyone", "/A")
    assert [event.change for event in received(box)[1:]] == [Change.LOST, Change.LOST]


async def test_nobody_is_invited_twice_and_nobody_leaves_twice(box: StandIn) -> None:
    await box.act("share", "ada@x.com", "/A", role="editor")
    for wrong in ("share", "remove"):
        person = "ada@x.com" if wrong == "share" else "bob@x.com"
        with pytest.raises(aiohttp.ClientResponseError) as caught:
            await box.act(wrong, person, "/A", role="editor")
        assert caught.value.status == 400


async def test_a_delivery_that_is_not_taken_comes_again(box: StandIn) -> None:
    await box.act("share", "first@x.com", "/A", role="viewer")
    await box.source().subscribe(f"folder:{await folder(box, 'A')}", None, box.url + "/nobody-here")
    await box.act("share", "ada@x.com", "/A", role="viewer")
    (sent,) = await box.deliveries()
    assert (sent["status"], sent["attempts"]) == (401, 3)


def test_the_triggers_and_the_events_are_box_s() -> None:
    from box_sdk_gen import CreateWebhookTriggers, GetEventsEventType

    assert {CreateWebhookTriggers(trigger) for trigger in TRIGGERS}
    assert {GetEventsEventType(name) for name in TYPES}

"""The sample app in a real host: queues, HTTP, timers and the admin API."""

import asyncio
import base64
import sys
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from azure.storage.queue import TextBase64EncodePolicy
from azure.storage.queue.aio import QueueServiceClient
from multidict import CIMultiDict

from tests.local.hosting import RunningHost, hosting

OVERRIDE = "AzureFunctionsJobHost__extensions__queues__"


class Queues:
    """The queues of one host, named with a prefix of its own."""

    def __init__(self, service: QueueServiceClient, prefix: str) -> None:
        self._service = service
        self._prefix = prefix

    async def send(self, queue: str, text: str, *, raw: bool = False) -> None:
        content = text if raw else base64.b64encode(text.encode()).decode()
        await self._service.get_queue_client(f"{self._prefix}-{queue}").send_message(content)

    async def peek(self, queue: str) -> list[str]:
        """The contents of what is visible, as stored."""
        messages = await self._service.get_queue_client(f"{self._prefix}-{queue}").peek_messages(32)
        return [message.content for message in messages]


def settings(azurite: str, prefix: str, **overrides: str) -> dict[str, str]:
    values = {"AzureWebJobsStorage": azurite, "PREFIX": prefix, "TICK": "0 0 0 1 1 *"}
    return values | {f"{OVERRIDE}{name}": value for name, value in overrides.items()}


@pytest.fixture(scope="module")
async def service(azurite: str) -> AsyncIterator[QueueServiceClient]:
    async with QueueServiceClient.from_connection_string(azurite) as client:
        yield client


@pytest.fixture(scope="module")
async def host(azurite: str) -> AsyncIterator[RunningHost]:
    """One host for all tests that need no settings of their own; each test sends texts of its own."""
    async with hosting(settings(azurite, "shared")) as running:
        yield running


@pytest.fixture
def queues(service: QueueServiceClient) -> Queues:
    return Queues(service, "shared")


async def reached(host: RunningHost, function: str, text: str) -> None:
    """Wait for the function's entries until one has the text."""
    seen: list[dict[str, Any]] = []
    while text not in [entry["text"] for entry in seen]:
        seen = await host.journal(function, len(seen) + 1)


async def entries(host: RunningHost, function: str, text: str) -> list[int]:
    return [entry["deliveries"] for entry in await host.journal(function) if entry["text"] == text]


async def test_success_deletes(host: RunningHost, queues: Queues) -> None:
    text = f"Grüße {uuid.uuid4()}"
    await queues.send("work", text)
    assert await host.idle() == {}
    assert await entries(host, "work", text) == [1]
    assert all(entry["id"] and entry["receipt"] for entry in await host.journal("work"))


async def test_failure_is_tried_again_until_it_succeeds(host: RunningHost, queues: Queues) -> None:
    await queues.send("work", "fragile")
    assert await host.idle() == {}
    assert await entries(host, "work", "fragile") == [1, 2, 3]


async def test_failure_ends_in_the_poison_queue_after_five_deliveries(host: RunningHost, queues: Queues) -> None:
    before = await host.status()
    await queues.send("work", "fail once")
    assert await host.idle() == {}
    assert await entries(host, "work", "fail once") == [1, 2, 3, 4, 5]
    assert await entries(host, "buried", "fail once") == [1]
    after = await host.status()
    assert after["failures"] - before["failures"] == 5
    assert after["poisoned"] - before["poisoned"] == 1


async def test_poison_function_that_fails_keeps_its_message_hidden(azurite: str, service: QueueServiceClient) -> None:
    queues = Queues(service, "buried")
    async with hosting(settings(azurite, "buried", maxDequeueCount="2")) as host:
        await queues.send("work", "fail twice")
        assert await host.idle() == {"buried-work-poison": 1}
        assert await entries(host, "work", "fail twice") == [1, 2]
        assert await entries(host, "buried", "fail twice") == [1]
        assert await queues.peek("work-poison") == []
    names = [queue.name async for queue in service.list_queues()]
    assert "buried-work-poison" in names
    assert "buried-work-poison-poison" not in names


async def test_what_is_not_base64_is_poisoned_unread(host: RunningHost, queues: Queues, azurite: str) -> None:
    # The poison function cannot read it either; its queue has no poison queue, so the message stays, hidden.
    before = await host.status()
    await queues.send("work", "plain text", raw=True)
    assert await host.idle() == {"shared-work-poison": 1}
    after = await host.status()
    assert after["poisoned"] - before["poisoned"] == 1
    assert after["invocations"] == before["invocations"]
    async with QueueServiceClient.from_connection_string(azurite) as service:
        await service.get_queue_client("shared-work-poison").clear_messages()


async def test_what_is_not_utf8_is_never_handed_over(host: RunningHost, queues: Queues, azurite: str) -> None:
    before = await host.status()
    await queues.send("work", base64.b64encode(b"\xff\xfe\xfd").decode(), raw=True)
    assert await host.idle() == {"shared-work-poison": 1}
    assert (await host.status())["invocations"] == before["invocations"]
    async with QueueServiceClient.from_connection_string(azurite) as service:
        await service.get_queue_client("shared-work-poison").clear_messages()


async def test_message_encoding_none(azurite: str, service: QueueServiceClient) -> None:
    queues = Queues(service, "plain")
    async with hosting(settings(azurite, "plain", messageEncoding="none", maxDequeueCount="2")) as host:
        await queues.send("work", "plain & <text>", raw=True)
        await queues.send("work", "fail & fail", raw=True)
        assert await host.idle() == {}
        assert await entries(host, "work", "plain & <text>") == [1]
        assert await entries(host, "work", "fail & fail") == [1, 2]
        assert await entries(host, "buried", "fail & fail") == [1]


async def test_visibility_timeout_delays_the_second_try(azurite: str, service: QueueServiceClient) -> None:
    queues = Queues(service, "slow")
    async with hosting(settings(azurite, "slow", visibilityTimeout="00:01:00")) as host:
        await queues.send("work", "fail late")
        assert await host.idle() == {"slow-work": 1}
        assert await entries(host, "work", "fail late") == [1]
        assert await queues.peek("work") == []


async def test_concurrency_is_batch_size_plus_threshold(azurite: str, service: QueueServiceClient) -> None:
    queues = Queues(service, "crowd")
    await service.create_queue("crowd-gated")
    for number in range(7):
        await queues.send("gated", str(number))
    async with hosting(settings(azurite, "crowd", batchSize="2", newBatchThreshold="1")) as host:

        async def full(running: list[int]) -> None:
            """The queue takes no more than this, though the host has the time to run much else."""
            await host.journal("gated", len(running))
            for text in ("a", "b", "c", "d", "e"):
                await queues.send("work", f"{text}{len(running)}")
                await reached(host, "work", f"{text}{len(running)}")
            assert [entry["running"] for entry in await host.journal("gated")] == running

        await full([1, 2])
        await host.json("POST", "/api/permits/1")  # one of two ends: at the threshold, so a batch of two comes
        await full([1, 2, 2, 3])
        await host.json("POST", "/api/permits/6")
        assert await host.idle() == {}
        assert len(await host.journal("gated")) == 7
        assert (await host.json("POST", "/api/permits/0"))["mostRunning"] == 3


async def test_function_that_never_ends_does_not_keep_the_host(azurite: str, service: QueueServiceClient) -> None:
    queues = Queues(service, "stuck")
    async with hosting(settings(azurite, "stuck")) as host:  # sends SIGTERM at the end, and awaits exit code 0
        await queues.send("gated", "for ever")
        await host.journal("gated", 1)


async def test_message_sent_again_with_a_delay_begins_its_deliveries_anew(
    azurite: str, service: QueueServiceClient
) -> None:
    queues = Queues(service, "later")
    async with hosting(settings(azurite, "later", maxDequeueCount="2")) as host:
        await queues.send("later", '{"attempt": 1}')
        seen = await host.journal("later", 4)
        assert [(entry["attempt"], entry["deliveries"]) for entry in seen] == [(1, 1), (2, 1), (3, 1), (4, 1)]
        assert await host.idle() == {}
        assert (await host.status())["poisoned"] == 0


async def test_http_hands_over_the_request_as_it_came(host: RunningHost) -> None:
    body = bytes(range(256)) + "ü".encode()
    headers = CIMultiDict([("X-MS-CLIENT-PRINCIPAL", "anyone"), ("X-Twice", "1"), ("X-Twice", "2")])
    path = "/api/echo/caf%C3%A9%20au/tail?a=1&a=2&empty=&q=%26"
    async with host.http.put(path, data=body, headers=headers) as response:
        assert response.status == 200
        assert response.content_type == "application/json"
        seen = await response.json()
    assert seen["method"] == "PUT"
    assert seen["url"].endswith(path)
    assert seen["params"] == {"name": "café au", "tail": "tail"}
    assert seen["query"] == {"a": "1,2", "q": "&"}
    assert seen["headers"]["x-ms-client-principal"] == "anyone"
    assert seen["headers"]["x-twice"] == "1,2"
    assert base64.b64decode(seen["body"]) == body


async def test_http_routes(host: RunningHost) -> None:
    assert (await host.json("POST", "/api/echo/one"))["params"] == {"name": "one"}
    assert (await host.json("POST", "/API/Echo/One"))["params"] == {"name": "One"}
    async with host.http.post("/api/echo/literal") as response:
        assert await response.text() == "the literal route"
    for method, path in [
        ("GET", "/api/echo/one"),
        ("POST", "/api/echo"),
        ("POST", "/api/echo/a/b/c"),
        ("GET", "/raw"),
        ("GET", "/"),
    ]:
        async with host.http.request(method, path) as response:
            assert (response.status, await response.read()) == (404, b""), path


async def test_http_response_bytes_headers_and_cookies(host: RunningHost) -> None:
    body = bytes(reversed(range(256)))
    async with host.http.post("/api/raw", data=body) as response:
        assert response.status == 201
        assert response.headers["X-Seen"] == "yes"
        assert response.headers.getall("Content-Type") == ["application/octet-stream"]
        assert await response.read() == body
        crumb = response.cookies["crumb"]
    assert (crumb.value, crumb["path"], crumb["samesite"], crumb["httponly"]) == ("1", "/api", "Lax", True)


async def test_http_function_that_fails_answers_500_and_tells_nothing(host: RunningHost) -> None:
    before = await host.status()
    async with host.http.get("/api/boom") as response:
        assert (response.status, await response.read()) == (500, b"")
    assert (await host.status())["failures"] == before["failures"] + 1


async def test_http_body_may_have_100_megabytes(host: RunningHost) -> None:
    limit = 100 * 1024 * 1024
    async with host.http.post("/api/raw", data=b"x" * limit) as response:
        assert response.status == 201
        assert len(await response.read()) == limit
    async with host.http.post("/api/raw", data=b"x" * (limit + 1)) as response:
        assert response.status == 413


async def test_trace_context_is_passed_on_or_begun(host: RunningHost) -> None:
    parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    headers = {"traceparent": parent, "tracestate": "vendor=1"}
    assert await host.json("GET", "/api/trace", headers=headers) == {"parent": parent, "state": "vendor=1"}
    begun = [(await host.json("GET", "/api/trace", headers={"traceparent": "nonsense"}))["parent"] for _ in range(2)]
    assert [len(parent) for parent in begun] == [55, 55]
    assert begun[0] != begun[1]


async def test_admin_lists_functions(host: RunningHost) -> None:
    listed = {item["name"]: item["config"]["bindings"] for item in await host.json("GET", "/admin/functions")}
    assert listed["tick"][0]["schedule"] == "%TICK%"
    assert listed["work"][0]["queueName"] == "%PREFIX%-work"
    status = await host.status()
    assert (status["state"], status["functions"]) == ("Running", len(listed))


async def test_admin_runs_a_queue_function(host: RunningHost) -> None:
    text = f"by hand {uuid.uuid4()}"
    assert await host.run("work", text) == 202
    assert await host.idle() == {}
    assert await entries(host, "work", text) == [1]


async def test_admin_runs_a_timer(host: RunningHost) -> None:
    ran = len(await host.journal("tick"))
    assert await host.run("tick") == 202
    assert await host.idle() == {}
    written = (await host.journal("tick"))[ran:]
    assert [entry["past_due"] for entry in written] == [False]
    assert written[0]["next"].endswith("-01-01T00:00:00+00:00")


async def test_admin_refuses_what_it_cannot_run(host: RunningHost) -> None:
    assert await host.run("nobody") == 404
    assert await host.run("echo") == 400
    for body in (b"no json", b"[]", b'{"input": 1}'):
        async with host.http.post("/admin/functions/work", data=body) as response:
            assert response.status == 400


async def test_run_on_startup(host: RunningHost) -> None:
    assert await host.journal("starting", 1) == [{"past_due": False}]


async def test_timer_runs_at_each_occurrence(azurite: str) -> None:
    async with hosting({**settings(azurite, "tick"), "TICK": "* * * * * *"}) as host:
        first, second = (await host.journal("tick", 2))[:2]
        assert first["last"] == "0001-01-01T00:00:00+00:00"
        assert second["last"] != first["last"]


async def test_sdk_and_host_agree_on_base64(host: RunningHost, service: QueueServiceClient) -> None:
    text = f"sdk {uuid.uuid4()}"
    queue = service.get_queue_client("shared-work", message_encode_policy=TextBase64EncodePolicy())
    await queue.send_message(text)
    assert await host.idle() == {}
    assert await entries(host, "work", text) == [1]


async def test_one_process_holds_one_app_and_gives_its_settings_back(azurite: str, tmp_path: Path) -> None:
    script = """
import asyncio, os, sys
from local.host import Host, HostError

async def main():
    settings = {"AzureWebJobsStorage": sys.argv[3], "PREFIX": "process", "TICK": "0 0 0 1 1 *"}
    for _ in range(2):
        async with Host(sys.argv[1], settings) as host:
            await host.idle()
            print(len(host.functions), await host.pending(), os.environ["PREFIX"])
    print(os.environ.get("PREFIX"))
    try:
        async with Host(sys.argv[2], settings):
            pass
    except HostError as error:
        print(error)

asyncio.run(main())
"""
    sample = Path(__file__).parent / "sample_app"
    (tmp_path / "function_app.py").write_text("")
    (tmp_path / "host.json").write_text('{"version": "2.0"}')
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", script, sample, tmp_path, azurite),
        stdout=asyncio.subprocess.PIPE,
        cwd=Path(__file__).parents[2],
    )
    lines = (await process.communicate())[0].decode().splitlines()
    assert lines[:3] == ["13 {} process", "13 {} process", "None"]
    assert "one process can hold one app" in lines[3]

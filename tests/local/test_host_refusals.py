"""Apps and settings that the host refuses, and how it says so."""

import json
from datetime import timedelta
from pathlib import Path

import pytest

from local.host import SettingsError
from local.host.settings import HostJson, Queues, queue_service, resolve
from tests.local.hosting import SAMPLE_APP, refusal

SETTINGS = {"AzureWebJobsStorage": "UseDevelopmentStorage=true", "PREFIX": "x", "TICK": "0 0 0 1 1 *"}

HEAD = "import azure.functions as func\napp = func.FunctionApp()\n"
STORAGE = "AzureWebJobsStorage"
QUEUE = f'@app.queue_trigger("msg", "q", "{STORAGE}")\n'
OUTPUT = f'@app.queue_output("out", "q", "{STORAGE}")\n@app.route("a")\ndef f(req, out: func.Out[str]): ...\n'
RETRY = '@app.retry("fixed_delay", "3", delay_interval="00:00:05")\n'
TIMER = '@app.timer_trigger("timer", "{schedule}")\ndef tick(timer: func.TimerRequest) -> None: ...\n'


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        (HEAD + QUEUE + "def f(msg): ...\n" + QUEUE + "def f(msg): ...\n", "unique function name"),
        (HEAD + "other = func.FunctionApp()\n", "More than one"),
        (HEAD + QUEUE + "def f(message): ...\n", "message"),
        (HEAD + QUEUE + "def f(msg: dict): ...\n", "Python type annotation dict"),
        (HEAD + "import a_module_that_is_missing\n", "a_module_that_is_missing"),
        ("", "Could not find top level function app"),
        (HEAD + TIMER.format(schedule="%EVERY%"), "function tick needs the app setting EVERY"),
        (HEAD + TIMER.format(schedule="00:05:00"), "function tick: '00:05:00' is a time span"),
        (
            HEAD + QUEUE.replace(STORAGE, "Elsewhere") + "def f(msg): ...\n",
            "function f needs the app setting Elsewhere",
        ),
        (HEAD + '@app.route("a/{*rest}")\ndef f(req): ...\n', "function f: the local host has no route segment"),
        (HEAD + OUTPUT, "not the binding 'out' of type queue"),
        (HEAD + RETRY + TIMER.format(schedule="0 0 0 * * *"), "@app.retry"),
    ],
)
async def test_app_that_is_refused(tmp_path: Path, source: str, reason: str) -> None:
    (tmp_path / "function_app.py").write_text(source)
    (tmp_path / "host.json").write_text('{"version": "2.0"}')
    said = await refusal(tmp_path, SETTINGS)
    assert reason in said
    assert "Traceback" not in said


async def test_missing_app(tmp_path: Path) -> None:
    (tmp_path / "host.json").write_text('{"version": "2.0"}')
    assert "has no function_app.py" in await refusal(tmp_path, SETTINGS)


async def test_missing_setting_of_a_queue_name() -> None:
    said = await refusal(SAMPLE_APP, {name: value for name, value in SETTINGS.items() if name != "PREFIX"})
    assert "function work needs the app setting PREFIX (%PREFIX%-work), which is missing" in said


def read(tmp_path: Path, document: object, **settings: str) -> HostJson:
    (tmp_path / "host.json").write_text(json.dumps(document))
    return HostJson.read(tmp_path, settings)


def queues(tmp_path: Path, **values: object) -> Queues:
    return read(tmp_path, {"version": "2.0", "extensions": {"queues": values}}).extensions.queues


def test_defaults_are_those_of_the_extension(tmp_path: Path) -> None:
    read_queues = queues(tmp_path)
    assert (read_queues.batch_size, read_queues.new_batch_threshold, read_queues.max_dequeue_count) == (16, 8, 5)
    assert (read_queues.visibility_timeout, read_queues.max_polling_interval) == (timedelta(0), timedelta(minutes=1))
    assert read_queues.message_encoding == "base64"
    assert queues(tmp_path, batchSize=9).new_batch_threshold == 4
    assert read(tmp_path, {"version": "2.0"}).extensions.http.route_prefix == "api"


def test_values_are_read(tmp_path: Path) -> None:
    values = queues(
        tmp_path,
        batchSize=1,
        newBatchThreshold=0,
        maxDequeueCount=2,
        visibilityTimeout="1.02:03:04.5",
        maxPollingInterval="00:00:02",
        messageEncoding="None",
    )
    assert values == Queues.model_construct(
        batch_size=1,
        new_batch_threshold=0,
        max_dequeue_count=2,
        visibility_timeout=timedelta(days=1, hours=2, minutes=3, seconds=4.5),
        max_polling_interval=timedelta(seconds=2),
        message_encoding="none",
    )


def test_setting_overrides_host_json(tmp_path: Path) -> None:
    name = "AzureFunctionsJobHost__extensions__queues__batchSize"
    document = {"version": "2.0", "extensions": {"queues": {"batchSize": 32, "maxDequeueCount": 3}}}
    read_queues = read(tmp_path, document, **{name: "4"}).extensions.queues
    assert (read_queues.batch_size, read_queues.max_dequeue_count) == (4, 3)


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        ({}, "version: Field required"),
        ({"version": "1.0"}, "version"),
        ({"version": "2.0", "queues": {}}, "queues: Extra inputs"),
        ({"version": "2.0", "extensions": {"queue": {}}}, "extensions.queue: Extra inputs"),
        ({"version": "2.0", "extensions": {"queues": {"batchsize": 1}}}, "extensions.queues.batchsize: Extra inputs"),
        ({"version": "2.0", "extensions": {"queues": {"batchSize": 33}}}, "batchSize: .* 32, not 33"),
        ({"version": "2.0", "extensions": {"queues": {"batchSize": 0}}}, "batchSize"),
        ({"version": "2.0", "extensions": {"queues": {"newBatchThreshold": -1}}}, "newBatchThreshold"),
        ({"version": "2.0", "extensions": {"queues": {"maxDequeueCount": 0}}}, "maxDequeueCount"),
        ({"version": "2.0", "extensions": {"queues": {"maxPollingInterval": 2000}}}, "quoted time span.*, not 2000"),
        ({"version": "2.0", "extensions": {"queues": {"maxPollingInterval": "00:00:00.05"}}}, "maxPollingInterval"),
        ({"version": "2.0", "extensions": {"queues": {"visibilityTimeout": "8.00:00:00"}}}, "visibilityTimeout"),
        (
            {"version": "2.0", "extensions": {"queues": {"visibilityTimeout": "00:61:00"}}},
            "minutes and seconds below 60",
        ),
        ({"version": "2.0", "extensions": {"queues": {"messageEncoding": "utf8"}}}, "messageEncoding"),
        ({"version": "2.0", "extensions": {"http": {"prefix": ""}}}, "extensions.http.prefix"),
        ([], "valid dictionary"),
    ],
)
def test_host_json_that_is_refused(tmp_path: Path, document: object, reason: str) -> None:
    with pytest.raises(SettingsError, match=reason):
        read(tmp_path, document)


def test_host_json_that_is_missing_or_broken(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="cannot be read"):
        HostJson.read(tmp_path, {})
    (tmp_path / "host.json").write_text("{")
    with pytest.raises(SettingsError, match="cannot be read"):
        HostJson.read(tmp_path, {})


def test_references_are_resolved() -> None:
    assert resolve("%A%-b-%C%", {"A": "1", "C": "2"}, "f") == "1-b-2"
    assert resolve("50% of all", {}, "f") == "50% of all"


@pytest.mark.parametrize(
    ("settings", "url"),
    [
        ({"S": "UseDevelopmentStorage=true"}, "http://127.0.0.1:10001/devstoreaccount1"),
        ({"S__queueServiceUri": "https://a.queue.core.windows.net"}, "https://a.queue.core.windows.net"),
    ],
)
async def test_connections(settings: dict[str, str], url: str) -> None:
    async with queue_service("S", settings, "f") as service:
        assert service.url.rstrip("/") == url


async def test_connection_string_that_is_none() -> None:
    with pytest.raises(SettingsError, match="function f: the app setting S is no connection string") as caught:
        async with queue_service("S", {"S": "AccountKey=secret"}, "f"):
            pass
    assert "secret" not in str(caught.value)

"""host.json, app settings and the connections that they name."""

import json
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal

from azure.identity.aio import DefaultAzureCredential
from azure.storage.queue.aio import QueueServiceClient
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

from local.host.errors import SettingsError

OVERRIDE_PREFIX = "AzureFunctionsJobHost__"

# The SDK's own first retry waits 15 s, too long beside a developer; seconds.
_RETRY: Mapping[str, Any] = {"initial_backoff": 1, "increment_base": 1, "random_jitter_range": 0, "retry_total": 3}

_TIMESPAN = re.compile(
    r"(?:(?P<days>\d+)\.)?(?P<hours>\d{1,2}):(?P<minutes>\d{1,2}):(?P<seconds>\d{1,2}(?:\.\d{1,7})?)"
)
_REFERENCE = re.compile(r"%([^%]+)%")


def timespan(text: object) -> timedelta:
    """A .NET TimeSpan as text: [days.]hh:mm:ss[.fraction]. A bare number would mean days there, so it is refused."""
    match = _TIMESPAN.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        raise ValueError("must be a quoted time span, hh:mm:ss")
    parts = {unit: float(value) for unit, value in match.groupdict(default="0").items()}
    if parts["hours"] > 23 or parts["minutes"] > 59 or parts["seconds"] >= 60:
        raise ValueError("must be a time span with hours below 24, minutes and seconds below 60")
    return timedelta(**parts)


type TimeSpan = Annotated[timedelta, BeforeValidator(timespan)]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, alias_generator=to_camel)


class Queues(_Section):
    """extensions.queues, with the defaults of Microsoft.Azure.WebJobs.Extensions.Storage.Queues 5.x on one core."""

    batch_size: int = Field(default=16, ge=1, le=32)
    new_batch_threshold: int = Field(default_factory=lambda data: data["batch_size"] // 2, ge=0)
    max_dequeue_count: int = Field(default=5, ge=1)
    visibility_timeout: TimeSpan = Field(default=timedelta(0), ge=timedelta(0), le=timedelta(days=7))
    max_polling_interval: TimeSpan = Field(default=timedelta(minutes=1), ge=timedelta(milliseconds=100))
    message_encoding: Annotated[
        Literal["base64", "none"], BeforeValidator(lambda value: value.lower() if isinstance(value, str) else value)
    ] = "base64"


class Http(_Section):
    """extensions.http; the throttles are known, and are without effect on one machine."""

    route_prefix: str = "api"
    max_outstanding_requests: int | None = None
    max_concurrent_requests: int | None = None
    dynamic_throttles_enabled: bool | None = None


class Extensions(_Section):
    queues: Queues = Queues()
    http: Http = Http()


class HostJson(_Section):
    """host.json. What is typed Any shapes the cloud only and is accepted unread; anything else unknown is refused."""

    version: Literal["2.0"]
    extensions: Extensions = Extensions()
    extension_bundle: Any = None
    logging: Any = None
    telemetry_mode: Any = None
    function_timeout: TimeSpan | None = None

    @classmethod
    def read(cls, app_dir: Path, settings: Mapping[str, str]) -> "HostJson":
        """Read app_dir/host.json; a setting AzureFunctionsJobHost__extensions__queues__batchSize overrides its value.

        Raises:
            SettingsError: the file is missing or has a value that is not understood.
        """
        path = app_dir / "host.json"
        try:
            document = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise SettingsError(f"{path} cannot be read: {error}") from error
        for name, value in settings.items():
            if name.startswith(OVERRIDE_PREFIX):
                *parents, key = name.removeprefix(OVERRIDE_PREFIX).split("__")
                section = document
                for parent in parents:
                    section = section.setdefault(parent, {})
                section[key] = value
        try:
            return cls.model_validate(document)
        except ValidationError as error:
            raise SettingsError(f"{path}: " + "; ".join(_problem(item) for item in error.errors())) from error


def resolve(text: str, settings: Mapping[str, str], function: str) -> str:
    """Replace every %NAME% by the app setting NAME.

    Raises:
        SettingsError: there is no such setting.
    """

    def value(match: re.Match[str]) -> str:
        if match[1] not in settings:
            raise SettingsError(f"function {function} needs the app setting {match[1]} ({text}), which is missing")
        return settings[match[1]]

    return _REFERENCE.sub(value, text)


@asynccontextmanager
async def queue_service(
    connection: str, settings: Mapping[str, str], function: str
) -> AsyncIterator[QueueServiceClient]:
    """The queue service that a binding's connection names: a connection string, or the prefix of a service URI.

    Raises:
        SettingsError: there is neither, or the connection string is malformed.
    """
    if text := settings.get(connection):
        try:
            service = QueueServiceClient.from_connection_string(text, **_RETRY)
        except ValueError as error:
            raise SettingsError(f"function {function}: the app setting {connection} is no connection string") from error
        async with service:
            yield service
    elif uri := settings.get(f"{connection}__queueServiceUri"):
        client_id = settings.get(f"{connection}__clientId")
        async with (
            DefaultAzureCredential(managed_identity_client_id=client_id) as credential,
            QueueServiceClient(uri, credential, **_RETRY) as service,
        ):
            yield service
    else:
        raise SettingsError(
            f"function {function} needs the app setting {connection} or {connection}__queueServiceUri; both are missing"
        )


def _problem(item: Any) -> str:
    where = ".".join(str(part) for part in item["loc"])
    return f"{where}: {item['msg']}" + (
        "" if item["type"] in ("missing", "extra_forbidden") else f", not {item['input']!r}"
    )

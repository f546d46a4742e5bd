"""The local world: Azurite, the simulated tenant, the stand-ins of the source platforms, and the function app (of this
checkout, or a package of it) on the local host, each a process of its own on a free port.

    async with LocalWorld() as world:
        world.host_url, world.tenant_url, world.stand_ins["box"]
"""

import asyncio
import base64
import json
import os
import re
import secrets
import signal
import socket
import sys
import uuid
from collections.abc import AsyncIterator, Coroutine, Mapping
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, Self

from local.platforms.google_keys import new_key

ROOT = Path(__file__).resolve().parents[1]
CONNECTIONS = ROOT / "local" / "connections.json"
NEVER = "0 0 0 1 1 *"  # a timer that is run through the host's admin API instead

# The development account, published in Microsoft's "Use the Azurite emulator for local Azure Storage development".
_ACCOUNT = "devstoreaccount1"
_KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="

_READY = re.compile(r"listen(?:ing|s) (?:at|on) (http://127\.0\.0\.1:\d+)")
_BOX = ("client_id", "client_secret", "enterprise_id", "primary_key", "secondary_key")
_START_SECONDS = 60.0
_STOP_SECONDS = 10.0
_POLL_SECONDS = 0.05
# All else stays out: a proxy or an Azure setting of this machine would lead requests away from the local world.
_INHERITED = ("PATH", "HOME", "LANG", "TMPDIR")


class WorldError(Exception):
    """A part of the local world did not start; the message says which, and where its log is."""


class LocalWorld:
    """The processes of the local world while the (asynchronous) context is open; all begin empty.

    Args:
        directory: where the parts write their logs (`logs/*.log`).
        app: folder of the function app.
        acceptance_schedule: NCRONTAB; how often the app asks who accepted.
        settings: app settings besides, or instead of, those of every local world.

    Attributes:
        secrets: of each connection, by its id and the platform's name of the secret.
        stand_ins: the address of each connection's platform, by the connection's id.
        environment: the app settings.

    Raises (on entering):
        WorldError: a part ended, or was not ready within a minute.
    """

    def __init__(
        self,
        directory: Path = ROOT / ".local",
        *,
        app: Path = ROOT,
        acceptance_schedule: str = NEVER,
        settings: Mapping[str, str] | None = None,
    ) -> None:
        self.logs = directory / "logs"
        self.host_url = self.tenant_url = ""
        self.stand_ins: dict[str, str] = {}
        self.secrets: dict[str, dict[str, str]] = {}
        self.environment: dict[str, str] = {}
        self._app, self._acceptance_schedule, self._settings = app, acceptance_schedule, dict(settings or {})
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        self.logs.mkdir(parents=True, exist_ok=True)
        async with AsyncExitStack() as stack:
            await self._start(stack)
            self._stack = stack.pop_all()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def _start(self, stack: AsyncExitStack) -> None:
        connections = json.loads(CONNECTIONS.read_text())["connections"]
        ports = dict(zip(("host", "google-workspace"), _free_ports(2), strict=True))
        self.host_url = f"http://127.0.0.1:{ports['host']}"
        # Connections that name the same setting share its value: the other Microsoft 365 tenant has two of them.
        values = {setting: _secret(name) for one in connections for name, setting in one["secrets"].items()}
        self.secrets = {
            one["id"]: {name: values[setting] for name, setting in one["secrets"].items()} for one in connections
        }
        identity_secret = secrets.token_hex(24)
        python = (sys.executable, "-m")
        azurite, tenant, _ = await asyncio.gather(
            self._part(
                stack,
                "azurite",
                *(str(ROOT / "node_modules" / ".bin" / "azurite"), "--blobPort", "0", "--queuePort", "0"),
                *("--tablePort", "0", "--inMemoryPersistence", "--disableTelemetry", "--skipApiVersionCheck"),
                "--silent",
                addresses=3,
            ),
            self._part(stack, "tenant", *python, "local.tenant", "--identity-secret", identity_secret),
            self._start_platforms(stack, ports["google-workspace"]),
        )
        self.tenant_url = tenant[0]
        self.environment = {
            "AzureWebJobsStorage": _connection_string(azurite),
            "AZURE_TOKEN_CREDENTIALS": "ManagedIdentityCredential",  # the only one asked, and without probing
            "IDENTITY_ENDPOINT": f"{self.tenant_url}/msi/token",
            "IDENTITY_HEADER": identity_secret,
            "GUESTPASS_GRAPH_URL": f"{self.tenant_url}/v1.0",
            "GUESTPASS_PUBLIC_URL": self.host_url,
            "GUESTPASS_CONNECTIONS_FILE": str(CONNECTIONS),
            "GUESTPASS_DEVELOPMENT_PRINCIPAL": "demo administrator",
            "GUESTPASS_ACCEPTANCE_SCHEDULE": self._acceptance_schedule,
            "AZURE_CLIENT_ID": "6731de76-14a6-49ae-97bc-6eba6914391e",
            "GUESTPASS_LAG_SECONDS": "5",
            "GUESTPASS_RETRY_SECONDS": "1",
            **{
                setting: self.secrets[one["id"]][name]
                for one in connections
                for name, setting in one["secrets"].items()
            },
            **self._settings,
        }
        command = (*python, "local.host", "--app", str(self._app), "--port", str(ports["host"]), "--verbose")
        await self._part(stack, "host", *command, settings=self.environment)

    async def _start_platforms(self, stack: AsyncExitStack, google_port: int) -> None:
        """Start the stand-ins, each with the secrets of its connections, and tell the connections where they are."""
        google = self.secrets["google-workspace"]
        google_url, key = f"http://127.0.0.1:{google_port}", self.logs.parent / "google-key.json"
        google["service_account"] = new_key(f"{google_url}/token")
        key.write_text(google["service_account"])
        stand_ins = {
            "box": _options(self.secrets["box"], *_BOX),
            "box-live": _options(self.secrets["box-live"], *_BOX),
            "dropbox": _options(self.secrets["dropbox"], "app_key", "app_secret", "refresh_token"),
            "google-workspace": ["--port", str(google_port), "--key", str(key), "--domain", "contoso.com"],
            "syncplicity": _options(
                self.secrets["syncplicity"], "app_key", "app_secret", "application_token", "company_id"
            ),
            "onedrive": _options(self.secrets["onedrive"], "tenant_id", "client_id", "client_secret"),
        }
        modules = {"box-live": "platforms.box", "google-workspace": "platforms.google_workspace", "onedrive": "tenant"}

        async def start(name: str, options: list[str]) -> None:
            module = f"local.{modules.get(name, f'platforms.{name}')}"
            self.stand_ins[name] = (await self._part(stack, name, sys.executable, "-m", module, *options))[0]

        await asyncio.gather(*(start(name, options) for name, options in stand_ins.items()))
        self.stand_ins["office365"] = self.stand_ins["onedrive"]
        for name, address in self.stand_ins.items():
            microsoft = name in ("onedrive", "office365")
            self.secrets[name]["api_url"] = f"{address}/v1.0" if microsoft else address
            if microsoft:
                self.secrets[name]["login_url"] = address

    async def _part(
        self,
        stack: AsyncExitStack,
        name: str,
        *command: str,
        addresses: int = 1,
        settings: Mapping[str, str] | None = None,
    ) -> list[str]:
        """Start a part; return the addresses that it announces in its log."""
        return await stack.enter_async_context(_running(self.logs / f"{name}.log", command, settings or {}, addresses))


@asynccontextmanager
async def _running(
    log: Path, command: tuple[str, ...], settings: Mapping[str, str], addresses: int
) -> AsyncIterator[list[str]]:
    inherited = {name: os.environ[name] for name in _INHERITED if name in os.environ}
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            *command,
            cwd=ROOT,
            env={**inherited, **settings},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=output,
            stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C is ours; a part ends when we end it
        )
    try:
        yield await _ready(process, log, addresses)
    finally:
        await _stop(process)


async def _ready(process: asyncio.subprocess.Process, log: Path, addresses: int) -> list[str]:
    try:
        async with asyncio.timeout(_START_SECONDS):
            while len(found := _announced(log)) < addresses:
                if process.returncode is not None:
                    raise WorldError(f"{log.stem} ended while starting; see {log}")
                await asyncio.sleep(_POLL_SECONDS)
    except TimeoutError:
        raise WorldError(f"{log.stem} was not ready within {_START_SECONDS:.0f} seconds; see {log}") from None
    return found


def _announced(log: Path) -> list[str]:
    return _READY.findall(log.read_text(errors="replace"))


async def _stop(process: asyncio.subprocess.Process) -> None:
    if process.returncode is not None:
        return
    process.terminate()
    try:
        async with asyncio.timeout(_STOP_SECONDS):
            await process.wait()
    except TimeoutError:
        pass
    finally:
        if process.returncode is None:
            process.kill()


def _options(values: Mapping[str, str], *names: str) -> list[str]:
    return [word for name in names for word in (f"--{name.replace('_', '-')}", values[name])]


def _secret(name: str) -> str:
    match name:
        case "signing_secret":
            return "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()
        case "enterprise_id":
            return str(secrets.randbelow(10**9))
        case "tenant_id" | "client_id" | "company_id":
            return str(uuid.uuid4())
        case "administrator":
            return "admin@contoso.com"
    return secrets.token_hex(24)


def _free_ports(count: int) -> list[int]:
    """Ports that are free now; two parts have to be told each other's address before they start."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return [listener.getsockname()[1] for listener in sockets]


def _connection_string(addresses: list[str]) -> str:
    endpoints = zip(("Blob", "Queue", "Table"), addresses, strict=True)
    services = (f"{service}Endpoint={address}/{_ACCOUNT}" for service, address in endpoints)
    return ";".join(("DefaultEndpointsProtocol=http", f"AccountName={_ACCOUNT}", f"AccountKey={_KEY}", *services))


def run_in_world(work: Coroutine[Any, Any, int]) -> int:
    """Run to the end, or until Ctrl-C or SIGTERM (then 130); in both cases open worlds are taken down first."""

    async def main() -> int:
        loop, task = asyncio.get_running_loop(), asyncio.ensure_future(work)
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, task.cancel)
        try:
            return await task
        except asyncio.CancelledError:
            return 130
        except WorldError as error:
            print(error, file=sys.stderr)
            return 1

    return asyncio.run(main())

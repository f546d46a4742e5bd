"""Azurite for tests: one fresh in-memory storage emulator per context, on free ports."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Self

import pytest

ROOT = Path(__file__).parents[1]
COMMAND = ROOT / "node_modules" / ".bin" / "azurite"

# The development account, published in Microsoft's "Use Azurite for local Azure Storage development".
ACCOUNT = "devstoreaccount1"
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
START_TIMEOUT = 60.0  # seconds


class Azurite:
    """An Azurite process while the (asynchronous) context is open; `connection_string` is for every service.

    Keep it below some 1,000 messages: its queue clean-up then freezes all its services for tens of seconds.

    Raises (on entering):
        RuntimeError: it ended, or did not answer within 60 seconds.
    """

    def __init__(self) -> None:
        self._process: asyncio.subprocess.Process | None = None
        self.connection_string = ""

    async def __aenter__(self) -> Self:
        ports = dict(zip(("blob", "queue", "table"), _free_ports(3), strict=True))
        arguments = [f"--{service}Port={port}" for service, port in ports.items()]
        self._process = await asyncio.create_subprocess_exec(
            COMMAND,
            *("--silent", "--inMemoryPersistence", "--disableTelemetry", "--skipApiVersionCheck", *arguments),
            stdout=asyncio.subprocess.DEVNULL,
        )
        endpoints = "".join(
            f"{service.title()}Endpoint=http://127.0.0.1:{port}/{ACCOUNT};" for service, port in ports.items()
        )
        self.connection_string = (
            f"DefaultEndpointsProtocol=http;AccountName={ACCOUNT};AccountKey={KEY};{endpoints}".rstrip(";")
        )
        try:
            async with asyncio.timeout(START_TIMEOUT):
                for port in ports.values():
                    await self._answers(port)
        except BaseException as error:
            await self.__aexit__()
            if isinstance(error, TimeoutError):
                raise RuntimeError("Azurite did not answer in time") from error
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._process is not None:
            with suppress(ProcessLookupError):
                self._process.kill()
            await self._process.wait()

    async def _answers(self, port: int) -> None:
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                if self._process is None or self._process.returncode is not None:
                    raise RuntimeError("Azurite ended while starting") from None
                await asyncio.sleep(0.05)
            else:
                writer.close()
                await writer.wait_closed()
                return


def _free_ports(count: int) -> list[int]:
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return [listener.getsockname()[1] for listener in sockets]


@pytest.fixture(scope="session")
async def azurite() -> AsyncIterator[str]:
    """The connection string of an Azurite of the session."""
    async with Azurite() as emulator:
        yield emulator.connection_string

"""A host in a process of its own, because one process can hold one app."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

ROOT = Path(__file__).parents[2]
SAMPLE_APP = Path(__file__).parent / "sample_app"


class RunningHost:
    """Speaks HTTP with a host; the sample app answers what its functions wrote down."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self.http = session

    async def json(self, method: str, path: str, **request: Any) -> Any:
        async with self.http.request(method, path, **request) as response:
            assert response.status == 200, (path, response.status)
            return await response.json()

    async def journal(self, function: str, at_least: int = 0) -> list[dict[str, Any]]:
        """What the function wrote, once it wrote so many entries."""
        entries: list[dict[str, Any]] = await self.json("GET", f"/api/journal/{function}?atLeast={at_least}")
        return entries

    async def idle(self) -> dict[str, int]:
        """Wait until the host is idle; the messages that wait with a delay, by queue."""
        pending: dict[str, int] = (await self.json("POST", "/admin/host/idle"))["pending"]
        return pending

    async def status(self) -> dict[str, Any]:
        status: dict[str, Any] = await self.json("GET", "/admin/host/status")
        return status

    async def run(self, function: str, text: str = "") -> int:
        async with self.http.post(f"/admin/functions/{function}", json={"input": text}) as response:
            return response.status


async def start(app_dir: Path, settings: Mapping[str, str]) -> asyncio.subprocess.Process:
    """Start python -m local.host on a free port, with nothing of the caller's settings."""
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "local.host", "--app", str(app_dir), "--port", "0"),
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], **settings},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


async def refusal(app_dir: Path, settings: Mapping[str, str]) -> str:
    """What a host that must not start prints before it ends."""
    process = await start(app_dir, settings)
    out, err = await asyncio.wait_for(process.communicate(), 30)
    assert process.returncode == 1, (out, err)
    assert out == b""
    return err.decode()


@asynccontextmanager
async def hosting(settings: Mapping[str, str], app_dir: Path = SAMPLE_APP) -> AsyncIterator[RunningHost]:
    """The sample app in a running host, ended by SIGTERM."""
    process = await start(app_dir, settings)
    assert process.stdout is not None
    assert process.stderr is not None
    errors = asyncio.create_task(process.stderr.read())
    try:
        line = (await asyncio.wait_for(process.stdout.readline(), 30)).decode()
        assert line.startswith("host listening on http://127.0.0.1:"), (line, await errors)
        timeout = aiohttp.ClientTimeout(total=60)
        async with aiohttp.ClientSession(line.split()[-1], timeout=timeout) as session:
            yield RunningHost(session)
        process.terminate()
        assert await asyncio.wait_for(process.wait(), 30) == 0, await errors
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
        await errors

"""How much memory a page of a scan needs, early and late in a large account: `python -m bench.scan_memory 100000`.

Box's stand-in runs in a process of its own, so that only the service's own memory is counted. Scans of the other
platforms keep no more than Box's between two pages: a cursor.
"""

import argparse
import asyncio
import re
import sys
import time
import tracemalloc
from itertools import batched

import aiohttp

from shared.domain.connections import Connection
from shared.sources import build_source

_SECRETS = {
    "primary_key": "the-primary-key-of-this-bench",
    "secondary_key": "the-secondary-key-of-this-bench",
    "client_id": "app",
    "client_secret": "app-secret",
    "enterprise_id": "4711",
}
_FOLDERS_PER_FOLDER = 100
_SHARED_EVERY = 10


async def _scan(url: str, items: int) -> None:
    folders = [
        {
            "id": str(number),
            "name": f"f{number}",
            "parent": "0" if number <= _FOLDERS_PER_FOLDER else str(number // _FOLDERS_PER_FOLDER),
        }
        for number in range(1, items + 1)
    ]
    collaborations = [
        {
            "type": "collaboration",
            "id": str(number),
            "item": {"type": "folder", "id": str(number), "name": f"f{number}"},
            "role": "editor",
            "status": "accepted",
            "accessible_by": {
                "type": "user",
                "id": str(number),
                "name": "Partner",
                "login": f"p{number}@partner.example",
            },
            "created_by": {"type": "user", "id": "1", "name": "Anna", "login": "anna@contoso.com"},
            "created_at": "2025-01-01T00:00:00Z",
            "modified_at": "2025-01-01T00:00:00Z",
        }
        for number in range(_SHARED_EVERY, items + 1, _SHARED_EVERY)
    ]
    async with aiohttp.ClientSession() as session:
        for name, content in (("folders", folders), ("collaborations", collaborations)):
            for portion in batched(content, 1000, strict=False):
                async with session.post(f"{url}/control/seed", json={name: portion}) as answer:
                    answer.raise_for_status()
    del folders, collaborations
    connection = Connection.model_validate(
        {
            "id": "box-main",
            "platform": "box",
            "internal_domains": ["contoso.com"],
            "routes": [{"source": "/", "drive": "d"}],
            "secrets": {},
        }
    )
    source = build_source(connection, {**_SECRETS, "api_url": url})
    cursor, pages, seen, facts, longest, began = None, 0, 0, 0, 0, time.monotonic()
    tracemalloc.start()
    print(f"{'pages':>8} {'items':>8} {'shares':>8} {'peak KiB':>9} {'cursor':>7} {'seconds':>8}")
    while True:
        page = await source.scan(cursor)
        cursor, pages, seen = page.cursor, pages + 1, seen + page.items
        facts += sum(len(one.facts) for one in page.seen)
        longest = max(longest, len(cursor or ""))
        if pages % 10_000 == 0 or not page.more:
            peak = tracemalloc.get_traced_memory()[1] // 1024
            print(f"{pages:8} {seen:8} {facts:8} {peak:9} {longest:7} {time.monotonic() - began:8.0f}", flush=True)
            tracemalloc.reset_peak()
        if not page.more:
            return


async def _main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("items", type=int, nargs="?", default=100_000, help="folders in the account")
    items = parser.parse_args().items
    options = [part for name, value in _SECRETS.items() for part in (f"--{name.replace('_', '-')}", value)]
    stand_in = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "local.platforms.box", *options, stdout=asyncio.subprocess.PIPE
    )
    try:
        assert stand_in.stdout
        line = (await stand_in.stdout.readline()).decode()
        found = re.search(r"http://\S+", line)
        if not found:
            raise SystemExit(f"The stand-in did not start: {line}")
        await _scan(found[0], items)
    finally:
        stand_in.terminate()
        await stand_in.wait()


if __name__ == "__main__":
    asyncio.run(_main())

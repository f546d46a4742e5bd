"""How long a page of people takes, at the storage, as the number of people grows: `python -m bench.people 100000`.

People are taken in by the real workflow into tables at Azurite; only what a page does not touch (Entra, SharePoint,
the queues) stands in memory. Azurite itself searches a table by reading it, so Azure is not slower than this.
"""

import argparse
import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace

from shared.domain.addresses import guest_key
from shared.domain.guests import View
from shared.domain.terms import Kind
from shared.storage.account import StorageAccount
from shared.workflows import review
from shared.workflows.ports import Ports
from shared.workflows.shares import receive_share
from tests.azurite import Azurite
from tests.storage.worlds import in_storage
from tests.workflows.world import World, event

_AT_ONCE = 16
_DOMAINS = 200


async def _take_in(ports: Ports, numbers: range) -> None:
    async def worker(begin: int) -> None:
        for number in numbers[begin::_AT_ONCE]:
            who = f"person{number}@partner{number % _DOMAINS}.example"
            await receive_share(ports, event(f"share {number}", number, who=who))

    await asyncio.gather(*(worker(begin) for begin in range(_AT_ONCE)))


async def _milliseconds(call: Callable[[], Awaitable[object]]) -> int:
    began = time.monotonic()
    await call()
    return round((time.monotonic() - began) * 1000)


async def _measure(ports: Ports, people: int) -> None:
    place = (await review.list_people(ports, View.HELD)).next or ""
    someone = guest_key(f"person{people // 2}@partner{people // 2 % _DOMAINS}.example")
    calls: dict[str, Callable[[], Awaitable[object]]] = {
        "first page": lambda: review.list_people(ports, View.HELD),
        "second page": lambda: review.list_people(ports, View.HELD, after=place),
        "a domain": lambda: review.list_people(ports, View.HELD, domain="partner7.example"),
        "a search": lambda: review.search(ports, f"person{people // 2}", list(Kind), None),
        "counts": lambda: review.count_people(ports),
        "a person": lambda: review.explain_guest(ports, someone),
    }
    times = [f"{name} {await _milliseconds(call)} ms" for name, call in calls.items()]
    print(f"{people:7} people: {', '.join(times)}", flush=True)


async def _main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("people", type=int, nargs="?", default=100_000)
    most = parser.parse_args().people
    async with Azurite() as azurite, StorageAccount.from_connection_string(azurite.connection_string) as account:
        await account.ensure()
        stored = in_storage(account)
        ports = replace(
            World().ports,
            ledger=stored.ledger,
            history=stored.history,
            worklist=stored.worklist,
            marks=stored.marks,
            account_maps=stored.account_maps,
        )
        known = 0
        for people in (100, 1000, 10_000, 100_000, 1_000_000):
            upto = min(people, most)
            await _take_in(ports, range(known, upto))
            known = upto
            await _measure(ports, known)
            if known == most:
                return


if __name__ == "__main__":
    asyncio.run(_main())

"""python -m local.demo: play the story in a fresh local world; exit code 0 only if all came as it must."""

import argparse
import asyncio
import json
import sys
import time
from pathlib import Path

from rich.console import Console

from local.demo.load import with_load
from local.demo.places import Places
from local.demo.play import Outcome, play
from local.demo.report import Live, show
from local.demo.scenario import STORY
from local.demo.steps import Story
from local.demo.verdict import differences, leaks, read_logs
from local.world import ROOT, LocalWorld, run_in_world

# What a connection takes from settings although everybody may know it.
_NO_SECRETS = ("api_url", "login_url", "enterprise_id", "tenant_id", "company_id", "administrator")
EXCHANGES = ROOT / ".local" / "graph-exchanges.json"


async def demonstrate(story: Story, *, app: Path, keep: bool) -> int:
    """Play, compare, report; with `keep` stay up until interrupted."""
    console, started = Console(), time.monotonic()
    with Live(console) as live:
        live.tell("Starting Azurite, the tenant, the platforms and the app", 0, 1)
        async with LocalWorld(app=app) as world, Places.of(world) as places:
            live.tell("Starting Azurite, the tenant, the platforms and the app", 1, 1)
            console.print(
                f"Administrator's page, while this runs: {world.host_url}/api/access-requests", soft_wrap=True
            )
            outcome = await play(story, world, places, live.tell)
            EXCHANGES.write_text(json.dumps(outcome.exchanges, ensure_ascii=False))
            faults = differences(story, outcome) + _leaks(story, world, outcome)
            live.stop()
            show(console, outcome, faults, time.monotonic() - started)
            if keep:
                console.print(f"Still up. Tenant: {world.tenant_url}  mailbox: {world.tenant_url}/mailbox")
                console.print(f"Administrator's page: {world.host_url}/api/access-requests  Ctrl-C ends it.")
                await asyncio.Event().wait()
    return 1 if faults else 0


def _leaks(story: Story, world: LocalWorld, outcome: Outcome) -> list[str]:
    hidden = {
        *(
            value
            for names in world.secrets.values()
            for name, value in names.items()
            if name not in (*_NO_SECRETS, "service_account")
        ),
        *json.loads(world.secrets["google-workspace"]["service_account"])["private_key"].splitlines()[1:-1],
        world.environment["IDENTITY_HEADER"],
        *(mail["url"].partition("ticket=")[2] for mail in outcome.tenant["mails"] if mail["kind"] == "invitation"),
    }
    addresses = {step.person for chapter in story.chapters for step in chapter.steps if "@" in step.person}
    addresses |= {user["mail"] for user in outcome.tenant["users"] if user["mail"]}
    logs = read_logs(world.logs)
    found = leaks(logs["host"], hidden, addresses)
    return found + [
        f"{fault} ({name}.log)" for name, log in logs.items() if name != "host" for fault in leaks(log, hidden, ())
    ]


def main() -> int:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m local.demo", description="The demo of Guestpass, without a cloud.")
    parser.add_argument("--keep", action="store_true", help="stay up afterwards, until Ctrl-C")
    parser.add_argument("--events", type=int, default=0, help="so many share events more")
    parser.add_argument("--app", type=Path, default=ROOT, help="folder of the function app; default: this checkout")
    options = parser.parse_args()
    return run_in_world(demonstrate(with_load(STORY, options.events), app=options.app.resolve(), keep=options.keep))


if __name__ == "__main__":
    sys.exit(main())

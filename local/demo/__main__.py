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
from local.insights import insights
from local.world import ROOT, LocalWorld, run_in_world

# What a connection takes from settings although everybody may know it.
_NO_SECRETS = ("api_url", "login_url", "enterprise_id", "tenant_id", "company_id", "administrator")
EXCHANGES = ROOT / ".local" / "graph-exchanges.json"
TELEMETRY, LEDGER = ROOT / ".local" / "telemetry.json", ROOT / ".local" / "ledger.json"


async def demonstrate(story: Story, *, app: Path, keep: bool, telemetry: bool) -> int:
    """Play, compare, report; with `keep` stay up until interrupted, with `telemetry` keep what the app exports."""
    console, started = Console(), time.monotonic()
    async with insights() as kept:
        settings = kept.settings if telemetry else {}
        with Live(console) as live:
            live.tell("Starting Azurite, the tenant, the platforms and the app", 0, 1)
            async with LocalWorld(app=app, settings=settings) as world, Places.of(world) as places:
                live.tell("Starting Azurite, the tenant, the platforms and the app", 1, 1)
                page = f"{world.host_url}/api/access-requests"
                console.print(f"Administrator's page, while this runs: {page}", soft_wrap=True)
                outcome = await play(story, world, places, live.tell)
                await places.run("measure_state")
                EXCHANGES.write_text(json.dumps(outcome.exchanges, ensure_ascii=False))
                faults = differences(story, outcome) + _leaks(story, world, outcome)
                live.stop()
                show(console, outcome, faults, time.monotonic() - started)
                if keep:
                    console.print(f"Still up. Tenant: {world.tenant_url}  mailbox: {world.tenant_url}/mailbox")
                    console.print(f"Administrator's page: {page}  Ctrl-C ends it.")
                    await asyncio.Event().wait()
        if telemetry:  # the last of it left when the app ended
            exported = json.dumps(kept.envelopes, ensure_ascii=False)
            TELEMETRY.write_text(exported)
            LEDGER.write_text(json.dumps(outcome.people, ensure_ascii=False))
            found = leaks(exported, *_hidden(story, world, outcome))
            console.print(
                *(f"{fault} (telemetry)" for fault in found), f"Telemetry: {TELEMETRY}", sep="\n", soft_wrap=True
            )
            faults += found
    return 1 if faults else 0


def _hidden(story: Story, world: LocalWorld, outcome: Outcome) -> tuple[set[str], set[str]]:
    """Return the secrets, and the addresses."""
    secrets = {
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
    return secrets, addresses | {user["mail"] for user in outcome.tenant["users"] if user["mail"]}


def _leaks(story: Story, world: LocalWorld, outcome: Outcome) -> list[str]:
    hidden, addresses = _hidden(story, world, outcome)
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
    parser.add_argument("--telemetry", action="store_true", help="keep the telemetry that the app exports")
    parser.add_argument("--app", type=Path, default=ROOT, help="folder of the function app; default: this checkout")
    options = parser.parse_args()
    story, app = with_load(STORY, options.events), options.app.resolve()
    return run_in_world(demonstrate(story, app=app, keep=options.keep, telemetry=options.telemetry))


if __name__ == "__main__":
    sys.exit(main())

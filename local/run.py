"""python -m local.run: keep a local world up, with some shares delivered, for a person to act in."""

import argparse
import asyncio
import sys

from rich.console import Console

from local.demo.deliver import Sources, box_account
from local.demo.places import Places
from local.demo.play import story_began
from local.demo.steps import Step
from local.world import ROOT, LocalWorld, run_in_world

_EVERY_5_SECONDS = "*/5 * * * * *"

_STEPS = (
    Step("waits for approval", "box", "ada@partner.example", "/Projects/Alpha", "editor"),
    Step("waits for approval", "box", "ada@partner.example", "/Projects/Beta", "viewer"),
    Step("waits for approval", "securisync", "ben@partner.example", "/Team/One", "View"),
    Step("is invited at once", "box", "carla@partner.example", "/Projects/Beta", "viewer", sharer="paula@contoso.com"),
    Step("is a guest already", "box", "eva@fabrikam.example", "/Projects/Alpha", "viewer"),
)
_SENDER = "invitations@contoso.com"
_TENANT = {
    "users": [
        {"mail": "eva@fabrikam.example", "externalUserState": "Accepted"},
        {"mail": _SENDER, "userType": "Member", "displayName": "Contoso invitations"},
    ],
    "drives": [
        {"id": "drive-box", "name": "Box migration", "items": [{"path": s.item} for s in _STEPS if s.source == "box"]},
        {"id": "drive-legal", "name": "Legal migration"},
        {"id": "drive-sync", "name": "SecuriSync migration", "items": [{"path": "/SecuriSync/Team/One"}]},
    ],
}
_OWN_MAIL = {"GUESTPASS_MAIL": "own", "GUESTPASS_MAIL_SENDER": _SENDER}


async def run() -> int:
    """Start, deliver, explain, and stay up until interrupted."""
    console = Console(highlight=False, soft_wrap=True)
    console.print("Starting Azurite, the simulated tenant, the platforms' stand-ins and the function app ...")
    async with (
        LocalWorld(ROOT / ".local" / "run", acceptance_schedule=_EVERY_5_SECONDS, settings=_OWN_MAIL) as world,
        Places.of(world) as places,
    ):
        await places.seed(_TENANT, box_account(_STEPS, {}))
        sources = Sources(world.host_url, world.secrets, story_began())
        for step in _STEPS:
            await sources.send(places.session, 0, step)
        await places.idle()
        console.print(f"""
[bold]Guestpass runs.[/bold] Ctrl-C ends it. Open the first page and go on from there:

  Administrator's page     {world.host_url}/api/access-requests
  Mailbox: accept there    {world.tenant_url}/mailbox
  Tenant: who holds what   {world.tenant_url}/

Select people who wait for approval and press Approve; each gets one mail. Press Accept in the mailbox, as the guest:
within some seconds the row moves to Granted, and the permission appears on the tenant's page.

  The same as JSON         {world.host_url}/api/openapi.json
  Webhooks                 {world.host_url}/api/webhooks/box  .../securisync
  Logs                     {world.logs}""")
        await asyncio.Event().wait()
    return 0


def main() -> int:
    """Read the command line."""
    argparse.ArgumentParser(
        prog="python -m local.run", description="Guestpass and all around it, locally."
    ).parse_args()
    return run_in_world(run())


if __name__ == "__main__":
    sys.exit(main())

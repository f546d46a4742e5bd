"""python -m local.screenshots: pictures of the administrator's pages for the docs, of a small made-up migration."""

import argparse
import asyncio
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

from playwright.async_api import Page
from rich.console import Console

from local.browser import headless
from local.demo.deliver import Sources
from local.demo.places import Places
from local.demo.play import story_began
from local.demo.steps import Step
from local.world import ROOT, LocalWorld, run_in_world

PICTURES = ROOT / "docs" / "pictures"
_SENDER = "invitations@contoso.com"
_PATIENCE_SECONDS = 90

_HELD = (
    Step("held", "securisync", "ada.lindgren@fabrikam.example", "/Projects/Harbour bridge", "Modify"),
    Step("held", "securisync", "ada.lindgren@fabrikam.example", "/Tenders 2026", "View"),
    Step("held", "securisync", "jonas.weber@fabrikam.example", "/Projects/Harbour bridge", "View"),
    Step("held", "securisync", "m.rossi@adatum.example", "/Contracts/Adatum", "Co-owner"),
    Step("held", "securisync", "priya@tailspin.example", "/Projects/Harbour bridge/Drawings", "View"),
)
_INVITED = (
    Step("invited", "securisync", "lena@northwind.example", "/Tenders 2026", "View", may_invite=True),
    Step("invited", "securisync", "omar@northwind.example", "/Contracts/Northwind", "Modify", may_invite=True),
)
_GRANTED = (
    Step("granted", "securisync", "grace@woodgrove.example", "/Projects/Harbour bridge", "Modify", may_invite=True),
    Step("granted", "securisync", "grace@woodgrove.example", "/Contracts/Woodgrove", "View", may_invite=True),
    Step("granted", "securisync", "grace@woodgrove.example", "/Projects/Old tunnel", "View", may_invite=True),
    Step("granted", "securisync", "tom@woodgrove.example", "/Tenders 2026", "View", may_invite=True),
)
_STUCK = (
    Step("stuck", "securisync", "sam+box@proseware.example", "/Tenders 2026", "View", may_invite=True),
    Step("ignored", "securisync", "ivo@contoso.com", "/Tenders 2026", "View"),
)
_FOLDERS = (
    "/SecuriSync/Projects/Harbour bridge/Drawings",
    "/SecuriSync/Tenders 2026",
    "/SecuriSync/Contracts/Woodgrove",
    "/SecuriSync/Contracts/Northwind",
    "/SecuriSync/Contracts/Adatum",
)
_TENANT = {
    "users": [{"mail": _SENDER, "userType": "Member", "displayName": "Contoso invitations"}],
    "drives": [{"id": "drive-sync", "name": "Migration", "items": [{"path": path} for path in _FOLDERS]}],
    "policies": {"sharingDomainRestrictionMode": "blockList", "sharingBlockedDomainList": ["competitor.example"]},
}
_MAP = "connection,source,destination\nsecurisync,t.archer@home.example,tom@woodgrove.example\n"

_EXISTING = (
    "address,role,item_id,item_kind,path\n"
    "grace@woodgrove.example,Modify,1,folder,/Projects/Harbour bridge\n"
    "tom@woodgrove.example,View,2,folder,/Tenders 2026\n"
)


async def run(folder: Path) -> int:
    """Play the story, take the pictures."""
    console = Console()
    settings = {
        "GUESTPASS_MAIL": "own",
        "GUESTPASS_MAIL_SENDER": _SENDER,
        "GUESTPASS_DEVELOPMENT_PRINCIPAL": "kim@contoso.com",
    }
    async with (
        LocalWorld(ROOT / ".local" / "screenshots", settings=settings) as world,
        Places.of(world) as places,
        headless() as browser,
    ):
        await _play(world, places)
        page = await browser.new_page(viewport={"width": 1280, "height": 860})
        narrow = await browser.new_page(viewport={"width": 390, "height": 844})
        dark = await browser.new_page(viewport={"width": 1280, "height": 860}, color_scheme="dark")
        requests = f"{world.host_url}/api/access-requests"
        people = {person["address"]: person["guest"] for person in await places.people()}
        grace = f"{requests}/{people['grace@woodgrove.example']}"
        for name, shown, address in (
            ("requests", page, requests),
            ("person", page, grace),
            ("attention", page, f"{requests}?view=needs-attention"),
            ("sources", page, f"{world.host_url}/api/sources"),
            ("maps", page, f"{world.host_url}/api/account-maps"),
            ("check", page, f"{world.host_url}/api/tenant-check"),
            ("requests-dark", dark, f"{requests}?view=granted"),
            ("requests-narrow", narrow, requests),
        ):
            await _picture(shown, address, folder / f"{name}.png")
            console.print(f"{folder / name}.png", soft_wrap=True)
    return 0


async def _play(world: LocalWorld, places: Places) -> None:
    await places.seed(_TENANT, {})
    sources = Sources(world.host_url, world.secrets, story_began())
    steps = (*_GRANTED, *_INVITED, *_STUCK, *_HELD)
    for step in steps:
        await sources.send(places.session, 0, step)
    await places.idle()
    accepting = {step.person for step in _GRANTED}
    invited = accepting | {step.person for step in _INVITED}

    async def mailed() -> bool:
        return invited <= {mail["to"] for mail in (await places.tenant())["mails"]}

    await _until(places, mailed)
    for mail in (await places.tenant())["mails"]:
        if mail["to"] in accepting:
            await places.accept(mail)

    async def granted() -> bool:
        await places.run("poll_acceptance")
        states = {person["address"]: person["tally"] for person in await places.people()}
        return all(states.get(who, {}).get("granted") for who in accepting)

    await _until(places, granted)
    await places.map_accounts(_MAP)
    await places.upload("securisync", _EXISTING, "text/csv", as_of="2026-01-01T12:00:00Z")
    await places.run("tend_sources")
    await places.idle()


async def _until(places: Places, condition: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(_PATIENCE_SECONDS):
        while not await condition():
            await places.idle()
            await asyncio.sleep(0.2)


async def _picture(page: Page, address: str, path: Path) -> None:
    await page.goto(address)
    await page.screenshot(path=path, animations="disabled")


def main() -> int:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m local.screenshots", description="Pictures for the docs.")
    parser.add_argument("folder", nargs="?", type=Path, default=PICTURES)
    folder = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    return run_in_world(run(folder))


if __name__ == "__main__":
    sys.exit(main())

"""An administrator works with the page: approve, deny, reinvite, revoke, explain, map; and is not deceived."""

from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Browser, Locator, Page, expect

from tests.console.conftest import SENDER, Stage, opened

ROOT = Path(__file__).parents[2]
AXE = ROOT / "node_modules" / "axe-core" / "axe.min.js"


def row(page: Page, address: str) -> Locator:
    """The row of a person."""
    return page.locator("li.person", has=page.get_by_role("link", name=address, exact=True))


async def choose(page: Page, *addresses: str) -> None:
    for address in addresses:
        await row(page, address).get_by_role("checkbox").check()


async def test_one_is_approved_invited_accepts_and_the_row_moves(page: Page, stage: Stage) -> None:
    who = "ada@one.example"
    await stage.share(who, item="/Alpha", role="Modify")
    await stage.share(who, item="/Beta")
    await page.goto(stage.url)
    await expect(row(page, who)).to_contain_text("/Alpha")
    await expect(row(page, who)).to_contain_text("Modify")
    await choose(page, who)
    await page.get_by_role("button", name="Approve", exact=True).click()
    await expect(page.locator("#results")).to_contain_text(who)
    await expect(page.locator("#results")).to_contain_text("Now approved")
    await expect(row(page, who)).to_have_count(0)

    async def mailed() -> bool:
        return len(await stage.mails(who)) == 1

    await stage.until(mailed, "one mail")
    (mail,) = await stage.mails(who)
    assert (mail["sender"], mail["kind"]) == (SENDER, "invitation")
    assert "/Alpha (edit" in mail["text"]
    assert "/Beta (view" in mail["text"]
    await page.get_by_role("link", name="Has not accepted the invitation yet").click()
    await expect(row(page, who)).to_contain_text("has not accepted the invitation yet")
    assert "ticket" not in await page.content()

    await stage.places.accept(mail)
    await stage.places.run("poll_acceptance")
    await stage.places.idle()
    await expect(row(page, who)).to_have_count(0)  # the page refreshes itself
    await page.locator("a.tab.granted").click()
    await expect(row(page, who)).to_contain_text("2 granted")
    assert await stage.given(who) == {"/SecuriSync/Alpha": "write", "/SecuriSync/Beta": "read"}


async def test_many_are_approved_in_two_clicks_with_one_mail_each(page: Page, stage: Stage) -> None:
    people = [f"p{number:03}@many.example" for number in range(60)]
    await stage.share(*people)
    await page.goto(f"{stage.url}?view=held&domain=many.example")
    await expect(page.locator("li.person")).to_have_count(50)
    await page.get_by_label("All of many.example").check()
    await page.get_by_role("button", name="Approve", exact=True).click()
    await expect(page.locator("#results")).to_contain_text("Done: 10")
    await expect(page.locator("#results details.done")).to_have_count(2)
    await expect(page.locator("#results")).to_contain_text("Done: 50")
    await expect(page.get_by_text("Nobody waits for approval.")).to_be_visible()

    async def mailed() -> bool:
        return [len(await stage.mails(who)) for who in people] == [1] * len(people)

    await stage.until(mailed, "everybody has one mail")


async def test_two_are_selected_and_denied_with_a_reason(page: Page, stage: Stage) -> None:
    people = ("x@deny.example", "y@deny.example")
    await stage.share(*people)
    await page.goto(stage.url)
    await choose(page, *people)
    await page.get_by_role("button", name="Deny", exact=True).click()
    await expect(page.locator("#notice")).to_contain_text("A reason is needed")
    await expect(page.get_by_placeholder("Reason (to deny or revoke)")).to_be_focused()
    await page.get_by_placeholder("Reason (to deny or revoke)").fill("<script>alert('denied')</script>")
    await page.get_by_role("button", name="Deny", exact=True).click()
    await expect(page.locator("#results")).to_contain_text("Done: 2")
    await page.goto(f"{stage.url}?view=ignored")
    await expect(row(page, people[0])).to_contain_text("<script>alert('denied')</script>")
    person = await stage.person(people[0])
    (entry,) = [entry for entry in person["history"] if entry["what"] == "denied"]
    assert (entry["by"], entry["detail"]) == ("demo administrator", "<script>alert('denied')</script>")


async def test_a_mail_is_sent_again_and_keeps_its_link(page: Page, stage: Stage) -> None:
    who = "again@one.example"
    await stage.share(who)
    await stage.places.approve((await stage.person(who))["guest"])

    async def mailed(times: int) -> bool:
        return len(await stage.mails(who)) == times

    await stage.until(lambda: mailed(1), "the first mail")
    await page.goto(f"{stage.url}?view=invited")
    await choose(page, who)
    await page.get_by_role("button", name="Reinvite").click()
    await expect(page.locator("#results")).to_contain_text("Done: 1")
    await stage.until(lambda: mailed(2), "the second mail")
    assert len({mail["url"] for mail in await stage.mails(who)}) == 1
    assert (await stage.person(who))["mails"] == 2


async def test_one_share_is_revoked_and_stays_so_when_the_source_confirms_it(page: Page, stage: Stage) -> None:
    who = "revoke@one.example"
    await stage.share(who, item="/Alpha", role="Modify", may_invite=True)
    await stage.share(who, item="/Beta", may_invite=True)
    await stage.accept(who)

    async def has(*paths: str) -> bool:
        return set(await stage.given(who)) == {f"/SecuriSync{path}" for path in paths}

    await stage.until(lambda: has("/Alpha", "/Beta"), "both are given")
    person = await stage.person(who)
    await page.goto(f"{stage.url}/{person['guest']}")
    share = page.locator("li.share", has=page.get_by_role("heading", name="/Alpha"))
    await share.locator("summary").click()
    await share.get_by_label("Reason").fill("not any more")
    await share.get_by_role("button", name="Revoke").click()
    await expect(page.locator("#results")).to_contain_text("Done.")
    await stage.until(lambda: has("/Beta"), "one is taken back")
    await stage.share(who, item="/Alpha", role="Modify", change="kept")
    assert await has("/Beta")
    await expect(share).to_contain_text("An administrator took this share back")
    await share.get_by_role("button", name="Give again").click()
    await stage.until(lambda: has("/Alpha", "/Beta"), "it is given again")


async def test_everything_of_a_person_is_revoked(page: Page, stage: Stage) -> None:
    who = "all@one.example"
    await stage.share(who, item="/Gamma", may_invite=True)
    await stage.accept(who)

    async def has(number: int) -> bool:
        return len(await stage.given(who)) == number

    await stage.until(lambda: has(1), "it is given")
    await page.goto(f"{stage.url}?view=granted")
    await choose(page, who)
    await page.get_by_placeholder("Reason (to deny or revoke)").fill("left the project")
    await page.get_by_role("button", name="Revoke").click()
    await expect(page.locator("#results")).to_contain_text("Done: 1")
    await stage.until(lambda: has(0), "it is taken back")
    await stage.share(who, item="/Gamma", change="kept")
    await stage.share(who, item="/Beta")
    assert await has(0)
    assert {share["reason"] for share in (await stage.person(who))["shares"]} == {"refused/denied"}


async def test_the_person_s_page_explains(page: Page, stage: Stage) -> None:
    who = "why@one.example"
    await stage.share(who, item="/Alpha", may_invite=True)
    await stage.share(who, item="/Nowhere/Here", role="Overlord", may_invite=True)
    await stage.accept(who)

    async def granted() -> bool:
        return "granted/direct" in {share["reason"] for share in (await stage.person(who))["shares"]}

    await stage.until(granted, "it is granted")
    await page.goto(f"{stage.url}?q={who}&in=person")
    await page.get_by_role("link", name=who, exact=True).click()
    await expect(page.get_by_role("heading", name=who, level=1)).to_be_visible()
    alpha = page.locator("li.share", has=page.get_by_role("heading", name="/Alpha"))
    for said in ("securisync: View", "view (exact)", "The person has this role on the item, given and read back."):
        await expect(alpha).to_contain_text(said)
    await expect(alpha.get_by_role("link", name="/SecuriSync/Alpha")).to_have_attribute(
        "href", f"/api/access-requests/{(await stage.person(who))['guest']}/shares/{await alpha_id(stage, who)}"
    )
    nowhere = page.locator("li.share", has=page.get_by_role("heading", name="/Nowhere/Here"))
    await expect(nowhere).to_contain_text("The role at the source is not one we know")
    timeline = page.locator("ol.timeline")
    for said in ("share given", "invited", "mailed", "accepted", "access"):
        await expect(timeline).to_contain_text(said)
    assert "ticket" not in await page.content()


async def alpha_id(stage: Stage, who: str) -> str:
    """The id of the share of /Alpha."""
    return str(next(share["id"] for share in (await stage.person(who))["shares"] if share["item"] == "/Alpha"))


async def test_a_share_leads_to_its_item_at_the_destination(stage: Stage) -> None:
    who = "link@one.example"
    await stage.share(who, item="/Alpha", may_invite=True)
    await stage.accept(who)
    person = await stage.person(who)
    address = f"{stage.url}/{person['guest']}/shares/{await alpha_id(stage, who)}"
    async with stage.places.session.get(address, allow_redirects=False) as response:
        assert response.status == 302
        assert response.headers["Location"].startswith("https://")
        assert response.headers["Location"].endswith("/SecuriSync/Alpha")


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("SEEK@find.ex", "person"),
        ("find.example", "domain"),
        ("/gam", "item"),
        ("gamma", "item"),
        ("securi", "connection"),
        ("sharer.sv", "sharer"),
        ("seek@", ""),
    ],
)
async def test_people_are_found(page: Page, stage: Stage, text: str, kind: str) -> None:
    who = "seek@find.example"
    await stage.share(who, item="/Gamma", sharer="sharer.sven@contoso.com")
    await page.goto(stage.url)
    await page.get_by_label("Search people").fill(text)
    await page.get_by_label("Search in").select_option(kind)
    await page.get_by_role("button", name="Search").click()
    await expect(row(page, who)).to_be_visible()
    await page.get_by_label("Search people").fill("nobody is called like that")
    await page.get_by_role("button", name="Search").click()
    await expect(page.get_by_text("Nobody was found.")).to_be_visible()


async def test_a_map_is_imported_after_a_look_and_a_bad_file_is_refused_whole(
    page: Page, stage: Stage, tmp_path: Path
) -> None:
    old, new = "old@map.example", "new@map.example"
    await stage.share(old, item="/Gamma", role="Modify", may_invite=True)
    await stage.accept(old)
    await page.goto(f"{stage.world.host_url}/api/account-maps")
    bad = tmp_path / "bad.csv"
    bad.write_text(
        f"connection,source,destination\nsecurisync,{old},{new}\n"
        "securisync,no address,x@y.example\nboxx,a@b.example,c@d.example\n"
    )
    await page.get_by_label("File with the columns").set_input_files(bad)
    await page.get_by_role("button", name="Look at the changes").click()
    await expect(page.locator("#results")).to_contain_text("The file has 2 faults; nothing of it was taken over.")
    await expect(page.locator("#results")).to_contain_text("Line 3: the source 'no address' is not an e-mail address")
    await expect(page.locator("#results")).to_contain_text("Line 4: there is no connection of the name 'boxx'")
    await expect(page.get_by_text("Nobody is mapped")).to_be_visible()

    good = tmp_path / "good.csv"
    good.write_text(f"connection,source,destination\r\nsecurisync,{old},{new}\r\n")
    await page.get_by_label("File with the columns").set_input_files(good)
    await page.get_by_role("button", name="Look at the changes").click()
    await expect(page.locator("#results")).to_contain_text("moves /Gamma")
    assert await stage.given(old) == {"/SecuriSync/Gamma": "write"}, "a look changes nothing"
    await page.get_by_role("button", name="Confirm and move").click()
    await expect(page.locator("#results")).to_contain_text("Changed: 1.")
    await expect(page.locator("#board")).to_contain_text(new)
    await stage.places.idle()
    assert await stage.given(old) == {"/SecuriSync/Gamma": "write"}, "kept until the new account has it"

    async def invited() -> bool:
        return len(await stage.mails(new)) == 1

    await stage.until(invited, "the new identity goes through its own gate")
    await stage.accept(new)

    async def moved() -> bool:
        return (await stage.given(new), await stage.given(old)) == ({"/SecuriSync/Gamma": "write"}, {})

    await stage.until(moved, "granted to the new one, then taken from the old one")
    shares = (await stage.person(old))["shares"]
    assert [share["reason"] for share in shares] == ["revoked/moved"]
    async with stage.places.session.get(f"{stage.world.host_url}/api/account-maps?format=csv") as response:
        assert (await response.text()).splitlines() == ["connection,source,destination", f"securisync,{old},{new}"]


async def test_existing_shares_come_in_by_a_file_and_by_a_scan(page: Page, stage: Stage, tmp_path: Path) -> None:
    who, head = "before@file.example", "address,role,item_id,item_kind,path"
    await page.goto(f"{stage.world.host_url}/api/sources")
    account = page.locator("li.card", has=page.get_by_role("heading", name="securisync"))
    await expect(account.get_by_role("button", name="Scan")).to_have_count(0)  # it cannot be asked
    await account.get_by_text("Upload a file of existing shares").click()
    bad, good = tmp_path / "bad.csv", tmp_path / "good.csv"
    bad.write_text(f"{head}\n{who},View,1,folder,no path\n")
    good.write_text(f"{head}\n{who},View,1,folder,/Beta\n{who},Emperor,2,folder,/Gamma\n")
    await account.locator("input[type=file]").set_input_files(bad)
    await account.get_by_label("When the list was made").fill("2026-01-01T12:00")
    await account.get_by_role("button", name="Upload").click()
    await expect(page.locator("#results")).to_contain_text("The file has 1 fault; nothing of it was taken over.")
    await expect(page.locator("#results")).to_contain_text("Line 2: ")
    await account.locator("input[type=file]").set_input_files(good)
    await account.get_by_role("button", name="Upload").click()
    await page.get_by_role("link", name="How far it is").click()
    await expect(page.locator("#board")).to_contain_text("2, of which 2 are decided")
    await expect(page.locator("#board")).to_contain_text("refused/unknown-role")
    assert [share["reason"] for share in (await stage.person(who))["shares"]] == [
        "waiting/approval",
        "refused/unknown-role",
    ]
    await page.get_by_role("link", name="Sources").first.click()
    await page.get_by_role("button", name="Scan for existing shares of box", exact=True).click()
    await page.get_by_role("link", name="How far it is").click()
    await expect(page.locator("#board .badge.done")).to_be_visible()


async def test_names_from_outside_do_nothing(page: Page, stage: Stage) -> None:
    who = "o'<script>alert(1)</script>@evil.example"
    await stage.share(
        "plain@evil.example", item="/<script>alert(1)</script>", sharer="<img src=x onerror=alert(2)>@x.y"
    )
    await stage.share(who, item="/Alpha")
    for address in (f"{stage.url}?view={view}" for view in ("held", "needs-attention", "ignored")):
        await page.goto(address)
        await expect(page.locator("h1")).to_be_visible()
    await page.goto(f"{stage.url}?q=%2F%3Cscript%3Ealert(1)%3C%2Fscript%3E")
    await expect(page.get_by_role("link", name="plain@evil.example", exact=True)).to_be_visible()
    await page.get_by_role("link", name="plain@evil.example", exact=True).click()
    await expect(page.get_by_role("heading", name="/<script>alert(1)</script>")).to_be_visible()
    assert await page.locator("script:not([src])").count() == 0
    assert await page.locator("img[src=x]").count() == 0


async def test_everything_works_by_keyboard(page: Page, stage: Stage) -> None:
    who = "keys@keyboard.example"
    await stage.share(who)
    await page.goto(f"{stage.url}?view=held&domain=keyboard.example")
    await page.keyboard.press("Tab")
    assert await page.evaluate("document.activeElement.textContent") == "Skip to the content"
    seen: list[str] = []
    for _ in range(40):
        await page.keyboard.press("Tab")
        seen.append(await page.evaluate("document.activeElement.id || document.activeElement.value || ''"))
        if seen[-1].startswith("pick-"):
            break
    assert "q" in seen
    assert "approve" in seen
    await page.keyboard.press("Space")
    while await page.evaluate("document.activeElement.value") != "approve":
        await page.keyboard.press("Shift+Tab")
    await page.keyboard.press("Enter")
    await expect(page.locator("#results")).to_contain_text(who)
    await expect(page.locator("#results")).to_contain_text("Done: 1")


async def test_what_another_administrator_decided_is_not_undone(browser: Browser, page: Page, stage: Stage) -> None:
    who = "two@admins.example"
    await stage.share(who)
    await page.goto(stage.url)
    await choose(page, who)
    async with opened(browser, stage) as other:
        await other.goto(stage.url)
        await choose(other, who)
        await other.get_by_placeholder("Reason (to deny or revoke)").fill("no")
        await other.get_by_role("button", name="Deny", exact=True).click()
        await expect(other.locator("#results")).to_contain_text("Done: 1")
    await page.get_by_role("button", name="Approve", exact=True).click()
    await expect(page.locator("#results")).to_contain_text("Changed meanwhile by somebody else: 1")
    await expect(page.locator("#results")).to_contain_text("now denied")
    assert (await stage.person(who))["state"] == "denied"


PAGES = (
    "access-requests",
    "access-requests?view=granted",
    "sources",
    "batch",
    "account-maps",
    "tenant-check",
    "unreadable",
    "person",
)
SCREENS: dict[str, dict[str, Any]] = {
    "wide": {"viewport": {"width": 1280, "height": 900}},
    "narrow": {"viewport": {"width": 340, "height": 700}},
    "dark": {"viewport": {"width": 1280, "height": 900}, "color_scheme": "dark"},
}


@pytest.mark.parametrize("screen", SCREENS)
@pytest.mark.parametrize("name", PAGES)
async def test_every_page_fits_and_is_accessible(browser: Browser, stage: Stage, screen: str, name: str) -> None:
    who = "fits.into.a.narrow.window.with.quite.a.long.address@a-rather-long-domain-name.example"
    await stage.share(who, item="/Alpha")
    address = f"{stage.world.host_url}/api/{name}"
    if name == "person":
        address = f"{stage.url}/{(await stage.person(who))['guest']}"
    if name == "batch":
        lines = "address,role,item_id,item_kind,path\nfile@fits.example,View,1,folder,/Alpha\n"
        batch = await stage.places.upload("securisync", lines, "text/csv", as_of="2026-01-01T12:00:00Z")
        address = f"{stage.world.host_url}/api/batches/{batch['batch']}"
    async with opened(browser, stage, **SCREENS[screen], bypass_csp=True) as page:
        await page.goto(address)
        await expect(page.locator("h1")).to_be_visible()
        assert await page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), "nothing sticks out"
        await page.add_script_tag(path=AXE)
        found = await page.evaluate("axe.run()")
        serious = [
            (fault["id"], [node["html"] for node in fault["nodes"]][:3])
            for fault in found["violations"]
            if fault["impact"] in ("serious", "critical")
        ]
        assert serious == []


async def test_the_tenant_check_says_what_would_fail_and_where_to_change_it(page: Page, stage: Stage) -> None:
    async def settings(**changes: object) -> None:
        async with stage.places.session.post(f"{stage.world.tenant_url}/control/settings", json=changes) as response:
            assert response.status == 200

    await page.goto(f"{stage.world.host_url}/api/tenant-check")
    await expect(page.locator(".badge.failing")).to_have_count(0)
    await expect(page.get_by_text(f"Mails leave from {SENDER}.")).to_be_visible()
    await settings(
        allowInvitesFrom="none", sharingCapability="disabled", appPermissions=["User.Read.All", "Application.Read.All"]
    )
    try:
        await page.get_by_role("link", name="Check again").click()
        await expect(page.get_by_text("Who may invite guests")).to_be_visible()
        failing = page.locator("li.check.failing")
        await expect(failing).to_have_count(1)
        await expect(failing).to_contain_text("The app lacks User.Invite.All (to invite guests)")
        await expect(failing).to_contain_text("Microsoft Entra admin center")
        await expect(page.locator("li.check.unknown").first).to_contain_text("Could not be read")
        await settings(appPermissions=["User.Read.All", "Policy.Read.All", "SharePointTenantSettings.Read.All"])
        await page.get_by_role("link", name="Check again").click()
        await expect(page.get_by_text("Inviting is off or for administrators only")).to_be_visible()
        await expect(page.get_by_text("Sharing outside the organisation is off")).to_be_visible()
    finally:
        await settings(
            allowInvitesFrom="everyone", sharingCapability="externalUserAndGuestSharing", appPermissions=PERMISSIONS
        )


PERMISSIONS = [
    "Application.Read.All",
    "Files.ReadWrite.All",
    "Mail.Send",
    "Organization.Read.All",
    "Policy.Read.All",
    "SharePointTenantSettings.Read.All",
    "User.Invite.All",
    "User.Read.All",
]

"""Mails of our own, through the sender mailbox of the simulated tenant."""

from pathlib import Path
from typing import Any

import pytest

from shared.domain.mailing import Letter, Mail, WaitingItem
from shared.domain.platforms import Role
from shared.domain.reasons import Reason
from shared.domain.trouble import LaterError, RefusedError, UnansweredError
from shared.entra.mail import SenderMailbox, languages, write
from shared.graph.client import Graph
from tests.graph.conftest import Tenant

SENDER = "invitations@contoso.com"
REDEEM = "https://login.example/redeem?ticket=abc-DEF_123"


def mail(**more: Any) -> Mail:
    """An invitation to a person for whom two things wait."""
    values: dict[str, Any] = {
        "letter": Letter.INVITATION,
        "to": "ann@fabrikam.example",
        "name": "Ann",
        "language": "en",
        "redeem_url": REDEEM,
        "items": (
            WaitingItem(path="/Projects/Alpha & <Beta>", role=Role.WRITE, sharer="sven@contoso.com"),
            WaitingItem(path="/Plans", role=Role.READ),
        ),
        "more": 3,
        "expires_on": "2026-12-24",
    }
    return Mail(**(values | more))


@pytest.fixture
async def mailbox(graph: Graph, tenant: Tenant) -> SenderMailbox:
    """A mailbox that exists."""
    await tenant.control("seed", users=[{"mail": SENDER, "userType": "Member"}])
    return SenderMailbox(graph, SENDER)


async def test_a_mail_lists_everything_with_the_link_in_both_forms(mailbox: SenderMailbox, tenant: Tenant) -> None:
    await mailbox.send(mail())
    (sent,) = (await tenant.read("state"))["mails"]
    assert (sent["to"], sent["sender"], sent["url"], sent["kind"]) == (
        "ann@fabrikam.example",
        SENDER,
        REDEEM,
        "invitation",
    )
    for text in (sent["text"], sent["html"]):
        for said in ("Ann", "/Plans", "sven@contoso.com", "3 more", REDEEM, "2026-12-24"):
            assert said in text
    assert "/Projects/Alpha & <Beta> (edit" in sent["text"]
    assert "/Projects/Alpha &amp; &lt;Beta&gt;" in sent["html"]
    assert "<Beta>" not in sent["html"]


@pytest.mark.parametrize("language", sorted(languages()))
@pytest.mark.parametrize("letter", Letter)
def test_every_language_says_everything(language: str, letter: Letter) -> None:
    message = write(mail(language=language, letter=letter), SENDER)
    text, html = (message.get_body((kind,)) for kind in ("plain", "html"))
    assert text is not None
    assert html is not None
    for part in (text.get_content(), html.get_content()):
        for said in ("/Plans", REDEEM, "ann@fabrikam.example", "2026-12-24", "sven@contoso.com"):
            assert said in part
    assert message["Subject"]
    assert (write(mail(language=language, letter=Letter.REMINDER), SENDER)["Subject"] == message["Subject"]) is (
        letter is Letter.REMINDER
    )


def test_templates_of_the_company_s_own_come_first(tmp_path: Path) -> None:
    (tmp_path / "en.subject.txt").write_text("Hello\r\nBcc: everybody@example.org {{ to }}")
    (tmp_path / "nl.subject.txt").write_text("Hallo")
    message = write(mail(), SENDER, tmp_path)
    assert message["Subject"] == "Hello Bcc: everybody@example.org ann@fabrikam.example", "one line, no header more"
    assert message["Bcc"] is None
    text = message.get_body(("plain",))
    assert text is not None
    assert REDEEM in text.get_content()
    assert languages(tmp_path) == {"de", "en", "fr", "nl"}


@pytest.mark.parametrize(
    ("sender", "settings", "reason"),
    [
        ("nobody@contoso.com", {}, Reason.MAIL_REFUSED),
        ("guest@fabrikam.example", {}, Reason.MAIL_REFUSED),
        (SENDER, {"appPermissions": []}, Reason.MAIL_REFUSED),
    ],
)
async def test_what_the_mailbox_refuses_has_a_reason(
    graph: Graph, tenant: Tenant, sender: str, settings: dict[str, Any], reason: Reason
) -> None:
    users = [{"mail": SENDER, "userType": "Member"}, {"mail": "guest@fabrikam.example"}]
    await tenant.control("seed", users=users, policies=settings)
    with pytest.raises(RefusedError) as caught:
        await SenderMailbox(graph, sender).send(mail())
    assert caught.value.reason is reason
    assert "Mail.Send" in (caught.value.detail or "")
    assert "@" not in (caught.value.detail or "")


async def test_an_answer_that_was_lost_is_told_apart_from_one_to_wait_for(
    mailbox: SenderMailbox, tenant: Tenant
) -> None:
    await tenant.control("faults", kind="504-after-effect", match={"pathRegex": "sendMail"})
    with pytest.raises(UnansweredError):
        await mailbox.send(mail())
    await tenant.control("faults", kind="429", match={"pathRegex": "sendMail"}, retryAfter=7)
    with pytest.raises(LaterError) as caught:
        await mailbox.send(mail())
    assert not isinstance(caught.value, UnansweredError)
    assert len((await tenant.read("state"))["mails"]) == 1


def test_the_ticket_is_in_no_text_of_a_mail() -> None:
    assert "ticket" not in repr(mail())

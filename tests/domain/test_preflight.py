"""Every check of the tenant says what is wrong in a sentence, and where to change it."""

import pytest

from shared.domain.mailing import MailKind
from shared.domain.preflight import Check, Mailbox, Outcome, Tenant, check

GOOD = Tenant(
    invites_from="everyone",
    verified_domains=("contoso.com", "contoso.onmicrosoft.com"),
    sharing="existingExternalUserSharingOnly",
    restriction="none",
    resharing=False,
    must_match=True,
    permissions=("Files.ReadWrite.All", "Mail.Send", "User.Invite.All", "User.Read.All"),
    mailbox=Mailbox.READY,
)


def checked(tenant: Tenant = GOOD, kind: MailKind = MailKind.OWN, blocked: tuple[str, ...] = ()) -> dict[str, Check]:
    checks = check(tenant, kind=kind, sender="mail@contoso.com", internal=["contoso.com"], blocked=blocked)
    return {one.name: one for one in checks}


def test_a_good_tenant_passes_and_only_what_graph_does_not_show_is_unknown() -> None:
    found = checked()
    assert len(found) == 9
    unknown = [name for name, one in found.items() if one.outcome is not Outcome.OK]
    assert unknown == ["Domains that Entra blocks"]
    assert all(one.sentence.endswith(".") and one.place for one in found.values())


@pytest.mark.parametrize(
    ("changes", "name", "outcome", "said"),
    [
        ({"invites_from": "none"}, "Who may invite guests", Outcome.FAILING, "cannot invite"),
        ({"invites_from": "adminsAndGuestInviters"}, "Who may invite guests", Outcome.FAILING, "cannot invite"),
        ({"sharing": "disabled"}, "Sharing with guests in SharePoint", Outcome.FAILING, "off"),
        (
            {"restriction": "blockList", "blocked_domains": ("bad.example",)},
            "Domains that SharePoint restricts",
            Outcome.WARNING,
            "bad.example",
        ),
        (
            {"restriction": "allowList", "allowed_domains": ("good.example",)},
            "Domains that SharePoint restricts",
            Outcome.WARNING,
            "Only people of good.example",
        ),
        ({"resharing": True}, "Guests who share further", Outcome.WARNING, "do not own"),
        ({"must_match": False}, "Accepting with another account", Outcome.WARNING, "another account"),
        (
            {"verified_domains": ("contoso.com", "fabrikam.com")},
            "The company's own domains",
            Outcome.WARNING,
            "fabrikam.com",
        ),
        (
            {"permissions": ("User.Read.All", "Mail.Send", "Sites.Selected")},
            "Application permissions",
            Outcome.FAILING,
            "User.Invite.All",
        ),
        (
            {"permissions": ("User.Read.All", "User.Invite.All", "Mail.Send")},
            "Application permissions",
            Outcome.FAILING,
            "Files.ReadWrite.All",
        ),
        (
            {"permissions": ("User.ReadWrite.All", "Mail.Send", "Sites.FullControl.All")},
            "Application permissions",
            Outcome.OK,
            "has what",
        ),
        (
            {"permissions": ("User.Read.All", "User.Invite.All", "Sites.Selected")},
            "Application permissions",
            Outcome.FAILING,
            "Mail.Send",
        ),
        ({"mailbox": Mailbox.MISSING}, "Sender mailbox", Outcome.FAILING, "mail@contoso.com"),
        *(
            ({field: None}, name, Outcome.UNKNOWN, permission)
            for field, name, permission in (
                ("invites_from", "Who may invite guests", "Policy.Read.All"),
                ("sharing", "Sharing with guests in SharePoint", "SharePointTenantSettings.Read.All"),
                ("restriction", "Domains that SharePoint restricts", "SharePointTenantSettings.Read.All"),
                ("resharing", "Guests who share further", "SharePointTenantSettings.Read.All"),
                ("must_match", "Accepting with another account", "SharePointTenantSettings.Read.All"),
                ("verified_domains", "The company's own domains", "Organization.Read.All"),
                ("permissions", "Application permissions", "Application.Read.All"),
                ("mailbox", "Sender mailbox", "User.Read.All"),
            )
        ),
    ],
)
def test_what_would_fail_is_told(changes: dict[str, object], name: str, outcome: Outcome, said: str) -> None:
    found = checked(GOOD.model_copy(update=changes))
    assert found[name].outcome is outcome
    assert said in found[name].sentence
    others = {other: one for other, one in checked().items() if other != name}
    assert {other: one for other, one in found.items() if other != name} == others, "and nothing else changes"


def test_domains_that_entra_refused_are_named() -> None:
    assert "bad.example" in checked(blocked=("bad.example",))["Domains that Entra blocks"].sentence


@pytest.mark.parametrize("kind", [MailKind.MICROSOFT, MailKind.NONE])
def test_without_own_mails_no_mailbox_and_no_permission_for_it_is_needed(kind: MailKind) -> None:
    permissions = tuple(p for p in GOOD.permissions or () if p != "Mail.Send")
    found = checked(GOOD.model_copy(update={"mailbox": None, "permissions": permissions}), kind)
    assert found["Sender mailbox"].outcome is Outcome.OK
    assert found["Application permissions"].outcome is Outcome.OK

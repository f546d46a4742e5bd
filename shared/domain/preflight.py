"""The tenant check: what at the destination would make everything fail, in a sentence, and where to change it."""

from collections.abc import Callable, Collection, Iterator, Sequence
from enum import StrEnum

from shared.domain.mailing import MailKind
from shared.domain.value import Value

_ENTRA = "Microsoft Entra admin center > External Identities > External collaboration settings"
_SHAREPOINT = "SharePoint admin center > Policies > Sharing"
_PERMISSIONS = "Microsoft Entra admin center > Enterprise applications > the app > Permissions"


class Outcome(StrEnum):
    """What a check found."""

    OK = "ok"
    WARNING = "warning"
    FAILING = "failing"
    UNKNOWN = "unknown"


class Mailbox(StrEnum):
    """What the sender mailbox is."""

    READY = "ready"
    MISSING = "missing"


class Tenant(Value):
    """What Microsoft Graph tells about the tenant; None is what it does not tell this app."""

    invites_from: str | None = None
    verified_domains: tuple[str, ...] | None = None
    sharing: str | None = None
    restriction: str | None = None
    allowed_domains: tuple[str, ...] = ()
    blocked_domains: tuple[str, ...] = ()
    resharing: bool | None = None
    must_match: bool | None = None
    permissions: tuple[str, ...] | None = None
    mailbox: Mailbox | None = None


class Check(Value):
    """One check: what was found, in a sentence, and where to change it."""

    name: str
    outcome: Outcome
    sentence: str
    place: str


def check(
    tenant: Tenant, *, kind: MailKind, sender: str | None, internal: Collection[str], blocked: Sequence[str]
) -> list[Check]:
    """Judge what the tenant tells. `internal` are the connections' own domains, `blocked` the domains at which
    Entra refused an invitation so far: Graph v1.0 does not show its list."""
    return [
        _inviting(tenant),
        _entra_domains(blocked),
        _sharing(tenant),
        _sharepoint_domains(tenant),
        _resharing(tenant),
        _matching(tenant),
        _internal(tenant, internal),
        *_permissions(tenant, kind),
        _mailbox(tenant, kind, sender),
    ]


def _unknown(name: str, permission: str, place: str) -> Check:
    sentence = f"Could not be read; the app needs the permission {permission} for that. Look for yourself."
    return Check(name=name, outcome=Outcome.UNKNOWN, sentence=sentence, place=place)


def _inviting(tenant: Tenant) -> Check:
    """App-only invitations do not work when they are off or for administrators only ("Create invitation")."""
    name = "Who may invite guests"
    if tenant.invites_from is None:
        return _unknown(name, "Policy.Read.All", _ENTRA)
    if tenant.invites_from in ("none", "adminsAndGuestInviters"):
        sentence = "Inviting is off or for administrators only, so this app cannot invite anybody."
        return Check(name=name, outcome=Outcome.FAILING, sentence=sentence, place=_ENTRA)
    return Check(name=name, outcome=Outcome.OK, sentence="This app may invite guests.", place=_ENTRA)


def _entra_domains(blocked: Sequence[str]) -> Check:
    name = "Domains that Entra blocks"
    if blocked:
        sentence = f"Entra refused invitations to {', '.join(blocked)}. Allow them, or deny these people here."
        return Check(name=name, outcome=Outcome.WARNING, sentence=sentence, place=_ENTRA)
    sentence = (
        "Microsoft Graph v1.0 does not show this list. No invitation was refused because of it so far; a refused one "
        "shows under needs attention."
    )
    return Check(name=name, outcome=Outcome.UNKNOWN, sentence=sentence, place=_ENTRA)


def _sharing(tenant: Tenant) -> Check:
    name = "Sharing with guests in SharePoint"
    if tenant.sharing is None:
        return _unknown(name, "SharePointTenantSettings.Read.All", _SHAREPOINT)
    if tenant.sharing == "disabled":
        sentence = "Sharing outside the organisation is off, so no access can be given. 'Existing guests' is enough."
        return Check(name=name, outcome=Outcome.FAILING, sentence=sentence, place=_SHAREPOINT)
    sentence = "Existing guests can be given access. A site may be set more strictly; Graph does not show that."
    return Check(name=name, outcome=Outcome.OK, sentence=sentence, place=_SHAREPOINT)


def _sharepoint_domains(tenant: Tenant) -> Check:
    name = "Domains that SharePoint restricts"
    if tenant.restriction is None:
        return _unknown(name, "SharePointTenantSettings.Read.All", _SHAREPOINT)
    if tenant.restriction == "allowList":
        sentence = f"Only people of {', '.join(tenant.allowed_domains) or 'no domain'} can be given access."
        return Check(name=name, outcome=Outcome.WARNING, sentence=sentence, place=_SHAREPOINT)
    if tenant.restriction == "blockList" and tenant.blocked_domains:
        sentence = f"People of {', '.join(tenant.blocked_domains)} cannot be given access."
        return Check(name=name, outcome=Outcome.WARNING, sentence=sentence, place=_SHAREPOINT)
    return Check(name=name, outcome=Outcome.OK, sentence="No domain is restricted.", place=_SHAREPOINT)


def _resharing(tenant: Tenant) -> Check:
    name = "Guests who share further"
    if tenant.resharing is None:
        return _unknown(name, "SharePointTenantSettings.Read.All", _SHAREPOINT)
    if tenant.resharing:
        sentence = "Guests may share what they do not own; that would be wider than at most sources."
        return Check(name=name, outcome=Outcome.WARNING, sentence=sentence, place=_SHAREPOINT)
    sentence = "Guests cannot share what they do not own."
    return Check(name=name, outcome=Outcome.OK, sentence=sentence, place=_SHAREPOINT)


def _matching(tenant: Tenant) -> Check:
    name = "Accepting with another account"
    if tenant.must_match is None:
        return _unknown(name, "SharePointTenantSettings.Read.All", _SHAREPOINT)
    if not tenant.must_match:
        sentence = "Guests may accept with another account than the invited one; Guestpass holds such people for you."
        return Check(name=name, outcome=Outcome.WARNING, sentence=sentence, place=_SHAREPOINT)
    sentence = "Guests must accept with the account that was invited."
    return Check(name=name, outcome=Outcome.OK, sentence=sentence, place=_SHAREPOINT)


def _internal(tenant: Tenant, internal: Collection[str]) -> Check:
    """People of a verified domain cannot be invited; every one of them should be known as internal."""
    name = "The company's own domains"
    place = "The connections file, internal_domains"
    if tenant.verified_domains is None:
        return _unknown(name, "Organization.Read.All", place)
    missing = sorted(d for d in set(tenant.verified_domains) - set(internal) if not d.endswith(".onmicrosoft.com"))
    if missing:
        sentence = f"{', '.join(missing)} belong to this tenant, but no connection names them as internal."
        return Check(name=name, outcome=Outcome.WARNING, sentence=sentence, place=place)
    sentence = "Every domain of the tenant is known as internal."
    return Check(name=name, outcome=Outcome.OK, sentence=sentence, place=place)


_NEEDED: dict[str, tuple[str, Callable[[MailKind], bool]]] = {
    "User.Read.All": ("find guests and notice who accepted", lambda _: True),
    "User.Invite.All": ("invite guests", lambda _: True),
    "Mail.Send": ("send mails of its own", lambda kind: kind is MailKind.OWN),
}
_WRITING = ("Files.ReadWrite.All", "Sites.ReadWrite.All", "Sites.Selected", "Sites.FullControl.All")
# Higher permissions contain the lower ones ("Microsoft Graph permissions reference").
_CONTAIN = {
    "User.Read.All": ("User.ReadWrite.All", "Directory.Read.All", "Directory.ReadWrite.All"),
    "User.Invite.All": ("User.ReadWrite.All", "Directory.ReadWrite.All"),
}


def _permissions(tenant: Tenant, kind: MailKind) -> Iterator[Check]:
    name = "Application permissions"
    if tenant.permissions is None:
        yield _unknown(name, "Application.Read.All", _PERMISSIONS)
        return
    held = set(tenant.permissions)
    missing = [
        f"{permission} (to {purpose})"
        for permission, (purpose, needed) in _NEEDED.items()
        if needed(kind) and held.isdisjoint({permission, *_CONTAIN.get(permission, ())})
    ]
    if held.isdisjoint(_WRITING):
        missing.append(f"{_WRITING[0]} or Sites.Selected (to give access)")
    if missing:
        sentence = f"The app lacks {'; '.join(missing)}."
        yield Check(name=name, outcome=Outcome.FAILING, sentence=sentence, place=_PERMISSIONS)
    else:
        yield Check(name=name, outcome=Outcome.OK, sentence="The app has what it needs.", place=_PERMISSIONS)


def _mailbox(tenant: Tenant, kind: MailKind, sender: str | None) -> Check:
    name, place = "Sender mailbox", "The setting GUESTPASS_MAIL_SENDER, and the mailbox in the Exchange admin center"
    if kind is not MailKind.OWN:
        who = "Microsoft's stock mail goes out" if kind is MailKind.MICROSOFT else "No mail goes out"
        return Check(name=name, outcome=Outcome.OK, sentence=f"{who}; no mailbox is needed.", place=place)
    if tenant.mailbox is None:
        return _unknown(name, "User.Read.All", place)
    if tenant.mailbox is not Mailbox.READY:
        sentence = f"There is no mailbox {sender}, so no invitation can be mailed."
        return Check(name=name, outcome=Outcome.FAILING, sentence=sentence, place=place)
    return Check(name=name, outcome=Outcome.OK, sentence=f"Mails leave from {sender}.", place=place)

"""The directory's rules: users as Graph shows them, invitations, redemption."""

import re
import secrets
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

from local.tenant.errors import GraphError, bad_request
from local.tenant.state import Invitation, Mail, User, World, iso


def _identities(user: User) -> list[dict[str, str]]:
    """Before redemption the host's own entry, afterwards the home directory's in front of it."""
    domain = user.user_principal_name.partition("@")[2]
    own = {"signInType": "userPrincipalName", "issuer": domain, "issuerAssignedId": user.user_principal_name}
    home = {"signInType": "federated", "issuer": "ExternalAzureAD", "issuerAssignedId": ""}
    return [home, own] if user.external_user_state == "Accepted" else [own]


def _nothing(_: User) -> None:
    return None


# Returned by List users and Get user when $select is absent.
_DEFAULT: dict[str, Callable[[User], Any]] = {
    "businessPhones": lambda _: [],
    "displayName": lambda user: user.display_name,
    "givenName": _nothing,
    "jobTitle": _nothing,
    "mail": lambda user: user.mail,
    "mobilePhone": _nothing,
    "officeLocation": _nothing,
    "preferredLanguage": _nothing,
    "surname": _nothing,
    "userPrincipalName": lambda user: user.user_principal_name,
    "id": lambda user: user.id,
}
_READ: dict[str, Callable[[User], Any]] = {
    **_DEFAULT,
    "accountEnabled": lambda user: user.account_enabled,
    "createdDateTime": lambda user: iso(user.created),
    "creationType": lambda user: user.creation_type,
    "externalUserState": lambda user: user.external_user_state,
    "externalUserStateChangeDateTime": lambda user: None if user.state_changed is None else iso(user.state_changed),
    "identities": _identities,
    "otherMails": lambda user: user.other_mails,
    "proxyAddresses": lambda user: user.proxy_addresses,
    "userType": lambda user: user.user_type,
}
DEFAULT_PROPERTIES = tuple(_DEFAULT)
SELECTABLE = tuple(_READ)
INVITATION_PROPERTIES = {
    "@odata.type",
    "invitedUser",
    "invitedUserDisplayName",
    "invitedUserEmailAddress",
    "invitedUserMessageInfo",
    "invitedUserSponsors",
    "invitedUserType",
    "inviteRedirectUrl",
    "resetRedemption",
    "sendInvitationMessage",
}
# Refused in invitedUserEmailAddress by "Create invitation".
_ADDRESS = re.compile(r"[^~!#$%^&*()+=\[\]{}\\/|;:'\"<>?,@\s]+@(?:[a-z0-9-]+\.)+[a-z0-9-]+", re.IGNORECASE)


class UserRow(Mapping[str, Any]):
    """A user as Graph shows it, each property read when asked for."""

    def __init__(self, user: User) -> None:
        self._user = user

    def __getitem__(self, name: str) -> Any:
        return _READ[name](self._user)

    def __iter__(self) -> Iterator[str]:
        return iter(_READ)

    def __len__(self) -> int:
        return len(_READ)


def guest_upn(mail: str, initial_domain: str) -> str:
    """The user principal name that the directory makes for an invited address."""
    return f"{mail.replace('@', '_')}#EXT#@{initial_domain}"


def invite(world: World, body: Mapping[str, Any], redeem_base: str, now: float) -> tuple[Invitation, User]:
    """Create an invitation, and the guest if there is none; raises GraphError for what the directory refuses."""
    mail = _check_body(body)
    settings = world.settings
    if settings.allow_invites_from in ("none", "adminsAndGuestInviters"):
        raise bad_request("Guest invitations not allowed for your company. Contact your company administrator.")
    if mail.lower() in _lower(settings.group_addresses):
        raise bad_request("Group email address is not supported. Please use a user's email address.")
    user = world.user_by_address(mail)
    if user and user.internal:
        raise _already_exists(user)
    _check_domain(world, mail)
    if mail.lower() in _lower(settings.unreachable_addresses):
        raise GraphError(500, "InternalServerError", "Unable to find target address")

    if body.get("resetRedemption"):
        user = world.users.get(str((body.get("invitedUser") or {}).get("id")))
        if user is None or user.internal:
            raise _invalid("invitedUser")
        user.before_change = replace(user, before_change=None)
        user.change_seen_from = now + settings.acceptance_lag_seconds
        user.external_user_state, user.state_changed = "PendingAcceptance", now
    if user is None:
        user = _new_guest(world, mail, body.get("invitedUserDisplayName"), now)
    ticket = secrets.token_urlsafe(32)
    send = bool(body.get("sendInvitationMessage"))
    invitation = Invitation(
        id=str(uuid.uuid4()),
        ticket=ticket,
        user_id=user.id,
        mail=mail,
        redirect_url=str(body["inviteRedirectUrl"]),
        mail_sent=send,
        created=now,
    )
    world.invitations.append(invitation)
    if send:
        # A custom message is dropped when an app sends the invitation: the stock mail goes out.
        subject = f"{settings.initial_domain} invited you to access applications within their organization"
        world.mails.append(Mail(mail, "invitation", subject, f"{redeem_base}?ticket={ticket}", now))
    return invitation, user


def accept(world: World, user: User, now: float, account: str | None = None) -> None:
    """Redeem a guest's invitation, with another account's address if `account` says so.

    What the guest was granted while pending is lost, as reported of the live service (pnp/powershell #1112).
    Raises GraphError 403 if the domain has been blocked since the invitation.
    """
    if not user.pending:
        return
    _check_domain(world, user.mail or "")
    user.before_change = replace(user, before_change=None)
    user.change_seen_from = now + world.settings.acceptance_lag_seconds
    user.external_user_state, user.state_changed = "Accepted", now
    user.redeemed_by = account or user.mail
    if account and account.lower() != (user.mail or "").lower():
        user.mail = account
        user.other_mails = [*user.other_mails, account]
        user.proxy_addresses = [*user.proxy_addresses, f"smtp:{account}"]
        world.keep(user)
    for drive in world.drives.values():
        for item in drive.items.values():
            for entry in list((item.entries or {}).values()):
                if entry.user_id == user.id and entry.granted_while_pending:
                    del (item.entries or {})[entry.id]
                if entry.link and entry.link.members.get(user.id):
                    del entry.link.members[user.id]


def invitation_row(body: Mapping[str, Any], invitation: Invitation, user: User, redeem_base: str) -> dict[str, Any]:
    """The answer to POST /invitations."""
    message = body.get("invitedUserMessageInfo") or {}
    return {
        "id": invitation.id,
        "inviteRedeemUrl": f"{redeem_base}?ticket={invitation.ticket}",
        "invitedUserDisplayName": body.get("invitedUserDisplayName"),
        "invitedUserType": "Guest",
        "invitedUserEmailAddress": invitation.mail,
        "sendInvitationMessage": invitation.mail_sent,
        "resetRedemption": bool(body.get("resetRedemption")),
        "inviteRedirectUrl": invitation.redirect_url,
        "status": "PendingAcceptance" if user.pending else "Completed",
        "invitedUserMessageInfo": {
            "messageLanguage": message.get("messageLanguage"),
            "ccRecipients": [{"emailAddress": {"name": None, "address": None}}],
            "customizedMessageBody": message.get("customizedMessageBody"),
        },
        "invitedUser": {"id": user.id},
    }


def _check_body(body: Mapping[str, Any]) -> str:
    for name in body:
        if name not in INVITATION_PROPERTIES:
            raise bad_request(f"The property '{name}' does not exist on type 'microsoft.graph.invitation'.")
    mail, redirect = body.get("invitedUserEmailAddress"), body.get("inviteRedirectUrl")
    if not isinstance(mail, str) or not _ADDRESS.fullmatch(mail):
        raise _invalid("invitedUserEmailAddress")
    local = mail.partition("@")[0]
    if local[0] in ".-" or local[-1] in ".-":
        raise _invalid("invitedUserEmailAddress")
    if not isinstance(redirect, str) or urlsplit(redirect).scheme not in ("http", "https"):
        raise _invalid("inviteRedirectUrl")
    for name in ("sendInvitationMessage", "resetRedemption"):
        if not isinstance(body.get(name), bool | None):
            raise _invalid(name)
    if body.get("invitedUserType") == "Member":
        raise GraphError(403, "Authorization_RequestDenied", "Insufficient privileges to complete the operation.")
    if body.get("invitedUserType") not in (None, "Guest"):
        raise _invalid("invitedUserType")
    return mail


def _invalid(name: str) -> GraphError:
    return bad_request(f"Invalid value specified for property '{name}' of resource 'Invitation'.")


def _lower(values: list[str]) -> set[str]:
    return {value.lower() for value in values}


def _already_exists(user: User) -> GraphError:
    if user.account_enabled:
        end = (
            ". They can use that account to sign in to shared apps and resources."
            " If you are trying to invite an external user, use another address."
        )
    else:
        end = ", but the account is blocked from signing in. Enable the account to allow sign-in."
    return bad_request(f"The invited user already exists in the directory as object ID: {user.id}{end}")


def _check_domain(world: World, mail: str) -> None:
    settings, domain = world.settings, mail.partition("@")[2].lower()
    if domain == settings.initial_domain.lower():
        raise bad_request("Invitee is in inviter tenant")
    if domain in _lower(settings.verified_domains):
        raise bad_request(
            "This user cannot be invited because the domain of the user's email address is a verified domain of this"
            " directory."
        )
    if domain in _lower(settings.cross_tenant_blocked_domains):
        raise bad_request(
            "This invitation is blocked by cross-tenant access settings. Admins in both your organization and the"
            " invited user's organization must configure cross-tenant access settings to allow the invitation."
        )
    allowed = _lower(settings.allowed_domains)
    if domain in _lower(settings.blocked_domains) or (allowed and domain not in allowed):
        raise bad_request("The invitation is blocked because the domain of the invited user is blocked by policy.")


def _new_guest(world: World, mail: str, display_name: str | None, now: float) -> User:
    settings = world.settings
    never = mail.lower() in _lower(settings.never_appearing_addresses)
    user = User(
        id=str(uuid.uuid4()),
        mail=mail,
        user_principal_name=guest_upn(mail, settings.initial_domain),
        user_type="Guest",
        display_name=display_name or mail.partition("@")[0],
        external_user_state="PendingAcceptance",
        state_changed=now,
        other_mails=[mail],
        proxy_addresses=[f"SMTP:{mail}"],
        account_enabled=True,
        creation_type="Invitation",
        created=now,
        seen_in_directory_from=float("inf") if never else now + settings.directory_lag_seconds,
        seen_in_sharepoint_from=float("inf") if never else now + settings.share_point_lag_seconds,
    )
    world.keep(user)
    return user

"""One entry of a permission list, read into who has what: pure, and tolerant of both generations that Graph sends."""

import base64
import re
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

from shared.domain.events import Sharer
from shared.domain.reasons import Reason
from shared.domain.trouble import LaterError
from shared.sources.wire import Timestamp, faults

_ANYONE = "anonymous"
_INSIDE = ("organization", "existingAccess")
_LINK_ROLES = {"view": "read", "edit": "write"}
_FULL_CONTROL = "sp.full control"
# From the widest down. Somebody with several roles has at least the widest of them that is known.
_KNOWN_ROLES = ("owner", "full control", "write", "read")
_GUEST_LOGIN = "urn:spo:guest#"
_ACCOUNT_LOGIN = "i:0#.f|membership|"
_GROUP_LOGIN = re.compile(r"c:0[to]\.c\|(?:tenant|federateddirectoryclaimprovider)\|([0-9a-f-]{36})", re.ASCII)
_EVERYBODY_INSIDE = "c:0-.f|rolemanager|spo-grid-all-users"
_APPS = ("i:0i.t|", "app@sharepoint", "sharepoint\\system")
_FIRST_REAL_YEAR = 1900  # SharePoint writes "no date" as the year 1

Text = Annotated[str, Field(max_length=500)]


class Part(BaseModel):
    """A part of Graph's JSON: what we read has the documented type; what we do not read may be anything."""

    model_config = ConfigDict(frozen=True, strict=True, alias_generator=to_camel, validate_by_name=False)


class _Identity(Part):
    id: Text | None = None
    display_name: str | None = None
    email: Text | None = None
    login_name: Text | None = None


class _IdentitySet(Part):
    user: _Identity | None = None
    site_user: _Identity | None = None
    group: _Identity | None = None
    site_group: _Identity | None = None
    share_point_group: _Identity | None = None


class _Invitation(Part):
    email: Text | None = None
    invited_by: _IdentitySet | None = None
    redeemed_by: str | None = None


class _Link(Part):
    scope: Text | None = None
    type: Text | None = None
    prevents_download: bool | None = None


class _Permission(Part):
    id: Annotated[str, Field(max_length=2000)] | None = None
    roles: list[Text | None] | None = None
    link: _Link | None = None
    invitation: _Invitation | None = None
    granted_to: _IdentitySet | None = None
    granted_to_v2: Annotated[_IdentitySet | None, Field(alias="grantedToV2")] = None
    granted_to_identities: list[_IdentitySet | None] | None = None
    granted_to_identities_v2: Annotated[list[_IdentitySet | None] | None, Field(alias="grantedToIdentitiesV2")] = None
    inherited_from: dict[str, Any] | None = None
    expiration_date_time: Timestamp | None = None


@dataclass(frozen=True)
class Person:
    """Somebody that an entry names. `id` is the account in the source tenant, which may know the address better."""

    id: str | None = None
    address: str | None = None
    name: str | None = None
    pending: bool = False


@dataclass(frozen=True)
class Group:
    """A group that an entry names. `id` is the group in Microsoft Entra; a SharePoint group has none."""

    id: str | None
    name: str | None


@dataclass(frozen=True)
class Grant:
    """What one entry gives. `people` and `groups` are empty for a link that is open to `anyone`."""

    id: str | None
    role: str | None
    people: Sequence[Person] = ()
    groups: Sequence[Group] = ()
    anyone: bool = False
    inherited: bool = False
    sharer: Sharer = field(default_factory=Sharer)
    expires_at: datetime | None = None

    @property
    def site_groups(self) -> list[str | None]:
        """The names of the SharePoint groups among the groups."""
        return [group.name for group in self.groups if group.id is None]

    def without(self, site_groups: Container[str | None]) -> Self:
        """Return the grant without those SharePoint groups."""
        return replace(self, groups=[g for g in self.groups if g.id is not None or g.name not in site_groups])


def understood[P: Part](part: type[P], answer: Mapping[str, Any]) -> P:
    """Return an answer as a value. Raises LaterError when it is not what Graph documents."""
    try:
        return part.model_validate(answer)
    except ValidationError as error:
        raise LaterError(Reason.SOURCE, detail=f"Graph's answer is not what Graph documents: {faults(error)}") from None


def read_permission(entry: Mapping[str, Any]) -> Grant | None:
    """Return what an entry gives, None when it gives nobody outside anything. May raise LaterError.

    Links for the organisation are for its own people, and links for people with existing access give nobody more.
    """
    told = understood(_Permission, entry)
    # An invitation comes with the bare address by which it is accepted: that is no sharing link.
    link = told.link if told.link is not None and (told.link.scope or told.link.type) else None
    grant = Grant(
        id=told.id or None,
        role=_role(told.roles or (), link),
        # SharePoint sends an empty object: the key alone says that the entry comes from above.
        inherited=told.inherited_from is not None,
        sharer=_sharer(told.invitation),
        expires_at=_expiry(told.expiration_date_time),
    )
    if link is not None and link.scope == _ANYONE:
        return replace(grant, anyone=True)
    if link is not None and link.scope in _INSIDE:
        return None
    holders = [*_holders(told, is_link=link is not None)]
    people = [holder for holder in holders if isinstance(holder, Person)]
    groups = [holder for holder in holders if isinstance(holder, Group)]
    invited = told.invitation.email if told.invitation else None
    is_named = bool(holders) if link is None else invited in [person.address for person in people]
    if told.invitation is not None and invited and not is_named:
        people.append(Person(address=invited, pending=not told.invitation.redeemed_by))
    return replace(grant, people=tuple(people), groups=tuple(groups)) if people or groups else None


def address_of_login(login: str) -> str | None:
    """Return the mail address that a login of an outside person holds, or the name of an inside one; None without."""
    name = login.lower().removeprefix(_ACCOUNT_LOGIN)
    if name.startswith(_GUEST_LOGIN):
        return name.removeprefix(_GUEST_LOGIN) or None
    local, is_guest, _ = name.partition("#ext#")
    if is_guest:
        user, mark, domain = local.rpartition("_")  # a domain holds no underscore
        return f"{user}@{domain}" if mark and user and domain else None
    return name if "@" in name and "|" not in name and " " not in name else None


def _holders(told: _Permission, *, is_link: bool) -> Iterator[Person | Group]:
    """Everybody that the entry names: by the second generation, else by the first, in which groups are users."""
    newer = [told.granted_to_v2, *(told.granted_to_identities_v2 or ())]
    older = [told.granted_to, *(told.granted_to_identities or ())]
    known = [one for one in newer if one is not None] or [one for one in older if one is not None]
    mails = {one.user.id: one.user.email for one in older if one and one.user and one.user.id and one.user.email}
    for identity in known:
        holder = _holder(identity, None if is_link else _login_in_id(told.id))
        if isinstance(holder, Person) and holder.address is None and holder.id in mails:
            holder = replace(holder, address=mails[holder.id])
        if holder is not None:
            yield holder


def _holder(identity: _IdentitySet, own_login: str | None) -> Person | Group | None:
    """Return who it is; None for an app, a device, and for "everybody but external users"."""
    if identity.group is not None:
        return Group(identity.group.id or None, (identity.group.display_name or "")[:500] or None)
    team = identity.site_group or identity.share_point_group
    if team is not None:
        return Group(None, (team.display_name or team.login_name or team.id or "")[:500] or None)
    user, site_user = identity.user or _Identity(), identity.site_user or _Identity()
    login = (site_user.login_name or own_login or "").lower()
    name = (user.display_name or site_user.display_name or "")[:500] or None
    if (team_login := _GROUP_LOGIN.match(login)) is not None:
        owners = login.endswith("_o")  # the owners of a group, whom its list of members does not tell
        return Group(None if owners else team_login[1], name)
    if login.startswith(_EVERYBODY_INSIDE) or any(app in login for app in _APPS):
        return None
    if login.startswith("c:0"):
        return Group(None, name)
    told = (_mail(user.email), _mail(site_user.email), address_of_login(login))
    address = next((one for one in told if one), None)
    if not user.id and address is None:
        # The first generation shows groups like this, as a user with nothing but a name.
        return Group(None, name) if name and not login else None
    return Person(user.id or None, address, name)


def _mail(text: str | None) -> str | None:
    return text.strip() if text and "@" in text and "#ext#" not in text.lower() else None


def _login_in_id(permission: str | None) -> str | None:
    """Return the login that a direct entry's id holds in base64, URL alphabet, unpadded (recorded answers)."""
    try:
        padded = (permission or "") + "=" * (-len(permission or "") % 4)
        text = base64.b64decode(padded, altchars=b"-_", validate=True).decode()
    except ValueError:
        return None
    return text if "|" in text else None


def _role(told: Sequence[str | None], link: _Link | None) -> str | None:
    """Return the role: of a link by its type, which says what the link can do; what is not known stays as told."""
    roles = [role.removeprefix("sp.") if role == _FULL_CONTROL else role for role in told if role]
    if link is None or link.type is None:
        return next((role for role in _KNOWN_ROLES if role in roles), None) or _short(", ".join(roles)) or None
    role = _LINK_ROLES.get(link.type)
    if role is not None and link.prevents_download:
        return f"{link.type}, download prevented"
    # A link that says two things about itself is not guessed at.
    contradicts = role is not None and roles and role not in roles
    return _short(f"{link.type}: {', '.join(roles)}") if contradicts else role or _short(link.type)


def _short(text: str) -> str:
    return text[:200]


def _sharer(invitation: _Invitation | None) -> Sharer:
    by = invitation.invited_by.user if invitation and invitation.invited_by else None
    return Sharer(address=_mail(by.email), source_id=by.id or None) if by else Sharer()


def _expiry(told: datetime | None) -> datetime | None:
    return told if told is not None and told.year >= _FIRST_REAL_YEAR else None

"""What the tenant holds: users, invitations, mails, drives, items and their permissions."""

import math
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

ExternalUserState = Literal["PendingAcceptance", "Accepted"]
ItemKind = Literal["folder", "file"]


def iso(moment: float) -> str:
    """Unix seconds as Graph writes a moment: 2026-11-22T06:00:00Z."""
    return datetime.fromtimestamp(math.floor(moment), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


class Clock:
    """The tenant's time in unix seconds; tests move it forward instead of sleeping."""

    def __init__(self) -> None:
        self.offset = 0.0

    def now(self) -> float:
        """The present moment of the tenant."""
        return time.time() + self.offset


class Wire(BaseModel):
    """A JSON document of the control interface: camelCase, undeclared properties refused."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="forbid", frozen=True)


class Settings(Wire):
    """Policies, budgets and lags of the tenant. Lags are in seconds, counted from the change."""

    directory_lag_seconds: float = 0
    share_point_lag_seconds: float = 0
    acceptance_lag_seconds: float = 0

    sharing_calls_per_5_minutes: int = 300
    resource_units_per_minute: int = 1_250
    invitations_per_5_seconds: int = 150
    sharing_mails_per_hour: int = 200
    permissions_page_size: int = Field(default=100, ge=1)
    delta_page_size: int = Field(default=200, ge=1)
    delta_repeats_items: bool = False
    groups_hide_members: bool = False

    initial_domain: str = "contoso.onmicrosoft.com"
    verified_domains: list[str] = ["contoso.com"]
    allow_invites_from: Literal["none", "adminsAndGuestInviters", "adminsGuestInvitersAndAllMembers", "everyone"] = (
        "everyone"
    )
    allowed_domains: list[str] = []
    blocked_domains: list[str] = []
    cross_tenant_blocked_domains: list[str] = []
    group_addresses: list[str] = []
    unreachable_addresses: list[str] = []
    never_appearing_addresses: list[str] = []

    sharing_capability: Literal[
        "disabled", "externalUserSharingOnly", "externalUserAndGuestSharing", "existingExternalUserSharingOnly"
    ] = "externalUserAndGuestSharing"
    sharing_domain_restriction_mode: Literal["none", "allowList", "blockList"] = "none"
    sharing_allowed_domain_list: list[str] = []
    sharing_blocked_domain_list: list[str] = []
    resharing_by_external_users: bool = False
    accepting_user_must_match: bool = True

    app_permissions: list[str] = [
        "Application.Read.All",
        "Files.ReadWrite.All",
        "Mail.Send",
        "Organization.Read.All",
        "Policy.Read.All",
        "SharePointTenantSettings.Read.All",
        "User.Invite.All",
        "User.Read.All",
    ]

    def patched(self, changes: dict[str, Any]) -> "Settings":
        """These settings with some of them replaced; raises pydantic's ValidationError for an unknown one."""
        return Settings.model_validate({**self.model_dump(by_alias=True), **changes})


@dataclass
class User:
    """An account of the directory. Moments are unix seconds; `seen_*_from` say when replication delivers it.

    `number` is its place in the order of creation.
    """

    id: str
    mail: str | None
    user_principal_name: str
    user_type: str
    display_name: str
    external_user_state: ExternalUserState | None
    state_changed: float | None
    other_mails: list[str]
    proxy_addresses: list[str]
    account_enabled: bool
    creation_type: str | None
    created: float
    seen_in_directory_from: float
    seen_in_sharepoint_from: float
    number: int = 0
    redeemed_by: str | None = None
    before_change: "User | None" = None
    change_seen_from: float = 0

    @property
    def internal(self) -> bool:
        """Whether the account's home is this tenant."""
        return "#EXT#" not in self.user_principal_name.upper()

    @property
    def pending(self) -> bool:
        """Whether an invitation waits to be accepted."""
        return self.external_user_state == "PendingAcceptance"

    @property
    def claims_login(self) -> str:
        """The login under which SharePoint knows the account."""
        return f"i:0#.f|membership|{self.user_principal_name.lower()}"

    @property
    def addresses(self) -> set[str]:
        """Every address by which the account is found, lower case."""
        proxies = {proxy.partition(":")[2] for proxy in self.proxy_addresses}
        known = {self.mail or "", self.user_principal_name, *self.other_mails, *proxies}
        return {address.lower() for address in known if address}

    def as_directory_sees(self, now: float) -> "User":
        """The account as replicated so far."""
        return self.before_change if self.before_change and now < self.change_seen_from else self


@dataclass
class Invitation:
    """One answered POST /invitations. The ticket is the secret in its redeem URL."""

    id: str
    ticket: str
    user_id: str
    mail: str
    redirect_url: str
    mail_sent: bool
    created: float


@dataclass
class Mail:
    """A mail to a person, the tenant's own or from a mailbox (`message`); then with what it says."""

    to: str
    kind: Literal["invitation", "sharing", "message"]
    subject: str
    url: str
    sent: float
    sender: str | None = None
    text: str = ""
    html: str = ""


@dataclass
class Link:
    """A sharing link. `members` are the user ids of scope users; true means added while still pending."""

    id: str
    item_id: str
    type: str
    scope: str
    web_url: str
    expires: str | None
    members: dict[str, bool] = field(default_factory=dict)


@dataclass
class Entry:
    """One permission on one item, held by a user, a site group, a group of the directory or a link.

    `copied` marks an entry that was inherited until a first grant on the item made it explicit. `invited` is the
    address of who was invited to it, alone as long as the invitation was not redeemed; `invited_by` is a user id.
    """

    id: str
    role: str
    user_id: str | None = None
    group: str | None = None
    link: Link | None = None
    granted_while_pending: bool = False
    copied: bool = False
    entra_group_id: str | None = None
    invited: str | None = None
    invited_by: str | None = None


@dataclass
class Item:
    """A file or folder. `entries` is None while the item inherits."""

    id: str
    name: str
    kind: ItemKind
    parent_id: str | None
    created: float
    changes: int = 1
    entries: dict[str, Entry] | None = None
    changed_at: int = 0
    sharing_changed_at: int = 0


@dataclass
class Gone:
    """A deleted item, as a delta shows it."""

    id: str
    kind: ItemKind
    parent_id: str | None
    changed_at: int


@dataclass
class Drive:
    """A document library, of a site or a user's OneDrive; names are compared without case, as SharePoint does.

    Everything that a delta tells raises `sequence`. `untold` says what subscriptions were not told of yet. Delta
    tokens from before `void_before` are not good any more.
    """

    id: str
    name: str
    root_id: str
    items: dict[str, Item] = field(default_factory=dict)
    by_name: dict[tuple[str, str], str] = field(default_factory=dict)
    owner_id: str | None = None
    site_id: str | None = None
    sequence: int = 0
    gone: list[Gone] = field(default_factory=list)
    untold: set[Literal["content", "sharing"]] = field(default_factory=set)
    void_before: int = 0

    @property
    def root(self) -> Item:
        """The root folder; it always has entries of its own."""
        return self.items[self.root_id]

    def add(self, item: Item) -> Item:
        """Put an item into the drive."""
        self.items[item.id] = item
        if item.parent_id:
            self.by_name[item.parent_id, item.name.casefold()] = item.id
        self.touch(item)
        return item

    def touch(self, item: Item, *, sharing: bool = False) -> None:
        """Note that an item has changed, in its content or in who may see it."""
        self.sequence += 1
        item.changed_at = self.sequence
        if sharing:
            item.changes += 1
            item.sharing_changed_at = self.sequence
        self.untold.add("sharing" if sharing else "content")

    def remove(self, item: Item) -> None:
        """Take an item and all below it out of the drive. A delta tells of the item only, not of what was below it."""
        self._take_out(item)
        self.sequence += 1
        self.gone.append(Gone(item.id, item.kind, item.parent_id, self.sequence))
        self.untold.add("content")

    def _take_out(self, item: Item) -> None:
        for child in self.children(item):
            self._take_out(child)
        del self.items[item.id]
        if item.parent_id:
            del self.by_name[item.parent_id, item.name.casefold()]

    def children(self, item: Item) -> list[Item]:
        """What lies directly below an item, in order of creation."""
        return [self.items[item_id] for (parent, _), item_id in self.by_name.items() if parent == item.id]

    def find(self, path: str, start: Item | None = None) -> Item | None:
        """The item at a path below the root or below `start`; None if there is none."""
        item = start or self.root
        for name in filter(None, path.split("/")):
            item_id = self.by_name.get((item.id, name.casefold()))
            if item_id is None:
                return None
            item = self.items[item_id]
        return item

    def path(self, item: Item) -> str:
        """The path of an item below the root; the root's own is "/"."""
        names: list[str] = []
        while item.parent_id:
            names.append(item.name)
            item = self.items[item.parent_id]
        return "/" + "/".join(reversed(names))


@dataclass
class Site:
    """A SharePoint site; `path` is what follows the host in its address, empty for the root site."""

    id: str
    path: str
    number: int
    personal: bool = False
    apps: dict[str, tuple[str, str]] = field(default_factory=dict)  # permission id -> client id and role


@dataclass
class Group:
    """A group of the directory; `members` are ids of users and of other groups."""

    id: str
    display_name: str
    members: list[str] = field(default_factory=list)


@dataclass
class Subscription:
    """A subscription to a drive. `security`: it was made to tell of changed permissions too."""

    id: str
    drive_id: str
    resource: str
    notification_url: str
    lifecycle_notification_url: str | None
    client_state: str | None
    expires: float
    security: bool


@dataclass
class World:
    """Everything that a call can change."""

    settings: Settings = field(default_factory=Settings)
    users: dict[str, User] = field(default_factory=dict)
    invitations: list[Invitation] = field(default_factory=list)
    mails: list[Mail] = field(default_factory=list)
    drives: dict[str, Drive] = field(default_factory=dict)
    sites: dict[str, Site] = field(default_factory=dict)
    groups: dict[str, Group] = field(default_factory=dict)
    subscriptions: dict[str, Subscription] = field(default_factory=dict)
    _by_address: dict[str, str] = field(default_factory=dict)

    def keep(self, user: User) -> None:
        """Add an account, or note that its addresses have changed."""
        user.number = user.number or len(self.users) + 1
        self.users[user.id] = user
        for address in user.addresses:
            self._by_address.setdefault(address, user.id)

    def user_by_address(self, address: str) -> User | None:
        """The first account that carries an address."""
        user_id = self._by_address.get(address.lower())
        return self.users[user_id] if user_id else None

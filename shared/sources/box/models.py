"""Box's JSON: what we read has the documented type; what we do not read may be anything.

The shapes are those of Box's OpenAPI (boxsdk 10, box_sdk_gen/schemas) and, for the sources of collaboration events,
which it leaves out, those of the models in box/box-windows-sdk-v2.
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from shared.domain.events import Item, Principal, PrincipalKind, Sharer
from shared.domain.platforms import ItemKind
from shared.domain.reasons import Reason
from shared.domain.trouble import LaterError
from shared.sources.wire import Timestamp, faults

_ANONYMOUS = "2"  # Box, "Get enterprise events": the id of somebody who is not logged in
_APPS = "@boxdevedition.com"  # Box, "User types": the logins of service accounts and app users

Id = Annotated[str, Field(pattern=r"^[0-9]{1,40}$")]
Text = Annotated[str, Field(max_length=500)]
Word = Annotated[str, Field(max_length=200)]
# In the log ids were seen as numbers, and what Box itself does names nobody.
_LogId = Annotated[Id, BeforeValidator(lambda value: str(value) if type(value) is int else value)]
_SOMEBODY = BeforeValidator(lambda value: value if isinstance(value, dict) and value.get("id") else None)


class Part(BaseModel):
    """A part of Box's JSON."""

    model_config = ConfigDict(frozen=True, strict=True)


def understood[P: Part](part: type[P], answer: dict[str, Any]) -> P:
    """Read an answer of the API. Raises LaterError when it is not what Box documents."""
    try:
        return part.model_validate(answer)
    except ValidationError as error:
        raise LaterError(Reason.SOURCE, detail=f"Box's answer is not what Box documents: {faults(error)}") from None


def address_of(login: str | None) -> str | None:
    """Return the address of a login. Deliveries were seen with a blank in the place of a `+`."""
    return login.strip().replace(" ", "+") if login and login.strip() else None


class User(Part):
    """A person, or an app."""

    id: Id
    name: Text | None = None
    login: Text | None = None

    @property
    def address(self) -> str | None:
        """The person's address."""
        return address_of(self.login)

    @property
    def is_app(self) -> bool:
        """Tell whether it is an app: Guestpass's own service account is a collaborator wherever it sees anything."""
        return (self.address or "").lower().endswith(_APPS)


def sharer_of(user: User | None) -> Sharer:
    """Return who shared it; nothing is known of anonymous people."""
    return Sharer() if user is None or user.id == _ANONYMOUS else Sharer(address=user.address, source_id=user.id)


def member_of(group: Principal, user: User) -> Principal:
    """Return the person who has it through the group."""
    return Principal(
        address=user.address, source_id=user.id, name=user.name or None, group=group.name or group.source_id
    )


class Grantee(User):
    """Who got access."""

    type: Literal["user", "group"]
    is_active: bool | None = None

    @property
    def principal(self) -> Principal:
        """The receiver of the share."""
        if self.type == "group":
            return Principal(kind=PrincipalKind.GROUP, source_id=self.id, name=self.name or None)
        return Principal(
            address=self.address, source_id=self.id, name=self.name or None, suspended=self.is_active is False
        )


class BoxItem(Part):
    """A folder, file or bookmark."""

    type: Literal["folder", "file", "web_link"]
    id: Id

    @property
    def item(self) -> Item:
        """The item; only the root has its path yet."""
        if self.type == "folder" and self.id == "0":
            return Item(id="folder:0", kind=ItemKind.ROOT, path="/")
        # Folders and files are numbered separately at Box: the number alone would not tell two items apart.
        return Item(id=f"{self.type}:{self.id}", kind=ItemKind.FOLDER if self.type == "folder" else ItemKind.FILE)


class Collaboration(Part):
    """What somebody was given. `item` is null while it is pending, and when it is about an `app_item` (a Hub)."""

    id: Id
    status: Literal["accepted", "pending", "rejected"] | None = None
    role: Word | None = None
    item: BoxItem | None = None
    app_item: dict[str, Any] | None = None
    accessible_by: Grantee | None = None
    invite_email: Text | None = None
    created_by: User | None = None
    created_at: Timestamp | None = None
    expires_at: Timestamp | None = None

    @property
    def principal(self) -> Principal:
        """The receiver; who has no account at Box yet is only known by the invitation's address."""
        told = self.accessible_by.principal if self.accessible_by else Principal()
        if told.kind is PrincipalKind.GROUP or told.address:
            return told
        return told.model_copy(update={"address": address_of(self.invite_email)})

    @property
    def is_for_app(self) -> bool:
        """Tell whether an app got access, which needs no guest."""
        return self.accessible_by is not None and self.accessible_by.is_app

    @property
    def hides_item(self) -> bool:
        """Tell whether it is about a folder or file that Box does not name before it is accepted."""
        return self.item is None and self.app_item is None and self.status == "pending"


class CollaborationPage(Part):
    """A part of a list of collaborations."""

    entries: list[Collaboration]
    next_marker: str | None = None


class SharedLink(Part):
    """A link; `effective_access` can be narrower than what was asked for in `access`."""

    access: Word | None = None
    effective_access: Word | None = None
    effective_permission: Word | None = None
    unshared_at: Timestamp | None = None

    @property
    def is_open(self) -> bool:
        """Tell whether anyone may use it."""
        return (self.effective_access or self.access) == "open"


class LinkedItem(BoxItem):
    """An item with its link."""

    shared_link: SharedLink | None = None


class WebhookTarget(Part):
    """What a webhook watches."""

    type: str
    id: Id


class NamedWebhook(Part):
    """The webhook that a delivery comes from; Box tells its target only in some places."""

    target: WebhookTarget | None = None


class WebhookEvent(Part):
    """The body of a delivery."""

    id: Annotated[str, Field(min_length=1, max_length=200)]
    created_at: Timestamp
    trigger: Word
    webhook: NamedWebhook | None = None
    created_by: User | None = None
    source: dict[str, Any] | list[Any] | None = None


class Webhook(Part):
    """A webhook as the API shows it; lists show neither address nor triggers."""

    id: Id
    target: WebhookTarget
    address: str | None = None
    triggers: list[str] = []


class WebhookPage(Part):
    """A part of the list of the app's webhooks."""

    entries: list[Webhook]
    next_marker: str | None = None


class _Folder(Part):
    id: Id
    name: str


class _PathCollection(Part):
    entries: list[_Folder]


class Location(Part):
    """Where an item lies."""

    name: str
    path_collection: _PathCollection
    is_externally_owned: bool | None = None

    @property
    def path(self) -> str | None:
        """The path from the root; None when Box shows only its lower part: a guessed path would widen access."""
        above = self.path_collection.entries
        names = [folder.name for folder in above[1:]] + [self.name]
        path = "/" + "/".join(names)
        starts_at_root = bool(above) and above[0].id == "0"
        names_are_whole = all(name and "/" not in name for name in names)
        return path if starts_at_root and names_are_whole and len(path) <= 4000 else None

    @property
    def top(self) -> str:
        """The name of the item at the top that it is, or lies in."""
        return next((folder.name for folder in self.path_collection.entries[1:]), self.name)

    @property
    def folders_above(self) -> list[str]:
        """The ids of the folders on the way, without the root, which nobody can be invited to."""
        return [folder.id for folder in self.path_collection.entries if folder.id != "0"]


class Entry(LinkedItem, Location):
    """An item as a scan reads it."""

    has_collaborations: bool | None = None

    @property
    def is_shared(self) -> bool:
        """Tell whether anybody besides the owner has access, or anyone by a link."""
        return bool(self.has_collaborations) or (self.shared_link is not None and self.shared_link.is_open)


class EntryPage(Part):
    """A part of a folder's content."""

    entries: list[Entry]
    next_marker: str | None = None


class Membership(Part):
    """A person's membership of a group."""

    user: User | None = None


class LogSource(Part):
    """What an event of the enterprise log is about: an item, and for collaborations who got it.

    Collaborations are told as folder_id or file_id with user_id, group_id, or user_email (no account yet); links as
    item_type and item_id. Other sources (users, apps, Hubs) have none of these.
    """

    item_type: Word | None = None
    item_id: _LogId | None = None
    folder_id: _LogId | None = None
    file_id: _LogId | None = None
    user_id: _LogId | None = None
    user_name: Text | None = None
    user_email: Text | None = None
    group_id: _LogId | None = None
    group_name: Text | None = None
    owned_by: Annotated[User | None, _SOMEBODY] = None

    @property
    def item(self) -> Item | None:
        """The item, without its path."""
        told = (("folder", self.folder_id), ("file", self.file_id), (self.item_type, self.item_id))
        for kind, number in told:
            if number is not None and kind in ("folder", "file", "web_link"):
                return BoxItem.model_validate({"type": kind, "id": number}).item
        return None

    @property
    def principal(self) -> Principal:
        """Who got it, as far as the source tells."""
        if self.group_id is not None:
            return Principal(kind=PrincipalKind.GROUP, source_id=self.group_id, name=self.group_name or None)
        return Principal(address=address_of(self.user_email), source_id=self.user_id, name=self.user_name or None)


class LogDetails(Part):
    """What collaboration events tell besides; `role` as people see it ("Editor")."""

    collab_id: _LogId | None = None
    role: Word | None = None


class LogEvent(Part):
    """An event of the enterprise log."""

    event_id: Annotated[str, Field(min_length=1, max_length=200)]
    event_type: Word
    created_at: Timestamp
    created_by: Annotated[User | None, _SOMEBODY] = None
    accessible_by: Annotated[Grantee | None, _SOMEBODY] = None
    source: LogSource | None = None
    additional_details: LogDetails | None = None

    @property
    def item(self) -> Item | None:
        """The item that it is about."""
        return self.source.item if self.source else None

    @property
    def collaboration(self) -> str | None:
        """The id of the collaboration that it is about; Box does not always tell it."""
        return self.additional_details.collab_id if self.additional_details else None

    @property
    def is_for_app(self) -> bool:
        """Tell whether it is an app that got or lost access."""
        return self.accessible_by is not None and self.accessible_by.is_app

    @property
    def role(self) -> str | None:
        """The role in the words of Box's API."""
        role = self.additional_details.role if self.additional_details else None
        return role.lower() if role else None

    @property
    def principal(self) -> Principal:
        """Who got access."""
        by_source = self.source.principal if self.source else Principal()
        if self.accessible_by is None or by_source.kind is PrincipalKind.GROUP:
            return by_source
        told = self.accessible_by.principal
        return told if told.address or told.kind is PrincipalKind.GROUP else by_source


class LogPage(Part):
    """A part of the enterprise log; with nothing new, `next_stream_position` was seen to be 0."""

    entries: list[LogEvent]
    next_stream_position: str | int | None = None

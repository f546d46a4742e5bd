"""The parts of Google's JSON that are read: answers of Drive, Admin Reports and Admin Directory."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

from shared.domain.platforms import ItemKind
from shared.domain.reasons import Reason
from shared.domain.trouble import LaterError
from shared.sources.wire import Timestamp, faults

_FOLDER = "application/vnd.google-apps.folder"

_Id = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,150}$")]
_Text = Annotated[str, Field(max_length=500)]
_Token = Annotated[str, Field(min_length=1, max_length=8000)]


class Part(BaseModel):
    """A part of Google's JSON: what we read has the documented type; what we do not read may be anything."""

    model_config = ConfigDict(frozen=True, strict=True, alias_generator=to_camel, hide_input_in_errors=True)


def understood[P: Part](part: type[P], answer: dict[str, Any]) -> P:
    """Return an answer as that part. Raises LaterError when it is not what Google documents."""
    try:
        return part.model_validate(answer)
    except ValidationError as error:
        detail = f"Google's answer is not what Google documents: {faults(error)}"
        raise LaterError(Reason.SOURCE, detail=detail) from None


# --- Drive


class Owner(Part):
    """Who owns a file; without an address when it is not shown."""

    email_address: _Text | None = None


class File(Part):
    """A file or folder. `driveId` only in shared drives, `owners` and `shared` only elsewhere."""

    id: _Id
    name: str
    mime_type: str
    parents: list[_Id] = []
    drive_id: _Id | None = None
    trashed: bool = False
    shared: bool | None = None
    has_augmented_permissions: bool | None = None
    owners: list[Owner] = []

    @property
    def kind(self) -> ItemKind:
        """Folder or file; the root of a shared drive is never read as a file."""
        return ItemKind.FOLDER if self.mime_type == _FOLDER else ItemKind.FILE

    @property
    def may_be_shared(self) -> bool:
        """Tell whether anybody may have a permission on the file itself: both fields say so where they are there."""
        return self.shared is not False if self.drive_id is None else self.has_augmented_permissions is not False


class Files(Part):
    """A page of files."""

    files: list[File] = []
    next_page_token: _Token | None = None


class PermissionDetail(Part):
    """Whether a permission was given here or comes from above, and with which role."""

    role: Annotated[str, Field(max_length=200)] | None = None
    inherited: bool = False


class Permission(Part):
    """Who has which role."""

    id: Annotated[str, Field(min_length=1, max_length=100)]
    type: Literal["user", "group", "domain", "anyone"]
    role: Annotated[str, Field(max_length=200)]
    email_address: _Text | None = None
    domain: _Text | None = None
    display_name: _Text | None = None
    deleted: bool = False
    expiration_time: Timestamp | None = None
    view: str | None = None
    permission_details: list[PermissionDetail] = []

    @property
    def given_role(self) -> str | None:
        """The role that was given on the item itself; None when what there is comes from above.

        `role` is the effective one: it can be wider, through a folder above. What belongs to a view (`published`;
        `metadata`: the name of a folder with limited access) opens nothing.
        """
        if self.view is not None:
            return None
        if not self.permission_details:
            return self.role
        roles = {detail.role or self.role for detail in self.permission_details if not detail.inherited}
        return self.role if self.role in roles else min(roles, default=None)


class Permissions(Part):
    """A page of an item's permissions."""

    permissions: list[Permission] = []
    next_page_token: _Token | None = None


class FileChange(Part):
    """What changed; `file` is missing when who asks has lost it."""

    change_type: str
    removed: bool = False
    file_id: _Id | None = None
    drive_id: _Id | None = None
    file: File | None = None


class Changes(Part):
    """A page of changes; one of the two tokens is there."""

    changes: list[FileChange] = []
    next_page_token: _Token | None = None
    new_start_page_token: _Token | None = None


class StartToken(Part):
    """From where changes are new."""

    start_page_token: _Token


class Drive(Part):
    """A shared drive."""

    id: _Id
    name: str


class Drives(Part):
    """A page of shared drives."""

    drives: list[Drive] = []
    next_page_token: _Token | None = None


class Channel(Part):
    """A channel as made. The expiration is in milliseconds since 1970, as text."""

    id: Annotated[str, Field(min_length=1, max_length=64)]
    resource_id: Annotated[str, Field(min_length=1, max_length=500)]
    expiration: Annotated[str, Field(pattern=r"^[0-9]{1,14}$")] | None = None


# --- Directory


class User(Part):
    """One of the company's users."""

    id: Annotated[str, Field(pattern=r"^[0-9A-Za-z]{1,100}$")]
    primary_email: _Text
    suspended: bool = False
    archived: bool = False

    @property
    def is_active(self) -> bool:
        """Tell whether the account can be used, and so acted as."""
        return not (self.suspended or self.archived)


class Users(Part):
    """A page of users."""

    users: list[User] = []
    next_page_token: _Token | None = None


class Member(Part):
    """A member of a group. Members from outside may have no status."""

    id: _Text | None = None
    email: _Text | None = None
    type: Annotated[str, Field(max_length=100)]
    status: Annotated[str, Field(max_length=100)] | None = None


class Members(Part):
    """A page of a group's members."""

    members: list[Member] = []
    next_page_token: _Token | None = None


class DomainAlias(Part):
    """Another name of a domain."""

    domain_alias_name: _Text
    verified: bool = False


class Domain(Part):
    """One of the company's domains."""

    domain_name: _Text
    verified: bool = False
    domain_aliases: list[DomainAlias] = []


class Domains(Part):
    """The company's domains."""

    domains: list[Domain] = []

    @property
    def names(self) -> frozenset[str]:
        """The verified names, in lower case."""
        aliases = [alias for domain in self.domains for alias in domain.domain_aliases]
        names = [(domain.domain_name, domain.verified) for domain in self.domains]
        names += [(alias.domain_alias_name, alias.verified) for alias in aliases]
        return frozenset(name.lower() for name, verified in names if verified)


# --- Reports


class Parameter(Part):
    """A value of an event; Google writes one value now as `value`, now as `multiValue`."""

    name: Annotated[str, Field(max_length=200)]
    value: str | None = None
    multi_value: list[str] | None = None
    bool_value: bool | None = None


class Event(Part):
    """One event of an activity."""

    name: Annotated[str, Field(max_length=200)]
    parameters: list[Parameter] = []


class ActivityId(Part):
    """When it happened, and what tells it from others at that time."""

    time: Timestamp
    unique_qualifier: Annotated[str, Field(max_length=100)] = ""


class Actor(Part):
    """Who did it; without an address when it was not a person."""

    email: _Text | None = None
    profile_id: _Text | None = None


class Activity(Part):
    """What somebody did at one moment."""

    id: ActivityId
    actor: Actor = Actor()
    events: list[Event] = []


class Activities(Part):
    """A page of activities, newest first."""

    items: list[Activity] = []
    next_page_token: _Token | None = None

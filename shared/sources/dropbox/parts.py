"""The parts of Dropbox's JSON that we read: documented types in what is read, and anything elsewhere.

They stand for the SDK's own decoder, which refuses a whole page of the log for one value that is called `other`, or a
whole list of members for one invited address that does not match its pattern.
"""

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from shared.sources.wire import Timestamp


def _tag(value: object) -> object:
    """Return the tag of a union: Dropbox writes one without a value as a word or as an object with nothing else."""
    return value.get(".tag") if isinstance(value, dict) else value


Tag = Annotated[str, BeforeValidator(_tag), Field(max_length=100)]
Id = Annotated[str, Field(pattern=r"^[-_0-9a-zA-Z:]{1,150}$")]
Text = Annotated[str, Field(max_length=500)]


class Part(BaseModel):
    """A part of Dropbox's JSON."""

    model_config = ConfigDict(frozen=True, strict=True)


# --- the team


class Member(Part):
    """A team member's profile; `member_folder_id` is the namespace of the member's own space."""

    team_member_id: Id
    email: Text
    account_id: Id | None = None
    status: Tag
    member_folder_id: Id | None = None
    root_folder_id: Id | None = None

    @property
    def is_suspended(self) -> bool:
        """Tell whether the account cannot be used as a member of this team (any more)."""
        return self.status in ("suspended", "removed")


class Admin(Part):
    """Who has linked the app to the team."""

    admin_profile: Member


class Team(Part):
    """The team."""

    team_id: Id


class FoundMember(Part):
    """An answer about one member that was asked for; without a profile when there is none."""

    profile: Member | None = None


class FoundMembers(Part):
    """Answers about members."""

    members_info: list[FoundMember]


class GroupMember(Part):
    """A member of a group."""

    profile: Member


class GroupMembers(Part):
    """A page of a group's members."""

    members: list[GroupMember]
    cursor: str
    has_more: bool


class Namespace(Part):
    """A namespace: a team folder, a shared folder, a member's own space, ..."""

    namespace_id: Id
    namespace_type: Tag
    team_member_id: Id | None = None


class Namespaces(Part):
    """A page of the namespaces that the team can reach."""

    namespaces: list[Namespace]
    cursor: str
    has_more: bool


# --- shared content


class OwnerTeam(Part):
    """The team that owns something."""

    id: Id


class SharedFolder(Part):
    """A shared folder's metadata; `folder_id` is the id of its content, with which it can be looked up in a place."""

    shared_folder_id: Id
    name: str
    is_team_folder: bool
    owner_team: OwnerTeam | None = None
    parent_shared_folder_id: Id | None = None
    folder_id: Id | None = None


class User(Part):
    """A person with a Dropbox account."""

    account_id: Id
    email: Text
    display_name: Text | None = None
    same_team: bool
    team_member_id: Id | None = None


class Invitee(Part):
    """An address that was invited."""

    email: Text | None = None


class Group(Part):
    """A group."""

    group_id: Id
    group_name: Text
    same_team: bool


class Membership(Part):
    """What a member may do. `access_type` comes from here and from the folders above together."""

    access_type: Tag
    is_inherited: bool = False
    inherited_access_type: Tag | None = None

    @property
    def role(self) -> str | None:
        """The role that was given here; None when it comes from a folder above, where it is a share of its own."""
        if self.is_inherited and self.inherited_access_type in (None, self.access_type):
            return None
        return self.access_type


class UserMembership(Membership):
    """A person as a member."""

    user: User


class GroupMembership(Membership):
    """A group as a member."""

    group: Group


class InviteeMembership(Membership):
    """An invited address that has not claimed its invitation."""

    invitee: Invitee
    user: User | None = None


class Members(Part):
    """Members of a shared folder or file."""

    users: list[UserMembership]
    groups: list[GroupMembership]
    invitees: list[InviteeMembership]
    cursor: str | None = None

    @property
    def owner(self) -> User | None:
        """The team's own member whose folder it is."""
        return next((one.user for one in self.users if one.access_type == "owner" and one.user.same_team), None)


class MembersOfFile(Part):
    """The members of one file out of several: `result` holds them, or why they are not shown."""

    file: Id
    result: dict[str, Any]


class CountedMembers(Part):
    """The result for a file whose members are shown."""

    members: Members


class PlacedIn(Part):
    """Which shared folder an entry is, or lies in."""

    shared_folder_id: Id | None = None


class Entry(Part):
    """A file or folder; `path_display` is None where it is not mounted."""

    tag: Annotated[str, Field(alias=".tag")]
    id: Id | None = None
    path_display: str | None = None
    sharing_info: PlacedIn | None = None
    has_explicit_shared_members: bool | None = None


class Entries(Part):
    """A page of what lies in a namespace."""

    entries: list[Entry]
    cursor: str
    has_more: bool


class LinkPermissions(Part):
    """Who can open a link, by the older and the newer of Dropbox's two ways to say it, and what they may do."""

    resolved_visibility: Tag | None = None
    effective_audience: Tag | None = None
    link_access_level: Tag | None = None

    @property
    def is_open(self) -> bool:
        """Tell whether whoever has the link can open it, perhaps with a password or after signing in."""
        return (self.effective_audience or self.resolved_visibility) in ("public", "password", "public_logged_in_only")


class Link(Part):
    """A shared link. Its address is left out: whoever knows it is in."""

    tag: Annotated[str, Field(alias=".tag")]
    id: Id | None = None
    expires: Timestamp | None = None
    created_timestamp: Timestamp | None = None
    link_permissions: LinkPermissions

    @property
    def level(self) -> str:
        """What the link lets people do. Links from before there were levels are for viewing."""
        return self.link_permissions.link_access_level or "viewer"


class Links(Part):
    """A page of a member's links."""

    links: list[Link]
    has_more: bool
    cursor: str | None = None


# --- the log


class LogPage(Part):
    """A page of the team's log. The events are read one by one: one that is odd does not stop the others."""

    events: list[dict[str, Any]]
    cursor: str
    has_more: bool

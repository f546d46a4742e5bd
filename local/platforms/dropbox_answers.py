"""The shapes of what Dropbox's stand-in answers, as Dropbox's API specification (stone) has them."""

from typing import Any

from local.platforms.dropbox_team import (
    OTHER_TEAM_ID,
    ROLES,
    TEAM_ID,
    Content,
    Group,
    Link,
    Member,
    Namespace,
    Shares,
    Team,
)

type Json = dict[str, Any]

_TIME = "2026-01-20T09:00:00Z"
_TEAMS = {TEAM_ID: "Contoso", OTHER_TEAM_ID: "Partner"}


def profile(team: Team, member: Member) -> Json:
    """Return a TeamMemberProfile."""
    first = member.email.partition("@")[0]
    status: Json = {".tag": member.status}
    if member.status == "removed":
        status |= {"is_recoverable": True, "is_disconnected": False}
    shown: Json = {
        "team_member_id": member.id,
        "account_id": team.account_id(member.email),
        "email": member.email,
        "email_verified": True,
        "status": status,
        "name": {
            "given_name": first,
            "surname": "",
            "familiar_name": first,
            "display_name": first,
            "abbreviated_name": first[:2],
        },
        "membership_type": {".tag": "full"},
        "joined_on": _TIME,
        "groups": [one.id for one in team.groups.values() if member.email in one.members],
        "member_folder_id": member.home,
        "root_folder_id": member.root,
    }
    if member.status == "suspended":
        shown["suspended_on"] = _TIME
    return shown


def group_member(team: Team, email: str) -> Json:
    """Return a GroupMemberInfo."""
    whole = profile(team, team.member(email))
    short = {name: value for name, value in whole.items() if name not in ("groups", "member_folder_id")}
    return {"profile": {n: v for n, v in short.items() if n != "root_folder_id"}, "access_type": {".tag": "member"}}


def namespace(team: Team, one: Namespace) -> Json:
    """Return a NamespaceMetadata."""
    shown: Json = {
        "name": one.name,
        "namespace_id": one.id,
        "namespace_type": {".tag": one.type},
        "quota_limit": 0,
    }
    if one.type in ("team_member_folder", "app_folder") and one.owner:
        shown["team_member_id"] = team.member(one.owner).id
    return shown


def folder(team: Team, one: Namespace, path: str | None, access: str, *, with_content_id: bool = True) -> Json:
    """Return a SharedFolderMetadata; `path` is None where it is not mounted for who asks."""
    above = team.parent_shared(one)
    shown: Json = {
        "access_type": {".tag": access},
        "is_inside_team_folder": above is not None and one.owner is None,
        "is_team_folder": one.type == "team_folder",
        "name": one.name,
        "policy": {
            "acl_update_policy": {".tag": "editors"},
            "shared_link_policy": {".tag": "anyone"},
            "member_policy": {".tag": "anyone"},
            "resolved_member_policy": {".tag": "anyone"},
        },
        "permissions": [],
        "preview_url": f"https://www.dropbox.com/scl/fo/{one.id}",
        "shared_folder_id": one.id,
        "time_invited": _TIME,
        "access_inheritance": {".tag": "inherit" if one.inherits else "no_inherit"},
    }
    if one.team:
        shown["owner_team"] = {"id": one.team, "name": _TEAMS[one.team]}
    if with_content_id:
        shown["folder_id"] = one.content
    if above is not None:
        shown |= {"parent_shared_folder_id": above.id, "parent_folder_name": above.name}
    if path is not None:
        shown |= {"path_lower": path.lower(), "path_display": path}
    return shown


def members(team: Team, shares: Shares, inherited: Shares, *, of_file: bool) -> list[tuple[str, Json]]:
    """Return all memberships, each with the name of the list that it stands in."""
    found: list[tuple[str, Json]] = []
    for email in dict.fromkeys((*shares.users, *inherited.users)):
        access = _access(shares.users.get(email), inherited.users.get(email))
        seen = {"platform_type": {".tag": "unknown"}} if of_file else {}
        found.append(("users", {**access, **seen, "user": user(team, email)}))
    for ident in dict.fromkeys((*shares.groups, *inherited.groups)):
        access = _access(shares.groups.get(ident), inherited.groups.get(ident))
        found.append(("groups", {**access, "group": group(team.groups[ident])}))
    for email, role in shares.invitees.items():
        found.append(("invitees", {**_access(role, None), "invitee": {".tag": "email", "email": email}}))
    return found


def _access(own: str | None, above: str | None) -> Json:
    widest = min((role for role in (own, above) if role), key=ROLES.index)
    shown: Json = {"access_type": {".tag": widest}, "permissions": [], "is_inherited": above is not None}
    if above is not None:
        shown["inherited_access_type"] = {".tag": above}
    return shown


def user(team: Team, email: str) -> Json:
    """Return a UserInfo."""
    member = team.members.get(email)
    same = member is not None and member.status != "removed"
    shown: Json = {
        "account_id": team.account_id(email),
        "email": email,
        "display_name": email.partition("@")[0],
        "same_team": same,
    }
    if member is not None and same:
        shown["team_member_id"] = member.id
    return shown


def group(one: Group) -> Json:
    """Return a GroupInfo."""
    return {
        "group_name": one.name,
        "group_id": one.id,
        "member_count": len(one.members),
        "group_management_type": {".tag": "company_managed"},
        "group_type": {".tag": "user_managed"},
        "is_member": False,
        "is_owner": False,
        "same_team": one.same_team,
    }


def entry(team: Team, one: Namespace | Content, path: str | None, *, flagged: bool = False) -> Json:
    """Return a FileMetadata or FolderMetadata; `path` is None where it is not mounted."""
    if isinstance(one, Namespace):
        above, inside = team.parent_shared(one), {"shared_folder_id": one.id}
        if above is not None:
            inside["parent_shared_folder_id"] = above.id
        kind, ident, name = "folder", one.content, one.name
    else:
        holder = team.namespaces[one.namespace]
        inside = {"parent_shared_folder_id": holder.id} if holder.type != "team_member_folder" else {}
        kind, ident, name = one.kind, one.id, one.path.rpartition("/")[2]
    shown: Json = {".tag": kind, "name": name, "id": ident}
    if path is not None:
        shown |= {"path_lower": path.lower(), "path_display": path}
    if inside:
        extra = {} if kind == "file" else {"traverse_only": False, "no_access": False}
        shown["sharing_info"] = {"read_only": False, **inside, **extra}
    if kind == "file":
        shown |= {
            "client_modified": _TIME,
            "server_modified": _TIME,
            "rev": "a1c10ce0dd78",
            "size": 7212,
            "is_downloadable": True,
            "content_hash": "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        }
        if flagged and isinstance(one, Content):
            shown["has_explicit_shared_members"] = bool(one.shares.users or one.shares.invitees or one.shares.groups)
    return shown


def link(team: Team, one: Link, made: str, expires: str | None) -> Json:
    """Return a FileLinkMetadata or FolderLinkMetadata."""
    content = team.content.get(one.content)
    is_file = content is not None and content.kind == "file"
    name = content.path.rpartition("/")[2] if content else one.content
    visibility = {"public": "public", "team": "team_only", "password": "password"}.get(one.audience, "no_one")
    shown: Json = {
        ".tag": "file" if is_file else "folder",
        "url": f"https://www.dropbox.com/scl/fo/{one.content.removeprefix('id:')}?rlkey=local",
        "id": one.content,
        "name": name,
        "created_timestamp": made,
        "link_permissions": {
            "resolved_visibility": {".tag": visibility},
            "effective_audience": {".tag": one.audience},
            "link_access_level": {".tag": one.level},
            "can_revoke": True,
            "visibility_policies": [],
            "can_set_expiry": True,
            "can_remove_expiry": True,
            "allow_download": True,
            "can_allow_download": True,
            "can_disallow_download": True,
            "allow_comments": True,
            "team_restricts_comments": False,
        },
    }
    if expires:
        shown["expires"] = expires
    if is_file:
        shown |= {"client_modified": _TIME, "server_modified": _TIME, "rev": "a1c10ce0dd78", "size": 7212}
    return shown

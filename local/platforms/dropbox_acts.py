"""What people do in the team of Dropbox's stand-in."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from local.platforms.dropbox_team import ROLES, Content, Link, Namespace, Shares, Team
from local.platforms.standin import Act

type Json = dict[str, Any]


def perform(team: Team, act: Act) -> list[str]:
    """Do what a user does; return the members who are told. Raises ValueError for what Dropbox does not do."""
    if act.kind == "root":
        raise ValueError("Dropbox shares neither a team's nor a member's whole space with outside people")
    if act.expires_at is not None:
        raise ValueError("a membership at Dropbox has no expiry date")
    role = act.role or "editor"
    if role not in ROLES:
        raise ValueError(f"Dropbox has no role {role!r}")
    target: Namespace | Content = team.file(act.path) if act.kind == "file" else team.shared_folder(act.path)
    actor = team.member(act.sharer).email if act.sharer else team.admin.email
    if act.act == "share":
        _share(team, target, act, role, actor)
    elif act.act == "role":
        _change_role(team, target, act, role, actor)
    else:
        _remove(team, target, act, actor)
    return told(team, target)


def told(team: Team, target: Namespace | Content) -> list[str]:
    """Return the members whom a notification names: everybody in the team who has the content."""
    above = target if isinstance(target, Namespace) else team.namespaces[target.namespace]
    having = {*target.shares.users, *above.shares.users, *([above.owner] if above.owner else [])}
    return [team.members[one].id for one in sorted(having & team.members.keys())] or [team.admin.id]


def _participant(team: Team, name: str) -> tuple[str, Json]:
    """Return the key of whom an act is about, and how the log names them: `group:<name>` is a group."""
    if name.startswith("group:"):
        group = next(one for one in team.groups.values() if one.name == name.removeprefix("group:"))
        return group.id, {".tag": "group", "group_id": group.id, "display_name": group.name}
    return name, {".tag": "user", "user": team.person(name)}


def _share(team: Team, target: Namespace | Content, act: Act, role: str, actor: str) -> None:
    key, participant = _participant(team, act.person)
    details: Json = {"shared_content_access_level": {".tag": role}}
    if act.pending:
        kind, people, place = "shared_content_add_invitees", [], target.shares.invitees
        details["invitees"] = [key]
    else:
        kind, people, place = "shared_content_add_member", [participant], _place(target.shares, participant)
    place[key] = role
    if act.notify != "never":
        team.note(kind, actor, target, details, people, at=act.shared_at)


def _place(shares: Shares, participant: Json) -> dict[str, str]:
    return shares.groups if participant[".tag"] == "group" else shares.users


def _change_role(team: Team, target: Namespace | Content, act: Act, role: str, actor: str) -> None:
    key, participant = _participant(team, act.person)
    invited = key in target.shares.invitees
    place = target.shares.invitees if invited else _place(target.shares, participant)
    if key not in place:
        raise ValueError("nobody of this name has it")
    details: Json = {"previous_access_level": {".tag": place[key]}, "new_access_level": {".tag": role}}
    place[key] = role
    if act.notify == "never":
        return
    if invited:
        team.note("shared_content_change_invitee_role", actor, target, {**details, "invitee": key})
    else:
        team.note("shared_content_change_member_role", actor, target, details, [participant])


def _remove(team: Team, target: Namespace | Content, act: Act, actor: str) -> None:
    key, participant = _participant(team, act.person)
    invited = key in target.shares.invitees
    place = target.shares.invitees if invited else _place(target.shares, participant)
    if key not in place:
        raise ValueError("nobody of this name has it")
    role = place.pop(key)
    if act.notify == "never":
        return
    if invited:
        team.note("shared_content_remove_invitees", actor, target, {"invitees": [key]})
    else:
        details = {"shared_content_access_level": {".tag": role}}
        team.note("shared_content_remove_member", actor, target, details, [participant])


def happen(team: Team, what: Mapping[str, Any]) -> None:
    """Do what only Dropbox's people do; `what` says which, see local.platforms.dropbox. Raises ValueError."""
    match what:
        case {"what": "claim", "invited": invited, "person": person, **rest}:
            target = _target(team, rest)
            target.shares.users[person] = target.shares.invitees.pop(invited)
            team.note("shared_content_claim_invitation", person, target, {})
        case {"what": "leave", "person": person, **rest}:
            target = _target(team, rest)
            target.shares.users.pop(person)
            team.note("shared_content_relinquish_membership", person, target, {})
        case {"what": "unshare", **rest}:
            _unshare(team, _target(team, rest), rest.get("by", team.admin.email))
        case {"what": "link", **rest}:
            _link(team, rest)
        case {"what": "status", "person": person, "status": status}:
            _status(team, person, status)
        case {"what": "restrict", "path": path}:
            target = team.shared_folder(path)
            target.inherits = False
            policy = {"new_value": {".tag": "dont_inherit_members"}}
            team.note("shared_folder_change_members_inheritance_policy", team.admin.email, target, policy)
        case {"what": "event", "category": category, "event": event}:
            team.log.append((category, event))
        case _:
            raise ValueError("there is no such happening")


def _target(team: Team, rest: Mapping[str, Any]) -> Namespace | Content:
    return team.file(rest["path"]) if rest.get("kind") == "file" else team.shared_folder(rest["path"])


def _unshare(team: Team, target: Namespace | Content, actor: str) -> None:
    if isinstance(target, Namespace) and target.parent is None:
        raise ValueError("a team folder cannot be unshared")
    target.shares.clear()
    team.note("shared_content_unshare", actor, target, {})
    if isinstance(target, Namespace):
        team.dissolve(target)


def _link(team: Team, rest: Mapping[str, Any]) -> None:
    """Make a link, change it, send it, or remove it."""
    owner, level, audience = rest["owner"], rest.get("level", "viewer"), rest.get("audience", "public")
    if rest.get("kind") == "file":
        target: Namespace | Content = team.file(rest["path"])
    else:
        inner, beneath = team.find(rest["path"])
        target = team.folder(rest["path"]) if beneath else inner
    content = target.id if isinstance(target, Content) else target.content
    before = next((one for one in team.links if (one.owner, one.content, one.level) == (owner, content, level)), None)
    if rest.get("remove"):
        if before is None:
            raise ValueError("there is no such link")
        team.links.remove(before)
        team.note("shared_link_disable", owner, target, {"shared_link_owner": team.person(owner)})
        return
    expires = datetime.fromisoformat(rest["expires"]) if rest.get("expires") else None
    if before is None:
        made = datetime.now(UTC).replace(microsecond=0)
        team.links.append(Link(owner, content, level, audience, made, expires))
        wide = {"viewer": "reader", "editor": "writer"}[level]
        team.note("shared_link_create", owner, target, {"shared_link_access_level": {".tag": wide}})
    elif audience != before.audience:
        details: Json = {
            "shared_content_access_level": {".tag": level},
            "new_value": {".tag": audience},
            "previous_value": {".tag": before.audience},
        }
        before.audience = audience
        team.note("shared_link_settings_change_audience", owner, target, details)
    if rest.get("to"):
        outside = [{"user_identifier": one, "identifier_type": {".tag": "email"}} for one in rest["to"]]
        team.note(
            "shared_link_share", owner, target, {"shared_link_owner": team.person(owner), "external_users": outside}
        )


def _status(team: Team, person: str, status: str) -> None:
    member = team.member(person)
    details = {"previous_value": {".tag": member.status}, "new_value": {".tag": status}}
    named = [{".tag": "user", "user": team.person(person)}]
    member.status = status
    team.note("member_change_status", team.admin.email, None, details, named, category="members")

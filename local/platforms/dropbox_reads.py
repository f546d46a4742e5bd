"""What Dropbox's stand-in answers to each route, page by page."""

import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from local.platforms import dropbox_answers as answers
from local.platforms.dropbox_routes import BadRequestError, RouteError
from local.platforms.dropbox_team import TEAM_ID, Content, Group, Member, Namespace, Shares, Team, stamp

type Json = dict[str, Any]


@dataclass(frozen=True)
class Who:
    """In whose name a call is made, and where its paths begin."""

    member: Member
    as_admin: bool
    root: str


@dataclass
class _Listing:
    """What a cursor stands for."""

    route: str
    items: Sequence[Any]
    size: int
    at: int = 0


@dataclass(frozen=True)
class _LogCursor:
    """How far a category of the log is read. `start` counts for the `known` first events."""

    category: str
    size: int
    start: str
    known: int
    at: int = 0


class Reads:
    """The answers, and how they are cut into pages."""

    team_id = TEAM_ID

    def __init__(self, team: Team) -> None:
        """`team`: what there is."""
        self.team = team
        self.page = 1000
        self.empty_log_pages = 0
        self.repeats_namespaces = self.omits_folder_ids = False
        self._listings: dict[str, _Listing] = {}
        self._log_cursors: dict[str, _LogCursor] = {}
        self._void: Json = {}

    def groups(self, wanted: Sequence[Mapping[str, Any]]) -> None:
        """Take in groups."""
        for one in wanted:
            group = Group(one["name"], one.get("members", []), one.get("same_team", True))
            self.team.groups[group.id] = group

    def behave(self, wanted: Mapping[str, Any]) -> None:
        """Take in how pages are cut and which cursors are void."""
        for name in ("page", "empty_log_pages", "repeats_namespaces", "omits_folder_ids"):
            if name in wanted:
                setattr(self, name, wanted[name])
        if "void" in wanted:
            self._void = dict.fromkeys(self._log_cursors, wanted["void"])
        if wanted.get("forget_cursors"):
            self._listings.clear()

    def answer(self, name: str, argument: Json, who: Who) -> object:
        """Answer a route. Raises RouteError, BadRequestError."""
        method: Callable[[Json, Who], object] = getattr(self, "_" + name.replace("/", "_"))
        return method(argument, who)

    # --- the team

    def _team_token_get_authenticated_admin(self, _: Json, __: Who) -> Json:
        if self.team.admin.status != "active":
            raise RouteError("admin_not_active")
        return {"admin_profile": answers.profile(self.team, self.team.admin)}

    def _team_get_info(self, _: Json, __: Who) -> Json:
        policies = {
            "sharing": {
                "shared_folder_member_policy": {".tag": "anyone"},
                "shared_folder_join_policy": {".tag": "from_anyone"},
                "shared_link_create_policy": {".tag": "team_only"},
                "group_creation_policy": {".tag": "admins_only"},
                "shared_folder_link_restriction_policy": {".tag": "anyone"},
                "enforce_link_password_policy": {".tag": "optional"},
                "default_link_expiration_days_policy": {".tag": "none"},
                "shared_link_default_permissions_policy": {".tag": "default"},
            },
            "emm_state": {".tag": "disabled"},
            "office_addin": {".tag": "disabled"},
            "suggest_members_policy": {".tag": "enabled"},
            "top_level_content_policy": {".tag": "admin_only"},
        }
        count = len(self.team.members)
        licences = {"num_licensed_users": count, "num_provisioned_users": count, "num_used_licenses": count}
        return {"name": "Contoso", "team_id": TEAM_ID, **licences, "policies": policies}

    def _team_members_get_info_v2(self, argument: Json, _: Who) -> Json:
        found: list[Json] = []
        for one in argument["members"]:
            asked = one[one[".tag"]]
            known = self.team.member_by_id(asked) or self.team.members.get(asked)
            if known is None:
                found.append({".tag": "id_not_found", "id_not_found": asked})
            else:
                found.append({".tag": "member_info", "profile": answers.profile(self.team, known), "roles": []})
        return {"members_info": found}

    def _team_groups_members_list(self, argument: Json, _: Who) -> Json:
        group = self.team.groups.get(argument["group"]["group_id"])
        if group is None or not group.same_team:
            raise RouteError("group_not_found")
        listing = _Listing("groups", group.members, argument.get("limit", 1000))
        return self._members_of_group(listing)

    def _team_groups_members_list_continue(self, argument: Json, _: Who) -> Json:
        return self._members_of_group(self._listing(argument["cursor"], "groups"))

    def _members_of_group(self, listing: _Listing) -> Json:
        emails, cursor, more = self._cut(listing)
        shown = [answers.group_member(self.team, email) for email in emails]
        return {"members": shown, "cursor": cursor, "has_more": more}

    def _team_namespaces_list(self, _: Json, __: Who) -> Json:
        found = list(self.team.namespaces)
        if self.repeats_namespaces:
            found = [one for ident in found for one in (ident, found[0], ident)]
        return self._namespaces(_Listing("namespaces", found, self.page))

    def _team_namespaces_list_continue(self, argument: Json, _: Who) -> Json:
        return self._namespaces(self._listing(argument["cursor"], "namespaces"))

    def _namespaces(self, listing: _Listing) -> Json:
        idents, cursor, more = self._cut(listing)
        known = [self.team.namespaces[ident] for ident in idents if ident in self.team.namespaces]
        shown = [answers.namespace(self.team, one) for one in known]
        return {"namespaces": shown, "cursor": cursor, "has_more": more}

    # --- the log

    def _team_log_get_events(self, argument: Json, _: Who) -> Json:
        category = (argument.get("category") or {}).get(".tag", "sharing")
        start = (argument.get("time") or {}).get("start_time", "")
        if start > stamp(datetime.now(UTC) + timedelta(days=1)):
            raise RouteError("invalid_time_range")
        return self._events(_LogCursor(category, argument.get("limit", 1000), start, len(self.team.log)))

    def _team_log_get_events_continue(self, argument: Json, _: Who) -> Json:
        cursor = argument["cursor"]
        if cursor not in self._log_cursors or self._void.get(cursor) == "bad_cursor":
            raise RouteError("bad_cursor")
        here = self._log_cursors[cursor]
        if cursor in self._void:
            before = [event["timestamp"] for of, event in self.team.log[: here.at] if of == here.category]
            raise RouteError("reset", max(before, default=stamp(datetime.now(UTC))))
        return self._events(here)

    def _events(self, here: _LogCursor) -> Json:
        found: list[Json] = []
        at, log = here.at, self.team.log
        if self.empty_log_pages and here.category == "sharing":
            self.empty_log_pages -= 1
            return {"events": [], "cursor": self._log_cursor(here), "has_more": True}
        while at < len(log) and len(found) < here.size:
            category, event = log[at]
            # What is logged late comes with a cursor however old it is.
            if category == here.category and (at >= here.known or event["timestamp"] >= here.start):
                found.append(event)
            at += 1
        more = any(category == here.category for category, _ in log[at:])
        cursor = self._log_cursor(replace(here, at=at))
        return {"events": found[::-1], "cursor": cursor, "has_more": more}  # "not guaranteed to be sorted"

    def _log_cursor(self, here: _LogCursor) -> str:
        cursor = secrets.token_urlsafe(40)
        self._log_cursors[cursor] = here
        return cursor

    # --- shared content

    def _sharing_get_folder_metadata(self, argument: Json, who: Who) -> Json:
        one = self._folder(argument["shared_folder_id"], who)
        mounted = self.team.path_from(who.root, one.id, "")
        access = one.shares.users.get(who.member.email, "editor")
        named = not self.omits_folder_ids
        return answers.folder(self.team, one, mounted or None, access, with_content_id=named)

    def _folder(self, ident: str, who: Who) -> Namespace:
        one = self.team.namespaces.get(ident)
        if one is None or one.type not in ("shared_folder", "team_folder"):
            raise RouteError("invalid_id")
        if one.hidden or not (who.as_admin or who.member.email in one.shares.users):
            raise RouteError("not_a_member")
        return one

    def _sharing_list_folder_members(self, argument: Json, who: Who) -> Json:
        one = self._folder(argument["shared_folder_id"], who)
        found = answers.members(self.team, one.shares, self.team.inherited(one), of_file=False)
        return self._members(_Listing("folder_members", found, argument.get("limit", 1000)))

    def _sharing_list_folder_members_continue(self, argument: Json, _: Who) -> Json:
        return self._members(self._listing(argument["cursor"], "folder_members"))

    def _members(self, listing: _Listing) -> Json:
        size = min(listing.size, self.page)
        found, cursor, more = self._cut(_Listing(listing.route, listing.items, size, listing.at))
        shown: Json = {"users": [], "groups": [], "invitees": []}
        for kind, one in found:
            shown[kind].append(one)
        return {**shown, **({"cursor": cursor} if more else {})}

    def _sharing_list_file_members(self, argument: Json, who: Who) -> Json:
        return self._members(self._file_members(argument["file"], who, argument.get("limit", 100)))

    def _sharing_list_file_members_continue(self, argument: Json, _: Who) -> Json:
        return self._members(self._listing(argument["cursor"], "file_members"))

    def _sharing_list_file_members_batch(self, argument: Json, who: Who) -> list[Json]:
        found = []
        for file in argument["files"]:
            result: Json
            try:
                listing = self._file_members(file, who, argument.get("limit", 1000))
                result = {".tag": "result", "members": self._members(listing), "member_count": len(listing.items)}
            except RouteError as error:
                result = error.body
            found.append({"file": file, "result": result})
        return found

    def _file_members(self, file: str, who: Who, limit: int) -> _Listing:
        one = self.team.content.get(file)
        if one is None or one.kind != "file":
            raise RouteError("access_error", "invalid_file")
        above = self.team.namespaces[one.namespace]
        if above.hidden or not self._may_see(above, who):
            raise RouteError("access_error", "no_permission")
        return _Listing("file_members", answers.members(self.team, one.shares, Shares(), of_file=True), limit)

    def _may_see(self, above: Namespace, who: Who) -> bool:
        """An admin sees the team's own content there, a member what is theirs or shared to them."""
        if who.as_admin:
            return above.owner is None
        return who.member.email in (above.owner, *above.shares.users)

    def _sharing_list_shared_links(self, argument: Json, who: Who) -> Json:
        if argument.get("cursor"):
            if argument["cursor"] not in self._listings:
                raise RouteError("reset")
            listing = self._listing(argument["cursor"], "links")
        else:
            links = [one for one in self.team.links if one.owner == who.member.email]
            if argument.get("path"):
                content = self._resolve(argument["path"], who)
                ident = content.content if isinstance(content, Namespace) else content.id
                links = [one for one in links if one.content == ident]
            listing = _Listing("links", links, self.page)
        found, cursor, more = self._cut(listing)
        expiries = [stamp(one.expires) if one.expires else None for one in found]
        shown = [answers.link(self.team, one, stamp(one.made), e) for one, e in zip(found, expiries, strict=True)]
        return {"links": shown, "has_more": more, **({"cursor": cursor} if more else {})}

    # --- files

    def _files_get_metadata(self, argument: Json, who: Who) -> Json:
        one = self._resolve(argument["path"], who)
        return answers.entry(self.team, one, self._path(one, who.root))

    def _path(self, one: Namespace | Content, root: str) -> str | None:
        if isinstance(one, Namespace):
            return self.team.path_from(root, one.id, "") or None
        return self.team.path_from(root, one.namespace, one.path)

    def _resolve(self, path: str, who: Who) -> Namespace | Content:
        """Return what is at a path, in any of the three ways to write one."""
        if path.startswith("id:"):
            spaces = (one for one in self.team.namespaces.values() if one.content == path)
            found = self.team.content.get(path) or next(spaces, None)
        else:
            root, inside = who.root, path
            if path.startswith("ns:"):
                root, _, rest = path.removeprefix("ns:").partition("/")
                inside = f"/{rest}" if rest else ""
            found = self._at(root, inside)
        if found is None:
            raise RouteError("path", "not_found")
        above = found if isinstance(found, Namespace) else self.team.namespaces[found.namespace]
        if not who.as_admin and not self._may_see(above, who):
            raise RouteError("path", "not_found")
        return found

    def _at(self, root: str, path: str) -> Namespace | Content | None:
        everything: list[Namespace | Content] = [*self.team.namespaces.values(), *self.team.content.values()]
        return next((one for one in everything if (self._path(one, root) or "").lower() == path.lower() != ""), None)

    def _files_list_folder(self, argument: Json, who: Who) -> Json:
        space = self.team.namespaces.get(who.root)
        if argument["path"] != "" or not argument.get("recursive") or argument.get("include_mounted_folders", True):
            raise BadRequestError("This stand-in lists namespaces one by one, from their roots.")
        if space is None or space.hidden:
            raise RouteError("path", "not_found")
        flagged = bool(argument.get("include_has_explicit_shared_members"))
        found = [one for one in self.team.content.values() if one.namespace == space.id]
        shown = [answers.entry(self.team, one, one.path, flagged=flagged) for one in found]
        return self._entries(_Listing("entries", shown, min(argument.get("limit", 2000), self.page)))

    def _files_list_folder_continue(self, argument: Json, _: Who) -> Json:
        if argument["cursor"] not in self._listings:
            raise RouteError("reset")
        return self._entries(self._listing(argument["cursor"], "entries"))

    def _entries(self, listing: _Listing) -> Json:
        found, cursor, more = self._cut(listing)
        return {"entries": list(found), "cursor": cursor, "has_more": more}

    # --- pages

    def _cut(self, listing: _Listing) -> tuple[Sequence[Any], str, bool]:
        """Return a page, the cursor for the next one, and whether there is one."""
        end = listing.at + listing.size
        cursor = secrets.token_urlsafe(40)
        self._listings[cursor] = _Listing(listing.route, listing.items, listing.size, end)
        return listing.items[listing.at : end], cursor, end < len(listing.items)

    def _listing(self, cursor: str, route: str) -> _Listing:
        known = self._listings.get(cursor)
        if known is None or known.route != route:
            raise RouteError("invalid_cursor")
        return known

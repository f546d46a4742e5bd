"""Microsoft Graph's calls: one pure function from a call to an answer, over the tenant's world."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from local.tenant import administration, delta, directory, drives, mailing, organization, sharing, subscriptions
from local.tenant.calls import Answer, Call, moment, page, select
from local.tenant.errors import (
    GraphError,
    bad_request,
    directory_bad_request,
    invalid_request,
    item_not_found,
    sharing_disabled,
    unsupported_query,
    user_not_found,
)
from local.tenant.odata import parse_filter
from local.tenant.shapes import drive_item_row, link_row, permission_row
from local.tenant.sharing import Place
from local.tenant.state import Clock, Mail, User, World
from local.tenant.throttle import Throttle

# Microsoft announces the end of grantedTo on every answer that holds permissions.
DEPRECATION = {"Deprecation": "Fri, 03 Sep 2021 23:59:59 GMT", "Sunset": "Sun, 01 Oct 2023 23:59:59 GMT"}
MAX_MESSAGE = 2_000
MAX_USERS_PAGE = 999

_ITEM_PATH = re.compile(
    r"/drives/(?P<drive>[^/]+)/(?:root|items/(?P<item>[^/:]+))(?::(?P<path>/[^:]*)(?::|$))?(?P<rest>/.*)?"
)
_PERMISSION_PATH = re.compile(r"/permissions/([^/]+)")
_SHARE_PATH = re.compile(r"/shares/([^/]+)/permission/grant")
_USER_PATH = re.compile(r"/users/([^/]+)")
_SEND_PATH = re.compile(r"/users/([^/]+)/sendMail")


class Graph:
    """Answers calls; every refusal is a GraphError."""

    def __init__(self, world: World, clock: Clock, throttle: Throttle) -> None:
        self.world = world
        self.clock = clock
        self.throttle = throttle

    def answer(self, call: Call) -> Answer:
        """Carry out one authenticated call."""
        if match := _ITEM_PATH.fullmatch(call.path):
            return self._item(call, match)
        if administering := administration.handler(self.world, call):
            return administering()
        if organization.knows(call.path):
            return organization.answer(self.world, call)
        if subscriptions.concerns(call):
            return subscriptions.answer(self.world, call, self.clock.now())
        if call.method == "GET" and (listing := drives.handler(self.world, call)):
            if call.sharepoint:
                self.throttle.units.spend(1)
            return listing()
        share, user = _SHARE_PATH.fullmatch(call.path), _USER_PATH.fullmatch(call.path)
        send = _SEND_PATH.fullmatch(call.path)
        match call.method, call.path:
            case "GET", "/users":
                return self._users(call)
            case "GET", _ if user:
                return self._user(call, user[1])
            case "POST", "/invitations":
                return self._invite(call)
            case "POST", _ if send:
                mailing.send(self.world, call, send[1], self.clock.now())
                return Answer(202)
            case "POST", _ if share:
                return self._share_grant(call, share[1])
            case "GET", "/admin/sharepoint/settings":
                return self._settings(call)
        if share or user or send or call.path in ("/users", "/invitations", "/admin/sharepoint/settings"):
            raise GraphError(405, "Request_BadRequest", "Specified HTTP method is not allowed for the request target.")
        raise bad_request(f"Resource not found for the segment '{call.path.split('/')[1]}'.")

    # The directory.

    def _users(self, call: Call) -> Answer:
        query = call.query
        call.check_options("$select", "$filter", "$top", "$count", "$skiptoken", "$search", "$orderby", "$expand")
        wants_count = query.get("$count", "false").lower() == "true"
        for name in ("$search", "$orderby", "$expand"):
            if name in query:
                if not (call.advanced and wants_count):
                    raise unsupported_query(f"'{name}' needs the ConsistencyLevel header and $count=true.")
                raise GraphError(501, "notImplemented", f"The simulated tenant does not carry out {name}.")
        if wants_count and not call.advanced:
            raise directory_bad_request("$count is not currently supported.")
        selected = _selected_properties(query)
        matches = None
        if "$filter" in query:
            matches = parse_filter(query["$filter"], directory.SELECTABLE)
            if matches.advanced and not (call.advanced and wants_count):
                raise unsupported_query(
                    "Operator or property is not supported without the ConsistencyLevel header and $count=true."
                )
        now = self.clock.now()
        rows = [(user.number, directory.UserRow(user)) for user in self._directory(now)]
        if matches:
            rows = [(number, row) for number, row in rows if matches.test(row)]
        rows_shown, after = page(call, rows, default=100, largest=MAX_USERS_PAGE)
        body: dict[str, Any] = {"@odata.context": f"{call.origin}/v1.0/$metadata#users"}
        if wants_count:
            body["@odata.count"] = len(rows)
        if after:
            body["@odata.nextLink"] = after
        body["value"] = [{name: row[name] for name in selected} for row in rows_shown]
        return Answer(200, body)

    def _directory(self, now: float) -> list[User]:
        return [user.as_directory_sees(now) for user in self.world.users.values() if user.seen_in_directory_from <= now]

    def _user(self, call: Call, identifier: str) -> Answer:
        call.check_options("$select")
        now = self.clock.now()
        user = self.world.users.get(identifier)
        if user is None and "@" in identifier:
            found = self.world.user_by_address(identifier)
            user = found if found and found.user_principal_name.lower() == identifier.lower() else None
        if user is None or now < user.seen_in_directory_from:
            raise user_not_found(identifier)
        row = directory.UserRow(user.as_directory_sees(now))
        body = {name: row[name] for name in _selected_properties(call.query)}
        return Answer(200, {"@odata.context": f"{call.origin}/v1.0/$metadata#users/$entity", **body})

    def _invite(self, call: Call) -> Answer:
        self.throttle.invitations.spend(1)
        call.check_options()
        body, base = call.json(), f"{call.origin}/redeem"
        invitation, user = directory.invite(self.world, body, base, self.clock.now())
        row = directory.invitation_row(body, invitation, user, base)
        return Answer(201, {"@odata.context": f"{call.origin}/v1.0/$metadata#invitations/$entity", **row})

    # SharePoint.

    def _settings(self, call: Call) -> Answer:
        self.throttle.units.spend(1)
        call.check_options()
        organization.require(self.world, "SharePointTenantSettings.Read.All")
        settings = self.world.settings
        row = {
            "sharingCapability": settings.sharing_capability,
            "sharingDomainRestrictionMode": settings.sharing_domain_restriction_mode,
            "sharingAllowedDomainList": settings.sharing_allowed_domain_list,
            "sharingBlockedDomainList": settings.sharing_blocked_domain_list,
            "isResharingByExternalUsersEnabled": settings.resharing_by_external_users,
            "isRequireAcceptingUserToMatchInvitedUserEnabled": settings.accepting_user_must_match,
        }
        return Answer(200, {"@odata.context": f"{call.origin}/v1.0/$metadata#admin/sharepoint/settings/$entity", **row})

    def _item(self, call: Call, match: re.Match[str]) -> Answer:
        rest = match["rest"] or ""
        permission = _PERMISSION_PATH.fullmatch(rest)
        handlers: dict[tuple[str, str], Callable[[Place], Answer]] = {
            ("GET", ""): lambda place: self._get_item(call, place),
            ("GET", "/permissions"): lambda place: self._permissions(call, place),
            ("POST", "/invite"): lambda place: self._grant(call, place),
            ("POST", "/createLink"): lambda place: self._create_link(call, place),
        }
        if changes := delta.PATH.fullmatch(rest):
            handlers["GET", rest] = lambda place: delta.answer(self.world, call, place, changes)
        if permission:
            key = permission[1]
            handlers |= {
                ("GET", rest): lambda place: self._permission(call, place, key),
                ("PATCH", rest): lambda place: self._change(call, place, key),
                ("DELETE", rest): lambda place: self._revoke(place, key),
            }
        if rest in ("/invite", "/createLink"):
            self.throttle.sharing.spend(1)
        self.throttle.units.spend((1 if changes else 5) if rest else 1)
        if call.method != "GET":
            call.check_options()
        handle = handlers.get((call.method, rest))
        if handle is None:
            raise invalid_request("The request is not supported by this resource.")
        return handle(self._place(match))

    def _place(self, match: re.Match[str]) -> Place:
        drive = self.world.drives.get(match["drive"])
        if drive is None:
            raise item_not_found()
        item_id = match["item"]
        start = drive.root if item_id in (None, "root") else drive.items.get(item_id)
        item = drive.find(match["path"], start) if start and match["path"] else start
        if item is None:
            raise item_not_found()
        return Place(drive, item)

    def _get_item(self, call: Call, place: Place) -> Answer:
        call.check_options("$select")
        row = select(drive_item_row(place), call.query)
        return Answer(200, {"@odata.context": f"{call.origin}/v1.0/$metadata#drives/items/$entity", **row})

    def _permissions(self, call: Call, place: Place) -> Answer:
        call.check_options("$select", "$top", "$skiptoken")
        entries, inherited = sharing.effective(place)
        rows = [
            (number, permission_row(self.world, entry, inherited=inherited))
            for number, entry in enumerate(entries.values(), 1)
        ]
        size = self.world.settings.permissions_page_size
        rows_shown, after = page(call, rows, default=size, largest=size)
        body: dict[str, Any] = {"@odata.context": f"{call.origin}/v1.0/$metadata#permissions"}
        if after:
            body["@odata.nextLink"] = after
        body["value"] = [select(row, call.query) for row in rows_shown]
        return Answer(200, body, dict(DEPRECATION))

    def _permission(self, call: Call, place: Place, key: str) -> Answer:
        call.check_options("$select")
        entries, inherited = sharing.effective(place)
        if key not in entries:
            raise item_not_found()
        row = select(permission_row(self.world, entries[key], inherited=inherited), call.query)
        return Answer(200, {"@odata.context": _permission_context(call), **row}, dict(DEPRECATION))

    def _change(self, call: Call, place: Place, key: str) -> Answer:
        entry = sharing.change_role(place, key, call.json({"roles", "@odata.type"}).get("roles"))
        row = permission_row(self.world, entry, inherited=False)
        return Answer(200, {"@odata.context": _permission_context(call), **row}, dict(DEPRECATION))

    def _revoke(self, place: Place, key: str) -> Answer:
        sharing.revoke(place, key)
        return Answer(204)

    def _grant(self, call: Call, place: Place) -> Answer:
        body = call.json(
            {
                "expirationDateTime",
                "message",
                "password",
                "recipients",
                "requireSignIn",
                "retainInheritedPermissions",
                "roles",
                "sendInvitation",
            }
        )
        _check_flags(body, "requireSignIn", "sendInvitation", "retainInheritedPermissions")
        if not body.get("requireSignIn") and not body.get("sendInvitation"):
            raise invalid_request("Either requireSignIn or sendInvitation must be true.")
        _check_message(body)
        # Accepted without effect: on SharePoint the expiry of an invite applies to sharing links only.
        moment(body.get("expirationDateTime"))
        role = sharing.check_roles(body.get("roles"))
        users = self._allowed(body.get("recipients"))
        if body.get("sendInvitation"):
            self._send_mails(users, place)
        # An absent or null flag keeps the inherited entries; only a literal false wipes them.
        retain = body.get("retainInheritedPermissions") is not False
        entries = [sharing.grant(place, user, role, retain=retain) for user in users]
        rows = [
            permission_row(self.world, entry, inherited=False, site_user=False)
            for entry in {entry.id: entry for entry in entries}.values()
        ]
        context = f"{call.origin}/v1.0/$metadata#Collection(permission)"
        return Answer(200, {"@odata.context": context, "value": rows}, dict(DEPRECATION))

    def _create_link(self, call: Call, place: Place) -> Answer:
        body = call.json(
            {
                "expirationDateTime",
                "message",
                "password",
                "recipients",
                "retainInheritedPermissions",
                "scope",
                "sendNotification",
                "type",
            }
        )
        _check_flags(body, "retainInheritedPermissions", "sendNotification")
        _check_message(body)
        if body.get("type") not in sharing.LINK_TYPES or body.get("scope") not in sharing.LINK_SCOPES:
            raise invalid_request()
        body["expirationDateTime"] = moment(body.get("expirationDateTime"))
        recipients = body.get("recipients")
        if recipients and body["scope"] != "users":
            raise invalid_request("Recipients need a link of scope users.")
        if body["scope"] == "anonymous" and self.world.settings.sharing_capability != "externalUserAndGuestSharing":
            raise sharing_disabled()
        users = self._allowed(recipients) if recipients else []
        if body.get("sendNotification"):
            self._send_mails(users, place)
        entry, new = sharing.create_link(place, body, users)
        row = link_row(self.world, entry)
        return Answer(201 if new else 200, {"@odata.context": _permission_context(call), **row}, dict(DEPRECATION))

    def _share_grant(self, call: Call, identifier: str) -> Answer:
        self.throttle.sharing.spend(1)
        self.throttle.units.spend(5)
        call.check_options()
        body = call.json({"recipients", "roles"})
        sharing.check_roles(body.get("roles"))
        _, entry = sharing.find_link(self.world, identifier)
        if entry.link is None or entry.link.scope != "users":
            raise invalid_request("People can only be added to a link of scope users.")
        users = self._allowed(body.get("recipients"))
        sharing.add_members(entry.link, users)
        context = f"{call.origin}/v1.0/$metadata#Collection(permission)"
        return Answer(200, {"@odata.context": context, "value": [link_row(self.world, entry)]}, dict(DEPRECATION))

    def _allowed(self, recipients: Any) -> list[User]:
        users = sharing.resolve(self.world, recipients, self.clock.now())
        sharing.check_policy(self.world, users)
        return users

    def _send_mails(self, users: Sequence[User], place: Place) -> None:
        self.throttle.mails.spend(len(users))
        subject = f'Someone shared "{place.item.name}" with you'
        now = self.clock.now()
        self.world.mails += [Mail(user.mail or "", "sharing", subject, place.web_url, now) for user in users]


def _permission_context(call: Call) -> str:
    return f"{call.origin}/v1.0/$metadata#permission"


def _selected_properties(query: Mapping[str, str]) -> tuple[str, ...]:
    """The properties of a user to answer with: exactly the selected ones."""
    if "$select" not in query:
        return directory.DEFAULT_PROPERTIES
    names = tuple(name.strip() for name in query["$select"].split(","))
    for name in names:
        if name not in directory.SELECTABLE:
            raise bad_request(
                "Parsing OData Select and Expand failed: Could not find a property named "
                f"'{name}' on type 'microsoft.graph.user'."
            )
    return names


def _check_flags(body: Mapping[str, Any], *names: str) -> None:
    for name in names:
        if not isinstance(body.get(name), bool | None):
            raise invalid_request()


def _check_message(body: Mapping[str, Any]) -> None:
    if len(body.get("message") or "") > MAX_MESSAGE:
        raise invalid_request(f"The message is longer than {MAX_MESSAGE} characters.")
    if body.get("password") is not None:
        raise invalid_request("Passwords are for OneDrive personal only.")

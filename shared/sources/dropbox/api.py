"""Dropbox's API, through Dropbox's own SDK. Imported when first needed: the SDK takes a quarter of a second to load.

Routes, the check of arguments, tokens and errors are the SDK's; answers are read here (see dropbox_parts).
"""

# mypy: disable-error-code="import-untyped"

import asyncio
import json
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from dropbox import DropboxTeam, create_session, files, sharing, team, team_log
from dropbox.common import PathRoot, PathRoot_validator
from dropbox.dropbox_client import (
    PATH_ROOT_HEADER,
    SELECT_ADMIN_HEADER,
    SELECT_USER_HEADER,
    RouteErrorResult,
)
from dropbox.exceptions import AuthError, BadInputError, HttpError, PathRootError, RateLimitError
from dropbox.session import API_HOST
from dropbox.stone_serializers import json_encode
from dropbox.team_common import TimeRange
from pydantic import ValidationError
from requests import PreparedRequest, RequestException, Response
from requests.adapters import HTTPAdapter

from shared.domain.reasons import Reason
from shared.domain.trouble import LaterError, RefusedError
from shared.sources.dropbox.parts import (
    Admin,
    CountedMembers,
    Entries,
    Entry,
    FoundMembers,
    GroupMembers,
    Links,
    LogPage,
    Member,
    Members,
    MembersOfFile,
    Namespaces,
    Part,
    SharedFolder,
    Team,
)
from shared.sources.wire import faults, parse_timestamp

type Acting = Mapping[str, str]
"""In whose name a call is made: headers."""

_TIMEOUT = 30.0  # seconds
_BATCH = 100  # "List file members (batch)": no more files than this
_VOID = ("bad_cursor", "invalid_cursor", "invalid_time_range", "reset")
_HIDDEN_USER = ("user_suspended", "invalid_select_user")
_REFUSED = {
    "invalid_access_token": "Dropbox does not accept the app's token any more. Link the app to the team again.",
    "invalid_select_admin": "Who linked the app to the team is not a team admin any more. Link it again as one.",
    "mapping_not_found": "Dropbox does not know which team admin has linked the app. Link it again.",
    "admin_not_active": "Who linked the app to the team is not an active team admin any more. Link it again as one.",
    "invalid_account_type": "The team's plan does not include what the app asks for.",
    "team_access_denied": "The team does not let the app have this.",
    "no_permission": "Dropbox does not let the app have this.",
    "paper_access_denied": "Dropbox does not let the app have this.",
}


class NotShownError(Exception):
    """Dropbox does not show something. `tag` is its word for why."""

    def __init__(self, tag: str) -> None:
        """`tag`: the innermost tag of Dropbox's error."""
        super().__init__(tag)
        self.tag = tag


class VoidCursorError(Exception):
    """Dropbox does not know a cursor any more. `resume`: from when on to read, where it says so."""

    def __init__(self, resume: datetime | None = None) -> None:
        """`resume`: the approximate time of the newest event that was read with the cursor."""
        super().__init__()
        self.resume = resume


class SentElsewhere(HTTPAdapter):
    """Sends what is meant for Dropbox to another address: the SDK has no setting for that."""

    def __init__(self, api_url: str) -> None:
        super().__init__()
        self._base = urlsplit(api_url)

    def send(self, request: PreparedRequest, *args: Any, **kwargs: Any) -> Response:
        """Send the request."""
        assert request.url is not None
        request.url = urlsplit(request.url)._replace(scheme=self._base.scheme, netloc=self._base.netloc).geturl()
        return super().send(request, *args, **kwargs)


class DropboxApi:
    """The calls that are needed. Each may raise LaterError or RefusedError, and those it names."""

    def __init__(self, secrets: Mapping[str, str]) -> None:
        """`secrets`: app_key, app_secret, refresh_token, and api_url when it is not Dropbox's public one."""
        session = create_session()
        if secrets.get("api_url"):
            session.trust_env = False
            session.mount(f"https://{API_HOST}", SentElsewhere(secrets["api_url"]))
        self._client = DropboxTeam(
            oauth2_refresh_token=secrets["refresh_token"],
            app_key=secrets["app_key"],
            app_secret=secrets["app_secret"],
            session=session,
            timeout=_TIMEOUT,
            max_retries_on_error=0,  # the SDK would sleep in the worker; our queue waits at no cost
            max_retries_on_rate_limit=0,
        )
        self._admin: Member | None = None
        self._team: Team | None = None

    # --- the team

    async def admin(self) -> Member:
        """Who has linked the app to the team, and in whose name the team's content is read."""
        if self._admin is None:
            answer = await self._ask(team.token_get_authenticated_admin, "team", None)
            self._admin = _read(Admin, answer).admin_profile
        return self._admin

    async def team_id(self) -> str:
        """The team's own id."""
        if self._team is None:
            self._team = _read(Team, await self._ask(team.get_info, "team", None))
        return self._team.team_id

    async def as_admin(self, root: str | None = None) -> Acting:
        """As the admin, with paths that begin at a namespace where one is given."""
        acting = {SELECT_ADMIN_HEADER: (await self.admin()).team_member_id}
        if root is not None:
            acting[PATH_ROOT_HEADER] = json_encode(PathRoot_validator, PathRoot.namespace_id(root))
        return acting

    @staticmethod
    def as_member(team_member_id: str) -> Acting:
        """As a member."""
        return {SELECT_USER_HEADER: team_member_id}

    async def members(self, selectors: Sequence[team.UserSelectorArg]) -> list[Member]:
        """The profiles of members, as far as there are such members."""
        arg = team.MembersGetInfoV2Arg(list(selectors))
        answer = await self._ask(team.members_get_info_v2, "team", arg)
        return [one.profile for one in _read(FoundMembers, answer).members_info if one.profile]

    async def member(self, team_member_id: str) -> Member | None:
        """A member's profile."""
        return next(iter(await self.members([team.UserSelectorArg.team_member_id(team_member_id)])), None)

    async def member_by_email(self, email: str) -> Member | None:
        """A member's profile; None also for addresses that Dropbox does not let anybody ask for."""
        if not re.fullmatch(r"['#&A-Za-z0-9._%+-]+@[A-Za-z0-9-][A-Za-z0-9.-]*\.[A-Za-z]{2,15}", email, re.ASCII):
            return None
        return next(iter(await self.members([team.UserSelectorArg.email(email)])), None)

    async def group_members(self, group_id: str) -> list[Member]:
        """All members of a group of the team. Raises NotShownError."""
        arg = team.GroupsMembersListArg(team.GroupSelector.group_id(group_id), 1000)
        answer = await self._ask(team.groups_members_list, "team", arg, expected=(NotShownError,))
        page = _read(GroupMembers, answer)
        found = list(page.members)
        while page.has_more:
            more = team.GroupsMembersListContinueArg(page.cursor)
            page = _read(GroupMembers, await self._ask(team.groups_members_list_continue, "team", more))
            found += page.members
        return [one.profile for one in found]

    async def namespaces(self, cursor: str | None) -> Namespaces:
        """A page of all namespaces that the team can reach; the same one can come twice. Raises VoidCursorError."""
        if cursor is None:
            return _read(Namespaces, await self._ask(team.namespaces_list, "team", team.TeamNamespacesListArg()))
        arg = team.TeamNamespacesListContinueArg(cursor)
        answer = await self._ask(team.namespaces_list_continue, "team", arg, expected=(VoidCursorError,))
        return _read(Namespaces, answer)

    # --- shared content

    async def folder(self, namespace: str) -> SharedFolder:
        """A shared folder. Raises NotShownError."""
        arg = sharing.GetMetadataArgs(namespace)
        acting = await self.as_admin()
        answer = await self._ask(sharing.get_folder_metadata, "sharing", arg, acting, (NotShownError,))
        return _read(SharedFolder, answer)

    async def folder_members(self, namespace: str) -> Members:
        """All members of a shared folder. Raises NotShownError."""
        arg, acting = sharing.ListFolderMembersArgs(namespace, limit=1000), await self.as_admin()
        answer = await self._ask(sharing.list_folder_members, "sharing", arg, acting, (NotShownError,))
        return await self._all_members(_read(Members, answer), sharing.list_folder_members_continue, acting)

    async def file_members(self, file_id: str, acting: Acting) -> Members:
        """All members of a file that were given it itself. Raises NotShownError."""
        arg = sharing.ListFileMembersArg(file_id, include_inherited=False, limit=300)
        answer = await self._ask(sharing.list_file_members, "sharing", arg, acting, (NotShownError,))
        page = _read(Members, answer)
        if page.cursor and SELECT_ADMIN_HEADER in acting:  # by the specification only a member may read on
            raise NotShownError("too_many_members")
        return await self._all_members(page, sharing.list_file_members_continue, acting)

    async def files_members(self, file_ids: Sequence[str], acting: Acting) -> dict[str, Members]:
        """The same for several files, as far as they are shown. Only in a member's name. Raises NotShownError."""
        found: dict[str, Members] = {}
        for start in range(0, len(file_ids), _BATCH):
            arg = sharing.ListFileMembersBatchArg(list(file_ids[start : start + _BATCH]))
            answer = await self._ask(sharing.list_file_members_batch, "sharing", arg, acting, (NotShownError,))
            for one in (_read(MembersOfFile, part) for part in _list(answer)):
                if one.result.get(".tag") == "result":
                    members = _read(CountedMembers, one.result).members
                    found[one.file] = await self._all_members(members, sharing.list_file_members_continue, acting)
        return found

    async def _all_members(self, page: Members, more: Any, acting: Acting) -> Members:
        users, groups, invitees = list(page.users), list(page.groups), list(page.invitees)
        while page.cursor:
            arg = sharing.ListFolderMembersContinueArg(page.cursor)
            if more is sharing.list_file_members_continue:
                arg = sharing.ListFileMembersContinueArg(page.cursor)
            page = _read(Members, await self._ask(more, "sharing", arg, acting, (NotShownError,)))
            users, groups, invitees = users + page.users, groups + page.groups, invitees + page.invitees
        return Members(users=users, groups=groups, invitees=invitees)

    async def entry(self, path: str, acting: Acting) -> Entry:
        """A file or folder by its path or id. Raises NotShownError."""
        arg = files.GetMetadataArg(path)
        return _read(Entry, await self._ask(files.get_metadata, "files", arg, acting, (NotShownError,)))

    async def entries(self, namespace: str, cursor: str | None, limit: int) -> Entries:
        """A page of everything in a namespace, without what is mounted into it, with paths from its root.

        Raises NotShownError, VoidCursorError.
        """
        acting, expected = await self.as_admin(namespace), (NotShownError, VoidCursorError)
        if cursor is None:
            arg = files.ListFolderArg(
                "",
                recursive=True,
                include_has_explicit_shared_members=True,
                include_mounted_folders=False,
                limit=limit,
            )
            return _read(Entries, await self._ask(files.list_folder, "files", arg, acting, expected))
        more = files.ListFolderContinueArg(cursor)
        return _read(Entries, await self._ask(files.list_folder_continue, "files", more, acting, expected))

    async def links(self, acting: Acting, cursor: str | None, path: str | None = None) -> Links:
        """A page of the links that a member has made, all of them or those to one item.

        Raises NotShownError, VoidCursorError.
        """
        arg = sharing.ListSharedLinksArg(path=path, cursor=cursor, direct_only=True if path else None)
        expected = (NotShownError, VoidCursorError)
        return _read(Links, await self._ask(sharing.list_shared_links, "sharing", arg, acting, expected))

    # --- the log

    async def log(self, category: str, since: datetime | None, cursor: str | None, limit: int) -> LogPage:
        """A page of the events of a category, from a time on or after a cursor. Raises VoidCursorError."""
        if cursor is None:
            assert since is not None
            arg = team_log.GetTeamEventsArg(
                limit,
                time=TimeRange(start_time=since.astimezone(UTC).replace(tzinfo=None)),  # the SDK's times are naive UTC
                category=getattr(team_log.EventCategory, category),
            )
            return _read(LogPage, await self._ask(team_log.get_events, "team_log", arg, expected=(VoidCursorError,)))
        more = team_log.GetTeamEventsContinueArg(cursor)
        answer = await self._ask(team_log.get_events_continue, "team_log", more, expected=(VoidCursorError,))
        return _read(LogPage, answer)

    async def _ask(
        self,
        route: Any,
        area: str,
        arg: Any,
        acting: Acting | None = None,
        expected: tuple[type[Exception], ...] = (),
    ) -> Any:
        """Make one call of the synchronous SDK in a thread and translate its troubles.

        The SDK's error texts hold the answer with names and addresses: they are not passed on.
        """
        try:
            return await asyncio.to_thread(partial(self._call, route, area, arg, acting or {}))
        except expected:
            raise
        except (LaterError, RefusedError):
            raise
        except (NotShownError, VoidCursorError) as error:
            raise LaterError(Reason.SOURCE, detail=f"Dropbox refused {route.name} ({error})") from None
        except AuthError as error:
            raise self._refused(error, expected) from None
        except RateLimitError as error:
            after = timedelta(seconds=error.backoff) if isinstance(error.backoff, int) else None
            raise LaterError(Reason.SOURCE, after, "Dropbox answered 429") from None
        except BadInputError:
            raise RefusedError(Reason.SOURCE_REFUSED, f"Dropbox does not take the request {route.name}.") from None
        except HttpError as error:
            raise LaterError(Reason.SOURCE, detail=f"Dropbox answered {error.status_code}") from None
        except (RequestException, OSError) as error:
            raise LaterError(Reason.SOURCE, detail=f"Dropbox gave no answer ({type(error).__name__})") from None
        except Exception as error:  # stone's ValidationError, the SDK's asserts, what is no JSON: not Dropbox's answer
            raise LaterError(Reason.SOURCE, detail=f"Dropbox gave no usable answer ({type(error).__name__})") from None

    def _call(self, route: Any, area: str, arg: Any, acting: Acting) -> Any:
        self._client.check_and_refresh_access_token()
        name = f"{area}/{route.name}" + (f"_v{route.version}" if route.version > 1 else "")
        try:
            result = self._client.request_json_string_with_retry(
                route.attrs["host"],
                name,
                route.attrs["style"],
                json_encode(route.arg_type, arg),
                route.attrs["auth"],
                None,
                extra_headers=dict(acting),
            )
        except PathRootError:
            raise NotShownError("path_root") from None
        answer = json.loads(result.obj_result)
        if isinstance(result, RouteErrorResult):
            raise _route_error(answer["error"])
        return answer

    def _refused(self, error: AuthError, expected: tuple[type[Exception], ...]) -> Exception:
        tag = error.error._tag if error.error else "unknown"
        if tag in _HIDDEN_USER and NotShownError in expected:
            return NotShownError(tag)
        if tag == "expired_access_token":
            return LaterError(Reason.SOURCE, detail="Dropbox says that its newest token has expired")
        if tag == "invalid_select_admin":
            self._admin = None
        if tag == "missing_scope":
            scope = str(error.error.get_missing_scope().required_scope)
            named = scope if re.fullmatch(r"[a-z_.]{1,60}", scope) else "that it needs"
            return RefusedError(Reason.SOURCE_REFUSED, f"The app lacks the scope {named}. Add it and link it again.")
        return RefusedError(Reason.SOURCE_REFUSED, _REFUSED.get(tag, "Dropbox answered 401."))


def _route_error(error: Any) -> Exception:
    """Return what a route's own error means."""
    tag, inner = _tag(error), None
    if isinstance(error, dict):
        inner = _tag(error.get(tag))
    if tag in _REFUSED:
        return RefusedError(Reason.SOURCE_REFUSED, _REFUSED[tag])
    if tag in _VOID:
        try:
            return VoidCursorError(parse_timestamp(inner))
        except ValueError:
            return VoidCursorError()
    return NotShownError(inner if tag in ("path", "access_error", "user_error") and inner else tag)


def _tag(value: object) -> str:
    found = value.get(".tag") if isinstance(value, dict) else value
    return found if isinstance(found, str) and len(found) <= 100 else ""


def _list(answer: Any) -> list[Any]:
    if not isinstance(answer, list):
        raise LaterError(Reason.SOURCE, detail="Dropbox's answer is not what Dropbox documents: $: not a list")
    return answer


def _read[P: Part](part: type[P], answer: Any) -> P:
    try:
        return part.model_validate(answer)
    except ValidationError as error:
        detail = f"Dropbox's answer is not what Dropbox documents: {faults(error)}"
        raise LaterError(Reason.SOURCE, detail=detail) from None

"""Google's APIs (Drive, Admin Reports, Admin Directory) through Google's own client.

With the discovery documents that come with it. Imported when first needed: it takes a third of a second to load.
"""

import asyncio
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from functools import cached_property
from typing import Any

import httplib2  # type: ignore[import-untyped]
from google.auth.exceptions import GoogleAuthError
from google_auth_httplib2 import AuthorizedHttp  # type: ignore[import-untyped]
from googleapiclient.discovery import build  # type: ignore[import-untyped]
from googleapiclient.errors import Error, HttpError  # type: ignore[import-untyped]

from shared.domain.reasons import Reason
from shared.domain.trouble import LaterError
from shared.sources.google_workspace.tokens import Tokens
from shared.sources.google_workspace.trouble import HiddenError, VoidTokenError, of_answer

_TIMEOUT = 30
_NO_ANSWER = (Error, GoogleAuthError, httplib2.HttpLib2Error, OSError, AttributeError, TypeError, ValueError)
_USER = "id,primaryEmail,suspended,archived"
_FILE = "id,name,mimeType,parents,driveId,trashed,shared,hasAugmentedPermissions,owners(emailAddress)"
_CHANGE = f"changeType,removed,fileId,driveId,file({_FILE})"
# Google's default fields leave out who has the permission.
_PERMISSION = (
    "id,type,role,emailAddress,domain,displayName,deleted,expirationTime,view,permissionDetails(role,inherited)"
)
_CHANNEL = "id,resourceId,expiration"


class Delegation:
    """The service account's right to act as the people of the company; lives as long as the worker."""

    def __init__(self, secrets: Mapping[str, str]) -> None:
        """`secrets`: service_account, administrator, and api_url when it is not Google's own.

        Raises RefusedError when the private key cannot be read.
        """
        self._tokens = Tokens(secrets["service_account"])
        self._administrator, self._url = secrets["administrator"], secrets.get("api_url")

    @contextmanager
    def step(self) -> Iterator["GoogleApi"]:
        """Return the calls of one step of work, on connections of their own: the client is not made for threads."""
        http = httplib2.Http(timeout=_TIMEOUT)
        try:
            yield GoogleApi(self, self._tokens, self._administrator, http)
        finally:
            http.close()

    @cached_property
    def drive(self) -> Any:
        """Drive v3."""
        return self._service("drive", "v3", "drive/v3/")

    @cached_property
    def reports(self) -> Any:
        """Admin Reports v1."""
        return self._service("admin", "reports_v1", "")

    @cached_property
    def directory(self) -> Any:
        """Admin Directory v1."""
        return self._service("admin", "directory_v1", "")

    def _service(self, name: str, version: str, path: str) -> Any:
        where = {"api_endpoint": f"{self._url.rstrip('/')}/{path}"} if self._url else None
        return build(name, version, http=httplib2.Http(), static_discovery=True, client_options=where)


class GoogleApi:
    """The calls of one step of work, counted. Each answers Google's JSON; None is what Google does not show.

    `user` is the address of the person to act as. Each may raise LaterError and RefusedError, and VoidTokenError those
    that answer a page of something that goes on for long.
    """

    def __init__(self, delegation: Delegation, tokens: Tokens, administrator: str, http: httplib2.Http) -> None:
        """Made by `Delegation.step`."""
        self._to, self._tokens, self._http = delegation, tokens, http
        self.administrator = administrator
        self.calls = 0

    # --- the directory, as the administrator

    async def users(self, token: str | None, size: int) -> dict[str, Any]:
        """A page of the company's users."""
        return await self._ask(
            self.administrator,
            self._to.directory.users().list(
                customer="my_customer",
                orderBy="email",
                maxResults=size,
                pageToken=token,
                fields=f"nextPageToken,users({_USER})",
            ),
        )

    async def user(self, key: str) -> dict[str, Any] | None:
        """One of the company's users, by id or address."""
        return await self._look(self.administrator, self._to.directory.users().get(userKey=key, fields=_USER))

    async def domains(self) -> dict[str, Any]:
        """The company's domains and their aliases."""
        return await self._ask(
            self.administrator,
            self._to.directory.domains().list(
                customer="my_customer",
                fields="domains(domainName,verified,domainAliases(domainAliasName,verified))",
            ),
        )

    async def group(self, address: str) -> dict[str, Any] | None:
        """One of the company's groups."""
        return await self._look(self.administrator, self._to.directory.groups().get(groupKey=address, fields="id"))

    async def members(self, address: str, token: str | None) -> dict[str, Any] | None:
        """A page of a group's members, also those of the groups in it."""
        return await self._look(
            self.administrator,
            self._to.directory.members().list(
                groupKey=address,
                includeDerivedMembership=True,
                maxResults=200,
                pageToken=token,
                fields="nextPageToken,members(id,email,type,status)",
            ),
        )

    # --- Drive

    async def drives(self, token: str | None, size: int, named: str | None = None) -> dict[str, Any]:
        """A page of the company's shared drives; `named` only those of that name."""
        return await self._ask(
            self.administrator,
            self._to.drive.drives().list(
                useDomainAdminAccess=True,
                pageSize=size,
                pageToken=token,
                q=None if named is None else f"name = {_quoted(named)}",
                fields="nextPageToken,drives(id,name)",
            ),
        )

    async def drive(self, drive: str) -> dict[str, Any] | None:
        """One of the company's shared drives."""
        return await self._look(
            self.administrator,
            self._to.drive.drives().get(driveId=drive, useDomainAdminAccess=True, fields="id,name"),
        )

    async def members_of_drive(self, drive: str, token: str | None) -> dict[str, Any] | None:
        """A page of a shared drive's members, which are the permissions of its root."""
        return await self._permissions(self.administrator, drive, token, useDomainAdminAccess=True)

    async def permissions(self, user: str, file: str, token: str | None) -> dict[str, Any] | None:
        """A page of a file's permissions."""
        return await self._permissions(user, file, token)

    async def _permissions(self, user: str, file: str, token: str | None, **more: bool) -> dict[str, Any] | None:
        return await self._look(
            user,
            self._to.drive.permissions().list(
                fileId=file,
                supportsAllDrives=True,
                pageSize=100,
                pageToken=token,
                fields=f"nextPageToken,permissions({_PERMISSION})",
                **more,
            ),
        )

    async def file(self, user: str, file: str) -> dict[str, Any] | None:
        """A file or folder; `root` is the root of the user's My Drive."""
        return await self._look(user, self._to.drive.files().get(fileId=file, supportsAllDrives=True, fields=_FILE))

    async def files(self, user: str, drive: str | None, token: str | None, size: int) -> dict[str, Any]:
        """A page of what the user owns, or of what a shared drive holds, without what is in the trash."""
        query = "trashed = false" if drive else "'me' in owners and trashed = false"
        return await self._list(user, drive, query, token, size)

    async def namesakes(self, user: str, drive: str | None, folder: str, name: str) -> dict[str, Any]:
        """The first two files of a folder that have this name; Drive does not mind letter case here."""
        query = f"{_quoted(folder)} in parents and name = {_quoted(name)} and trashed = false"
        return await self._list(user, drive, query, None, 2)

    async def _list(self, user: str, drive: str | None, query: str, token: str | None, size: int) -> dict[str, Any]:
        return await self._ask(
            user,
            self._to.drive.files().list(
                **_corpus(drive),
                corpora="drive" if drive else "user",
                q=query,
                pageSize=size,
                pageToken=token,
                fields=f"nextPageToken,files({_FILE})",
            ),
        )

    async def start(self, user: str, drive: str | None) -> dict[str, Any]:
        """The token from which changes are new."""
        call = self._to.drive.changes().getStartPageToken
        return await self._ask(user, call(driveId=drive, supportsAllDrives=True, fields="startPageToken"))

    async def changes(self, user: str, drive: str | None, token: str, size: int) -> dict[str, Any]:
        """A page of the changes that the user sees in My Drive, or that happened in a shared drive."""
        fields = f"nextPageToken,newStartPageToken,changes({_CHANGE})"
        call = self._to.drive.changes().list
        return await self._ask(user, call(**_changes(drive), pageToken=token, pageSize=size, fields=fields))

    async def watch_changes(
        self, user: str, drive: str | None, token: str, channel: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Have changes notified."""
        call = self._to.drive.changes().watch
        return await self._ask(user, call(**_changes(drive), pageToken=token, body=dict(channel), fields=_CHANNEL))

    async def stop_changes(self, user: str, channel: Mapping[str, str]) -> None:
        """End a channel of Drive; nothing happens when it is gone."""
        await self._look(user, self._to.drive.channels().stop(body=dict(channel)))

    # --- what the administrator sees of everybody's doings

    async def activities(self, event: str, since: datetime, token: str | None, size: int) -> dict[str, Any]:
        """A page of the activities with an event of that name, newest first."""
        return await self._activities(eventName=event, startTime=_rfc3339(since), pageToken=token, maxResults=size)

    async def last_activity(self, file: str) -> dict[str, Any]:
        """The newest activity of any kind about a file."""
        return await self._activities(filters=f"doc_id=={file}", maxResults=1)

    async def _activities(self, **which: Any) -> dict[str, Any]:
        return await self._ask(
            self.administrator,
            self._to.reports.activities().list(
                userKey="all",
                applicationName="drive",
                fields="nextPageToken,items(id(time,uniqueQualifier),actor(email,profileId),"
                "events(name,parameters(name,value,multiValue,boolValue)))",
                **which,
            ),
        )

    async def watch_activities(self, event: str, channel: Mapping[str, Any]) -> dict[str, Any]:
        """Have activities with an event of that name notified."""
        return await self._ask(
            self.administrator,
            self._to.reports.activities().watch(
                userKey="all", applicationName="drive", eventName=event, body=dict(channel), fields=_CHANNEL
            ),
        )

    async def stop_activities(self, channel: Mapping[str, str]) -> None:
        """End a channel of Reports; nothing happens when it is gone."""
        await self._look(self.administrator, self._to.reports.channels().stop(body=dict(channel)))

    # --- asking

    async def _look(self, user: str, request: Any) -> dict[str, Any] | None:
        try:
            return await self._ask(user, request)
        except HiddenError:
            return None
        except VoidTokenError as void:  # of a list that is read whole: it is begun anew
            raise LaterError(void.reason, detail=void.detail) from None

    async def _ask(self, user: str, request: Any) -> dict[str, Any]:
        """Run one call of the synchronous client in a thread and translate its troubles.

        The client's error texts hold the whole address with its query: they are not passed on.
        """
        self.calls += 1
        try:
            answer = await asyncio.to_thread(self._execute, user, request)
        except HttpError as error:
            of_drive = request.methodId.startswith("drive.")
            raise of_answer(error.resp.status, error.resp, error.content, of_drive=of_drive) from None
        except (
            Error,
            GoogleAuthError,
            httplib2.HttpLib2Error,
            OSError,
            AttributeError,
            TypeError,
            ValueError,
        ) as error:
            raise LaterError(Reason.SOURCE, detail=f"Google gave no usable answer ({type(error).__name__})") from None
        if answer is None or answer == "":  # what channels.stop answers
            return {}
        if not isinstance(answer, dict):
            raise LaterError(Reason.SOURCE, detail="Google's answer is not a JSON object")
        return answer

    def _execute(self, user: str, request: Any) -> Any:
        """Send a request, once more with a new token when Google says that the token has expired.

        The client's own repeats are off: they sleep in the worker, and our queue waits at no cost.
        """
        credentials = self._tokens.of(user, request.methodId, self._http)
        send: Callable[[], Any] = lambda: request.execute(  # noqa: E731
            http=AuthorizedHttp(credentials, self._http, refresh_status_codes=()), num_retries=0
        )
        try:
            return send()
        except HttpError as error:
            if error.resp.status != 401:
                raise
        self._tokens.renew(credentials, self._http)
        return send()


def _corpus(drive: str | None) -> dict[str, Any]:
    if drive is None:
        return {"supportsAllDrives": True, "includeItemsFromAllDrives": False}
    return {"supportsAllDrives": True, "includeItemsFromAllDrives": True, "driveId": drive}


def _changes(drive: str | None) -> dict[str, Any]:
    """Listing and watching mean the same changes.

    Not only those in the My Drive hierarchy: a file of one's own can lie in somebody else's folder.
    """
    return {**_corpus(drive), "includeRemoved": True, "restrictToMyDrive": False}


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def _rfc3339(at: datetime) -> str:
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")

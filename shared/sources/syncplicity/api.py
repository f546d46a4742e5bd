"""Syncplicity's API: the calls. Imported when first needed. There is no SDK for Python.

Addresses, headers and answers are those of Axway's samples (Syncplicity-CSharp-CLI-Sample and
Syncplicity-Python-CLI-Sample) and of the pages of developer.syncplicity.com.
"""

import base64
import logging
import re
from collections.abc import Mapping
from datetime import timedelta
from urllib.parse import quote

import httpx
from pydantic import TypeAdapter, ValidationError

from shared.domain.reasons import Reason
from shared.domain.trouble import LaterError, RefusedError
from shared.sources.syncplicity.parts import Event, Link, Participant, Syncpoint, Token, User
from shared.sources.wire import faults

PUBLIC_URL = "https://api.syncplicity.com"
_SECONDS = re.compile(r"[0-9]{1,6}", re.ASCII)
_CHECKPOINT = re.compile(r"[\x21-\x7e]{1,8000}", re.ASCII)
_NEXT_PAGE = "X-SYNCP-NEXTPAGE"
_FIRST_BACKOFF = timedelta(seconds=10)  # developer.syncplicity.com, "API Development Guidelines", on 429
_HIDDEN = (403, 404, 410)
# Without the types the service leaves out SyncplicityDrive (8), says a comment in Axway's SyncPointsService.cs.
_SYNCPOINTS = {"include": "participants,inviter,children", "includeType": "1,2,3,4,5,6,7,8"}


class SyncplicityApi:
    """The calls. Each may raise LaterError or RefusedError; None stands for what Syncplicity does not show.

    `as_user` is whose rights a call has: an administrator sees other people's folders only in their name.
    """

    def __init__(self, secrets: Mapping[str, str]) -> None:
        """`secrets`: app_key, app_secret, application_token, company_id, and api_url when it is not the public one."""
        _silence_wire_logs()
        self._secrets = secrets
        self._token: Token | None = None
        self._http = httpx.AsyncClient(
            base_url=secrets.get("api_url") or PUBLIC_URL,
            headers={"Accept": "application/json"},
            timeout=httpx.Timeout(30, connect=10),
        )

    @property
    def administrator(self) -> str | None:
        """The id of the user whose application token it is, known after the first call."""
        return self._token.user_id if self._token else None

    async def company_users(self, after: str | None, limit: int) -> list[User]:
        """The company's users behind that one, page by page; at the end there are none."""
        query = {"limit": str(limit), **({"lastUserGuid": after} if after else {})}
        path = f"/provisioning/company_users.svc/company/{quote(self._secrets['company_id'], safe='')}/users"
        answer = await self._get(path, query)
        if answer.status_code in _HIDDEN:
            raise _refused("to list the company's users", answer, "Check company_id and the scope Users, Read.")
        return _understood(list[User], answer)

    async def user(self, address: str) -> User | None:
        """A user of the company by the address."""
        answer = await self._get(f"/provisioning/user.svc/{quote(address, safe='')}")
        return None if answer.status_code in _HIDDEN else _understood(User, answer)

    async def group_members(self, group: str) -> list[User] | None:
        """The members of a group."""
        answer = await self._get(f"/provisioning/group_members.svc/{group}")
        return None if answer.status_code in _HIDDEN else _understood(list[User], answer)

    async def syncpoints(self, as_user: str) -> list[Syncpoint] | None:
        """All syncpoints that the user owns or takes part in; there are no pages."""
        answer = await self._get("/syncpoint/syncpoints.svc/", _SYNCPOINTS, as_user)
        return None if answer.status_code in _HIDDEN else _understood(list[Syncpoint], answer)

    async def participants(self, syncpoint: int, as_user: str) -> list[Participant] | None:
        """With whom a syncpoint is shared."""
        answer = await self._get(f"/syncpoint/syncpoint_participants.svc/{syncpoint}/participants", None, as_user)
        return None if answer.status_code in _HIDDEN else _understood(list[Participant], answer)

    async def links(self, as_user: str) -> list[Link] | None:
        """All links that the user has made; there are no pages."""
        answer = await self._get("/syncpoint/links.svc/", None, as_user)
        return None if answer.status_code in _HIDDEN else _understood(list[Link], answer)

    async def events(self, checkpoint: str | None, limit: int) -> tuple[list[Event], str | None] | None:
        """A page of the company's events behind a checkpoint, or from the first one on, and its own checkpoint.

        None when Syncplicity does not take the checkpoint any more.
        """
        answer = await self._get("/events/company", {"limit": str(limit)}, None, checkpoint)
        if answer.status_code in (400, 410) and checkpoint is not None:
            return None
        if answer.status_code in _HIDDEN:
            raise _refused("to show the company's events", answer, "Check that the app may use the Events API.")
        found = _understood(list[Event], answer, small=True)
        following = answer.headers.get(_NEXT_PAGE)
        if found and not _CHECKPOINT.fullmatch(following or ""):
            raise LaterError(Reason.SOURCE, detail=f"Syncplicity's answer has no usable header {_NEXT_PAGE}")
        return found, following

    async def _get(
        self,
        path: str,
        query: Mapping[str, str] | None = None,
        as_user: str | None = None,
        checkpoint: str | None = None,
    ) -> httpx.Response:
        """Ask, once more with a new token when the answer is 401 or 403: both come when it has expired.

        Returns a success, or one of the answers that mean something to the caller.
        """
        headers = {"AppKey": self._secrets["app_key"]}
        headers |= {"As-User": as_user} if as_user else {}
        headers |= {_NEXT_PAGE: checkpoint} if checkpoint else {}

        async def ask(token: Token) -> httpx.Response:
            bearer = {"Authorization": f"Bearer {token.access_token}"}
            return await self._send(self._http.build_request("GET", path, params=query, headers=headers | bearer))

        held = self._token
        answer = await ask(held or await self._renew())
        if answer.status_code in (401, 403) and held is not None:
            answer = await ask(await self._renew())
        if answer.is_success or answer.status_code in (*_HIDDEN, 400):
            return answer
        raise _later(answer)

    async def _renew(self) -> Token:
        """Get a new token. Raises RefusedError when the credentials are not taken."""
        key = f"{self._secrets['app_key']}:{self._secrets['app_secret']}"
        headers = {
            "Authorization": f"Basic {base64.b64encode(key.encode()).decode()}",
            "Sync-App-Token": self._secrets["application_token"],
        }
        form = {"grant_type": "client_credentials"}
        answer = await self._send(self._http.build_request("POST", "/oauth/token", data=form, headers=headers))
        if answer.status_code in (400, 401, 403):
            raise _refused("the credentials", answer, "Check app_key, app_secret and application_token.")
        if not answer.is_success:
            raise _later(answer)
        token = _understood(Token, answer)
        if token.user_company_id not in (None, self._secrets["company_id"].lower()):
            raise RefusedError(
                Reason.SOURCE_REFUSED, "The application token belongs to a user of another company than company_id."
            )
        self._token = token
        return token

    async def _send(self, request: httpx.Request) -> httpx.Response:
        try:
            return await self._http.send(request)
        except (httpx.HTTPError, httpx.InvalidURL) as error:  # its text holds the address that was asked for
            detail = f"Syncplicity gave no usable answer ({type(error).__name__})"
            raise LaterError(Reason.SOURCE, detail=detail) from None


def _understood[T](kind: type[T], answer: httpx.Response, *, small: bool = False) -> T:
    """Read an answer. `small`: the keys are taken in small letters, however they are written."""
    if not answer.is_success:
        raise _later(answer)
    try:
        content = _in_small_letters(answer.json()) if small else answer.json()
        return TypeAdapter(kind).validate_python(content)
    except ValidationError as error:
        detail = f"Syncplicity's answer is not what Syncplicity documents: {faults(error)}"
    except (ValueError, RecursionError):
        detail = "Syncplicity's answer is not JSON"
    raise LaterError(Reason.SOURCE, detail=detail)


def _in_small_letters(value: object) -> object:
    if isinstance(value, dict):
        return {str(key).lower(): _in_small_letters(inner) for key, inner in value.items()}
    return [_in_small_letters(inner) for inner in value] if isinstance(value, list) else value


def _refused(what: str, answer: httpx.Response, advice: str) -> RefusedError:
    return RefusedError(Reason.SOURCE_REFUSED, f"Syncplicity refused {what} (HTTP {answer.status_code}). {advice}")


def _later(answer: httpx.Response) -> LaterError:
    seconds = _SECONDS.fullmatch(answer.headers.get("Retry-After", ""))
    after = timedelta(seconds=int(seconds[0])) if seconds else None
    if answer.status_code == 429 and after is None:
        after = _FIRST_BACKOFF
    return LaterError(Reason.SOURCE, after, f"Syncplicity answered HTTP {answer.status_code}")


def _silence_wire_logs() -> None:
    """Keep addresses out of the logs: httpx writes every URL at INFO, and one of ours holds an address."""
    for name in ("httpx", "httpcore"):
        logging.getLogger(name).setLevel(logging.WARNING)

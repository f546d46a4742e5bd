"""Box's API, through Box's own SDK. Imported when first needed: the SDK takes half a second to load."""

import asyncio
import re
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from functools import partial
from typing import Any, cast

from box_sdk_gen import (
    BaseUrls,
    BoxAPIError,
    BoxCCGAuth,
    BoxClient,
    BoxSDKError,
    CCGConfig,
    CreateWebhookTarget,
    CreateWebhookTargetTypeField,
    CreateWebhookTriggers,
    FetchOptions,
    FetchResponse,
    GetEventsEventType,
    GetEventsStreamType,
    NetworkSession,
    RetryStrategy,
    TimeoutConfig,
    UpdateWebhookByIdTriggers,
)
from box_sdk_gen.internal.base_object import BaseObject

from shared.domain.reasons import Reason
from shared.domain.trouble import LaterError, RefusedError

# Box API reference, "List members of group": at most 1000 a page, and an offset above 10000 is refused.
_PAGE, _LAST_OFFSET = 1000, 10_000
_PLACE = ("name", "path_collection", "is_externally_owned")
_TOP = ["name", "is_externally_owned"]
_ENTRY = ["type", "id", *_PLACE, "has_collaborations", "shared_link"]
_NOT_SHOWN = (403, 404, 410)
_REPEATED_SECONDS = 300.0


class _RenewTokenOnce(RetryStrategy):
    """Repeats a request once, with a new token, when Box says that the token has expired, and nothing else.

    The SDK's own strategy sleeps through Retry-After in the worker; our queue waits at no cost.
    """

    def __init__(self) -> None:
        """Nothing to set."""
        super().__init__()  # type: ignore[no-untyped-call]

    def should_retry(self, fetch_options: FetchOptions, fetch_response: FetchResponse, attempt_number: int) -> bool:
        """Tell whether to repeat; renews the token."""
        if fetch_response.status != 401 or attempt_number > 1 or fetch_options.auth is None:
            return False
        fetch_options.auth.refresh_token(network_session=fetch_options.network_session)
        return True

    def retry_after(self, *_: object, **__: object) -> float:
        """Return the seconds before the repeat."""
        return 0.0


class _RefusalError(Exception):
    """Box answered 4xx. `body` is for looking into only: it may name people."""

    def __init__(self, status: int, code: str, body: str) -> None:
        """`code` is Box's own word for it."""
        super().__init__(status)
        self.status, self.code, self.body = status, code, body

    @property
    def detail(self) -> str:
        """What may be told of it."""
        return f"Box answered {self.status} {self.code}".strip()


class BoxApi:
    """The calls. Each answers Box's JSON, or None for what Box does not have or does not show.

    Each may raise LaterError, and those about the app's own rights RefusedError.
    """

    def __init__(self, secrets: Mapping[str, str]) -> None:
        """`secrets`: client_id, client_secret, enterprise_id, and api_url when it is not Box's public one."""
        auth = BoxCCGAuth(
            CCGConfig(secrets["client_id"], secrets["client_secret"], enterprise_id=secrets["enterprise_id"])
        )
        urls = BaseUrls(base_url=secrets["api_url"]) if secrets.get("api_url") else BaseUrls()
        self._repeated: frozenset[str] = frozenset()
        self._repeated_until = 0.0
        self._client = BoxClient(
            auth,
            network_session=NetworkSession(
                retry_strategy=_RenewTokenOnce(),
                base_urls=urls,
                timeout_config=TimeoutConfig(connection_timeout_ms=10_000, read_timeout_ms=30_000),
            ),
        )

    # --- people and places

    async def collaboration(self, collaboration_id: str) -> dict[str, Any] | None:
        """The collaboration as it stands now."""
        return await _answer(partial(self._client.user_collaborations.get_collaboration_by_id, collaboration_id))

    async def location(self, kind: str, item_id: str) -> dict[str, Any] | None:
        """Name, path and whether an outsider owns it, of a folder or file; `kind` is Box's type."""
        if kind == "folder":
            return await _answer(partial(self._client.folders.get_folder_by_id, item_id, fields=list(_PLACE)))
        if kind == "file":
            return await _answer(partial(self._client.files.get_file_by_id, item_id, fields=list(_PLACE)))
        return None

    async def memberships(self, group_id: str) -> list[dict[str, Any]] | None:
        """All memberships of a group; None also when there are more than Box lets anybody page through."""
        found: list[dict[str, Any]] = []
        for offset in range(0, _LAST_OFFSET + 1, _PAGE):
            page = await _answer(
                partial(self._client.memberships.get_group_memberships, group_id, limit=_PAGE, offset=offset)
            )
            if page is None:
                return None
            entries = page.get("entries") or []
            found += entries
            # total_count was seen to be too low, and pages to be shorter than their limit: neither alone ends a list.
            if len(entries) < _PAGE and offset + _PAGE >= (page.get("total_count") or 0):
                return found
        return None

    async def repeated_names(self) -> frozenset[str]:
        """The names that more than one of our items at the top has, in small letters; at most some minutes old.

        Names in a folder differ, but folders of different owners meet at the top of whoever was invited to both.
        """
        if time.monotonic() >= self._repeated_until:
            seen: Counter[str] = Counter()
            marker: str | None = None
            while (page := await self._list("0", _TOP, marker, _PAGE)) is not None:
                ours = [entry for entry in page.get("entries") or [] if not entry.get("is_externally_owned")]
                seen.update(str(entry.get("name")).casefold() for entry in ours)
                marker = page.get("next_marker")
                if not marker:
                    break
            self._repeated = frozenset(name for name, times in seen.items() if times > 1)
            self._repeated_until = time.monotonic() + _REPEATED_SECONDS
        return self._repeated

    # --- scanning

    async def items(self, folder_id: str, marker: str | None, limit: int) -> dict[str, Any] | None:
        """A part of a folder's content, with what tells whether it is shared."""
        return await self._list(folder_id, _ENTRY, marker, limit)

    async def _list(self, folder_id: str, fields: list[str], marker: str | None, limit: int) -> dict[str, Any] | None:
        list_items = self._client.folders.get_folder_items
        use_marker = cast("bool", "true")  # as Box documents it; the SDK would write True
        return await _answer(
            partial(list_items, folder_id, fields=fields, usemarker=use_marker, marker=marker, limit=limit)
        )

    async def item(self, kind: str, item_id: str) -> dict[str, Any] | None:
        """One item like those in `items`. Of one in the trash Box says only so: `item_status` is "trashed" then."""
        calls: dict[str, Callable[[], BaseObject]] = {
            "folder": partial(self._client.folders.get_folder_by_id, item_id, fields=_ENTRY),
            "file": partial(self._client.files.get_file_by_id, item_id, fields=_ENTRY),
            "web_link": partial(self._client.web_links.get_web_link_by_id, item_id),
        }
        if kind not in calls:
            return None
        try:
            return await _call(calls[kind])
        except _RefusalError as refusal:
            if refusal.status == 404 and refusal.code == "trashed":
                return {"type": kind, "id": item_id, "item_status": "trashed"}
            _expect_not_shown(refusal)
            return None

    async def collaborations(self, kind: str, item_id: str, marker: str | None) -> dict[str, Any] | None:
        """A part of the pending and accepted collaborations of a folder or file; None also where Box hides them."""
        lists = self._client.list_collaborations
        find = lists.get_folder_collaborations if kind == "folder" else lists.get_file_collaborations
        return await _answer(partial(find, item_id, marker=marker, limit=_PAGE))

    # --- the enterprise log

    async def events(self, position: str, limit: int, types: Sequence[str]) -> dict[str, Any] | None:
        """A part of the enterprise log from a position, "now" for the newest; None when Box refuses the position."""
        read = partial(
            self._client.events.get_events,
            stream_type=GetEventsStreamType.ADMIN_LOGS_STREAMING,
            stream_position=position,
            limit=limit,
            event_type=[GetEventsEventType(name) for name in types],
        )
        try:
            return await _call(read)
        except _RefusalError as refusal:
            if refusal.status == 400 and "stream_position" in refusal.body:
                return None
            if refusal.status not in _NOT_SHOWN:
                raise LaterError(Reason.SOURCE, detail=refusal.detail) from None
            raise RefusedError(
                Reason.SOURCE_REFUSED,
                f"{refusal.detail} for the enterprise's events. Give the app the scope 'Manage enterprise properties' "
                "and have it authorised again in the Box Admin Console.",
            ) from None

    # --- webhooks

    async def webhook(self, webhook_id: str) -> dict[str, Any] | None:
        """A webhook with its address and triggers."""
        return await _answer(partial(self._client.webhooks.get_webhook_by_id, webhook_id))

    async def webhooks(self, marker: str | None) -> dict[str, Any] | None:
        """A part of the list of the app's webhooks, without addresses and triggers."""
        return await _answer(partial(self._client.webhooks.get_webhooks, marker=marker, limit=200))

    async def make_webhook(self, folder_id: str, address: str, triggers: Sequence[str]) -> dict[str, Any] | None:
        """Make a webhook on a folder; None when this app has one there already."""
        make = partial(
            self._client.webhooks.create_webhook,
            CreateWebhookTarget(id=folder_id, type=CreateWebhookTargetTypeField.FOLDER),
            address,
            [CreateWebhookTriggers(trigger) for trigger in triggers],
        )
        try:
            return await _call(make)
        except _RefusalError as refusal:
            if refusal.status == 409:
                return None
            raise _no_webhook(refusal) from None

    async def change_webhook(self, webhook_id: str, address: str, triggers: Sequence[str]) -> None:
        """Let a webhook deliver there, with these triggers."""
        changed = [UpdateWebhookByIdTriggers(trigger) for trigger in triggers]
        change = self._client.webhooks.update_webhook_by_id
        try:
            await _call(partial(change, webhook_id, address=address, triggers=changed))
        except _RefusalError as refusal:
            raise _no_webhook(refusal) from None

    async def delete_webhook(self, webhook_id: str) -> None:
        """Delete a webhook. It is no error when it is gone."""
        await _answer(partial(self._client.webhooks.delete_webhook_by_id, webhook_id))


def _no_webhook(refusal: _RefusalError) -> RefusedError:
    return RefusedError(
        Reason.SOURCE_REFUSED,
        f"{refusal.detail} for the webhook. The app needs the scope 'Manage webhooks', its service account access to "
        "the folder, and Box an https address on port 443; one app has at most 1000 webhooks.",
    )


async def _answer(call: Callable[[], BaseObject | None]) -> dict[str, Any] | None:
    try:
        return await _call(call)
    except _RefusalError as refusal:
        _expect_not_shown(refusal)
        return None


def _expect_not_shown(refusal: _RefusalError) -> None:
    """Raise LaterError for a refusal that does not just say that Box does not have it or does not show it."""
    if refusal.status not in _NOT_SHOWN:
        raise LaterError(Reason.SOURCE, detail=refusal.detail) from None


async def _call(call: Callable[[], BaseObject | None]) -> dict[str, Any]:
    """Run one call of the synchronous SDK in a thread and translate its troubles.

    The SDK's error texts hold the whole exchange with names and addresses: they are not passed on.
    """
    try:
        done = await asyncio.to_thread(call)
        answer: dict[str, Any] = {} if done is None else done.raw_data
        return answer
    except BoxAPIError as error:
        told = error.response_info
        # A refused token request is a 400 without a code: it has nothing to do with what was asked for.
        if told.status_code in _NOT_SHOWN or (told.status_code in (400, 409) and told.code):
            raise _RefusalError(told.status_code, told.code or "", told.raw_body or "") from None
        headers = {name.lower(): value for name, value in told.headers.items()}
        seconds = re.fullmatch(r"[0-9]{1,6}", headers.get("retry-after", ""))
        after = timedelta(seconds=int(seconds[0])) if seconds else None
        raise LaterError(Reason.SOURCE, after, f"Box answered {told.status_code} {told.code or ''}".strip()) from None
    except (BoxSDKError, OSError, AttributeError, TypeError, ValueError) as error:  # none, or not Box's
        raise LaterError(Reason.SOURCE, detail=f"Box gave no usable answer ({type(error).__name__})") from None

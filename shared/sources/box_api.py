"""Box's API, through Box's own SDK. Imported when first needed: the SDK takes half a second to load."""

import asyncio
import re
from collections.abc import Callable, Mapping
from datetime import timedelta
from functools import partial
from typing import Any

from box_sdk_gen import (
    BaseUrls,
    BoxAPIError,
    BoxCCGAuth,
    BoxClient,
    BoxSDKError,
    CCGConfig,
    FetchOptions,
    FetchResponse,
    NetworkSession,
    RetryStrategy,
    TimeoutConfig,
)
from box_sdk_gen.internal.base_object import BaseObject

from shared.domain.reasons import Reason
from shared.domain.trouble import LaterError

# Box API reference, "List members of group": at most 1000 a page, and an offset above 10000 is refused.
_PAGE, _LAST_OFFSET = 1000, 10_000


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


class BoxApi:
    """The calls that enrichment needs. Each answers Box's JSON, or None for what Box does not have or does not show.

    Each may raise LaterError.
    """

    def __init__(self, secrets: Mapping[str, str]) -> None:
        """`secrets`: client_id, client_secret, enterprise_id, and api_url when it is not Box's public one."""
        auth = BoxCCGAuth(
            CCGConfig(secrets["client_id"], secrets["client_secret"], enterprise_id=secrets["enterprise_id"])
        )
        urls = BaseUrls(base_url=secrets["api_url"]) if secrets.get("api_url") else BaseUrls()
        self._client = BoxClient(
            auth,
            network_session=NetworkSession(
                retry_strategy=_RenewTokenOnce(),
                base_urls=urls,
                timeout_config=TimeoutConfig(connection_timeout_ms=10_000, read_timeout_ms=30_000),
            ),
        )

    async def collaboration(self, collaboration_id: str) -> dict[str, Any] | None:
        """The collaboration as it stands now."""
        return await _answer(partial(self._client.user_collaborations.get_collaboration_by_id, collaboration_id))

    async def location(self, kind: str, item_id: str) -> dict[str, Any] | None:
        """`name` and `path_collection` of a folder or file; `kind` is Box's type."""
        fields = ["name", "path_collection"]
        if kind == "folder":
            return await _answer(partial(self._client.folders.get_folder_by_id, item_id, fields=fields))
        if kind == "file":
            return await _answer(partial(self._client.files.get_file_by_id, item_id, fields=fields))
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


async def _answer(call: Callable[[], BaseObject]) -> dict[str, Any] | None:
    """Run one call of the synchronous SDK in a thread and translate its troubles.

    The SDK's error texts hold the whole exchange with names and addresses: they are not passed on.
    """
    try:
        answer: dict[str, Any] = (await asyncio.to_thread(call)).raw_data
        return answer
    except BoxAPIError as error:
        status = error.response_info.status_code
        if status in (403, 404, 410):
            return None
        headers = {name.lower(): value for name, value in error.response_info.headers.items()}
        seconds = re.fullmatch(r"[0-9]{1,6}", headers.get("retry-after", ""))
        after = timedelta(seconds=int(seconds[0])) if seconds else None
        raise LaterError(
            Reason.SOURCE, after, f"Box answered {status} {error.response_info.code or ''}".strip()
        ) from None
    except (BoxSDKError, OSError, AttributeError, TypeError, ValueError) as error:  # none, or not Box's
        raise LaterError(Reason.SOURCE, detail=f"Box gave no usable answer ({type(error).__name__})") from None

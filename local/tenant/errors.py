"""Error bodies as Microsoft Graph sends them."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass
class GraphError(Exception):
    """A refusal in Graph's error body.

    `inner` holds what stands in innerError beside the date and the ids; None leaves innerError out altogether,
    as SharePoint does for itemNotFound.
    """

    status: int
    code: str
    message: str
    inner: Mapping[str, Any] | None = field(default_factory=dict)
    retry_after: float | None = None
    location: str | None = None

    def body(self, date: str, request_id: str, client_request_id: str) -> dict[str, Any]:
        """The JSON body of the answer."""
        error: dict[str, Any] = {"code": self.code, "message": self.message}
        if self.inner is not None:
            ids = {"date": date, "request-id": request_id, "client-request-id": client_request_id}
            error["innerError"] = {**self.inner, **ids}
        return {"error": error}

    def headers(self) -> dict[str, str]:
        """Headers of the answer; Retry-After is in whole seconds."""
        headers = {} if self.location is None else {"Location": self.location}
        return (
            headers
            if self.retry_after is None
            else {**headers, "Retry-After": str(max(1, math.ceil(self.retry_after)))}
        )


def unauthorized(message: str) -> GraphError:
    """401 for a missing or dead token."""
    return GraphError(401, "InvalidAuthenticationToken", message)


def bad_request(message: str) -> GraphError:
    """400 of the OData layer in front of every workload."""
    return GraphError(400, "BadRequest", message)


def directory_bad_request(message: str) -> GraphError:
    """400 of the directory."""
    return GraphError(400, "Request_BadRequest", message)


def unsupported_query(message: str) -> GraphError:
    """400 of the directory for a filter it cannot serve, or not without the advanced-query headers."""
    return GraphError(400, "Request_UnsupportedQuery", message)


def user_not_found(user_id: str) -> GraphError:
    """404 of the directory, also for a user that has not replicated yet."""
    message = f"Resource '{user_id}' does not exist or one of its queried reference-property objects are not present."
    return GraphError(404, "Request_ResourceNotFound", message)


def item_not_found() -> GraphError:
    """404 of SharePoint; the live service sends it without innerError."""
    return GraphError(404, "itemNotFound", "The resource could not be found.", inner=None)


def invalid_request(message: str = "The request is malformed or incorrect.") -> GraphError:
    """400 of SharePoint."""
    return GraphError(400, "invalidRequest", message)


def no_resolved_users() -> GraphError:
    """400 of SharePoint for a principal it does not know (yet); the code is undocumented (onedrive-api-docs #1497)."""
    return GraphError(400, "noResolvedUsers", "One or more users could not be resolved.")


def unknown_external_address() -> GraphError:
    """What an app gets for inviting an address that is no user: forbidden for apps, yet it looks retryable."""
    return GraphError(500, "generalException", "General exception while processing")


def sharing_disabled() -> GraphError:
    """403 by policy of the tenant, site or domain; the reason is two levels deep."""
    inner = {"code": "sharingFailed", "innerError": {"code": "sharingDisabled"}}
    return GraphError(403, "accessDenied", "Sharing has been disabled on this site.", inner)


def not_allowed(message: str) -> GraphError:
    """403 for an operation that SharePoint refuses on this entry."""
    return GraphError(403, "notAllowed", message)


def locked() -> GraphError:
    """423 for a locked item."""
    return GraphError(423, "notAllowed", "The resource is locked.", {"code": "resourceLocked"})


def throttled(retry_after: float, *, sharepoint: bool) -> GraphError:
    """429 with Retry-After in seconds."""
    if sharepoint:
        inner = {"code": "throttledRequest"}
        return GraphError(429, "activityLimitReached", "The app or user has been throttled.", inner, retry_after)
    inner = {"code": "429", "message": "Please retry after", "status": "429"}
    return GraphError(429, "TooManyRequests", "Please retry again later.", inner, retry_after)

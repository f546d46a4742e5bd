"""Access tokens with which the service account acts as the people of the company (domain-wide delegation)."""

import json
from collections import OrderedDict
from threading import Lock
from typing import Any

import httplib2  # type: ignore[import-untyped]
from google.auth.transport import Response
from google.oauth2.service_account import Credentials
from google_auth_httplib2 import Request  # type: ignore[import-untyped]

from shared.domain.reasons import Reason
from shared.domain.trouble import RefusedError
from shared.sources.google_workspace.trouble import of_token_endpoint

_SCOPE = "https://www.googleapis.com/auth/"
# What each group of calls needs, and no more; docs/platforms/google-workspace.md gives the reasons.
SCOPES = {
    "drive": ("drive.metadata.readonly",),
    "drive.drives": ("drive.readonly",),
    "directory": ("admin.directory.user.readonly", "admin.directory.group.readonly", "admin.directory.domain.readonly"),
    "reports": ("admin.reports.audit.readonly",),
    "admin": ("admin.reports.audit.readonly",),  # ending a channel of Reports
}
_KEPT = 200


class Tokens:
    """The tokens that Google gave, per person and purpose; those used last are kept."""

    def __init__(self, service_account: str) -> None:
        """`service_account`: the key file's text. Raises RefusedError when its private key cannot be read."""
        try:
            key = json.loads(service_account)
            self._key = Credentials.from_service_account_info(key)  # type: ignore[no-untyped-call]
        except ValueError:  # its text may hold parts of the key
            raise RefusedError(
                Reason.SOURCE_REFUSED, "The private key in the secret 'service_account' cannot be read. Make a new key."
            ) from None
        self._given: OrderedDict[tuple[str, str], Any] = OrderedDict()
        self._lock = Lock()

    def of(self, user: str, method: str, http: httplib2.Http) -> Any:
        """Return credentials for a method of Google's APIs, with a token that has not expired.

        Raises LaterError and RefusedError.
        """
        purpose = next(name for name in (method.rpartition(".")[0], method.partition(".")[0]) if name in SCOPES)
        with self._lock:
            given = self._given.pop((user, purpose), None)
            if given is None:
                scopes = [_SCOPE + name for name in SCOPES[purpose]]
                given = self._key.with_scopes(scopes).with_subject(user)
            self._given[user, purpose] = given
            if len(self._given) > _KEPT:
                self._given.popitem(last=False)
        if not given.valid:
            self.renew(given, http)
        return given

    def renew(self, credentials: Any, http: httplib2.Http) -> None:
        """Get a new token. Raises LaterError and RefusedError."""
        credentials.refresh(_AskOnce(http))


class _AskOnce(Request):  # type: ignore[misc]
    """Asks for a token once: the library's own repeats sleep in the worker."""

    def __call__(self, *arguments: Any, **named: Any) -> Response:
        answer: Response = super().__call__(*arguments, **named)
        if answer.status != 200:
            raise of_token_endpoint(answer.status, answer.headers, answer.data)
        return answer

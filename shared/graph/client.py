"""The client: msgraph-sdk's addresses, authentication and pipeline, with raw JSON in and out.

The SDK's model classes stay unimported: the first use of any of them imports every subclass of Entity, some 1,200
modules (msgraph-sdk-python #909). Everything heavy is imported when a client is made, not with this module.
"""

import json
import logging
from collections.abc import AsyncIterator, Container, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlsplit

from shared import telemetry
from shared.domain.reasons import Reason
from shared.domain.trouble import LaterError, RefusedError
from shared.graph.errors import Area, refusal, unreached

if TYPE_CHECKING:
    import httpx
    from azure.core.credentials_async import AsyncTokenCredential
    from kiota_abstractions.base_request_builder import BaseRequestBuilder
    from kiota_abstractions.method import Method

# The form that Microsoft asks of non-commercial and in-house apps ("Avoid getting throttled or blocked in SharePoint").
USER_AGENT = "NONISV|Guestpass|Guestpass/0.1"
_PUBLIC_GRAPH = "graph.microsoft.com"


@dataclass(frozen=True)
class Reply:
    """Graph's answer to a call that succeeded; an answer without a body is an empty object.

    The names of `headers` ignore letter case.
    """

    status: int
    body: Mapping[str, Any]
    headers: Mapping[str, str] = field(default_factory=dict)


class Graph:
    """Microsoft Graph at one base URL. `client` gives the SDK's builders, the methods here send them.

    Every method raises LaterError or RefusedError as the table of `area` says. Nothing is repeated in here: waiting
    belongs to the queues, and a repeated write may act twice.
    """

    def __init__(self, base_url: str, credential: "AsyncTokenCredential", *, timeout_seconds: float = 60) -> None:
        """`base_url` ends with the version (`https://graph.microsoft.com/v1.0`); plain http works for loopback only.

        The credential remains the caller's to close.
        """
        import httpx
        from kiota_authentication_azure.azure_identity_authentication_provider import (
            AzureIdentityAuthenticationProvider,
        )
        from kiota_http.kiota_client_factory import KiotaClientFactory
        from kiota_http.middleware import ParametersNameDecodingHandler
        from msgraph.graph_request_adapter import GraphRequestAdapter
        from msgraph.graph_service_client import GraphServiceClient

        _silence_wire_logs()
        base = urlsplit(base_url)
        self._root = f"{base.scheme}://{base.netloc}/"
        is_tls = base.scheme == "https"
        provider = AzureIdentityAuthenticationProvider(
            credential,
            scopes=[f"https://{base.hostname if is_tls else _PUBLIC_GRAPH}/.default"],
            allowed_hosts=[base.hostname or ""],
        )
        # Not the SDK's default pipeline: it repeats writes after a 504, follows redirects, and puts whole URLs, with
        # the addresses that are looked for, into traces.
        self._http = KiotaClientFactory.create_with_custom_middleware(
            [ParametersNameDecodingHandler()],
            client=httpx.AsyncClient(
                base_url=base_url,
                http2=is_tls,
                timeout=httpx.Timeout(timeout_seconds, connect=min(10, timeout_seconds)),
                headers={"User-Agent": USER_AGENT},
            ),
        )
        self._adapter = GraphRequestAdapter(provider, client=self._http)
        self._adapter.observability_options.include_euii_attributes = False
        self.client = GraphServiceClient(request_adapter=self._adapter)

    async def get(self, builder: "BaseRequestBuilder", area: Area, **query: object) -> Mapping[str, Any]:
        """Read one object. `query` holds the OData options without their dollar sign."""
        from kiota_abstractions.method import Method

        return (await self._send(Method.GET, builder, area, query=query)).body

    async def read(
        self,
        builder: "BaseRequestBuilder",
        area: Area,
        *,
        headers: Mapping[str, str] | None = None,
        accept: Container[int] = (),
        **query: object,
    ) -> Reply:
        """Read one object, with the answer's status and headers. The statuses in `accept` are no errors."""
        from kiota_abstractions.method import Method

        return await self._send(Method.GET, builder, area, query=query, headers=headers, accept=accept)

    def at(self, link: str) -> "BaseRequestBuilder":
        """Return the builder for a link that Graph handed out. One to anywhere but this Graph is refused."""
        from kiota_abstractions.base_request_builder import BaseRequestBuilder
        from kiota_abstractions.request_information import RequestInformation

        if not link.startswith(self._root):
            raise RefusedError(Reason.GRAPH_REFUSED, "The next page of a list is said to be on another host.")
        return BaseRequestBuilder(self._adapter, "", {RequestInformation.RAW_URL_KEY: link})

    async def pages(
        self, builder: "BaseRequestBuilder", area: Area, **query: object
    ) -> AsyncIterator[Mapping[str, Any]]:
        """Read a list to its end. A next link to anywhere but this Graph is refused."""
        page = await self.get(builder, area, **query)
        while True:
            for entry in page.get("value", ()):
                yield entry
            link = page.get("@odata.nextLink")
            if not link:
                return
            page = await self.get(self.at(str(link)), area)

    async def post(
        self,
        builder: "BaseRequestBuilder",
        area: Area,
        body: Mapping[str, Any],
        *,
        headers: Mapping[str, str] | None = None,
    ) -> Reply:
        """Create or act."""
        from kiota_abstractions.method import Method

        return await self._send(Method.POST, builder, area, body=body, headers=headers)

    async def post_text(self, builder: "BaseRequestBuilder", area: Area, text: str) -> Reply:
        """Act with a body of plain text, as the mails in MIME format are (in base64)."""
        from kiota_abstractions.method import Method

        return await self._send(Method.POST, builder, area, text=text)

    async def patch(self, builder: "BaseRequestBuilder", area: Area, body: Mapping[str, Any]) -> Reply:
        """Change."""
        from kiota_abstractions.method import Method

        return await self._send(Method.PATCH, builder, area, body=body)

    async def delete(self, builder: "BaseRequestBuilder", area: Area) -> None:
        """Delete."""
        from kiota_abstractions.method import Method

        await self._send(Method.DELETE, builder, area)

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def _send(
        self,
        method: "Method",
        builder: "BaseRequestBuilder",
        area: Area,
        *,
        query: Mapping[str, object] | None = None,
        body: Mapping[str, Any] | None = None,
        text: str | None = None,
        headers: Mapping[str, str] | None = None,
        accept: Container[int] = (),
    ) -> Reply:
        import httpx
        from azure.core.exceptions import AzureError
        from kiota_abstractions.native_response_handler import NativeResponseHandler
        from kiota_abstractions.request_information import RequestInformation
        from kiota_http.middleware.options import ResponseHandlerOption

        info = RequestInformation(method, builder.url_template, dict(builder.path_parameters))
        info.query_parameters = {f"%24{name}": value for name, value in (query or {}).items()}
        info.headers.try_add("Accept", "application/json")
        for name, value in (headers or {}).items():
            info.headers.try_add(name, value)
        if body is not None:
            info.set_stream_content(json.dumps(body).encode(), "application/json")
        if text is not None:
            info.set_stream_content(text.encode(), "text/plain")
        # The SDK's own error type loses what is nested in innerError and every body that is not JSON.
        info.add_request_options([ResponseHandlerOption(NativeResponseHandler())])
        try:
            native = await self._adapter.send_primitive_async(info, "bytes", None)
        except (httpx.HTTPError, httpx.InvalidURL, AzureError) as error:
            telemetry.called_graph(area.permission, 0)
            raise unreached(error) from None
        response = cast("httpx.Response", native)
        telemetry.called_graph(area.permission, response.status_code)
        if not response.is_success and response.status_code not in accept:
            raise refusal(area, response.status_code, response.headers, response.content)
        try:
            content = json.loads(response.content or b"{}")
        except (ValueError, RecursionError):
            content = None
        if not isinstance(content, dict):
            raise LaterError(Reason.GRAPH, detail=f"HTTP {response.status_code} with a body that is not JSON")
        return Reply(response.status_code, content, response.headers)


def _silence_wire_logs() -> None:
    """Keep addresses and tokens out of the logs: httpx writes every URL at INFO, hpack every header at DEBUG."""
    for name in ("httpx", "httpcore", "hpack"):
        logging.getLogger(name).setLevel(logging.WARNING)

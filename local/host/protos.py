"""Stand-ins for the gRPC messages that the worker library asks its caller for.

Names of classes and attributes are those of azure-functions-language-worker-protobuf (FunctionRpc.proto); the library
reads and writes these attributes only. This module itself is the `protos` namespace that is handed over.
"""

import builtins
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import timedelta
from types import SimpleNamespace
from typing import Any, ClassVar


@dataclass(kw_only=True, slots=True)
class RpcException:
    message: str = ""
    stack_trace: str = ""
    source: str = ""


@dataclass(kw_only=True, slots=True)
class StatusResult:
    Failure: ClassVar[int] = 0
    Success: ClassVar[int] = 1
    Cancelled: ClassVar[int] = 2

    status: int = 0
    exception: RpcException | None = None


@dataclass(kw_only=True, slots=True)
class WorkerMetadata:
    runtime_name: str
    runtime_version: str
    worker_version: str
    worker_bitness: str
    custom_properties: Mapping[str, str]


@dataclass(kw_only=True, slots=True)
class WorkerInitResponse:
    capabilities: Mapping[str, str]
    worker_metadata: WorkerMetadata
    result: StatusResult


@dataclass(kw_only=True, slots=True)
class BindingInfo:
    undefined: ClassVar[int] = 0
    out: ClassVar[int] = 1
    inout: ClassVar[int] = 2

    type: str
    data_type: int | None
    direction: int


@dataclass(kw_only=True, slots=True)
class RpcRetryOptions:
    max_retry_count: int
    retry_strategy: str
    delay_interval: timedelta | None = None
    minimum_interval: timedelta | None = None
    maximum_interval: timedelta | None = None


@dataclass(kw_only=True, slots=True)
class RpcFunctionMetadata:
    name: str
    function_id: str
    managed_dependency_enabled: bool
    directory: str
    script_file: str
    entry_point: str
    is_proxy: bool
    language: str
    bindings: Mapping[str, BindingInfo]
    raw_bindings: Sequence[str]
    retry_options: RpcRetryOptions | None
    properties: Mapping[str, str]


@dataclass(kw_only=True, slots=True)
class FunctionMetadataResponse:
    use_default_metadata_indexing: bool
    function_metadata_results: Sequence[RpcFunctionMetadata] | None
    result: StatusResult


@dataclass(kw_only=True, slots=True)
class NullableString:
    value: str


@dataclass(kw_only=True, slots=True)
class NullableBool:
    value: bool


@dataclass(kw_only=True, slots=True)
class NullableDouble:
    value: float


@dataclass(kw_only=True, slots=True)
class Timestamp:
    seconds: int


@dataclass(kw_only=True, slots=True)
class NullableTimestamp:
    value: Timestamp


@dataclass(kw_only=True, slots=True)
class RpcHttpCookie:
    SameSite: ClassVar[Any] = SimpleNamespace(**{"None": 0, "Lax": 1, "Strict": 2, "ExplicitNone": 3})

    name: str
    value: str
    domain: NullableString | None
    path: NullableString | None
    expires: NullableTimestamp | None
    secure: NullableBool | None
    http_only: NullableBool | None
    same_site: int
    max_age: NullableDouble | None


@dataclass(kw_only=True, slots=True)
class TypedData:
    """A value of one of several kinds; at most one attribute is set."""

    string: str | None = None
    json: str | None = None
    bytes: builtins.bytes | None = None
    http: "RpcHttp | None" = None
    int: builtins.int | None = None
    double: float | None = None

    def WhichOneof(self, _: str) -> str | None:  # noqa: N802  the library calls it by this name
        return next((f.name for f in fields(self) if getattr(self, f.name) is not None), None)


@dataclass(kw_only=True, slots=True)
class RpcHttp:
    method: str = ""
    url: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    query: Mapping[str, str] = field(default_factory=dict)
    params: Mapping[str, str] = field(default_factory=dict)
    body: TypedData = field(default_factory=TypedData)
    status_code: str = ""
    cookies: Sequence[RpcHttpCookie] | None = None
    enable_content_negotiation: bool = False


@dataclass(kw_only=True, slots=True)
class ParameterBinding:
    name: str
    data: TypedData | None

    def WhichOneof(self, _: str) -> str:  # noqa: N802  the library calls it by this name
        return "data"


@dataclass(kw_only=True, slots=True)
class InvocationResponse:
    invocation_id: str
    result: StatusResult
    return_value: TypedData | None = None
    output_data: Sequence[ParameterBinding] = ()


@dataclass(kw_only=True, slots=True)
class TraceContext:
    """W3C trace context of an invocation."""

    trace_parent: str = ""
    trace_state: str = ""
    attributes: Mapping[str, str] = field(default_factory=dict)


@dataclass(kw_only=True, slots=True)
class RetryContext:
    retry_count: int = 0
    max_retry_count: int = 0
    exception: RpcException | None = None


@dataclass(kw_only=True, slots=True)
class InvocationRequest:
    invocation_id: str
    function_id: str
    input_data: Sequence[ParameterBinding]
    trigger_metadata: Mapping[str, TypedData]
    trace_context: TraceContext
    retry_context: RetryContext = field(default_factory=RetryContext)

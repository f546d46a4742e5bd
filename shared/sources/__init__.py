"""The source platforms: one file per platform, one common protocol (`shared.workflows.ports.Source`)."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from shared.domain.connections import Connection
from shared.domain.platforms import Platform

if TYPE_CHECKING:
    from shared.workflows.ports import Source


@dataclass(frozen=True)
class SecretNames:
    """The secrets of a platform, by the names that a connection's `secrets` uses."""

    required: tuple[str, ...]
    optional: tuple[str, ...] = ()


_INBOUND = SecretNames(required=("signing_secret",), optional=("previous_signing_secret",))

SECRETS: dict[Platform, SecretNames] = {
    Platform.BOX: SecretNames(
        required=("primary_key", "client_id", "client_secret", "enterprise_id"),
        optional=("secondary_key", "api_url"),
    ),
    Platform.SECURISYNC: _INBOUND,
    Platform.SYNCPLICITY: _INBOUND,
}


def build_source(connection: Connection, secrets: Mapping[str, str]) -> "Source":
    """Return what speaks for the connection. `secrets`: the values, by the names in SECRETS.

    Raises ValueError with a sentence for who configures it: the platform is not supported yet, a secret is missing,
    unusable, or not one of the platform's (most likely a typing mistake).
    """
    names = SECRETS.get(connection.platform)
    if names is None:
        raise ValueError(f"The platform {connection.platform.value!r} is not supported yet.")
    unknown = secrets.keys() - {*names.required, *names.optional}
    missing = [name for name in names.required if not secrets.get(name)]
    if unknown or missing:
        raise ValueError(
            f"Connection {connection.id!r} ({connection.platform.value}) needs the secrets {', '.join(names.required)} "
            f"and may have {', '.join(names.optional)}."
            + (f" Missing: {', '.join(missing)}." if missing else "")
            + (f" Not known: {', '.join(sorted(unknown))}." if unknown else "")
        )
    return _builder(connection.platform)(connection, secrets)


def _builder(platform: Platform) -> "Callable[[Connection, Mapping[str, str]], Source]":
    """Import only the platform that is asked for: a worker starts faster without the others' libraries."""
    if platform is Platform.BOX:
        from shared.sources.box import BoxSource

        return BoxSource
    from shared.sources.inbound import InboundSource

    return InboundSource

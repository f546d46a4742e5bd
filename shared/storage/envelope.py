"""The envelope of every queue message: a CloudEvents 1.0 JSON document, in ASCII."""

import json
import re
from datetime import UTC, datetime
from uuid import uuid4

from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent
from pydantic import ValidationError

from shared.domain.events import ShareEvent
from shared.domain.messages import (
    BatchMessage,
    DeliveryMessage,
    FindFeedsMessage,
    GrantMessage,
    InvitationMessage,
    Message,
    MoveMessage,
    PollMessage,
    RenewMessage,
)
from shared.storage.rows import faults

MESSAGE_LIMIT = 48 * 1024
"""Characters of ASCII text that a message can hold: 64 KiB after base64."""

_MODELS: dict[str, type[Message]] = {
    "share-event": ShareEvent,
    "invitation": InvitationMessage,
    "grant": GrantMessage,
    "delivery": DeliveryMessage,
    "move": MoveMessage,
    "find-feeds": FindFeedsMessage,
    "poll": PollMessage,
    "renew": RenewMessage,
    "batch": BatchMessage,
}
_NAMES = {model: name for name, model in _MODELS.items()}
_TYPE = re.compile(r"guestpass\.([a-z-]+)\.v([0-9]+)")
_VERSION = "1"


def encode(message: Message, attempt: int = 0, traceparent: str | None = None) -> str:
    """Return the message as text. Raises ValueError when a queue cannot hold it.

    `attempt` counts how often the message was put off; `traceparent` is the W3C trace context of the sender.
    """
    attributes = {
        "specversion": "1.0",
        "id": str(uuid4()),
        "source": "guestpass",
        "type": f"guestpass.{_NAMES[type(message)]}.v{_VERSION}",
        "time": datetime.now(UTC),
        "datacontenttype": "application/json",
        "attempt": attempt,
    }
    if traceparent is not None:
        attributes["traceparent"] = traceparent
    text = JSONFormat().write(CloudEvent(attributes, json.loads(message.model_dump_json()))).decode("ascii")
    if len(text) > MESSAGE_LIMIT:
        raise ValueError(f"a queue message holds {MESSAGE_LIMIT} characters, this one needs {len(text)}")
    return text


def decode(text: str) -> tuple[Message, int, str | None]:
    """Return the message, how often it was put off, and the sender's `traceparent`.

    Raises ValueError for anything that `encode` did not write; its text holds nothing of the message's content.
    """
    try:
        event = JSONFormat().read(CloudEvent, text)
    except Exception as error:  # the library lets through whatever its parsers raise
        raise ValueError(f"not a CloudEvents 1.0 JSON document ({type(error).__name__})") from None
    kind = _TYPE.fullmatch(event.get_type())
    if kind is None or kind[1] not in _MODELS:
        raise ValueError("a CloudEvent of a type that Guestpass does not know")
    if kind[2] != _VERSION:
        raise ValueError(f"{kind[0]}: version {kind[2]} is not known here, only version {_VERSION} is")
    attempt = event.get_extension("attempt")
    if type(attempt) is not int or attempt < 0:
        raise ValueError(f"{kind[0]}: the attribute 'attempt' is not a number of attempts")
    try:
        message = _MODELS[kind[1]].model_validate_json(json.dumps(event.get_data()))
    except ValidationError as error:
        raise ValueError(f"{kind[0]}: {faults(error)}") from None
    trace = event.get_extension("traceparent")
    return message, attempt, trace if isinstance(trace, str) else None

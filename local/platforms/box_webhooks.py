"""Box's webhook deliveries, byte for byte as Box writes and signs them."""

import base64
import hmac
import json
import uuid
from collections.abc import Mapping
from datetime import datetime
from typing import Any

SERVICE_USER: Mapping[str, str] = {"type": "user", "id": "1111", "name": "Test User", "login": "test@user.com"}


def delivery(
    trigger: str,
    source: Mapping[str, Any],
    primary_key: str,
    secondary_key: str,
    at: datetime,
    *,
    event_id: str | None = None,
    sent_at: datetime | None = None,
    created_by: Mapping[str, str] = SERVICE_USER,
    webhook_id: str = "53",
) -> tuple[dict[str, str], bytes]:
    """Return headers and body of one attempt to deliver that `trigger` happened at `at` to `source`.

    `source` is a collaboration, or the item for SHARED_LINK triggers. Attempts to deliver one event have the same
    `event_id` and each its own `sent_at`.
    """
    envelope = {
        "type": "webhook_event",
        "id": event_id or str(uuid.uuid4()),
        "created_at": at.isoformat(timespec="seconds"),
        "trigger": trigger,
        "webhook": {"id": webhook_id, "type": "webhook"},
        "created_by": dict(created_by),
        "source": dict(source),
        "additional_info": [],
    }
    # Box sends ASCII with escaped slashes: the signatures in the tests of its SDKs match only such bodies.
    body = json.dumps(envelope, separators=(",", ":")).replace("/", "\\/").encode("ascii")
    return signed(body, primary_key, secondary_key, sent_at or at), body


def signed(body: bytes, primary_key: str, secondary_key: str, sent_at: datetime) -> dict[str, str]:
    """Return the headers of a delivery of `body`."""
    timestamp = sent_at.isoformat(timespec="seconds")
    return {
        "BOX-DELIVERY-ID": str(uuid.uuid4()),
        "BOX-DELIVERY-TIMESTAMP": timestamp,
        "BOX-SIGNATURE-PRIMARY": _signature(primary_key, body, timestamp),
        "BOX-SIGNATURE-SECONDARY": _signature(secondary_key, body, timestamp),
        "BOX-SIGNATURE-VERSION": "1",
        "BOX-SIGNATURE-ALGORITHM": "HmacSHA256",
        "Content-Type": "application/json",
        "User-Agent": "Box-WH-Client/0.1",
    }


def _signature(key: str, body: bytes, timestamp: str) -> str:
    return base64.b64encode(hmac.digest(key.encode(), body + timestamp.encode(), "sha256")).decode()

"""A relay for platforms without webhooks: signs a share fact as Standard Webhooks says."""

import base64
import hmac
import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any


def delivery(document: Mapping[str, Any], secret: str, at: datetime, delivery_id: str) -> tuple[dict[str, str], bytes]:
    """Return headers and body of one attempt, at `at`, to deliver a CloudEvents document. `secret` is `whsec_...`."""
    body = json.dumps(document, ensure_ascii=False).encode()
    return signed(body, secret, at, delivery_id), body


def signed(body: bytes, secret: str, at: datetime, delivery_id: str) -> dict[str, str]:
    """Return the headers of a delivery of `body`."""
    timestamp = str(int(at.timestamp()))
    key = base64.b64decode(secret.removeprefix("whsec_"))
    signature = hmac.digest(key, f"{delivery_id}.{timestamp}.".encode() + body, "sha256")
    return {
        "webhook-id": delivery_id,
        "webhook-timestamp": timestamp,
        "webhook-signature": f"v1,{base64.b64encode(signature).decode()}",
        "content-type": "application/cloudevents+json",
    }

"""Renders the pages. Everything that is put into one is escaped: names and paths come from outsiders."""

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

_HERE = Path(__file__).parent
_MIMETYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}


@dataclass(frozen=True)
class Asset:
    """A public file; `version` changes with its content."""

    content: bytes
    mimetype: str

    @property
    def version(self) -> str:
        """A short digest of the content."""
        return hashlib.sha256(self.content).hexdigest()[:12]


ASSETS = {
    path.name: Asset(path.read_bytes(), _MIMETYPES[path.suffix])
    for path in sorted((_HERE / "static").iterdir())
    if path.suffix in _MIMETYPES
}

_STATES = {
    "unknown": "asks for nothing",
    "held": "pending admin approval",
    "approved": "approved, being invited",
    "invited": "has not accepted the invitation yet",
    "expired": "invitation expired",
    "usable": "ready",
    "denied": "denied",
    "blocked": "needs attention",
}
_VIEWS = {
    "held": "Pending admin approval",
    "invited": "Has not accepted the invitation yet",
    "granted": "Granted",
    "needs-attention": "Needs attention",
    "ignored": "Ignored",
}


def asset(name: str) -> str:
    """Return the address of a public file."""
    return f"/api/assets/{name}?v={ASSETS[name].version}"


def moment(at: datetime | None) -> str:
    """Return a time in UTC as people write it."""
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M") if at else "–"


_ENVIRONMENT = Environment(
    loader=FileSystemLoader(_HERE / "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_ENVIRONMENT.globals.update(asset=asset, states=_STATES, views=_VIEWS)
_ENVIRONMENT.filters["moment"] = moment


def render(name: str, **values: object) -> str:
    """Return a page or a part of one."""
    return _ENVIRONMENT.get_template(name).render(**values)

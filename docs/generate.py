"""Writes the generated parts of the docs from the code: `make docs`. A test fails when they are not fresh.

A generated part stands between `<!-- generated: name -->` and `<!-- end -->`.
"""

import re
import sys
from collections.abc import Callable, Iterable
from datetime import timedelta
from pathlib import Path

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from shared.domain.connections import Connection, Policy, Route
from shared.domain.feeds import Health
from shared.domain.platforms import RULES, Fidelity, ItemKind, PlatformRules, Role
from shared.domain.reasons import Reason, State
from shared.settings import Settings
from shared.sources import SECRETS
from shared.sources.files import Row
from shared.workflows.ports import Timing

ROOT = Path(__file__).resolve().parent.parent
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")))
_PART = re.compile(r"(<!-- generated: ([a-z-]+) -->\n).*?(<!-- end -->)", re.DOTALL)


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    lines = [list(head), *[[cell.replace("|", "\\|").replace("\n", " ") for cell in row] for row in rows]]
    lines.insert(1, ["---"] * len(lines[0]))
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    value = field.get_default(call_default_factory=True, validated_data={})
    if value in (None, (), {}, PydanticUndefined) or isinstance(value, BaseModel):
        return ""
    return f"`{value}`"


def settings() -> str:
    """Every setting of the function app."""
    rows = [(f"`{f.alias}`", f.description or "", _default(f)) for f in Settings.model_fields.values()]
    return _table(("Setting", "Meaning", "Default"), rows)


def _fields(model: type[BaseModel]) -> str:
    fields = {name: f for name, f in model.model_fields.items() if f.description}
    rows = [(f"`{name}`", f.description or "", _default(f)) for name, f in fields.items()]
    return _table(("Field", "Meaning", "Default"), rows)


def reasons() -> str:
    """Every reason code, by state."""
    order = list(State)
    rows = [(f"`{reason.value}`", reason.sentence) for reason in sorted(Reason, key=lambda r: order.index(r.state))]
    return _table(("Code", "What it says"), rows)


def scopes() -> str:
    """Which kinds of item each platform carries."""

    def row(name: str, rules: PlatformRules) -> tuple[str, ...]:
        kinds = (ItemKind.ROOT, ItemKind.FOLDER, ItemKind.FILE)
        flags = (rules.batch, *(kind in rules.carried for kind in kinds), rules.must_accept_at_source)
        return name, *("yes" if flag else "no" for flag in flags)

    head = ("Platform", "Batch mode", "Root folder", "Folder", "Files", "Must accept at the source first")
    return _table(head, [row(platform, rules) for platform, rules in RULES.items()])


def roles() -> str:
    """What each role at the source becomes."""
    words = {
        (Role.WRITE, Fidelity.EXACT): "edit",
        (Role.WRITE, Fidelity.NARROWER): "edit (narrower than at the source)",
        (Role.READ, Fidelity.EXACT): "view",
        (Role.READ, Fidelity.NARROWER): "view (narrower than at the source)",
        (None, Fidelity.EXACT): "refused, unless a setting maps it",
    }
    rows = [
        (platform, role, words[mapping.role, mapping.fidelity])
        for platform, rules in RULES.items()
        for role, mapping in rules.roles.items()
    ]
    return _table(("Platform", "Role at the source", "SharePoint"), rows)


def secrets() -> str:
    """Which secrets each platform's connection names."""
    rows = [
        (p, ", ".join(f"`{n}`" for n in s.required), ", ".join(f"`{n}`" for n in s.optional))
        for p, s in SECRETS.items()
    ]
    return _table(("Platform", "Secrets", "Optional"), rows)


def patience() -> str:
    """How long Guestpass waits for what."""
    timing = Timing()
    rows = [
        ("a guest whom SharePoint does not resolve yet", f"{timing.patience.total_seconds() / 3600:.0f} hours"),
        ("an item that has not arrived at the destination", f"{timing.item_patience.days} days"),
        ("a worker that died while it gave access", f"{timing.busy.total_seconds() / 60:.0f} minutes"),
        ("one more try, doubling each time", f"{timing.longest_retry.total_seconds() / 3600:.0f} hour"),
    ]
    return _table(("Waiting for", "At most"), rows)


def columns() -> str:
    """The columns of a CSV file of existing shares."""
    rows = [
        (f"`{name}`", field.description or "", "yes" if field.is_required() else "")
        for name, field in Row.model_fields.items()
    ]
    return _table(("Column", "Meaning", "Required"), rows)


def health() -> str:
    """What is said of a feed."""
    return _table(("Health", "What it says"), [(f"`{one.value}`", one.sentence) for one in Health])


def cadence() -> str:
    """How often each platform is read without being told to."""

    def words(every: timedelta | None) -> str:
        if every is None:
            return "never"
        if every < timedelta(minutes=1):
            return "every minute"
        days, minutes = every.days, every.seconds // 60
        return f"every {days} days" if days > 1 else "every day" if days else f"every {minutes} minutes"

    rows = [(platform, words(rules.poll_every), words(rules.scan_every)) for platform, rules in RULES.items()]
    return _table(("Platform", "Read without a notification", "Scanned by itself after the first scan"), rows)


PARTS: dict[str, Callable[[], str]] = {
    "settings": settings,
    "connection": lambda: _fields(Connection),
    "route": lambda: _fields(Route),
    "policy": lambda: _fields(Policy),
    "reasons": reasons,
    "scopes": scopes,
    "roles": roles,
    "secrets": secrets,
    "patience": patience,
    "columns": columns,
    "health": health,
    "cadence": cadence,
}


def fresh(text: str) -> str:
    """Return a page with its generated parts as they must be. Raises KeyError for a part that nobody makes."""
    return _PART.sub(lambda part: part[1] + PARTS[part[2]]() + part[3], text)


def main() -> int:
    """Write every page again; tell which changed."""
    for page in PAGES:
        before = page.read_text()
        after = fresh(before)
        if after != before:
            page.write_text(after)
            sys.stdout.write(f"{page.relative_to(ROOT)} was written again\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())

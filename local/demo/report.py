"""What the demo shows: progress while it runs, and tables at the end."""

from collections import Counter
from itertools import groupby
from types import TracebackType
from typing import Self

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table

from local.demo.places import Json
from local.demo.play import Outcome
from local.demo.seven import BEFORE, CHANGED, LIVE, LOST, REMOVED, SEVEN

_STATE_STYLES = {
    "granted": "green",
    "waiting": "yellow",
    "needs-attention": "magenta",
    "refused": "red",
    "ignored": "dim",
    "revoked": "blue",
}


_PASSAGES = {
    LIVE: "Live",
    CHANGED: "Role",
    REMOVED: "Removed",
    LOST: "Untold",
    BEFORE: "Before",
}


class Live:
    """Progress, one line for each thing that is done or waited for."""

    def __init__(self, console: Console) -> None:
        self._progress = Progress(
            SpinnerColumn(finished_text="[green]✓"),
            TextColumn("{task.description}"),
            BarColumn(bar_width=12),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=console,
        )
        self._tasks: list[tuple[str, TaskID]] = []

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()

    def stop(self) -> None:
        """Leave what is shown as it is."""
        self._progress.stop()

    def tell(self, what: str, done: int, total: int) -> None:
        """Show how far something is; something else than last time begins a line."""
        if not self._tasks or self._tasks[-1][0] != what:
            self._tasks.append((what, self._progress.add_task(what, total=total)))
        self._progress.update(self._tasks[-1][1], completed=done, total=total)


def show(console: Console, outcome: Outcome, faults: list[str], seconds: float) -> None:
    """Print the tables, the counts, and the verdict."""
    console.print(_shares(outcome.people))
    console.print(_permissions(outcome.tenant))
    console.print(_passages(outcome))
    console.print(_batches(outcome))
    console.print(_counts(outcome))
    for fault in faults:
        console.print(f"[red]✗[/red] {fault}", highlight=False, soft_wrap=True)
    verdict = (
        f"[red]NOT AS EXPECTED: {len(faults)} differences"
        if faults
        else "[green]AS EXPECTED: not one permission missing, not one more"
    )
    console.print(f"[bold]{verdict}[/] ({seconds:.0f} seconds)", highlight=False)


def _table(title: str, *columns: str) -> Table:
    """A table that stays readable on a terminal of 80 columns."""
    table = Table(title=title, box=box.SIMPLE_HEAD, title_style="bold", title_justify="left", pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold")
    return table


def _shares(people: list[Json]) -> Table:
    table = _table("Every share", "Person and share", "Role there → here", "State")
    shares = sorted(
        (share for person in people for share in person["shares"]),
        key=lambda share: (share["principal"].lower(), share["connection"], share["item"] or ""),
    )
    for person, theirs in groupby(shares, key=lambda share: share["principal"].lower()):
        table.add_row(f"[bold]{escape(person)}[/]")
        for share in theirs:
            reason = share["sentence"] if share["state"] == "waiting" else share["reason"]
            table.add_row(
                f"  {share['connection']}: {escape(share['item'] or '(hidden by the source)')}",
                f"{share['roleAtSource']} → {share['role']}" if share["role"] else share["roleAtSource"],
                f"[{_STATE_STYLES[share['state']]}]{reason}[/]",
            )
    return table


def _permissions(tenant: Json) -> Table:
    table = _table("Permissions that really exist at the destination", "Item and person", "Role", "How")
    own = [row for row in tenant["permissions"] if not row["inherited"]]
    own.sort(key=lambda row: (row["drive"], row["path"], row["mail"] or ""))
    for item, rows in groupby(own, key=lambda row: f"{row['drive']}: {row['path']}"):
        table.add_row(f"[bold]{escape(item)}[/]")
        for row in rows:
            how = f"{row['linkType']} link" if row["via"] == "link" else row["via"]
            table.add_row(
                f"  {escape(row['mail'] or 'anyone')}",
                row["role"],
                f"[dim]{how}, as above[/]" if row["copied"] else how,
            )
    return table


def _passages(outcome: Outcome) -> Table:
    """One row per platform: what the partner holds in the end of each of the five things."""
    table = _table("Every platform; untold and from before: found by a scan", "Source", *_PASSAGES.values())
    real = {(row["mail"], row["drive"], row["path"]): row["role"] for row in outcome.tenant["permissions"]}
    for one in SEVEN:
        held = [real.get((one.person, one.drive, f"{one.place}/{name}"), "nothing") for name in _PASSAGES]
        table.add_row(one.source, *held)
    return table


def _batches(outcome: Outcome) -> Table:
    table = _table("What the scans and the file brought", "Batch", "Items", "Shares", "Outcomes")
    for batch in outcome.batches:
        came_to = ", ".join(f"{number} {reason}" for reason, number in batch["outcomes"].items())
        table.add_row(f"{batch['kind']} of {batch['connection']}", str(batch["items"]), str(batch["shares"]), came_to)
    return table


def _counts(outcome: Outcome) -> Table:
    table = _table("Counts", "What", "How many")
    for (status, code), number in sorted(Counter((a.status, a.code) for a in outcome.answers).items()):
        table.add_row(f"deliveries answered {status} {code}", str(number))
    for what in ("invitation", "mail"):
        counts = outcome.tenant[f"{what}Counts"]
        table.add_row(f"{what}s sent", str(sum(counts.values())))
        table.add_row(f"most {what}s for one person", str(max(counts.values(), default=0)))
    graph = Counter(f"{exchange['status'] // 100}xx" for exchange in outcome.exchanges)
    table.add_row("calls to Microsoft Graph", ", ".join(f"{number} {kind}" for kind, number in sorted(graph.items())))
    table.add_row("throttled by Microsoft Graph", str(sum(exchange["status"] == 429 for exchange in outcome.exchanges)))
    table.add_row("function runs", str(outcome.host["invocations"]))
    table.add_row("function runs that failed", str(outcome.host["failures"]))
    table.add_row("messages given up", str(outcome.host["poisoned"]))
    return table

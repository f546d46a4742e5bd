"""What the demo shows: progress while it runs, and tables at the end."""

from collections import Counter
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table

from local.demo.places import Json
from local.demo.play import Outcome

_STATE_STYLES = {
    "granted": "green",
    "waiting": "yellow",
    "needs-attention": "magenta",
    "refused": "red",
    "ignored": "dim",
    "revoked": "blue",
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
    table = Table(title=title)
    for column in columns:
        table.add_column(column, overflow="fold")
    return table


def _shares(people: list[Json]) -> Table:
    table = _table("Every share", "Person", "Source", "Item", "Role there", "Role here", "State", "Reason")
    rows = [(share, person) for person in people for share in person["shares"]]
    for share, _ in sorted(rows, key=lambda row: (row[0]["principal"], row[0]["connection"], row[0]["item"] or "")):
        table.add_row(
            share["principal"],
            share["connection"],
            share["item"] or "(hidden by the source)",
            share["roleAtSource"],
            share["role"],
            f"[{_STATE_STYLES[share['state']]}]{share['state']}[/]",
            share["sentence"] if share["state"] == "waiting" else share["reason"].partition("/")[2],
        )
    return table


def _permissions(tenant: Json) -> Table:
    table = _table("Permissions that really exist at the destination", "Library", "Item", "Person", "Role", "How")
    own = [row for row in tenant["permissions"] if not row["inherited"]]
    for row in sorted(own, key=lambda row: (row["drive"], row["path"], row["mail"] or "")):
        how = f"{row['linkType']} link" if row["via"] == "link" else row["via"]
        table.add_row(
            row["drive"], row["path"], row["mail"], row["role"], f"[dim]{how}, as above[/]" if row["copied"] else how
        )
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

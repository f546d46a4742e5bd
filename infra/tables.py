"""python -m infra.tables backup|restore: copy the ledger's tables to files and back. Table storage has no backup.

One file of JSON lines for each table, a line for each row. Stop the app first: a partition is read row by row. The
files hold addresses and redeem links; keep them like the ledger itself. Whoever runs this needs the role *Storage Table
Data Reader* (backup) or *Storage Table Data Contributor* (restore) on the account.
"""

import argparse
import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

from azure.core.exceptions import AzureError
from azure.data.tables import EdmType, EntityProperty, TableServiceClient

from shared.storage.account import TABLES

_TRANSACTION_ROWS = 100  # Microsoft, "Performing entity group transactions": 100 rows and 4 MiB, of one partition
_TRANSACTION_BYTES = 2 * 1024 * 1024


class CopyError(Exception):
    """What was asked for would lose something; the message says what."""


def backup(service: TableServiceClient, folder: Path) -> dict[str, int]:
    """Write every table into the folder; return how many rows each has. Raises CopyError for a folder in use."""
    if folder.exists() and any(folder.iterdir()):
        raise CopyError(f"{folder} is not empty: a backup goes into a folder of its own")
    folder.mkdir(parents=True, exist_ok=True)
    counts = {}
    for name in TABLES:
        with (folder / f"{name}.jsonl").open("w", encoding="utf-8") as file:
            counts[name] = 0
            for row in service.get_table_client(name).list_entities():
                file.write(json.dumps({key: _typed(value) for key, value in row.items()}, ensure_ascii=False) + "\n")
                counts[name] += 1
    return counts


def restore(service: TableServiceClient, folder: Path) -> dict[str, int]:
    """Write the files of the folder into empty tables; return how many rows each has now.

    Raises CopyError, before anything is written, when a file is missing or a table is not empty.
    """
    for name in TABLES:
        if not (folder / f"{name}.jsonl").is_file():
            raise CopyError(f"{folder} has no {name}.jsonl: it is no whole backup")
        table = service.create_table_if_not_exists(name)
        if next(iter(table.list_entities(results_per_page=1)), None) is not None:
            raise CopyError(f"table {name} is not empty: restore into a new account, or delete the table first")
    counts = {}
    for name in TABLES:
        table, counts[name] = service.get_table_client(name), 0
        with (folder / f"{name}.jsonl").open(encoding="utf-8") as file:
            for rows in _transactions(file):
                table.submit_transaction([("upsert", row) for row in rows])
                counts[name] += len(rows)
    return counts


def _transactions(lines: Iterable[str]) -> Iterator[list[dict[str, Any]]]:
    """Yield rows of one partition, as many as a transaction takes."""
    rows = ((json.loads(line, object_hook=_untyped), len(line)) for line in lines)
    for _, partition in groupby(rows, key=lambda row: row[0]["PartitionKey"]):
        waiting: list[dict[str, Any]] = []
        size = 0
        for row, length in partition:
            if waiting and (len(waiting) == _TRANSACTION_ROWS or size + length > _TRANSACTION_BYTES):
                yield waiting
                waiting, size = [], 0
            waiting.append(row)
            size += length
        yield waiting


def _typed(value: Any) -> Any:
    """A number of 64 bits comes with its type, which JSON would lose. What the app does not write fails in json."""
    return {"edm": EdmType(value.edm_type).value, "value": value.value} if isinstance(value, EntityProperty) else value


def _untyped(value: dict[str, Any]) -> Any:
    return EntityProperty(value["value"], value["edm"]) if value.keys() == {"edm", "value"} else value


def main(arguments: Sequence[str] | None = None) -> int:
    """Read the command line; 1 when it was refused."""
    parser = argparse.ArgumentParser(prog="python -m infra.tables", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("what", choices=["backup", "restore"])
    parser.add_argument("account", help="name of the storage account (azd: GUESTPASS_STORAGE)")
    parser.add_argument("folder", type=Path)
    options = parser.parse_args(arguments)
    from azure.identity import DefaultAzureCredential

    try:
        with TableServiceClient(
            f"https://{options.account}.table.core.windows.net", credential=DefaultAzureCredential()
        ) as service:
            counts = (backup if options.what == "backup" else restore)(service, options.folder)
    except (AzureError, CopyError) as error:
        print(error, file=sys.stderr)
        return 1
    for name, count in counts.items():
        print(f"{name:12} {count:9,} rows")
    return 0


if __name__ == "__main__":
    sys.exit(main())

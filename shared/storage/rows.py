"""How values become rows of Table storage: keys, order in time, JSON over several columns.

The limits are those of "Understanding the Table service data model" (Microsoft, Storage services REST): keys of 1 KiB
without / \\ # ? and control characters, strings of 64 KiB in UTF-16, entities of 1 MiB.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote, unquote

from azure.core import MatchConditions
from azure.core.exceptions import ResourceExistsError, ResourceModifiedError, ResourceNotFoundError
from azure.data.tables import TableEntity, TableErrorCode, UpdateMode
from azure.data.tables.aio import TableClient
from pydantic import BaseModel, ValidationError

from shared.domain.trouble import ConflictError

type Row = dict[str, Any]

# Of the JSON in a row. A change that only adds fields with a default needs no other; one that an older app would
# misunderstand does, with `text_of` making the new one of the old.
FORMAT = 1

_KEY_LENGTH = 512
_CHUNK = 16_384  # code points; each takes at most two of the 32,768 UTF-16 units that a column holds
_ENTITY_BYTES = 1_000_000  # leaves the keys and the readable columns their part of the MiB
_DAY = 86_400_000_000


def encode(text: str) -> str:
    """Return the text in characters that a key may hold, equal beginnings staying equal: letters, digits, !:@=-._."""
    return quote(text, safe="!:@", errors="surrogatepass").replace("%", "=").replace("~", "=7E")


def escape(text: str) -> str:
    """Return the text as a table key. `unescape` gives it back. Raises ValueError when it is too long for a key."""
    key = encode(text)
    if len(key) > _KEY_LENGTH:
        raise ValueError(f"a table key holds {_KEY_LENGTH} characters, this one needs {len(key)}")
    return key


def unescape(key: str) -> str:
    """Return the text that `escape` made a key of."""
    return unquote(key.replace("=", "%"), errors="surrogatepass")


def ticks(at: datetime) -> int:
    """Return microseconds, never negative: counted from a day before year 1, for times with an offset before UTC's."""
    return (at - datetime.min.replace(tzinfo=UTC)) // timedelta(microseconds=1) + _DAY


_LAST_TICK = ticks(datetime.max.replace(tzinfo=UTC)) + _DAY


def oldest_first(at: datetime) -> str:
    """Return the beginning of a row key by which rows stand in the order of time."""
    return f"{ticks(at):018d}"


def newest_first(at: datetime) -> str:
    """Return the beginning of a row key by which rows stand against the order of time."""
    return f"{_LAST_TICK - ticks(at):018d}"


def columns(text: str) -> Row:
    """Return the columns `value`, `value2`, ... that hold the text, and its `format`.

    Raises ValueError when no entity can hold it.
    """
    size = len(text.encode("utf-16-le", "surrogatepass"))
    if size > _ENTITY_BYTES:
        raise ValueError(f"a row holds {_ENTITY_BYTES} bytes, this value needs {size}")
    chunks = [text[start : start + _CHUNK] for start in range(0, len(text), _CHUNK)] or [""]
    return {"format": FORMAT, **{_column(number): chunk for number, chunk in enumerate(chunks, start=1)}}


def text_of(row: Mapping[str, Any]) -> str:
    """Return the text that `columns` spread over the row. Raises ValueError for a format that a newer app wrote."""
    if (written := row.get("format", 1)) > FORMAT:
        raise ValueError(f"a row of format {written} is not known here, only up to {FORMAT}: upgrade the app")
    number, chunks = 1, []
    while _column(number) in row:
        chunks.append(row[_column(number)])
        number += 1
    return "".join(chunks)


def _column(number: int) -> str:
    return "value" if number == 1 else f"value{number}"


def parse[T: BaseModel](model: type[T], text: str) -> T:
    """Return the value kept as JSON. Raises ValueError that names the fault but not the content: it may be secret."""
    try:
        return model.model_validate_json(text)
    except ValidationError as error:
        raise ValueError(f"not a {model.__name__}: {faults(error)}") from None


def faults(error: ValidationError) -> str:
    """Return where and why, without the values."""
    found = error.errors(include_url=False, include_context=False, include_input=False)
    return "; ".join(f"{'.'.join(map(str, fault['loc'])) or 'all of it'}: {fault['type']}" for fault in found)


async def find(table: TableClient, partition: str, row: str) -> TableEntity | None:
    """Return one row, or None. The entity's metadata holds its ETag."""
    try:
        return await table.get_entity(partition, row)
    except ResourceNotFoundError as error:
        if _is_table_missing(error):
            raise
        return None


async def swap(table: TableClient, row: Row, version: str | None) -> None:
    """Write the row if it is still at that version (None: if it does not exist). Raises ConflictError."""
    try:
        if version is None:
            await table.create_entity(row)
        else:
            condition = MatchConditions.IfNotModified
            await table.update_entity(row, mode=UpdateMode.REPLACE, etag=version, match_condition=condition)
    except (ResourceExistsError, ResourceModifiedError) as error:
        raise ConflictError("the row was changed by somebody else") from error
    except ResourceNotFoundError as error:
        if version is None or _is_table_missing(error):
            raise
        raise ConflictError("the row was taken away by somebody else") from error


def _is_table_missing(error: ResourceNotFoundError) -> bool:
    return getattr(error, "error_code", None) == TableErrorCode.TABLE_NOT_FOUND

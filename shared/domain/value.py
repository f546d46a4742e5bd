"""The base of every value that is kept or sent: immutable, strict about its fields, JSON in one call."""

from pydantic import BaseModel, ConfigDict


class Value(BaseModel):
    """An immutable value. Unknown fields are an error, so that a typing mistake is never silently dropped."""

    model_config = ConfigDict(frozen=True, extra="forbid")

"""The base of every value that is kept or sent: immutable, strict about its fields, JSON in one call."""

from pydantic import BaseModel, ConfigDict


class Value(BaseModel):
    """An immutable value. Unknown fields are an error, so that a typing mistake is never silently dropped.

    An error does not repeat the value: it may be an address or a token, and errors end in logs.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

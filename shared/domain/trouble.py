"""What adapters say when something does not work: outcomes that the workflows act on, not accidents."""

from datetime import timedelta

from shared.domain.reasons import Reason


class LaterError(Exception):
    """The outside world asks for patience: do this work again after a while. Uses up no delivery."""

    def __init__(self, reason: Reason, after: timedelta | None = None, detail: str | None = None) -> None:
        """`after` is the time that the outside asked for, if it did. `detail` holds no address and no secret."""
        super().__init__(reason)
        self.reason, self.after, self.detail = reason, after, detail


class UnansweredError(LaterError):
    """No answer came to something that may have been carried out nevertheless. A repeat may do it twice."""


class RefusedError(Exception):
    """The outside refused for good, for a reason that an administrator can act on."""

    def __init__(self, reason: Reason, detail: str | None = None) -> None:
        """`detail` is the outside's own answer, without addresses and secrets."""
        super().__init__(reason)
        self.reason, self.detail = reason, detail


class ConflictError(Exception):
    """Somebody else changed it since it was read. Read again and decide again."""


# What a worker answers with a later second try instead of a failure.
PASSING_TROUBLE = (LaterError, ConflictError)


class RejectedError(Exception):
    """A webhook POST that is not accepted: not authentic, too old, or not what the contract says. A 4xx."""

    def __init__(self, status: int, code: str, sentence: str) -> None:
        """`code` is stable and goes into logs and metrics; `sentence` is for the sender and reveals nothing."""
        super().__init__(code)
        self.status, self.code, self.sentence = status, code, sentence


class UnreadableError(Exception):
    """An authentic delivery whose content is not what the platform documents. Recorded as `refused/unreadable`."""

    def __init__(self, detail: str) -> None:
        """`detail` says what is wrong and where, without addresses and secrets."""
        super().__init__(detail)
        self.detail = detail

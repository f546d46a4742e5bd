class HostError(Exception):
    """The app cannot be hosted here; the text says why and names the function or the setting."""


class IndexingError(HostError):
    """The worker library refused the app; the text is the worker's own, the stack trace is a note of the exception."""


class SettingsError(HostError):
    """host.json or an app setting is missing or not understood."""

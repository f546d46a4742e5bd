"""The host half of Azure Functions, for a machine without Azure.

The worker half is Microsoft's own `azure-functions-runtime`, driven in process: it indexes the app, converts bindings
and calls the functions. This package does what the Functions host does around it: it polls queues, keeps timers and
serves HTTP.
"""

from local.host.errors import HostError, IndexingError, SettingsError
from local.host.host import Host

__all__ = ["Host", "HostError", "IndexingError", "SettingsError"]

"""Microsoft Graph itself: one client and one classification of errors, for the rooms `entra` and `sharepoint`."""

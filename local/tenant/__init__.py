"""A simulated Microsoft 365 tenant that speaks Microsoft Graph over HTTP.

Run it with `python -m local.tenant --port N`. All state lives in memory for the length of the run.

Taken from Microsoft's documentation and published metadata:

* calls, query parameters and shapes: the Graph v1.0 description (users, invitations, driveItem, permission, shares,
  SharePoint settings); calls outside it are refused;
* directory filters: the per-property table of "Advanced query capabilities on directory objects";
* budgets: "Microsoft Graph throttling limits" and "Avoid getting throttled or blocked in SharePoint Online";
* UPN of a guest: "Troubleshoot B2B collaboration" (Entra); managed identity token endpoint: App Service, 2019-08-01;
* sharing policy, `createLink` 201 or 200, "only a permission that is not inherited can be changed";
* as a source: driveItem delta with its preferences (`deltashowsharingchanges` needs the two others; no path in
  parentReference; `hierarchicalsharing`; 410 with Location), subscriptions (root of a drive, `updated`, 42,300 minutes,
  clientState of 128 characters, the validation handshake, `includesecuritywebhooks`, lifecycle notifications without a
  resource), client credentials (Microsoft identity platform).

Taken from what users recorded of the live service:

* a user permission's id is the unpadded base64url of the lower-cased claims login, the same on every item;
* the first grant on an item turns every inherited entry into an explicit copy; `inheritedFrom: {}`
  marks inherited ones;
* `retainInheritedPermissions: false` wipes the inherited entries at the first share (msgraph-sdk-python #1563);
* an unknown address granted app-only answers 500 generalException; an unknown object id 400 noResolvedUsers;
* what a pending guest was granted vanishes when the guest accepts (pnp/powershell #1112);
* a 201 for an invitation whose user never appears (msgraph-sdk-powershell #3399); 200 without effect
  (msgraph-sdk-dotnet #1137);
* one more person in a link for specific people, and a removed link, are told to nobody (microsoft-graph-docs #15242,
  onedrive-api-docs #937); only files are marked with sharedChanged (msgraph-sdk-java #2548); what lay in a deleted
  folder is not told one by one; `deltaExcludeParent` leaves the root in (microsoft-graph-explorer-v4 #4052).

Inferred, because no source says it: a pending guest invited again keeps the user id and gets a fresh redeem URL, an
accepted one answers `Completed`; 403 notAllowed for changing an inherited entry and 400 notSupported for changing a
link; an existing link keeps its expiry and gains the new recipients; the text for a blocked domain; after a redemption
with another account `mail` is that account's; budgets slide rather than reset; 400 for `deltashowsharingchanges` alone;
an invitation that was redeemed still names who invited; somebody who is taken out of a link is told to nobody.
"""

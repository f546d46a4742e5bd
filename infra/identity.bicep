// The identity with which the app does everything: storage, vault, telemetry, deployment, and Microsoft Graph, whose
// permissions permissions.py grants. It outlives the app: making the app anew needs no new permissions.

@description('Name of the identity.')
param name string

@description('Region.')
param location string

@description('Tags.')
param tags object

resource identity 'Microsoft.ManagedIdentity/userAssignedIdentities@2024-11-30' = {
  name: name
  location: location
  tags: tags
}

output name string = identity.name
output clientId string = identity.properties.clientId
output principalId string = identity.properties.principalId

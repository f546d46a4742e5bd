// The vault of the platforms' secrets. No value ever stands in a template: people put them in, the app's settings refer
// to them (settings.bicep).

@description('Name of the vault.')
param name string

@description('Region.')
param location string

@description('Tags.')
param tags object

@description('Reachable from every network, with a role: Enabled; through a private endpoint only: Disabled.')
@allowed([
  'Enabled'
  'Disabled'
])
param publicAccess string

@description('Workspace for diagnostics.')
param workspaceId string

resource vault 'Microsoft.KeyVault/vaults@2024-11-01' = {
  // checkov:skip=CKV_AZURE_109: an expression; closed to all networks with networkIsolation, else to all without a role
  name: name
  location: location
  tags: tags
  properties: {
    tenantId: tenant().tenantId
    sku: {
      family: 'A'
      name: 'standard'
    }
    enableRbacAuthorization: true
    enableSoftDelete: true
    softDeleteRetentionInDays: 90
    enablePurgeProtection: true
    publicNetworkAccess: publicAccess
    networkAcls: {
      bypass: 'None'
      defaultAction: publicAccess == 'Disabled' ? 'Deny' : 'Allow'
    }
  }
}

// Who read or changed a secret.
resource diagnostics 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  scope: vault
  name: 'audit'
  properties: {
    workspaceId: workspaceId
    logs: [
      {
        category: 'AuditEvent'
        enabled: true
      }
    ]
  }
}

output id string = vault.id
output name string = vault.name

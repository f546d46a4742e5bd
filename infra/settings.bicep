// The app's own settings: what was given, and a reference to the vault for every secret that the connections file names.
// It makes nothing. It is a file of its own for its lambdas, which checkov cannot read.

@description('Settings by their names; those with an empty value are left out.')
param given object

@description('Name of the vault.')
param vaultName string

// The same file that is deployed with the app: a connection that is added there has its settings after `azd provision`.
var connections = loadJsonContent('../connections.json').connections
var secretSettings = union(flatten(map(connections, connection => map(items(connection.secrets), secret => secret.value))), [])

// A secret in the vault is named like its setting, with hyphens, since a vault takes no underscores. Without a version:
// a new value is taken up within a day, or at once when the references are refreshed.
var references = toObject(secretSettings, setting => setting, setting => '@Microsoft.KeyVault(VaultName=${vaultName};SecretName=${replace(setting, '_', '-')})')
var filled = toObject(filter(items(given), setting => !empty(setting.value)), setting => setting.key, setting => setting.value)

output settings array = map(items(union(filled, references)), setting => {
  name: setting.key
  value: setting.value
})

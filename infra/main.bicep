// Guestpass in a resource group of its own. One file for each concern; who may do what stands in roles.bicep.
targetScope = 'subscription'

@description('Name of the environment (azd): part of the names of the resource group and of everything in it.')
@minLength(1)
@maxLength(40)
param environmentName string

@description('Region of everything. It must offer Flex Consumption: `az functionapp list-flexconsumption-locations`.')
param location string

@description('Object id of the person or group who puts the platforms\' secrets into the vault. Empty: nobody yet.')
param principalId string = ''

@description('Client id of the app registration that administrators sign in with. Empty: nobody is let in; webhooks work.')
param signInClientId string = ''

@description('Redundancy of the storage account, which holds the ledger.')
@allowed([
  'Standard_LRS'
  'Standard_ZRS'
  'Standard_GRS'
  'Standard_GZRS'
])
param storageSku string = 'Standard_ZRS'

@description('Memory of an instance, MB. 2048 is one vCPU.')
@allowed([
  512
  2048
  4096
])
param instanceMemory int = 2048

@description('Instances for HTTP that always run, and are paid. Graph gives a new subscription 10 seconds to answer, which a cold start does not always keep; 0 saves money where no Microsoft 365 account is a source.')
@minValue(0)
@maxValue(20)
param alwaysReady int = 1

@description('At most so many instances. The pacer hands out the sharing calls of all instances together, 300 in 5 minutes at most, and one instance does those: more of them only take webhooks and read sources faster.')
@minValue(1)
@maxValue(1000)
param maximumInstances int = 40

@description('Reach storage and the vault through private endpoints in a network of their own, and close them to all others. The webhooks\' address stays public: the platforms call it.')
param networkIsolation bool = false

@description('Address range of that network.')
param networkPrefix string = '10.83.0.0/24'

@description('Address range of the app\'s instances in it: at least a /27.')
param appPrefix string = '10.83.0.0/26'

@description('Address range of the private endpoints in it.')
param endpointPrefix string = '10.83.0.64/27'

@description('Days for which logs are kept.')
@minValue(30)
@maxValue(730)
param logDays int = 90

@description('Address that gets the alerts\' mails. Empty: nobody; they are seen in the portal only.')
param alertAddress string = ''

// The app's own settings: names, meaning, defaults and limits are those of the README. Empty: not set.

@description('NCRONTAB (six fields): how often Entra is asked who accepted.')
param acceptanceSchedule string = '0 * * * * *'

@description('Where a guest lands after accepting.')
param redirectUrl string = 'https://myapplications.microsoft.com'

@description('Where the platforms reach this app, `https://host`, when a custom domain or gateway stands before it.')
param publicUrl string = ''

@description('Sharing calls per 5 minutes. Microsoft allows 300 to an app in a tenant.')
@minValue(120)
@maxValue(300)
param sharingCalls int = 270

@description('Who mails invitations: Entra\'s stock mail, one mail a person from the sender mailbox, or nobody.')
@allowed([
  'microsoft'
  'own'
  'none'
])
param mail string = 'microsoft'

@description('Address of the sender mailbox, for `own`.')
param mailSender string = ''

@description('Folder with mail templates of your own, relative to the app\'s folder.')
param mailTemplates string = ''

@description('Language of mails.')
param mailLanguage string = 'en'

@description('Other languages by domain or ending: {"partner.example": "fr", ".de": "de"}.')
param mailLanguages object = {}

@description('Mails an hour; the rest waits. Microsoft publishes a limit of 200 for sharing mails.')
@minValue(30)
@maxValue(200)
param mailsPerHour int = 150

@description('When no mail leaves: `20:00-07:00 Europe/Berlin`.')
param quietHours string = ''

@description('A reminder follows so many days after the last mail.')
@minValue(1)
param reminderDays int = 7

@description('At most so many reminders for an invitation.')
@minValue(0)
@maxValue(5)
param reminders int = 1

@description('An invitation that nobody accepts in so many days expires.')
@minValue(1)
param invitationDays int = 30

var publicAccess = networkIsolation ? 'Disabled' : 'Enabled'
var token = toLower(uniqueString(subscription().id, environmentName, location))
var tags = {
  'azd-env-name': environmentName
}

resource group 'Microsoft.Resources/resourceGroups@2024-11-01' = {
  name: 'rg-${environmentName}'
  location: location
  tags: tags
}

module identity 'identity.bicep' = {
  name: 'identity'
  scope: group
  params: {
    name: 'id-guestpass-${token}'
    location: location
    tags: tags
  }
}

module telemetry 'telemetry.bicep' = {
  name: 'telemetry'
  scope: group
  params: {
    token: token
    location: location
    tags: tags
    logDays: logDays
  }
}

module monitoring 'monitoring.bicep' = {
  name: 'monitoring'
  scope: group
  params: {
    token: token
    location: location
    tags: tags
    insightsName: telemetry.outputs.insightsName
    alertAddress: alertAddress
  }
}

module storage 'storage.bicep' = {
  name: 'storage'
  scope: group
  params: {
    name: 'stgp${token}'
    location: location
    tags: tags
    sku: storageSku
    publicAccess: publicAccess
    workspaceId: telemetry.outputs.workspaceId
  }
}

module vault 'vault.bicep' = {
  name: 'vault'
  scope: group
  params: {
    name: 'kv-gp-${token}'
    location: location
    tags: tags
    publicAccess: publicAccess
    workspaceId: telemetry.outputs.workspaceId
  }
}

module network 'network.bicep' = if (networkIsolation) {
  name: 'network'
  scope: group
  params: {
    token: token
    location: location
    tags: tags
    prefix: networkPrefix
    appPrefix: appPrefix
    endpointPrefix: endpointPrefix
    storageId: storage.outputs.id
    vaultId: vault.outputs.id
  }
}

module roles 'roles.bicep' = {
  name: 'roles'
  scope: group
  params: {
    appPrincipalId: identity.outputs.principalId
    operatorPrincipalId: principalId
    storageName: storage.outputs.name
    vaultName: vault.outputs.name
    insightsName: telemetry.outputs.insightsName
  }
}

module settings 'settings.bicep' = {
  name: 'settings'
  scope: group
  params: {
    vaultName: vault.outputs.name
    given: {
      GUESTPASS_ACCEPTANCE_SCHEDULE: acceptanceSchedule
      GUESTPASS_CONNECTIONS_FILE: 'connections.json'
      GUESTPASS_GRAPH_URL: 'https://graph.microsoft.com/v1.0'
      GUESTPASS_LAG_SECONDS: '120'
      GUESTPASS_RETRY_SECONDS: '30'
      GUESTPASS_REDIRECT_URL: redirectUrl
      GUESTPASS_PUBLIC_URL: publicUrl
      GUESTPASS_SHARING_CALLS: string(sharingCalls)
      GUESTPASS_MAIL: mail
      GUESTPASS_MAIL_SENDER: mailSender
      GUESTPASS_MAIL_TEMPLATES: mailTemplates
      GUESTPASS_MAIL_LANGUAGE: mailLanguage
      GUESTPASS_MAIL_LANGUAGES: string(mailLanguages)
      GUESTPASS_MAILS_PER_HOUR: string(mailsPerHour)
      GUESTPASS_QUIET_HOURS: quietHours
      GUESTPASS_REMINDER_DAYS: string(reminderDays)
      GUESTPASS_REMINDERS: string(reminders)
      GUESTPASS_INVITATION_DAYS: string(invitationDays)
    }
  }
}

module app 'app.bicep' = {
  name: 'app'
  scope: group
  // An app that starts before its identity may read the vault and the storage account fails, and says so for minutes.
  dependsOn: [
    roles
  ]
  params: {
    name: 'func-guestpass-${token}'
    location: location
    tags: tags
    identityName: identity.outputs.name
    storageName: storage.outputs.name
    packagesUrl: storage.outputs.packagesUrl
    insightsName: telemetry.outputs.insightsName
    workspaceId: telemetry.outputs.workspaceId
    subnetId: networkIsolation ? network!.outputs.appSubnetId : ''
    settings: settings.outputs.settings
    signInClientId: signInClientId
    instanceMemory: instanceMemory
    alwaysReady: alwaysReady
    maximumInstances: maximumInstances
  }
}

output AZURE_RESOURCE_GROUP string = group.name
output GUESTPASS_URL string = app.outputs.url
output GUESTPASS_APP string = app.outputs.name
output GUESTPASS_VAULT string = vault.outputs.name
output GUESTPASS_STORAGE string = storage.outputs.name
output GUESTPASS_IDENTITY_CLIENT_ID string = identity.outputs.clientId
output GUESTPASS_IDENTITY_PRINCIPAL_ID string = identity.outputs.principalId

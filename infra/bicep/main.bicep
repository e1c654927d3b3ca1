// Assay in one resource group: the function app with its identity, the hubs that it reads, the store that it writes, and
// alerts on itself. Feeds of tenants are apart, in feeds/.
targetScope = 'resourceGroup'

@description('Stands in the name of every resource and must be unused in all of Azure: 3 to 16 lower-case letters and digits, a letter first.')
@minLength(3)
@maxLength(16)
param name string

@description('Region of all resources. Flex Consumption has to be offered there.')
param location string = resourceGroup().location

@description('Tags of all resources.')
param tags object = {}

@description('The hub of each ingest function that is to run: signin, mailbox, tokens. A function that is not named is disabled. Any hub may bring any category, so one function is enough for one shared hub. No two functions may share a hub.')
param hubs object = {
  signin: 'signins'
  mailbox: 'mailbox'
  tokens: 'tokens'
}

@description('Whether the hubs are made. false: they are there already, in the existing namespace.')
param createHubs bool = true

@description('Resource id of an Event Hubs namespace of this subscription to use; empty: one is made.')
param existingNamespaceId string = ''

@description('Resource id of a Log Analytics workspace to use; empty: one is made.')
param existingWorkspaceId string = ''

@description('Partitions of each hub that is made. Instances scale out up to this number. It cannot be changed later.')
@minValue(1)
@maxValue(32)
param partitions int = 4

@description('Hours that the hubs keep events, and so how far a replay from a hub reaches back.')
@minValue(1)
@maxValue(168)
param retentionHours int = 168

@description('Throughput units to which the namespace may grow by itself.')
@minValue(1)
@maxValue(40)
param maxThroughputUnits int = 4

@description('Whether senders may use a SAS rule. Entra diagnostic settings and Log Analytics export can send in no other way; without them leave it false.')
param allowSasSenders bool = false

@description('Whether Capture keeps all events in blobs, for replays from before the retention of the hubs. An existing namespace has to be given the identity id-NAME-capture first.')
param capture bool = false

@description('Resource id of a storage account to which diagnostic settings archive logs, for replays of them; empty: none.')
param archiveAccountId string = ''

@description('Request units a second to which Cosmos DB scales; 0: serverless.')
@minValue(0)
param cosmosMaxThroughput int = 0

@description('Days that the workspace which is made keeps logs.')
@minValue(30)
@maxValue(730)
param logRetentionDays int = 30

@description('Memory of an instance in MB.')
@allowed([512, 2048, 4096])
param instanceMemory int = 2048

@description('Instances at most.')
@minValue(1)
@maxValue(1000)
param maxInstances int = 40

@description('Instances of each ingest function that are always ready; 0: the first event after a pause waits for a start.')
@minValue(0)
param alwaysReady int = 0

@description('Client id of the app registration that protects the API; empty: function keys, which may read only.')
param apiClientId string = ''

@description('Tenants whose people and programs may call the API, at most ten; empty: that of the subscription. More than one asks for an app registration of several tenants.')
@maxLength(10)
param apiTenantIds array = []

@description('Object id of the group whose members edit the configuration, set secrets and read the store; empty: nobody.')
param operatorsGroupId string = ''

@description('E-mail addresses that are told when Assay itself is in trouble.')
param alertEmails array = []

var names = loadJsonContent('../names.json')

// The existing namespace may stand in another resource group. Without one the id is that of the namespace to be made.
var namespaceId = empty(existingNamespaceId)
  ? resourceId('Microsoft.EventHub/namespaces', 'evhns-${name}')
  : existingNamespaceId
var namespaceParts = split(namespaceId, '/')

// Without one the id is that of no account.
var archiveParts = split(empty(archiveAccountId) ? resourceId('Microsoft.Storage/storageAccounts', name) : archiveAccountId, '/')

module identity 'modules/identity.bicep' = {
  name: 'identity-${name}'
  params: {
    name: name
    location: location
    tags: tags
  }
}

module monitoring 'modules/monitoring.bicep' = {
  name: 'monitoring-${name}'
  params: {
    name: name
    location: location
    tags: tags
    existingWorkspaceId: existingWorkspaceId
    retentionDays: logRetentionDays
    emails: alertEmails
    principalId: identity.outputs.principalId
  }
}

module storage 'modules/storage.bicep' = {
  name: 'storage-${name}'
  params: {
    name: name
    location: location
    tags: tags
    containers: names.blobContainers
    queues: names.queues
    principalId: identity.outputs.principalId
    capturePrincipalId: identity.outputs.capturePrincipalId
    operatorsGroupId: operatorsGroupId
  }
}

module archive 'modules/archive.bicep' = if (!empty(archiveAccountId)) {
  name: 'archive-${name}'
  scope: resourceGroup(archiveParts[2], archiveParts[4])
  params: {
    accountName: archiveParts[8]
    principalId: identity.outputs.principalId
  }
}

module eventHubs 'modules/eventhubs.bicep' = {
  name: 'eventhubs-${name}'
  scope: resourceGroup(namespaceParts[2], namespaceParts[4])
  params: {
    namespaceName: namespaceParts[8]
    create: empty(existingNamespaceId)
    createHubs: createHubs
    location: location
    tags: tags
    hubs: map(items(hubs), hub => string(hub.value))
    consumerGroups: map(items(names.consumerGroups), group => string(group.value))
    partitions: partitions
    retentionHours: retentionHours
    maxThroughputUnits: maxThroughputUnits
    allowSasSenders: allowSasSenders
    capture: capture
    captureIdentityId: identity.outputs.captureId
    captureStorageId: storage.outputs.id
    captureContainer: names.blobContainers.capture
    principalId: identity.outputs.principalId
    workspaceId: monitoring.outputs.workspaceId
  }
}

module cosmos 'modules/cosmos.bicep' = {
  name: 'cosmos-${name}'
  params: {
    name: name
    location: location
    tags: tags
    database: names.database
    containers: names.containers
    maxThroughput: cosmosMaxThroughput
    principalId: identity.outputs.principalId
    operatorsGroupId: operatorsGroupId
    workspaceId: monitoring.outputs.workspaceId
  }
}

module vault 'modules/vault.bicep' = {
  name: 'vault-${name}'
  params: {
    name: name
    location: location
    tags: tags
    principalId: identity.outputs.principalId
    operatorsGroupId: operatorsGroupId
    workspaceId: monitoring.outputs.workspaceId
  }
}

module app 'modules/app.bicep' = {
  name: 'app-${name}'
  params: {
    name: name
    location: location
    tags: tags
    identityId: identity.outputs.id
    clientId: identity.outputs.clientId
    insightsName: monitoring.outputs.insightsName
    storageName: storage.outputs.name
    packageContainer: names.blobContainers.package
    configContainer: names.blobContainers.config
    captureContainer: capture ? names.blobContainers.capture : ''
    archiveUrl: empty(archiveAccountId) ? '' : 'https://${archiveParts[8]}.blob.${environment().suffixes.storage}'
    eventHubsHost: eventHubs.outputs.host
    hubs: hubs
    defaultHubs: names.functions
    consumerGroup: names.consumerGroups.live
    cosmosEndpoint: cosmos.outputs.endpoint
    database: names.database
    instanceMemory: instanceMemory
    maxInstances: maxInstances
    alwaysReady: alwaysReady
    apiClientId: apiClientId
    apiTenantIds: empty(apiTenantIds) ? [tenant().tenantId] : apiTenantIds
    workspaceId: monitoring.outputs.workspaceId
  }
}

module alerts 'modules/alerts.bicep' = {
  name: 'alerts-${name}'
  params: {
    name: name
    location: location
    tags: tags
    logAlerts: names.logAlerts
    metricAlerts: names.metricAlerts
    hubs: map(items(hubs), hub => string(hub.value))
    appName: app.outputs.name
    workspaceId: monitoring.outputs.workspaceId
    actionGroupId: monitoring.outputs.actionGroupId
    eventHubsId: namespaceId
    cosmosId: cosmos.outputs.id
  }
}

@description('Name of the function app.')
output functionAppName string = app.outputs.name

@description('Address of the API.')
output apiUrl string = app.outputs.url

@description('Host of the Event Hubs namespace, to which events are sent.')
output eventHubsHost string = eventHubs.outputs.host

@description('Resource id of the SAS rule that diagnostic settings send with; empty: SAS is off. It holds no key.')
output sasRuleId string = eventHubs.outputs.sasRuleId

@description('Resource id of the Event Hubs namespace.')
output eventHubsId string = namespaceId

@description('Address to which the configuration is uploaded.')
output configUrl string = app.outputs.configUrl

@description('Address of the key vault that holds the webhook addresses and signing keys.')
output vaultUrl string = vault.outputs.url

@description('Principal id of the identity of the function app.')
output principalId string = identity.outputs.principalId

// The namespace, its hubs and their consumer groups. It is deployed to the resource group of the namespace, which may be
// another one.
param namespaceName string
param create bool
param createHubs bool
param location string
param tags object
param hubs array
param consumerGroups array
param partitions int
param retentionHours int
param maxThroughputUnits int
param allowSasSenders bool
param capture bool
param captureIdentityId string
param captureStorageId string
param captureContainer string
param principalId string
param workspaceId string

// Azure Event Hubs Data Receiver
var dataReceiver = 'a638d3c7-ab3a-418d-83e6-5f17a39d4fde'

resource made 'Microsoft.EventHub/namespaces@2024-01-01' = if (create) {
  name: namespaceName
  location: location
  tags: tags
  sku: {
    name: 'Standard'
    tier: 'Standard'
    capacity: 1
  }
  identity: capture
    ? {
        type: 'UserAssigned'
        userAssignedIdentities: {
          '${captureIdentityId}': {}
        }
      }
    : null
  properties: {
    isAutoInflateEnabled: true
    maximumThroughputUnits: maxThroughputUnits
    minimumTlsVersion: '1.2'
    // Entra diagnostic settings and Log Analytics export know no identity. Where there are none, keys are off.
    disableLocalAuth: !allowSasSenders
    publicNetworkAccess: 'Enabled'
  }
}

resource namespace 'Microsoft.EventHub/namespaces@2024-01-01' existing = {
  name: namespaceName
}

// Never compacted: Azure Monitor sends without a key.
resource hub 'Microsoft.EventHub/namespaces/eventhubs@2024-01-01' = [
  for item in hubs: if (createHubs) {
    parent: namespace
    name: item
    properties: {
      partitionCount: partitions
      retentionDescription: {
        cleanupPolicy: 'Delete'
        retentionTimeInHours: retentionHours
      }
      captureDescription: capture
        ? {
            enabled: true
            encoding: 'Avro'
            intervalInSeconds: 300
            sizeLimitInBytes: 314572800
            skipEmptyArchives: true
            destination: {
              name: 'EventHubArchive.AzureBlockBlob'
              identity: {
                type: 'UserAssigned'
                userAssignedIdentity: captureIdentityId
              }
              properties: {
                storageAccountResourceId: captureStorageId
                blobContainer: captureContainer
                archiveNameFormat: '{Namespace}/{EventHub}/{PartitionId}/{Year}/{Month}/{Day}/{Hour}/{Minute}/{Second}'
              }
            }
          }
        : null
    }
    dependsOn: [
      made
    ]
  }
]

resource target 'Microsoft.EventHub/namespaces/eventhubs@2024-01-01' existing = [
  for item in hubs: {
    parent: namespace
    name: item
  }
]

resource group 'Microsoft.EventHub/namespaces/eventhubs/consumergroups@2024-01-01' = [
  for i in range(0, length(hubs) * length(consumerGroups)): {
    parent: target[i / length(consumerGroups)]
    name: consumerGroups[i % length(consumerGroups)]
    dependsOn: [
      hub
    ]
  }
]

// It reads these hubs, and sends to none.
resource receive 'Microsoft.Authorization/roleAssignments@2022-04-01' = [
  for (item, i) in hubs: {
    name: guid(namespace.id, item, principalId, dataReceiver)
    scope: target[i]
    properties: {
      principalId: principalId
      principalType: 'ServicePrincipal'
      roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', dataReceiver)
    }
    dependsOn: [
      hub
    ]
  }
]

// Azure Monitor asks for all three rights ("Diagnostic settings in Azure Monitor", Microsoft Learn).
resource sas 'Microsoft.EventHub/namespaces/authorizationRules@2024-01-01' = if (allowSasSenders) {
  parent: namespace
  name: 'diagnostics'
  properties: {
    rights: ['Listen', 'Manage', 'Send']
  }
  dependsOn: [
    made
  ]
}

resource diagnostics 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = if (create) {
  name: 'assay'
  scope: namespace
  properties: {
    workspaceId: workspaceId
    logs: [
      {
        category: 'OperationalLogs'
        enabled: true
      }
    ]
    metrics: [
      {
        category: 'AllMetrics'
        enabled: true
      }
    ]
  }
  dependsOn: [
    made
  ]
}

output host string = '${namespaceName}.servicebus.windows.net'
output sasRuleId string = allowSasSenders ? sas!.id : ''

// The store. There are no keys, and no role may make or drop containers: who deploys does.
param name string
param location string
param tags object
param database string
param containers array
param maxThroughput int
param principalId string
param operatorsGroupId string
param workspaceId string

var readMetadata = 'Microsoft.DocumentDB/databaseAccounts/readMetadata'
var data = 'Microsoft.DocumentDB/databaseAccounts/sqlDatabases/containers'

resource account 'Microsoft.DocumentDB/databaseAccounts@2024-08-15' = {
  name: 'cosmos-${name}'
  location: location
  tags: tags
  kind: 'GlobalDocumentDB'
  properties: {
    databaseAccountOfferType: 'Standard'
    capabilities: maxThroughput == 0
      ? [
          {
            name: 'EnableServerless'
          }
        ]
      : []
    consistencyPolicy: {
      defaultConsistencyLevel: 'Session'
    }
    locations: [
      {
        locationName: location
        failoverPriority: 0
        isZoneRedundant: false
      }
    ]
    backupPolicy: {
      type: 'Continuous'
      continuousModeProperties: {
        tier: 'Continuous7Days'
      }
    }
    disableLocalAuth: true
    disableKeyBasedMetadataWriteAccess: true
    minimalTlsVersion: 'Tls12'
    publicNetworkAccess: 'Enabled'
  }
}

resource db 'Microsoft.DocumentDB/databaseAccounts/sqlDatabases@2024-08-15' = {
  parent: account
  name: database
  properties: {
    resource: {
      id: database
    }
    options: maxThroughput == 0
      ? {}
      : {
          autoscaleSettings: {
            maxThroughput: maxThroughput
          }
        }
  }
}

// Documents expire by their own ttl, so there is a default that never expires. What is never asked for is not indexed: it
// would cost request units with each write.
resource container 'Microsoft.DocumentDB/databaseAccounts/sqlDatabases/containers@2024-08-15' = [
  for item in containers: {
    parent: db
    name: item.name
    properties: {
      resource: {
        id: item.name
        partitionKey: {
          kind: 'Hash'
          version: 2
          paths: [item.partitionKey]
        }
        defaultTtl: -1
        indexingPolicy: {
          indexingMode: 'consistent'
          automatic: true
          includedPaths: [
            {
              path: '/*'
            }
          ]
          excludedPaths: map(union(item.notIndexed, ['/"_etag"/?']), path => { path: path })
        }
      }
    }
  }
]

// Who holds it adds and changes documents, and can delete none: alerts are evidence.
resource keeper 'Microsoft.DocumentDB/databaseAccounts/sqlRoleDefinitions@2024-08-15' = {
  parent: account
  name: guid(account.id, 'keeper')
  properties: {
    roleName: 'Assay keeper'
    type: 'CustomRole'
    assignableScopes: [account.id]
    permissions: [
      {
        dataActions: [
          readMetadata
          '${data}/items/create'
          '${data}/items/read'
          '${data}/items/replace'
          '${data}/items/upsert'
          '${data}/executeQuery'
          '${data}/readChangeFeed'
        ]
      }
    ]
  }
}

// For documents that come and go: leases of the change feed, and state.
resource worker 'Microsoft.DocumentDB/databaseAccounts/sqlRoleDefinitions@2024-08-15' = {
  parent: account
  name: guid(account.id, 'worker')
  properties: {
    roleName: 'Assay worker'
    type: 'CustomRole'
    assignableScopes: [account.id]
    permissions: [
      {
        dataActions: [
          readMetadata
          '${data}/items/create'
          '${data}/items/read'
          '${data}/items/replace'
          '${data}/items/upsert'
          '${data}/items/delete'
          '${data}/executeQuery'
          '${data}/readChangeFeed'
        ]
      }
    ]
  }
}

// One after the other: the account takes one change at a time.
@batchSize(1)
resource assignment 'Microsoft.DocumentDB/databaseAccounts/sqlRoleAssignments@2024-08-15' = [
  for item in containers: {
    parent: account
    name: guid(account.id, item.name, principalId)
    properties: {
      principalId: principalId
      roleDefinitionId: item.mayDelete ? worker.id : keeper.id
      scope: '${account.id}/dbs/${database}/colls/${item.name}'
    }
    dependsOn: [
      container
    ]
  }
]

// Cosmos DB Built-in Data Reader
resource operators 'Microsoft.DocumentDB/databaseAccounts/sqlRoleAssignments@2024-08-15' = if (!empty(operatorsGroupId)) {
  parent: account
  name: guid(account.id, operatorsGroupId, 'reader')
  properties: {
    principalId: operatorsGroupId
    roleDefinitionId: '${account.id}/sqlRoleDefinitions/00000000-0000-0000-0000-000000000001'
    scope: '${account.id}/dbs/${database}'
  }
  dependsOn: [
    db
  ]
}

// Data-plane logs have a line for each request and are left out: they would cost more than the store.
resource diagnostics 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  name: 'assay'
  scope: account
  properties: {
    workspaceId: workspaceId
    logs: [
      {
        category: 'ControlPlaneRequests'
        enabled: true
      }
    ]
    metrics: [
      {
        category: 'Requests'
        enabled: true
      }
    ]
  }
}

output id string = account.id
output endpoint string = account.properties.documentEndpoint

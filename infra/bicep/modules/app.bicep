// The function app on Flex Consumption. No setting holds a secret: every connection is the identity's.
param name string
param location string
param tags object
param identityId string
param clientId string
param insightsName string
param storageName string
param packageContainer string
param configContainer string
param captureContainer string
param archiveUrl string
param eventHubsHost string
param hubs object
param defaultHubs object
param consumerGroup string
param cosmosEndpoint string
param database string
param instanceMemory int
param maxInstances int
param alwaysReady int
param apiClientId string
param apiTenantIds array
param workspaceId string

resource insights 'Microsoft.Insights/components@2020-02-02' existing = {
  name: insightsName
}

resource storage 'Microsoft.Storage/storageAccounts@2023-05-01' existing = {
  name: storageName
}

var configUrl = '${storage.properties.primaryEndpoints.blob}${configContainer}/assay.yaml'
var captureUrl = empty(captureContainer) ? '' : '${storage.properties.primaryEndpoints.blob}${captureContainer}/${split(eventHubsHost, '.')[0]}'

// A function that is disabled is indexed all the same, so each has its hub.
var hubOf = union(defaultHubs, hubs)

var settings = {
  AzureWebJobsStorage__accountName: storageName
  AzureWebJobsStorage__credential: 'managedidentity'
  AzureWebJobsStorage__clientId: clientId

  APPLICATIONINSIGHTS_CONNECTION_STRING: insights.properties.ConnectionString
  APPLICATIONINSIGHTS_AUTHENTICATION_STRING: 'ClientId=${clientId};Authorization=AAD'

  SIGNIN_EVENTHUB: hubOf.signin
  SIGNIN_CONSUMER_GROUP: consumerGroup
  SigninEvents__fullyQualifiedNamespace: eventHubsHost
  SigninEvents__credential: 'managedidentity'
  SigninEvents__clientId: clientId

  MAILBOX_EVENTHUB: hubOf.mailbox
  MAILBOX_CONSUMER_GROUP: consumerGroup
  MailboxEvents__fullyQualifiedNamespace: eventHubsHost
  MailboxEvents__credential: 'managedidentity'
  MailboxEvents__clientId: clientId

  TOKEN_EVENTHUB: hubOf.tokens
  TOKEN_CONSUMER_GROUP: consumerGroup
  TokenEvents__fullyQualifiedNamespace: eventHubsHost
  TokenEvents__credential: 'managedidentity'
  TokenEvents__clientId: clientId

  AlertStore__accountEndpoint: cosmosEndpoint
  AlertStore__credential: 'managedidentity'
  AlertStore__clientId: clientId

  ASSAY_STORE: 'cosmos'
  ASSAY_DATABASE: database
  ASSAY_CONFIG: configUrl
  ASSAY_CAPTURE: captureUrl
  ASSAY_ARCHIVE: archiveUrl
  ASSAY_AUTH: empty(apiClientId) ? 'key' : 'entra'
}

var disabled = toObject(
  filter(items(defaultHubs), item => !contains(hubs, item.key)),
  item => 'AzureWebJobs.${item.key}.Disabled',
  item => 'true'
)

// App Service authentication lets in tokens of these tenants only. With the issuer of one tenant it checks that, too; with any other
// it checks none, so that this setting decides.
var tenantSettings = empty(apiClientId) ? {} : { WEBSITE_AUTH_AAD_ALLOWED_TENANTS: join(apiTenantIds, ',') }

resource plan 'Microsoft.Web/serverfarms@2024-04-01' = {
  name: 'asp-${name}'
  location: location
  tags: tags
  kind: 'functionapp'
  sku: {
    name: 'FC1'
    tier: 'FlexConsumption'
  }
  properties: {
    reserved: true
  }
}

resource app 'Microsoft.Web/sites@2024-04-01' = {
  name: 'func-${name}'
  location: location
  tags: tags
  kind: 'functionapp,linux'
  identity: {
    type: 'UserAssigned'
    userAssignedIdentities: {
      '${identityId}': {}
    }
  }
  properties: {
    serverFarmId: plan.id
    httpsOnly: true
    publicNetworkAccess: 'Enabled'
    keyVaultReferenceIdentity: identityId
    siteConfig: {
      minTlsVersion: '1.2'
      scmMinTlsVersion: '1.2'
      ftpsState: 'Disabled'
      http20Enabled: true
      appSettings: map(items(union(settings, disabled, tenantSettings)), setting => {
        name: setting.key
        value: setting.value
      })
    }
    functionAppConfig: {
      runtime: {
        name: 'custom'
        version: '1.0'
      }
      deployment: {
        storage: {
          type: 'blobContainer'
          value: '${storage.properties.primaryEndpoints.blob}${packageContainer}'
          authentication: {
            type: 'UserAssignedIdentity'
            userAssignedIdentityResourceId: identityId
          }
        }
      }
      scaleAndConcurrency: {
        instanceMemoryMB: instanceMemory
        maximumInstanceCount: maxInstances
        alwaysReady: alwaysReady == 0
          ? []
          : map(items(hubs), hub => {
              name: 'function:${hub.key}'
              instanceCount: alwaysReady
            })
      }
    }
  }
}

// Passwords for publishing are off.
resource publishing 'Microsoft.Web/sites/basicPublishingCredentialsPolicies@2024-04-01' = [
  for way in ['ftp', 'scm']: {
    parent: app
    name: way
    properties: {
      allow: false
    }
  }
]

// Tokens of the API's own audience. There is no sign-in page, and so no client secret.
resource authentication 'Microsoft.Web/sites/config@2024-04-01' = if (!empty(apiClientId)) {
  parent: app
  name: 'authsettingsV2'
  properties: {
    platform: {
      enabled: true
      runtimeVersion: '~1'
    }
    globalValidation: {
      requireAuthentication: true
      unauthenticatedClientAction: 'Return401'
    }
    httpSettings: {
      requireHttps: true
    }
    identityProviders: {
      azureActiveDirectory: {
        enabled: true
        registration: {
          clientId: apiClientId
          openIdIssuer: '${environment().authentication.loginEndpoint}${length(apiTenantIds) == 1 ? apiTenantIds[0] : 'common'}/v2.0'
        }
        validation: {
          allowedAudiences: ['api://${apiClientId}', apiClientId]
        }
      }
    }
    login: {
      tokenStore: {
        enabled: false
      }
    }
  }
}

// Its logs are in Application Insights already.
resource diagnostics 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  name: 'assay'
  scope: app
  properties: {
    workspaceId: workspaceId
    metrics: [
      {
        category: 'AllMetrics'
        enabled: true
      }
    ]
  }
}

output name string = app.name
output url string = 'https://${app.properties.defaultHostName}'
output configUrl string = configUrl

// Entra ID streams its logs to an event hub. It is deployed once a tenant, at the tenant's scope, by a Security Administrator.
targetScope = 'tenant'

@description('Name of the diagnostic setting. A tenant can have five.')
param settingName string = 'assay'

@description('Resource id of the SAS rule of the namespace, which the main deployment prints.')
param sasRuleId string

@description('The hub to which the logs go.')
param hub string = 'signins'

@description('Categories to stream. NonInteractiveUserSignInLogs is five to ten times as large as SignInLogs. Sign-in logs need Entra ID P1, risk events P2.')
param categories array = [
  'SignInLogs'
  'NonInteractiveUserSignInLogs'
  'ServicePrincipalSignInLogs'
  'ManagedIdentitySignInLogs'
  'ADFSSignInLogs'
  'AuditLogs'
  'UserRiskEvents'
  'MicrosoftGraphActivityLogs'
]

resource setting 'microsoft.aadiam/diagnosticSettings@2017-04-01' = {
  name: settingName
  properties: {
    eventHubAuthorizationRuleId: sasRuleId
    eventHubName: hub
    logs: [
      for category in categories: {
        category: category
        enabled: true
      }
    ]
  }
}

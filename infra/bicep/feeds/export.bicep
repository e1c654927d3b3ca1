// A Log Analytics workspace exports tables to an event hub. It is deployed to the resource group of the workspace.
targetScope = 'resourceGroup'

@description('Name of the workspace that holds the tables.')
param workspaceName string

@description('Name of the export rule. A workspace can have ten.')
param ruleName string = 'assay'

@description('Resource id of the Event Hubs namespace, which must be in the region of the workspace; the main deployment prints it.')
param eventHubsId string

@description('The hub to which the rows go.')
param hub string = 'mailbox'

@description('Tables to export. OfficeActivity lacks the fields of the token; CloudAppEvents has them.')
param tables array = [
  'CloudAppEvents'
]

resource workspace 'Microsoft.OperationalInsights/workspaces@2023-09-01' existing = {
  name: workspaceName
}

resource rule 'Microsoft.OperationalInsights/workspaces/dataExports@2023-09-01' = {
  parent: workspace
  name: ruleName
  properties: {
    enable: true
    tableNames: tables
    destination: {
      resourceId: eventHubsId
      metaData: {
        eventHubName: hub
      }
    }
  }
}

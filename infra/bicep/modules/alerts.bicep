// Alerts on Assay itself. The queries stand in names.json, beside what Terraform deploys.
param name string
param location string
param tags object
param logAlerts array
param metricAlerts array
param hubs array
param appName string
param workspaceId string
param actionGroupId string
param eventHubsId string
param cosmosId string

var hubList = join(map(hubs, hub => '\'${hub}\''), ', ')
var targets = {
  eventHubs: eventHubsId
  cosmos: cosmosId
}

resource logAlert 'Microsoft.Insights/scheduledQueryRules@2023-12-01' = [
  for item in logAlerts: {
    name: '${name}-${item.name}'
    location: location
    tags: tags
    kind: 'LogAlert'
    properties: {
      displayName: '${name}-${item.name}'
      description: item.title
      severity: item.severity
      enabled: true
      scopes: [workspaceId]
      evaluationFrequency: item.frequency
      windowSize: item.window
      autoMitigate: true
      criteria: {
        allOf: [
          {
            query: replace(replace(join(item.query, '\n'), '{app}', appName), '{hubs}', hubList)
            timeAggregation: item.aggregation
            metricMeasureColumn: empty(item.column) ? null : item.column
            operator: item.operator
            threshold: item.threshold
            dimensions: map(item.dimensions, dimension => {
              name: dimension
              operator: 'Include'
              values: ['*']
            })
            failingPeriods: {
              numberOfEvaluationPeriods: 1
              minFailingPeriodsToAlert: 1
            }
          }
        ]
      }
      actions: {
        actionGroups: [actionGroupId]
      }
    }
  }
]

resource metricAlert 'Microsoft.Insights/metricAlerts@2018-03-01' = [
  for item in metricAlerts: {
    name: '${name}-${item.name}'
    location: 'global'
    tags: tags
    properties: {
      description: item.title
      severity: 2
      enabled: true
      scopes: [targets[item.target]]
      evaluationFrequency: 'PT5M'
      windowSize: 'PT5M'
      autoMitigate: true
      criteria: {
        'odata.type': 'Microsoft.Azure.Monitor.SingleResourceMultipleMetricCriteria'
        allOf: [
          {
            criterionType: 'StaticThresholdCriterion'
            name: item.metric
            metricNamespace: item.namespace
            metricName: item.metric
            timeAggregation: item.aggregation
            operator: 'GreaterThan'
            threshold: item.threshold
            dimensions: empty(item.statusCodes)
              ? []
              : [
                  {
                    name: 'StatusCode'
                    operator: 'Include'
                    values: item.statusCodes
                  }
                ]
          }
        ]
      }
      actions: [
        {
          actionGroupId: actionGroupId
        }
      ]
    }
  }
]

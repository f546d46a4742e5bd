// What the portal shows, and what wakes somebody: one workbook, and an alert for each query in monitoring/alerts.
// What each alert asks for stands in docs/operations.md, under its name.

@description('Makes names unique.')
param token string

@description('Region.')
param location string

@description('Tags.')
param tags object

@description('Name of the Application Insights component.')
param insightsName string

@description('Who gets the alerts\' mails. Empty: nobody; the alerts are seen in the portal only.')
param alertAddress string

// `window` is what the query itself looks at, rounded up to what Azure allows; severity 1 wakes, 2 can wait for the day.
var alerts = [
  {
    name: 'heartbeat'
    query: loadTextContent('monitoring/alerts/heartbeat.kql')
    severity: 1
    every: 'PT5M'
    window: 'PT2H'
  }
  {
    name: 'needs-attention'
    query: loadTextContent('monitoring/alerts/needs-attention.kql')
    severity: 2
    every: 'PT1H'
    window: 'P2D'
  }
  {
    name: 'poison'
    query: loadTextContent('monitoring/alerts/poison.kql')
    severity: 1
    every: 'PT15M'
    window: 'PT15M'
  }
  {
    name: 'refused-webhooks'
    query: loadTextContent('monitoring/alerts/refused-webhooks.kql')
    severity: 2
    every: 'PT30M'
    window: 'PT1H'
  }
  {
    name: 'subscription'
    query: loadTextContent('monitoring/alerts/subscription.kql')
    severity: 1
    every: 'PT15M'
    window: 'PT30M'
  }
  {
    name: 'throttled'
    query: loadTextContent('monitoring/alerts/throttled.kql')
    severity: 2
    every: 'PT30M'
    window: 'PT30M'
  }
  {
    name: 'waiting'
    query: loadTextContent('monitoring/alerts/waiting.kql')
    severity: 2
    every: 'PT1H'
    window: 'PT1H'
  }
]

resource insights 'Microsoft.Insights/components@2020-02-02' existing = {
  name: insightsName
}

resource operators 'Microsoft.Insights/actionGroups@2023-01-01' = if (!empty(alertAddress)) {
  name: 'ag-guestpass-${token}'
  location: 'global'
  tags: tags
  properties: {
    groupShortName: 'guestpass'
    enabled: true
    emailReceivers: [
      {
        name: 'operators'
        emailAddress: alertAddress
        useCommonAlertSchema: true
      }
    ]
  }
}

resource rules 'Microsoft.Insights/scheduledQueryRules@2023-12-01' = [for alert in alerts: {
  name: 'guestpass-${alert.name}'
  location: location
  tags: tags
  kind: 'LogAlert'
  properties: {
    displayName: 'Guestpass: ${alert.name}'
    description: 'What to do: docs/operations.md, "Alert: ${alert.name}".'
    severity: alert.severity
    enabled: true
    scopes: [
      insights.id
    ]
    evaluationFrequency: alert.every
    windowSize: alert.window
    autoMitigate: true
    criteria: {
      allOf: [
        {
          query: alert.query
          timeAggregation: 'Count'
          operator: 'GreaterThan'
          threshold: 0
          failingPeriods: {
            numberOfEvaluationPeriods: 1
            minFailingPeriodsToAlert: 1
          }
        }
      ]
    }
    actions: {
      actionGroups: empty(alertAddress) ? [] : [
        operators.id
      ]
    }
  }
}]

resource workbook 'Microsoft.Insights/workbooks@2023-06-01' = {
  name: guid(insights.id, 'guestpass')
  location: location
  tags: tags
  kind: 'shared'
  properties: {
    displayName: 'Guestpass'
    category: 'workbook'
    serializedData: loadTextContent('monitoring/workbook.json')
    sourceId: insights.id
  }
}

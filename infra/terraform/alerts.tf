# Alerts on Assay itself. The queries stand in names.json, beside what Bicep deploys.

locals {
  hub_list = join(", ", [for hub in values(var.hubs) : "'${hub}'"])
  targets = {
    eventHubs = local.namespace_id
    cosmos    = azurerm_cosmosdb_account.this.id
  }
}

resource "azurerm_monitor_scheduled_query_rules_alert_v2" "this" {
  for_each = { for alert in local.names.logAlerts : alert.name => alert }

  name                    = "${var.name}-${each.key}"
  display_name            = "${var.name}-${each.key}"
  description             = each.value.title
  resource_group_name     = var.resource_group_name
  location                = local.location
  tags                    = var.tags
  severity                = each.value.severity
  scopes                  = [local.workspace_id]
  evaluation_frequency    = each.value.frequency
  window_duration         = each.value.window
  auto_mitigation_enabled = true

  criteria {
    query                   = replace(replace(join("\n", each.value.query), "{app}", azurerm_function_app_flex_consumption.this.name), "{hubs}", local.hub_list)
    time_aggregation_method = each.value.aggregation
    metric_measure_column   = each.value.column == "" ? null : each.value.column
    operator                = each.value.operator
    threshold               = each.value.threshold

    dynamic "dimension" {
      for_each = each.value.dimensions
      content {
        name     = dimension.value
        operator = "Include"
        values   = ["*"]
      }
    }
    failing_periods {
      number_of_evaluation_periods             = 1
      minimum_failing_periods_to_trigger_alert = 1
    }
  }

  action {
    action_groups = [azurerm_monitor_action_group.this.id]
  }
}

resource "azurerm_monitor_metric_alert" "this" {
  for_each = { for alert in local.names.metricAlerts : alert.name => alert }

  name                = "${var.name}-${each.key}"
  description         = each.value.title
  resource_group_name = var.resource_group_name
  tags                = var.tags
  severity            = 2
  scopes              = [local.targets[each.value.target]]
  frequency           = "PT5M"
  window_size         = "PT5M"
  auto_mitigate       = true

  criteria {
    metric_namespace = each.value.namespace
    metric_name      = each.value.metric
    aggregation      = each.value.aggregation
    operator         = "GreaterThan"
    threshold        = each.value.threshold

    dynamic "dimension" {
      for_each = length(each.value.statusCodes) == 0 ? [] : [each.value.statusCodes]
      content {
        name     = "StatusCode"
        operator = "Include"
        values   = dimension.value
      }
    }
  }

  action {
    action_group_id = azurerm_monitor_action_group.this.id
  }
}

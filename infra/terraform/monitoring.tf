# The workspace, Application Insights in it, and the people who are told.

resource "azurerm_log_analytics_workspace" "this" {
  count = var.existing_workspace_id == "" ? 1 : 0

  name                         = "log-${var.name}"
  resource_group_name          = var.resource_group_name
  location                     = local.location
  tags                         = var.tags
  sku                          = "PerGB2018"
  retention_in_days            = var.log_retention_days
  local_authentication_enabled = false
}

resource "azurerm_application_insights" "this" {
  name                         = "appi-${var.name}"
  resource_group_name          = var.resource_group_name
  location                     = local.location
  tags                         = var.tags
  application_type             = "web"
  workspace_id                 = local.workspace_id
  local_authentication_enabled = false
}

# The app sends its telemetry as itself.
resource "azurerm_role_assignment" "publish" {
  scope                = azurerm_application_insights.this.id
  role_definition_name = "Monitoring Metrics Publisher"
  principal_id         = azurerm_user_assigned_identity.app.principal_id
  principal_type       = "ServicePrincipal"
}

resource "azurerm_monitor_action_group" "this" {
  name                = "ag-${var.name}"
  resource_group_name = var.resource_group_name
  tags                = var.tags
  short_name          = "assay"

  dynamic "email_receiver" {
    for_each = var.alert_emails
    content {
      name                    = "email-${email_receiver.key}"
      email_address           = email_receiver.value
      use_common_alert_schema = true
    }
  }
}

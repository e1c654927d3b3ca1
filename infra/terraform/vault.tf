# The vault of webhook addresses and signing keys. The app reads secrets, operators set them, and deployments never see one.

resource "azurerm_key_vault" "this" {
  name                       = "kv-${var.name}"
  resource_group_name        = var.resource_group_name
  location                   = local.location
  tags                       = var.tags
  tenant_id                  = data.azurerm_client_config.current.tenant_id
  sku_name                   = "standard"
  rbac_authorization_enabled = true
  soft_delete_retention_days = 90
  purge_protection_enabled   = true
}

resource "azurerm_role_assignment" "secrets" {
  scope                = azurerm_key_vault.this.id
  role_definition_name = "Key Vault Secrets User"
  principal_id         = azurerm_user_assigned_identity.app.principal_id
  principal_type       = "ServicePrincipal"
}

resource "azurerm_role_assignment" "secrets_operators" {
  count = var.operators_group_id == "" ? 0 : 1

  scope                = azurerm_key_vault.this.id
  role_definition_name = "Key Vault Secrets Officer"
  principal_id         = var.operators_group_id
  principal_type       = "Group"
}

resource "azurerm_monitor_diagnostic_setting" "vault" {
  name                       = "assay"
  target_resource_id         = azurerm_key_vault.this.id
  log_analytics_workspace_id = local.workspace_id

  enabled_log {
    category = "AuditEvent"
  }
  enabled_metric {
    category = "AllMetrics"
  }
}

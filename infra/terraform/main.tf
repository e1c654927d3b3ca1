# Assay in one resource group: the function app with its identity, the hubs that it reads, the store that it writes, and
# alerts on itself. Feeds of tenants are apart, in feeds/.

data "azurerm_client_config" "current" {}

data "azurerm_resource_group" "this" {
  name = var.resource_group_name
}

locals {
  names    = jsondecode(file("${path.module}/../names.json"))
  location = var.location == "" ? data.azurerm_resource_group.this.location : var.location

  # The existing namespace may stand in another resource group.
  namespace_id    = var.existing_namespace_id == "" ? azurerm_eventhub_namespace.this[0].id : var.existing_namespace_id
  namespace_name  = var.existing_namespace_id == "" ? "evhns-${var.name}" : split("/", var.existing_namespace_id)[8]
  namespace_group = var.existing_namespace_id == "" ? var.resource_group_name : split("/", var.existing_namespace_id)[4]
  event_hubs_host = "${local.namespace_name}.servicebus.windows.net"

  workspace_id = var.existing_workspace_id == "" ? azurerm_log_analytics_workspace.this[0].id : var.existing_workspace_id
}

# Two identities. The function app's is made before the app, so that its roles are there when the app starts. The other one
# is the namespace's, for Capture: it writes blobs and does nothing else.
resource "azurerm_user_assigned_identity" "app" {
  name                = "id-${var.name}"
  resource_group_name = var.resource_group_name
  location            = local.location
  tags                = var.tags
}

resource "azurerm_user_assigned_identity" "capture" {
  name                = "id-${var.name}-capture"
  resource_group_name = var.resource_group_name
  location            = local.location
  tags                = var.tags
}

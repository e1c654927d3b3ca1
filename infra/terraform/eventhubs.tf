# The namespace, its hubs and their consumer groups.

resource "azurerm_eventhub_namespace" "this" {
  count = var.existing_namespace_id == "" ? 1 : 0

  name                     = "evhns-${var.name}"
  resource_group_name      = var.resource_group_name
  location                 = local.location
  tags                     = var.tags
  sku                      = "Standard"
  capacity                 = 1
  auto_inflate_enabled     = true
  maximum_throughput_units = var.max_throughput_units
  minimum_tls_version      = "1.2"

  # Entra diagnostic settings and Log Analytics export know no identity. Where there are none, keys are off.
  local_authentication_enabled = var.allow_sas_senders

  dynamic "identity" {
    for_each = var.capture ? [azurerm_user_assigned_identity.capture.id] : []
    content {
      type         = "UserAssigned"
      identity_ids = [identity.value]
    }
  }

  lifecycle {
    ignore_changes = [capacity] # it grows by itself
  }
}

# Never compacted: Azure Monitor sends without a key.
resource "azurerm_eventhub" "this" {
  for_each = var.create_hubs ? toset(values(var.hubs)) : toset([])

  name            = each.value
  namespace_id    = local.namespace_id
  partition_count = var.partitions

  retention_description {
    cleanup_policy          = "Delete"
    retention_time_in_hours = var.retention_hours
  }

  dynamic "capture_description" {
    for_each = var.capture ? [azurerm_storage_account.this.id] : []
    content {
      enabled             = true
      encoding            = "Avro"
      interval_in_seconds = 300
      size_limit_in_bytes = 314572800
      skip_empty_archives = true

      destination {
        name                        = "EventHubArchive.AzureBlockBlob"
        archive_name_format         = "{Namespace}/{EventHub}/{PartitionId}/{Year}/{Month}/{Day}/{Hour}/{Minute}/{Second}"
        blob_container_name         = azurerm_storage_container.this["capture"].name
        storage_account_id          = capture_description.value
        storage_authentication_type = "UserAssigned"
        storage_authentication_id   = azurerm_user_assigned_identity.capture.id
      }
    }
  }

  depends_on = [azurerm_role_assignment.captured]
}

resource "azurerm_eventhub_consumer_group" "this" {
  for_each = {
    for pair in setproduct(values(var.hubs), values(local.names.consumerGroups)) : "${pair[0]}/${pair[1]}" => pair
  }

  name                = each.value[1]
  eventhub_name       = each.value[0]
  namespace_name      = local.namespace_name
  resource_group_name = local.namespace_group

  depends_on = [azurerm_eventhub.this]
}

# It reads these hubs, and sends to none.
resource "azurerm_role_assignment" "receive" {
  for_each = toset(values(var.hubs))

  scope                = "${local.namespace_id}/eventhubs/${each.value}"
  role_definition_name = "Azure Event Hubs Data Receiver"
  principal_id         = azurerm_user_assigned_identity.app.principal_id
  principal_type       = "ServicePrincipal"

  depends_on = [azurerm_eventhub.this]
}

# Azure Monitor asks for all three rights ("Diagnostic settings in Azure Monitor", Microsoft Learn).
resource "azurerm_eventhub_namespace_authorization_rule" "diagnostics" {
  count = var.allow_sas_senders ? 1 : 0

  name                = "diagnostics"
  namespace_name      = local.namespace_name
  resource_group_name = local.namespace_group
  listen              = true
  send                = true
  manage              = true

  depends_on = [azurerm_eventhub_namespace.this]
}

resource "azurerm_monitor_diagnostic_setting" "event_hubs" {
  count = var.existing_namespace_id == "" ? 1 : 0

  name                       = "assay"
  target_resource_id         = azurerm_eventhub_namespace.this[0].id
  log_analytics_workspace_id = local.workspace_id

  enabled_log {
    category = "OperationalLogs"
  }
  enabled_metric {
    category = "AllMetrics"
  }
}

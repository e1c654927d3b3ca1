# The storage account of the Functions host: checkpoints, locks, function keys, the package, the configuration, the queue of
# replays, and captured events. No key opens it.

resource "azurerm_storage_account" "this" {
  name                            = "st${var.name}"
  resource_group_name             = var.resource_group_name
  location                        = local.location
  tags                            = var.tags
  account_kind                    = "StorageV2"
  account_tier                    = "Standard"
  account_replication_type        = "LRS"
  shared_access_key_enabled       = false
  allow_nested_items_to_be_public = false
  default_to_oauth_authentication = true
  min_tls_version                 = "TLS1_2"
  https_traffic_only_enabled      = true

  cross_tenant_replication_enabled = false

  # A configuration that was overwritten by mistake comes back from its versions.
  blob_properties {
    versioning_enabled = true

    delete_retention_policy {
      days = 7
    }
    container_delete_retention_policy {
      days = 7
    }
  }
}

resource "azurerm_storage_container" "this" {
  for_each = local.names.blobContainers

  name                  = each.value
  storage_account_id    = azurerm_storage_account.this.id
  container_access_type = "private"
}

resource "azurerm_storage_queue" "this" {
  for_each = toset(local.names.queues)

  name               = each.value
  storage_account_id = azurerm_storage_account.this.id
}

# What the Functions host needs of its storage.
resource "azurerm_role_assignment" "host" {
  for_each = toset(["Storage Blob Data Owner", "Storage Queue Data Contributor", "Storage Table Data Contributor"])

  scope                = azurerm_storage_account.this.id
  role_definition_name = each.value
  principal_id         = azurerm_user_assigned_identity.app.principal_id
  principal_type       = "ServicePrincipal"
}

# Operators write the configuration and nothing else here.
resource "azurerm_role_assignment" "config_operators" {
  count = var.operators_group_id == "" ? 0 : 1

  scope                = azurerm_storage_container.this["config"].id
  role_definition_name = "Storage Blob Data Contributor"
  principal_id         = var.operators_group_id
  principal_type       = "Group"
}

resource "azurerm_role_assignment" "captured" {
  scope                = azurerm_storage_container.this["capture"].id
  role_definition_name = "Storage Blob Data Contributor"
  principal_id         = azurerm_user_assigned_identity.capture.principal_id
  principal_type       = "ServicePrincipal"
}

# It reads the archive of diagnostic settings, and does nothing else there.
resource "azurerm_role_assignment" "archive" {
  count = var.archive_account_id == "" ? 0 : 1

  scope                = var.archive_account_id
  role_definition_name = "Storage Blob Data Reader"
  principal_id         = azurerm_user_assigned_identity.app.principal_id
  principal_type       = "ServicePrincipal"
}

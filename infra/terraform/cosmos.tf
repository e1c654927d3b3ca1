# The store. There are no keys, and no role may make or drop containers: who deploys does.

locals {
  containers = { for container in local.names.containers : container.name => container }
  data       = "Microsoft.DocumentDB/databaseAccounts/sqlDatabases/containers"
  keeper_actions = [
    "Microsoft.DocumentDB/databaseAccounts/readMetadata",
    "${local.data}/items/create",
    "${local.data}/items/read",
    "${local.data}/items/replace",
    "${local.data}/items/upsert",
    "${local.data}/executeQuery",
    "${local.data}/readChangeFeed",
  ]
}

resource "azurerm_cosmosdb_account" "this" {
  name                = "cosmos-${var.name}"
  resource_group_name = var.resource_group_name
  location            = local.location
  tags                = var.tags
  kind                = "GlobalDocumentDB"
  offer_type          = "Standard"
  minimal_tls_version = "Tls12"

  local_authentication_enabled       = false
  access_key_metadata_writes_enabled = false

  dynamic "capabilities" {
    for_each = var.cosmos_max_throughput == 0 ? ["EnableServerless"] : []
    content {
      name = capabilities.value
    }
  }

  consistency_policy {
    consistency_level = "Session"
  }
  geo_location {
    location          = local.location
    failover_priority = 0
    zone_redundant    = false
  }
  backup {
    type = "Continuous"
    tier = "Continuous7Days"
  }
}

resource "azurerm_cosmosdb_sql_database" "this" {
  name                = local.names.database
  resource_group_name = var.resource_group_name
  account_name        = azurerm_cosmosdb_account.this.name

  dynamic "autoscale_settings" {
    for_each = var.cosmos_max_throughput == 0 ? [] : [var.cosmos_max_throughput]
    content {
      max_throughput = autoscale_settings.value
    }
  }
}

# Documents expire by their own ttl, so there is a default that never expires. What is never asked for is not indexed: it
# would cost request units with each write.
resource "azurerm_cosmosdb_sql_container" "this" {
  for_each = local.containers

  name                  = each.key
  resource_group_name   = var.resource_group_name
  account_name          = azurerm_cosmosdb_account.this.name
  database_name         = azurerm_cosmosdb_sql_database.this.name
  partition_key_kind    = "Hash"
  partition_key_version = 2
  partition_key_paths   = [each.value.partitionKey]
  default_ttl           = -1

  indexing_policy {
    indexing_mode = "consistent"

    included_path {
      path = "/*"
    }
    dynamic "excluded_path" {
      for_each = concat(each.value.notIndexed, ["/\"_etag\"/?"])
      content {
        path = excluded_path.value
      }
    }
  }
}

# Who holds it adds and changes documents, and can delete none: alerts are evidence.
resource "azurerm_cosmosdb_sql_role_definition" "keeper" {
  name                = "Assay keeper"
  resource_group_name = var.resource_group_name
  account_name        = azurerm_cosmosdb_account.this.name
  type                = "CustomRole"
  assignable_scopes   = [azurerm_cosmosdb_account.this.id]

  permissions {
    data_actions = local.keeper_actions
  }
}

# For documents that come and go: leases of the change feed, and state.
resource "azurerm_cosmosdb_sql_role_definition" "worker" {
  name                = "Assay worker"
  resource_group_name = var.resource_group_name
  account_name        = azurerm_cosmosdb_account.this.name
  type                = "CustomRole"
  assignable_scopes   = [azurerm_cosmosdb_account.this.id]

  permissions {
    data_actions = concat(local.keeper_actions, ["${local.data}/items/delete"])
  }
}

resource "azurerm_cosmosdb_sql_role_assignment" "app" {
  for_each = local.containers

  resource_group_name = var.resource_group_name
  account_name        = azurerm_cosmosdb_account.this.name
  principal_id        = azurerm_user_assigned_identity.app.principal_id
  role_definition_id  = each.value.mayDelete ? azurerm_cosmosdb_sql_role_definition.worker.id : azurerm_cosmosdb_sql_role_definition.keeper.id
  scope               = "${azurerm_cosmosdb_account.this.id}/dbs/${azurerm_cosmosdb_sql_database.this.name}/colls/${azurerm_cosmosdb_sql_container.this[each.key].name}"
}

# Cosmos DB Built-in Data Reader
resource "azurerm_cosmosdb_sql_role_assignment" "operators" {
  count = var.operators_group_id == "" ? 0 : 1

  resource_group_name = var.resource_group_name
  account_name        = azurerm_cosmosdb_account.this.name
  principal_id        = var.operators_group_id
  role_definition_id  = "${azurerm_cosmosdb_account.this.id}/sqlRoleDefinitions/00000000-0000-0000-0000-000000000001"
  scope               = "${azurerm_cosmosdb_account.this.id}/dbs/${azurerm_cosmosdb_sql_database.this.name}"
}

# Data-plane logs have a line for each request and are left out: they would cost more than the store.
resource "azurerm_monitor_diagnostic_setting" "cosmos" {
  name                       = "assay"
  target_resource_id         = azurerm_cosmosdb_account.this.id
  log_analytics_workspace_id = local.workspace_id

  enabled_log {
    category = "ControlPlaneRequests"
  }
  enabled_metric {
    category = "Requests"
  }
}

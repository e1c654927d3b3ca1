# The function app on Flex Consumption. No setting holds a secret: every connection is the identity's.

locals {
  # A function that is disabled is indexed all the same, so each has its hub.
  hub_of      = merge(local.names.functions, var.hubs)
  config_url  = "${azurerm_storage_account.this.primary_blob_endpoint}${azurerm_storage_container.this["config"].name}/assay.yaml"
  capture_url = var.capture ? "${azurerm_storage_account.this.primary_blob_endpoint}${azurerm_storage_container.this["capture"].name}/${split(".", local.event_hubs_host)[0]}" : ""
  # Of the same cloud as the other account.
  archive_url = var.archive_account_id == "" ? "" : "https://${reverse(split("/", var.archive_account_id))[0]}.${trimsuffix(replace(azurerm_storage_account.this.primary_blob_endpoint, "https://${azurerm_storage_account.this.name}.", ""), "/")}"
  tenant_ids  = length(var.api_tenant_ids) == 0 ? [data.azurerm_client_config.current.tenant_id] : var.api_tenant_ids

  settings = {
    # The provider writes a connection string without a key here. Empty, the settings below count.
    AzureWebJobsStorage              = ""
    AzureWebJobsStorage__accountName = azurerm_storage_account.this.name
    AzureWebJobsStorage__credential  = "managedidentity"
    AzureWebJobsStorage__clientId    = azurerm_user_assigned_identity.app.client_id

    APPLICATIONINSIGHTS_AUTHENTICATION_STRING = "ClientId=${azurerm_user_assigned_identity.app.client_id};Authorization=AAD"

    SIGNIN_EVENTHUB                       = local.hub_of.signin
    SIGNIN_CONSUMER_GROUP                 = local.names.consumerGroups.live
    SigninEvents__fullyQualifiedNamespace = local.event_hubs_host
    SigninEvents__credential              = "managedidentity"
    SigninEvents__clientId                = azurerm_user_assigned_identity.app.client_id

    MAILBOX_EVENTHUB                       = local.hub_of.mailbox
    MAILBOX_CONSUMER_GROUP                 = local.names.consumerGroups.live
    MailboxEvents__fullyQualifiedNamespace = local.event_hubs_host
    MailboxEvents__credential              = "managedidentity"
    MailboxEvents__clientId                = azurerm_user_assigned_identity.app.client_id

    TOKEN_EVENTHUB                       = local.hub_of.tokens
    TOKEN_CONSUMER_GROUP                 = local.names.consumerGroups.live
    TokenEvents__fullyQualifiedNamespace = local.event_hubs_host
    TokenEvents__credential              = "managedidentity"
    TokenEvents__clientId                = azurerm_user_assigned_identity.app.client_id

    AlertStore__accountEndpoint = azurerm_cosmosdb_account.this.endpoint
    AlertStore__credential      = "managedidentity"
    AlertStore__clientId        = azurerm_user_assigned_identity.app.client_id

    ASSAY_STORE    = "cosmos"
    ASSAY_DATABASE = local.names.database
    ASSAY_CONFIG   = local.config_url
    ASSAY_CAPTURE  = local.capture_url
    ASSAY_ARCHIVE  = local.archive_url
    ASSAY_AUTH     = var.api_client_id == "" ? "key" : "entra"
  }

  disabled = { for function, hub in local.names.functions : "AzureWebJobs.${function}.Disabled" => "true" if !contains(keys(var.hubs), function) }

  # App Service authentication lets in tokens of these tenants only. With the issuer of one tenant it checks that, too; with any
  # other it checks none, so that this setting decides.
  tenant_settings = var.api_client_id == "" ? {} : { WEBSITE_AUTH_AAD_ALLOWED_TENANTS = join(",", local.tenant_ids) }
}

resource "azurerm_service_plan" "this" {
  name                = "asp-${var.name}"
  resource_group_name = var.resource_group_name
  location            = local.location
  tags                = var.tags
  os_type             = "Linux"
  sku_name            = "FC1"
}

resource "azurerm_function_app_flex_consumption" "this" {
  name                = "func-${var.name}"
  resource_group_name = var.resource_group_name
  location            = local.location
  tags                = var.tags
  service_plan_id     = azurerm_service_plan.this.id
  https_only          = true

  # Passwords for publishing are off.
  webdeploy_publish_basic_authentication_enabled = false

  runtime_name    = "custom"
  runtime_version = "1.0"

  storage_container_type            = "blobContainer"
  storage_container_endpoint        = "${azurerm_storage_account.this.primary_blob_endpoint}${azurerm_storage_container.this["package"].name}"
  storage_authentication_type       = "UserAssignedIdentity"
  storage_user_assigned_identity_id = azurerm_user_assigned_identity.app.id

  instance_memory_in_mb  = var.instance_memory
  maximum_instance_count = var.max_instances

  dynamic "always_ready" {
    for_each = var.always_ready == 0 ? [] : keys(var.hubs)
    content {
      name           = "function:${always_ready.value}"
      instance_count = var.always_ready
    }
  }

  app_settings = merge(local.settings, local.disabled, local.tenant_settings)

  identity {
    type         = "UserAssigned"
    identity_ids = [azurerm_user_assigned_identity.app.id]
  }

  site_config {
    # Written as APPLICATIONINSIGHTS_CONNECTION_STRING. Without a key it opens nothing: local authentication is off.
    application_insights_connection_string = azurerm_application_insights.this.connection_string
    minimum_tls_version                    = "1.2"
    scm_minimum_tls_version                = "1.2"
    http2_enabled                          = true
  }

  # Tokens of the API's own audience. There is no sign-in page, and so no client secret.
  dynamic "auth_settings_v2" {
    for_each = var.api_client_id == "" ? [] : [var.api_client_id]
    content {
      auth_enabled           = true
      runtime_version        = "~1"
      require_authentication = true
      unauthenticated_action = "Return401"
      require_https          = true
      default_provider       = "azureactivedirectory"

      active_directory_v2 {
        client_id            = auth_settings_v2.value
        tenant_auth_endpoint = "https://login.microsoftonline.com/${length(local.tenant_ids) == 1 ? local.tenant_ids[0] : "common"}/v2.0"
        allowed_audiences    = ["api://${auth_settings_v2.value}", auth_settings_v2.value]
      }
      login {
        token_store_enabled = false
      }
    }
  }

  # The first start needs its roles.
  depends_on = [
    azurerm_role_assignment.host,
    azurerm_role_assignment.publish,
    azurerm_role_assignment.receive,
    azurerm_role_assignment.secrets,
    azurerm_cosmosdb_sql_role_assignment.app,
    azurerm_eventhub_consumer_group.this,
  ]
}

# Its logs are in Application Insights already.
resource "azurerm_monitor_diagnostic_setting" "app" {
  name                       = "assay"
  target_resource_id         = azurerm_function_app_flex_consumption.this.id
  log_analytics_workspace_id = local.workspace_id

  enabled_metric {
    category = "AllMetrics"
  }
}

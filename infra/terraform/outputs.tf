output "function_app_name" {
  description = "Name of the function app."
  value       = azurerm_function_app_flex_consumption.this.name
}

output "api_url" {
  description = "Address of the API."
  value       = "https://${azurerm_function_app_flex_consumption.this.default_hostname}"
}

output "event_hubs_host" {
  description = "Host of the Event Hubs namespace, to which events are sent."
  value       = local.event_hubs_host
}

output "sas_rule_id" {
  description = "Resource id of the SAS rule that diagnostic settings send with; empty: SAS is off. It holds no key."
  value       = var.allow_sas_senders ? azurerm_eventhub_namespace_authorization_rule.diagnostics[0].id : ""
}

output "event_hubs_id" {
  description = "Resource id of the Event Hubs namespace."
  value       = local.namespace_id
}

output "config_url" {
  description = "Address to which the configuration is uploaded."
  value       = local.config_url
}

output "vault_url" {
  description = "Address of the key vault that holds the webhook addresses and signing keys."
  value       = azurerm_key_vault.this.vault_uri
}

output "principal_id" {
  description = "Principal id of the identity of the function app."
  value       = azurerm_user_assigned_identity.app.principal_id
}

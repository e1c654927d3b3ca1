# Entra ID streams its logs to an event hub. It is deployed once a tenant, at the tenant's scope, by a Security Administrator.

terraform {
  required_version = ">= 1.9"

  required_providers {
    azurerm = {
      source  = "hashicorp/azurerm"
      version = ">= 4.81, < 6.0"
    }
  }
}

provider "azurerm" {
  resource_provider_registrations = "none"

  features {}
}

variable "setting_name" {
  description = "Name of the diagnostic setting. A tenant can have five."
  type        = string
  default     = "assay"
}

variable "sas_rule_id" {
  description = "Resource id of the SAS rule of the namespace, which the main deployment prints."
  type        = string
}

variable "hub" {
  description = "The hub to which the logs go."
  type        = string
  default     = "signins"
}

variable "categories" {
  description = "Categories to stream. NonInteractiveUserSignInLogs is five to ten times as large as SignInLogs. Sign-in logs need Entra ID P1, risk events P2."
  type        = list(string)
  default = [
    "SignInLogs",
    "NonInteractiveUserSignInLogs",
    "ServicePrincipalSignInLogs",
    "ManagedIdentitySignInLogs",
    "ADFSSignInLogs",
    "AuditLogs",
    "UserRiskEvents",
    "MicrosoftGraphActivityLogs",
  ]
}

resource "azurerm_monitor_aad_diagnostic_setting" "this" {
  name                           = var.setting_name
  eventhub_authorization_rule_id = var.sas_rule_id
  eventhub_name                  = var.hub

  dynamic "enabled_log" {
    for_each = var.categories
    content {
      category = enabled_log.value
    }
  }
}

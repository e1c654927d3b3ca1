# A Log Analytics workspace exports tables to an event hub.

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

variable "workspace_name" {
  description = "Name of the workspace that holds the tables."
  type        = string
}

variable "resource_group_name" {
  description = "Resource group of the workspace."
  type        = string
}

variable "rule_name" {
  description = "Name of the export rule. A workspace can have ten."
  type        = string
  default     = "assay"
}

variable "event_hubs_id" {
  description = "Resource id of the Event Hubs namespace, which must be in the region of the workspace; the main deployment prints it."
  type        = string
}

variable "hub" {
  description = "The hub to which the rows go."
  type        = string
  default     = "mailbox"
}

variable "tables" {
  description = "Tables to export. OfficeActivity lacks the fields of the token; CloudAppEvents has them."
  type        = list(string)
  default     = ["CloudAppEvents"]
}

data "azurerm_log_analytics_workspace" "this" {
  name                = var.workspace_name
  resource_group_name = var.resource_group_name
}

resource "azurerm_log_analytics_data_export_rule" "this" {
  name                    = var.rule_name
  resource_group_name     = var.resource_group_name
  workspace_resource_id   = data.azurerm_log_analytics_workspace.this.id
  destination_resource_id = "${var.event_hubs_id}/eventhubs/${var.hub}"
  table_names             = var.tables
  enabled                 = true
}

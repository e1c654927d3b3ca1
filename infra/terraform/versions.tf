terraform {
  required_version = ">= 1.9"

  required_providers {
    azurerm = {
      source  = "hashicorp/azurerm"
      version = ">= 4.81, < 6.0"
    }
  }
}

# The subscription comes from ARM_SUBSCRIPTION_ID, the sign-in from az login or, in a workflow, from OIDC.
provider "azurerm" {
  # Which providers are registered is the subscription owner's business: README.md names them.
  resource_provider_registrations = "none"
  storage_use_azuread             = true

  features {
    storage {
      # Containers and queues are made through Azure Resource Manager: the account takes no key.
      data_plane_available = false
    }
    key_vault {
      purge_soft_delete_on_destroy = false
    }
  }
}

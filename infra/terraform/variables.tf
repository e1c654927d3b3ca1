variable "resource_group_name" {
  description = "The resource group, which must exist, as for Bicep."
  type        = string
}

variable "name" {
  description = "Stands in the name of every resource and must be unused in all of Azure: 3 to 16 lower-case letters and digits, a letter first."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9]{2,15}$", var.name))
    error_message = "The name has 3 to 16 lower-case letters and digits, a letter first."
  }
}

variable "location" {
  description = "Region of all resources; empty: that of the resource group. Flex Consumption has to be offered there."
  type        = string
  default     = ""
}

variable "tags" {
  description = "Tags of all resources."
  type        = map(string)
  default     = {}
}

variable "hubs" {
  description = "The hub of each ingest function that is to run: signin, mailbox, tokens. A function that is not named is disabled. Any hub may bring any category, so one function is enough for one shared hub. No two functions may share a hub."
  type        = map(string)
  default = {
    signin  = "signins"
    mailbox = "mailbox"
    tokens  = "tokens"
  }

  validation {
    condition     = length(var.hubs) > 0 && length(setsubtract(keys(var.hubs), ["signin", "mailbox", "tokens"])) == 0
    error_message = "The functions are signin, mailbox and tokens."
  }
  validation {
    condition     = length(distinct(values(var.hubs))) == length(var.hubs)
    error_message = "Two functions share a hub: name one of them only, it takes any category."
  }
}

variable "create_hubs" {
  description = "Whether the hubs are made. false: they are there already, in the existing namespace."
  type        = bool
  default     = true
}

variable "existing_namespace_id" {
  description = "Resource id of an Event Hubs namespace of this subscription to use; empty: one is made."
  type        = string
  default     = ""

  validation {
    condition     = var.existing_namespace_id == "" || can(regex("^/subscriptions/[^/]+/resourceGroups/[^/]+/providers/Microsoft\\.EventHub/namespaces/[^/]+$", var.existing_namespace_id))
    error_message = "It is no resource id of an Event Hubs namespace."
  }
}

variable "existing_workspace_id" {
  description = "Resource id of a Log Analytics workspace to use; empty: one is made."
  type        = string
  default     = ""
}

variable "partitions" {
  description = "Partitions of each hub that is made. Instances scale out up to this number. It cannot be changed later."
  type        = number
  default     = 4

  validation {
    condition     = var.partitions >= 1 && var.partitions <= 32
    error_message = "A hub has 1 to 32 partitions."
  }
}

variable "retention_hours" {
  description = "Hours that the hubs keep events, and so how far a replay from a hub reaches back."
  type        = number
  default     = 168

  validation {
    condition     = var.retention_hours >= 1 && var.retention_hours <= 168
    error_message = "The Standard tier keeps events for 1 to 168 hours."
  }
}

variable "max_throughput_units" {
  description = "Throughput units to which the namespace may grow by itself."
  type        = number
  default     = 4

  validation {
    condition     = var.max_throughput_units >= 1 && var.max_throughput_units <= 40
    error_message = "A namespace grows to 1 to 40 throughput units."
  }
}

variable "allow_sas_senders" {
  description = "Whether senders may use a SAS rule. Entra diagnostic settings and Log Analytics export can send in no other way; without them leave it false."
  type        = bool
  default     = false
}

variable "capture" {
  description = "Whether Capture keeps all events in blobs, for replays from before the retention of the hubs. An existing namespace has to be given the identity id-NAME-capture first."
  type        = bool
  default     = false
}

variable "archive_account_id" {
  description = "Resource id of a storage account to which diagnostic settings archive logs, for replays of them; empty: none."
  type        = string
  default     = ""

  validation {
    condition     = var.archive_account_id == "" || can(regex("^/subscriptions/[^/]+/resourceGroups/[^/]+/providers/Microsoft\\.Storage/storageAccounts/[^/]+$", var.archive_account_id))
    error_message = "It is no resource id of a storage account."
  }
}

variable "cosmos_max_throughput" {
  description = "Request units a second to which Cosmos DB scales; 0: serverless."
  type        = number
  default     = 0

  validation {
    condition     = var.cosmos_max_throughput >= 0 && var.cosmos_max_throughput % 1000 == 0
    error_message = "It is 0 or a multiple of 1,000."
  }
}

variable "log_retention_days" {
  description = "Days that the workspace which is made keeps logs."
  type        = number
  default     = 30

  validation {
    condition     = var.log_retention_days >= 30 && var.log_retention_days <= 730
    error_message = "A workspace keeps logs for 30 to 730 days."
  }
}

variable "instance_memory" {
  description = "Memory of an instance in MB."
  type        = number
  default     = 2048

  validation {
    condition     = contains([512, 2048, 4096], var.instance_memory)
    error_message = "An instance has 512, 2048 or 4096 MB."
  }
}

variable "max_instances" {
  description = "Instances at most."
  type        = number
  default     = 40

  validation {
    condition     = var.max_instances >= 1 && var.max_instances <= 1000
    error_message = "There are 1 to 1,000 instances."
  }
}

variable "always_ready" {
  description = "Instances of each ingest function that are always ready; 0: the first event after a pause waits for a start."
  type        = number
  default     = 0
}

variable "api_client_id" {
  description = "Client id of the app registration that protects the API; empty: function keys, which may read only."
  type        = string
  default     = ""
}

variable "api_tenant_ids" {
  description = "Tenants whose people and programs may call the API, at most ten; empty: that of the subscription. More than one asks for an app registration of several tenants."
  type        = list(string)
  default     = []

  validation {
    condition     = length(var.api_tenant_ids) <= 10
    error_message = "There are ten tenants at most."
  }
}

variable "operators_group_id" {
  description = "Object id of the group whose members edit the configuration, set secrets and read the store; empty: nobody."
  type        = string
  default     = ""
}

variable "alert_emails" {
  description = "E-mail addresses that are told when Assay itself is in trouble."
  type        = list(string)
  default     = []
}

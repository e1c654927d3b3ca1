package infra

import (
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// hardened is what a security review asks for, as each language writes it. All of it stands in both.
var hardened = []struct{ what, bicepFile, bicep, terraformFile, terraform string }{
	{"shared keys of storage are off", "storage", "allowSharedKeyAccess: false", "storage", "shared_access_key_enabled = false"},
	{"blobs are not public", "storage", "allowBlobPublicAccess: false", "storage", "allow_nested_items_to_be_public = false"},
	{"containers are private", "storage", "publicAccess: 'None'", "storage", `container_access_type = "private"`},
	{"objects are not copied to other tenants", "storage", "allowCrossTenantReplication: false", "storage", "cross_tenant_replication_enabled = false"},
	{"storage speaks TLS 1.2", "storage", "minimumTlsVersion: 'TLS1_2'", "storage", `min_tls_version = "TLS1_2"`},
	{"storage speaks HTTPS only", "storage", "supportsHttpsTrafficOnly: true", "storage", "https_traffic_only_enabled = true"},
	{"SAS is off unless a sender needs it", "eventhubs", "disableLocalAuth: !allowSasSenders", "eventhubs", "local_authentication_enabled = var.allow_sas_senders"},
	{"Event Hubs speaks TLS 1.2", "eventhubs", "minimumTlsVersion: '1.2'", "eventhubs", `minimum_tls_version = "1.2"`},
	{"hubs are not compacted", "eventhubs", "cleanupPolicy: 'Delete'", "eventhubs", `cleanup_policy = "Delete"`},
	{"keys of Cosmos DB are off", "cosmos", "disableLocalAuth: true", "cosmos", "local_authentication_enabled = false"},
	{"keys of Cosmos DB change no container", "cosmos", "disableKeyBasedMetadataWriteAccess: true", "cosmos", "access_key_metadata_writes_enabled = false"},
	{"Cosmos DB speaks TLS 1.2", "cosmos", "minimalTlsVersion: 'Tls12'", "cosmos", `minimal_tls_version = "Tls12"`},
	{"Cosmos DB keeps a backup of seven days", "cosmos", "tier: 'Continuous7Days'", "cosmos", `tier = "Continuous7Days"`},
	{"documents expire by their ttl", "cosmos", "defaultTtl: -1", "cosmos", "default_ttl = -1"},
	{"the vault is opened by roles", "vault", "enableRbacAuthorization: true", "vault", "rbac_authorization_enabled = true"},
	{"nobody can purge secrets", "vault", "enablePurgeProtection: true", "vault", "purge_protection_enabled = true"},
	{"deleted secrets stay for 90 days", "vault", "softDeleteRetentionInDays: 90", "vault", "soft_delete_retention_days = 90"},
	{"keys of Application Insights are off", "monitoring", "DisableLocalAuth: true", "monitoring", "local_authentication_enabled = false"},
	{"keys of the workspace are off", "monitoring", "disableLocalAuth: true", "monitoring", "local_authentication_enabled = false"},
	{"the app speaks HTTPS only", "app", "httpsOnly: true", "app", "https_only = true"},
	{"the app speaks TLS 1.2", "app", "minTlsVersion: '1.2'", "app", `minimum_tls_version = "1.2"`},
	{"so does its deployment", "app", "scmMinTlsVersion: '1.2'", "app", `scm_minimum_tls_version = "1.2"`},
	{"passwords for publishing are off", "app", "allow: false", "app", "webdeploy_publish_basic_authentication_enabled = false"},
	{"callers without a token get 401", "app", "unauthenticatedClientAction: 'Return401'", "app", `unauthenticated_action = "Return401"`},
	{"tokens are not stored", "app", "tokenStore: {\n enabled: false", "app", "token_store_enabled = false"},
	{"the package is read by the identity", "app", "type: 'UserAssignedIdentity'", "app", `storage_authentication_type = "UserAssignedIdentity"`},
	{"the runtime is custom", "app", "name: 'custom'\n version: '1.0'", "app", "runtime_name = \"custom\"\n runtime_version = \"1.0\""},
	{"the plan is Flex Consumption", "app", "name: 'FC1'", "app", `sku_name = "FC1"`},
}

var spaces = regexp.MustCompile(`[ \t]+`)

// plain takes alignment away.
func plain(text string) string { return spaces.ReplaceAllString(text, " ") }

func TestHardening(t *testing.T) {
	t.Parallel()
	var faults []fault
	for _, h := range hardened {
		first, _, _ := strings.Cut(h.bicep, "\n")
		faults = append(faults, fault{"infra/bicep/modules/" + h.bicepFile + ".bicep", first, "x", h.what})
	}
	faults = append(faults,
		fault{"infra/terraform/storage.tf", "shared_access_key_enabled       = false", "shared_access_key_enabled       = true", "shared keys"},
		fault{"infra/terraform/cosmos.tf", "local_authentication_enabled       = false", "local_authentication_enabled       = true", "keys of Cosmos DB are off"},
	)
	check(t, checkHardening, faults...)
}

func checkHardening(f tree) (p problems) {
	for _, h := range hardened {
		for file, want := range map[string]string{
			"infra/bicep/modules/" + h.bicepFile + ".bicep": h.bicep,
			"infra/terraform/" + h.terraformFile + ".tf":    h.terraform,
		} {
			if !strings.Contains(plain(f[file]), want) {
				p.add("%s does not say that %s: %s", file, h.what, want)
			}
		}
	}
	return p
}

// secrets are what no file of a deployment may hold or ask for.
var secrets = regexp.MustCompile(`(?i)listKeys|listSecrets|listAccountSas|primary_(access_)?key|secondary_(access_)?key|(primary|secondary|default_primary)\w*_connection_string|` +
	`accountkey=|sharedaccesskey(name)?=|sharedaccesssignature|client_?secret|password\s*[=:]|sas_token|site_credential|function_?keys?\s*[=:]|secrets\.|` +
	`sig=|logic\.azure\.com|webhook\.office\.com|azurerm_key_vault_secret|vaults/secrets@|@secure`)

// Nothing that is deployed holds a secret, or reads one into a state file or an output.
func TestNoSecrets(t *testing.T) {
	t.Parallel()
	check(t, checkSecrets,
		fault{"infra/terraform/outputs.tf", "azurerm_key_vault.this.vault_uri", "azurerm_storage_account.this.primary_access_key", "primary_access_key"},
		fault{"infra/bicep/modules/storage.bicep", "output name string = account.name", "output key string = account.listKeys().keys[0].value", "listKeys"},
		fault{"infra/terraform/app.tf", `"cosmos"`, "azurerm_cosmosdb_account.this.primary_sql_connection_string", "connection_string"},
		fault{"infra/bicep/main.sample.bicepparam", "'soc@contoso.example'", "'https://prod-1.westeurope.logic.azure.com/workflows/1'", "logic.azure.com"},
	)
}

func checkSecrets(f tree) (p problems) {
	for name, text := range f {
		if !strings.HasPrefix(name, "infra/") && !strings.HasPrefix(name, ".github/") || path.Ext(name) == ".md" {
			continue
		}
		for i, line := range strings.Split(text, "\n") {
			if m := secrets.FindString(line); m != "" {
				p.add("%s:%d holds or reads a secret: %s", name, i+1, m)
			}
		}
	}
	return p
}

var (
	uses        = regexp.MustCompile(`(?m)^\s*(?:- )?uses: (\S+)(.*)$`)
	pinned      = regexp.MustCompile(`^[\w.-]+/[\w./-]+@[0-9a-f]{40}$`)
	inputInText = regexp.MustCompile(`\$\{\{[^}]*(?:inputs|github\.event)\.[^}]*\}\}`)
)

// Workflows run actions of a fixed commit, grant nothing by default and put no input into a script.
func TestWorkflows(t *testing.T) {
	t.Parallel()
	check(t, checkWorkflows,
		fault{".github/workflows/ci.yml", "actions/checkout@11bd71901bbe5b1630ceea73d27597364c9af683", "actions/checkout@v4", "actions/checkout@v4"},
		fault{".github/workflows/ci.yml", "permissions: {}", "permissions: write-all", "grants"},
		fault{".github/workflows/ci.yml", "persist-credentials: false", "persist-credentials: true", "credentials"},
		fault{".github/workflows/ci.yml", "run: make vuln", "run: make vuln ${{ github.event.head_commit.message }}", "github.event"},
	)
}

func checkWorkflows(f tree) (p problems) {
	for _, name := range f.matching(".github/workflows/*.yml") {
		text := f[name]
		if !strings.Contains(text, "\npermissions: {}\n") {
			p.add("%s grants something by default", name)
		}
		if strings.Contains(text, "write-all") || strings.Contains(text, "pull_request_target") {
			p.add("%s grants too much", name)
		}
		checkouts := 0
		for _, m := range uses.FindAllStringSubmatch(text, -1) {
			if !strings.HasPrefix(m[1], "./") && (!pinned.MatchString(m[1]) || !strings.Contains(m[2], "# v")) {
				p.add("%s: %s is not pinned to a commit, with its version behind", name, m[1])
			}
			if strings.HasPrefix(m[1], "actions/checkout@") {
				checkouts++
			}
		}
		if strings.Count(text, "persist-credentials: false") != checkouts {
			p.add("%s: a checkout leaves its credentials", name)
		}
		env := false
		for i, line := range strings.Split(text, "\n") {
			// In env an input is a value; in a script it would be code.
			trimmed := strings.TrimSpace(line)
			if strings.HasPrefix(trimmed, "env:") {
				env = true
			} else if slices.ContainsFunc([]string{"run:", "- run:", "steps:", "with:", "jobs:", "- uses:", "- name:"}, func(s string) bool { return strings.HasPrefix(trimmed, s) }) {
				env = strings.HasPrefix(trimmed, "with:")
			}
			if m := inputInText.FindString(line); m != "" && !env && !strings.HasPrefix(trimmed, "if:") && !strings.HasPrefix(trimmed, "cancel-in-progress:") &&
				!strings.HasPrefix(trimmed, "group:") && !strings.HasPrefix(trimmed, "environment:") {
				p.add("%s:%d puts %s into a script", name, i+1, m)
			}
		}
	}
	return p
}

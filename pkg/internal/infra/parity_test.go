package infra

import (
	"bytes"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/hashicorp/hcl/v2/hclwrite"
	ctyjson "github.com/zclconf/go-cty/cty/json"
)

// configurations are the pairs that must give the same: a Bicep file with its modules, and a Terraform folder.
var configurations = []struct {
	bicep, terraform string
	only             []string // parameters that Terraform has and Bicep takes from its command
}{
	{"infra/bicep/main.bicep", "infra/terraform", []string{"resource_group_name"}},
	{"infra/bicep/feeds/entra.bicep", "infra/terraform/feeds/entra", nil},
	{"infra/bicep/feeds/export.bicep", "infra/terraform/feeds/export", []string{"resource_group_name"}},
}

// parameter is what a deployer can choose.
type parameter struct{ kind, description, standard string }

// snake writes a name of Bicep as Terraform does.
func snake(name string) string {
	var out strings.Builder
	for _, r := range name {
		if unicode.IsUpper(r) {
			out.WriteByte('_')
		}
		out.WriteRune(unicode.ToLower(r))
	}
	return out.String()
}

var (
	bicepKey     = regexp.MustCompile(`(?m)^(\s*)(\w+):`)
	bicepElement = regexp.MustCompile(`(?m)^(\s+"[^"\n]*")$`)
	described    = regexp.MustCompile(`^@description\('(.*)'\)$`)
)

// value returns a literal of Bicep, or of Terraform, as JSON. A literal of Bicep becomes one of HCL by its spelling.
func value(p *problems, text string, bicep bool) string {
	if bicep {
		text = strings.ReplaceAll(text, "'", `"`)
		text = bicepKey.ReplaceAllString(text, "$1$2 =")
		text = bicepElement.ReplaceAllString(text, "$1,")
	}
	expr, diagnostics := hclsyntax.ParseExpression([]byte(text), "", hcl.InitialPos)
	if diagnostics.HasErrors() {
		return text // an expression, not a literal
	}
	v, diagnostics := expr.Value(nil)
	if diagnostics.HasErrors() {
		return text
	}
	out, err := ctyjson.Marshal(v, v.Type())
	if err != nil {
		p.add("%s: %v", text, err)
	}
	return string(out)
}

// statement returns the text from the line on to where its brackets are closed.
func statement(lines []string) string {
	depth := 0
	for i, line := range lines {
		depth += strings.Count(line, "{") + strings.Count(line, "[") - strings.Count(line, "}") - strings.Count(line, "]")
		if depth == 0 {
			return strings.Join(lines[:i+1], "\n")
		}
	}
	return strings.Join(lines, "\n")
}

var kinds = map[string]string{
	"string": "string", "number": "int", "bool": "bool", "map(string)": "object", "list(string)": "array",
}

func (f tree) bicepParameters(p *problems, file string) map[string]parameter {
	out := map[string]parameter{}
	description := ""
	lines := strings.Split(f[file], "\n")
	for i, line := range lines {
		if m := described.FindStringSubmatch(line); m != nil {
			description = m[1]
		}
		if !strings.HasPrefix(line, "param ") {
			continue
		}
		head, standard, _ := strings.Cut(statement(lines[i:]), " = ")
		m := bicepParam.FindStringSubmatch(head)
		if m == nil || description == "" {
			p.add("%s:%d: a parameter without a description", file, i+1)
			continue
		}
		if standard != "" {
			standard = value(p, standard, true)
		}
		out[snake(m[1])] = parameter{m[2], description, standard}
		description = ""
	}
	return out
}

func (f tree) terraformParameters(p *problems, dir string) map[string]parameter {
	out := map[string]parameter{}
	for _, b := range f.terraform(p, dir) {
		if b.Type != "variable" {
			continue
		}
		var v parameter
		for name, a := range b.Body.Attributes {
			switch text := f.text(a.Expr); name {
			case "type":
				if v.kind = kinds[text]; v.kind == "" {
					p.add("%s: the variable %s is a %s, which no parameter of Bicep is", dir, b.Labels[0], text)
				}
			case "description":
				v.description = strings.Trim(text, `"`)
			case "default":
				v.standard = value(p, text, false)
			}
		}
		out[b.Labels[0]] = v
	}
	return out
}

// Both have the same parameters: names, types, defaults and descriptions.
func TestParameters(t *testing.T) {
	t.Parallel()
	check(t, checkParameters,
		fault{"infra/bicep/main.bicep", "param capture bool", "param captured bool", "captured"},
		fault{"infra/terraform/variables.tf", `variable "partitions"`, `variable "partition_count"`, "partition_count"},
		fault{"infra/terraform/variables.tf", "default     = 168", "default     = 24", "retention_hours"},
		fault{"infra/bicep/main.bicep", "  tokens: 'tokens'", "  tokens: 'token'", "hubs"},
		fault{"infra/bicep/feeds/entra.bicep", "  'AuditLogs'\n", "", "categories"},
		fault{"infra/bicep/main.bicep", "Instances at most.", "At most.", "max_instances"},
		fault{"infra/bicep/main.sample.bicepparam", "param allowSasSenders = true", "param allowSasSenders = false", "allow_sas_senders"},
		fault{"infra/terraform/terraform.tfvars.sample", "api_client_id ", "api_client ", "api_client"},
		fault{"infra/terraform/outputs.tf", `output "vault_url"`, `output "key_vault_url"`, "key_vault_url"},
	)
}

func checkParameters(f tree) (p problems) {
	for _, c := range configurations {
		bicep, terraform := f.bicepParameters(&p, c.bicep), f.terraformParameters(&p, c.terraform)
		for _, name := range c.only {
			delete(terraform, name)
		}
		p.same("the parameter", slices.Sorted(maps.Keys(bicep)), slices.Sorted(maps.Keys(terraform)), c.bicep, c.terraform)
		for name, b := range bicep {
			v, ok := terraform[name]
			if ok && b != v && name != "location" { // whose default is the resource group's, written differently
				p.add("the parameter %s is %q in %s and %q in %s", name, b, c.bicep, v, c.terraform)
			}
		}
		var outputs, others []string
		for _, m := range bicepOutput.FindAllStringSubmatch(f[c.bicep], -1) {
			outputs = append(outputs, snake(m[1]))
		}
		for _, b := range f.terraform(&p, c.terraform) {
			if b.Type == "output" {
				others = append(others, b.Labels[0])
			}
		}
		p.same("the output", outputs, others, c.bicep, c.terraform)
	}
	p = append(p, f.samples()...)
	return p
}

var assigned = regexp.MustCompile(`^(?:param )?(\w+)\s* = `)

// samples compares the two samples of parameters.
func (f tree) samples() (p problems) {
	sample := func(file string, bicep bool) map[string]string {
		out := map[string]string{}
		lines := strings.Split(f[file], "\n")
		for i, line := range lines {
			if m := assigned.FindStringSubmatch(line); m != nil {
				_, text, _ := strings.Cut(statement(lines[i:]), "= ")
				name := m[1]
				if bicep {
					name = snake(name)
				}
				out[name] = value(&p, text, bicep)
			}
		}
		return out
	}
	const bicepFile, terraformFile = "infra/bicep/main.sample.bicepparam", "infra/terraform/terraform.tfvars.sample"
	bicep, terraform := sample(bicepFile, true), sample(terraformFile, false)
	parameters := f.terraformParameters(&p, "infra/terraform")
	for name := range terraform {
		if _, ok := parameters[name]; !ok {
			p.add("%s sets %s, which is no variable", terraformFile, name)
		}
	}
	delete(terraform, "resource_group_name")
	p.same("the sample value", slices.Sorted(maps.Keys(bicep)), slices.Sorted(maps.Keys(terraform)), bicepFile, terraformFile)
	for name, v := range bicep {
		if other, ok := terraform[name]; ok && other != v {
			p.add("%s is %s in %s and %s in %s", name, v, bicepFile, other, terraformFile)
		}
	}
	return p
}

// counterparts are the types of resources in both languages: the first of Azure's types is declared as often as
// Terraform's, the others are part of it there.
var counterparts = map[string][]string{
	"azurerm_user_assigned_identity": {"Microsoft.ManagedIdentity/userAssignedIdentities"},

	"azurerm_log_analytics_workspace":                {"Microsoft.OperationalInsights/workspaces"},
	"azurerm_log_analytics_data_export_rule":         {"Microsoft.OperationalInsights/workspaces/dataExports"},
	"azurerm_application_insights":                   {"Microsoft.Insights/components"},
	"azurerm_monitor_action_group":                   {"Microsoft.Insights/actionGroups"},
	"azurerm_monitor_diagnostic_setting":             {"Microsoft.Insights/diagnosticSettings"},
	"azurerm_monitor_metric_alert":                   {"Microsoft.Insights/metricAlerts"},
	"azurerm_monitor_scheduled_query_rules_alert_v2": {"Microsoft.Insights/scheduledQueryRules"},
	"azurerm_monitor_aad_diagnostic_setting":         {"microsoft.aadiam/diagnosticSettings"},

	"azurerm_storage_account":   {"Microsoft.Storage/storageAccounts", "Microsoft.Storage/storageAccounts/blobServices"},
	"azurerm_storage_container": {"Microsoft.Storage/storageAccounts/blobServices/containers"},
	"azurerm_storage_queue":     {"Microsoft.Storage/storageAccounts/queueServices/queues", "Microsoft.Storage/storageAccounts/queueServices"},

	"azurerm_eventhub_namespace":                    {"Microsoft.EventHub/namespaces"},
	"azurerm_eventhub_namespace_authorization_rule": {"Microsoft.EventHub/namespaces/authorizationRules"},
	"azurerm_eventhub":                              {"Microsoft.EventHub/namespaces/eventhubs"},
	"azurerm_eventhub_consumer_group":               {"Microsoft.EventHub/namespaces/eventhubs/consumergroups"},

	"azurerm_cosmosdb_account":             {"Microsoft.DocumentDB/databaseAccounts"},
	"azurerm_cosmosdb_sql_database":        {"Microsoft.DocumentDB/databaseAccounts/sqlDatabases"},
	"azurerm_cosmosdb_sql_container":       {"Microsoft.DocumentDB/databaseAccounts/sqlDatabases/containers"},
	"azurerm_cosmosdb_sql_role_definition": {"Microsoft.DocumentDB/databaseAccounts/sqlRoleDefinitions"},
	"azurerm_cosmosdb_sql_role_assignment": {"Microsoft.DocumentDB/databaseAccounts/sqlRoleAssignments"},

	"azurerm_key_vault":       {"Microsoft.KeyVault/vaults"},
	"azurerm_role_assignment": {"Microsoft.Authorization/roleAssignments"},
	"azurerm_service_plan":    {"Microsoft.Web/serverfarms"},
	"azurerm_function_app_flex_consumption": {
		"Microsoft.Web/sites", "Microsoft.Web/sites/config", "Microsoft.Web/sites/basicPublishingCredentialsPolicies",
	},
}

// roles are the built-in roles that are given, by their ids ("Azure built-in roles", Microsoft Learn).
var roles = map[string]string{
	"3913510d-42f4-4e42-8a64-420c390055eb": "Monitoring Metrics Publisher",
	"b7e6dc6d-f1e8-4753-8033-0f276bb0955b": "Storage Blob Data Owner",
	"974c5e8b-45b9-4653-ba55-5f855dd0fb88": "Storage Queue Data Contributor",
	"0a9a7e1f-b9d0-4cc4-a60d-0319b160aaa3": "Storage Table Data Contributor",
	"ba92f5b4-2d11-453d-a403-e96b0029c9fe": "Storage Blob Data Contributor",
	"2a2b9908-6ea1-4ae2-8e65-a410df84e7d1": "Storage Blob Data Reader",
	"a638d3c7-ab3a-418d-83e6-5f17a39d4fde": "Azure Event Hubs Data Receiver",
	"4633458b-17de-408a-b874-0445c86b69e6": "Key Vault Secrets User",
	"b86a8fe4-44ce-4948-aee5-eccb2c155cd7": "Key Vault Secrets Officer",
}

var (
	roleID   = regexp.MustCompile(`'([0-9a-f]{8}-[0-9a-f-]{27})'`)
	roleName = regexp.MustCompile(`"([A-Z][A-Za-z ]+(?:Owner|Contributor|Publisher|Receiver|Sender|User|Officer|Reader))"`)
)

// Both have the same resources, and give the same roles.
func TestResources(t *testing.T) {
	t.Parallel()
	check(t, checkResources,
		fault{"infra/bicep/modules/vault.bicep", "resource read 'Microsoft.Authorization/roleAssignments@2022-04-01'", "resource read 'Microsoft.Authorization/locks@2020-05-01'", "roleAssignments"},
		fault{"infra/terraform/storage.tf", `resource "azurerm_storage_queue" "this"`, `resource "azurerm_storage_table" "this"`, "azurerm_storage_table"},
		fault{"infra/terraform/alerts.tf", `resource "azurerm_monitor_metric_alert" "this"`, `data "azurerm_monitor_metric_alert" "this"`, "metricAlerts"},
		fault{"infra/terraform/eventhubs.tf", "Azure Event Hubs Data Receiver", "Azure Event Hubs Data Owner", "Azure Event Hubs Data Owner"},
		fault{"infra/bicep/modules/eventhubs.bicep", "a638d3c7-ab3a-418d-83e6-5f17a39d4fde", "f526a384-b230-433a-b45c-95f59c4a2dec", "f526a384"},
		fault{"infra/bicep/main.bicep", "module alerts 'modules/alerts.bicep'", "module alerts 'modules/alert.bicep'", "modules/alert.bicep"},
	)
}

var bicepModule = regexp.MustCompile(`(?m)^module \w+ '([^']+)' =`)

// bicepFiles are a file and its modules.
func (f tree) bicepFiles(p *problems, file string) []string {
	out := []string{file}
	for _, m := range bicepModule.FindAllStringSubmatch(f[file], -1) {
		name := path.Join(path.Dir(file), m[1])
		if f[name] == "" {
			p.add("%s: there is no module %s", file, m[1])
		}
		out = append(out, name)
	}
	return out
}

func checkResources(f tree) (p problems) {
	for _, c := range configurations {
		azure := map[string]int{}
		given := map[string]bool{}
		for _, file := range f.bicepFiles(&p, c.bicep) {
			for _, m := range bicepResource.FindAllStringSubmatch(f[file], -1) {
				if m[3] == "" {
					azure[m[2]]++
				}
			}
			for _, m := range roleID.FindAllStringSubmatch(f[file], -1) {
				if given[roles[m[1]]] = true; roles[m[1]] == "" {
					p.add("%s names the role %s, whose name is not known", file, m[1])
				}
			}
		}
		declared := map[string]int{}
		var named []string
		for _, file := range f.matching(c.terraform + "/*.tf") {
			for _, m := range roleName.FindAllStringSubmatch(f[file], -1) {
				if !slices.Contains(named, m[1]) {
					named = append(named, m[1])
				}
			}
		}
		for _, b := range f.terraform(&p, c.terraform) {
			if b.Type == "resource" {
				declared[b.Labels[0]]++
			}
		}
		p.same("the role", slices.Sorted(maps.Keys(given)), named, c.bicep, c.terraform)
		known := map[string]bool{}
		for name, n := range declared {
			types := counterparts[name]
			if types == nil {
				p.add("%s declares %s, which has no counterpart", c.terraform, name)
				continue
			}
			if azure[types[0]] != n {
				p.add("%s declares %d %s, and %s %d %s", c.terraform, n, name, c.bicep, azure[types[0]], types[0])
			}
			for _, t := range types {
				known[t] = true
			}
		}
		for t := range azure {
			if !known[t] {
				p.add("%s declares %s, and %s has nothing like it", c.bicep, t, c.terraform)
			}
		}
	}
	for _, file := range f.matching("infra/bicep/modules/*.bicep") {
		if !slices.Contains(f.bicepFiles(&p, "infra/bicep/main.bicep"), file) {
			p.add("%s is used by nobody", file)
		}
	}
	return p
}

// Terraform is formatted as terraform fmt does.
func TestTerraformIsFormatted(t *testing.T) {
	t.Parallel()
	check(t, func(f tree) (p problems) {
		for _, pattern := range []string{"infra/terraform/*", "infra/terraform/feeds/*/*"} {
			for _, name := range f.matching(pattern) {
				if text := []byte(f[name]); !bytes.Equal(hclwrite.Format(text), text) {
					p.add("%s is not formatted: terraform fmt -recursive infra/terraform", name)
				}
			}
		}
		return p
	},
		fault{"infra/terraform/app.tf", "  os_type             = ", "  os_type = ", "app.tf"},
		fault{"infra/terraform/terraform.tfvars.sample", "  tokens  = ", "  tokens = ", "tfvars.sample"},
		fault{"infra/terraform/feeds/entra/main.tf", "  name                           =", "  name =", "entra/main.tf"},
	)
}

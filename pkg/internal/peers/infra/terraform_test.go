//go:build peers

package infra

import (
	"fmt"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// newer are arguments that the schema, which is of 4.73.0, does not know yet, and the one that each replaces. Both names stand
// in website/docs/5.0-upgrade-guide.html.markdown of hashicorp/terraform-provider-azurerm: the old one is removed in 5.0, the
// new one is there from 4.81.
var newer = map[string]map[string]string{
	"azurerm_application_insights": {"local_authentication_enabled": "local_authentication_disabled"},
	"azurerm_cosmosdb_account":     {"local_authentication_enabled": "local_authentication_disabled"},
}

// removed are arguments and blocks that 4.73.0 has and 5.0 has no longer, of the types that are used here (the same guide).
var removed = []string{
	"azurerm.skip_provider_registration", "azurerm.enhanced_validation",
	"azurerm_application_insights.local_authentication_disabled", "azurerm_application_insights.disable_ip_masking",
	"azurerm_application_insights.daily_data_cap_notifications_disabled",
	"azurerm_cosmosdb_account.local_authentication_disabled", "azurerm_cosmosdb_account.managed_hsm_key_id",
	"azurerm_eventhub.namespace_name", "azurerm_eventhub.resource_group_name",
	"azurerm_key_vault.contact", "azurerm_key_vault.enable_rbac_authorization",
	"azurerm_log_analytics_workspace.local_authentication_disabled",
	"azurerm_monitor_aad_diagnostic_setting.enabled_log.retention_policy",
	"azurerm_monitor_diagnostic_setting.metric", "azurerm_monitor_diagnostic_setting.enabled_log.retention_policy",
	"azurerm_storage_account.queue_properties", "azurerm_storage_account.static_website",
	"azurerm_storage_container.storage_account_name", "azurerm_storage_container.resource_manager_id",
	"azurerm_storage_queue.storage_account_name", "azurerm_storage_queue.resource_manager_id",
}

// Arguments of Terraform itself, in any resource and data source (developer.hashicorp.com/terraform/language/meta-arguments).
var meta = []string{"count", "for_each", "depends_on", "provider"}

// Every type, argument and block of the Terraform files is one of the provider's, what it requires is there, and every
// reference leads to something. Only azurerm is used: another provider would be a finding.
func TestTerraform(t *testing.T) {
	t.Parallel()
	files := read(t, ".tf")
	checked := 0
	for _, p := range checkTerraform(files, &checked) {
		t.Error(p)
	}
	if checked < 200 {
		t.Errorf("only %d arguments were looked at", checked)
	}
	for _, f := range []fault{
		{"infra/terraform/storage.tf", "shared_access_key_enabled ", "shared_access_keys_enabled ", "azurerm_storage_account has no shared_access_keys_enabled"},
		{"infra/terraform/storage.tf", "days = 7", "day = 7", "azurerm_storage_account.blob_properties.delete_retention_policy has no day"},
		{"infra/terraform/storage.tf", `"azurerm_storage_queue" "this"`, `"azurerm_storage_queues" "this"`, "azurerm has no resource azurerm_storage_queues"},
		{"infra/terraform/storage.tf", "  account_tier                    = \"Standard\"\n", "", "azurerm_storage_account needs account_tier"},
		{"infra/terraform/cosmos.tf", "  consistency_policy {\n    consistency_level = \"Session\"\n  }\n", "", "azurerm_cosmosdb_account needs consistency_policy"},
		{"infra/terraform/cosmos.tf", "  backup {", "  backups {", "azurerm_cosmosdb_account has no block backups"},
		{"infra/terraform/cosmos.tf", "  backup {", "  backup {\n    type = \"Periodic\"\n  }\n  backup {", "azurerm_cosmosdb_account takes one backup"},
		{"infra/terraform/cosmos.tf", "path = excluded_path.value", "paths = excluded_path.value", "excluded_path has no paths"},
		{"infra/terraform/cosmos.tf", `partition_key_paths   = [each.value.partitionKey]`, `partition_key_paths   = "/tenant"`, "partition_key_paths is no list"},
		{"infra/terraform/app.tf", "  identity {\n    type         = \"UserAssigned\"\n    identity_ids = [azurerm_user_assigned_identity.app.id]\n  }", "  identity = []", "identity is a block"},
		{"infra/terraform/monitoring.tf", "local_authentication_enabled = false", "local_authentication_disabled = true", "azurerm_log_analytics_workspace.local_authentication_disabled is removed in 5.0"},
		{"infra/terraform/vault.tf", "  enabled_metric {", "  metric {", "azurerm_monitor_diagnostic_setting.metric is removed in 5.0"},
		{"infra/terraform/storage.tf", `this["config"].id`, `this["config"].resource_manager_id`, "azurerm_storage_container.resource_manager_id is removed in 5.0"},
		{"infra/terraform/main.tf", `data "azurerm_resource_group" "this"`, `data "azurerm_resource_groups" "this"`, "azurerm has no data source azurerm_resource_groups"},
		{"infra/terraform/versions.tf", "data_plane_available", "data_plane", "features.storage has no data_plane"},
		{"infra/terraform/outputs.tf", "this.default_hostname", "this.default_host_name", "azurerm_function_app_flex_consumption has no default_host_name"},
		{"infra/terraform/outputs.tf", "diagnostics[0].id", "diagnostics.id", "diagnostics has several instances and no index"},
		{"infra/terraform/outputs.tf", "azurerm_key_vault.this.", "azurerm_key_vault.that.", "there is no azurerm_key_vault.that"},
		{"infra/terraform/app.tf", `this["package"].name`, `this["package"].title`, "azurerm_storage_container has no title"},
		{"infra/terraform/app.tf", "var.max_instances", "var.instances", "there is no var.instances"},
		{"infra/terraform/app.tf", "var.max_instances", "40", "var.max_instances is used by nobody"},
		{"infra/terraform/main.tf", "  event_hubs_host = ", "  hubs_host = ", "there is no local.event_hubs_host"},
		{"infra/terraform/feeds/entra/main.tf", "category = enabled_log.value", "category = enabled_logs.value", "there is no enabled_logs"},
		{"infra/terraform/feeds/export/main.tf", "table_names ", "tables ", "azurerm_log_analytics_data_export_rule needs table_names"},
		{"infra/terraform/vault.tf", `"azurerm_key_vault" "this"`, `"random_id" "this"`, "random_id is of no provider whose schema is known"},
	} {
		f.found(t, checkTerraform(f.in(t, files), new(int)))
	}
}

// What the schema has learnt in the meantime needs no exception, and what is removed was there.
func TestNewerAndRemovedNames(t *testing.T) {
	t.Parallel()
	for _, name := range removed {
		steps := strings.Split(name, ".")
		folder := strings.ReplaceAll(strings.TrimPrefix(steps[0], "azurerm_"), "_", "-")
		if steps[0] == "azurerm" {
			folder = "provider"
		}
		s, err := load("lib/" + folder)
		if err != nil {
			t.Fatal(err)
		}
		at, last := s.root(), len(steps)-1
		for _, step := range steps[1:last] {
			at = s.interfaces[at[step].nested]
		}
		if _, known := at[steps[last]]; !known && !s.readable[camel(steps[last])] {
			t.Errorf("4.73.0 has no %s that could be removed", name)
		}
	}
	for name, arguments := range newer {
		s, err := load("lib/" + strings.ReplaceAll(strings.TrimPrefix(name, "azurerm_"), "_", "-"))
		if err != nil {
			t.Fatal(err)
		}
		for is, was := range arguments {
			if _, known := s.root()[is]; known {
				t.Errorf("the schema knows %s of %s: the exception is not needed", is, name)
			}
			if _, known := s.root()[was]; !known {
				t.Errorf("the schema does not know %s of %s, which %s is to replace", was, name, is)
			}
		}
	}
}

// checkTerraform says what is wrong with each folder of files, and counts the arguments that it looked at.
func checkTerraform(files map[string]string, checked *int) []string {
	folders := map[string][]*hclsyntax.Body{}
	var out []string
	for name, text := range files {
		parsed, problems := hclsyntax.ParseConfig([]byte(text), name, hcl.InitialPos)
		if problems.HasErrors() {
			out = append(out, problems.Error())
			continue
		}
		body, _ := parsed.Body.(*hclsyntax.Body)
		folders[path.Dir(name)] = append(folders[path.Dir(name)], body)
	}
	for _, bodies := range folders {
		c := &configuration{declared: map[string]*declaration{}, checked: checked}
		c.declare(bodies)
		for _, b := range bodies {
			for _, block := range b.Blocks {
				c.top(block)
			}
		}
		for name, d := range c.declared {
			if !d.used && (strings.HasPrefix(name, "var.") || strings.HasPrefix(name, "local.") || strings.HasPrefix(name, "data.")) {
				c.add(d.at, "%s is used by nobody", name)
			}
		}
		out = append(out, c.problems...)
	}
	slices.Sort(out)
	return out
}

// configuration is a folder of Terraform.
type configuration struct {
	declared map[string]*declaration // by what refers to it: var.name, local.locals, data.type.name, type.name
	inside   string                  // the variable that is looked at: to check its own value is not to use it
	checked  *int
	problems []string
}

type declaration struct {
	at      hcl.Range
	schema  *schema // of a resource and a data source
	kind    string
	several bool // it has count or for_each
	used    bool
}

func (c *configuration) add(at hcl.Range, format string, args ...any) {
	c.problems = append(c.problems, fmt.Sprintf("%s:%d: %s", at.Filename, at.Start.Line, fmt.Sprintf(format, args...)))
}

func (c *configuration) declare(bodies []*hclsyntax.Body) {
	for _, body := range bodies {
		for _, b := range body.Blocks {
			d := &declaration{at: b.DefRange()}
			switch b.Type {
			case "variable":
				c.declared["var."+b.Labels[0]] = d
			case "locals":
				for name, a := range b.Body.Attributes {
					c.declared["local."+name] = &declaration{at: a.NameRange}
				}
			case "resource", "data":
				d.kind = b.Labels[0]
				d.several = b.Body.Attributes["count"] != nil || b.Body.Attributes["for_each"] != nil
				name := strings.Join(b.Labels, ".")
				what, folder := "resource", ""
				if b.Type == "data" {
					name, what, folder = "data."+name, "data source", "data-azurerm-"
				}
				c.declared[name] = d
				rest, ok := strings.CutPrefix(d.kind, "azurerm_")
				if !ok {
					c.add(d.at, "%s is of no provider whose schema is known", d.kind)
					continue
				}
				s, err := load("lib/" + folder + strings.ReplaceAll(rest, "_", "-"))
				if err != nil || s.kind != d.kind {
					c.add(d.at, "azurerm has no %s %s", what, d.kind)
					continue
				}
				d.schema = s
			}
		}
	}
}

// top checks a block that stands in a file itself.
func (c *configuration) top(b *hclsyntax.Block) {
	c.inside = ""
	if b.Type == "variable" {
		c.inside = "var." + b.Labels[0]
	}
	c.references(b.Body, nil)
	switch b.Type {
	case "resource", "data":
		name := strings.Join(b.Labels, ".")
		if b.Type == "data" {
			name = "data." + name
		}
		if d := c.declared[name]; d.schema != nil {
			c.body(d.schema, d.schema.root(), b.Body, b.DefRange(), b.Labels[0], true)
		}
	case "provider":
		s, err := load("lib/provider")
		if err != nil || b.Labels[0] != "azurerm" {
			c.add(b.DefRange(), "the provider %s is not known: %v", b.Labels[0], err)
			return
		}
		c.body(s, s.root(), b.Body, b.DefRange(), "azurerm", false)
	}
}

// body checks the arguments and blocks of a body.
func (c *configuration) body(s *schema, want fields, body *hclsyntax.Body, at hcl.Range, where string, root bool) {
	have := map[string]int{}
	for name, a := range body.Attributes {
		*c.checked++
		if have[name]++; root && slices.Contains(meta, name) {
			continue
		}
		f, ok := want[name]
		switch {
		case slices.Contains(removed, where+"."+name):
			c.add(a.NameRange, "%s.%s is removed in 5.0", where, name)
		case !ok && newer[where][name] != "":
		case !ok:
			c.add(a.NameRange, "%s has no %s", where, name)
		case f.block:
			c.add(a.NameRange, "%s.%s is a block", where, name)
		default:
			if problem := f.mismatch(a.Expr); problem != "" {
				c.add(a.NameRange, "%s.%s %s", where, name, problem)
			}
		}
	}
	for _, b := range body.Blocks {
		*c.checked++
		name, inner, dynamic := b.Type, b.Body, b.Type == "dynamic"
		if root && name == "lifecycle" {
			continue
		}
		if dynamic {
			name = b.Labels[0]
			if inner = c.content(b, where); inner == nil {
				continue
			}
		}
		f, ok := want[name]
		if !ok || f.nested == "" {
			c.add(b.DefRange(), "%s has no block %s", where, name)
			continue
		}
		if slices.Contains(removed, where+"."+name) {
			c.add(b.DefRange(), "%s.%s is removed in 5.0", where, name)
		}
		if have[name]++; have[name] > 1 && !f.list {
			c.add(b.DefRange(), "%s takes one %s", where, name)
		}
		c.body(s, s.interfaces[f.nested], inner, b.DefRange(), where+"."+name, false)
	}
	for name, f := range want {
		if f.required && have[name] == 0 {
			c.add(at, "%s needs %s", where, name)
		}
	}
}

// content returns what a dynamic block repeats.
func (c *configuration) content(b *hclsyntax.Block, where string) *hclsyntax.Body {
	for name := range b.Body.Attributes {
		if !slices.Contains([]string{"for_each", "iterator", "labels"}, name) {
			c.add(b.DefRange(), "%s: a dynamic block has no %s", where, name)
		}
	}
	if b.Body.Attributes["for_each"] == nil || len(b.Body.Blocks) != 1 || b.Body.Blocks[0].Type != "content" {
		c.add(b.DefRange(), "%s: a dynamic block needs for_each and content", where)
		return nil
	}
	return b.Body.Blocks[0].Body
}

// references checks what the expressions of a body refer to. iterators are the dynamic blocks around it.
func (c *configuration) references(body *hclsyntax.Body, iterators []string) {
	for name, a := range body.Attributes {
		if c.inside != "" && name == "type" {
			continue // string and the like are no references
		}
		if name == "ignore_changes" {
			continue
		}
		for _, t := range a.Expr.Variables() {
			c.reference(t, iterators, name == "depends_on")
		}
		// What stands behind a computed index is no part of these.
		_ = hclsyntax.VisitAll(a.Expr, func(n hclsyntax.Node) hcl.Diagnostics {
			r, ok := n.(*hclsyntax.RelativeTraversalExpr)
			if !ok {
				return nil
			}
			i, ok := r.Source.(*hclsyntax.IndexExpr)
			if !ok {
				return nil
			}
			if of, ok := i.Collection.(*hclsyntax.ScopeTraversalExpr); ok {
				if d, _ := c.find(of.Traversal); d != nil && d.schema != nil {
					c.attribute(d, r.Traversal)
				}
			}
			return nil
		})
	}
	for _, b := range body.Blocks {
		inner := iterators
		if b.Type == "dynamic" {
			inner = append(slices.Clone(iterators), b.Labels[0])
		}
		c.references(b.Body, inner)
	}
}

// find returns the declaration that a traversal leads to, and what is left of it behind that.
func (c *configuration) find(t hcl.Traversal) (d *declaration, rest hcl.Traversal) {
	parts := []string{t.RootName()}
	for i, step := range t[1:] {
		a, ok := step.(hcl.TraverseAttr)
		if !ok {
			return nil, nil
		}
		parts = append(parts, a.Name)
		if d := c.declared[strings.Join(parts, ".")]; d != nil {
			return d, t[i+2:]
		}
	}
	return nil, nil
}

func (c *configuration) reference(t hcl.Traversal, iterators []string, whole bool) {
	switch root := t.RootName(); {
	case slices.Contains([]string{"each", "count", "path", "self", "terraform"}, root) || slices.Contains(iterators, root):
		return
	}
	d, rest := c.find(t)
	if d == nil {
		name := t.RootName()
		for _, step := range t[1:] {
			if a, ok := step.(hcl.TraverseAttr); ok && strings.Count(name, ".") < 1+strings.Count(name, "data.") {
				name += "." + a.Name
			}
		}
		c.add(t.SourceRange(), "there is no %s", name)
		return
	}
	if d != c.declared[c.inside] {
		d.used = true
	}
	if d.schema == nil || whole {
		return
	}
	_, index := first(rest).(hcl.TraverseIndex)
	switch {
	case index && !d.several:
		c.add(t.SourceRange(), "%s has one instance and an index", d.kind)
	case index:
		rest = rest[1:]
	case d.several && len(rest) > 0:
		c.add(t.SourceRange(), "%s has several instances and no index", strings.Trim(fmt.Sprint(t.RootName(), ".", nameOf(t)), "."))
		return
	}
	c.attribute(d, rest)
}

func first(t hcl.Traversal) hcl.Traverser {
	if len(t) == 0 {
		return nil
	}
	return t[0]
}

func nameOf(t hcl.Traversal) string {
	if a, ok := t[1].(hcl.TraverseAttr); ok {
		return a.Name
	}
	return ""
}

// attribute checks that a resource has what is read of it.
func (c *configuration) attribute(d *declaration, rest hcl.Traversal) {
	if a, ok := first(rest).(hcl.TraverseAttr); ok && slices.Contains(removed, d.kind+"."+a.Name) {
		c.add(rest.SourceRange(), "%s.%s is removed in 5.0", d.kind, a.Name)
	} else if ok && !d.schema.readable[camel(a.Name)] && newer[d.kind][a.Name] == "" {
		c.add(rest.SourceRange(), "%s has no %s", d.kind, a.Name)
	}
}

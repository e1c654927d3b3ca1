package infra

import (
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/hashicorp/hcl/v2/hclsyntax"

	"github.com/assay-sec/assay/pkg/store/cosmos"
)

// binding is what a trigger says of names.
type binding struct {
	Type           string `json:"type"`
	Direction      string `json:"direction"`
	EventHub       string `json:"eventHubName"`
	Connection     string `json:"connection"`
	ConsumerGroup  string `json:"consumerGroup"`
	Database       string `json:"databaseName"`
	Container      string `json:"containerName"`
	LeaseContainer string `json:"leaseContainerName"`
	Queue          string `json:"queueName"`
}

// triggers returns the trigger of each function.
func (f tree) triggers(p *problems) map[string]binding {
	out := map[string]binding{}
	for _, name := range f.matching("functions/*/function.json") {
		var file struct{ Bindings []binding }
		if err := json.Unmarshal([]byte(f[name]), &file); err != nil {
			p.add("%s: %v", name, err)
			continue
		}
		for _, b := range file.Bindings {
			if strings.HasSuffix(b.Type, "Trigger") {
				out[path.Base(path.Dir(name))] = b
			}
		}
	}
	return out
}

// setting is the name of an app setting between percent signs, or the text itself and false.
func setting(text string) (string, bool) {
	inner, ok := strings.CutPrefix(text, "%")
	if !ok {
		return text, false
	}
	return strings.TrimSuffix(inner, "%"), true
}

// notDeployed are settings that the code knows and no deployment sets, and why.
var notDeployed = map[string]string{
	"AlertStore":            "the connection string of an emulator",
	"ASSAY_COSMOS_EMULATOR": "for an emulator",
	"ASSAY_REPLAY_FILES":    "for a machine of one's own",
	"ASSAY_KEYS":            "for other clouds; the default is the public one",
	"ASSAY_BLOBS":           "the connection string of an emulator",
	"ASSAY_EVENTHUBS":       "the connection string of an emulator, for the command line",
	"ASSAY_DECODER":         "the way out should the scanner be in doubt; the default is right",
}

// platform are settings that the Functions host and App Service read, and not the code.
var platform = []string{
	"AzureWebJobsStorage", // in Terraform alone, where the provider would write a connection string
	"AzureWebJobsStorage__accountName", "AzureWebJobsStorage__credential", "AzureWebJobsStorage__clientId",
	"APPLICATIONINSIGHTS_CONNECTION_STRING", "APPLICATIONINSIGHTS_AUTHENTICATION_STRING", "WEBSITE_AUTH_AAD_ALLOWED_TENANTS",
}

// settingName is what an app setting of ours looks like in the code. Those of OpenTelemetry (OTEL_…) are the
// deployer's to add, those of App Service (WEBSITE_…) are written by it.
var settingName = regexp.MustCompile(`^(ASSAY_[A-Z_]+|AlertStore(__\w+)?|APPLICATIONINSIGHTS_[A-Z_]+)$`)

// parsed holds the strings of a file of code, by its text: most trees differ in one file.
var parsed sync.Map

// literals returns every string that stands in the code of the folders, by file.
func (f tree) literals(p *problems, within ...string) map[string][]string {
	out := map[string][]string{}
	for name, text := range f {
		if path.Ext(name) != ".go" || !slices.ContainsFunc(within, func(dir string) bool { return strings.HasPrefix(name, dir) }) {
			continue
		}
		if known, ok := parsed.Load(text); ok {
			out[name], _ = known.([]string)
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, text, 0)
		if err != nil {
			p.add("%v", err)
			continue
		}
		ast.Inspect(file, func(n ast.Node) bool {
			if l, ok := n.(*ast.BasicLit); ok && l.Kind == token.STRING {
				if s, err := strconv.Unquote(l.Value); err == nil {
					out[name] = append(out[name], s)
				}
			}
			return true
		})
		parsed.Store(text, out[name])
	}
	return out
}

// code is the part of the tree that runs in the function app.
func (f tree) code(p *problems) map[string][]string {
	all := f.literals(p, "functions/", "pkg/")
	maps.DeleteFunc(all, func(name string, _ []string) bool {
		return strings.HasPrefix(name, "pkg/cli/") || strings.HasPrefix(name, "pkg/devhost/") ||
			strings.HasPrefix(name, "pkg/bench/") || strings.HasPrefix(name, "pkg/sample/") || strings.HasPrefix(name, "pkg/internal/")
	})
	return all
}

// settings are the values of app settings in one language, as they are written there.
type settings map[string]string

var bicepSetting = regexp.MustCompile(`(?m)^  (\w+): (.+)$`)

func (f tree) bicepSettings(p *problems) settings {
	const file = "infra/bicep/modules/app.bicep"
	out := settings{}
	_, rest, found := strings.Cut(f[file], "var settings = {\n")
	body, _, closed := strings.Cut(rest, "\n}\n")
	if !found || !closed {
		p.add("%s has no settings", file)
	}
	for _, m := range bicepSetting.FindAllStringSubmatch(body+"\n", -1) {
		out[m[1]] = m[2]
	}
	if strings.Contains(f[file], "WEBSITE_AUTH_AAD_ALLOWED_TENANTS") {
		out["WEBSITE_AUTH_AAD_ALLOWED_TENANTS"] = ""
	}
	return out
}

func (f tree) terraformSettings(p *problems) settings {
	out := settings{}
	for _, b := range f.terraform(p, "infra/terraform") {
		switch {
		case b.Type == "locals" && b.Body.Attributes["settings"] != nil:
			object, ok := b.Body.Attributes["settings"].Expr.(*hclsyntax.ObjectConsExpr)
			if !ok {
				p.add("the settings of Terraform are no object")
				continue
			}
			for _, item := range object.Items {
				out[f.text(item.KeyExpr)] = f.text(item.ValueExpr)
			}
			if strings.Contains(f.text(b.Body.Attributes["tenant_settings"].Expr), "WEBSITE_AUTH_AAD_ALLOWED_TENANTS") {
				out["WEBSITE_AUTH_AAD_ALLOWED_TENANTS"] = ""
			}
		case b.Type == "resource" && b.Labels[0] == "azurerm_function_app_flex_consumption":
			for _, inner := range b.Body.Blocks {
				if a := inner.Body.Attributes["application_insights_connection_string"]; a != nil {
					out["APPLICATIONINSIGHTS_CONNECTION_STRING"] = f.text(a.Expr)
				}
			}
		}
	}
	return out
}

// Every setting that the code or a binding reads is set by both, and none that nobody reads.
func TestSettings(t *testing.T) {
	t.Parallel()
	check(t, checkSettings,
		fault{"infra/bicep/modules/app.bicep", "ASSAY_STORE:", "ASSAY_STOER:", "ASSAY_STORE is read by the code"},
		fault{"infra/terraform/app.tf", "ASSAY_AUTH     =", "ASSAY_AUHT     =", "ASSAY_AUTH is read by the code"},
		fault{"infra/terraform/app.tf", "ASSAY_AUTH     =", "ASSAY_AUHT     =", "ASSAY_AUHT is set by Terraform and read by nobody"},
		fault{"functions/signin/function.json", `"SigninEvents"`, `"SignInEvents"`, "SignInEvents__credential"},
		fault{"functions/tokens/function.json", `"TokenEvents"`, `"MailboxEvents"`, "MailboxEvents is shared by"},
		fault{"functions/tokens/function.json", "%TOKEN_EVENTHUB%", "%TOKENS_EVENTHUB%", "TOKENS_EVENTHUB"},
		fault{"infra/terraform/app.tf", "= local.hub_of.mailbox", "= local.hub_of.signin", "MAILBOX_EVENTHUB is local.hub_of.signin"},
		fault{"infra/bicep/modules/app.bicep", "TOKEN_CONSUMER_GROUP: consumerGroup", "TOKEN_CONSUMER_GROUP: 'replay'", "TOKEN_CONSUMER_GROUP is 'replay'"},
		fault{"pkg/app/backend.go", `"ASSAY_DATABASE"`, `"ASSAY_DB"`, "ASSAY_DB is read by the code"},
		fault{namesFile, `"tokens": "tokens"`, `"tokens": "token"`, "token by"},
	)
}

func checkSettings(f tree) (p problems) {
	names := f.names(&p)
	bicep, terraform := f.bicepSettings(&p), f.terraformSettings(&p)
	known := map[string]bool{}
	for _, s := range platform {
		known[s] = true
	}
	need := func(name, by string) {
		if known[name] = true; notDeployed[name] != "" {
			return
		}
		if _, ok := bicep[name]; !ok {
			p.add("%s is read by %s and not set by Bicep", name, by)
		}
		if _, ok := terraform[name]; !ok {
			p.add("%s is read by %s and not set by Terraform", name, by)
		}
	}
	for _, texts := range f.code(&p) {
		for _, s := range texts {
			if settingName.MatchString(s) {
				need(s, "the code")
			}
		}
	}
	var sample struct{ Values map[string]string }
	if err := json.Unmarshal([]byte(f["local.settings.sample.json"]), &sample); err != nil {
		p.add("local.settings.sample.json: %v", err)
	}
	prefixes := map[string]string{}
	for function, b := range f.triggers(&p) {
		by := "functions/" + function
		for _, text := range []string{b.EventHub, b.ConsumerGroup, b.Database, b.Container, b.Queue} {
			if name, ok := setting(text); ok {
				need(name, by)
			}
		}
		switch b.Type {
		case "eventHubTrigger":
			if other := prefixes[b.Connection]; other != "" {
				p.add("the connection %s is shared by %s and %s", b.Connection, function, other)
			}
			prefixes[b.Connection] = function
			for _, end := range []string{"__fullyQualifiedNamespace", "__credential", "__clientId"} {
				need(b.Connection+end, by)
			}
			hub, _ := setting(b.EventHub)
			group, _ := setting(b.ConsumerGroup)
			for _, want := range []struct{ name, bicep, terraform string }{
				{hub, "hubOf." + function, "local.hub_of." + function},
				{group, "consumerGroup", "local.names.consumerGroups.live"},
				{b.Connection + "__fullyQualifiedNamespace", "eventHubsHost", "local.event_hubs_host"},
			} {
				if v := bicep[want.name]; v != want.bicep {
					p.add("%s is %s in Bicep, but is to be %s", want.name, v, want.bicep)
				}
				if v := terraform[want.name]; v != want.terraform {
					p.add("%s is %s in Terraform, but is to be %s", want.name, v, want.terraform)
				}
			}
			if names.Functions[function] != sample.Values[hub] || names.Functions[function] == "" {
				p.add("the hub of %s is %s by %s and %s in the sample of settings", function, names.Functions[function], namesFile, sample.Values[hub])
			}
			if names.ConsumerGroups["live"] != sample.Values[group] {
				p.add("the consumer group of %s is %s by %s and %s in the sample of settings", function, names.ConsumerGroups["live"], namesFile, sample.Values[group])
			}
		case "cosmosDBTrigger":
			for _, end := range []string{"__accountEndpoint", "__credential", "__clientId"} {
				need(b.Connection+end, by)
			}
		}
	}
	for function := range names.Functions {
		if f.triggers(&p)[function].Type != "eventHubTrigger" {
			p.add("%s: %s is no function that reads a hub", namesFile, function)
		}
	}
	for name := range bicep {
		if !known[name] {
			p.add("%s is set by Bicep and read by nobody", name)
		}
	}
	for name := range terraform {
		if !known[name] {
			p.add("%s is set by Terraform and read by nobody", name)
		}
	}
	return p
}

// evidence are the containers from which nothing is ever deleted: documents expire.
var evidence = []string{"alerts", "setaside"}

// Containers, their partition keys, queues and the database are what the code and the bindings use, and each role may do
// just what the code does.
func TestContainers(t *testing.T) {
	t.Parallel()
	check(t, checkContainers,
		fault{namesFile, `"name": "setaside"`, `"name": "deadletters"`, "setaside"},
		fault{namesFile, `"name": "state", "partitionKey": "/id"`, `"name": "state", "partitionKey": "/pk"`, "partition key of state"},
		fault{namesFile, `"name": "leases", "partitionKey": "/id", "mayDelete": true`, `"name": "leases", "partitionKey": "/id", "mayDelete": false`, "documents of leases are deleted"},
		fault{namesFile, `"name": "alerts", "partitionKey": "/pk", "mayDelete": false`, `"name": "alerts", "partitionKey": "/pk", "mayDelete": true`, "nothing deletes from alerts"},
		fault{"pkg/store/cosmos/record.go", "c.ExecuteTransactionalBatch(", "c.DeleteItem(", "record.go deletes"},
		fault{"functions/notify/function.json", `"containerName": "alerts"`, `"containerName": "alert"`, "container alert"},
		fault{namesFile, `"database": "assay"`, `"database": "sentinel"`, "database"},
		fault{namesFile, `"/finding/?"`, `"/findings/?"`, "findings"},
		fault{"infra/bicep/modules/cosmos.bicep", "items/upsert'\n          '${data}/executeQuery", "items/upsert'\n          '${data}/items/delete'\n          '${data}/executeQuery", "data action"},
		fault{"infra/terraform/cosmos.tf", `"${local.data}/readChangeFeed",`, "", "readChangeFeed"},
	)
}

var (
	dataAction = regexp.MustCompile(`[/}](readMetadata|items/\w+|executeQuery|readChangeFeed)['"]`)
	bicepRole  = regexp.MustCompile(`(?s)\nresource (keeper|worker) .*?\n}\n`)
)

func checkContainers(f tree) (p problems) {
	names := f.names(&p)
	need := cosmos.Containers()
	queues := []string{}
	for function, b := range f.triggers(&p) {
		switch b.Type {
		case "cosmosDBTrigger":
			need[b.LeaseContainer] = "/id" // what the trigger asks for
			if _, ok := need[b.Container]; !ok {
				p.add("%s listens to the container %s, which nobody writes", function, b.Container)
			}
		case "queueTrigger":
			queue, named := setting(b.Queue)
			if queues = append(queues, queue); !named && !slices.Contains(names.Queues, queue) {
				p.add("%s listens to the queue %s, which is not made", function, queue)
			}
		}
	}
	for _, queue := range names.Queues {
		if len(queues) > 0 && !slices.Contains(queues, queue) {
			p.add("the queue %s is made, and no function listens to it", queue)
		}
	}
	for name, text := range f {
		if strings.HasPrefix(name, "pkg/store/cosmos/") && name != "pkg/store/cosmos/state.go" && strings.Contains(text, "DeleteItem(") {
			p.add("%s deletes, which only the store of small documents may", name)
		}
	}
	have := map[string]bool{}
	for _, c := range names.Containers {
		have[c.Name] = true
		key, ok := need[c.Name]
		switch {
		case !ok:
			p.add("the container %s is made, and nobody uses it", c.Name)
		case key != c.PartitionKey:
			p.add("the partition key of %s is %s, but is to be %s", c.Name, c.PartitionKey, key)
		}
		switch {
		case slices.Contains(evidence, c.Name) && c.MayDelete:
			p.add("nothing deletes from %s, and its role can", c.Name)
		case !slices.Contains(evidence, c.Name) && !c.MayDelete:
			p.add("documents of %s are deleted, and its role cannot", c.Name)
		}
		for _, path := range c.NotIndexed {
			field := strings.Split(strings.Trim(path, "/?*"), "/")[0]
			if !f.hasField(field) {
				p.add("%s does not index %s, which is a field of no document", c.Name, field)
			}
		}
	}
	for name := range need {
		if !have[name] {
			p.add("the container %s is not made", name)
		}
	}
	if !strings.Contains(f["pkg/app/backend.go"], `defaultDatabase    = "`+names.Database+`"`) {
		p.add("the database is %s by %s, and not by pkg/app", names.Database, namesFile)
	}
	p = append(p, f.dataActions()...)
	return p
}

// hasField tells whether a document that the code keeps has the JSON field.
func (f tree) hasField(name string) bool {
	for file, text := range f {
		if (strings.HasPrefix(file, "pkg/store/cosmos/") || strings.HasPrefix(file, "pkg/alert/")) &&
			(strings.Contains(text, "`json:\""+name+"\"") || strings.Contains(text, "`json:\""+name+",omitempty\"")) {
			return true
		}
	}
	return false
}

// dataActions compares the two roles of Cosmos DB. They differ in one action.
func (f tree) dataActions() (p problems) {
	actions := func(text string) []string {
		var out []string
		for _, m := range dataAction.FindAllStringSubmatch(text, -1) {
			out = append(out, m[1])
		}
		slices.Sort(out)
		return out
	}
	bicep := map[string][]string{}
	for _, role := range bicepRole.FindAllStringSubmatch(f["infra/bicep/modules/cosmos.bicep"], -1) {
		bicep[role[1]] = append(actions(role[0]), "readMetadata")
	}
	keeper := actions(f["infra/terraform/cosmos.tf"])
	keeper = slices.DeleteFunc(keeper, func(a string) bool { return a == "items/delete" })
	p.same("data action of the keeper", bicep["keeper"], keeper, "Bicep", "Terraform")
	p.same("data action of the worker", bicep["worker"], append(keeper, "items/delete"), "Bicep", "Terraform")
	return p
}

// hostLines are parts of lines that the Functions host writes (azure-functions-host: HttpFunctionInvocationDispatcher,
// WorkerProcess; azure-webjobs-sdk: QueueProcessor).
var hostLines = []string{"worker restart retry count", "exited with code", "Moving message to queue"}

var (
	quoted   = regexp.MustCompile(`has '([^']+)'`)
	lineName = regexp.MustCompile(`(?:line|parse_json\(Message\))\.(\w+)`)
)

// The alerts on Assay itself look for lines and fields that the code writes.
func TestAlertQueries(t *testing.T) {
	t.Parallel()
	check(t, checkAlertQueries,
		fault{"pkg/app/service.go", `"batch processed"`, `"batch done"`, "batch processed"},
		fault{"pkg/app/service.go", `"lagSeconds"`, `"lag"`, "lagSeconds"},
		fault{"pkg/notify/dispatcher.go", "deliveries were given up", "deliveries are dead", "deliveries were given up"},
		fault{namesFile, "line.setAside", "line.setaside", "setaside"},
		fault{namesFile, `"window": "PT15M"`, `"window": "PT16M"`, "PT16M"},
	)
}

func checkAlertQueries(f tree) (p problems) {
	var texts, fields []string
	for name, t := range f.code(&p) {
		if texts = append(texts, t...); strings.HasPrefix(name, "pkg/app/") { // which writes the lines that are counted
			fields = append(fields, t...)
		}
	}
	// What the service accepts ("Create or edit a log search alert rule", Microsoft Learn).
	times := []string{"PT5M", "PT10M", "PT15M", "PT30M", "PT1H"}
	for _, a := range f.names(&p).LogAlerts {
		query := strings.Join(a.Query, "\n")
		for _, m := range quoted.FindAllStringSubmatch(query, -1) {
			if !slices.ContainsFunc(texts, func(s string) bool { return strings.Contains(s, m[1]) }) && !slices.Contains(hostLines, m[1]) {
				p.add("the alert %s looks for %q, which nobody writes", a.Name, m[1])
			}
		}
		for _, m := range lineName.FindAllStringSubmatch(query, -1) {
			if !slices.Contains(fields, m[1]) {
				p.add("the alert %s looks for the field %s, which nobody writes", a.Name, m[1])
			}
		}
		if !slices.Contains(times, a.Frequency) || !slices.Contains(times, a.Window) {
			p.add("the alert %s runs every %s on %s, which the service does not accept", a.Name, a.Frequency, a.Window)
		}
		if strings.Count(query, "(") != strings.Count(query, ")") || !strings.Contains(query, "AppRoleName =~ '{app}'") {
			p.add("the query of the alert %s is not whole, or asks about all apps", a.Name)
		}
		if a.Column != "" && !strings.Contains(query, a.Column+" =") {
			p.add("the query of the alert %s has no column %s", a.Name, a.Column)
		}
	}
	return p
}

// The host's routes and executable are what the code serves.
func TestHostFile(t *testing.T) {
	t.Parallel()
	check(t, checkHostFile,
		fault{"host.json", `"routePrefix": "api"`, `"routePrefix": "v1"`, "route prefix"},
		fault{"host.json", `"serve"`, `"run"`, "argument"},
		fault{"host.json", `"defaultExecutablePath": "assay"`, `"defaultExecutablePath": "handler"`, "executable"},
	)
}

func checkHostFile(f tree) (p problems) {
	var host struct {
		Extensions struct {
			HTTP struct {
				RoutePrefix string `json:"routePrefix"`
			} `json:"http"`
		} `json:"extensions"`
		CustomHandler struct {
			Description struct {
				Executable string   `json:"defaultExecutablePath"`
				Arguments  []string `json:"arguments"`
			} `json:"description"`
		} `json:"customHandler"`
	}
	if err := json.Unmarshal([]byte(f["host.json"]), &host); err != nil {
		p.add("host.json: %v", err)
	}
	prefix := host.Extensions.HTTP.RoutePrefix
	for name, texts := range f.literals(&p, "functions/") {
		for _, s := range texts {
			if method, route, ok := strings.Cut(s, " /"); ok && strings.ToUpper(method) == method && method != "" && !strings.HasPrefix(route, prefix+"/") {
				p.add("%s serves %s, which is not below the route prefix %s of host.json", name, s, prefix)
			}
		}
	}
	if args := host.CustomHandler.Description.Arguments; len(args) != 1 || !strings.Contains(f["functions/main.go"], `os.Args[1] == "`+args[0]+`"`) {
		p.add("the argument %q of host.json is not what functions/main.go waits for", args)
	}
	if e := host.CustomHandler.Description.Executable; !strings.Contains(f["Makefile"], "-o bin/"+e+" ") {
		p.add("the executable %s of host.json is not what make builds", e)
	}
	return p
}

package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/assay-sec/assay/pkg/azfunc"
)

// folders are the functions, by the folders that hold a function.json.
func folders(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob("*/function.json")
	if err != nil || len(files) == 0 {
		t.Fatalf("no function.json: %v", err)
	}
	for i := range files {
		files[i] = filepath.Dir(files[i])
	}
	return files
}

type functionFile struct {
	Bindings []binding `json:"bindings"`
	Retry    *struct {
		Strategy string `json:"strategy"`
		Max      int    `json:"maxRetryCount"`
	} `json:"retry"`
}

type binding struct {
	Type        string   `json:"type"`
	Name        string   `json:"name"`
	Direction   string   `json:"direction"`
	Cardinality string   `json:"cardinality"`
	DataType    string   `json:"dataType"`
	AuthLevel   string   `json:"authLevel"`
	Connection  string   `json:"connection"`
	Route       string   `json:"route"`
	Methods     []string `json:"methods"`
}

func read(t *testing.T, elem ...string) []byte {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(elem...))
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func readFunction(t *testing.T, folder string) (f functionFile, text string) {
	t.Helper()
	raw := read(t, folder, "function.json")
	if err := json.Unmarshal(raw, &f); err != nil {
		t.Fatalf("%s: %v", folder, err)
	}
	return f, string(raw)
}

func schema(t *testing.T, name string) *jsonschema.Schema {
	t.Helper()
	s, err := jsonschema.NewCompiler().Compile(filepath.Join("testdata", "schema", name))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func instance(t *testing.T, text []byte) any {
	t.Helper()
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// A misspelt member of either file is passed over by the host in silence.
func TestSchemas(t *testing.T) {
	t.Parallel()
	host, function := schema(t, "host.json"), schema(t, "function.json")
	if err := host.Validate(instance(t, read(t, "..", "host.json"))); err != nil {
		t.Errorf("host.json: %v", err)
	}
	for _, name := range folders(t) {
		if err := function.Validate(instance(t, read(t, name, "function.json"))); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// The schemas refuse the mistakes that they are there for.
func TestSchemasRefuse(t *testing.T) {
	t.Parallel()
	signin, alerts, host := string(read(t, "signin", "function.json")), string(read(t, "alerts", "function.json")), string(read(t, "..", "host.json"))
	for _, c := range []struct{ schema, text, old, changed string }{
		{"function.json", signin, `"cardinality"`, `"Cardinality"`},
		{"function.json", signin, `"many"`, `"several"`},
		{"function.json", signin, `"binary"`, `"bytes"`},
		{"function.json", signin, `"eventHubName"`, `"path"`},
		{"function.json", signin, `"eventHubTrigger"`, `"eventHubsTrigger"`},
		{"function.json", signin, `"direction": "in"`, `"direction": "out"`},
		{"function.json", signin, `"maximumInterval": "00:05:00"`, `"maximumInterval": "5m"`},
		{"function.json", signin, `"minimumInterval"`, `"delayInterval"`},
		{"function.json", signin, `"retry"`, `"retries"`},
		{"function.json", alerts, `"patch"`, `"PATCH"`},
		{"function.json", alerts, `"authLevel": "function"`, `"authLevel": "user"`},
		{"function.json", alerts, `"bindings"`, `"retry": {"strategy": "fixedDelay", "maxRetryCount": 1, "delayInterval": "00:00:01"}, "bindings"`},
		{"host.json", host, `"maxEventBatchSize"`, `"maxBatchSize"`},
		{"host.json", host, `"00:10:00"`, `"10 minutes"`},
		{"host.json", host, `"enableForwardingHttpRequest"`, `"enableForwardingHttpRequests"`},
		{"host.json", host, `"2.0"`, `"4.0"`},
		{"host.json", host, `"Request;Exception"`, `"Request,Exception"`},
	} {
		changed := strings.Replace(c.text, c.old, c.changed, 1)
		if changed == c.text {
			t.Fatalf("%s does not stand in the file", c.old)
		}
		if schema(t, c.schema).Validate(instance(t, []byte(changed))) == nil {
			t.Errorf("%s takes %s for %s", c.schema, c.changed, c.old)
		}
	}
}

// Every folder has its route and every trigger keeps its events. Every setting that a file or the code names stands in the
// sample and in the README's table, and no other does.
func TestBindings(t *testing.T) {
	_, service, _ := start(t, nil)
	r := routes(service)
	var sample struct{ Values map[string]string }
	if err := json.Unmarshal(read(t, "..", "local.settings.sample.json"), &sample); err != nil {
		t.Fatal(err)
	}
	used := settingsInCode(t)
	named := regexp.MustCompile(`%([A-Za-z0-9_]+)%`)
	for _, name := range folders(t) {
		f, text := readFunction(t, name)
		for _, m := range named.FindAllStringSubmatch(text, -1) {
			used[m[1]] = name
		}
		for _, b := range f.Bindings {
			if b.Connection != "" {
				used[b.Connection] = name
			}
			checkBinding(t, name, f, b, r)
		}
	}
	readme := string(read(t, "..", "README.md"))
	for name, by := range used {
		if _, ok := sample.Values[name]; !ok {
			t.Errorf("%s names the setting %s, which local.settings.sample.json lacks", by, name)
		}
	}
	for name := range sample.Values {
		if !tableNames(readme, name) {
			t.Errorf("the table of app settings in README.md does not explain %s", name)
		}
		if prefix, _, identity := strings.Cut(name, "__"); used[name] == "" && (!identity || used[prefix] == "") && !ofTheHost[name] {
			t.Errorf("local.settings.sample.json has the setting %s, which nothing reads", name)
		}
	}
}

// ofTheHost are settings that the Functions host reads and no binding names.
var ofTheHost = map[string]bool{
	"FUNCTIONS_WORKER_RUNTIME": true, "AzureWebJobsStorage": true, "AzureWebJobs.notify.Disabled": true,
}

// givenByPlatform are settings that the code reads and App Service or the host writes: nobody sets them.
var givenByPlatform = map[string]bool{"WEBSITE_AUTH_ENABLED": true}

// settingsInCode finds the app settings in the constants of the packages that read them, by the place that names them.
func settingsInCode(t *testing.T) map[string]string {
	t.Helper()
	var files []string
	for _, folder := range []string{"app", "telemetry"} {
		found, err := filepath.Glob(filepath.Join("..", "pkg", folder, "*.go"))
		if err != nil || len(found) == 0 {
			t.Fatalf("no package %s: %v", folder, err)
		}
		files = append(files, found...)
	}
	constant := regexp.MustCompile(`(?m)^(?:\t|const )[sS]etting\w+\s*=\s*"([A-Za-z0-9_]+)"`)
	used := map[string]string{}
	for _, file := range files {
		for _, m := range constant.FindAllStringSubmatch(string(read(t, file)), -1) {
			if !givenByPlatform[m[1]] {
				used[m[1]] = file
			}
		}
	}
	if len(used) < 5 {
		t.Fatalf("only %v are found in the code", used)
	}
	return used
}

// tableNames tells whether a row of a table begins with the name, or with names that it is one of.
func tableNames(page, name string) bool {
	for line := range strings.Lines(page) {
		cells := strings.Split(line, "|")
		if len(cells) < 4 {
			continue
		}
		if strings.Contains(cells[1], "`"+name+"`") {
			return true
		}
	}
	return false
}

func checkBinding(t *testing.T, name string, f functionFile, b binding, r *azfunc.Routes) {
	t.Helper()
	switch b.Type {
	case "eventHubTrigger":
		if b.Cardinality != "many" || b.DataType != "binary" {
			t.Errorf("%s: one event that is no JSON would fail its batch: cardinality %q, dataType %q", name, b.Cardinality, b.DataType)
		}
	case "httpTrigger":
		if b.AuthLevel != "function" {
			t.Errorf("%s is open to anybody: authLevel %q", name, b.AuthLevel)
		}
		base, _, _ := strings.Cut(b.Route, "/")
		if len(b.Methods) == 0 {
			t.Errorf("%s takes any method", name)
		}
		for _, method := range b.Methods {
			if !slices.ContainsFunc(r.Patterns(), func(p string) bool {
				return strings.HasPrefix(p, strings.ToUpper(method)+" /api/"+base)
			}) {
				t.Errorf("%s: %s /api/%s has no route", name, method, base)
			}
		}
		return
	}
	if b.Type == "eventHubTrigger" || b.Type == "cosmosDBTrigger" {
		if f.Retry == nil || f.Retry.Max != -1 || f.Retry.Strategy != "exponentialBackoff" {
			t.Errorf("%s: without an endless retry a failed batch is lost", name)
		}
	}
	if strings.HasSuffix(b.Type, "Trigger") && !slices.Contains(r.Functions(), name) {
		t.Errorf("%s has no route", name)
	}
}

// What does not fit the function's own time is killed by the host, with all that runs beside it.
func TestTheHandlersDeadlineIsBelowThatOfTheHost(t *testing.T) {
	t.Parallel()
	var host struct{ FunctionTimeout string }
	if err := json.Unmarshal(read(t, "..", "host.json"), &host); err != nil {
		t.Fatal(err)
	}
	clock, err := time.Parse(time.TimeOnly, host.FunctionTimeout)
	if err != nil {
		t.Fatal(err)
	}
	timeout := time.Duration(clock.Hour())*time.Hour + time.Duration(clock.Minute())*time.Minute + time.Duration(clock.Second())*time.Second
	const late = time.Minute // what one that does not obey is given beyond it, and the way to the host
	if azfunc.DefaultDeadline+late > timeout {
		t.Errorf("the handler gives a batch %v, the host %v", azfunc.DefaultDeadline, timeout)
	}
}

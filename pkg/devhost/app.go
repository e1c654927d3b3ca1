package devhost

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// app is what the files of a script root say.
type app struct {
	root     string
	settings map[string]string

	timeout time.Duration // functionTimeout; 0: none
	prefix  string        // of HTTP routes
	forward bool          // enableForwardingHttpRequest or enableProxyingHttpRequest

	executable string
	directory  string
	arguments  []string
	port       int // customHandler.port; 0: any

	hubs      hubOptions
	queues    queueOptions
	functions []*function
}

// hubOptions is extensions.eventHubs of host.json. The defaults are those of EventHubOptions.cs.
type hubOptions struct {
	most, least     int // events of a batch
	wait            time.Duration
	checkpointEvery int // batches
	start           string
	startTime       time.Time
}

// queueOptions is extensions.queues of host.json.
type queueOptions struct {
	maxDequeue int
	visibility time.Duration
	batch      int
}

// function is one function.json. Exactly one of the triggers is set.
type function struct {
	name  string
	param string // name of the trigger's binding
	retry *retryPolicy

	hub   *hubTrigger
	feed  *feedTrigger
	queue *queueTrigger
	timer *timerTrigger
	web   *webTrigger
}

type hubTrigger struct {
	hub, group string
	encoding   Encoding
}

type feedTrigger struct {
	container     string
	lease         string // what tells functions on one container apart
	fromBeginning bool
	poll          time.Duration
	most          int
}

type queueTrigger struct {
	queue  string
	binary bool
}

type timerTrigger struct {
	text         string
	schedule     schedule
	runOnStartup bool
}

type webTrigger struct {
	route   route
	methods []string // upper-case; empty: all
	level   string
}

// Host files.
const (
	hostFile     = "host.json"
	settingsFile = "local.settings.json"
	functionFile = "function.json"
)

// overridePrefix marks settings that replace members of host.json, levels being parted by two underscores.
const overridePrefix = "AzureFunctionsJobHost__"

// readApp reads host.json, local.settings.json and the function.json of each direct sub-folder, as the host does. The
// extra settings come before those of the file.
func readApp(root string, extra map[string]string) (*app, error) {
	root, err := filepath.Abs(root)
	if err != nil {
		return nil, fmt.Errorf("script root: %w", err)
	}
	a := &app{root: root}
	var errs []error
	errs = append(errs, a.readSettings(extra), a.readHost())
	entries, err := os.ReadDir(root)
	if err != nil {
		return nil, fmt.Errorf("read script root: %w", err)
	}
	for _, e := range entries {
		path := filepath.Join(root, e.Name(), functionFile)
		if _, err := os.Stat(path); err != nil {
			continue // any other folder
		}
		f, err := a.readFunction(e.Name(), path)
		errs = append(errs, err)
		if f != nil {
			a.functions = append(a.functions, f)
		}
	}
	errs = append(errs, a.check())
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return a, nil
}

// readSettings reads local.settings.json, which may be missing.
func (a *app) readSettings(extra map[string]string) error {
	a.settings = map[string]string{}
	d, root, missing := readDocument(filepath.Join(a.root, settingsFile), settingsFile)
	if missing {
		maps.Copy(a.settings, extra)
		return nil
	}
	if root.flag("IsEncrypted") {
		root.problem("IsEncrypted", "encrypted settings are not supported by the local host")
	}
	values := root.child("Values")
	for name := range values.members {
		a.settings[name] = values.text(name, "")
	}
	root.ignore("Host", "ConnectionStrings")
	root.rest()
	maps.Copy(a.settings, extra)
	return d.err()
}

// setting returns an app setting, else the environment variable of that name.
func (a *app) setting(name string) (string, bool) {
	if v, ok := a.settings[name]; ok {
		return v, true
	}
	return os.LookupEnv(name)
}

var settingReference = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`%([^%]*)%`) })

// resolved returns a text member with its %SETTING% references replaced.
func (a *app) resolved(o *object, name, fallback string) string {
	return settingReference().ReplaceAllStringFunc(o.text(name, fallback), func(ref string) string {
		v, ok := a.setting(ref[1 : len(ref)-1])
		if !ok {
			o.problem(name, "the app setting %s is not set", ref)
		}
		return v
	})
}

func (a *app) resolvedRequired(o *object, name string) string {
	s := a.resolved(o, name, "")
	if s == "" && o.text(name, "") == "" {
		o.problem(name, "is required")
	}
	return s
}

func (a *app) readHost() error {
	d, root, _ := readDocument(filepath.Join(a.root, hostFile), hostFile)
	a.override(root)
	if v := root.text("version", ""); v != "2.0" && d.err() == nil {
		root.problem("version", "want \"2.0\", found %q", v)
	}
	a.timeout = readTimeout(root)
	ext := root.child("extensions")
	a.readHubs(ext.child("eventHubs"))
	a.readQueues(ext.child("queues"))
	web := ext.child("http")
	a.prefix = strings.Trim(web.text("routePrefix", "api"), "/")
	web.ignore("maxOutstandingRequests", "maxConcurrentRequests", "hsts", "customHeaders")
	if web.flag("dynamicThrottlesEnabled") {
		web.problem("dynamicThrottlesEnabled", "throttling is not supported by the local host")
	}
	web.rest()
	ext.ignore("cosmosDB")
	ext.rest()
	a.readHandler(root.child("customHandler"))
	root.ignore("$schema", "extensionBundle", "logging", "telemetryMode", "aggregator", "healthMonitor", "singleton",
		"managedDependency", "watchDirectories", "watchFiles")
	root.rest()
	return d.err()
}

// leastTimeout is the shortest functionTimeout that the host takes.
const leastTimeout = time.Second

// readTimeout reads functionTimeout as ScriptJobHostOptionsSetup does. Without one it is that of all plans but Windows
// Consumption, 30 minutes. -1 is none, be it a text or a number: .NET configuration knows texts alone.
func readTimeout(root *object) time.Duration {
	const name = "functionTimeout"
	if v, ok := root.members[name]; ok && (v == "-1" || v == setting("-1") || v == -1.) {
		root.ignore(name)
		return 0
	}
	d := root.duration(name, 30*time.Minute)
	if d < leastTimeout {
		root.problem(name, "want at least %s, or -1 for none", leastTimeout)
	}
	return d
}

func (a *app) readHubs(o *object) {
	h := &a.hubs
	h.most = o.number("maxEventBatchSize", 100, 1)
	h.least = o.number("minEventBatchSize", 1, 1)
	if h.least > h.most {
		o.problem("minEventBatchSize", "is larger than maxEventBatchSize, which is %d", h.most)
	}
	h.wait = o.duration("maxWaitTime", time.Minute)
	h.checkpointEvery = o.number("batchCheckpointFrequency", 1, 1)
	start := o.child("initialOffsetOptions")
	h.start = start.oneOf("type", "fromStart", "fromStart", "fromEnd", "fromEnqueuedTime")
	if s := start.text("enqueuedTimeUtc", ""); s != "" || h.start == "fromEnqueuedTime" {
		t, err := time.Parse(time.RFC3339, s)
		if err != nil {
			start.problem("enqueuedTimeUtc", "want a time such as 2026-03-01T00:00:00Z, found %q", s)
		}
		h.startTime = t
	}
	start.rest()
	o.ignore("prefetchCount", "targetUnprocessedEventThreshold", "trackLastEnqueuedEventProperties", "transportType",
		"webProxy", "customEndpointAddress", "clientRetryOptions", "loadBalancingUpdateInterval",
		"partitionOwnershipExpirationInterval", "enableCheckpointing")
	o.rest()
}

func (a *app) readQueues(o *object) {
	a.queues.maxDequeue = o.number("maxDequeueCount", 5, 1)
	a.queues.visibility = o.duration("visibilityTimeout", 0)
	a.queues.batch = o.number("batchSize", 16, 1)
	o.oneOf("messageEncoding", "base64", "base64", "none")
	o.ignore("maxPollingInterval", "newBatchThreshold")
	o.rest()
}

// readHandler reads customHandler as HttpWorkerOptionsSetup does.
func (a *app) readHandler(o *object) {
	description := o.child("description")
	exe := description.required("defaultExecutablePath")
	expand := func(s string) string {
		return settingReference().ReplaceAllStringFunc(s, func(ref string) string {
			v, _ := a.setting(ref[1 : len(ref)-1])
			return v
		})
	}
	a.executable = expand(exe)
	if p := filepath.Join(a.root, a.executable); exe != "" && !filepath.IsAbs(a.executable) {
		if _, err := os.Stat(p); err == nil {
			a.executable = p // else it is looked for on the PATH
		}
	}
	a.directory = a.root
	if dir := expand(description.text("workingDirectory", "")); filepath.IsAbs(dir) {
		a.directory = dir
	} else if dir != "" {
		a.directory = filepath.Join(a.root, dir)
	}
	for _, arg := range description.texts("arguments") {
		a.arguments = append(a.arguments, expand(arg))
	}
	description.ignore("useStdErrorStreamForErrorsOnly")
	description.rest()
	forward, proxy := o.flag("enableForwardingHttpRequest"), o.flag("enableProxyingHttpRequest")
	a.forward = forward || proxy
	a.port = o.number("port", 0, 0)
	o.ignore("http", "initializationTimeout")
	o.rest()
}

// override puts settings of the form AzureFunctionsJobHost__a__b into host.json, as .NET configuration does: names are
// compared without case, and numbers and booleans are texts. See [setting].
func (a *app) override(root *object) {
	names := map[string]bool{}
	for name := range a.settings {
		names[name] = true
	}
	for _, kv := range os.Environ() {
		name, _, _ := strings.Cut(kv, "=")
		names[name] = true
	}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		if len(name) <= len(overridePrefix) || !strings.EqualFold(name[:len(overridePrefix)], overridePrefix) {
			continue
		}
		value, _ := a.setting(name)
		if root.members == nil {
			root.members = map[string]any{}
		}
		members := root.members
		path := strings.Split(name[len(overridePrefix):], "__")
		for _, part := range path[:len(path)-1] {
			key := sameName(members, part)
			next, ok := members[key].(map[string]any)
			if !ok {
				next = map[string]any{}
				members[key] = next
			}
			members = next
		}
		members[sameName(members, path[len(path)-1])] = setting(value)
	}
}

func sameName(members map[string]any, name string) string {
	for key := range members {
		if strings.EqualFold(key, name) {
			return key
		}
	}
	return name
}

var (
	functionName = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_-]{0,127}$`) })
	bindingName  = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^([A-Za-z][A-Za-z0-9]{0,127}|\$return)$`) })
)

// readFunction reads one function.json. It returns nil for a function that is switched off.
func (a *app) readFunction(name, path string) (*function, error) {
	d, root, _ := readDocument(path, name+"/"+functionFile)
	f := &function{name: name}
	if !functionName().MatchString(name) || strings.EqualFold(name, "host") {
		d.problem("", "%q is not a name that the host accepts for a function", name)
	}
	var outputs []*object
	triggers := 0
	for _, b := range root.children("bindings") {
		kind := b.required("type")
		if n := b.required("name"); n != "" && !bindingName().MatchString(n) {
			b.problem("name", "%q is not a name that the host accepts for a binding", n)
		}
		if !strings.HasSuffix(strings.ToLower(kind), "trigger") {
			outputs = append(outputs, b)
			continue
		}
		if triggers++; triggers > 1 {
			b.problem("type", "a function has one trigger, this is another")
			continue
		}
		b.oneOf("direction", "in", "in")
		f.param = b.text("name", "")
		a.readTrigger(f, kind, b)
		b.rest()
	}
	if triggers == 0 {
		root.problem("bindings", "want a trigger")
	}
	for _, b := range outputs {
		a.readOutput(f, b)
	}
	if f.web != nil && len(outputs) == 0 {
		root.problem("bindings", "want an output of type http: without it the host does not forward the request")
	}
	if root.has("retry") {
		retry := root.child("retry")
		f.retry = readRetry(retry)
		if f.hub == nil && f.feed == nil && f.timer == nil {
			root.problem("retry", "has an effect only on event hub, Cosmos DB and timer triggers")
		}
	}
	disabled := root.flag("disabled")
	root.ignore("$schema")
	root.rest()
	if v, ok := a.setting("AzureWebJobs." + name + ".Disabled"); ok {
		disabled, _ = strconv.ParseBool(strings.ToLower(v))
	}
	if disabled {
		return nil, d.err()
	}
	return f, d.err()
}

func (a *app) readTrigger(f *function, kind string, b *object) {
	switch kind {
	case "eventHubTrigger":
		f.hub = &hubTrigger{
			hub: a.resolvedRequired(b, "eventHubName"), group: a.resolved(b, "consumerGroup", "$Default"),
			encoding: Encoding{
				Cardinality: b.oneOf("cardinality", "one", "one", "many"),
				DataType:    b.oneOf("dataType", "", "", "string", "binary"),
			},
		}
		b.required("connection")
	case "cosmosDBTrigger":
		f.feed = &feedTrigger{
			container: a.resolvedRequired(b, "containerName"),
			lease: a.resolved(b, "leaseContainerName", "leases") + "/" +
				a.resolved(b, "leaseContainerPrefix", ""),
			fromBeginning: b.flag("startFromBeginning"),
			poll:          time.Duration(b.number("feedPollDelay", 5000, 1)) * time.Millisecond,
			most:          b.number("maxItemsPerInvocation", 100, 1),
		}
		b.required("connection")
		a.resolvedRequired(b, "databaseName")
		if b.has("startFromTime") {
			b.problem("startFromTime", "is not supported by the local host; use startFromBeginning")
		}
		b.ignore("startFromTime", "leaseConnection", "leaseDatabaseName", "createLeaseContainerIfNotExists",
			"leasesContainerThroughput", "leaseAcquireInterval", "leaseExpirationInterval", "leaseRenewInterval",
			"preferredLocations")
	case "queueTrigger":
		f.queue = &queueTrigger{
			queue: a.resolvedRequired(b, "queueName"), binary: b.oneOf("dataType", "", "", "string", "binary") == "binary",
		}
		b.required("connection")
	case "timerTrigger":
		text := a.resolvedRequired(b, "schedule")
		f.timer = &timerTrigger{text: text, runOnStartup: b.flag("runOnStartup")}
		if text != "" {
			var err error
			if f.timer.schedule, err = parseSchedule(text); err != nil {
				b.problem("schedule", "%v", err)
			}
		}
		b.ignore("useMonitor")
	case "httpTrigger":
		f.web = &webTrigger{level: b.oneOf("authLevel", "function", "anonymous", "function", "admin")}
		var err error
		if f.web.route, err = parseRoute(b.text("route", f.name)); err != nil {
			b.problem("route", "%v", err)
		}
		for _, m := range b.texts("methods") {
			f.web.methods = append(f.web.methods, strings.ToUpper(m))
		}
		if !a.forward {
			b.problem("type", "the local host forwards HTTP requests as they are; "+
				"set customHandler.enableForwardingHttpRequest in host.json")
		}
	default:
		b.problem("type", "%q is not supported by the local host; it knows eventHubTrigger, cosmosDBTrigger, "+
			"queueTrigger, timerTrigger and httpTrigger", kind)
		b.asked = map[string]bool{}
		for name := range b.members {
			b.ignore(name)
		}
	}
}

// readOutput accepts the one output that has an effect here: the answer of a forwarded HTTP request.
func (a *app) readOutput(f *function, b *object) {
	if kind := b.text("type", ""); kind != "http" || f.web == nil {
		b.problem("type", "the binding %q is not supported by the local host; it knows http, beside an httpTrigger", kind)
		return
	}
	b.oneOf("direction", "out", "out")
	b.rest()
}

// check looks for what is wrong with the functions together.
func (a *app) check() error {
	slices.SortFunc(a.functions, func(x, y *function) int { return strings.Compare(x.name, y.name) })
	var errs []error
	readers := map[string]string{}
	for _, f := range a.functions {
		var key, text string
		switch {
		case f.hub != nil:
			key = "hub/" + f.hub.hub + "/" + f.hub.group
			text = fmt.Sprintf("hub %q and consumer group %q are", f.hub.hub, f.hub.group)
		case f.feed != nil:
			key, text = "feed/"+f.feed.container+"/"+f.feed.lease,
				fmt.Sprintf("container %q with the same lease container and prefix is", f.feed.container)
		default:
			continue
		}
		if other, ok := readers[key]; ok {
			errs = append(errs, &Problem{
				File: f.name + "/" + functionFile,
				Text: fmt.Sprintf("%s read by function %q, too: they would take each other's events", text, other),
			})
		}
		readers[key] = f.name
	}
	if len(a.functions) == 0 {
		errs = append(errs, &Problem{
			File: hostFile,
			Text: "no direct sub-folder has a function.json; the host would not start the handler",
		})
	}
	return errors.Join(errs...)
}

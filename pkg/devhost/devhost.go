// Package devhost is a local stand-in for the Azure Functions host, for function apps whose handler speaks the
// custom-handler protocol.
//
// It reads the very host.json, local.settings.json and function.json files of a script root, runs the handler as a child
// process with the host's environment, posts the host's requests, and does with the answers what the host does:
//
//   - The checkpoint of an event hub or change feed moves after every invocation that has ended, failed or not. Only a
//     retry policy holds it: in memory, with a new invocation id for each attempt.
//   - One invocation at a time for each partition.
//   - An empty success does not end an invocation; at functionTimeout the handler is killed, and with it every call.
//   - A handler that exits with code 0 is not started again. One that exits otherwise, or is killed, is; after three
//     times without half an hour's pause the host gives up.
//   - Queue messages are shown again after a failure and moved to the poison queue after maxDequeueCount.
//   - The handler is ended by SIGKILL, without notice.
//
// Event hubs, queues and change feeds are interfaces or in memory. The host takes events by HTTP, see [Host.URL].
//
// It does not scale out, check more of a request than the function key where it is given one, run output
// bindings, or send HTTP triggers in the envelope form: they are forwarded. With dataType undefined it does not re-write
// dates and numbers as Json.NET does. What it does not support in a file is an error that names file and member, where
// the host would mostly ignore it.
//
// The behaviour follows the sources of azure-functions-host, azure-webjobs-sdk and the trigger extensions in
// azure-sdk-for-net and azure-webjobs-sdk-extensions.
package devhost

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// DefaultAddress is where Core Tools listen, too.
const DefaultAddress = "127.0.0.1:7071"

// The storage account of a development machine is the host itself, as far as queues go: the handler gets a connection string for
// it, where the settings name no other.
const (
	storageSetting     = "AzureWebJobsStorage"
	storageAccount     = "devstoreaccount1"
	developmentStorage = "UseDevelopmentStorage=true"
)

// defaultPartitions is how many a hub has that is not given.
const defaultPartitions = 4

// Options of a [Host].
type Options struct {
	// Root is the script root: the folder with host.json.
	Root string

	// Settings are app settings that come before those of local.settings.json.
	Settings map[string]string

	// Address is where the host listens for HTTP. Empty: [DefaultAddress]. Port 0: any.
	Address string

	// Key is the function key that HTTP triggers ask for, in the parameter code or the header x-functions-key, unless they
	// are anonymous. Empty: none is asked for, as under Core Tools.
	Key string

	// Hubs are the logs behind event hubs, by name. One that is missing is made in memory.
	Hubs map[string]Log

	// Feeds are the change feeds of containers, by name. All that the functions watch have to be there.
	Feeds map[string]ChangeFeed

	// Queues and Checkpoints are the state that outlives a host. Nil: new ones.
	Queues      *Queues
	Checkpoints Checkpoints

	// Encoding replaces cardinality and dataType of all event hub triggers.
	Encoding *Encoding

	// ContentLength sends requests with their length, as the host does under Core Tools. In Azure it writes them in chunks:
	// their content is an ObjectContent, whose length .NET does not know beforehand.
	ContentLength bool

	// Clock is the host's time. Nil: the machine's.
	Clock Clock

	// Logger gets what the host has to say. Nil: nothing.
	Logger *slog.Logger

	// Output gets the lines that the handler writes to standard output. Nil: nobody.
	Output io.Writer

	// Observe is told of each attempt, before and after, from several goroutines. An attempt goes on when it returns.
	Observe func(Invocation)
}

// Host is a function app that can be run. Make it with [New].
type Host struct {
	app         *app
	clock       Clock
	log         *slog.Logger
	worker      *worker
	front       net.Listener
	hubs        map[string]Log
	feeds       map[string]ChangeFeed
	queues      *Queues
	checkpoints Checkpoints
	sized       bool
	key         string
	observe     func(Invocation)
	progress    *progress
	runNow      map[string]chan struct{} // by timer function

	ready chan struct{} // closed when the handler has answered for the first time
}

// New reads and checks the files of the script root and opens the host's port. Close the port with [Host.Run], or
// [Host.Close] if it is not run.
func New(o Options) (*Host, error) {
	a, err := readApp(o.Root, o.Settings)
	if err != nil {
		return nil, err
	}
	h := &Host{
		app: a, clock: o.Clock, log: o.Logger, hubs: map[string]Log{}, feeds: o.Feeds, queues: o.Queues,
		checkpoints: o.Checkpoints, sized: o.ContentLength, key: o.Key, observe: o.Observe, progress: newProgress(),
		runNow: map[string]chan struct{}{}, ready: make(chan struct{}),
	}
	if h.clock == nil {
		h.clock = wallClock{}
	}
	if h.log == nil {
		h.log = slog.New(slog.DiscardHandler)
	}
	if h.queues == nil {
		h.queues = &Queues{}
	}
	if h.checkpoints == nil {
		h.checkpoints = &MemoryCheckpoints{}
	}
	if h.observe == nil {
		h.observe = func(Invocation) {}
	}
	for name, log := range o.Hubs {
		h.hubs[name] = log
	}
	for _, f := range a.functions {
		if err := h.connect(f, o.Encoding); err != nil {
			return nil, err
		}
	}
	address := o.Address
	if address == "" {
		address = DefaultAddress
	}
	if h.front, err = (&net.ListenConfig{}).Listen(context.Background(), "tcp", address); err != nil {
		return nil, fmt.Errorf("listen for HTTP: %w", err)
	}
	output := o.Output
	if output == nil {
		output = io.Discard
	}
	extra := map[string]string{"WEBSITE_HOSTNAME": h.front.Addr().String()}
	if v, ok := a.setting(storageSetting); !ok || v == "" || v == developmentStorage {
		extra[storageSetting] = fmt.Sprintf("DefaultEndpointsProtocol=http;AccountName=%s;AccountKey=bG9jYWw=;QueueEndpoint=http://%s/%s;",
			storageAccount, h.front.Addr(), storageAccount)
	}
	if h.worker, err = newWorker(a, extra, h.clock, h.log, output); err != nil {
		return nil, errors.Join(err, h.Close())
	}
	return h, nil
}

// connect finds what a function's trigger reads from.
func (h *Host) connect(f *function, encoding *Encoding) error {
	switch {
	case f.hub != nil:
		if encoding != nil {
			f.hub.encoding = *encoding
		}
		if h.hubs[f.hub.hub] == nil {
			h.hubs[f.hub.hub] = NewMemoryLog(defaultPartitions, h.clock)
		}
	case f.feed != nil && h.feeds[f.feed.container] == nil:
		return &Problem{
			File: f.name + "/" + functionFile, Field: "bindings",
			Text: fmt.Sprintf("nothing here yields the changes of container %q", f.feed.container),
		}
	case f.timer != nil:
		h.runNow[f.name] = make(chan struct{}, 1)
	}
	return nil
}

// Close closes the port of a host that is not going to run.
func (h *Host) Close() error { return h.front.Close() }

// Run starts the handler and runs the functions until the context is over, then kills the handler and returns nil. It
// returns an error if the handler cannot be started or crashes too often. Run it once.
func (h *Host) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var all sync.WaitGroup
	var failed error
	var once sync.Once
	run := func(part func(context.Context) error) {
		all.Go(func() {
			if err := part(ctx); err != nil && ctx.Err() == nil && !errors.Is(err, errStopped) {
				once.Do(func() { failed = err })
				cancel(err)
			}
		})
	}
	run(h.worker.run)
	run(h.serveFront)
	run(func(ctx context.Context) error {
		if err := h.worker.ready(ctx); err != nil {
			return err
		}
		close(h.ready)
		for _, f := range h.app.functions {
			switch {
			case f.hub != nil:
				for _, p := range h.hubs[f.hub.hub].Partitions() {
					run(func(ctx context.Context) error { return h.listenHub(ctx, f, p) })
				}
			case f.feed != nil:
				run(func(ctx context.Context) error { return h.listenFeed(ctx, f) })
			case f.queue != nil:
				run(func(ctx context.Context) error { return h.listenQueue(ctx, f) })
			case f.timer != nil:
				run(func(ctx context.Context) error { return h.listenTimer(ctx, f) })
			}
		}
		return nil
	})
	all.Wait()
	return failed
}

// Ready is closed when the handler has answered for the first time, and the triggers begin.
func (h *Host) Ready() <-chan struct{} { return h.ready }

// URL is the address of the host: functions with an HTTP trigger are below it, and
//
//	POST /hubs/{hub}/messages                           one event, or several as application/vnd.microsoft.servicebus.json
//	POST /hubs/{hub}/partitions/{partition}/messages    the same for one partition
//	POST /queues/{queue}/messages                       one message; ?visibilitytimeout= seconds
//	POST /devstoreaccount1/{queue}/messages             the same for clients of the storage service
//	POST /admin/functions/{name}                        runs a timer now
//	GET  /admin/host/status
func (h *Host) URL() string { return "http://" + h.front.Addr().String() }

// Function describes one function of the app.
type Function struct {
	Name    string
	Trigger string // the type of its trigger
	Source  string // what it reads: hub and consumer group, container, queue, schedule
	URL     string // where it can be called or fed by HTTP; empty if it cannot
	Methods string // of an HTTP trigger, separated by commas; empty: all
}

// Functions lists the functions by name.
func (h *Host) Functions() []Function {
	var out []Function
	for _, f := range h.app.functions {
		d := Function{Name: f.name}
		switch {
		case f.hub != nil:
			d.Trigger, d.Source = "eventHubTrigger", f.hub.hub+"/"+f.hub.group
			d.URL = h.URL() + "/hubs/" + f.hub.hub + "/messages"
		case f.feed != nil:
			d.Trigger, d.Source = "cosmosDBTrigger", f.feed.container
		case f.queue != nil:
			d.Trigger, d.Source = "queueTrigger", f.queue.queue
			d.URL = h.URL() + "/queues/" + f.queue.queue + "/messages"
		case f.timer != nil:
			d.Trigger, d.Source = "timerTrigger", f.timer.text
			d.URL = h.URL() + "/admin/functions/" + f.name
		case f.web != nil:
			d.Trigger, d.Source = "httpTrigger", f.web.route.template
			d.URL = h.URL() + "/" + strings.TrimPrefix(h.app.prefix+"/", "/") + f.web.route.template
			d.Methods = strings.Join(f.web.methods, ",")
		}
		out = append(out, d)
	}
	return out
}

// Publish appends events to an event hub; the partition may be empty, see [Publisher].
func (h *Host) Publish(ctx context.Context, hub, partition string, events ...Event) error {
	log, ok := h.hubs[hub]
	if !ok {
		return fmt.Errorf("publish: %w: event hub %q", errUnknown, hub)
	}
	p, ok := log.(Publisher)
	if !ok {
		return fmt.Errorf("publish: event hub %q takes no events", hub)
	}
	return p.Publish(ctx, partition, events...)
}

var errUnknown = errors.New("not known")

// Enqueue adds a message to a queue, to be shown after a delay.
func (h *Host) Enqueue(queue, text string, delay time.Duration) {
	now := h.clock.Now()
	h.queues.put(queue, text, now, now.Add(delay))
}

// Kill ends the handler from outside with SIGKILL, as a crash; the host will start it again.
func (h *Host) Kill() error { return h.worker.kill() }

// Drain waits until every event that the hubs hold now has been through all functions that read them, well or not.
func (h *Host) Drain(ctx context.Context) error {
	for _, f := range h.app.functions {
		if f.hub == nil {
			continue
		}
		log := h.hubs[f.hub.hub]
		for _, p := range log.Partitions() {
			end, err := log.End(ctx, p)
			if err != nil {
				return fmt.Errorf("drain: %w", err)
			}
			if err := h.progress.wait(ctx, "hub/"+f.hub.hub+"/"+f.hub.group+"/"+p, end); err != nil {
				return fmt.Errorf("drain partition %s of %s: %w", p, f.hub.hub, err)
			}
		}
	}
	return nil
}

// progress is how far the partitions of the hubs have been read.
type progress struct {
	mu      sync.Mutex
	done    map[string]int64
	changed chan struct{}
}

func newProgress() *progress {
	return &progress{done: map[string]int64{}, changed: make(chan struct{})}
}

func (p *progress) set(key string, sequence int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.done[key] = sequence
	close(p.changed)
	p.changed = make(chan struct{})
}

func (p *progress) wait(ctx context.Context, key string, sequence int64) error {
	for {
		p.mu.Lock()
		done, started := p.done[key]
		changed := p.changed
		p.mu.Unlock()
		if started && done >= sequence {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// methodAllowed reports whether an HTTP trigger takes a method.
func (t *webTrigger) methodAllowed(method string) bool {
	return len(t.methods) == 0 || slices.Contains(t.methods, method)
}

// webFunction returns the function for a request, the one with the most literals in its route.
func (h *Host) webFunction(r *http.Request) *function {
	rest, ok := strings.CutPrefix(r.URL.EscapedPath(), "/"+h.app.prefix)
	if !ok || h.app.prefix != "" && rest != "" && rest[0] != '/' {
		return nil
	}
	var found *function
	best := -1
	for _, f := range h.app.functions {
		if f.web == nil || !f.web.methodAllowed(r.Method) {
			continue
		}
		if n, ok := f.web.route.match(strings.TrimPrefix(rest, "/")); ok && n > best {
			found, best = f, n
		}
	}
	return found
}

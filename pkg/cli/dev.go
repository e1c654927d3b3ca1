package cli

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/spf13/cobra"

	"github.com/assay-sec/assay/pkg/alert"
	"github.com/assay-sec/assay/pkg/app"
	"github.com/assay-sec/assay/pkg/azfunc"
	"github.com/assay-sec/assay/pkg/devhost"
	"github.com/assay-sec/assay/pkg/envelope"
	"github.com/assay-sec/assay/pkg/rule"
	"github.com/assay-sec/assay/pkg/store"
)

// messageBytes bounds the messages that records of files are published in.
const messageBytes = 200 << 10

// development is one invocation of assay dev.
type development struct {
	sys *System

	app     pathFlag
	store   storeFlag
	config  configFlag
	address string
	hub     string

	mu    sync.Mutex // of the output
	known map[alert.ID]shown
	names names
}

// shown is what has been shown of an alert.
type shown struct {
	count    int64
	severity rule.Severity
}

func newDev(sys *System) *cobra.Command {
	d := &development{sys: sys, known: map[alert.ID]shown{}}
	cmd := &cobra.Command{
		Use:   "dev [FILE|DIR|-]...",
		Short: "Run the function app on this machine, with no cloud",
		Long: `Run the function app on this machine, with no cloud: the very functions that run on Azure, behind a stand-in for the Functions
host, with SQLite as the store and event hubs in memory. The records of the files go through a hub; more can be posted to it.
Each new or grown alert is shown on a line. Ctrl-C ends it.`,
		RunE: func(cmd *cobra.Command, args []string) error { return d.run(cmd.Context(), args) },
	}
	cmd.Flags().Var(&d.app, "app", "the assembled function app: a folder with host.json (default: the folder of this program)")
	d.store.add(cmd, "keep the alerts in this SQLite file (default: in your state folder)")
	d.config.add(cmd)
	cmd.Flags().StringVar(&d.address, "address", devhost.DefaultAddress, "where to listen; port 0 is any")
	cmd.Flags().StringVar(&d.hub, "hub", "", "the event hub that the records of the files go to (default: the first)")
	return cmd
}

func (d *development) run(ctx context.Context, paths []string) (err error) {
	root, err := d.root()
	if err != nil {
		return err
	}
	settings, path, err := d.settings()
	if err != nil {
		return err
	}
	s, err := app.OpenStore(ctx, path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	if err := d.watch(ctx, s, false); err != nil { // what is there already is not news
		return err
	}

	finished := make(chan struct{}, 1)
	log := azfunc.NewLogger(&handlerLog{dev: d}, slog.LevelWarn)
	host, err := devhost.New(devhost.Options{
		// Here no feed brings alerts: the functions that find them see to their deliveries.
		Feeds: map[string]devhost.ChangeFeed{"alerts": &devhost.MemoryFeed{}},
		Root:  root, Settings: settings, Address: d.address, Logger: log, Output: &handlerLog{dev: d},
		Observe: func(i devhost.Invocation) {
			if !i.Ended {
				return
			}
			select {
			case finished <- struct{}{}:
			default: // one look at the store is due, and will see this, too
			}
		},
	})
	if err != nil {
		return err
	}
	if d.hub, err = chooseHub(host, d.hub); err != nil {
		return errors.Join(err, host.Close())
	}

	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var parts sync.WaitGroup
	part := func(do func(context.Context) error) {
		parts.Go(func() {
			if err := do(ctx); err != nil && ctx.Err() == nil {
				cancel(err)
			}
		})
	}
	part(func(ctx context.Context) error { return d.feed(ctx, host, s, path, paths) })
	part(func(ctx context.Context) error {
		for {
			select {
			case <-finished:
				if err := d.watch(ctx, s, true); err != nil {
					return err
				}
			case <-ctx.Done():
				return nil
			}
		}
	})
	err = host.Run(ctx)
	failed := context.Cause(ctx)
	cancel(nil)
	parts.Wait()
	if err == nil && !errors.Is(failed, context.Canceled) {
		err = failed
	}
	return err
}

// root returns the folder of the function app.
func (d *development) root() (string, error) {
	if d.app.path != "" {
		return d.app.path, nil
	}
	exe, err := d.sys.Executable()
	if err != nil {
		return "", fmt.Errorf("find the function app (name its folder with --app): %w", err)
	}
	root := filepath.Dir(exe)
	if _, err := os.Stat(filepath.Join(root, "host.json")); errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("there is no host.json beside %s: assemble the function app with make package, and name its folder with --app", exe)
	}
	return root, nil
}

// settings are the app settings of which the flags decide, and the path of the store. The handler runs in the folder of the app, so paths are absolute.
func (d *development) settings() (settings map[string]string, path string, err error) {
	path, err = d.store.resolve(d.sys)
	switch {
	case err != nil:
		return nil, "", err
	case path == noStore:
		return nil, "", fmt.Errorf("--store %s keeps no alerts, and those are what this is to show", noStore)
	}
	if path, err = filepath.Abs(path); err != nil {
		return nil, "", fmt.Errorf("find the store: %w", err)
	}
	settings = map[string]string{app.SettingStore: app.EmbeddedStore(path), app.SettingKeys: cmp.Or(d.sys.Getenv(app.SettingKeys), app.KeysOff)}
	c, err := d.config.load() // so that its problems are told once, and at once
	if err != nil {
		return nil, "", err
	}
	if d.config.path != "" {
		if settings[app.SettingConfig], err = filepath.Abs(d.config.path); err != nil {
			return nil, "", fmt.Errorf("find the configuration: %w", err)
		}
	}
	if d.names, err = builtinNames(); err != nil {
		return nil, "", err
	}
	d.names.tenants = c.Names
	return settings, path, nil
}

func chooseHub(host *devhost.Host, wanted string) (string, error) {
	var hubs []string
	for _, f := range host.Functions() {
		if f.Trigger == "eventHubTrigger" {
			hub, _, _ := strings.Cut(f.Source, "/")
			hubs = append(hubs, hub)
		}
	}
	switch {
	case len(hubs) == 0:
		return "", errors.New("no function of the app reads an event hub")
	case wanted == "":
		return hubs[0], nil
	case !slices.Contains(hubs, wanted):
		return "", fmt.Errorf("no function reads the event hub %q, but %s", wanted, strings.Join(hubs, ", "))
	}
	return wanted, nil
}

// feed says what is served once it is, and publishes the records of the files.
func (d *development) feed(ctx context.Context, host *devhost.Host, s store.Store, path string, paths []string) error {
	select {
	case <-host.Ready():
	case <-ctx.Done():
		return nil
	}
	if err := d.page(func(p *page) {
		p.line(faint, "alerts are kept in "+path)
		for _, f := range host.Functions() {
			method := f.Methods
			if f.Trigger != "httpTrigger" {
				method = "POST"
			}
			p.fit(bold, f.Name, 12).space(gap).fit(plain, strings.ToUpper(method), 10).space(gap).put(plain, f.URL).end()
		}
	}); err != nil || len(paths) == 0 {
		return err
	}
	n, err := d.publish(ctx, host, paths)
	if err != nil {
		return err
	}
	if err := host.Drain(ctx); err != nil {
		return err
	}
	if err := d.watch(ctx, s, true); err != nil {
		return err
	}
	return d.page(func(p *page) {
		p.line(faint, counted(n, "record")+" of the files went through "+d.hub+"; waiting for more, Ctrl-C ends it")
	})
}

// publish sends the records of the files to the hub, as diagnostic settings batch them. What cannot be read is told of and
// does not keep the rest from being published.
func (d *development) publish(ctx context.Context, host *devhost.Host, paths []string) (int64, error) {
	in := &logs{files: envelope.NewFiles(paths, d.sys.In)}
	defer in.close()
	var n int64
	var text []byte
	send := func() error {
		if len(text) == 0 {
			return nil
		}
		body := append(text, "]}"...)
		text = nil
		return host.Publish(ctx, d.hub, "", devhost.Event{Body: body})
	}
	for ctx.Err() == nil {
		r, err := in.Next()
		part := (*envelope.Broken)(nil)
		switch {
		case errors.Is(err, io.EOF):
			if failed := in.failures(); failed != nil {
				d.complain(failed)
			}
			return n, send()
		case errors.As(err, &part):
			d.complain(part)
			continue
		case err != nil:
			return n, err
		}
		if len(text)+len(r.Body) > messageBytes {
			if err := send(); err != nil {
				return n, err
			}
		}
		if text == nil {
			text = append(text, `{"records":[`...)
		} else {
			text = append(text, ',')
		}
		text = append(text, r.Body...)
		n++
	}
	return n, nil
}

// watch looks for alerts that are new or have grown, and shows them if told to.
func (d *development) watch(ctx context.Context, s store.Store, show bool) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	p := newPage(d.sys.Out, d.sys.OutTerminal)
	for a, err := range s.Alerts(ctx, store.Query{MinStage: rule.Enabled}) {
		if err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return fmt.Errorf("look for new alerts: %w", err)
		}
		before, known := d.known[a.ID]
		if known && before.count == a.Count && before.severity == a.Severity {
			continue
		}
		d.known[a.ID] = shown{a.Count, a.Severity}
		if !show {
			continue
		}
		doc := newAlertDocument(&a, d.names)
		state := stateNew
		if known {
			state = "+" + number(a.Count-before.count)
		}
		p.fit(severityStyle(a.Severity), strings.ToUpper(a.Severity.String()), severityColumns).space(gap).
			fit(plain, doc.LastSeen.Format(minutes), timeColumns).space(gap).
			right(bold, state, 6).space(gap).put(bold, doc.RuleID).space(gap).
			put(plain, whoText(doc)).space(gap).put(faint, string(doc.ID)).end()
	}
	return p.flush()
}

// page writes to the output, one at a time.
func (d *development) page(write func(*page)) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	p := newPage(d.sys.Out, d.sys.OutTerminal)
	write(p)
	return p.flush()
}

func (d *development) complain(err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.sys.complain(err)
}

// handlerLog shows what goes wrong of the log lines of the host and the handler. The others are for machines.
type handlerLog struct{ dev *development }

func (h *handlerLog) Write(b []byte) (int, error) {
	var line struct {
		Level    string `json:"level"`
		Message  string `json:"msg"`
		Function string `json:"function"`
		Error    string `json:"error"`
		Line     string `json:"line"` // of the handler's standard error
	}
	for text := range strings.Lines(string(b)) {
		line.Level = ""
		if json.Unmarshal([]byte(text), &line) != nil {
			h.dev.complain(errors.New(text)) // not one of our own
			continue
		}
		if line.Level != slog.LevelError.String() && line.Level != slog.LevelWarn.String() {
			continue
		}
		var about []string
		for _, s := range []string{line.Function, line.Message, line.Error, line.Line} {
			if s != "" {
				about = append(about, strings.ReplaceAll(s, "\n", " "))
			}
		}
		h.dev.complain(errors.New(strings.Join(about, ": ")))
	}
	return len(b), nil
}

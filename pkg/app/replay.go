package app

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"

	"github.com/assay-sec/assay/pkg/alert"
	"github.com/assay-sec/assay/pkg/api"
	"github.com/assay-sec/assay/pkg/azfunc"
	"github.com/assay-sec/assay/pkg/decode"
	"github.com/assay-sec/assay/pkg/replay"
	"github.com/assay-sec/assay/pkg/replay/archive"
	"github.com/assay-sec/assay/pkg/replay/blobs"
	"github.com/assay-sec/assay/pkg/replay/capture"
	"github.com/assay-sec/assay/pkg/replay/eventhubs"
	"github.com/assay-sec/assay/pkg/replay/files"
	"github.com/assay-sec/assay/pkg/rule"
	"github.com/assay-sec/assay/pkg/store"
)

// The app settings of replays.
const (
	settingReplayGroup = "REPLAY_CONSUMER_GROUP" // of replays alone; empty: replay
	settingReplayFiles = "ASSAY_REPLAY_FILES"    // a folder that replays may read, on a machine of one's own; empty: none
	settingCapture     = "ASSAY_CAPTURE"         // ADDRESS/CONTAINER/NAMESPACE of what Event Hubs Capture keeps; empty: nothing
	settingArchive     = "ASSAY_ARCHIVE"         // the address of the account of what diagnostic settings archive; empty: none
	defaultReplayGroup = "replay"
)

// hubSettings are the hubs that the functions read, by the setting that names the hub and the prefix of its connection.
var hubSettings = []hubSetting{
	{"SIGNIN_EVENTHUB", "SigninEvents"}, {"MAILBOX_EVENTHUB", "MailboxEvents"}, {"TOKEN_EVENTHUB", "TokenEvents"},
}

type hubSetting struct{ name, prefix string }

// categoryName is what a name of a container may end in, behind insights-logs-.
var categoryName = regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+)*$`)

// The kinds of sources, as they stand in front of a source's name.
const (
	kindHub     = "hub:"
	kindCapture = "capture:" // HUB
	kindArchive = "archive:" // CATEGORY, as in the container's name
	kindFile    = "file:"
)

// Limits of replays in the function app.
const (
	replayRate   = 1 << 20         // bytes a second, of all replays together
	replayAtOnce = 4               // slices that are worked on at the same time
	replayLease  = 5 * time.Minute // of a slice
	replayTurn   = 2 * time.Minute // of one call; the host's functionTimeout is ten minutes
	replayCall   = 4 * time.Minute // after which a call is given up
	replayPage   = 32              // messages of a page, as maxEventBatchSize: a message can be large, an instance is small
	poisonAfter  = 5               // maxDequeueCount of host.json
)

// replays are what the function app needs for replays.
type replays struct {
	runner  *replay.Runner
	enqueue func(ctx context.Context, m replay.Message, after time.Duration) error
}

// newReplays makes the replays of the service.
func (s *Service) newReplays(d decode.Decoder, getenv func(string) string) *replays {
	queue, err := openQueue(getenv)
	if err != nil {
		s.log.Warn("replays cannot be started", "error", err)
	}
	sources := &serviceSources{getenv: getenv}
	r := NewReplayRunner(s.store, func() *Rules { return s.config.Current().rules }, d, s.version, "", replay.WallClock{})
	r.Source = sources.source
	r.Tenants = func(source string) []string { return s.config.Current().bound(boundAs(source)) }
	r.Rate, r.AtOnce, r.Lease, r.Workers = replayRate, replayAtOnce, replayLease, 1
	r.Retention = store.DefaultRetention
	if retention := s.config.Current().retention; retention > 0 {
		r.Retention = retention
	}
	r.Page = func(page *replay.Report) {
		if err := s.enqueue(context.Background(), s.config.Current().dispatcher, page.Pipeline); err != nil {
			s.log.Error("the deliveries of a replay's alerts could not be made", "error", err)
		}
	}
	return &replays{runner: r, enqueue: func(ctx context.Context, m replay.Message, after time.Duration) error {
		return enqueueText(ctx, queue, m.String(), after)
	}}
}

// NewReplayRunner returns what runs replays on the store with the rules that are in use when a turn begins. It has no source yet, and no limits. tenant is the one of
// records that name none, or "".
func NewReplayRunner(b Backend, rules func() *Rules, d decode.Decoder, version, tenant string, c replay.Clock) *replay.Runner {
	return &replay.Runner{
		Documents: replay.NewDocuments(b), Store: b, Clock: c, Lease: replayLease,
		Tenants: func(string) []string { return nil },
		Pipeline: func(ids []string, s store.Store) (replay.Processor, alert.Provenance, error) {
			only := rules().Only(ids)
			path, err := NewPipeline(only, d, s, tenant, c.Now)
			return path, only.Provenance("", version), err
		},
		ID: func() string {
			return alert.ReplayPrefix + c.Now().UTC().Format("20060102T150405Z") + "-" + strings.ToLower(rand.Text()[:8])
		},
	}
}

// openSources are sources that are opened once, and kept. The zero value is ready.
type openSources struct {
	mu   sync.Mutex
	open map[string]replay.Source
}

// once returns the source of the name, which open opens if it is not open yet.
func (s *openSources) once(name string, open func(string) (replay.Source, error)) (replay.Source, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if src, ok := s.open[name]; ok {
		return src, nil
	}
	src, err := open(name)
	if err != nil {
		return nil, err
	}
	if s.open == nil {
		s.open = map[string]replay.Source{}
	}
	s.open[name] = src
	return src, nil
}

// serviceSources are the sources that the settings name.
type serviceSources struct {
	getenv func(string) string
	opened openSources
}

func (s *serviceSources) source(name string) (replay.Source, error) {
	return s.opened.once(name, s.make)
}

// boundAs is the name under which the configuration binds a source to tenants: what was captured of a hub, as the hub.
func boundAs(source string) string {
	for _, kind := range []string{kindHub, kindCapture} {
		if hub, ok := strings.CutPrefix(source, kind); ok {
			return hub
		}
	}
	return source
}

func (s *serviceSources) make(name string) (replay.Source, error) {
	if hub, ok := strings.CutPrefix(name, kindHub); ok {
		for _, h := range hubSettings {
			if s.getenv(h.name) == hub && hub != "" {
				return s.hub(hub, h.prefix)
			}
		}
	}
	if hub, ok := strings.CutPrefix(name, kindCapture); ok {
		if at := s.getenv(settingCapture); at != "" && slices.ContainsFunc(hubSettings, func(h hubSetting) bool { return s.getenv(h.name) == hub && hub != "" }) {
			return s.blobs(settingCapture, at+"/"+hub)
		}
	}
	if category, ok := strings.CutPrefix(name, kindArchive); ok {
		if at := s.getenv(settingArchive); at != "" && categoryName.MatchString(category) {
			return s.blobs(settingArchive, strings.TrimSuffix(at, "/")+"/"+archives+category)
		}
	}
	if path, ok := strings.CutPrefix(name, kindFile); ok {
		if root := s.getenv(settingReplayFiles); root != "" && filepath.IsLocal(path) {
			return &files.Source{Path: filepath.Join(root, path)}, nil
		}
	}
	return nil, &replay.Invalid{Field: "sources", Detail: fmt.Sprintf("there is no %q, but %s", name, strings.Join(s.names(), ", "))}
}

func (s *serviceSources) hub(hub, prefix string) (replay.Source, error) {
	o := eventhubs.Options{Hub: hub, ConsumerGroup: s.getenv(settingReplayGroup), PageEvents: replayPage}
	if o.ConsumerGroup == "" {
		o.ConsumerGroup = defaultReplayGroup
	}
	if o.Connection = s.getenv(prefix); o.Connection != "" {
		return eventhubs.New(o)
	}
	if o.Namespace = s.getenv(prefix + "__fullyQualifiedNamespace"); o.Namespace == "" {
		return nil, fmt.Errorf("%s__fullyQualifiedNamespace is not set", prefix)
	}
	var err error
	if o.Credential, err = managed(s.getenv(prefix + suffixClient)); err != nil {
		return nil, err
	}
	return eventhubs.New(o)
}

// blobs returns the source in blobs at an address that a setting gives.
func (s *serviceSources) blobs(setting, address string) (replay.Source, error) {
	src, err := openBlobs(address, s.getenv(SettingReplayBlobs), func() (azcore.TokenCredential, error) {
		return managed(s.getenv(settingStorage + suffixClient))
	})
	if invalid := (*replay.Invalid)(nil); errors.As(err, &invalid) {
		return nil, fmt.Errorf("%s: %s", setting, invalid.Detail) // not of the caller's making
	}
	if c, ok := src.(*capture.Source); ok {
		c.PageEvents = replayPage
	}
	return src, err
}

// names are the sources that there are.
func (s *serviceSources) names() []string {
	var out []string
	for _, h := range hubSettings {
		if hub := s.getenv(h.name); hub != "" {
			out = append(out, kindHub+hub)
			if s.getenv(settingCapture) != "" {
				out = append(out, kindCapture+hub)
			}
		}
	}
	if s.getenv(settingArchive) != "" {
		out = append(out, kindArchive+"CATEGORY")
	}
	if s.getenv(settingReplayFiles) != "" {
		out = append(out, kindFile+"PATH")
	}
	return out
}

// Replays returns the interface for replays.
func (s *Service) Replays() *api.Replays {
	return &api.Replays{
		Runner: s.replays.runner, Enqueue: s.replays.enqueue, CheckRules: func(ids []string) error { return s.config.Current().rules.Check(ids) }, Policy: s.policy, Log: s.log,
	}
}

// Check returns an error that names the ids that are no rules, and those of rules that are off.
func (r *Rules) Check(ids []string) error {
	var errs []error
	for _, id := range ids {
		i := slices.IndexFunc(r.Rules, func(x *rule.Rule) bool { return x.ID == id })
		switch {
		case i < 0:
			errs = append(errs, fmt.Errorf("there is no rule %q", id))
		case r.Rules[i].Stage == rule.Off:
			errs = append(errs, fmt.Errorf("the rule %q is off: %s", id, r.Rules[i].StageReason))
		}
	}
	return errors.Join(errs...)
}

// ReplayChunk returns the handler of the queue of replays: it works on one slice for a while, and asks for the next turn.
func (s *Service) ReplayChunk(binding string) azfunc.Handler {
	return azfunc.HandlerFunc(func(ctx context.Context, in *azfunc.Invocation) (*azfunc.Result, error) {
		message, err := in.Value(binding)
		if err != nil {
			return nil, err
		}
		text, err := message.Peel()
		var m replay.Message
		if err == nil {
			m, err = replay.ParseMessage(text)
		}
		if err != nil {
			// Running it again would not mend it.
			s.log.ErrorContext(ctx, "a message of the replays could not be read", "error", err)
			return nil, nil //nolint:nilnil // an invocation without outputs
		}
		last := false
		if count, err := in.Metadata["DequeueCount"].Peel(); err == nil {
			n, err := strconv.Atoi(count)
			last = err == nil && n >= poisonAfter
		}
		ctx, cancel := context.WithTimeout(ctx, replayCall)
		defer cancel()
		next, err := s.replays.runner.Turn(ctx, m, replayTurn, last)
		if err == nil && next.Again {
			err = s.replays.enqueue(ctx, next.Message, next.After)
		}
		if err != nil {
			s.log.ErrorContext(ctx, "a turn of a replay failed", "replay", m.Replay, "slice", m.Slice, "turn", m.Turn, "last", last, "error", err)
			return nil, err
		}
		s.log.InfoContext(ctx, "turn of a replay ended", "replay", m.Replay, "slice", m.Slice, "turn", m.Turn, "again", next.Again)
		return nil, nil //nolint:nilnil // an invocation without outputs
	})
}

// expireReplays marks the slices failed that nobody works on any longer.
func (s *Service) expireReplays(ctx context.Context) error {
	expired, err := s.replays.runner.Expire(ctx)
	for i := range expired {
		s.log.ErrorContext(ctx, "a slice of a replay has failed", "replay", expired[i].Replay, "slice", expired[i].Number, "error", expired[i].Error)
	}
	return err
}

// SettingReplayHubs names the environment variable with the connection string of an emulator of Event Hubs, for a command line.
const SettingReplayHubs = "ASSAY_EVENTHUBS"

// SettingReplayBlobs names the setting with the connection string of an emulator of Azure Storage, which replays read.
const SettingReplayBlobs = "ASSAY_BLOBS"

// ReplaySources are the sources that a command line names: a file or folder, sb://NAMESPACE/HUB, or a container of blobs of
// Capture or of diagnostic settings. Azure's are opened as whom the environment says: a signed-in az, a managed identity, and
// so on.
type ReplaySources struct {
	Group      string // consumer group
	Connection string // see SettingReplayHubs; "": Azure
	Blobs      string // see SettingReplayBlobs; "": Azure

	opened openSources
}

// Source returns the source of a name. A source is opened once, and kept.
func (s *ReplaySources) Source(name string) (replay.Source, error) {
	return s.opened.once(name, s.make)
}

func (s *ReplaySources) make(name string) (replay.Source, error) {
	if strings.HasPrefix(name, kindBlobs) || s.Blobs != "" && strings.HasPrefix(name, "http://") {
		return s.blobs(name)
	}
	rest, ok := strings.CutPrefix(name, kindNamespace)
	if !ok {
		if scheme, _, found := strings.Cut(name, "://"); found {
			return nil, &replay.Invalid{Field: "sources", Detail: fmt.Sprintf("%s:// is no kind of source: a file, a folder, %sNAMESPACE/HUB, or %sACCOUNT.blob.core.windows.net/CONTAINER", scheme, kindNamespace, kindBlobs)}
		}
		return &files.Source{Path: name}, nil
	}
	namespace, hub, _ := strings.Cut(rest, "/")
	if namespace == "" || hub == "" || strings.Contains(hub, "/") {
		return nil, &replay.Invalid{Field: "sources", Detail: fmt.Sprintf("%q is not of the form %sNAMESPACE/HUB", name, kindNamespace)}
	}
	o := eventhubs.Options{Hub: hub, ConsumerGroup: s.Group, Namespace: namespace, Connection: s.Connection, PageEvents: commandPage}
	if o.Connection == "" {
		var err error
		if o.Credential, err = azidentity.NewDefaultAzureCredential(nil); err != nil {
			return nil, fmt.Errorf("find out as whom to read %s: %w", name, err)
		}
	}
	return eventhubs.New(o)
}

// archives is how containers of diagnostic settings are called; others are taken for those of Capture.
const archives = "insights-logs-"

// blobs returns the source in a container.
func (s *ReplaySources) blobs(name string) (replay.Source, error) {
	return openBlobs(name, s.Blobs, func() (azcore.TokenCredential, error) { return azidentity.NewDefaultAzureCredential(nil) })
}

// openBlobs returns the source in a container: ADDRESS/insights-logs-CATEGORY, or ADDRESS/CONTAINER/NAMESPACE/HUB of Capture. With
// the connection string of an emulator it needs no credential. An address of another form is an *replay.Invalid.
func openBlobs(name, emulator string, credential func() (azcore.TokenCredential, error)) (replay.Source, error) {
	u, err := url.Parse(name)
	if err != nil || u.RawQuery != "" || u.User != nil {
		return nil, &replay.Invalid{Field: "sources", Detail: "an address of blobs has no query: sign in, instead of a signature in it"}
	}
	if u.Scheme != "https" && emulator == "" {
		return nil, &replay.Invalid{Field: "sources", Detail: fmt.Sprintf("%q is not an https address", name)}
	}
	parts := strings.Split(strings.Trim(u.Path, "/"), "/")
	if emulator != "" && len(parts) > 1 {
		parts = parts[1:] // the account, which an emulator has in the path
	}
	archived := strings.HasPrefix(parts[0], archives)
	if parts[0] == "" || archived && len(parts) != 1 || !archived && len(parts) != 3 {
		return nil, &replay.Invalid{Field: "sources", Detail: fmt.Sprintf("%q is neither ADDRESS/%sCATEGORY nor ADDRESS/CONTAINER/NAMESPACE/HUB", name, archives)}
	}
	var c *blobs.Container
	if emulator != "" {
		c, err = blobs.OpenEmulator(emulator, parts[0])
	} else {
		var who azcore.TokenCredential
		if who, err = credential(); err != nil {
			return nil, fmt.Errorf("find out as whom to read %s: %w", name, err)
		}
		c, err = blobs.Open(u.Scheme+"://"+u.Host+"/"+parts[0], who)
	}
	if err != nil {
		return nil, err
	}
	if archived {
		return &archive.Source{Container: c, Name: parts[0]}, nil
	}
	return &capture.Source{Container: c, Namespace: parts[1], Hub: parts[2]}, nil
}

const (
	kindBlobs     = "https://"
	kindNamespace = "sb://"
	commandPage   = 500 // messages of a page
)

// IsHub tells whether the name is an event hub's, which replays share with the live path.
func (s *ReplaySources) IsHub(name string) bool { return strings.HasPrefix(name, kindNamespace) }

// Close ends the connections.
func (s *ReplaySources) Close(ctx context.Context) error {
	s.opened.mu.Lock()
	defer s.opened.mu.Unlock()
	var errs []error
	for _, src := range s.opened.open {
		if c, ok := src.(interface{ Close(context.Context) error }); ok {
			errs = append(errs, c.Close(ctx))
		}
	}
	return errors.Join(errs...)
}

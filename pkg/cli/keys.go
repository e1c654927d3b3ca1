package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/assay-sec/assay/pkg/app"
	"github.com/assay-sec/assay/pkg/keys"
	"github.com/assay-sec/assay/pkg/reference"
	"github.com/assay-sec/assay/pkg/store"
)

func newKeys(sys *System) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "keys",
		Short: "What is known of the signing keys that Microsoft published, and which ones an application trusts",
		RunE:  needsCommand,
	}
	cmd.AddCommand(newKeysList(sys), newKeysImport(sys), newKeysCheck(sys), newKeysAudit(sys))
	return cmd
}

// keyDocument is a key as `assay keys` writes it as JSON.
type keyDocument struct {
	KID       string       `json:"kid"`
	Verdict   keys.Verdict `json:"verdict"`
	Scope     string       `json:"scope,omitempty"` // consumers or tenants
	Issuer    string       `json:"issuer,omitempty"`
	Cloud     string       `json:"cloud,omitempty"`
	SHA1      string       `json:"sha1,omitempty"`
	NotBefore time.Time    `json:"notBefore,omitzero"`
	NotAfter  time.Time    `json:"notAfter,omitzero"`
	FirstSeen time.Time    `json:"firstSeen,omitzero"`
	LastSeen  time.Time    `json:"lastSeen,omitzero"`
	Note      string       `json:"note,omitempty"`
	Dangerous bool         `json:"dangerous"`
}

func newKeyDocument(t *keys.Trusted) keyDocument {
	note := t.Note
	if t.Bad != nil {
		note = cmp.Or(t.Bad.Note, t.Bad.Source)
	}
	return keyDocument{
		KID: t.KID, Verdict: t.Verdict, Scope: t.Scope, Issuer: t.Issuer, Cloud: t.Cloud, SHA1: t.SHA1, NotBefore: t.NotBefore, NotAfter: t.NotAfter,
		FirstSeen: t.FirstSeen, LastSeen: t.LastSeen, Note: note, Dangerous: t.Dangerous(),
	}
}

// knownKeys is the reference data of the configuration with what the store has recorded, if there is a store.
func knownKeys(ctx context.Context, sys *System, at *storeFlag, c *configFlag) (ref *reference.Data, history reference.Source, err error) {
	conf, err := c.load()
	if err != nil {
		return nil, history, err
	}
	ref, err = reference.New(conf.Reference)
	if err != nil {
		return nil, history, fmt.Errorf("load the reference data: %w", err)
	}
	path, err := at.resolve(sys)
	if err != nil {
		return nil, history, err
	}
	if _, err := os.Stat(path); path == noStore || at.path == "" && errors.Is(err, fs.ErrNotExist) {
		return ref, history, nil
	}
	s, err := app.OpenExistingStore(ctx, path)
	if err != nil {
		return nil, history, err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	state, ok := s.(store.State)
	if !ok {
		return ref, history, nil
	}
	h := keys.History{State: state}
	if history, err = h.Load(ctx, time.Time{}); err != nil {
		return nil, history, err
	}
	under := keys.Under(history, ref.Key)
	return ref, history, ref.Learn(under.Keys, under.Fetches)
}

func newKeysList(sys *System) *cobra.Command {
	var (
		at storeFlag
		c  configFlag
	)
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the published keys that are known, those seen last first",
		Args:  noArgs,
	}
	at.add(cmd, "the SQLite file that keeps the history (default: in your state folder)")
	c.add(cmd)
	form := outputFlag(cmd, formTable, formJSON)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		ref, history, err := knownKeys(cmd.Context(), sys, &at, &c)
		if err != nil {
			return err
		}
		var docs []keyDocument
		for _, k := range ref.Keys() {
			t := keys.Judge(k, ref, sys.Now())
			docs = append(docs, newKeyDocument(&t))
		}
		slices.SortStableFunc(docs, func(a, b keyDocument) int {
			return cmp.Or(b.LastSeen.Compare(a.LastSeen), strings.Compare(a.KID, b.KID))
		})
		if form.value == formJSON {
			return writeJSON(sys.Out, "  ", docs)
		}
		p := newPage(sys.Out, sys.OutTerminal)
		p.keys(docs)
		p.end()
		p.line(faint, counted(int64(len(docs)), "key")+"; first and last seen in the copies that are known, not first and last published")
		p.readings(history.Fetches)
		return p.flush()
	}
	return cmd
}

// keys lists keys for people.
func (p *page) keys(docs []keyDocument) {
	const verdictColumns, scopeColumns, dayColumns = len("withdrawn"), len("consumers"), len("2006-01-02")
	p.fit(faint, "VERDICT", verdictColumns).space(gap).fit(faint, "KEY", 27).space(gap).fit(faint, "SIGNS FOR", scopeColumns).space(gap).
		fit(faint, "CERTIFICATE TO", 14).space(gap).fit(faint, "LAST SEEN", dayColumns).end()
	for _, d := range docs {
		p.fit(verdictStyle(d.Verdict), string(d.Verdict), verdictColumns).space(gap).fit(bold, d.KID, 27).space(gap).
			fit(plain, cmp.Or(d.Scope, "-"), scopeColumns).space(gap).fit(plain, dayText(d.NotAfter), 14).space(gap).put(plain, dayText(d.LastSeen)).end()
		if d.Note != "" && d.Dangerous {
			p.wrap(faint, verdictColumns+gap, d.Note)
		}
	}
}

func dayText(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.UTC().Format(time.DateOnly)
}

func verdictStyle(v keys.Verdict) style {
	switch v {
	case keys.Stolen, keys.Altered:
		return alarm
	case keys.Withdrawn, keys.Expired:
		return boldRed
	case keys.Published:
		return green
	case keys.Unknown:
	}
	return yellow
}

// readings tells when each document was read.
func (p *page) readings(fetches []reference.Fetch) {
	type span struct {
		n           int64
		first, last time.Time
	}
	by := map[string]span{}
	for _, f := range fetches {
		s := by[f.Document]
		if s.n == 0 || f.At.Before(s.first) {
			s.first = f.At
		}
		if f.At.After(s.last) {
			s.last = f.At
		}
		s.n++
		by[f.Document] = s
	}
	for _, name := range slices.Sorted(keysOf(by)) {
		s := by[name]
		p.wrap(faint, 0, fmt.Sprintf("%s: %s from %s to %s", name, counted(s.n, "reading"), moment(s.first), moment(s.last)))
	}
}

func keysOf[V any](m map[string]V) func(func(string) bool) {
	return func(yield func(string) bool) {
		for k := range m {
			if !yield(k) {
				return
			}
		}
	}
}

func newKeysImport(sys *System) *cobra.Command {
	var (
		at             storeFlag
		document, when string
	)
	cmd := &cobra.Command{
		Use:   "import FILE...",
		Short: "Add copies of keys documents to the history",
		Long: `Add copies of keys documents to the history. With --document and --at it counts as a reading of the whole document at that time, which
tells, too, which keys were not there; without them only the keys are added.`,
	}
	at.add(cmd, "the SQLite file that keeps the history (default: in your state folder)")
	cmd.Flags().StringVar(&document, "document", "", "which document it is: common, organizations, consumers or a tenant id")
	cmd.Flags().StringVar(&when, "at", "", "when it was read, such as 2024-07-01T12:00:00Z")
	cmd.RunE = func(cmd *cobra.Command, args []string) (err error) {
		var read time.Time
		switch {
		case len(args) == 0:
			return usage(cmd, errors.New("name the copies of keys documents"))
		case (document == "") != (when == ""):
			return usage(cmd, errors.New("--document and --at belong together"))
		case document != "" && len(args) > 1:
			return usage(cmd, errors.New("--document and --at are of one copy"))
		case document != "":
			if _, err := keys.Address(keys.Authority, document); err != nil {
				return usage(cmd, err)
			}
			if read, err = time.Parse(time.RFC3339, when); err != nil {
				return usage(cmd, fmt.Errorf("--at is %q, but is to be a time such as 2024-07-01T12:00:00Z", when))
			}
		}
		var docs []*keys.Document
		for _, path := range args {
			d, err := readKeys(path, document, read)
			if err != nil {
				return err
			}
			docs = append(docs, d)
		}
		path, err := at.resolve(sys)
		if err != nil {
			return err
		}
		s, err := app.OpenStore(cmd.Context(), path)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, s.Close()) }()
		state, ok := s.(store.State)
		if !ok {
			return errors.New("the store keeps no history of keys")
		}
		h := keys.History{State: state}
		p := newPage(sys.Out, sys.OutTerminal)
		for i, d := range docs {
			added, err := h.Record(cmd.Context(), d)
			if err != nil {
				return fmt.Errorf("%s: %w", args[i], err)
			}
			p.line(plain, fmt.Sprintf("%s: %s, %d new", args[i], counted(int64(len(d.Keys)), "key"), len(added)))
		}
		return p.flush()
	}
	return cmd
}

// readKeys reads a copy of a keys document.
func readKeys(path, document string, at time.Time) (*keys.Document, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close() //nolint:errcheck // nothing was written
	const most = 1<<20 + 1
	body, err := io.ReadAll(io.LimitReader(f, most))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	d, err := keys.Parse(body, document, at)
	if err != nil {
		return nil, fmt.Errorf("%s %w", path, err)
	}
	return d, nil
}

func newKeysCheck(sys *System) *cobra.Command {
	var (
		at   storeFlag
		c    configFlag
		when string
	)
	cmd := &cobra.Command{
		Use:   "check KID",
		Short: "Say what is known of one key, by its kid, x5t or the SHA-1 of its certificate",
		Long: `Say what is known of one key, by its kid, x5t or the SHA-1 of its certificate in hex.

Exit code 2: nobody may trust it any more.`,
		Args: oneArg("the kid of a key"),
	}
	at.add(cmd, "the SQLite file that keeps the history (default: in your state folder)")
	c.add(cmd)
	cmd.Flags().StringVar(&when, "at", "", "at that time, such as 2023-06-15T03:00:00Z (default: now)")
	form := outputFlag(cmd, formTable, formJSON)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		then := sys.Now()
		if when != "" {
			var err error
			if then, err = time.Parse(time.RFC3339, when); err != nil {
				return usage(cmd, fmt.Errorf("--at is %q, but is to be a time such as 2023-06-15T03:00:00Z", when))
			}
		}
		ref, _, err := knownKeys(cmd.Context(), sys, &at, &c)
		if err != nil {
			return err
		}
		k := reference.Key{KID: args[0]}
		if _, ok := ref.Key(k.KID); !ok {
			for _, known := range ref.Keys() {
				if known.SHA1 != "" && strings.EqualFold(known.SHA1, strings.ReplaceAll(args[0], ":", "")) {
					k = known
				}
			}
		}
		t := keys.Judge(k, ref, then)
		d := newKeyDocument(&t)
		if form.value == formJSON {
			err = writeJSON(sys.Out, "  ", d)
		} else {
			p := newPage(sys.Out, sys.OutTerminal)
			p.key(d)
			err = p.flush()
		}
		if err == nil && d.Dangerous {
			return exit(exitAlerts)
		}
		return err
	}
	return cmd
}

// key writes what is known of one key.
func (p *page) key(d keyDocument) {
	p.fit(verdictStyle(d.Verdict), strings.ToUpper(string(d.Verdict)), nameColumns).put(bold, d.KID).end()
	for _, row := range [][2]string{
		{"", d.Note},
		{"signs for", d.Scope},
		{"issuer", d.Issuer},
		{"cloud", d.Cloud},
		{"certificate", d.SHA1},
		{"valid", spanText(d.NotBefore, d.NotAfter)},
		{"seen", spanText(d.FirstSeen, d.LastSeen)},
	} {
		if row[1] != "" {
			p.named(row[0], plain, row[1])
		}
	}
}

func spanText(from, to time.Time) string {
	if from.IsZero() && to.IsZero() {
		return ""
	}
	return dayText(from) + " to " + dayText(to)
}

func newKeysAudit(sys *System) *cobra.Command {
	var (
		at       storeFlag
		c        configFlag
		insecure bool
	)
	cmd := &cobra.Command{
		Use:   "audit URL|FILE",
		Short: "Say whether a key cache, or a copy of a keys document, still trusts a stolen or withdrawn key",
		Long: `Say whether a key cache, or a copy of a keys document, still trusts a key that is known to be stolen, was withdrawn, or has expired. It reads a
JSON Web Key Set from a file or an address, over https alone unless it is on this machine.

Exit code 2: it trusts such a key.`,
		Args: oneArg("the address or the file of a key set"),
	}
	at.add(cmd, "the SQLite file that keeps the history (default: in your state folder)")
	c.add(cmd)
	cmd.Flags().BoolVar(&insecure, "insecure", false, "read http from other machines, too")
	form := outputFlag(cmd, formTable, formJSON)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		ref, _, err := knownKeys(cmd.Context(), sys, &at, &c)
		if err != nil {
			return err
		}
		var d *keys.Document
		if lower := strings.ToLower(args[0]); strings.HasPrefix(lower, "https://") || strings.HasPrefix(lower, "http://") {
			d, err = keys.NewReader(sys.Now, insecure).Read(cmd.Context(), args[0], "")
		} else {
			d, err = readKeys(args[0], "", sys.Now())
		}
		if errors.Is(err, keys.ErrPlain) {
			return fmt.Errorf("%w: --insecure reads it all the same", err)
		}
		if err != nil {
			return err
		}
		var docs []keyDocument
		dangerous := 0
		for _, t := range keys.Audit(d, ref, sys.Now()) {
			docs = append(docs, newKeyDocument(&t))
			if t.Dangerous() {
				dangerous++
			}
		}
		slices.SortStableFunc(docs, func(a, b keyDocument) int { return rank(a.Verdict) - rank(b.Verdict) })
		if form.value == formJSON {
			err = writeJSON(sys.Out, "  ", docs)
		} else {
			p := newPage(sys.Out, sys.OutTerminal)
			p.keys(docs)
			p.end()
			if dangerous > 0 {
				p.put(boldRed, counted(int64(dangerous), "key")+" must not be trusted: ").wrap(plain, 0,
					"whoever trusts this set takes tokens that Microsoft did not sign. Refresh the cache from the published document, and look at what was accepted.")
			} else {
				p.line(green, "no key of the set is known to be stolen, withdrawn or expired")
			}
			err = p.flush()
		}
		if err == nil && dangerous > 0 {
			return exit(exitAlerts)
		}
		return err
	}
	return cmd
}

func rank(v keys.Verdict) int {
	return slices.Index([]keys.Verdict{keys.Stolen, keys.Altered, keys.Withdrawn, keys.Expired, keys.Unknown, keys.Published}, v)
}

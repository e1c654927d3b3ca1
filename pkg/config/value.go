package config

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"

	"github.com/assay-sec/assay/pkg/event"
)

// Bounds of a document.
const (
	MaxSize     = 16 << 20 // bytes of a document
	maxText     = 1 << 10  // bytes of one text in it
	maxProblems = 1000     // mistakes that are told apart
)

// document gathers the mistakes of one document while its values are read.
type document struct {
	file     string
	problems Problems
	dropped  int
}

func (d *document) add(p Problem) {
	if len(d.problems) == maxProblems {
		d.dropped++
		return
	}
	p.File = d.file
	d.problems = append(d.problems, p)
}

// err returns the mistakes in the order of the document.
func (d *document) err() error {
	if len(d.problems) == 0 {
		return nil
	}
	slices.SortStableFunc(d.problems, func(a, b Problem) int {
		if a.Line != b.Line {
			return a.Line - b.Line
		}
		return a.Column - b.Column
	})
	if d.dropped > 0 {
		d.problems = append(d.problems, Problem{File: d.file, Text: fmt.Sprintf("%d more mistakes", d.dropped)})
	}
	return d.problems
}

// parse reads the YAML into nodes; ok is false where there is nothing to read on. Nodes do not expand aliases, so an
// alias bomb is as small as it is written.
func (d *document) parse(text []byte) (root value, ok bool) {
	if len(text) > MaxSize {
		d.add(Problem{Text: fmt.Sprintf("the document is larger than %d MiB", MaxSize>>20)})
		return value{}, false
	}
	if !utf8.Valid(text) {
		line := 1
		for rest := text; len(rest) > 0; {
			r, n := utf8.DecodeRune(rest)
			if r == utf8.RuneError && n == 1 {
				break
			}
			if r == '\n' {
				line++
			}
			rest = rest[n:]
		}
		d.add(Problem{Line: line, Text: "the document is not valid UTF-8"})
		return value{}, false
	}
	dec := yaml.NewDecoder(bytes.NewReader(text))
	var top, second yaml.Node
	switch err := decodeNode(dec, &top); {
	case errors.Is(err, io.EOF):
		return value{}, false // an empty document says nothing, and that is allowed
	case err != nil:
		d.add(syntaxProblem(err))
		return value{}, false
	}
	switch err := decodeNode(dec, &second); {
	case errors.Is(err, io.EOF):
	case err != nil:
		d.add(syntaxProblem(err))
	default:
		d.add(Problem{Line: second.Line, Column: second.Column, Text: "a second document: there can be only one in the file"})
	}
	if len(top.Content) == 0 {
		return value{}, false
	}
	return value{doc: d, node: top.Content[0]}, true
}

// decodeNode turns a panic of the YAML parser, which has a few for states it deems impossible, into an error.
func decodeNode(dec *yaml.Decoder, n *yaml.Node) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("yaml: %v", r)
		}
	}()
	return dec.Decode(n)
}

var yamlPlace = regexp.MustCompile(`^yaml: (?:line (\d+): )?`)

func syntaxProblem(err error) Problem {
	text := err.Error()
	m := yamlPlace.FindStringSubmatch(text)
	p := Problem{Text: "not valid YAML: " + text}
	if m != nil {
		p.Text = "not valid YAML: " + text[len(m[0]):]
		p.Line, _ = strconv.Atoi(m[1])
	}
	if p.Line == 0 {
		p.Line = 1
	}
	return p
}

// value is a node of the document together with its path. Its readers record what is wrong and return a zero value,
// so that reading goes on and finds the next mistake.
type value struct {
	doc  *document
	node *yaml.Node
	path string
}

func (v value) fail(format string, args ...any) {
	v.doc.add(Problem{Line: v.node.Line, Column: v.node.Column, Field: v.path, Text: fmt.Sprintf(format, args...)})
}

func (v value) at(node *yaml.Node, path string) value { return value{v.doc, node, path} }

func (v value) member(name string, node *yaml.Node) value {
	if v.path != "" {
		name = v.path + "." + name
	}
	return v.at(node, name)
}

func (v value) null() bool { return v.node.Kind == yaml.ScalarNode && v.node.Tag == "!!null" }

// is reports whether the node is of the kind, and records it if not. A null is no mistake, but it is nothing either:
// a key whose entries are all commented out reads as not given.
func (v value) is(kind yaml.Kind, what string) bool {
	switch {
	case v.node.Anchor != "":
		v.fail("anchors (&%s) and aliases are not supported: what all tenants share belongs under defaults", bound(v.node.Anchor))
	case v.node.Kind == yaml.AliasNode:
		v.fail("aliases (*%s) are not supported: what all tenants share belongs under defaults", bound(v.node.Value))
	case v.node.Kind == kind && v.node.Style&yaml.TaggedStyle != 0:
		v.fail("tags (%s) are not supported", bound(v.node.Tag))
	case v.node.Kind == kind && !(kind == yaml.ScalarNode && v.null()):
		return true
	case v.null() && kind != yaml.ScalarNode:
	case v.null():
		v.fail("has no value: %s is wanted", what)
	default:
		v.fail("is %s: %s is wanted", kindName(v.node), what)
	}
	return false
}

func kindName(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "a mapping"
	case yaml.SequenceNode:
		return "a list"
	case yaml.ScalarNode:
		return strconv.Quote(bound(n.Value))
	}
	return "nothing"
}

// entries calls f for each key and value of a mapping. A key that stands twice is a mistake, and so is one that is not a
// plain text.
func (v value) entries(f func(key, val value)) {
	if !v.is(yaml.MappingNode, "a mapping") {
		return
	}
	lines := map[string]int{}
	for i := 0; i+1 < len(v.node.Content); i += 2 {
		k, n := v.node.Content[i], v.node.Content[i+1]
		if k.Kind == yaml.ScalarNode && k.Tag == "!!merge" {
			v.member("<<", k).fail("merge keys are not supported: what all tenants share belongs under defaults")
			continue
		}
		name := bound(k.Value)
		key := v.member(name, k)
		if k.Kind != yaml.ScalarNode {
			key = v.at(k, v.path)
		}
		if !key.is(yaml.ScalarNode, "a text as the key") {
			continue
		}
		if line, twice := lines[k.Value]; twice {
			key.fail("stands twice in the same mapping: first on line %d", line)
			continue
		}
		lines[k.Value] = k.Line
		f(key, v.member(name, n))
	}
}

// keys reads a mapping whose keys are known. Any other key is a mistake.
func (v value) keys(known map[string]func(value)) {
	v.entries(func(key, val value) {
		read, ok := known[key.node.Value]
		if !ok {
			key.fail("unknown key%s", suggestion(key.node.Value, known))
			return
		}
		read(val)
	})
}

// require records keys that the mapping lacks.
func (v value) require(names ...string) {
	if v.node.Kind != yaml.MappingNode {
		return
	}
	for _, name := range names {
		found := false
		for i := 0; i < len(v.node.Content); i += 2 {
			found = found || v.node.Content[i].Value == name
		}
		if !found {
			v.fail("lacks the key %q", name)
		}
	}
}

// list calls f for each item. It reports whether the list was given at all, be it empty.
func (v value) list(f func(value)) bool {
	if !v.is(yaml.SequenceNode, "a list") {
		return false
	}
	for i, n := range v.node.Content {
		f(v.at(n, fmt.Sprintf("%s[%d]", v.path, i)))
	}
	return true
}

func (v value) text(what string) (string, bool) {
	if !v.is(yaml.ScalarNode, what) {
		return "", false
	}
	s := v.node.Value
	switch {
	case strings.TrimSpace(s) == "":
		v.fail("is empty: %s is wanted", what)
	case len(s) > maxText:
		v.fail("is %d bytes long: at most %d are allowed", len(s), maxText)
	default:
		return s, true
	}
	return "", false
}

// parsed reads a text with f, whose error becomes the mistake.
func parsed[T any](v value, what string, f func(string) (T, error)) (T, bool) {
	var zero T
	s, ok := v.text(what)
	if !ok {
		return zero, false
	}
	x, err := f(s)
	if err != nil {
		v.fail("%q is not %s%s", bound(s), what, reason(err))
		return zero, false
	}
	return x, true
}

// errPlain is the error of a parser that has nothing to add to "is not …".
var errPlain = errors.New("")

func reason(err error) string {
	if err == errPlain {
		return ""
	}
	return ": " + err.Error()
}

// guid reads a GUID into lower case.
func (v value) guid() (string, bool) {
	return parsed(v, "a GUID such as 00000003-0000-0000-c000-000000000000", func(s string) (string, error) {
		g, err := event.ParseGUID(s)
		if err != nil {
			return "", errPlain
		}
		return g.String(), nil
	})
}

func (v value) addr() (netip.Addr, bool) {
	return parsed(v, "an IP address", func(s string) (netip.Addr, error) {
		a, err := netip.ParseAddr(s)
		if err != nil || a.Zone() != "" {
			return a, errPlain
		}
		return a.Unmap(), nil
	})
}

// date reads a UTC day.
func (v value) date() (time.Time, bool) {
	return parsed(v, "a date such as 2023-05-15", func(s string) (time.Time, error) {
		t, err := time.Parse(time.DateOnly, s)
		if err != nil {
			return t, errPlain
		}
		return t, nil
	})
}

// duration reads a length of time greater than zero.
func (v value) duration() (time.Duration, bool) {
	return parsed(v, "a duration such as 90m or 28h10m", func(s string) (time.Duration, error) {
		d, err := time.ParseDuration(s)
		switch {
		case err != nil:
			return d, errPlain
		case d <= 0:
			return d, errors.New("it must be greater than zero")
		}
		return d, nil
	})
}

// pattern reads a regular expression of RE2.
func (v value) pattern() (*regexp.Regexp, bool) {
	return parsed(v, "a regular expression", regexp.Compile)
}

// thumbprint reads the SHA-1 of a certificate, in hex or base64url, into the base64url that tokens carry as kid and x5t.
func (v value) thumbprint() (string, bool) {
	return parsed(v, "a SHA-1 thumbprint in hex (40 digits) or base64url (27 characters)", func(s string) (string, error) {
		if b, err := hex.DecodeString(strings.ReplaceAll(s, ":", "")); err == nil && len(b) == 20 {
			return base64.RawURLEncoding.EncodeToString(b), nil
		}
		if b, err := base64.RawURLEncoding.Strict().DecodeString(s); err == nil && len(b) == 20 {
			return s, nil
		}
		return "", errPlain
	})
}

// host reads a host name into lower case, with nothing around it.
func (v value) host() (string, bool) {
	return parsed(v, "a host name such as login.microsoftonline.com", func(s string) (string, error) {
		if !hostName.MatchString(s) || len(s) > 253 {
			return "", errPlain
		}
		return strings.ToLower(s), nil
	})
}

var hostName = regexp.MustCompile(`^(?i)(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$`)

// word reads one of the words, whatever the case.
func (v value) word(words ...string) (string, bool) {
	return parsed(v, "one of "+strings.Join(words, ", "), func(s string) (string, error) {
		for _, w := range words {
			if strings.EqualFold(s, w) {
				return w, nil
			}
		}
		return "", errPlain
	})
}

// flag reads true or false. YAML 1.1's yes, no, on and off are not among them.
func (v value) flag() (flag, ok bool) {
	w, ok := v.word("true", "false")
	return w == "true", ok
}

// list reads a list of values of one type; nil means that the list was not given.
func list[T any](v value, read func(value) (T, bool)) []T {
	out := []T{}
	if !v.list(func(item value) {
		if x, ok := read(item); ok {
			out = append(out, x)
		}
	}) {
		return nil
	}
	return out
}

// bound cuts a text for a message.
func bound(s string) string {
	const most = 64
	if len(s) <= most {
		return s
	}
	cut := most
	for cut > 0 && !utf8.RuneStart(s[cut]) {
		cut--
	}
	return s[:cut] + "…"
}

// suggestion names the known key that is written most alike.
func suggestion[T any](got string, known map[string]T) string {
	best, least := "", 3
	for name := range known {
		d := distance(strings.ToLower(got), strings.ToLower(name))
		if d < least || d == least && best != "" && name < best {
			best, least = name, d
		}
	}
	if best != "" {
		return fmt.Sprintf(": do you mean %q?", best)
	}
	names := make([]string, 0, len(known))
	for name := range known {
		names = append(names, name)
	}
	slices.Sort(names)
	if len(names) > 20 {
		return ""
	}
	return ": known are " + strings.Join(names, ", ")
}

// distance is Levenshtein's, in bytes: enough for keys of ASCII letters.
func distance(a, b string) int {
	if len(a) > 64 || len(b) > 64 {
		return 64
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			diagonal, row[j+1] = row[j+1], min(diagonal+cost, row[j+1]+1, row[j]+1)
		}
	}
	return row[len(b)]
}

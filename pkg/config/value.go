package config

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"

	"github.com/assay-sec/assay/pkg/alert"
	"github.com/assay-sec/assay/pkg/event"
)

// Bounds of a document.
const (
	MaxSize     = 16 << 20 // bytes of a document
	maxText     = 512      // bytes of one text in it
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

// count returns how many mistakes have been found.
func (d *document) count() int { return len(d.problems) + d.dropped }

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

var yamlPlace = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^yaml: (?:line (\d+): )?`) })

func syntaxProblem(err error) Problem {
	text := err.Error()
	m := yamlPlace().FindStringSubmatch(text)
	p := Problem{Text: "not valid YAML: " + text}
	if m != nil {
		p.Text = "not valid YAML: " + text[len(m[0]):]
		p.Line, _ = strconv.Atoi(m[1])
	}
	// The library counts lines from 0 where its parser finds the mistake, and from 1 where its scanner does.
	if p.Line == 0 || strings.Contains(p.Text, "did not find expected") {
		p.Line++
	}
	return p
}

// value is a node of the document together with its path. Its readers record what is wrong and return a zero value,
// so that reading goes on and finds the next mistake.
type value struct {
	doc    *document
	node   *yaml.Node
	path   string
	schema *schema // where the value describes what it would hold: see Schema
}

func (v value) fail(format string, args ...any) {
	if v.describing() {
		return
	}
	v.doc.add(Problem{Line: v.node.Line, Column: v.node.Column, Field: v.path, Text: fmt.Sprintf(format, args...)})
}

func (v value) at(node *yaml.Node, path string) value {
	return value{doc: v.doc, node: node, path: path}
}

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
	case v.null() && kind != yaml.ScalarNode:
	case v.null():
		v.fail("has no value: %s is wanted", what)
	case v.node.Kind == kind:
		return true
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
	default:
		return strconv.Quote(bound(n.Value))
	}
}

// entries calls f for each key and value of a mapping. A key that stands twice is a mistake, and so is one that is not a
// plain text.
func (v value) entries(f func(key, val value)) {
	if v.describing() {
		val, of := v.child()
		v.schema.Type, v.schema.Others = orNull("object"), of
		f(val, val)
		return
	}
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
	if v.describing() {
		v.describeKeys(known)
		return
	}
	v.entries(func(key, val value) {
		if read, ok := known[key.node.Value]; ok {
			read(val)
			return
		}
		key.fail("unknown key%s", suggestion(key.node.Value, known))
	})
}

// members reads a mapping whose keys are names of something, of which those that there are are known.
func (v value) members(known map[string]bool, what string, f func(name string, val value)) {
	if v.describing() {
		val, of := v.child()
		v.schema.Type, v.schema.Others = orNull("object"), of
		v.schema.Names = &schema{Enum: slices.Sorted(maps.Keys(known))}
		f("", val)
		return
	}
	v.entries(func(key, val value) {
		if name := key.node.Value; known[name] {
			f(name, val)
		} else {
			key.fail("there is no such %s%s", what, suggestion(name, known))
		}
	})
}

// require records keys that the mapping lacks.
func (v value) require(names ...string) {
	if v.describing() {
		v.schema.Required = names
		return
	}
	for _, name := range names {
		if v.node.Kind == yaml.MappingNode && !v.has(name) {
			v.fail("lacks the key %q", name)
		}
	}
}

func (v value) has(name string) bool {
	for i := 0; i < len(v.node.Content); i += 2 {
		if v.node.Content[i].Value == name {
			return true
		}
	}
	return false
}

// requireOne records that the mapping has none of the keys.
func (v value) requireOne(names ...string) {
	if v.describing() {
		for _, name := range names {
			v.schema.AnyOf = append(v.schema.AnyOf, &schema{Required: []string{name}})
		}
		return
	}
	if v.node.Kind != yaml.MappingNode || slices.ContainsFunc(names, v.has) {
		return
	}
	v.fail("lacks one of the keys %s", strings.Join(names, ", "))
}

// list calls f for each item. It reports whether the list was given at all, be it empty.
func (v value) list(f func(value)) bool {
	if v.describing() {
		item, of := v.child()
		v.schema.Type, v.schema.Items = orNull("array"), of
		f(item)
		return false
	}
	if !v.is(yaml.SequenceNode, "a list") {
		return false
	}
	for i, n := range v.node.Content {
		f(v.at(n, fmt.Sprintf("%s[%d]", v.path, i)))
	}
	return true
}

func (v value) text(what string) (string, bool) {
	if v.describing() {
		v.schema.Description = what
		if v.schema.Type == nil {
			v.schema.Type = "string"
		}
		return "", false
	}
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
	if errors.Is(err, errPlain) {
		return ""
	}
	return ": " + err.Error()
}

// guid reads a GUID into lower case.
func (v value) guid() (string, bool) {
	id, ok := parsed(v, "a GUID such as 00000003-0000-0000-c000-000000000000", func(s string) (string, error) {
		g, err := event.ParseGUID(s)
		if err != nil {
			return "", errPlain
		}
		return g.String(), nil
	})
	if ok && alert.IsSmoke(id) {
		v.fail("%s is the tenant of smoke tests, which no configuration may contain", id)
		return "", false
	}
	return id, ok
}

// addr reads an IP address: one, not a range.
func (v value) addr() (string, bool) {
	return parsed(v, "an IP address", func(s string) (string, error) {
		a, err := netip.ParseAddr(s)
		if err != nil || a.Zone() != "" {
			return "", errPlain
		}
		return a.Unmap().String(), nil
	})
}

// date reads a UTC day.
func (v value) date() (string, bool) {
	return parsed(v, "a date such as 2023-05-15", func(s string) (string, error) {
		if _, err := time.Parse(time.DateOnly, s); err != nil {
			return "", errPlain
		}
		return s, nil
	})
}

// instant reads a time with its zone.
func (v value) instant() (time.Time, bool) {
	return parsed(v, "a time such as 2023-05-15T03:00:00Z", func(s string) (time.Time, error) {
		t, err := time.Parse(time.RFC3339, s)
		if err != nil {
			return t, errPlain
		}
		return t.UTC(), nil
	})
}

// whole reads a whole number between the bounds.
func (v value) whole(what string, least, most int) (int, bool) {
	if v.describing() {
		v.schema.Type, v.schema.Minimum, v.schema.Maximum = "integer", &least, &most
	}
	return parsed(v, fmt.Sprintf("%s from %d to %d", what, least, most), func(s string) (int, error) {
		n, err := strconv.Atoi(s)
		if err != nil || n < least || n > most {
			return 0, errPlain
		}
		return n, nil
	})
}

// share reads a number from 0 to 1.
func (v value) share() (float64, bool) {
	if v.describing() {
		none, all := 0, 1
		v.schema.Type, v.schema.Minimum, v.schema.Maximum = "number", &none, &all
	}
	return parsed(v, "a share from 0 to 1", func(s string) (float64, error) {
		x, err := strconv.ParseFloat(s, 64)
		if err != nil || !(x >= 0 && x <= 1) {
			return 0, errPlain
		}
		return x, nil
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
func (v value) pattern() (string, bool) {
	return parsed(v, "a regular expression", func(s string) (string, error) {
		_, err := regexp.Compile(s)
		return s, err
	})
}

// digest reads a hash of that many bytes in hex, with or without colons, into lower case.
func (v value) digest(what string, size int) (string, bool) {
	return parsed(v, fmt.Sprintf("a %s in hex (%d digits)", what, 2*size), func(s string) (string, error) {
		b, err := hex.DecodeString(strings.ReplaceAll(s, ":", ""))
		if err != nil || len(b) != size {
			return "", errPlain
		}
		return hex.EncodeToString(b), nil
	})
}

func (v value) sha1() (string, bool)   { return v.digest("SHA-1", 20) }
func (v value) sha256() (string, bool) { return v.digest("SHA-256", 32) }

// thumbprint reads the SHA-1 or the SHA-256 of a certificate.
func (v value) thumbprint() (string, bool) {
	return parsed(v, "a SHA-1 or a SHA-256 in hex (40 or 64 digits)", func(s string) (string, error) {
		b, err := hex.DecodeString(strings.ReplaceAll(s, ":", ""))
		if err != nil || len(b) != 20 && len(b) != 32 {
			return "", errPlain
		}
		return hex.EncodeToString(b), nil
	})
}

// asn reads the number of an autonomous system, with or without the letters AS before it.
func (v value) asn() (int64, bool) {
	if v.describing() {
		v.schema.Type = []string{"integer", "string"}
	}
	return parsed(v, "the number of an autonomous system such as 64500", func(s string) (int64, error) {
		n, err := strconv.ParseUint(strings.TrimPrefix(strings.ToUpper(s), "AS"), 10, 32)
		if err != nil || n == 0 {
			return 0, errPlain
		}
		return int64(n), nil
	})
}

// prefix reads a network.
func (v value) prefix() (string, bool) {
	return parsed(v, "a network such as 192.0.2.0/24", func(s string) (string, error) {
		p, err := netip.ParsePrefix(s)
		switch {
		case err != nil || p.Addr().Is4In6():
			return "", errPlain
		case p.Masked() != p:
			return "", fmt.Errorf("it is %s up to its last bit", p.Masked())
		}
		return p.String(), nil
	})
}

// tokenID reads a token id (uti) in any form in which logs write one.
func (v value) tokenID() (string, bool) {
	return parsed(v, "a token id", func(s string) (string, error) {
		if _, err := event.ParseTokenID(s); err != nil {
			return "", errPlain
		}
		return s, nil
	})
}

// phrase reads any text.
func (v value) phrase() (string, bool) { return v.text("a text") }

// issuer reads the issuer that a keys document gives for a key.
func (v value) issuer() (string, bool) {
	return parsed(v, "an issuer such as https://login.microsoftonline.com/{tenantid}/v2.0", func(s string) (string, error) {
		if !strings.HasPrefix(s, "https://") {
			return "", errPlain
		}
		return s, nil
	})
}

// host reads a host name into lower case, with nothing around it.
func (v value) host() (string, bool) {
	return parsed(v, "a host name such as login.microsoftonline.com", func(s string) (string, error) {
		if !hostName().MatchString(s) || len(s) > 253 {
			return "", errPlain
		}
		return strings.ToLower(s), nil
	})
}

var hostName = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^(?i)(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$`)
})

// word reads one of the words, whatever the case.
func (v value) word(words ...string) (string, bool) {
	if v.describing() {
		v.schema.Enum = words
	}
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
	if v.describing() {
		v.schema.Type, v.schema.Description = "boolean", "true or false"
		return false, false
	}
	w, ok := v.word("true", "false")
	return w == "true", ok
}

// into returns a reader that keeps what read makes of the value.
func into[T any](dst *T, read func(value) (T, bool)) func(value) {
	return func(v value) {
		if x, ok := read(v); ok {
			*dst = x
		}
	}
}

// each returns a reader of a list, which is not nil afterwards, be it empty: given and empty is not the same as not given.
func each[T any](dst *[]T, read func(value) (T, bool)) func(value) {
	return func(v value) {
		items := []T{}
		if v.list(func(item value) {
			if x, ok := read(item); ok {
				items = append(items, x)
			}
		}) {
			*dst = items
		}
	}
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

// Package sigma compiles users' Sigma rules (https://sigmahq.io, specification 2) to the predicates of package rule, so that one
// engine evaluates them beside the built-in ones, with the same three truths, evidence and alerts.
//
// It compiles text that it is given and does no I/O. It judges one record at a time: correlation, aggregation and filters of other
// rules need more than one record or rule, and are mistakes. So is everything that it does not know (a modifier, a field of the log
// source, a log source, a value that cannot be one of its field): a rule that is silently dead is worse than none. Each mistake has
// its file, line and column, all of them are told at once, and a rule with a mistake keeps no other from being compiled.
//
// # Truth
//
// A comparison of a field that the log does not hold, or holds as null, is Unknown, and so is its negation: `not filter` does not
// become true because the field of the filter was not logged. A condition is decided by Kleene's logic: what is Unknown may be
// outweighed, and a rule that stays Unknown is counted as not evaluable, with the missing fields. In detail:
//
//   - `field: null` is about absence itself: true where the log has no such field or holds null for it, false where it holds
//     anything, be it an empty text. It is never Unknown.
//   - `field|exists: true` is true where the log has the field, be it null or empty; false is the negation. It is never Unknown.
//   - `field: ”` is true for an empty text, and Unknown where the field is absent or null. To mean both, say both: [”, null].
//   - A list in the log is true for a comparison if one of its elements is. An empty list is false.
//   - Numbers compare as numbers, and a text that is no number is Unknown; cidr of what is no address is Unknown.
//   - minute, hour, day, week (ISO 8601), month and year are those of UTC.
//   - Keywords are looked for in every value of the record, not in its names, and are true or false.
//
// Texts are compared whatever the case, by Unicode's simple case folding, unless cased. Regular expressions are those of package
// regexp, which take linear time; they match anywhere in the text and mind the case unless i is given.
//
// # Fields
//
// A rule may call a field as any feed does: `properties.userPrincipalName` (Event Hubs), `UserPrincipalName` (Log Analytics),
// `userPrincipalName` (Microsoft Graph), `RawEventData.UserId` (Defender XDR), or as Assay's own evidence does: `actor.name`. Case,
// blanks, underscores and wrappers do not matter. It means the same in every feed. Below lists and objects further names may stand,
// as in `DeviceDetail.trustType` or `Parameters.ForwardTo`, and those are not checked, for the feeds document no closed set. The
// fields are those in names.go.
//
// # What is Assay's own
//
// A rule may have a map `assay` with strength (weak if left out), stage, key (a field by which its findings are grouped, the user if
// left out), evades and runbook. Its id is its `name`, or that of its file.
package sigma

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"
	"sync"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"

	"github.com/assay-sec/assay/pkg/decode"
	"github.com/assay-sec/assay/pkg/rule"
)

// File is a file of rules: one or more YAML documents.
type File struct {
	Name string
	Text []byte
}

// Options of a compilation.
type Options struct {
	// Placeholders are the values of %placeholders%, by name in any case.
	Placeholders map[string][]string
	// Taken are ids that rules cannot have, since others have them.
	Taken []string
}

// Set is what was compiled. Its rules can be evaluated only on events of a normalizer that was asked for Extras and Record: see
// normalize.Normalizer.With.
type Set struct {
	Rules     []*rule.Rule
	Extras    []decode.Extra
	Record    bool
	Documents []Document
	Hash      string // SHA-256 in hex of all that was compiled
}

// Document is one YAML document, and what became of it.
type Document struct {
	File     string
	Line     int // on which it begins
	Title    string
	Source   string     // product/service
	Rule     *rule.Rule // nil where there are problems
	Problems []Problem
}

// Problem is a mistake and its place. Line and Column count from 1; 0 means that the mistake is about the whole file.
type Problem struct {
	File         string
	Line, Column int
	Text         string
}

func (p Problem) Error() string {
	switch {
	case p.Line == 0:
		return p.File + ": " + p.Text
	case p.Column == 0:
		return fmt.Sprintf("%s:%d: %s", p.File, p.Line, p.Text)
	}
	return fmt.Sprintf("%s:%d:%d: %s", p.File, p.Line, p.Column, p.Text)
}

// Problems returns every mistake, in the order of the files.
func (s *Set) Problems() []Problem {
	var out []Problem
	for _, d := range s.Documents {
		out = append(out, d.Problems...)
	}
	return out
}

// Err returns every mistake, or nil.
func (s *Set) Err() error {
	var errs []error
	for _, p := range s.Problems() {
		errs = append(errs, p)
	}
	return errors.Join(errs...)
}

// Bounds of a file.
const (
	maxFile      = 4 << 20 // bytes
	maxDocuments = 10_000
	maxProblems  = 100 // of one document
)

// Compile compiles the rules of all files.
func Compile(files []File, o Options) *Set {
	c := &compiler{wants: newWants(), placeholders: map[string][]string{}, ids: map[string]string{}}
	for name, values := range o.Placeholders {
		c.placeholders[strings.ToLower(name)] = values
	}
	for _, id := range o.Taken {
		c.ids[id] = "a built-in rule"
	}
	sum := sha256.New()
	for _, f := range files {
		_, _ = fmt.Fprintf(sum, "%q %d\n%s", f.Name, len(f.Text), f.Text) // a hash returns no error
		c.file(f)
	}
	for _, name := range slices.Sorted(maps.Keys(c.placeholders)) {
		_, _ = fmt.Fprintf(sum, "%q %q\n", name, c.placeholders[name])
	}
	c.set.Hash = hex.EncodeToString(sum.Sum(nil))
	c.set.Extras, c.set.Record = c.wants.extras, c.wants.record
	return &c.set
}

type compiler struct {
	set          Set
	wants        *wants
	placeholders map[string][]string
	ids          map[string]string // where the rule of an id stands
}

func (c *compiler) file(f File) {
	broken := func(line int, text string) {
		c.set.Documents = append(c.set.Documents, Document{File: f.Name, Line: line, Problems: []Problem{{File: f.Name, Line: line, Text: text}}})
	}
	switch {
	case len(f.Text) > maxFile:
		broken(0, fmt.Sprintf("is larger than %d MiB", maxFile>>20))
		return
	case !utf8.Valid(f.Text):
		broken(0, "is not UTF-8")
		return
	}
	dec := yaml.NewDecoder(bytes.NewReader(f.Text))
	rules := 0
	for n := 0; ; n++ {
		var top yaml.Node
		err := decodeNode(dec, &top)
		if err != nil {
			if line, text, eof := syntax(err); !eof {
				broken(line, text)
			} else if n == 0 {
				broken(0, "holds no rule")
			}
			return
		}
		if n == maxDocuments {
			broken(top.Line, fmt.Sprintf("holds more than %d documents", maxDocuments))
			return
		}
		if len(top.Content) == 0 || isNullNode(top.Content[0]) {
			continue // nothing between two separators
		}
		rules++
		d := &document{Document: Document{File: f.Name, Line: top.Content[0].Line}}
		before, record := len(c.wants.extras), c.wants.record
		r := c.rule(d, top.Content[0], fallbackID(f.Name, rules))
		if len(d.Problems) > 0 {
			c.wants.forget(before)
			c.wants.record = record
		} else {
			d.Rule = r
			c.set.Rules = append(c.set.Rules, r)
		}
		slices.SortStableFunc(d.Problems, func(a, b Problem) int {
			if a.Line != b.Line {
				return a.Line - b.Line
			}
			return a.Column - b.Column
		})
		c.set.Documents = append(c.set.Documents, d.Document)
	}
}

// fallbackID is the id of the nth rule of a file, where it has no name.
func fallbackID(file string, n int) string {
	stem := path.Base(strings.ReplaceAll(file, `\`, "/"))
	id := kebab(strings.TrimSuffix(stem, path.Ext(stem)))
	if n > 1 {
		id = fmt.Sprintf("%s-%d", id, n)
	}
	return id
}

var notKebab = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`[^a-z0-9]+`) })

func kebab(s string) string {
	return strings.Trim(notKebab().ReplaceAllString(strings.ToLower(s), "-"), "-")
}

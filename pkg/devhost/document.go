package devhost

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/assay-sec/assay/pkg/azfunc"
)

// Problem is something in a configuration file that the Functions host would not accept, or that this stand-in does not
// do. The host ignores most of these without a word.
type Problem struct {
	File  string // relative to the script root
	Field string // such as "bindings[0].cardinality"; empty: the file as a whole
	Text  string
}

func (p *Problem) Error() string {
	if p.Field == "" {
		return fmt.Sprintf("%s: %s", p.File, p.Text)
	}
	return fmt.Sprintf("%s: %s: %s", p.File, p.Field, p.Text)
}

// document is one configuration file that is being read. It keeps all problems, so that they are told at once.
type document struct {
	file     string
	problems []error
}

func (d *document) problem(field, format string, args ...any) {
	d.problems = append(d.problems, &Problem{File: d.file, Field: field, Text: fmt.Sprintf(format, args...)})
}

func (d *document) err() error { return errors.Join(d.problems...) }

// readDocument parses a file into its outer object. missing is true if there is no such file.
func readDocument(path, name string) (d *document, root *object, missing bool) {
	d = &document{file: name}
	text, err := os.ReadFile(path)
	if err != nil {
		d.problem("", "%v", err)
		return d, d.object("", nil), errors.Is(err, os.ErrNotExist)
	}
	var tree any
	if err := json.Unmarshal(text, &tree); err != nil {
		var syntax *json.SyntaxError
		if errors.As(err, &syntax) {
			err = fmt.Errorf("line %d: %w", 1+strings.Count(string(text[:syntax.Offset]), "\n"), err)
		}
		d.problem("", "%v", err)
		return d, d.object("", nil), false
	}
	members, ok := tree.(map[string]any)
	if !ok {
		d.problem("", "want a JSON object")
	}
	return d, d.object("", members), false
}

// object is a JSON object of a document. Its members are asked for one by one; rest tells which nobody asked for.
type object struct {
	doc     *document
	path    string
	members map[string]any
	asked   map[string]bool
}

func (d *document) object(path string, members map[string]any) *object {
	return &object{doc: d, path: path, members: members, asked: map[string]bool{}}
}

func (o *object) field(name string) string {
	if o.path == "" {
		return name
	}
	return o.path + "." + name
}

func (o *object) problem(name, format string, args ...any) {
	o.doc.problem(o.field(name), format, args...)
}

// setting is a member that an app setting gives. It is a text, whatever type is asked for.
type setting string

// as reads the setting as a value of the type of want.
func (s setting) as(want any) any {
	switch want.(type) {
	case string:
		return string(s)
	case bool:
		if b, err := strconv.ParseBool(strings.ToLower(string(s))); err == nil && len(s) > 1 {
			return b
		}
	case float64:
		if f, err := strconv.ParseFloat(string(s), 64); err == nil {
			return f
		}
	}
	return nil
}

// get returns a member of type T, or the fallback if it is missing or null.
func get[T any](o *object, name, want string, fallback T) T {
	o.asked[name] = true
	v, ok := o.members[name]
	if !ok || v == nil {
		return fallback
	}
	if s, ok := v.(setting); ok {
		v = s.as(fallback)
	}
	t, ok := v.(T)
	if !ok {
		o.problem(name, "want %s", want)
		return fallback
	}
	return t
}

func (o *object) has(name string) bool {
	_, ok := o.members[name]
	return ok
}

func (o *object) text(name, fallback string) string { return get(o, name, "a string", fallback) }

func (o *object) required(name string) string {
	s := o.text(name, "")
	if s == "" {
		o.problem(name, "is required")
	}
	return s
}

func (o *object) oneOf(name, fallback string, allowed ...string) string {
	s := o.text(name, fallback)
	if !slices.Contains(allowed, s) {
		o.problem(name, "want one of %q, found %q", allowed, s)
		return fallback
	}
	return s
}

func (o *object) flag(name string) bool { return get(o, name, "true or false", false) }

func (o *object) number(name string, fallback, least int) int {
	f := get(o, name, "a number", float64(fallback))
	n := int(f)
	if float64(n) != f || n < least {
		o.problem(name, "want a whole number from %d on, found %v", least, f)
		return fallback
	}
	return n
}

func (o *object) duration(name string, fallback time.Duration) time.Duration {
	s := o.text(name, "")
	if s == "" {
		return fallback
	}
	d, err := azfunc.ParseTimeSpan(s)
	if err != nil {
		o.problem(name, "%v", err)
		return fallback
	}
	return d
}

func (o *object) texts(name string) []string {
	var out []string
	for i, v := range get(o, name, "a list of strings", []any{}) {
		s, ok := v.(string)
		if !ok {
			o.problem(fmt.Sprintf("%s[%d]", name, i), "want a string")
		}
		out = append(out, s)
	}
	return out
}

// child returns a member that is an object; a missing one is empty.
func (o *object) child(name string) *object {
	return o.doc.object(o.field(name), get(o, name, "an object", map[string]any{}))
}

func (o *object) children(name string) []*object {
	var out []*object
	for i, v := range get(o, name, "a list of objects", []any{}) {
		path := fmt.Sprintf("%s[%d]", o.field(name), i)
		members, ok := v.(map[string]any)
		if !ok {
			o.doc.problem(path, "want an object")
		}
		out = append(out, o.doc.object(path, members))
	}
	return out
}

// ignore names members that have no effect here, whatever their value: they concern Azure's side, or tune what a
// stand-in does not have.
func (o *object) ignore(names ...string) {
	for _, n := range names {
		o.asked[n] = true
	}
}

// rest reports every member that nobody asked for.
func (o *object) rest() {
	for _, name := range slices.Sorted(maps.Keys(o.members)) {
		if o.asked[name] {
			continue
		}
		hint := ""
		for _, known := range slices.Sorted(maps.Keys(o.asked)) {
			if strings.EqualFold(known, name) {
				hint = fmt.Sprintf("; did you mean %q?", known)
			}
		}
		o.problem(name, "is not known or not supported by the local host%s", hint)
	}
}

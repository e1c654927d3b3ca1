package sigma

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"

	"go.yaml.in/yaml/v3"

	"github.com/assay-sec/assay/pkg/event"
	"github.com/assay-sec/assay/pkg/rule"
)

// document gathers what is wrong with a document while it is read.
type document struct {
	Document
	logsource string
}

func (d *document) fail(n *yaml.Node, format string, args ...any) {
	d.failAt(n.Line, n.Column, fmt.Sprintf(format, args...))
}

func (d *document) failAt(line, column int, text string) {
	if len(d.Problems) < maxProblems {
		d.Problems = append(d.Problems, Problem{d.File, line, column, text})
	}
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

// syntax tells what the YAML parser found, and where.
func syntax(err error) (line int, text string, eof bool) {
	if errors.Is(err, io.EOF) {
		return 0, "", true
	}
	text = err.Error()
	if m := yamlPlace().FindStringSubmatch(text); m != nil {
		line, _ = strconv.Atoi(m[1])
		text = text[len(m[0]):]
	}
	return max(line, 1), "not valid YAML: " + text, false
}

type entry struct{ key, value *yaml.Node }

// mapping returns the entries of a map whose keys are texts.
func (d *document) mapping(n *yaml.Node, what string) []entry {
	if n.Kind != yaml.MappingNode {
		d.fail(n, "%s is to be a map", what)
		return nil
	}
	var out []entry
	lines := map[string]int{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		k, v := n.Content[i], n.Content[i+1]
		switch {
		case k.Kind != yaml.ScalarNode || k.Tag == "!!merge":
			d.fail(k, "is not a text as a key: aliases and merge keys are not supported")
			continue
		case lines[k.Value] > 0:
			d.fail(k, "%q stands twice in the same map: first on line %d", k.Value, lines[k.Value])
			continue
		}
		lines[k.Value] = k.Line
		out = append(out, entry{k, v})
	}
	return out
}

// aliases records the aliases below the node, which are not followed: a small text could stand for a huge one.
func (d *document) aliases(n *yaml.Node) {
	if n.Kind == yaml.AliasNode {
		d.fail(n, "aliases (*%s) are not supported", n.Value)
		return
	}
	for _, c := range n.Content {
		d.aliases(c)
	}
}

// text reads a text that is not empty.
func (d *document) text(n *yaml.Node, what string) string {
	if n == nil {
		return ""
	}
	if n.Kind != yaml.ScalarNode || strings.TrimSpace(n.Value) == "" || isNullNode(n) {
		d.fail(n, "%s is to be a text", what)
		return ""
	}
	return strings.TrimSpace(n.Value)
}

// texts reads a list of texts, or one.
func (d *document) texts(n *yaml.Node, what string) []string {
	switch {
	case n == nil || isNullNode(n):
		return nil
	case n.Kind == yaml.ScalarNode:
		return []string{d.text(n, what)}
	case n.Kind != yaml.SequenceNode:
		d.fail(n, "%s is to be a list of texts", what)
		return nil
	}
	var out []string
	for _, x := range n.Content {
		if s := d.text(x, what); s != "" {
			out = append(out, s)
		}
	}
	return out
}

// elsewhere are documents that are no rules, by the key that tells.
var elsewhere = map[string]string{
	"correlation": "correlation rules need a history, and Assay judges each record alone",
	"filter":      "filters of other rules are not supported: write the exception into the rule",
	"action":      "collections (action) are of the first Sigma specification: write each rule out",
}

// rule compiles a document. Where it has problems the rule is not to be used.
func (c *compiler) rule(d *document, root *yaml.Node, fallback string) *rule.Rule {
	d.aliases(root)
	at := map[string]*yaml.Node{}
	for _, e := range d.mapping(root, "a rule") {
		at[e.key.Value] = e.value
		if why := elsewhere[e.key.Value]; why != "" {
			d.fail(e.key, "%s", why)
		}
	}
	if len(d.Problems) > 0 {
		return nil
	}
	d.Title = d.text(at["title"], "title")
	for _, key := range []string{"title", "logsource", "detection"} {
		if at[key] == nil {
			d.fail(root, "lacks %s", key)
		}
	}
	if t := at["taxonomy"]; t != nil && t.Value != "sigma" {
		d.fail(t, "the taxonomy %q is not supported: fields are those of Sigma or of the feeds", t.Value)
	}
	r := &rule.Rule{ID: fallback, Title: d.Title, Version: version(at), Stage: rule.Enabled, Key: rule.Key{Name: "user", Of: func(ev *event.Event) string { return firstText(user, ev) }}}
	if n := at["name"]; n != nil {
		if r.ID = kebab(d.text(n, "name")); r.ID == "" {
			d.fail(n, "the name %q has neither letters nor digits", n.Value)
		}
	}
	place := fmt.Sprintf("%s:%d", d.File, d.Line)
	if first, taken := c.ids[r.ID]; taken {
		d.fail(root, "the id %q is that of %s: give the rule a name of its own", r.ID, first)
	} else {
		c.ids[r.ID] = place
	}
	leg := rule.Leg{ID: "sigma", Why: fmt.Sprintf("the record matches the Sigma rule “%s”", d.Title), Severity: d.level(at["level"])}
	d.status(r, at["status"])
	d.doc(r, at)
	from := d.source(at["logsource"])
	if from == nil {
		if at["detection"] != nil {
			d.mapping(at["detection"], "detection")
		}
		return nil
	}
	r.Kinds, r.Scope = []event.Kind{from.kind}, from.scope
	d.own(c, r, &leg, from, at["assay"])
	for i, p := range c.detection(d, *from, at["detection"]) {
		l := leg
		if i > 0 {
			l.ID = fmt.Sprintf("%s-%d", leg.ID, i+1)
		}
		l.When = p
		r.Legs = append(r.Legs, l)
	}
	return r
}

// version makes the number of the rule's version of the day on which it was modified: 20240513.
func version(at map[string]*yaml.Node) int {
	for _, key := range []string{"modified", "date"} {
		if n := at[key]; n != nil && day().MatchString(n.Value) {
			v, _ := strconv.Atoi(n.Value[:4] + n.Value[5:7] + n.Value[8:10])
			return v
		}
	}
	return 1
}

var day = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[1-9]\d{3}[-/]\d{2}[-/]\d{2}`) })

// levels are the severities by Sigma's names.
var levels = map[string]rule.Severity{
	"informational": rule.Info, "low": rule.Low, "medium": rule.Medium, "high": rule.High, "critical": rule.Critical,
}

func (d *document) level(n *yaml.Node) rule.Severity {
	if n == nil {
		return rule.Medium
	}
	s, ok := levels[n.Value]
	if !ok {
		d.fail(n, "the level is %q, which is none of informational, low, medium, high, critical", n.Value)
	}
	return s
}

// status sets the stage: what its author is not sure of pages nobody.
func (d *document) status(r *rule.Rule, n *yaml.Node) {
	if n == nil {
		return
	}
	switch n.Value {
	case "stable", "test":
	case "experimental":
		r.Stage, r.StageReason = rule.Observe, "its author calls it experimental"
	case "deprecated", "unsupported":
		r.Stage, r.StageReason = rule.Off, "its author calls it "+n.Value
	default:
		d.fail(n, "the status is %q, which is none of stable, test, experimental, deprecated, unsupported", n.Value)
	}
}

var technique = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^attack\.(t\d{4}(?:\.\d{3})?)$`) })

// doc fills what a person needs to judge an alert.
func (d *document) doc(r *rule.Rule, at map[string]*yaml.Node) {
	r.Doc = rule.Doc{
		Proves:         "What its author says: nothing was written",
		Evades:         "Not said by its author.",
		FalsePositives: d.texts(at["falsepositives"], "falsepositives"),
		Sources:        d.texts(at["references"], "references"),
		Runbook: []string{
			"Read what the rule looks for and its references, then the record: which of its values are unusual for this user?",
			"See whether the user, the address or the application has another alert that day().",
		},
	}
	if n := at["description"]; n != nil {
		r.Doc.Proves = strings.Join(strings.Fields(d.text(n, "description")), " ")
	}
	for _, tag := range d.texts(at["tags"], "tags") {
		tag = strings.ToLower(tag)
		if m := technique().FindStringSubmatch(tag); m != nil {
			r.Doc.Attack = append(r.Doc.Attack, strings.ToUpper(m[1]))
		} else {
			r.Doc.Tags = append(r.Doc.Tags, tag)
		}
	}
	if n := at["id"]; n != nil {
		if _, err := event.ParseGUID(n.Value); err != nil {
			d.fail(n, "the id %q is not a UUID", n.Value)
		}
		source := "Sigma rule " + n.Value
		if author := at["author"]; author != nil && author.Kind == yaml.ScalarNode && author.Value != "" {
			source += " by " + author.Value
		}
		r.Doc.Sources = append(r.Doc.Sources, source)
	}
}

// source finds the log source, or says why there is none.
func (d *document) source(n *yaml.Node) *source {
	if n == nil {
		return nil
	}
	at := map[string]*yaml.Node{}
	for _, e := range d.mapping(n, "logsource") {
		at[e.key.Value] = e.value
	}
	if n.Kind != yaml.MappingNode {
		return nil
	}
	product, service := at["product"], at["service"]
	if service == nil {
		service = at["category"]
	}
	var words []string
	for _, x := range []*yaml.Node{product, service} {
		if x != nil {
			words = append(words, strings.ToLower(d.text(x, "logsource")))
		}
	}
	d.Source = strings.Join(words, "/")
	d.logsource = d.Source
	if from, known := sources()[d.Source]; known {
		return &from
	}
	if why, known := unread[d.Source]; known {
		d.fail(n, "%s: %s", d.Source, why)
		return nil
	}
	d.fail(n, "no feed that Assay reads is %q: it reads %s", d.Source, strings.Join(sourceNames(), ", "))
	return nil
}

// own reads what only Assay knows of a rule.
func (d *document) own(c *compiler, r *rule.Rule, leg *rule.Leg, from *source, n *yaml.Node) {
	if n == nil {
		return
	}
	known := map[string]func(*yaml.Node){
		"strength": func(v *yaml.Node) {
			if err := leg.Strength.UnmarshalText([]byte(v.Value)); err != nil {
				d.fail(v, "strength: %v", err)
			}
		},
		"stage": func(v *yaml.Node) {
			if err := r.Stage.UnmarshalText([]byte(v.Value)); err != nil {
				d.fail(v, "stage: %v", err)
			}
			r.StageReason = ""
			if r.Stage != rule.Enabled {
				r.StageReason = "set in the rule"
			}
		},
		"key": func(v *yaml.Node) {
			path, bind, ok := from.names.find(v.Value)
			if !ok {
				d.fail(v, "key: unknown field %q of %s%s", v.Value, d.logsource, suggestion(v.Value, from.names.all()))
				return
			}
			by := bind(c.wants)
			r.Key = rule.Key{Name: path, Of: func(ev *event.Event) string { return firstText(by, ev) }}
		},
		"evades":  func(v *yaml.Node) { r.Doc.Evades = d.text(v, "evades") },
		"runbook": func(v *yaml.Node) { r.Doc.Runbook = d.texts(v, "runbook") },
	}
	for _, e := range d.mapping(n, "assay") {
		read, ok := known[e.key.Value]
		if !ok {
			d.fail(e.key, "assay has no key %q%s", e.key.Value, suggestion(e.key.Value, slices.Sorted(maps.Keys(known))))
			continue
		}
		read(e.value)
	}
}

// detection compiles the conditions.
func (c *compiler) detection(d *document, from source, n *yaml.Node) []rule.Predicate {
	if n == nil {
		return nil
	}
	s := &selections{
		document: d, from: from, wants: c.wants, placeholders: c.placeholders,
		nodes: map[string]*yaml.Node{}, done: map[string]rule.Predicate{},
	}
	var condition *yaml.Node
	var names []string
	for _, e := range d.mapping(n, "detection") {
		switch e.key.Value {
		case "condition":
			condition = e.value
		case "timeframe":
			d.fail(e.key, "timeframe needs a history, and Assay judges each record alone")
		default:
			s.nodes[e.key.Value] = e.value
			names = append(names, e.key.Value)
		}
	}
	if condition == nil {
		d.fail(n, "detection lacks condition")
		return nil
	}
	conditions := []*yaml.Node{condition}
	if condition.Kind == yaml.SequenceNode {
		conditions = condition.Content
	}
	var out []rule.Predicate
	for _, n := range conditions {
		text := n.Value
		if n.Kind != yaml.ScalarNode || strings.TrimSpace(text) == "" {
			d.fail(n, "the condition is to be a text")
			continue
		}
		e, err := parseCondition(text, names)
		if err != nil {
			d.failAt(n.Line, columnOf(n, placeOf(err)), err.Error())
			continue
		}
		out = append(out, s.predicate(e))
	}
	if len(conditions) == 0 {
		d.fail(condition, "the list of conditions is empty")
	}
	// Selections that no condition names are compiled for their mistakes, unless they stand aside by their name.
	for _, name := range slices.Sorted(slices.Values(names)) {
		if _, done := s.done[name]; !done && !strings.HasPrefix(name, "_") && len(d.Problems) > 0 {
			s.selection(s.nodes[name])
		}
	}
	return out
}

// columnOf returns the column of a byte of a text that stands on one line. In a block it is where the block begins.
func columnOf(n *yaml.Node, at int) int {
	switch {
	case n.Style&(yaml.LiteralStyle|yaml.FoldedStyle) != 0:
		return n.Column
	case n.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle) != 0:
		return n.Column + 1 + at
	}
	return n.Column + at
}

package sigma

import (
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/assay-sec/assay/pkg/rule"
)

// selections compiles the selections of one rule.
type selections struct {
	*document
	from         source
	wants        *wants
	placeholders map[string][]string

	nodes map[string]*yaml.Node
	done  map[string]rule.Predicate
}

// predicate compiles a condition.
func (s *selections) predicate(e *expression) rule.Predicate {
	var parts []rule.Predicate
	for _, p := range e.parts {
		parts = append(parts, s.predicate(p))
	}
	switch e.op {
	case "not":
		return rule.Not(parts[0])
	case "and":
		return rule.All(parts...)
	case "or":
		return disjunction(parts)
	}
	p, done := s.done[e.name]
	if !done {
		p = s.selection(s.nodes[e.name])
		s.done[e.name] = p
	}
	return p
}

func disjunction(parts []rule.Predicate) rule.Predicate {
	if len(parts) == 1 {
		return parts[0]
	}
	return rule.Any(parts...)
}

// nothing stands where a mistake was found: what is compiled around it is thrown away.
var nothing = rule.Any()

// selection compiles a map, whose items all hold, or a list of maps and keywords, one of which does.
func (s *selections) selection(n *yaml.Node) rule.Predicate {
	switch {
	case n.Kind == yaml.MappingNode:
		return s.items(n)
	case n.Kind == yaml.ScalarNode && !isNullNode(n):
		return s.keywords(modifiers{}, []*yaml.Node{n})
	case n.Kind != yaml.SequenceNode || len(n.Content) == 0:
		s.fail(n, "is neither a map of fields nor a list")
		return nothing
	}
	var parts []rule.Predicate
	var words []*yaml.Node
	for _, x := range n.Content {
		switch {
		case x.Kind == yaml.MappingNode:
			parts = append(parts, s.items(x))
		case x.Kind == yaml.ScalarNode && !isNullNode(x):
			words = append(words, x)
		default:
			s.fail(x, "is neither a map of fields nor a keyword")
		}
	}
	if len(words) > 0 {
		parts = append(parts, s.keywords(modifiers{}, words))
	}
	return disjunction(parts)
}

func (s *selections) items(n *yaml.Node) rule.Predicate {
	var parts []rule.Predicate
	for _, e := range s.mapping(n, "a selection") {
		parts = append(parts, s.item(e.key, e.value))
	}
	if len(n.Content) == 0 {
		s.fail(n, "names no field")
	}
	// What the engine can look up, and what costs least, comes first: that decides most events.
	slices.SortStableFunc(parts, func(a, b rule.Predicate) int { return cost(a) - cost(b) })
	return rule.All(parts...)
}

func cost(p rule.Predicate) int {
	switch p.(type) {
	case *compare, *refers:
		return 1
	}
	return 0
}

// item compiles one field, its modifiers and its values.
func (s *selections) item(key, value *yaml.Node) rule.Predicate {
	words := strings.Split(key.Value, "|")
	m, mistakes := parseModifiers(words[1:])
	for _, mistake := range mistakes {
		s.fail(key, "%s", mistake)
	}
	list := []*yaml.Node{value}
	if value.Kind == yaml.SequenceNode {
		list = value.Content
		if len(list) == 0 {
			s.fail(value, "%s has no value", key.Value)
		}
	}
	ok := len(mistakes) == 0 && len(list) > 0
	for _, v := range list {
		if v.Kind != yaml.ScalarNode {
			s.fail(v, "is not a value: a text, a number, true, false or null is wanted")
			ok = false
		}
	}
	if words[0] == "" {
		if !ok {
			return nothing
		}
		return s.keywords(m, list)
	}
	path, bind, known := s.from.names.find(words[0])
	if !known {
		s.fail(key, "unknown field %q of %s%s", words[0], s.logsource, suggestion(words[0], s.from.names.all()))
		return nothing
	}
	if !ok {
		return nothing
	}
	f := item{s, path, bind(s.wants), m}
	var p rule.Predicate
	if m.all {
		parts := make([]rule.Predicate, len(list))
		for i, v := range list {
			parts[i] = f.one([]*yaml.Node{v})
		}
		p = rule.All(parts...)
	} else {
		p = f.one(list)
	}
	if m.neq {
		return rule.Not(p)
	}
	return p
}

// keywords compiles texts that stand anywhere in the record.
func (s *selections) keywords(m modifiers, list []*yaml.Node) rule.Predicate {
	if m.cidr || m.exists || m.fieldref || m.comparison != "" || m.part != "" {
		s.fail(list[0], "a keyword has no field that could be compared")
		return nothing
	}
	s.wants.record = true
	if m.position == "" {
		m.position = "contains"
	}
	f := item{s, "record", everything{}, m}
	if !m.all {
		return f.one(list)
	}
	parts := make([]rule.Predicate, len(list))
	for i, v := range list {
		parts[i] = f.one([]*yaml.Node{v})
	}
	return rule.All(parts...)
}

// item is the comparison of one field with values, one of which has to do.
type item struct {
	*selections
	path   string
	values values
	m      modifiers
}

func (f *item) one(list []*yaml.Node) rule.Predicate {
	var parts []rule.Predicate
	var given []*yaml.Node
	for _, n := range list {
		if !isNullNode(n) {
			given = append(given, n)
			continue
		}
		if len(f.m.types()) > 0 || f.m.position != "" || len(f.m.transforms) > 0 || f.m.expand {
			f.fail(n, "null goes with no modifier but neq")
		}
		if _, all := f.values.(everything); all {
			f.fail(n, "null is no keyword")
		}
		parts = append(parts, isNull(f.path, f.values))
	}
	switch {
	case len(given) == 0:
	case f.m.exists:
		parts = append(parts, f.exists(given))
	case f.m.fieldref:
		parts = append(parts, f.fieldref(given)...)
	case f.m.re:
		parts = append(parts, f.regexps(given))
	case f.m.cidr:
		parts = append(parts, f.networks(given))
	case f.m.part != "" || f.m.comparison != "":
		parts = append(parts, f.numbers(given))
	default:
		parts = append(parts, f.patterns(given)...)
	}
	return disjunction(parts)
}

func (f *item) compare(op, operand string, m matcher) rule.Predicate {
	return &compare{f.path, f.values, op, operand, m}
}

func (f *item) exists(list []*yaml.Node) rule.Predicate {
	want, err := strconv.ParseBool(strings.ToLower(list[0].Value))
	if err != nil || len(list) > 1 {
		f.fail(list[0], "exists wants true or false")
	}
	return exists(f.path, f.values, want)
}

func (f *item) fieldref(list []*yaml.Node) []rule.Predicate {
	op := map[string]string{"": "is the same as", "contains": "contains", "startswith": "starts with", "endswith": "ends with"}[f.m.position]
	position, cased := f.m.position, f.m.cased
	holds := func(a, b string) bool {
		g := newGlob(literal(b).at(position), cased)
		return g.match(a)
	}
	switch {
	case position == "" && cased:
		holds = func(a, b string) bool { return a == b }
	case position == "":
		holds = strings.EqualFold
	}
	var out []rule.Predicate
	for _, n := range list {
		path, bind, known := f.from.names.find(n.Value)
		if !known {
			f.fail(n, "unknown field %q of %s%s", n.Value, f.logsource, suggestion(n.Value, f.from.names.all()))
			continue
		}
		out = append(out, &refers{f.values, bind(f.wants), f.path, path, op, holds})
	}
	return out
}

// expand returns the texts that a value stands for.
func (f *item) expand(n *yaml.Node, quote func(string) string) []string {
	if !f.m.expand {
		return []string{scalar(n)}
	}
	list, err := expanded(n.Value, f.placeholders, quote)
	if err != nil {
		f.fail(n, "%v", err)
	}
	return list
}

func (f *item) regexps(list []*yaml.Node) rule.Predicate {
	var all []*regexp.Regexp
	var sources []string
	for _, n := range list {
		for _, s := range f.expand(n, regexp.QuoteMeta) {
			re, err := f.m.regexp(s)
			if err != nil {
				f.fail(n, "is no regular expression: %v", err)
				continue
			}
			all, sources = append(all, re), append(sources, s)
		}
	}
	return f.compare("matches", strings.Join(sources, " or "), func(s string) rule.Truth {
		for _, re := range all {
			if re.MatchString(s) {
				return rule.True
			}
		}
		return rule.False
	})
}

func (f *item) networks(list []*yaml.Node) rule.Predicate {
	var all []netip.Prefix
	var texts []string
	for _, n := range list {
		for _, s := range f.expand(n, plainly) {
			p, err := netip.ParsePrefix(s)
			if err != nil {
				f.fail(n, "%q is no network such as 192.0.2.0/24 or 2001:db8::/32", s)
				continue
			}
			all, texts = append(all, p.Masked()), append(texts, p.Masked().String())
		}
	}
	in := func(a netip.Addr) bool {
		return slices.ContainsFunc(all, func(p netip.Prefix) bool { return p.Contains(a) })
	}
	operand := strings.Join(texts, " or ")
	if a, ok := f.values.(address); ok {
		return rule.Test(a.Field, "is in", operand, in)
	}
	return f.compare("is in", operand, func(s string) rule.Truth {
		a, err := netip.ParseAddr(s)
		if err != nil {
			ap, err := netip.ParseAddrPort(s)
			if err != nil {
				return rule.Unknown // not an address
			}
			a = ap.Addr()
		}
		return truth(in(a.Unmap().WithZone("")))
	})
}

func plainly(s string) string { return s }

// numbers compiles comparisons of numbers, and of parts of a time, which are numbers too.
func (f *item) numbers(list []*yaml.Node) rule.Predicate {
	var all []float64
	var texts []string
	for _, n := range list {
		x, err := strconv.ParseFloat(n.Value, 64)
		if err != nil {
			f.fail(n, "%q is not a number", n.Value)
		}
		all, texts = append(all, x), append(texts, n.Value)
	}
	holds := func(v float64) bool {
		for _, x := range all {
			switch f.m.comparison {
			case "":
				if v == x {
					return true
				}
			case "lt":
				if v < x {
					return true
				}
			case "lte":
				if v <= x {
					return true
				}
			case "gt":
				if v > x {
					return true
				}
			case "gte":
				if v >= x {
					return true
				}
			}
		}
		return false
	}
	op, operand := comparisons[f.m.comparison], strings.Join(texts, " or ")
	if f.m.part != "" {
		at, ok := f.values.(instant)
		if !ok {
			f.fail(list[0], "%s is not a time", f.path)
			return nothing
		}
		if op == "" {
			op = "is"
		}
		part := f.m.part
		return rule.Test(at.Field, "has a "+part+" that "+op, operand, func(t time.Time) bool { return holds(partOf(t.UTC(), part)) })
	}
	switch v := f.values.(type) {
	case number:
		return rule.Test(v.Field, op, operand, func(n int64) bool { return holds(float64(n)) })
	case flag, address, instant:
		f.fail(list[0], "%s is not a number", f.path)
		return nothing
	}
	return f.compare(op, operand, func(s string) rule.Truth {
		if s == "" || s[0] != '-' && s[0] != '+' && s[0] != '.' && (s[0] < '0' || '9' < s[0]) {
			return rule.Unknown // not a number
		}
		x, err := strconv.ParseFloat(s, 64)
		if err != nil {
			return rule.Unknown
		}
		return truth(holds(x))
	})
}

func partOf(t time.Time, part string) float64 {
	switch part {
	case "minute":
		return float64(t.Minute())
	case "hour":
		return float64(t.Hour())
	case "day":
		return float64(t.Day())
	case "week":
		_, week := t.ISOWeek()
		return float64(week)
	case "month":
		return float64(t.Month())
	}
	return float64(t.Year())
}

// patterns compiles values with wildcards. What is one text of a field that holds one goes into a comparison that the engine
// can look up.
func (f *item) patterns(list []*yaml.Node) []rule.Predicate {
	var out []rule.Predicate
	var exact []string
	var nodes []*yaml.Node
	var like []pattern
	for _, n := range list {
		for _, s := range f.expand(n, plainly) {
			all, err := f.m.transform(parse(s))
			if err != nil {
				f.fail(n, "%v", err)
			}
			for _, p := range all {
				if p.plain() {
					exact, nodes = append(exact, p.text()), append(nodes, n)
				} else {
					like = append(like, p)
				}
			}
		}
	}
	if len(exact) > 0 {
		out = append(out, f.equals(exact, nodes))
	}
	if len(like) > 0 {
		op, shown := "is like", make([]string, len(like))
		for i, p := range like {
			shown[i] = p.text()
		}
		if words, ok := map[string]string{"contains": "contains", "startswith": "starts with", "endswith": "ends with"}[f.m.position]; ok {
			op = words
			for i := range shown {
				shown[i] = unstarred(shown[i], f.m.position)
			}
		}
		if f.m.cased {
			op += ", to the case,"
		}
		out = append(out, f.compare(op, strings.Join(shown, " or "), anyOf(like, f.m.cased)))
	}
	return out
}

func unstarred(s, position string) string {
	if position != "startswith" {
		s = strings.TrimPrefix(s, "*")
	}
	if position != "endswith" {
		s = strings.TrimSuffix(s, "*")
	}
	return s
}

// equals compiles texts without wildcards.
func (f *item) equals(want []string, nodes []*yaml.Node) rule.Predicate {
	switch v := f.values.(type) {
	case text:
		switch {
		case f.m.cased:
			return rule.In(v.Field, want...)
		case len(want) == 1:
			return rule.EqFold(v.Field, want[0])
		}
		return rule.InFold(v.Field, want...)
	case number:
		return rule.In(v.Field, parsedAll(f, want, nodes, "a number", func(s string) (int64, error) {
			if n, err := strconv.ParseInt(s, 10, 64); err == nil {
				return n, nil
			}
			for word, n := range v.words {
				if strings.EqualFold(word, s) {
					return n, nil
				}
			}
			return 0, strconv.ErrSyntax
		})...)
	case flag:
		return rule.In(v.Field, parsedAll(f, want, nodes, "true or false", func(s string) (bool, error) { return strconv.ParseBool(strings.ToLower(s)) })...)
	case address:
		var addrs []netip.Addr
		for _, s := range want {
			if a, err := netip.ParseAddr(s); err == nil {
				addrs = append(addrs, a.Unmap().WithZone(""))
			}
		}
		if len(addrs) == len(want) {
			return rule.In(v.Field, addrs...)
		}
	}
	all := make([]pattern, len(want))
	for i, s := range want {
		all[i] = literal(s)
	}
	return f.compare("is one of", strings.Join(want, " or "), anyOf(all, f.m.cased))
}

func parsedAll[T any](f *item, want []string, nodes []*yaml.Node, what string, parse func(string) (T, error)) []T {
	var out []T
	for i, s := range want {
		x, err := parse(s)
		if err != nil {
			f.fail(nodes[i], "%s is %s, which %q is not", f.path, what, s)
			continue
		}
		out = append(out, x)
	}
	return out
}

func isNullNode(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.Tag == "!!null" }

// scalar returns a value as the text that logs write for it.
func scalar(n *yaml.Node) string {
	if n.Tag == "!!bool" {
		return strings.ToLower(n.Value)
	}
	return n.Value
}

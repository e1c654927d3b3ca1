package sigma

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync"
)

// modifiers are what stands behind the field of an item: field|modifier|modifier.
type modifiers struct {
	all, cased, neq, expand bool

	position   string   // contains, startswith, endswith, or ""
	transforms []string // windash and encodings, in order
	flags      string   // of a regular expression: i, m, s

	re, cidr, exists, fieldref bool
	comparison                 string // lt, lte, gt, gte, or ""
	part                       string // of a time, or ""
}

var (
	positions   = []string{"contains", "startswith", "endswith"}
	comparisons = map[string]string{"lt": "is less than", "lte": "is at most", "gt": "is more than", "gte": "is at least"}
	parts       = []string{"minute", "hour", "day", "week", "month", "year"}
)

func modifierNames() []string {
	out := []string{"all", "cased", "neq", "expand", "re", "i", "m", "s", "cidr", "exists", "fieldref", "windash"}
	out = append(out, positions...)
	out = append(out, parts...)
	out = slices.AppendSeq(out, maps.Keys(comparisons))
	out = slices.AppendSeq(out, maps.Keys(encodings))
	slices.Sort(out)
	return out
}

// parseModifiers reads the names and returns what is wrong with them.
func parseModifiers(list []string) (m modifiers, mistakes []string) {
	fail := func(format string, args ...any) { mistakes = append(mistakes, fmt.Sprintf(format, args...)) }
	seen := map[string]bool{}
	for _, name := range list {
		if seen[name] {
			fail("the modifier %q stands twice", name)
			continue
		}
		seen[name] = true
		switch {
		case name == "all":
			m.all = true
		case name == "cased":
			m.cased = true
		case name == "neq":
			m.neq = true
		case name == "expand":
			m.expand = true
		case name == "re":
			m.re = true
		case name == "i" || name == "m" || name == "s":
			if !m.re {
				fail("the modifier %q is one of a regular expression: it stands behind re", name)
			}
			m.flags += name
		case name == "cidr":
			m.cidr = true
		case name == "exists":
			m.exists = true
		case name == "fieldref":
			m.fieldref = true
		case slices.Contains(positions, name):
			if m.position != "" {
				fail("the modifiers %q and %q do not go together", m.position, name)
			}
			m.position = name
		case slices.Contains(parts, name):
			if m.part != "" {
				fail("the modifiers %q and %q do not go together", m.part, name)
			}
			m.part = name
		case comparisons[name] != "":
			if m.comparison != "" {
				fail("the modifiers %q and %q do not go together", m.comparison, name)
			}
			m.comparison = name
		case name == "windash" || encodings[name] != nil:
			if m.position != "" {
				fail("the modifier %q changes the value: it stands before %q", name, m.position)
			}
			m.transforms = append(m.transforms, name)
		default:
			fail("unknown modifier %q%s", name, suggestion(name, modifierNames()))
		}
	}
	return m, append(mistakes, m.clashes()...)
}

// clashes returns which modifiers do not go together.
func (m *modifiers) clashes() []string {
	var out []string
	types := m.types()
	for i, t := range types {
		if i > 0 {
			out = append(out, fmt.Sprintf("the modifiers %q and %q do not go together", types[0], t))
		}
	}
	if len(types) == 0 {
		return out
	}
	never := func(with string, present bool) {
		if present {
			out = append(out, fmt.Sprintf("the modifiers %q and %q do not go together", types[0], with))
		}
	}
	never(m.position, m.position != "" && !m.fieldref)
	for _, t := range m.transforms {
		never(t, true)
	}
	never("cased", m.cased && !m.fieldref)
	never("expand", m.expand && (m.exists || m.fieldref || m.comparison != "" || m.part != ""))
	never("all", m.all && (m.exists || m.comparison != "" || m.part != "" || m.cidr))
	never("neq", m.neq && m.exists)
	return out
}

// types are the modifiers that say what a value is, of which there can be one. A part of a time may be compared.
func (m *modifiers) types() []string {
	var out []string
	for name, given := range map[string]bool{"re": m.re, "cidr": m.cidr, "exists": m.exists, "fieldref": m.fieldref} {
		if given {
			out = append(out, name)
		}
	}
	switch {
	case m.part != "":
		out = append(out, m.part)
	case m.comparison != "":
		out = append(out, m.comparison)
	}
	slices.Sort(out)
	return out
}

// regexp compiles an expression under the flags.
func (m *modifiers) regexp(s string) (*regexp.Regexp, error) {
	if m.flags != "" {
		s = "(?" + m.flags + ")" + s
	}
	re, err := regexp.Compile(s)
	if err != nil {
		return nil, fmt.Errorf("%s: expressions are those of RE2, without backreferences and lookarounds", strings.TrimPrefix(err.Error(), "error parsing regexp: "))
	}
	return re, nil
}

// transform applies windash and the encodings.
func (m *modifiers) transform(p pattern) ([]pattern, error) {
	all := []pattern{p}
	for _, name := range m.transforms {
		var next []pattern
		for _, p := range all {
			if name == "windash" {
				next = append(next, windash(p))
				continue
			}
			variants, err := texts(p)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", name, err)
			}
			for _, v := range variants {
				for _, encoded := range encodings[name](v) {
					next = append(next, literal(encoded))
				}
			}
		}
		all = next
	}
	for i := range all {
		all[i] = all[i].at(m.position)
	}
	return all, nil
}

var placeholder = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`\\%|%([\p{L}\p{N}_.-]+)%`) })

// expanded puts the values of placeholders into a text, which thereby may become several. Without a value for one it fails.
func expanded(s string, placeholders map[string][]string, quote func(string) string) ([]string, error) {
	out := []string{""}
	add := func(values ...string) {
		next := make([]string, 0, len(out)*len(values))
		for _, o := range out {
			for _, v := range values {
				next = append(next, o+v)
			}
		}
		out = next
	}
	rest, found := 0, false
	for _, at := range placeholder().FindAllStringSubmatchIndex(s, -1) {
		add(s[rest:at[0]])
		rest = at[1]
		if at[2] < 0 {
			add("%")
			continue
		}
		found = true
		name := s[at[2]:at[3]]
		values, given := placeholders[strings.ToLower(name)]
		if !given {
			return nil, fmt.Errorf("the placeholder %%%s%% has no values: give them under sigma.placeholders in the configuration", name)
		}
		if len(values) == 0 {
			return nil, nil
		}
		quoted := make([]string, len(values))
		for i, v := range values {
			quoted[i] = quote(v)
		}
		if len(out)*len(quoted) > maxExpanded {
			return nil, fmt.Errorf("the placeholders make more than %d values of it", maxExpanded)
		}
		add(quoted...)
	}
	if !found {
		return nil, fmt.Errorf("expand needs a placeholder, such as %%Administrators%%")
	}
	add(s[rest:])
	return out, nil
}

// maxExpanded bounds what placeholders make of one value.
const maxExpanded = 100_000

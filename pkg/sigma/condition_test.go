package sigma

import (
	"strings"
	"testing"
)

// show writes an expression with all its brackets.
func (e *expression) show() string {
	if e.op == "" {
		return e.name
	}
	parts := make([]string, len(e.parts))
	for i, p := range e.parts {
		parts[i] = p.show()
	}
	if e.op == "not" {
		return "not(" + parts[0] + ")"
	}
	if len(parts) == 1 {
		return parts[0]
	}
	return "(" + strings.Join(parts, " "+e.op+" ") + ")"
}

var selectionNames = []string{"selection", "selection_b", "filter_a", "filter_b", "_aside", "keywords", "and-more", "1"}

func TestConditions(t *testing.T) {
	t.Parallel()
	for condition, want := range map[string]string{
		"selection":                              "selection",
		"selection and not filter_a":             "(selection and not(filter_a))",
		"selection or keywords and not filter_a": "(selection or (keywords and not(filter_a)))",
		"(selection or keywords) and filter_a":   "((selection or keywords) and filter_a)",
		"not not selection":                      "not(not(selection))",
		"NOT selection AND keywords":             "(not(selection) and keywords)",
		"1 of selection*":                        "(selection or selection_b)",
		"all of filter_*":                        "(filter_a and filter_b)",
		"selection and not 1 of filter*":         "(selection and not((filter_a or filter_b)))",
		"1 of them":                              "(selection or selection_b or filter_a or filter_b or keywords or and-more or 1)",
		"all of them":                            "(selection and selection_b and filter_a and filter_b and keywords and and-more and 1)",
		"1 of _*":                                "_aside",
		"any of *_b":                             "(selection_b or filter_b)",
		"_aside":                                 "_aside",
		"and-more":                               "and-more",
		"1":                                      "1",
		"1 of keywords":                          "keywords",
		"\n selection\n  and\tkeywords ":         "(selection and keywords)",
		strings.Repeat("(", 60) + "selection" + strings.Repeat(")", 60): "selection",
	} {
		e, err := parseCondition(condition, selectionNames)
		if err != nil {
			t.Errorf("%s: %v", condition, err)
			continue
		}
		if got := e.show(); got != want {
			t.Errorf("%s: %s, want %s", condition, got, want)
		}
	}
}

func TestConditionsThatAreWrong(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		condition string
		at        int
		want      string
	}{
		{"", 0, "ends where a name should stand"},
		{"selection and", 13, "ends where a name should stand"},
		{"selection keywords", 10, `"keywords" cannot stand here`},
		{"selection and and keywords", 14, `"and" stands where a name should`},
		{"(selection", 10, "the bracket that opens at character 1 is not closed"},
		{"selection)", 9, `")" cannot stand here`},
		{"selektion", 0, `there is no selection "selektion" in detection; did you mean "selection"?`},
		{"selection*", 0, "needs `1 of` or `all of`"},
		{"2 of selection*", 0, "only `1 of` and `all of`"},
		{"1 of", 4, "needs a name, a pattern or `them`"},
		{"1 of nothing*", 5, "matches no selection"},
		{"1 of (selection)", 5, "needs a name"},
		{"selection | count() > 3", 10, "aggregation"},
		{"selection & keywords", 10, `'&' cannot stand`},
		{"not", 3, "ends where a name should stand"},
		{strings.Repeat("(", 70) + "selection", 64, "nests deeper"},
		{strings.Repeat("selection or ", 3000) + "selection", 0, "more than"},
	} {
		_, err := parseCondition(c.condition, selectionNames)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%.40s: %v, want %s", c.condition, err, c.want)
			continue
		}
		if at := placeOf(err); at != c.at && c.at != 0 {
			t.Errorf("%.40s: at %d, want %d", c.condition, at, c.at)
		}
	}
}

func FuzzCondition(f *testing.F) {
	for _, s := range []string{"selection and not 1 of filter_*", "(a or b)", "all of them", "not (", "1 of", "|", "é"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		e, err := parseCondition(s, selectionNames)
		if err != nil {
			if at := placeOf(err); at < 0 || at > len(s) {
				t.Fatalf("the place %d is outside of %q", at, s)
			}
			return
		}
		// What was read reads the same once all brackets are written.
		again, err := parseCondition(strings.NewReplacer("not(", "not (").Replace(e.show()), selectionNames)
		if err != nil && !strings.Contains(err.Error(), "nests deeper") {
			t.Fatalf("%q became %q: %v", s, e.show(), err)
		}
		if err == nil && again.show() != e.show() {
			t.Fatalf("%q became %q, and that %q", s, e.show(), again.show())
		}
	})
}

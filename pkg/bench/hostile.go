package bench

import (
	"errors"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/assay-sec/assay/pkg/envelope"
)

// megabyte is the size of a hostile document.
const megabyte = 1 << 20

// documents are values that try to cost more than their bytes.
var documents = map[string]func() string{
	"escapes":             func() string { return `"` + fill(`\u0041`) + `"` },
	"escaped quotes":      func() string { return `"` + fill(`\"`) + `"` },
	"50,000 names":        names,
	"330,000 arrays":      func() string { return "[" + fill("[],") + "[]]" },
	"nesting":             func() string { return fill("[") },
	"nesting as allowed":  func() string { return "[" + fill(strings.Repeat("[", 60)+strings.Repeat("]", 60)+",") + "0]" },
	"a number":            func() string { return fill("9") },
	"non-ASCII letters":   func() string { return `"` + fill("\u00e9") + `"` },
	"blanks":              func() string { return fill(" ") + "0" },
	"strings of no bytes": func() string { return "[" + fill(`"",`) + `""]` },
}

func hostileNames() []string { return slices.Sorted(maps.Keys(documents)) }

// hostile returns a payload whose only record is a sign-in with the document in it.
func hostile(name string) string {
	return `[{"category":"SignInLogs","properties":{"createdDateTime":"2026-03-02T06:00:00Z","userAgent":"x","extra":` +
		documents[name]() + `}}]`
}

func fill(unit string) string { return strings.Repeat(unit, megabyte/len(unit)) }

func names() string {
	var b strings.Builder
	b.WriteString(`{"first":0`)
	for i := range 50_000 {
		b.WriteString(`,"name` + strconv.Itoa(100_000+i) + `":"val"`)
	}
	b.WriteByte('}')
	return b.String()
}

// Survive is Run for payloads that may be refused: it returns how many parts there were, readable or not.
func (p *Path) Survive(payload string) (parts int) {
	for in := envelope.Body(payload, envelope.Origin{}); ; parts++ {
		rec, err := in.Next()
		switch {
		case errors.Is(err, io.EOF):
			return parts
		case err == nil:
			_ = p.Record(&rec) // refused is as good as evaluated
		}
	}
}

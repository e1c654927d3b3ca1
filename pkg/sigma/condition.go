package sigma

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// expression is a condition: a name, or an operator on expressions.
type expression struct {
	op    string        // "": the name; "not", "and", "or"
	name  string        // of a selection
	parts []*expression // of an operator
}

// Bounds of a condition.
const (
	maxTokens  = 4096
	maxNesting = 64
)

// parseCondition reads a condition over the selections of these names. The place of an error is the byte at which it stands.
func parseCondition(s string, names []string) (*expression, error) {
	p := &conditionParser{names: names}
	if err := p.split(s); err != nil {
		return nil, err
	}
	e, err := p.or(0)
	if err != nil {
		return nil, err
	}
	if t := p.peek(); t.text != "" {
		return nil, t.fail("%q cannot stand here", t.text)
	}
	return e, nil
}

// conditionError says what is wrong at a byte of a condition.
type conditionError struct {
	at   int
	text string
}

func (e *conditionError) Error() string { return e.text }

type token struct {
	text string // "" at the end
	at   int    // byte of the condition
}

func (t token) fail(format string, args ...any) error {
	return &conditionError{t.at, fmt.Sprintf(format, args...)}
}

func (t token) is(word string) bool { return strings.EqualFold(t.text, word) }

// conditionParser descends: or, and, not, one of these in brackets or a name.
type conditionParser struct {
	names  []string
	tokens []token
	meant  int // selections that the condition names so far, by themselves or through a pattern
}

func (p *conditionParser) split(s string) error {
	for i := 0; i < len(s); {
		switch c := s[i]; {
		case c == ' ' || c == '\t' || c == '\n' || c == '\r':
			i++
			continue
		case c == '(' || c == ')':
			p.tokens = append(p.tokens, token{s[i : i+1], i})
			i++
		case c == '|':
			return token{at: i}.fail("aggregation (|) needs a history, and Assay judges each record alone")
		case nameByte(c):
			start := i
			for i < len(s) && nameByte(s[i]) {
				i++
			}
			p.tokens = append(p.tokens, token{s[start:i], start})
		default:
			r, _ := character(s[i:])
			return token{at: i}.fail("the character %q cannot stand in a condition", r)
		}
		if len(p.tokens) > maxTokens {
			return token{at: i}.fail("the condition has more than %d words", maxTokens)
		}
	}
	p.tokens = append(p.tokens, token{"", len(s)})
	return nil
}

// nameByte reports whether a name, or a pattern of names, can hold the byte. YAML keys may hold any letters.
func nameByte(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte("_-.*", c) >= 0 || c >= 0x80
}

func (p *conditionParser) peek() token { return p.tokens[0] }

func (p *conditionParser) next() token {
	t := p.tokens[0]
	if t.text != "" {
		p.tokens = p.tokens[1:]
	}
	return t
}

func (p *conditionParser) or(depth int) (*expression, error)  { return p.chain("or", depth, p.and) }
func (p *conditionParser) and(depth int) (*expression, error) { return p.chain("and", depth, p.not) }

// chain reads operands with the operator between them.
func (p *conditionParser) chain(op string, depth int, operand func(int) (*expression, error)) (*expression, error) {
	first, err := operand(depth)
	if err != nil || !p.peek().is(op) {
		return first, err
	}
	parts := []*expression{first}
	for p.peek().is(op) {
		p.next()
		e, err := operand(depth)
		if err != nil {
			return nil, err
		}
		parts = append(parts, e)
	}
	return &expression{op: op, parts: parts}, nil
}

func (p *conditionParser) not(depth int) (*expression, error) {
	t := p.peek()
	if depth++; depth > maxNesting {
		return nil, t.fail("the condition nests deeper than %d", maxNesting)
	}
	if !t.is("not") {
		return p.operand(depth)
	}
	p.next()
	e, err := p.not(depth)
	if err != nil {
		return nil, err
	}
	return &expression{op: "not", parts: []*expression{e}}, nil
}

func (p *conditionParser) operand(depth int) (*expression, error) {
	t := p.next()
	switch {
	case t.text == "":
		return nil, t.fail("the condition ends where a name should stand")
	case t.text == "(":
		e, err := p.or(depth)
		if err != nil {
			return nil, err
		}
		if closing := p.next(); closing.text != ")" {
			return nil, closing.fail("the bracket that opens at character %d is not closed", t.at+1)
		}
		return e, nil
	case p.peek().is("of"):
		return p.quantified(t)
	case t.text == ")", t.is("and"), t.is("or"), t.is("of"), t.is("them"):
		return nil, t.fail("%q stands where a name should", t.text)
	case strings.Contains(t.text, "*"):
		return nil, t.fail("a pattern of names needs `1 of` or `all of` before it")
	case !slices.Contains(p.names, t.text):
		return nil, t.fail("there is no selection %q in detection%s", t.text, suggestion(t.text, p.names))
	}
	return &expression{name: t.text}, nil
}

// quantified reads what follows a quantity: "of them", "of pattern*".
func (p *conditionParser) quantified(quantity token) (*expression, error) {
	var op string
	switch {
	case quantity.text == "1", quantity.is("any"):
		op = "or"
	case quantity.is("all"):
		op = "and"
	default:
		return nil, quantity.fail("%q of …: only `1 of` and `all of` are supported", quantity.text)
	}
	p.next()
	t := p.next()
	if t.text == "" || t.text == "(" || t.text == ")" {
		return nil, t.fail("`%s of` needs a name, a pattern or `them`", quantity.text)
	}
	matching := p.matching(t)
	if len(matching) == 0 {
		return nil, t.fail("%q matches no selection of detection", t.text)
	}
	if p.meant += len(matching); p.meant > maxTokens {
		return nil, t.fail("the condition means more than %d selections", maxTokens)
	}
	parts := make([]*expression, len(matching))
	for i, name := range matching {
		parts[i] = &expression{name: name}
	}
	return &expression{op: op, parts: parts}, nil
}

// matching returns the names that `them` or a pattern stands for. Names that begin with an underscore are meant only by a
// pattern that does so, too.
func (p *conditionParser) matching(t token) []string {
	like := pattern{many}
	if !t.is("them") {
		like = parse(t.text)
	}
	g := newGlob(like, true)
	var out []string
	for _, name := range p.names {
		if g.match(name) && (name[:min(1, len(name))] != "_" || strings.HasPrefix(t.text, "_")) {
			out = append(out, name)
		}
	}
	return out
}

// placeOf returns the byte of the condition that an error of parseCondition is about.
func placeOf(err error) int {
	var ce *conditionError
	if errors.As(err, &ce) {
		return ce.at
	}
	return 0
}

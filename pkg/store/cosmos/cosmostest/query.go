package cosmostest

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// query is a parsed statement of the part of Cosmos DB's SQL that the server answers:
//
//	SELECT (* | [TOP n] path, … | VALUE path | VALUE COUNT(1)) FROM c [WHERE condition]
//	[ORDER BY path [ASC|DESC], …] [OFFSET n LIMIT m]
//
// with AND, OR, NOT, comparisons, IN, IS_DEFINED, STARTSWITH, ARRAY_CONTAINS, LOWER and parameters. Anything else is a
// syntax error, answered with 400 as the service does.
type query struct {
	paths   [][]string // nil: *
	value   bool       // SELECT VALUE
	count   bool       // SELECT VALUE COUNT(1)
	top     int        // -1: none
	where   expr       // nil: none
	orderBy []order
	offset  int
	limit   int // -1: none
}

type order struct {
	path []string
	desc bool
}

// needsOnePartition reports whether the gateway refuses the query across partitions
// ("Queries that cannot be served by gateway", REST API documentation).
func (q *query) needsOnePartition() bool {
	return len(q.orderBy) > 0 || q.count || q.top >= 0 || q.limit >= 0
}

// expr is evaluated on a document. undefined{} is the value of what is not there; a comparison with it is undefined and
// does not select.
type expr func(doc any, params map[string]any) any

type undefined struct{}

var errSyntax = errors.New("syntax error")

type parser struct {
	words []string
	at    int
}

// parseQuery reads a statement.
func parseQuery(s string) (*query, error) {
	words, err := tokens(s)
	if err != nil {
		return nil, err
	}
	p := &parser{words: words}
	q := &query{top: -1, limit: -1}
	if err := p.statement(q); err != nil {
		return nil, fmt.Errorf("%w near word %d of %q", err, p.at, s)
	}
	return q, nil
}

// tokens splits a statement into words, paths, literals and signs.
func tokens(s string) ([]string, error) {
	var out []string
	for i := 0; i < len(s); {
		c := s[i]
		switch {
		case c == ' ' || c == '\n' || c == '\t':
			i++
		case c == '\'' || c == '"':
			end := strings.IndexByte(s[i+1:], c)
			if end < 0 {
				return nil, errSyntax
			}
			out = append(out, "'"+s[i+1:i+1+end])
			i += end + 2
		case strings.IndexByte("(),*", c) >= 0:
			out = append(out, string(c))
			i++
		case strings.IndexByte("=<>!", c) >= 0:
			n := 1
			if i+1 < len(s) && strings.IndexByte("=>", s[i+1]) >= 0 {
				n = 2
			}
			out = append(out, s[i:i+n])
			i += n
		default:
			j := i
			for j < len(s) && strings.IndexByte(" \n\t(),*=<>!'\"", s[j]) < 0 {
				j++
			}
			out = append(out, s[i:j])
			i = j
		}
	}
	return out, nil
}

func (p *parser) peek() string {
	if p.at < len(p.words) {
		return p.words[p.at]
	}
	return ""
}

func (p *parser) next() string {
	w := p.peek()
	p.at++
	return w
}

// take consumes the next word if it is the keyword.
func (p *parser) take(keyword string) bool {
	if strings.EqualFold(p.peek(), keyword) {
		p.at++
		return true
	}
	return false
}

func (p *parser) need(keywords ...string) error {
	for _, k := range keywords {
		if !p.take(k) {
			return errSyntax
		}
	}
	return nil
}

func (p *parser) statement(q *query) error {
	if err := p.need("SELECT"); err != nil {
		return err
	}
	if p.take("TOP") {
		n, err := strconv.Atoi(p.next())
		if err != nil {
			return errSyntax
		}
		q.top = n
	}
	switch {
	case p.take("*"):
	case p.take("VALUE"):
		q.value = true
		if p.take("COUNT") {
			q.count = true
			if err := p.need("(", "1", ")"); err != nil {
				return err
			}
			break
		}
		path, err := p.path()
		if err != nil {
			return err
		}
		q.paths = [][]string{path}
	default:
		for {
			path, err := p.path()
			if err != nil {
				return err
			}
			q.paths = append(q.paths, path)
			if !p.take(",") {
				break
			}
		}
	}
	if err := p.need("FROM", "c"); err != nil {
		return err
	}
	if p.take("WHERE") {
		e, err := p.or()
		if err != nil {
			return err
		}
		q.where = e
	}
	if p.take("ORDER") {
		if err := p.need("BY"); err != nil {
			return err
		}
		for {
			path, err := p.path()
			if err != nil {
				return err
			}
			o := order{path: path}
			if p.take("DESC") {
				o.desc = true
			} else {
				p.take("ASC")
			}
			q.orderBy = append(q.orderBy, o)
			if !p.take(",") {
				break
			}
		}
	}
	if p.take("OFFSET") {
		n, err := strconv.Atoi(p.next())
		if err != nil {
			return errSyntax
		}
		if err := p.need("LIMIT"); err != nil {
			return err
		}
		m, err := strconv.Atoi(p.next())
		if err != nil {
			return errSyntax
		}
		q.offset, q.limit = n, m
	}
	if p.at != len(p.words) {
		return errSyntax
	}
	return nil
}

// path reads c.a.b.
func (p *parser) path() ([]string, error) {
	w := p.next()
	rest, ok := strings.CutPrefix(w, "c.")
	if !ok || rest == "" {
		return nil, errSyntax
	}
	return strings.Split(rest, "."), nil
}

func (p *parser) or() (expr, error) {
	return p.chain("OR", p.and, func(a, b any) any { return kleene(a == true || b == true, a, b) })
}

func (p *parser) and() (expr, error) {
	return p.chain("AND", p.not, func(a, b any) any {
		if a == false || b == false {
			return false
		}
		return kleene(a == true && b == true, a, b)
	})
}

// kleene is decided if it holds, else undefined as soon as a part is.
func kleene(holds bool, a, b any) any {
	_, ua := a.(undefined)
	_, ub := b.(undefined)
	if !holds && (ua || ub) {
		return undefined{}
	}
	return holds
}

func (p *parser) chain(word string, part func() (expr, error), join func(a, b any) any) (expr, error) {
	left, err := part()
	for err == nil && p.take(word) {
		var right expr
		if right, err = part(); err == nil {
			l := left
			left = func(d any, ps map[string]any) any { return join(l(d, ps), right(d, ps)) }
		}
	}
	return left, err
}

func (p *parser) not() (expr, error) {
	if !p.take("NOT") {
		return p.comparison()
	}
	e, err := p.not()
	return func(d any, ps map[string]any) any {
		if b, ok := e(d, ps).(bool); ok {
			return !b
		}
		return undefined{}
	}, err
}

func (p *parser) comparison() (expr, error) {
	left, err := p.operand()
	if err != nil {
		return nil, err
	}
	op := strings.ToUpper(p.peek())
	switch op {
	case "=", "!=", "<>", "<", "<=", ">", ">=":
		p.at++
		right, err := p.operand()
		if err != nil {
			return nil, err
		}
		return func(d any, ps map[string]any) any { return compare(op, left(d, ps), right(d, ps)) }, nil
	case "IN":
		p.at++
		list, err := p.arguments()
		if err != nil {
			return nil, err
		}
		return func(d any, ps map[string]any) any {
			v := left(d, ps)
			for _, e := range list {
				if compare("=", v, e(d, ps)) == true {
					return true
				}
			}
			return false
		}, nil
	}
	return left, nil
}

func (p *parser) arguments() ([]expr, error) {
	if err := p.need("("); err != nil {
		return nil, err
	}
	var list []expr
	for {
		e, err := p.operand()
		if err != nil {
			return nil, err
		}
		list = append(list, e)
		if p.take(")") {
			return list, nil
		}
		if err := p.need(","); err != nil {
			return nil, err
		}
	}
}

func (p *parser) operand() (expr, error) {
	w := p.next()
	switch up := strings.ToUpper(w); {
	case w == "":
		return nil, errSyntax
	case w == "(":
		e, err := p.or()
		if err != nil {
			return nil, err
		}
		return e, p.need(")")
	case w[0] == '\'':
		return constant(w[1:]), nil
	case w[0] == '@':
		return func(_ any, ps map[string]any) any {
			if v, ok := ps[w]; ok {
				return v
			}
			return undefined{}
		}, nil
	case strings.HasPrefix(w, "c."):
		path := strings.Split(w[2:], ".")
		return func(d any, _ map[string]any) any { return walk(d, path) }, nil
	case up == "TRUE", up == "FALSE":
		return constant(up == "TRUE"), nil
	case up == "NULL":
		return constant(nil), nil
	case up == "IS_DEFINED", up == "STARTSWITH", up == "ARRAY_CONTAINS", up == "LOWER":
		args, err := p.arguments()
		if err != nil || len(args) != map[string]int{"IS_DEFINED": 1, "STARTSWITH": 2, "ARRAY_CONTAINS": 2, "LOWER": 1}[up] {
			return nil, errSyntax
		}
		return call(up, args), nil
	default:
		f, err := strconv.ParseFloat(w, 64)
		if err != nil {
			return nil, errSyntax
		}
		return constant(f), nil
	}
}

func constant(v any) expr { return func(any, map[string]any) any { return v } }

func call(name string, args []expr) expr {
	return func(d any, ps map[string]any) any {
		a := args[0](d, ps)
		switch name {
		case "IS_DEFINED":
			_, none := a.(undefined)
			return !none
		case "LOWER":
			if s, ok := a.(string); ok {
				return strings.ToLower(s)
			}
			return undefined{}
		case "STARTSWITH":
			s, ok := a.(string)
			prefix, also := args[1](d, ps).(string)
			if !ok || !also {
				return undefined{}
			}
			return strings.HasPrefix(s, prefix)
		default: // ARRAY_CONTAINS
			list, ok := a.([]any)
			if !ok {
				return undefined{}
			}
			want := args[1](d, ps)
			return slices.ContainsFunc(list, func(x any) bool { return compare("=", x, want) == true })
		}
	}
}

func walk(d any, path []string) any {
	for _, name := range path {
		m, ok := d.(map[string]any)
		if !ok {
			return undefined{}
		}
		if d, ok = m[name]; !ok {
			return undefined{}
		}
	}
	return d
}

// compare compares values of one type; values of two types are unequal, and otherwise undefined.
func compare(op string, a, b any) any {
	if isUndefined(a) || isUndefined(b) {
		return undefined{}
	}
	c, same := rank(a, b)
	switch op {
	case "=":
		return same && c == 0
	case "!=", "<>":
		return !same || c != 0
	}
	if !same {
		return undefined{}
	}
	switch op {
	case "<":
		return c < 0
	case "<=":
		return c <= 0
	case ">":
		return c > 0
	default:
		return c >= 0
	}
}

func isUndefined(v any) bool { _, ok := v.(undefined); return ok }

// rank orders two values; same is false if they are of two types.
func rank(a, b any) (c int, same bool) {
	switch x := a.(type) {
	case nil:
		return 0, b == nil
	case bool:
		y, ok := b.(bool)
		if !ok || x == y {
			return 0, ok
		}
		if x {
			return 1, true
		}
		return -1, true
	case float64:
		y, ok := b.(float64)
		switch {
		case x < y:
			return -1, ok
		case x > y:
			return 1, ok
		}
		return 0, ok
	case string:
		y, ok := b.(string)
		return strings.Compare(x, y), ok
	}
	x, _ := json.Marshal(a) //nolint:errchkjson // a came from JSON
	y, _ := json.Marshal(b) //nolint:errchkjson // b came from JSON
	return strings.Compare(string(x), string(y)), true
}

// run answers the query over documents, which are in the order of their creation.
func (q *query) run(docs []map[string]any, params map[string]any) []any {
	var hits []map[string]any
	for _, d := range docs {
		if q.where == nil || q.where(d, params) == true {
			hits = append(hits, d)
		}
	}
	slices.SortStableFunc(hits, func(a, b map[string]any) int {
		for _, o := range q.orderBy {
			x, y := walk(a, o.path), walk(b, o.path)
			c := 0
			switch {
			case isUndefined(x) && isUndefined(y):
			case isUndefined(x):
				c = -1
			case isUndefined(y):
				c = 1
			default:
				c, _ = rank(x, y)
			}
			if o.desc {
				c = -c
			}
			if c != 0 {
				return c
			}
		}
		return 0
	})
	if q.count {
		return []any{float64(len(hits))}
	}
	if q.offset > 0 {
		hits = hits[min(q.offset, len(hits)):]
	}
	for _, most := range [...]int{q.top, q.limit} {
		if most >= 0 && len(hits) > most {
			hits = hits[:most]
		}
	}
	out := make([]any, 0, len(hits))
	for _, d := range hits {
		if x := q.project(d); !isUndefined(x) {
			out = append(out, x)
		}
	}
	return out
}

func (q *query) project(d map[string]any) any {
	switch {
	case q.paths == nil:
		return d
	case q.value:
		return walk(d, q.paths[0])
	}
	row := map[string]any{}
	for _, path := range q.paths {
		if v := walk(d, path); !isUndefined(v) {
			row[path[len(path)-1]] = v
		}
	}
	return row
}

package learn

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// ErrLayout is the error of Apply for a document whose layout leaves no place for the proposal.
var ErrLayout = errors.New("the layout of the document leaves no place for the proposal: write tenants as a list of mappings on lines of their own")

// Apply returns the document, which may be empty and has to be a right configuration, with the proposal in it. What is
// there stays as it is, to the byte, but for the entries that change; every new entry has a comment that says why.
func (p *Proposal) Apply(document []byte) ([]byte, error) {
	var top yaml.Node
	if err := yaml.Unmarshal(document, &top); err != nil {
		return nil, fmt.Errorf("read the document: %w", err)
	}
	e := &editor{lines: slices.Collect(strings.Lines(string(document)))}
	if n := len(e.lines); n > 0 && !strings.HasSuffix(e.lines[n-1], "\n") {
		e.lines[n-1] += "\n"
	}
	if len(p.Tenants) == 0 {
		return document, nil
	}
	var root *yaml.Node
	if len(top.Content) > 0 && top.Content[0].Kind == yaml.MappingNode {
		if root = top.Content[0]; root.Style&yaml.FlowStyle != 0 {
			return nil, ErrLayout
		}
	}
	if err := p.tenants(e, root); err != nil {
		return nil, err
	}
	return e.text(), nil
}

func (p *Proposal) tenants(e *editor, root *yaml.Node) error {
	defaults := valueOf(root, "defaults")
	at, list := pairOf(root, "tenants")
	var added []*yaml.Node
	for i := range p.Tenants {
		t := &p.Tenants[i]
		known := tenantOf(list, t.ID)
		if known == nil {
			keys := append([]*yaml.Node{text("id"), text(t.ID)}, t.pairs(nil, defaults)...)
			added = append(added, &yaml.Node{Kind: yaml.MappingNode, Content: keys})
			continue
		}
		if list.Style&yaml.FlowStyle != 0 || known.Style&yaml.FlowStyle != 0 {
			return ErrLayout
		}
		if err := t.edit(e, known, defaults); err != nil {
			return err
		}
	}
	if len(added) == 0 {
		return nil
	}
	items := &yaml.Node{Kind: yaml.SequenceNode, Content: added}
	switch {
	case list == nil || len(list.Content) == 0: // no key, or nothing behind it
		whole := &yaml.Node{Kind: yaml.MappingNode, Content: []*yaml.Node{text("tenants"), items}}
		if at == nil {
			return e.insert(len(e.lines), whole, 0)
		}
		return e.replace(at.Line-1, e.end(at, list, at.Column-1), whole, at.Column-1)
	case list.Style&yaml.FlowStyle != 0:
		return ErrLayout
	}
	return e.push(list, items)
}

// edit puts what is proposed for a tenant into its mapping.
func (t *Tenant) edit(e *editor, known, defaults *yaml.Node) error {
	dash, err := e.dash(known)
	if err != nil {
		return err
	}
	column := known.Content[0].Column - 1
	pairs := t.pairs(known, defaults)
	var absent []*yaml.Node
	for i := 0; i < len(pairs); i += 2 {
		key, proposed := pairs[i], pairs[i+1]
		at, value := pairOf(known, key.Value)
		switch {
		case at == nil:
			absent = append(absent, key, proposed)
		case value.Kind != proposed.Kind || value.Style&yaml.FlowStyle != 0 || len(value.Content) == 0:
			// On one line, or nothing yet: the whole of it anew, and what stood there first.
			whole := proposed
			if value.Kind == proposed.Kind {
				whole = merge(value, proposed)
			}
			key := text(at.Value) // the comment above it stands above the lines that are replaced
			key.HeadComment = value.LineComment
			whole.LineComment, whole.HeadComment, whole.FootComment = "", "", ""
			pair := &yaml.Node{Kind: yaml.MappingNode, Content: []*yaml.Node{key, whole}}
			if err := e.replace(at.Line-1, e.end(at, value, column), pair, column); err != nil {
				return err
			}
		case value.Kind == yaml.SequenceNode:
			if err := e.items(value, proposed); err != nil {
				return err
			}
		default:
			if err := e.entries(value, proposed); err != nil {
				return err
			}
		}
	}
	if len(absent) == 0 {
		return nil
	}
	return e.insert(e.end(known, nil, dash), &yaml.Node{Kind: yaml.MappingNode, Content: absent}, column)
}

// pairs returns the keys of the proposal and what belongs behind them. A tenant's list takes the place of the one of the
// defaults, so where it has none yet, it begins with theirs.
func (t *Tenant) pairs(known, defaults *yaml.Node) []*yaml.Node {
	var out []*yaml.Node
	add := func(name string, kind yaml.Kind, content []*yaml.Node) {
		if len(content) == 0 {
			return
		}
		value := &yaml.Node{Kind: kind, Content: content}
		if inherited := valueOf(defaults, name); valueOf(known, name) == nil && inherited != nil && inherited.Kind == kind {
			value = merge(inherited, value)
		}
		out = append(out, text(name), value)
	}
	var nodes []*yaml.Node
	for _, c := range t.MailClients {
		m := mapping(c.Why, "appId", text(c.AppID))
		if c.Name != "" {
			m.Content = append(m.Content, text("name"), text(c.Name))
		}
		if len(c.ClientInfo) > 0 {
			m.Content = append(m.Content, text("clientInfo"), quoted(c.ClientInfo))
		}
		if c.MaxAge > 0 {
			m.Content = append(m.Content, text("maxAge"), text(short(c.MaxAge)))
		}
		nodes = append(nodes, m)
	}
	add("mailClients", yaml.SequenceNode, nodes)
	nodes = nil
	for _, a := range t.AppOnlyMailApps {
		m := mapping(a.Why, "appId", text(a.AppID))
		if len(a.Mailboxes) > 0 {
			boxes := &yaml.Node{Kind: yaml.SequenceNode}
			for _, b := range a.Mailboxes {
				boxes.Content = append(boxes.Content, text(b))
			}
			m.Content = append(m.Content, text("mailboxes"), boxes)
		}
		nodes = append(nodes, m)
	}
	add("appOnlyMailApps", yaml.SequenceNode, nodes)
	nodes = nil
	for _, p := range t.PartnerTenants {
		nodes = append(nodes, commented(text(p.ID), p.Why))
	}
	add("partnerTenants", yaml.SequenceNode, nodes)
	nodes = nil
	for _, d := range t.Delegates {
		m := mapping(d.Why, "user", text(d.User))
		m.Content = append(m.Content, text("mailbox"), text(d.Mailbox))
		nodes = append(nodes, m)
	}
	add("delegates", yaml.SequenceNode, nodes)
	add("utiCoverage", yaml.MappingNode, shares(t.UTICoverage))
	add("graphUtiCoverage", yaml.MappingNode, shares(t.GraphUTICoverage))
	return out
}

func shares(all []Share) (out []*yaml.Node) {
	for _, s := range all {
		number := &yaml.Node{Kind: yaml.ScalarNode, Value: strconv.FormatFloat(s.Share, 'f', -1, 64)}
		out = append(out, commented(text(s.AppID), s.Why), number)
	}
	return out
}

// text is a node of a text. The library quotes it where it has to be.
func text(s string) *yaml.Node {
	n := &yaml.Node{}
	n.SetString(s)
	return n
}

func quoted(all []string) *yaml.Node {
	list := &yaml.Node{Kind: yaml.SequenceNode, Style: yaml.FlowStyle}
	for _, s := range all {
		n := text(s)
		n.Style = yaml.SingleQuotedStyle
		list.Content = append(list.Content, n)
	}
	return list
}

func mapping(why []string, name string, value *yaml.Node) *yaml.Node {
	return commented(&yaml.Node{Kind: yaml.MappingNode, Content: []*yaml.Node{text(name), value}}, why)
}

func commented(n *yaml.Node, why []string) *yaml.Node {
	n.HeadComment = "# " + strings.Join(why, "\n# ")
	return n
}

// nameOf returns what tells an item of a list from the others: the id of an application, or the text. Delegates have
// none: a pair that is proposed is new.
func nameOf(n *yaml.Node) string {
	if n.Kind == yaml.ScalarNode {
		return strings.ToLower(n.Value)
	}
	if id := valueOf(n, "appId"); id != nil {
		return strings.ToLower(id.Value)
	}
	return ""
}

// place returns where the item stands in the list, or -1.
func place(list []*yaml.Node, item *yaml.Node) int {
	name := nameOf(item)
	return slices.IndexFunc(list, func(n *yaml.Node) bool { return name != "" && nameOf(n) == name })
}

// merge returns what was there with what is proposed, in block style.
func merge(was, proposed *yaml.Node) *yaml.Node {
	out := *was
	out.Style &^= yaml.FlowStyle
	out.Content = slices.Clone(was.Content)
	if was.Kind == yaml.SequenceNode {
		for _, item := range proposed.Content {
			if i := place(out.Content, item); i >= 0 {
				out.Content[i] = change(out.Content[i], item)
			} else {
				out.Content = append(out.Content, item)
			}
		}
		return &out
	}
	return change(&out, proposed)
}

// change returns the mapping with the keys of the other one in place of its own, or behind them.
func change(was, proposed *yaml.Node) *yaml.Node {
	if was.Kind != yaml.MappingNode || proposed.Kind != yaml.MappingNode {
		return proposed
	}
	out := *was
	out.Style &^= yaml.FlowStyle
	out.HeadComment = strings.Trim(was.HeadComment+"\n"+was.LineComment+"\n"+proposed.HeadComment, "\n")
	out.LineComment = ""
	out.Content = slices.Clone(was.Content)
	for i := 0; i < len(proposed.Content); i += 2 {
		key, value := proposed.Content[i], proposed.Content[i+1]
		j := 0
		for ; j < len(out.Content) && !strings.EqualFold(out.Content[j].Value, key.Value); j += 2 {
		}
		if j == len(out.Content) {
			out.Content = append(out.Content, key, value)
			continue
		}
		k := *out.Content[j]
		if key.HeadComment != "" {
			k.HeadComment = strings.TrimLeft(k.HeadComment+"\n"+key.HeadComment, "\n")
		}
		out.Content[j] = &k
		if out.Content[j+1].Value != value.Value || value.Kind != yaml.ScalarNode {
			v := *value
			v.LineComment = out.Content[j+1].LineComment
			out.Content[j+1] = &v
		}
	}
	return &out
}

func pairOf(mapping *yaml.Node, name string) (key, value *yaml.Node) {
	if mapping == nil || mapping.Kind != yaml.MappingNode {
		return nil, nil
	}
	for i := 0; i+1 < len(mapping.Content); i += 2 {
		if mapping.Content[i].Value == name {
			return mapping.Content[i], mapping.Content[i+1]
		}
	}
	return nil, nil
}

func valueOf(mapping *yaml.Node, name string) *yaml.Node {
	_, v := pairOf(mapping, name)
	return v
}

func tenantOf(list *yaml.Node, id string) *yaml.Node {
	if list == nil || list.Kind != yaml.SequenceNode {
		return nil
	}
	for _, t := range list.Content {
		if v := valueOf(t, "id"); v != nil && strings.EqualFold(v.Value, id) {
			return t
		}
	}
	return nil
}

// editor changes lines of a text.
type editor struct {
	lines []string // each with its end
	edits []edit
}

// edit puts text in the place of the lines from, to.
type edit struct {
	from, to int // [from, to), from 0
	text     string
}

func (e *editor) insert(at int, n *yaml.Node, indent int) error { return e.replace(at, at, n, indent) }

func (e *editor) replace(from, to int, n *yaml.Node, indent int) error {
	var b bytes.Buffer
	enc := yaml.NewEncoder(&b)
	enc.SetIndent(2)
	if err := errors.Join(enc.Encode(n), enc.Close()); err != nil {
		return fmt.Errorf("write the proposal: %w", err)
	}
	var shifted strings.Builder
	for line := range strings.Lines(b.String()) {
		if line != "\n" {
			shifted.WriteString(strings.Repeat(" ", indent))
		}
		shifted.WriteString(line)
	}
	e.edits = append(e.edits, edit{from, to, shifted.String()})
	return nil
}

// items puts the items into a list on lines of its own: those that change into their place, the others behind the last.
func (e *editor) items(list, proposed *yaml.Node) error {
	added := &yaml.Node{Kind: yaml.SequenceNode}
	for _, item := range proposed.Content {
		i := place(list.Content, item)
		if i < 0 {
			added.Content = append(added.Content, item)
			continue
		}
		was := list.Content[i]
		dash, err := e.dash(was)
		if err != nil {
			return err
		}
		changed := change(was, item)
		// Its own comment stands above the lines that are replaced; the one behind it has no place there any more.
		changed.HeadComment = strings.TrimLeft(was.LineComment+"\n"+item.HeadComment, "\n")
		changed.LineComment, changed.FootComment = "", ""
		one := &yaml.Node{Kind: yaml.SequenceNode, Content: []*yaml.Node{changed}}
		if err := e.replace(was.Line-1, e.end(was, nil, dash), one, dash); err != nil {
			return err
		}
	}
	if len(added.Content) == 0 {
		return nil
	}
	return e.push(list, added)
}

// entries does the same to a mapping of texts.
func (e *editor) entries(was, proposed *yaml.Node) error {
	column := was.Content[0].Column - 1
	added := &yaml.Node{Kind: yaml.MappingNode}
	for i := 0; i < len(proposed.Content); i += 2 {
		key, value := proposed.Content[i], proposed.Content[i+1]
		j := 0
		for ; j < len(was.Content) && !strings.EqualFold(was.Content[j].Value, key.Value); j += 2 {
		}
		if j == len(was.Content) {
			added.Content = append(added.Content, key, value)
			continue
		}
		old := was.Content[j]
		value.LineComment = was.Content[j+1].LineComment
		one := &yaml.Node{Kind: yaml.MappingNode, Content: []*yaml.Node{key, value}}
		if err := e.replace(old.Line-1, e.end(old, was.Content[j+1], column), one, column); err != nil {
			return err
		}
	}
	if len(added.Content) == 0 {
		return nil
	}
	n := len(was.Content)
	return e.insert(e.end(was.Content[n-2], was.Content[n-1], column), added, column)
}

// push puts items behind the last one of a list that has some.
func (e *editor) push(list, items *yaml.Node) error {
	last := list.Content[len(list.Content)-1]
	dash, err := e.dash(last)
	if err != nil {
		return err
	}
	return e.insert(e.end(last, nil, dash), items, dash)
}

// dash returns the column, from 0, of the dash before an item of a list.
func (e *editor) dash(item *yaml.Node) (int, error) {
	line := e.lines[item.Line-1]
	column := len(line) - len(strings.TrimLeft(line, " "))
	if line[column] != '-' {
		return 0, fmt.Errorf("line %d: %w", item.Line, ErrLayout)
	}
	return column, nil
}

// end returns the line behind the last one of a key and its value, or of an item, that stands at the column.
func (e *editor) end(n, value *yaml.Node, column int) int {
	end := max(lastLine(n), lastLine(value))
	for ; end < len(e.lines); end++ {
		line := strings.TrimRight(e.lines[end], "\r\n")
		rest := strings.TrimLeft(line, " ")
		closing := rest != "" && (rest[0] == ']' || rest[0] == '}')
		if rest == "" || rest[0] == '#' || len(line)-len(rest) <= column && !closing {
			break
		}
	}
	return end
}

func lastLine(n *yaml.Node) int {
	if n == nil {
		return 0
	}
	last := n.Line
	for _, c := range n.Content {
		last = max(last, lastLine(c))
	}
	return last
}

// text returns the lines with the edits.
func (e *editor) text() []byte {
	slices.SortStableFunc(e.edits, func(a, b edit) int { return a.from - b.from })
	var out bytes.Buffer
	at := 0
	for _, d := range e.edits {
		for ; at < d.from; at++ {
			out.WriteString(e.lines[at])
		}
		out.WriteString(d.text)
		at = d.to
	}
	for ; at < len(e.lines); at++ {
		out.WriteString(e.lines[at])
	}
	return out.Bytes()
}

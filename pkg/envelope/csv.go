package envelope

import (
	"errors"
	"io"
	"strings"
)

// table cuts a CSV export into records. A row becomes the JSON text of an object that holds each cell as a string under
// the name of its column; empty cells are left out. It reads RFC 4180, and is as strict about quotes, so that a row with
// a torn one is told from the rows behind it.
type table struct {
	window
	origin    Origin
	limit     int
	delimiter byte
	columns   []string // as JSON strings, each with a colon

	cells   []cell
	rows    strings.Builder // many rows, one string
	seeking bool            // for the next good row, behind a broken one
	rework  int64           // bytes that were looked at again
}

// cell is where the text of a cell lies, counted from pos, without its quotes.
type cell struct {
	from, to int
	doubled  bool // it holds doubled quotes
}

// knownColumns are names by which the exports of Log Analytics are recognised.
var knownColumns = map[string]bool{
	"TenantId": true, "AADTenantId": true, "TimeGenerated": true, "CreatedDateTime": true, "ActivityDateTime": true,
	"CreationTime": true, "Type": true, "Category": true, "SourceSystem": true, "OperationName": true,
	"CorrelationId": true, "ResultType": true, "Identity": true, "AppId": true, "AppDisplayName": true,
	"UserPrincipalName": true, "UserId": true, "UserDisplayName": true, "IPAddress": true, "ConditionalAccessStatus": true,
	"UniqueTokenIdentifier": true, "RiskState": true, "InitiatedBy": true, "TargetResources": true, "RecordType": true,
	"Operation": true, "OfficeWorkload": true, "Workload": true, "OrganizationId": true, "MailboxOwnerUPN": true,
	"ActionType": true, "RawEventData": true, "AccountObjectId": true, "RequestId": true, "RequestUri": true,
}

// auditColumn is the column of a Purview audit search that holds the record itself.
const auditColumn = "AuditData"

// asTable turns a window at the beginning of a text into the rows of a CSV export, if its first row names the columns of
// a known one.
func asTable(w window, origin Origin, limit int) (*table, bool) {
	// Windows PowerShell writes the type of its objects first.
	for trimBlank(w.rest()[:min(1, len(w.rest()))]) == "" || strings.HasPrefix(w.rest(), "#TYPE ") {
		if lf := w.lineEnd(w.pos); lf < len(w.text) {
			w.consume(lf + 1)
			continue
		}
		return nil, false
	}
	for _, delimiter := range []byte{',', ';', '\t'} {
		t := &table{window: w, origin: origin, limit: limit, delimiter: delimiter}
		n, bad, again := t.tryRow()
		if bad != "" || len(t.cells) < 2 || again && !t.ended() {
			continue
		}
		known := 0
		var quoted []string
		for _, c := range t.cells {
			name := strings.TrimSpace(t.text[w.pos+c.from : w.pos+c.to])
			name = strings.TrimSuffix(name, " [UTC]")
			switch {
			case name == auditColumn:
				known += 2
			case knownColumns[name]:
				known++
			}
			var b strings.Builder
			writeQuoted(&b, name, c.doubled)
			quoted = append(quoted, b.String()+":")
		}
		if known < 2 {
			continue
		}
		t.columns = quoted
		t.consume(t.pos + n)
		return t, true
	}
	return nil, false
}

// next returns the next row as a record.
func (t *table) next() (Record, error) {
	for {
		if !t.skipBlank() {
			return Record{}, t.end()
		}
		at := t.origin
		at.Line = t.line
		n, bad := t.row()
		switch {
		case !t.intact() && t.pos+n == len(t.text) && !strings.HasSuffix(t.text, "\n"):
			t.consume(len(t.text)) // cut off by the source
			continue
		case bad == "" && len(t.cells) == len(t.columns):
			t.seeking = false
			body := t.object()
			t.consume(t.pos + n)
			if body == "{}" {
				continue // a line of commas
			}
			return Record{Body: body, Origin: at}, nil
		case bad == "" && !t.seeking:
			part := t.part(at, reasonCSV, "the row has another number of cells than the first row has columns", n)
			t.consume(t.pos + n)
			return Record{}, part
		}
		// A row with a broken quote may have swallowed those behind it: try again at the next line. But what has been
		// looked at twice must not outgrow the text.
		var part error
		if !t.seeking && bad == rowTooLarge {
			part = t.part(at, reasonSize, bad, n)
		} else if !t.seeking {
			part = t.part(at, reasonCSV, bad, n)
		}
		if t.rework += int64(n); t.rework <= t.offset(t.pos+n)+lookAhead {
			n = 0
		}
		t.skipLine(n)
		t.seeking = true
		if part != nil {
			return Record{}, part
		}
	}
}

// end is called behind the last row.
func (t *table) end() error {
	if b := (*Broken)(nil); errors.As(t.err, &b) {
		t.err = io.EOF
		at := t.origin
		at.Line = t.line
		return &Broken{Reason: b.Reason, Detail: b.Detail, Origin: at}
	}
	return t.err
}

// part makes a Broken of the next n bytes.
func (t *table) part(at Origin, reason, detail string, n int) error {
	return &Broken{Reason: reason, Detail: detail, Copy: excerpt(t.text[t.pos : t.pos+n]), Origin: at}
}

// skipBlank moves over empty lines and reports whether there is more.
func (t *table) skipBlank() bool {
	for {
		i := t.pos
		for i < len(t.text) && (t.text[i] == '\n' || t.text[i] == '\r') {
			i++
		}
		t.consume(i)
		if i < len(t.text) {
			return true
		}
		if !t.more() {
			return false
		}
	}
}

// skipLine moves behind the line end that is at least n bytes away.
func (t *table) skipLine(n int) {
	for {
		if lf := t.lineEnd(t.pos + n); lf < len(t.text) {
			t.consume(lf + 1)
			return
		}
		t.consume(len(t.text))
		if n = 0; !t.more() {
			return
		}
	}
}

// What can be wrong with a row.
const (
	rowTooLarge = "a row of more than 32 MiB, which an open quote may cause"
	rowOpen     = "a quote is not closed"
	rowQuote    = "a quote stands inside a cell without being doubled"
)

// row finds the cells of the row at pos. It returns its length with the line end, and what is wrong with it.
func (t *table) row() (n int, bad string) {
	for {
		n, bad, again := t.tryRow()
		if n > t.limit {
			return t.limit, rowTooLarge
		}
		if again && t.more() {
			continue
		}
		return n, bad
	}
}

// tryRow is row, as far as it is in memory. It reports again where more of the text could change the answer.
func (t *table) tryRow() (n int, bad string, again bool) {
	t.cells = t.cells[:0]
	text := t.rest()
	for i := 0; ; i++ {
		c := cell{from: i}
		if i < len(text) && text[i] == '"' {
			c.from++
			for i++; ; i += 2 {
				q := strings.IndexByte(text[i:], '"')
				if q < 0 {
					return len(text), rowOpen, true
				}
				if i += q; i+1 == len(text) || text[i+1] != '"' {
					break
				}
				c.doubled = true
			}
			c.to = i
			if i++; i < len(text) && text[i] == '\r' {
				i++
			}
		} else {
			for i < len(text) && text[i] != t.delimiter && text[i] != '\n' && text[i] != '"' {
				i++
			}
			if c.to = i; (i == len(text) || text[i] == '\n') && i > c.from && text[i-1] == '\r' {
				c.to--
			}
		}
		t.cells = append(t.cells, c)
		switch {
		case i >= len(text):
			return len(text), "", true
		case text[i] == '\n':
			return i + 1, "", false
		case text[i] != t.delimiter:
			return i, rowQuote, false
		}
	}
}

// object writes the cells of a row as JSON.
func (t *table) object() string {
	if t.rows.Len() > chunkSize/2 {
		t.rows = strings.Builder{}
		t.rows.Grow(chunkSize)
	}
	start := t.rows.Len()
	sep := byte('{')
	for i, c := range t.cells {
		if c.from == c.to {
			continue
		}
		t.rows.WriteByte(sep)
		t.rows.WriteString(t.columns[i])
		writeQuoted(&t.rows, t.text[t.pos+c.from:t.pos+c.to], c.doubled)
		sep = ','
	}
	if sep == '{' {
		t.rows.WriteByte('{')
	}
	t.rows.WriteByte('}')
	return t.rows.String()[start:]
}

// writeQuoted writes a cell as a JSON string. Bytes that are no valid UTF-8 stay as they are: package decode refuses them.
func writeQuoted(b *strings.Builder, s string, doubled bool) {
	const hex = "0123456789abcdef"
	b.WriteByte('"')
	done := 0
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c >= ' ' && c != '"' && c != '\\' {
			continue
		}
		b.WriteString(s[done:i])
		switch c {
		case '"':
			b.WriteString(`\"`)
			if doubled {
				i++
			}
		case '\\':
			b.WriteString(`\\`)
		case '\n':
			b.WriteString(`\n`)
		case '\r':
			b.WriteString(`\r`)
		case '\t':
			b.WriteString(`\t`)
		default:
			b.WriteString(`\u00`)
			b.WriteByte(hex[c>>4])
			b.WriteByte(hex[c&15])
		}
		done = i + 1
	}
	b.WriteString(s[done:])
	b.WriteByte('"')
}

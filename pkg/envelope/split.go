package envelope

import (
	"errors"
	"io"
	"strings"
)

// maxFrames bounds how deep arrays and batches may hold one another. What lies deeper is handed out as one record.
const maxFrames = 16

const byteOrderMark = "\ufeff"

// splitter cuts JSON text into records: batches, arrays, single records, one a line or many, alone or one behind the
// other. It tells where a record ends, and hands it out when its brackets balance; package decode checks the record.
type splitter struct {
	window
	origin Origin // what all records share
	limit  int    // size of the largest record

	frames []frame
	lines  bool      // the last record was a line
	sample string    // the last record: what the start of one looks like
	outer  signature // the start of the outermost batch
	rework int64     // bytes that were looked at again
	told   bool      // the error that ended the source has been reported

	// Inside a message there are no lines to tell: records are counted.
	message  bool // the text is a message, or the messages of a payload
	numbered bool // the elements of the outermost array are messages, and numbered
	seen     int  // records of the message

	levels int       // of strings in strings that this text lies in
	peeled *Messages // the records inside the string that was read last; nil: there are no more
	inside *Messages // the same, to be used again
}

// frame is an array of records that is being read, or the object around it.
type frame struct {
	object bool // inside an object, behind its array of records
	index  int  // 1-based place of the last element
}

// next returns the next record; a *Broken; io.EOF; or the error of the source.
func (s *splitter) next() (Record, error) {
	for {
		if s.peeled != nil {
			rec, err := s.peeled.Next()
			if err == nil || !errors.Is(err, io.EOF) {
				return rec, err
			}
			if s.message {
				s.seen = s.peeled.text.seen
			}
			s.peeled = nil
		}
		if !s.skipBlank() {
			return s.end()
		}
		if n := len(s.frames); n > 0 && s.frames[n-1].object {
			if err := s.members(); err != nil {
				return Record{}, err
			}
			continue
		}
		c := s.text[s.pos]
		switch c {
		case ',':
			s.pos++
			continue
		case ']':
			if n := len(s.frames); n > 0 {
				s.frames = s.frames[:n-1]
				s.pos++
				continue
			}
		case '{':
			if len(s.frames) == 0 {
				if rec, ok := s.wholeLine(); ok {
					return rec, nil
				}
			}
		}
		s.count()
		if c == '[' && len(s.frames) < maxFrames {
			if len(s.frames) == 0 {
				s.outer = signature{}
			}
			s.frames = append(s.frames, frame{})
			s.pos++
			continue
		}
		rec, err := s.element()
		if err == nil || !errors.Is(err, errOpened) {
			return rec, err
		}
	}
}

// errOpened says that what was read is the start of a batch, or a string whose content comes next.
var errOpened = errors.New("a batch begins")

// skipBlank moves to the next byte that is not blank. It reports whether there is one.
func (s *splitter) skipBlank() bool {
	for {
		i := s.pos
		for i < len(s.text) && blank(s.text[i]) {
			i++
		}
		if i > s.pos {
			s.consume(i)
		}
		if i < len(s.text) {
			if s.text[i] != byteOrderMark[0] || len(s.frames) > 0 {
				return true
			}
			// Files that were put together have a mark in front of each.
			if s.ensure(len(byteOrderMark)); !strings.HasPrefix(s.rest(), byteOrderMark) {
				return true
			}
			s.consume(s.pos + len(byteOrderMark))
			continue
		}
		if !s.more() {
			return false
		}
	}
}

func blank(c byte) bool { return c == ' ' || c == '\n' || c == '\r' || c == '\t' }

// end is called behind the last byte.
func (s *splitter) end() (Record, error) {
	if len(s.frames) > 0 {
		at := s.place()
		s.frames = s.frames[:0]
		return Record{}, s.torn(&Broken{Reason: reasonSyntax, Detail: "the text ends inside an array of records", Origin: at})
	}
	if err := s.sourceError(); err != nil {
		return Record{}, err
	}
	return Record{}, io.EOF
}

// sourceError returns the error that ended the source, once where it is one of the content.
func (s *splitter) sourceError() error {
	if s.intact() {
		return nil
	}
	if b := (*Broken)(nil); errors.As(s.err, &b) {
		if s.told {
			return nil
		}
		s.told = true
		return &Broken{Reason: b.Reason, Detail: b.Detail, Origin: s.place()}
	}
	return s.err
}

// count counts an element of the innermost array.
func (s *splitter) count() {
	n := len(s.frames)
	if n > 0 {
		s.frames[n-1].index++
	}
	if n == 1 && s.numbered {
		s.origin.Message++
		s.seen = 0
	}
}

// place is where pos is.
func (s *splitter) place() Origin {
	o := s.origin
	if s.message {
		o.Index = s.seen
		return o
	}
	o.Line = s.line
	for _, f := range s.frames {
		if f.object {
			continue
		}
		if o.Message == 0 {
			o.Message = o.Index
		}
		o.Index = f.index
	}
	return o
}

// wholeLine returns a record that is one line, the usual case, without looking at each byte. It is sure of it when the
// line begins with { and ends with }, the next begins with { as well, and nothing in the line looks like the end of one
// record and the start of another, or like a batch: in JSON, a string apart, no bracket or quote ever follows a }.
func (s *splitter) wholeLine() (Record, bool) {
	lf := s.lineEnd(s.pos)
	for lf+1 >= len(s.text) && len(s.text)-s.pos < s.ahead+2 && s.more() {
		lf = s.lineEnd(s.pos)
	}
	from := s.pos
	if lf-from > s.ahead || lf == len(s.text) && !s.intact() {
		return Record{}, false
	}
	if lf+1 < len(s.text) && s.text[lf+1] != '{' {
		return Record{}, false
	}
	to := lf
	for to > from && blank(s.text[to-1]) {
		to--
	}
	line := s.text[from:to]
	if line[len(line)-1] != '}' || len(line) > s.limit || !single(line) {
		return Record{}, false
	}
	s.seen++
	o := s.place()
	if s.pos = lf; lf < len(s.text) {
		s.pos = lf + 1
		s.line++
	}
	s.lines, s.sample = true, line
	return Record{Body: line, Origin: o}, true
}

// single reports whether a line that begins with { and ends with } cannot be more than one record. It may say no to one.
func single(line string) bool {
	for i := 0; ; {
		n := strings.IndexByte(line[i:], '[')
		if n < 0 {
			break
		}
		if announced(line[:i+n]) {
			return false
		}
		i += n + 1
	}
	for i := 0; ; {
		n := strings.IndexByte(line[i:], '}')
		if n < 0 {
			return true
		}
		i += n + 1
		for i < len(line) && blank(line[i]) {
			i++
		}
		if i < len(line) && (line[i] == '{' || line[i] == '[' || line[i] == '"') {
			return false
		}
	}
}

// announced reports whether text, a part of an object that ends in front of an array, ends with a name under which
// the records of a batch stand.
func announced(text string) bool {
	i := len(text) - 1
	for i > 0 && blank(text[i]) {
		i--
	}
	if i < 0 || text[i] != ':' {
		return false
	}
	for i--; i > 0 && blank(text[i]); i-- {
	}
	return i > 0 && text[i] == '"' && (strings.HasSuffix(text[:i], `"records`) || strings.HasSuffix(text[:i], `"value`))
}

// element reads the value at pos: a record, the start of a batch, or a string with records in it.
func (s *splitter) element() (Record, error) {
	s.seen++
	v := value{}
	switch s.text[s.pos] {
	case '{', '[', '"':
	case '-', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 't', 'f', 'n':
		if len(s.frames) == 0 {
			return Record{}, s.broken(&v, notJSON)
		}
	default:
		return Record{}, s.broken(&v, notJSON)
	}
	for {
		verdict := s.scan(&v)
		if v.at > s.limit {
			return Record{}, s.tooLarge(&v, verdict)
		}
		switch verdict {
		case whole:
			return s.whole(&v)
		case batch:
			if len(s.frames)+2 > maxFrames {
				v.opaque = true
				continue
			}
			if len(s.frames) == 0 {
				s.outer, _ = readSignature(s.text[s.pos : s.pos+v.at])
			}
			s.seen--
			s.frames = append(s.frames, frame{object: true}, frame{})
			s.consume(s.pos + v.at + 1)
			return Record{}, errOpened
		case cut:
			if s.more() {
				continue
			}
			return Record{}, s.broken(&v, cut)
		default:
			return Record{}, s.broken(&v, verdict)
		}
	}
}

// whole hands out what has been scanned, or opens it when it is a string.
func (s *splitter) whole(v *value) (Record, error) {
	rec := Record{Body: s.text[s.pos : s.pos+v.at], Origin: s.place()}
	if rec.Body[0] == '"' {
		if len(s.frames) == 0 && !s.message && !looksLikeJSON(rec.Body) {
			return Record{}, s.broken(v, notJSON)
		}
		s.consume(s.pos + v.at)
		if rec.Body == `""` {
			s.seen-- // it holds no record
			return Record{}, errOpened
		}
		if s.levels == maxLevels {
			return Record{}, &Broken{reasonSyntax, "JSON in strings in strings, too deep", excerpt(rec.Body), rec.Origin}
		}
		s.peel(rec)
		return Record{}, errOpened
	}
	s.consume(s.pos + v.at)
	s.lines = false
	if rec.Body[0] == '{' {
		s.sample = rec.Body
	}
	return rec, nil
}

// peel opens a string. What it holds comes next.
func (s *splitter) peel(rec Record) {
	o := rec.Origin
	if o.Message == 0 {
		o.Message = o.Index
	}
	o.Index = 0
	if s.inside == nil {
		s.inside = &Messages{limit: s.limit, levels: s.levels}
	}
	s.peeled = s.inside
	s.peeled.origin, s.peeled.text.seen = o, 0
	if s.message {
		s.seen--
		s.peeled.text.seen = s.seen
	}
	s.peeled.open(layered{rec.Body[1 : len(rec.Body)-1], 2})
}

// members reads on in the object around an array of records: to its end, or to another array of records.
func (s *splitter) members() error {
	v := value{depth: 1, kinds: 1, prev: closed, named: true}
	at := s.place()
	for {
		verdict := s.scan(&v)
		s.drop(&v)
		switch verdict {
		case whole:
			s.frames = s.frames[:len(s.frames)-1]
			return nil
		case batch:
			s.frames = append(s.frames, frame{})
			s.pos++
			return nil
		case cut:
			if s.more() {
				continue
			}
			s.consume(len(s.text))
			s.frames = s.frames[:0]
			return s.torn(&Broken{Reason: reasonSyntax, Detail: "the text ends inside a batch", Origin: at})
		default:
			s.frames = s.frames[:len(s.frames)-1]
			s.ensure(MaxCopy)
			part := &Broken{Reason: reasonSyntax, Detail: verdict.String(), Origin: at}
			s.setAside(part, 0, s.known(), 0)
			return part
		}
	}
}

// drop lets go of what has been scanned of a value.
func (s *splitter) drop(v *value) {
	s.consume(s.pos + v.at)
	v.at = 0
}

// tooLarge reads on to the end of a value that is larger than the limit, without holding it.
func (s *splitter) tooLarge(v *value, verdict verdict) error {
	s.ensure(MaxCopy)
	part := &Broken{reasonSize, "a record of more than 32 MiB", excerpt(s.rest()), s.place()}
	v.opaque = true
	if verdict == cut {
		verdict = s.scan(v) // taking the copy may have read on
	}
	for {
		s.drop(v)
		switch verdict {
		case whole:
			return part
		case batch:
		case cut:
			if !s.more() {
				s.consume(len(s.text))
				s.frames = s.frames[:0]
				return s.torn(part)
			}
		default:
			s.resume(0, nil, 0)
			return part
		}
		verdict = s.scan(v)
	}
}

// torn returns the part at the end of the text. Where it was the source that broke, that is the reason.
func (s *splitter) torn(part *Broken) error {
	err := s.sourceError()
	if b := (*Broken)(nil); errors.As(err, &b) {
		part.Reason, part.Detail, err = b.Reason, b.Detail, nil
	}
	if err != nil {
		return err
	}
	return part
}

// excerpt is the bounded copy of what is set aside.
func excerpt(s string) string { return strings.Clone(s[:min(len(s), MaxCopy)]) }

package envelope

import "strings"

// lookInto is how many bytes of a record are looked at to tell how it starts.
const lookInto = 2 << 10

// signature is how a record starts: its first name, and its second where the first value is a whole scalar and a comma
// follows.
type signature struct{ first, second string }

// broken sets aside what begins at pos and cannot be scanned beyond v, and moves to where reading goes on.
func (s *splitter) broken(v *value, why verdict) error {
	s.ensure(MaxCopy)
	part := &Broken{Reason: reasonSyntax, Detail: why.String(), Origin: s.place()}
	indent, first := s.before(s.pos)
	if !first {
		indent = 0
	}
	var known []signature
	if !first || strings.IndexByte(s.text[s.pos:s.pos+v.at], '\n') < 0 {
		known = s.known()
	}
	// The next record may stand before the place at which this one turned out to be broken. But what has been looked
	// at twice must not outgrow the text.
	from := 1
	if s.rework += int64(v.at); s.rework > s.offset(s.pos+v.at)+lookAhead {
		from = max(v.at, 1)
	}
	s.setAside(part, from, known, indent)
	if why == cut && s.pos == len(s.text) {
		return s.torn(part)
	}
	return part
}

// setAside moves to where reading goes on, as resume does, and completes part with a copy of what it passed over. The
// bytes to copy must be in memory.
func (s *splitter) setAside(part *Broken, from int, known []signature, indent int) {
	start, head := s.offset(s.pos), s.rest()
	s.resume(from, known, indent)
	part.Copy = excerpt(head[:min(int64(len(head)), s.offset(s.pos)-start)])
}

// known returns how records start here: as the broken one does, and as the last good one does.
func (s *splitter) known() []signature {
	good, ok := readSignature(s.sample)
	own, isOwn := readSignature(s.rest())
	switch {
	case ok && (!isOwn || own.first == good.first):
		return []signature{good}
	case ok:
		return []signature{good, own}
	}
	return []signature{own} // any, if not even its name can be read
}

// resume moves pos to the next place, at least from bytes away, where a record seems to start: a { or [ that is the first
// thing in its line and stands as far to the right as the broken one, or a { behind a comma or a bracket that starts
// like a known record. Without one it moves to the end.
func (s *splitter) resume(from int, known []signature, indent int) {
	for {
		for i := s.pos + from; i < len(s.text); i++ {
			i = nextOpening(s.text, i)
			if len(s.text)-i < lookInto && !s.ended() {
				from = i - s.pos
				break
			}
			if i == len(s.text) {
				break
			}
			sig, ok := readSignature(s.text[i:])
			switch before, first := s.before(i); {
			case first && before == indent:
				if len(s.frames) == 0 {
					s.lines = indent == 0 // as far as one can tell
				} else if s.lines || s.outerAgain(i, sig) {
					s.frames = s.frames[:0] // the next batch
				}
			case ok && s.separated(i) && matches(sig, known):
			default:
				continue
			}
			s.consume(i)
			return
		}
		if s.ended() {
			s.frames = s.frames[:0]
			s.consume(len(s.text))
			return
		}
		s.consume(s.pos + from)
		from = 0
		s.more()
	}
}

// outerAgain reports whether what starts at text[i] starts as the outermost batch or array did.
func (s *splitter) outerAgain(i int, sig signature) bool {
	if s.outer.first == "" {
		return s.text[i] == '['
	}
	return s.outer.first == sig.first
}

// before returns the number of blanks in front of text[i] in its line, and whether nothing else is there.
func (s *splitter) before(i int) (blanks int, first bool) {
	for blanks < lookBehind && blanks < i && (s.text[i-blanks-1] == ' ' || s.text[i-blanks-1] == '\t') {
		blanks++
	}
	return blanks, blanks == i && s.base == 0 || blanks < i && s.text[i-blanks-1] == '\n'
}

// separated reports whether a record may start at text[i] by what stands in front of it.
func (s *splitter) separated(i int) bool {
	for n := 1; n <= lookBehind && n <= i; n++ {
		if c := s.text[i-n]; !blank(c) {
			return c == ',' || c == '}' || c == ']' || c == '['
		}
	}
	return false
}

// nextOpening returns the place of the first { or [ at or behind i, or the end of text.
func nextOpening(text string, i int) int {
	for i < len(text) && text[i] != '{' && text[i] != '[' {
		i++
	}
	return i
}

func matches(sig signature, known []signature) bool {
	for _, k := range known {
		if k.first == "" || sig.first == k.first && (k.second == "" || sig.second == k.second) {
			return true
		}
	}
	return false
}

// readSignature reads how the record at the beginning of text starts. It reports false where it cannot tell.
func readSignature(text string) (signature, bool) {
	text = text[:min(len(text), lookInto)]
	if text == "" || text[0] != '{' {
		return signature{}, false
	}
	first, rest, ok := readName(text[1:])
	if !ok {
		return signature{}, false
	}
	sig := signature{first: first}
	rest = trimBlank(rest)
	switch {
	case rest == "":
		return sig, true
	case rest[0] == '"':
		n := 1
		for n < len(rest) && rest[n] != '"' {
			if rest[n] == '\\' {
				n++
			}
			n++
		}
		rest = rest[min(n+1, len(rest)):]
	default:
		rest = strings.TrimLeft(rest, "+-.0123456789Eaeflnrstu")
	}
	if rest = trimBlank(rest); rest != "" && rest[0] == ',' {
		sig.second, _, _ = readName(rest[1:])
	}
	return sig, true
}

// readName reads a name and the colon behind it.
func readName(text string) (name, rest string, ok bool) {
	if text = trimBlank(text); text == "" || text[0] != '"' {
		return "", "", false
	}
	name, rest, ok = strings.Cut(text[1:], `"`)
	if rest = trimBlank(rest); !ok || rest == "" || rest[0] != ':' {
		return "", "", false
	}
	return name, rest[1:], true
}

func trimBlank(s string) string {
	for s != "" && blank(s[0]) {
		s = s[1:]
	}
	return s
}

package decode

// Elements walks the members of an object or the elements of an array, one level deep, whatever their names. It is for
// values whose names are not known before: those of a nested object that a rule asks for.
//
//	for e := Walk(text); e.Next(); {
//		use(e.Name, e.Value)
//	}
type Elements struct {
	Name  string // of a member; "" for an element of an array
	Value Value  // a string with its escapes undone, else as written

	scan   scan
	at     int
	object bool
	more   bool
}

// Walk begins at the first member or element of the text. A text that is neither an object nor an array has none.
func Walk(s string) Elements {
	e := Elements{scan: scan{s: s}, at: failed}
	i := space(s, 0)
	if i == len(s) || s[i] != '{' && s[i] != '[' {
		return e
	}
	e.object = s[i] == '{'
	e.at, e.more = e.scan.first(i+1, s[i]+2)
	return e
}

// Next reads the next one. It reports false behind the last one, and where the text is no JSON.
func (e *Elements) Next() bool {
	if !e.more || e.at == failed {
		return false
	}
	d, i := &e.scan, e.at
	closing := byte(']')
	if e.object {
		closing = '}'
		if i == len(d.s) || d.s[i] != '"' {
			return false
		}
		end, escaped := d.text(i + 1)
		if end == failed {
			return false
		}
		if e.Name = d.s[i+1 : end]; escaped {
			e.Name = d.unescape(i+1, end)
		}
		if i = d.colon(end + 1); i == failed {
			return false
		}
	}
	if e.Value, i = d.value(i, none, 1); i == failed {
		return false
	}
	e.at, e.more = d.next(i, closing)
	return true
}

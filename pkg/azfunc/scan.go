package azfunc

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math/bits"
	"strings"
)

// scanner finds the members of the outer objects of an invocation without copying or decoding their values.
//
// It checks the grammar of the objects that it walks; of a value it finds the end. The inside of a value is checked by
// whoever decodes it, once.
type scanner struct {
	s string
	i int
}

var (
	errEnd       = errors.New("the text ends too early")
	errTrailing  = errors.New("text after the end of the object")
	errDuplicate = errors.New("a name stands twice")
)

// syntaxError gives a place to an error of the grammar.
func (p *scanner) syntaxError(want string) error {
	if p.i >= len(p.s) {
		return fmt.Errorf("at byte %d: %w", p.i, errEnd)
	}
	return fmt.Errorf("at byte %d: found %q, want %s", p.i, p.s[p.i], want)
}

func (p *scanner) space() {
	for p.i < len(p.s) {
		switch p.s[p.i] {
		case ' ', '\t', '\r', '\n':
			p.i++
		default:
			return
		}
	}
}

// byte consumes c after optional space.
func (p *scanner) byte(c byte) error {
	p.space()
	if p.i >= len(p.s) || p.s[p.i] != c {
		return p.syntaxError(fmt.Sprintf("%q", c))
	}
	p.i++
	return nil
}

// object walks the members of the object at the scanner's place. member has to consume the value.
func (p *scanner) object(member func(name string) error) error {
	if err := p.byte('{'); err != nil {
		return err
	}
	p.space()
	if p.i < len(p.s) && p.s[p.i] == '}' {
		p.i++
		return nil
	}
	for {
		p.space()
		at := p.i
		if p.i >= len(p.s) || p.s[p.i] != '"' {
			return p.syntaxError("a name")
		}
		if err := p.skipString(); err != nil {
			return err
		}
		var name string
		if err := json.Unmarshal([]byte(p.s[at:p.i]), &name); err != nil {
			return fmt.Errorf("at byte %d: name: %w", at, err)
		}
		if err := p.byte(':'); err != nil {
			return err
		}
		if err := member(name); err != nil {
			return err
		}
		p.space()
		if p.i < len(p.s) && p.s[p.i] == ',' {
			p.i++
			continue
		}
		return p.byte('}')
	}
}

// values reads an object into its members' texts. A name that stands twice is an error: which of the two another
// reader takes cannot be known.
func (p *scanner) values() (map[string]Value, error) {
	m := make(map[string]Value, 8)
	err := p.object(func(name string) error {
		if _, ok := m[name]; ok {
			return fmt.Errorf("at byte %d: %w", p.i, errDuplicate)
		}
		v, err := p.value()
		m[name] = v
		return err
	})
	return m, err
}

// null consumes a null, and tells whether there was one.
func (p *scanner) null() bool {
	p.space()
	if !strings.HasPrefix(p.s[p.i:], "null") {
		return false
	}
	p.i += len("null")
	return true
}

// value consumes one JSON value and returns its text.
func (p *scanner) value() (Value, error) {
	p.space()
	at := p.i
	if err := p.skip(); err != nil {
		return "", err
	}
	return Value(p.s[at:p.i]), nil
}

// skip consumes one JSON value. Brackets are counted, not matched.
func (p *scanner) skip() error {
	if p.i >= len(p.s) {
		return p.syntaxError("a value")
	}
	switch p.s[p.i] {
	case '"':
		return p.skipString()
	case '{', '[':
	default:
		n := strings.IndexAny(p.s[p.i:], ",]} \t\r\n")
		if n < 0 {
			n = len(p.s) - p.i
		}
		if n == 0 {
			return p.syntaxError("a value")
		}
		p.i += n
		return nil
	}
	for depth := 0; ; {
		n := strings.IndexAny(p.s[p.i:], `"{}[]`)
		if n < 0 {
			p.i = len(p.s)
			return p.syntaxError("the end of the value")
		}
		p.i += n
		switch p.s[p.i] {
		case '"':
			if err := p.skipString(); err != nil {
				return err
			}
			continue
		case '{', '[':
			depth++
		default:
			depth--
		}
		p.i++
		if depth == 0 {
			return nil
		}
	}
}

// skipString consumes a string. A quotation mark ends it if an even number of backslashes stands before it. Payloads of
// several megabytes pass here, in which a quotation mark behind one or three backslashes stands every few bytes: eight bytes
// are looked at at once, and only marks that may end the string are looked at for themselves. Base64 has none for long.
func (p *scanner) skipString() error {
	s, start := p.s, p.i+1
	at, before := start, uint64(0) // the backslashes of the eight bytes in front of at, as far as they belong to the string
	for plain := 0; at+8 <= len(s); {
		word := binary.LittleEndian.Uint64([]byte(s[at : at+8]))
		quotes, slashes := marks(word, '"'), marks(word, '\\')
		one, two := slashes<<8|before>>56, slashes<<16|before>>48
		three, four := slashes<<24|before>>40, slashes<<32|before>>32
		// Behind none, behind two, or behind four or more.
		may := quotes & (^one | two&^three | two&three&four)
		if may == 0 {
			at, before = at+8, slashes
			if plain++; quotes != 0 {
				plain = 0
			}
			if plain >= 16 {
				n := strings.IndexByte(s[at:], '"')
				if n < 0 {
					break
				}
				at, plain = at+n, 0
				before = marks(binary.LittleEndian.Uint64([]byte(s[at-8:at])), '\\')
			}
			continue
		}
		quote := at + bits.TrailingZeros64(may)>>3
		at, before = quote+1, 0
		if ends(s[start:quote]) {
			p.i = at
			return nil
		}
	}
	for ; at < len(s); at++ {
		if s[at] == '"' && ends(s[start:at]) {
			p.i = at + 1
			return nil
		}
	}
	p.i = len(s)
	return p.syntaxError("the end of the string")
}

// marks returns the high bit of the bytes of the word that are c.
func marks(word uint64, c byte) uint64 {
	const ones, low = 0x0101010101010101, 0x7f7f7f7f7f7f7f7f
	word ^= ones * uint64(c)
	return ^((word&low + low) | word | low)
}

// ends reports whether a quotation mark behind text ends it.
func ends(text string) bool {
	slashes := 0
	for slashes < len(text) && text[len(text)-1-slashes] == '\\' {
		slashes++
	}
	return slashes%2 == 0
}

package envelope

import (
	"io"
	"unicode/utf16"
	"unicode/utf8"
)

// utf16Reader turns UTF-16, as Windows PowerShell writes it, into UTF-8. What is no valid UTF-16 becomes invalid UTF-8,
// so that the decoder refuses the record that holds it, and not a record with a replacement character in it.
type utf16Reader struct {
	src       io.Reader
	bigEndian bool
	raw       [4 << 10]byte
	n         int // bytes in raw
	out       []byte
	at        int
	err       error
}

func (u *utf16Reader) Read(p []byte) (int, error) {
	for u.at == len(u.out) {
		if u.err != nil {
			return 0, u.err
		}
		var n int
		n, u.err = u.src.Read(u.raw[u.n:])
		u.n += n
		u.convert()
	}
	n := copy(p, u.out[u.at:])
	u.at += n
	return n, nil
}

// convert turns what is in raw into out, except for a character that is not complete yet.
func (u *utf16Reader) convert() {
	u.out, u.at = u.out[:0], 0
	i := 0
	for ; i+1 < u.n; i += 2 {
		r := u.unit(i)
		if !utf16.IsSurrogate(r) {
			u.out = utf8.AppendRune(u.out, r)
			continue
		}
		if i+3 >= u.n && u.err == nil {
			break
		}
		if i+3 < u.n {
			if pair := utf16.DecodeRune(r, u.unit(i+2)); pair != utf8.RuneError {
				u.out = utf8.AppendRune(u.out, pair)
				i += 2
				continue
			}
		}
		u.out = appendSurrogate(u.out, r)
	}
	if i < u.n && u.err != nil {
		u.out = append(u.out, 0xff)
		i = u.n
	}
	u.n = copy(u.raw[:], u.raw[i:u.n])
}

func (u *utf16Reader) unit(i int) rune {
	a, b := rune(u.raw[i]), rune(u.raw[i+1])
	if u.bigEndian {
		return a<<8 | b
	}
	return b<<8 | a
}

// appendSurrogate writes half of a surrogate pair as the three bytes that it would have in UTF-8 if it were allowed.
func appendSurrogate(b []byte, r rune) []byte {
	return append(b, 0xe0|byte(r>>12), 0x80|byte(r>>6)&0x3f|0x80, 0x80|byte(r)&0x3f)
}

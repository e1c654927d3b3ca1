package sigma

import (
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"unicode"
	"unicode/utf16"
)

// The modifiers that encode a value, and what they make of it.
var encodings = map[string]func(string) []string{
	"base64":       func(s string) []string { return []string{base64.StdEncoding.EncodeToString([]byte(s))} },
	"base64offset": base64Offsets,
	"wide":         func(s string) []string { return []string{utf16Text(s, false, false)} },
	"utf16le":      func(s string) []string { return []string{utf16Text(s, false, false)} },
	"utf16be":      func(s string) []string { return []string{utf16Text(s, false, true)} },
	"utf16":        func(s string) []string { return []string{utf16Text(s, true, false)} },
}

// base64Offsets returns the base64 of the text at each of the three places in a longer text: the characters that hang on
// what stands before or behind it are cut off.
func base64Offsets(s string) []string {
	out := make([]string, 0, 3)
	for offset := range 3 {
		padded := make([]byte, offset, offset+len(s))
		padded = append(padded, s...)
		encoded := base64.StdEncoding.EncodeToString(padded)
		begin := []int{0, 2, 3}[offset]
		end := len(encoded) - []int{0, 3, 2}[len(padded)%3]
		if begin < end {
			out = append(out, encoded[begin:end])
		}
	}
	return out
}

// utf16Text returns the bytes of the text in UTF-16. A mark says little endian.
func utf16Text(s string, mark, bigEndian bool) string {
	units := utf16.Encode([]rune(s))
	if mark {
		units = slices.Insert(units, 0, 0xfeff)
	}
	var order binary.AppendByteOrder = binary.LittleEndian
	if bigEndian {
		order = binary.BigEndian
	}
	out := make([]byte, 0, 2*len(units))
	for _, u := range units {
		out = order.AppendUint16(out, u)
	}
	return string(out)
}

// windash lets every character of the pattern that begins a flag of a command line be any that does so: it is a hyphen or a
// slash with a word behind it and none before it.
func windash(p pattern) pattern {
	p = slices.Clone(p)
	for i, r := range p {
		if (r == '-' || r == '/') && (i == 0 || !wordRune(p[i-1])) && i+1 < len(p) && wordRune(p[i+1]) {
			p[i] = dash
		}
	}
	return p
}

func wordRune(r rune) bool {
	return r >= 0 && (r == '_' || unicode.IsLetter(r) || unicode.IsDigit(r))
}

// maxVariants bounds what one value may become.
const maxVariants = 1024

// texts returns the texts that the pattern stands for, which must be few: an encoding needs to know each.
func texts(p pattern) ([]string, error) {
	variants := []pattern{nil}
	for _, r := range p {
		switch {
		case r == many || r == one:
			return nil, errors.New("a value with a wildcard cannot be encoded")
		case r != dash:
			for i := range variants {
				variants[i] = append(variants[i], r)
			}
			continue
		}
		var more []pattern
		for _, v := range variants {
			for _, d := range dashes {
				more = append(more, append(slices.Clone(v), d))
			}
		}
		if variants = more; len(variants) > maxVariants {
			return nil, fmt.Errorf("has so many flags that windash makes more than %d values of it", maxVariants)
		}
	}
	out := make([]string, len(variants))
	for i, v := range variants {
		out[i] = v.text()
	}
	return out, nil
}

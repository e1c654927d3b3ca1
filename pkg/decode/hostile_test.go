package decode

import "strings"

// megabyte is the size at which hostile texts are measured.
const megabyte = 1 << 20

// hostile are texts of about that size that try to cost more than their bytes.
func hostile(size int) map[string]string {
	fill := func(before, unit, after string) string {
		n := (size - len(before) - len(after)) / len(unit)
		return before + strings.Repeat(unit, n) + after
	}
	list := func(unit string) string { return fill(`{"x":[`, unit+",", unit+`]}`) }
	var keys, escapedKeys strings.Builder
	for i := range size / 21 {
		n := numeral(i)
		keys.WriteString(`,"key` + n + `":"value"`)
		escapedKeys.WriteString(`,"\u006bey` + n + `":1`)
	}
	deep := strings.Repeat("[", MaxDepth-2) + strings.Repeat("]", MaxDepth-2)
	deepObjects := strings.Repeat(`{"":`, MaxDepth-2) + "0" + strings.Repeat("}", MaxDepth-2)
	return map[string]string{
		"line feeds escaped":           fill(`{"x":"`, `\n`, `"}`),
		"quotes escaped":               fill(`{"x":"`, `\"`, `"}`),
		"line feeds escaped, wanted":   fill(`{"id":"`, `\n`, `"}`),
		"units escaped":                fill(`{"x":"`, `\u0041`, `"}`),
		"units escaped, wanted":        fill(`{"id":"`, `\u0041`, `"}`),
		"pairs escaped, wanted":        fill(`{"id":"`, `\ud83d\ude00`, `"}`),
		"escapes and letters, wanted":  fill(`{"id":"`, `a\n`, `"}`),
		"two-byte characters":          fill(`{"x":"`, "\u00e9", `"}`),
		"three-byte characters":        fill(`{"x":"`, "\u4e00", `"}`),
		"four-byte characters":         fill(`{"x":"`, "\U0001f600", `"}`),
		"ASCII and others in turn":     fill(`{"x":"`, "a\u00e9", `"}`),
		"a name of a megabyte":         fill(`{"`, "a", `":1}`),
		"an escaped name":              fill(`{"`, `\u0041`, `":1}`),
		"many names":                   `{"x":1` + keys.String() + "}",
		"many names with escapes":      `{"x":1` + escapedKeys.String() + "}",
		"many names, not wanted":       `{"x":{"x":1` + keys.String() + "}}",
		"empty names":                  fill(`{"x":1`, `,"":0`, "}"),
		"wanted names of lower rank":   `{"category":"x","Category":"y"` + keys.String() + "}",
		"empty arrays":                 list("[]"),
		"empty objects":                list("{}"),
		"empty strings":                list(`""`),
		"digits":                       list("0"),
		"negative fractions":           list("-0.5"),
		"literals":                     list("true"),
		"small objects":                list(`{"a":0}`),
		"a number":                     fill(`{"x":`, "9", "}"),
		"a wanted number":              fill(`{"id":0.`, "9", "}"),
		"spaces":                       fill(`{"x":`, " ", "1}"),
		"line feeds":                   fill("{", "\n", "}"),
		"spaces between all":           list(` [ 0 , "" ] `),
		"nested arrays":                list(deep),
		"nested objects":               list(deepObjects),
		"plain text":                   fill(`{"x":"`, "a", `"}`),
		"wanted plain text":            fill(`{"id":"`, "a", `"}`),
		"wanted objects in an object":  fill(`{"properties":{"x":0`, `,"x":{}`, "}}"),
		"names that end on a boundary": fill(`{"x":0`, `,"1234567":0`, "}"),
	}
}

func numeral(n int) string {
	const digits = "0123456789"
	return string([]byte{digits[n/10000%10], digits[n/1000%10], digits[n/100%10], digits[n/10%10], digits[n%10]})
}

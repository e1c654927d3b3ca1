package decode

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"
)

// decoders are held to the same tests.
var decoders = map[string]Decoder{"Reference": Reference{}, "Scanner": Scanner{}}

// eachDecoder runs a test with both decoders.
func eachDecoder(t *testing.T, f func(t *testing.T, d Decoder)) {
	t.Helper()
	for _, name := range slices.Sorted(maps.Keys(decoders)) {
		t.Run(name, func(t *testing.T) { f(t, decoders[name]) })
	}
}

const (
	pair     = `\ud83d\ude00`
	longName = "a name of more than eight bytes that nothing wants"
)

// nested returns n arrays, one in the other.
func nested(n int) string { return strings.Repeat("[", n) + strings.Repeat("]", n) }

// strictness holds every kind of text that the package documentation speaks of. Each text stands in for X in all of
// the places that TestStrictness knows: what is skipped is checked as hard as what is wanted.
var strictness = []struct {
	name  string
	value string
	err   error // nil: accepted
}{
	// RFC 8259, values.
	{"string", `"a"`, nil},
	{"empty string", `""`, nil},
	{"string of eight bytes", `"12345678"`, nil},
	{"string of seven bytes", `"1234567"`, nil},
	{"object", `{"a":1}`, nil},
	{"empty object", `{}`, nil},
	{"array", `[1,"a",null]`, nil},
	{"empty array", `[]`, nil},
	{"true", `true`, nil},
	{"false", `false`, nil},
	{"null", `null`, nil},
	{"all the whitespace", " \t\r\n[ \t\r\n1 \t\r\n, \t\r\n{ \t\r\n\"a\" \t\r\n: \t\r\n1 \t\r\n} \t\r\n] \t\r\n", nil},
	{"no value", ``, ErrSyntax},
	{"True", `True`, ErrSyntax},
	{"tru", `tru`, ErrSyntax},
	{"truex", `truex`, ErrSyntax},
	{"nul", `nul`, ErrSyntax},
	{"undefined", `undefined`, ErrSyntax},
	{"NaN", `NaN`, ErrSyntax},
	{"Infinity", `Infinity`, ErrSyntax},
	{"-Infinity", `-Infinity`, ErrSyntax},
	{"single quotes", `'a'`, ErrSyntax},
	{"comment", `/* */1`, ErrSyntax},
	{"byte-order mark", "\ufeff1", ErrSyntax},
	{"non-breaking space", "\u00a01", ErrSyntax},
	{"vertical tab as space", "\v1", ErrSyntax},
	{"form feed as space", "\f1", ErrSyntax},
	{"zero byte as space", "\x001", ErrSyntax},
	{"byte that is not UTF-8 as value", "\xff", ErrSyntax},

	// Structure.
	{"array without comma", `[1 2]`, ErrSyntax},
	{"array, comma at the end", `[1,]`, ErrSyntax},
	{"array, comma at the start", `[,1]`, ErrSyntax},
	{"array of a comma", `[,]`, ErrSyntax},
	{"array, two commas", `[1,,2]`, ErrSyntax},
	{"array with colon", `[1:2]`, ErrSyntax},
	{"array closed by brace", `[1}`, ErrSyntax},
	{"array, comma, brace", `[1,}`, ErrSyntax},
	{"object without comma", `{"a":1 "b":2}`, ErrSyntax},
	{"object, comma at the end", `{"a":1,}`, ErrSyntax},
	{"object, comma at the start", `{,"a":1}`, ErrSyntax},
	{"object, two commas", `{"a":1,,"b":2}`, ErrSyntax},
	{"object closed by bracket", `{"a":1]`, ErrSyntax},
	{"object without value", `{"a"}`, ErrSyntax},
	{"object without value behind the colon", `{"a":}`, ErrSyntax},
	{"object with comma for colon", `{"a",1}`, ErrSyntax},
	{"object with two colons", `{"a"::1}`, ErrSyntax},
	{"object without colon", `{"a" 1}`, ErrSyntax},
	{"name without quotes", `{a:1}`, ErrSyntax},
	{"name is a number", `{1:1}`, ErrSyntax},
	{"name is null", `{null:1}`, ErrSyntax},
	{"name is an array", `{[]:1}`, ErrSyntax},
	{"name is an object", `{{}:1}`, ErrSyntax},
	{"closing bracket alone", `]`, ErrSyntax},
	{"closing brace alone", `}`, ErrSyntax},
	{"one bracket too many", `[]]`, ErrSyntax},
	{"array not closed", `[1`, ErrSyntax},
	{"object not closed", `{"a":1`, ErrSyntax},

	// Numbers.
	{"zero", `0`, nil},
	{"minus zero", `-0`, nil},
	{"number", `-12.50e+07`, nil},
	{"exponent", `1E-2`, nil},
	{"exponent with zeros", `1e007`, nil},
	{"number beyond all types", `-123456789012345678901234567890.5E99999`, nil},
	{"01", `01`, ErrSyntax},
	{"-01", `-01`, ErrSyntax},
	{"1.", `1.`, ErrSyntax},
	{".5", `.5`, ErrSyntax},
	{"-", `-`, ErrSyntax},
	{"-.5", `-.5`, ErrSyntax},
	{"1e", `1e`, ErrSyntax},
	{"1e+", `1e+`, ErrSyntax},
	{"1e1.5", `1e1.5`, ErrSyntax},
	{"1.e1", `1.e1`, ErrSyntax},
	{"+1", `+1`, ErrSyntax},
	{"--1", `--1`, ErrSyntax},
	{"0x10", `0x10`, ErrSyntax},
	{"1_000", `1_000`, ErrSyntax},
	{"1,000 as one", `1 000`, ErrSyntax},
	{"Arabic digit", "\u0661", ErrSyntax},

	// Strings.
	{"all escapes", `"\"\\\/\b\f\n\r\t\u0041"`, nil},
	{"escapes of either case", `"\u00e9\u00E9\uFfFd"`, nil},
	{"escaped zero", `"\u0000"`, nil},
	{"escape at the eighth byte", `"1234567\n1234567"`, nil},
	{"quote behind an escaped backslash", `"\\"`, nil},
	{"DEL", "\"\x7f\"", nil},
	{`\q`, `"\q"`, ErrSyntax},
	{`\ and line feed`, "\"\\\n\"", ErrSyntax},
	{`\u12`, `"\u12"`, ErrSyntax},
	{`\u12 and text`, `"\u12 and text"`, ErrSyntax},
	{`\uZZZZ`, `"\uZZZZ"`, ErrSyntax},
	{`\U0041`, `"\U0041"`, ErrSyntax},
	{`\x41`, `"\x41"`, ErrSyntax},
	{`\0`, `"\0"`, ErrSyntax},
	{"raw line feed", "\"a\nb\"", ErrSyntax},
	{"raw tab", "\"12345678\tb\"", ErrSyntax},
	{"raw zero", "\"a\x00b\"", ErrSyntax},
	{"raw 0x1f", "\"a\x1fb\"", ErrSyntax},
	{"string not closed", `"abc`, ErrSyntax},
	{"string not closed behind an escaped quote", `"abc\"`, ErrSyntax},
	{"string ends in a backslash", `"abc\`, ErrSyntax},

	// UTF-8 and surrogates.
	{"two bytes", "\"\u00e9\"", nil},
	{"three bytes", "\"\u4e00\ufffd\"", nil},
	{"four bytes", "\"\U0001f600\U0010ffff\"", nil},
	{"noncharacter", "\"\uffff\"", nil},
	{"byte-order mark in a string", "\"\ufeff\"", nil},
	{"surrogate pair", `"` + pair + `"`, nil},
	{"surrogate pair in capitals", `"\uD83D\uDE00"`, nil},
	{"escaped replacement character", `"\ufffd"`, nil},
	{"high surrogate alone", `"\ud800"`, ErrUTF8},
	{"high surrogate and text", `"\ud800abcdefgh"`, ErrUTF8},
	{"high surrogate and escape", `"\ud800\nabcdefgh"`, ErrUTF8},
	{"high surrogate and a letter's unit", `"\ud800\u0041"`, ErrUTF8},
	{"two high surrogates", `"\ud800\ud800"`, ErrUTF8},
	{"low surrogate alone", `"\udc00"`, ErrUTF8},
	{"low before high", `"\ude00\ud83d"`, ErrUTF8},
	{"high surrogate and a bad unit", `"\ud83d\uZZZZ"`, ErrUTF8},
	{"continuation byte alone", "\"a\x80\"", ErrUTF8},
	{"0xff", "\"\xff\"", ErrUTF8},
	{"two bytes cut short", "\"\xc3\"", ErrUTF8},
	{"three bytes cut short", "\"\xe2\x82\"", ErrUTF8},
	{"four bytes cut short", "\"\xf0\x9f\x98\"", ErrUTF8},
	{"overlong slash", "\"\xc0\xaf\"", ErrUTF8},
	{"overlong in three", "\"\xe0\x80\xaf\"", ErrUTF8},
	{"surrogate in UTF-8", "\"\xed\xa0\x80\"", ErrUTF8},
	{"pair of surrogates in UTF-8", "\"\xed\xa0\xbd\xed\xb8\x80\"", ErrUTF8},
	{"beyond Unicode", "\"\xf4\x90\x80\x80\"", ErrUTF8},
	{"Latin-1", "\"caf\xe9 au lait\"", ErrUTF8},

	// Names that are not wanted may repeat.
	{"a name twice", `{"` + longName + `":1,"` + longName + `":2}`, nil},
}

// places are where a value can stand; X is the value.
var places = map[string]string{
	"wanted":              `{"id":X}`,
	"wanted, others near": `{"x":0,"id":X,"y":"z"}`,
	"wanted below":        `{"properties":{"userId":X}}`,
	"skipped":             `{"x":X}`,
	"skipped, long name":  `{"` + longName + `":X,"y":0}`,
	"skipped below":       `{"properties":{"x":X}}`,
	"skipped in an array": `{"x":["a",X,"b"]}`,
	"skipped deep":        `{"x":[{"a":[{"b":X}]}]}`,
	"in a wanted array":   `{"roles":["a",X]}`,
	"in a wanted object":  `{"mfaDetail":{"a":X}}`,
	"behind whitespace":   " {\n\t\"id\" : X \r\n} ",
}

func TestStrictness(t *testing.T) {
	t.Parallel()
	eachDecoder(t, func(t *testing.T, d Decoder) {
		for _, c := range strictness {
			for _, place := range slices.Sorted(maps.Keys(places)) {
				s := strings.ReplaceAll(places[place], "X", c.value)
				var v Values
				if err := d.Object(s, Root, &v); !errors.Is(err, c.err) || (err == nil) != (c.err == nil) {
					t.Errorf("%s, %s: got %v, want %v: %q", c.name, place, err, c.err, s)
				}
			}
			if s := "[" + c.value + "]"; c.value != "" {
				_, err := elements(d, s)
				if !errors.Is(err, c.err) || (err == nil) != (c.err == nil) {
					t.Errorf("%s, element: got %v, want %v: %q", c.name, err, c.err, s)
				}
			}
			if s := c.value; !strings.HasPrefix(strings.TrimSpace(s), "{") {
				want := c.err
				if want == nil {
					want = ErrNotObject
				}
				var v Values
				if err := d.Object(s, Root, &v); !errors.Is(err, want) {
					t.Errorf("%s, alone: got %v, want %v: %q", c.name, err, want, s)
				}
			}
		}
	})
}

func TestWholeText(t *testing.T) {
	t.Parallel()
	cases := []struct {
		name, text string
		err        error
		at         int64
	}{
		{"object", `{}`, nil, 0},
		{"whitespace around", " \r\n\t{} \r\n\t", nil, 0},
		{"empty", ``, ErrSyntax, 0},
		{"blank", "  \n", ErrSyntax, 3},
		{"trailing byte", `{}x`, ErrSyntax, 2},
		{"trailing zero", "{}\x00", ErrSyntax, 2},
		{"trailing comma", `{} ,`, ErrSyntax, 3},
		{"trailing brace", `{}}`, ErrSyntax, 2},
		{"second document", `{} {}`, ErrSyntax, 3},
		{"second line", "{}\n{}\n", ErrSyntax, 3},
		{"truncated", `{"id":"a"`, ErrSyntax, 9},
		{"truncated name", `{"id`, ErrSyntax, 4},
		{"truncated escape", `{"id":"\u00`, ErrSyntax, 7},
		{"truncated character", "{\"id\":\"\xe2\x82", ErrSyntax, 7},
		{"truncated pair", `{"id":"\ud83d\u`, ErrSyntax, 7},
		{"array", `[]`, ErrNotObject, 0},
		{"string", `"{}"`, ErrNotObject, 0},
		{"number", ` 1`, ErrNotObject, 0},
		{"null", `null`, ErrNotObject, 0},
		{"array that is not valid", `[1,]`, ErrSyntax, 2},
		{"array and more", `[] 1`, ErrSyntax, 3},
		{"array with bad UTF-8", "[\"\xff\"]", ErrUTF8, 2},
		{"array too deep", nested(MaxDepth + 1), ErrDepth, MaxDepth},
		{"byte-order mark", "\ufeff{}", ErrSyntax, 0},
		{"UTF-16", "{\x00}\x00", ErrSyntax, 1},
		{"bad byte in a value", `{"id":x}`, ErrSyntax, 6},
		{"bad character in a string", "{\"id\":\"a\tb\"}", ErrSyntax, 8},
		{"bad UTF-8", "{\"id\":\"a\xffb\"}", ErrUTF8, 8},
	}
	eachDecoder(t, func(t *testing.T, d Decoder) {
		for _, c := range cases {
			var v Values
			err := d.Object(c.text, Root, &v)
			if c.err == nil {
				if err != nil {
					t.Errorf("%s: %v", c.name, err)
				}
				continue
			}
			var e *Error
			if !errors.As(err, &e) || !errors.Is(err, c.err) || e.Offset != c.at {
				t.Errorf("%s: got %v, want %v at byte %d", c.name, err, c.err, c.at)
			}
		}
	})
}

func TestDepth(t *testing.T) {
	t.Parallel()
	objects := func(n int) string { return strings.Repeat(`{"a":`, n) + "0" + strings.Repeat("}", n) }
	cases := []struct {
		name   string
		before string // opens this many containers
		open   int
		after  string
	}{
		{"skipped", `{"x":`, 1, `}`},
		{"wanted", `{"roles":`, 1, `}`},
		{"below", `{"properties":{"x":`, 2, `}}`},
		{"wanted below", `{"properties":{"status":{"errorCode":`, 3, `}}}`},
	}
	eachDecoder(t, func(t *testing.T, d Decoder) {
		for _, c := range cases {
			for _, inner := range []func(int) string{nested, objects} {
				var v Values
				if err := d.Object(c.before+inner(MaxDepth-c.open)+c.after, Root, &v); err != nil {
					t.Errorf("%s: depth %d: %v", c.name, MaxDepth, err)
				}
				v.Reset()
				if err := d.Object(c.before+inner(MaxDepth-c.open+1)+c.after, Root, &v); !errors.Is(err, ErrDepth) {
					t.Errorf("%s: depth %d: got %v, want %v", c.name, MaxDepth+1, err, ErrDepth)
				}
			}
			// What makes the depth an error stands before what makes the syntax one.
			var v Values
			err := d.Object(c.before+strings.Repeat("[", 100_000), Root, &v)
			var e *Error
			if !errors.As(err, &e) || !errors.Is(e, ErrDepth) || int(e.Offset) != len(c.before)+MaxDepth-c.open {
				t.Errorf("%s: 100,000 deep: got %v", c.name, err)
			}
		}
		if _, err := elements(d, nested(MaxDepth)); err != nil {
			t.Errorf("array of depth %d: %v", MaxDepth, err)
		}
		if _, err := elements(d, nested(MaxDepth+1)); !errors.Is(err, ErrDepth) {
			t.Errorf("array of depth %d: got %v, want %v", MaxDepth+1, err, ErrDepth)
		}
		// Depth counts what is open, not what was.
		var v Values
		if err := d.Object(`{"x":[`+strings.Repeat("[],", 1000)+`{}]}`, Root, &v); err != nil {
			t.Errorf("many arrays side by side: %v", err)
		}
	})
}

func TestNames(t *testing.T) {
	t.Parallel()
	cases := []struct {
		name, text string
		want       map[Slot]Value
	}{
		{"exact", `{"userAgent":"a"}`, map[Slot]Value{SlotUserAgent: {String, "a"}}},
		{"another spelling of the table", `{"UserAgent":"a"}`, map[Slot]Value{SlotUserAgent: {String, "a"}}},
		{"no case folding", `{"USERAGENT":"a","uSerAgent":"b","userAgenT":"c"}`, nil},
		{
			"beside one that is not wanted", `{"userAgent":"a","USERAGENT":"b"}`,
			map[Slot]Value{SlotUserAgent: {String, "a"}},
		},
		{"no Unicode folding", "{\"u\u017ferAgent\":\"a\",\"\u212aind\":\"b\"}", nil},
		{"no trimming", `{" userAgent":"a","userAgent ":"b","userAgent\u0000":"c"}`, nil},
		{"written with an escape", `{"us\u0065rAgent":"a"}`, map[Slot]Value{SlotUserAgent: {String, "a"}}},
		{"written in escapes", `{"\u0069\u0064":"a"}`, map[Slot]Value{SlotID: {String, "a"}}},
		{"an escape makes it another name", `{"id\u0041":"a","id\n":"b","\\id":"c"}`, nil},
		{
			"at another level", `{"properties":{"category":"a"},"x":{"id":"b"}}`,
			map[Slot]Value{SlotPropertiesObject: {Object, `{"category":"a"}`}},
		},
		{"wanted below, not here", `{"errorCode":1}`, nil},
		{"a level that is not an object", `{"properties":"a"}`, map[Slot]Value{SlotPropertiesObject: {String, "a"}}},
		{
			"a level that is an array", `{"properties":[{"id":"a"}]}`,
			map[Slot]Value{SlotPropertiesObject: {Array, `[{"id":"a"}]`}},
		},
		{"best spelling first", `{"category":"a","Category":"b"}`, map[Slot]Value{SlotCategory: {String, "a"}}},
		{"best spelling last", `{"Category":"b","category":"a"}`, map[Slot]Value{SlotCategory: {String, "a"}}},
		{"the better one is null", `{"Category":"b","category":null}`, map[Slot]Value{SlotCategory: {Kind: Null}}},
		{
			"names with colons", `{"claims":{"http://schemas.microsoft.com/identity/claims/tenantid":"a","iss":"b"}}`,
			map[Slot]Value{SlotClaimsObject: {Object, `{"http://schemas.microsoft.com/identity/claims/tenantid":"a","iss":"b"}`}, SlotClaimTid: {String, "a"}, SlotClaimIss: {String, "b"}},
		},
		{
			"three levels", `{ "properties" : {"status": {"errorCode":50076}}}`,
			map[Slot]Value{
				SlotPropertiesObject: {Object, `{"status": {"errorCode":50076}}`}, SlotStatus: {Object, `{"errorCode":50076}`},
				SlotStatusErrorCode: {Number, "50076"},
			},
		},
		{"the last bytes", `{"id":1}`, map[Slot]Value{SlotID: {Number, "1"}}},
		{"empty name", `{"":1,"":2}`, nil},
	}
	eachDecoder(t, func(t *testing.T, d Decoder) {
		for _, c := range cases {
			var v Values
			if err := d.Object(c.text, Root, &v); err != nil {
				t.Errorf("%s: %v", c.name, err)
				continue
			}
			for slot := range numSlots {
				if got := v.Get(slot); got != c.want[slot] {
					t.Errorf("%s: slot %d: got %v, want %v", c.name, slot, got, c.want[slot])
				}
			}
		}
	})
}

func TestDuplicates(t *testing.T) {
	t.Parallel()
	cases := []struct {
		text, name string // name "": accepted
		at         int64
	}{
		{`{"id":1,"id":1}`, "id", 8},
		{`{"id":1, "id" :2}`, "id", 9},
		{`{"id":null,"id":"a"}`, "id", 11},
		{`{"id":1,"i\u0064":1}`, "id", 8},
		{`{"\u0069d":1,"id":1}`, "id", 13},
		{`{"properties":{},"properties":{}}`, "properties", 17},
		{`{"properties":{"userId":"a","x":0,"userId":"b"}}`, "userId", 34},
		{`{"properties":{"status":{"errorCode":0,"errorCode":1}}}`, "errorCode", 39},
		{`{"identity":{"claims":{"iss":"a"}},"claims":{"iss":"b"}}`, "iss", 45}, // two spellings of one object
		{`{"x":1,"x":2}`, "", 0},
		{`{"properties":{"x":1,"x":2}}`, "", 0},
		{`{"x":{"id":1,"id":2}}`, "", 0},                // no level
		{`{"mfaDetail":{"id":1,"id":2}}`, "", 0},        // wanted as a whole
		{`{"userAgent":"a","UserAgent":"b"}`, "", 0},    // the first spelling is the better one
		{`{"id":1,"properties":{"id":2}}`, "", 0},       // at two levels, and of two ranks
		{`{"userAgent":"a","USERAGENT":"b"}`, "", 0},    // only one of them is wanted
		{`{"errorCode":1,"errorCode":2,"a":""}`, "", 0}, // wanted elsewhere
	}
	eachDecoder(t, func(t *testing.T, d Decoder) {
		for _, c := range cases {
			var v Values
			err := d.Object(c.text, Root, &v)
			if c.name == "" {
				if err != nil {
					t.Errorf("%s: %v", c.text, err)
				}
				continue
			}
			var e *Error
			if !errors.As(err, &e) || !errors.Is(e, ErrDuplicate) || e.Name != c.name || e.Offset != c.at {
				t.Errorf("%s: got %v, want %q twice, at byte %d", c.text, err, c.name, c.at)
			}
		}
	})
}

// No field has two spellings of one rank, so a name that stands once never is a duplicate.
func TestEverySpellingIsRead(t *testing.T) {
	t.Parallel()
	eachDecoder(t, func(t *testing.T, d Decoder) {
		for l := Root; l < numLevels; l++ {
			for name, e := range builtin().names[l] {
				var v Values
				if err := d.Object(`{"`+name+`":"it"}`, l, &v); err != nil {
					t.Fatalf("level %d, %q: %v", l, name, err)
				}
				if got := v.Get(e.slot); got != (Value{String, "it"}) {
					t.Errorf("level %d, %q: got %v", l, name, got)
				}
				if low := strings.ToLower(name) + "?"; builtin().names[l][low] == (entry{}) {
					v.Reset()
					if err := d.Object(`{"`+low+`":"it","`+name[:len(name)-1]+`":[],"`+name+name+`":{}}`, l, &v); err != nil {
						t.Fatalf("level %d, %q: %v", l, low, err)
					}
				}
			}
		}
	})
}

func TestValues(t *testing.T) {
	t.Parallel()
	cases := []struct {
		name, value string
		want        Value
	}{
		{"string", `"a b"`, Value{String, "a b"}},
		{"empty", `""`, Value{String, ""}},
		{"null", `null`, Value{Kind: Null}},
		{"true", `true`, Value{Kind: True}},
		{"false", `false`, Value{Kind: False}},
		{
			"all escapes", `"\"\\\/\b\f\n\r\t\u0041\u00e9\u4e00` + pair + `\u0000"`,
			Value{String, "\"\\/\b\f\n\r\tA\u00e9\u4e00\U0001f600\x00"},
		},
		{
			"escapes and long text", `"` + strings.Repeat("0123456789", 50) + `\n` + strings.Repeat("abc", 99) + `"`,
			Value{String, strings.Repeat("0123456789", 50) + "\n" + strings.Repeat("abc", 99)},
		},
		{"JSON in a string", `"{\"Id\":\"a\\\\b\"}"`, Value{String, `{"Id":"a\\b"}`}},
		{"not decoded twice", `"\\u0041\\n"`, Value{String, `\u0041\n`}},
		{"characters as they are", "\"\u00e9\u4e00\U0001f600\"", Value{String, "\u00e9\u4e00\U0001f600"}},
		{"digits of a number", `638500369660000000`, Value{Number, "638500369660000000"}},
		{"number as written", `-0.00e+00`, Value{Number, "-0.00e+00"}},
		{"object as written", `{ "a" : [ 1,2 ] }`, Value{Object, `{ "a" : [ 1,2 ] }`}},
		{"array as written", "[ \"\\u0041\",\n{} ]", Value{Array, "[ \"\\u0041\",\n{} ]"}},
		{"empty object", `{}`, Value{Object, `{}`}},
		{"empty array", `[]`, Value{Array, `[]`}},
	}
	eachDecoder(t, func(t *testing.T, d Decoder) {
		for _, c := range cases {
			for _, before := range []string{"", " \n"} {
				var v Values
				if err := d.Object(`{"mfaDetail":`+before+c.value+before+`}`, Root, &v); err != nil {
					t.Errorf("%s: %v", c.name, err)
				}
				if got := v.Get(SlotMFADetail); got != c.want {
					t.Errorf("%s: got %v, want %v", c.name, got, c.want)
				}
				if got := v.Get(SlotStatus); got != (Value{}) {
					t.Errorf("%s: an absent value is %v", c.name, got)
				}
				all, err := elements(d, before+`[`+before+c.value+before+`,`+c.value+`]`)
				if err != nil || len(all) != 2 || all[0] != c.want || all[1] != c.want {
					t.Errorf("%s: elements %v, %v", c.name, all, err)
				}
			}
		}
	})
}

func TestArray(t *testing.T) {
	t.Parallel()
	cases := []struct {
		name, text string
		n          int // elements handed out, also before an error
		err        error
		at         int64
	}{
		{"empty", `[]`, 0, nil, 0},
		{"blank", " [ ] ", 0, nil, 0},
		{"three", `[1,"a",{}]`, 3, nil, 0},
		{"object", `{}`, 0, ErrNotArray, 0},
		{"string", `"[]"`, 0, ErrNotArray, 0},
		{"nothing", ``, 0, ErrSyntax, 0},
		{"object that is not valid", `{"a"}`, 0, ErrSyntax, 4},
		{"comma at the end", `[1,]`, 1, ErrSyntax, 2},
		{"not closed", `[1,2`, 2, ErrSyntax, 4},
		{"more behind it", `[1] 2`, 1, ErrSyntax, 4},
		{"bad second element", `[{"a":1},{"a"}]`, 1, ErrSyntax, 13},
		{"bad UTF-8 deep in the second", "[1,{\"a\":[\"\xff\"]}]", 1, ErrUTF8, 10},
	}
	eachDecoder(t, func(t *testing.T, d Decoder) {
		for _, c := range cases {
			all, err := elements(d, c.text)
			if len(all) != c.n {
				t.Errorf("%s: %d elements, want %d", c.name, len(all), c.n)
			}
			if c.err == nil {
				if err != nil {
					t.Errorf("%s: %v", c.name, err)
				}
				continue
			}
			var e *Error
			if !errors.As(err, &e) || !errors.Is(e, c.err) || e.Offset != c.at {
				t.Errorf("%s: got %v, want %v at byte %d", c.name, err, c.err, c.at)
			}
		}

		stop := errors.New("enough")
		n := 0
		if err := d.Array(`[1,2,x`, func(Value) error { n++; return stop }); !errors.Is(err, stop) || n != 1 {
			t.Errorf("got %v after %d elements, want the error of the first", err, n)
		}
	})
}

// A record's part that is JSON in a string is decoded into the same values.
func TestObjectInAString(t *testing.T) {
	t.Parallel()
	eachDecoder(t, func(t *testing.T, d Decoder) {
		var v Values
		if err := d.Object(`{"RawEventData":"{\"Id\":\"a\",\"UserId\":\"b\\u00e9\"}"}`, Root, &v); err != nil {
			t.Fatal(err)
		}
		if err := d.Object(v.Get(SlotRawEventData).Text, RawEvent, &v); err != nil {
			t.Fatal(err)
		}
		if id, user := v.Get(SlotID), v.Get(SlotUserID); id != (Value{String, "a"}) || user != (Value{String, "b\u00e9"}) {
			t.Errorf("got %v and %v", id, user)
		}
	})
}

func TestReset(t *testing.T) {
	t.Parallel()
	eachDecoder(t, func(t *testing.T, d Decoder) {
		var v Values
		for _, s := range []string{
			`{"id":"\u0041","category":"x","properties":{"userId":"u"}}`, `{"id":1,"id":2}`, `{"id":`, `{"category":"\n"}`,
		} {
			_ = d.Object(s, Root, &v)
			v.Reset()
			for slot := range numSlots {
				if v.Get(slot) != (Value{}) || v.seen[slot] != 0 {
					t.Fatalf("after %s: slot %d still holds %v", s, slot, v.Get(slot))
				}
			}
			if len(v.touched) != 0 {
				t.Fatalf("after %s: %d slots are still touched", s, len(v.touched))
			}
		}
	})
}

func TestErrorText(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		text, want, reason string
	}{
		{`{"id":}`, "at byte 6: not valid JSON", "invalid-json"},
		{"{\"id\":\"\xff\"}", "at byte 7: invalid UTF-8 or a lone surrogate", "invalid-utf8"},
		{`{"id":1,"id":2}`, `at byte 8: a wanted name stands twice: "id"`, "duplicate-field"},
		{`{"x":` + nested(MaxDepth) + `}`, "at byte 68: nested too deep", "nested-too-deep"},
		{`[]`, "at byte 0: not a JSON object", "not-an-object"},
	} {
		var v Values
		err := Scanner{}.Object(c.text, Root, &v)
		var e *Error
		if !errors.As(err, &e) || err.Error() != c.want || e.Reason() != c.reason {
			t.Errorf("%q: got %v, want %q and %s", c.text, err, c.want, c.reason)
		}
	}
	_, err := elements(Scanner{}, `{}`)
	var e *Error
	if !errors.As(err, &e) || e.Reason() != "not-an-object" {
		t.Errorf("got %v", err)
	}
}

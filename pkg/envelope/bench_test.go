//go:build unix

package envelope

import (
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/assay-sec/assay/pkg/bench/corpus"
)

// cpuTime is what the process has used, the garbage collector included.
func cpuTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// against runs work, and in turn the SHA-256 of yardstick, and reports CPU time a record and the ratio of the two, each of
// the best turn: on a busy machine the ratio holds still.
func against(b *testing.B, yardstick string, records int, work func() int) {
	data := []byte(yardstick)
	own, sha := time.Duration(1<<62), time.Duration(1<<62)
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	for b.Loop() {
		start := cpuTime()
		if n := work(); n != records {
			b.Fatalf("%d records, want %d", n, records)
		}
		middle := cpuTime()
		sha256.Sum256(data)
		own, sha = min(own, middle-start), min(sha, cpuTime()-middle)
	}
	b.ReportMetric(float64(own.Nanoseconds())/float64(records), "cpu-ns/record")
	b.ReportMetric(float64(own)/float64(sha), "x-sha256")
	b.ReportMetric(0, "ns/op")
}

// batches returns 256 messages of 1 to 20 records.
func batches() (messages []string, records int) {
	g := corpus.New(1)
	for i := range 256 {
		n := 1 + i*7%20
		list := make([]string, n)
		for j := range list {
			list[j] = g.Next()
		}
		messages = append(messages, `{"records":[`+strings.Join(list, ",")+`]}`)
		records += n
	}
	return messages, records
}

func count(b *testing.B, r interface{ Next() (Record, error) }) int {
	for n := 0; ; n++ {
		if _, err := r.Next(); errors.Is(err, io.EOF) {
			return n
		} else if err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkReader(b *testing.B) {
	records := corpus.Records(1, 4000)
	ndjson := strings.Join(records, "\n") + "\n"
	for _, c := range []struct{ name, text string }{
		{"lines", ndjson},
		{"array", "[" + strings.Join(records, ",") + "]"},
		{"batch", `{"records":[` + strings.Join(records, ",") + `]}`},
		{"arrayOnLines", "[\n" + strings.Join(records, ",\n") + "\n]\n"},
		{"linesWithoutEnds", strings.Join(records, "")},
	} {
		b.Run(c.name, func(b *testing.B) {
			against(b, ndjson, len(records), func() int { return count(b, NewReader(strings.NewReader(c.text), "f")) })
		})
	}
}

func BenchmarkBody(b *testing.B) {
	messages, records := batches()
	objects := "[" + strings.Join(messages, ",") + "]"
	for _, f := range forms {
		if f.single {
			continue
		}
		b.Run(strings.ReplaceAll(f.name, " ", "_"), func(b *testing.B) {
			body := f.encode(messages, plainQuote)
			against(b, objects, records, func() int { return count(b, Body(body, Origin{})) })
		})
	}
}

// BenchmarkMessages shows how the cost of a record depends on the number of messages.
func BenchmarkMessages(b *testing.B) {
	all, _ := batches()
	for _, n := range []int{1, 4, 16, 64, 256} {
		messages := make([]string, n)
		for i := range messages {
			messages[i] = all[9]
		}
		body := plainQuote("[" + each(messages, plainQuote) + "]")
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			records := count(b, Body(body, Origin{}))
			against(b, strings.Join(messages, ","), records, func() int { return count(b, Body(body, Origin{})) })
		})
	}
}

// BenchmarkHostile reads what an attacker might send to keep us busy: the cost of a byte must stay that of ordinary logs.
func BenchmarkHostile(b *testing.B) {
	const size = 1 << 20
	fill := func(s string) string { return strings.Repeat(s, size/len(s)) }
	for name, text := range map[string]string{
		"openBrackets":    fill("["),
		"openObjects":     fill(`{"a":`),
		"openInArray":     "[" + fill(`{"a":1,`),
		"tornInArray":     "[" + fill(`{"a":"},`),
		"tornLines":       fill("{\"a\":\n"),
		"tornStrings":     fill("{\"a\":\"\n"),
		"quotes":          "[" + fill(`"`),
		"valueArrays":     `{"a":[` + fill("[],") + "[]]}",
		"valueNumber":     `{"a":` + fill("1") + "}",
		"valueNesting":    `{"a":` + strings.Repeat("[", size/2) + strings.Repeat("]", size/2) + "}",
		"valueEscapes":    `{"a":"` + fill(`\u0041`) + `"}`,
		"valueNonASCII":   `{"a":"` + fill("é") + `"}`,
		"backslashes":     `["` + fill(`\`),
		"escapedQuotes":   `["` + fill(`\"`),
		"bracketsInLine":  `{"a":"` + fill("}{") + "\"}\n{}",
		"emptyArrays":     "[" + fill("[],"),
		"names":           "{" + fill(`"a":1,`) + `"b":1}`,
		"blanks":          "[" + fill(" "),
		"lineEnds":        fill("\n"),
		"openQuoteCSV":    "Type,Category\n" + fill("a,\"b\n"),
		"quotesInCSV":     "Type,Category\n" + fill("\"a\",b\"\n"),
		"stringsInString": plainQuote(plainQuote(plainQuote("[" + strings.Repeat(`{"a":"\\"},`, 1<<14) + "{}]"))),
	} {
		b.Run(name, func(b *testing.B) {
			against(b, text, 1, func() int {
				r := NewReader(strings.NewReader(text), "f")
				for {
					if _, err := r.Next(); errors.Is(err, io.EOF) {
						return 1
					}
				}
			})
		})
	}
	for name, text := range map[string]string{
		"escapes":       `"[\"` + fill(`\\\"`) + `\"]"`,
		"lineEnds":      `"[\"` + fill(`\\n`) + `\"]"`,
		"outerEscapes":  `"[\"` + fill(`\u0041`) + `\"]"`,
		"innerEscapes":  `"[\"` + fill(`\\u0041`) + `\"]"`,
		"brokenEscapes": `"[\"` + fill(`\\q`) + `\"]"`,
		"messages":      `"[` + fill(`\"\",`) + `\"\"]"`,
		"base64":        `"[` + fill(`\"e30=\",`) + `\"\"]"`,
		"brokenBase64":  `"[\"` + base64.StdEncoding.EncodeToString([]byte(fill("a"))) + `=\"]"`,
	} {
		b.Run("body/"+name, func(b *testing.B) {
			against(b, text, 1, func() int {
				for m := Body(text, Origin{}); ; {
					if _, err := m.Next(); errors.Is(err, io.EOF) {
						return 1
					}
				}
			})
		})
	}
}

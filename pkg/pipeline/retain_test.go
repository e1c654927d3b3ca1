package pipeline

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
	"unsafe"
	"weak"

	"github.com/assay-sec/assay/pkg/envelope"
)

// What a run leaves behind (its report, the findings and copies in the store, names that were counted) must not keep the
// payload in memory that it was read from: one alert would hold 13 MB.
func TestNothingKeepsAPayloadInMemory(t *testing.T) {
	var b strings.Builder
	b.WriteByte('[')
	for i := range 400 {
		fmt.Fprintf(&b, `{"records":[%s,%s,{"category":"Unread%d","operationName":"x"},{"category":"SignInLogs","broken":%d}]},`,
			signIn(2*i, "bad"), signIn(2*i+1, "panic"), i, i)
	}
	b.WriteString(`{"records":[]}]`)
	payload := weak.Make(unsafe.StringData(b.String()))

	s := memory(t)
	p := newPipeline(t, s)
	report, err := p.Process(t.Context(), envelope.Body(b.String(), envelope.Origin{Source: "hub"}), Options{})
	if err != nil {
		t.Fatal(err)
	}
	b.Reset()
	if report.Records != 1600 || report.Findings != 400 || report.SetAside["panic"] != 400 || len(report.Ignored) < 200 {
		t.Errorf("the run was another one: %d records, %d findings, %v, %d categories", report.Records, report.Findings, report.SetAside, len(report.Ignored))
	}
	for range 3 {
		runtime.GC()
	}
	if payload.Value() != nil {
		t.Error("something that outlives the run refers to its payload")
	}
	runtime.KeepAlive(report)
	runtime.KeepAlive(p)
	runtime.KeepAlive(s)
}

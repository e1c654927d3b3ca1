package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/assay-sec/assay/pkg/app"
	"github.com/assay-sec/assay/pkg/azfunc"
)

// The line of a batch says which call it was, what it held and what became of it, and nothing that an event said.
func TestTheLineOfABatch(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("the process is ended by a signal")
	}
	var lines bytes.Buffer
	s := serveExecutable(t, build(t), &lines)
	status, _ := do(t, http.MethodPost, s.url+"/tokens", invocation(payloads(t)["many, binary"], 2), azfunc.HeaderInvocationID, "inv-7")
	if status != http.StatusOK {
		t.Fatal(status)
	}
	if err := s.cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	// A host that lives on takes 0 for intended.
	if err := s.cmd.Wait(); s.cmd.ProcessState.ExitCode() != exitServe {
		t.Errorf("it was told to end, and ends with %v", err)
	}
	if strings.Contains(lines.String(), `"level":"ERROR"`) {
		t.Errorf("it was told to end, and complains:\n%s", &lines)
	}
	var batch map[string]any
	for line := range strings.Lines(lines.String()) {
		var fields map[string]any
		if err := json.Unmarshal([]byte(line), &fields); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		if fields["msg"] == "batch processed" {
			batch = fields
		}
	}
	for k, want := range map[string]any{
		"invocationId": "inv-7", "function": "tokens", "hub": "tokens", "partition": "1", "firstSequence": 41., "lastSequence": 42., "messages": 2., "level": "INFO",
	} {
		if batch[k] != want {
			t.Errorf("%s is %v, want %v", k, batch[k], want)
		}
	}
	for _, k := range []string{"records", "evaluated", "ignored", "setAside", "findings", "newFindings", "alerts", "seconds", "lagSeconds"} {
		if _, ok := batch[k].(float64); !ok {
			t.Errorf("%s is %v, want a number", k, batch[k])
		}
	}
	if n := func(k string) float64 { v, _ := batch[k].(float64); return v }; n("records") == 0 || n("records") != n("evaluated")+n("ignored")+n("setAside") {
		t.Errorf("the records do not add up: %v", batch)
	}
	for _, text := range []string{victim, "api://orders", "xMFjTVvJPE2OChJx_YE-AA"} {
		if strings.Contains(lines.String(), text) {
			t.Errorf("%q of an event is logged", text)
		}
	}
}

// The host takes exit code 0 for intended, and leaves the app without a handler.
func TestAHandlerThatCannotStartSaysSo(t *testing.T) {
	foreign := filepath.Join(t.TempDir(), "foreign.db")
	if err := os.WriteFile(foreign, bytes.Repeat([]byte("no store "), 100), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, settings := range map[string][]string{
		"a setting that is wrong":   {app.SettingAuth + "=both"},
		"a store that is no store":  {app.SettingStore + "=sqlite:" + foreign},
		"a port that is no port":    {azfunc.PortVariable + "=many"},
		"a port that is not named":  {azfunc.PortVariable + "="},
		"a store of no known place": {app.SettingStore + "=floppy"},
	} {
		cmd := exec.CommandContext(t.Context(), build(t), "serve")
		cmd.Env = append(os.Environ(), azfunc.PortVariable+"=0", app.SettingStore+"=sqlite:"+filepath.Join(t.TempDir(), "assay.db"))
		cmd.Env = append(cmd.Env, settings...)
		out, err := cmd.Output()
		var code *exec.ExitError
		if !errors.As(err, &code) || code.ExitCode() != exitServe || !strings.Contains(string(out), `"level":"ERROR"`) {
			t.Errorf("%s: %v\n%s", name, err, out)
		}
	}
}

package main

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestThePageHoldsNoFalseAlert(t *testing.T) {
	t.Parallel()
	verdicts, setAside, err := parse(page)
	if err != nil {
		t.Fatal(err)
	}
	for id, v := range verdicts {
		if v.verdict != "right" && v.verdict != "lab attack" {
			t.Errorf("alert %s of %s is judged %q", id, v.rule, v.verdict)
		}
	}
	if len(setAside) == 0 {
		t.Error("no record set aside is explained")
	}
}

// The check fails where the output and the page differ.
func TestCheckTellsDifferences(t *testing.T) {
	t.Parallel()
	const known = `{"ID":"20250115-t4wafuvmzggcyw2r2npzgve23y","RuleID":"risk-anomalous-token","Severity":"high","Stage":"enabled","Count":1,"Places":["x/jsonl/signin.jsonl:17"]}`
	for _, c := range []struct{ name, document, want string }{
		{"missing alerts", `{"Alerts":[` + known + `]}`, "which was not raised"},
		{"an alert that nobody judged", `{"Alerts":[{"ID":"20250115-new","RuleID":"ioc-ip"}]}`, "does not judge the alert 20250115-new"},
		{"another count", `{"Alerts":[` + strings.Replace(known, `"Count":1`, `"Count":2`, 1) + `]}`, "but REALDATA.md lists"},
		{"lost records", `{"Summary":{"Records":9,"Evaluated":7}}`, "9 records are not 7 evaluated"},
		{"another reason", `{"Summary":{"SetAsideByReason":{"panic":1}}}`, "set aside map[panic:1]"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			run := func(...string) (d document, err error) {
				err = json.Unmarshal([]byte(c.document), &d)
				return d, err
			}
			err := check(run, "x")
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want an error with %q", err, c.want)
			}
			if c.name == "missing alerts" && strings.Contains(err.Error(), "t4wafuvmzggcyw2r2npzgve23y") {
				t.Errorf("complains of the alert that was raised: %v", err)
			}
		})
	}
}

package app_test

import (
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/assay-sec/assay/pkg/app"
	"github.com/assay-sec/assay/pkg/config"
	"github.com/assay-sec/assay/pkg/decode"
	"github.com/assay-sec/assay/pkg/envelope"
	"github.com/assay-sec/assay/pkg/pipeline"
	"github.com/assay-sec/assay/pkg/rule"
)

// forged is a mailbox access with a token of the consumer tenant.
const forged = `{"CreationTime":"2024-03-05T02:10:00","Id":"00000001-1111-4222-8333-444455556666","Operation":"MailItemsAccessed",` +
	`"OrganizationId":"3c6b4e1a-6a4f-4bde-9a3b-0d7b3b3f1e11","RecordType":50,"UserType":0,"LogonType":0,"Workload":"Exchange",` +
	`"UserId":"ambassador@contoso.example","TokenTenantId":"9188040d-6c67-4c5b-b112-36a304b66dad"}`

const consumerToken = "mailbox-consumer-tenant-token"

func now() time.Time { return time.Date(2024, 3, 6, 0, 0, 0, 0, time.UTC) }

func TestConfigurationReachesTheAlerts(t *testing.T) {
	t.Parallel()
	c, err := config.Parse("assay.yaml", []byte("rules:\n  "+consumerToken+": {severity: low, stage: observe}\n"))
	if err != nil {
		t.Fatal(err)
	}
	rules, err := app.LoadRules(c)
	if err != nil {
		t.Fatal(err)
	}
	s, err := app.MemoryStore(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	p, err := app.NewPipeline(rules.Only([]string{consumerToken}), decode.Scanner{}, s, "", now)
	if err != nil {
		t.Fatal(err)
	}
	report, err := p.Process(t.Context(), envelope.NewReader(strings.NewReader(forged), "-"), pipeline.Options{
		From: rules.Provenance("run", "1.0"),
	})
	if err != nil {
		t.Fatal(err)
	}
	touched := report.Sorted(rule.Info, rule.Observe)
	if len(touched) != 1 {
		t.Fatalf("%d alerts", len(touched))
	}
	a := touched[0].Alert
	if a.Rule.ID != consumerToken || a.Severity != rule.Low || a.Stage != rule.Observe || a.From.Run != "run" ||
		a.From.Assay != "1.0" || !strings.HasSuffix(a.From.Reference, "+"+c.Hash) {
		t.Errorf("%+v", a)
	}
}

func TestVersionFollowsTheConfiguration(t *testing.T) {
	t.Parallel()
	version := func(text string) string {
		c := &config.Config{}
		if text != "" {
			var err error
			if c, err = config.Parse("assay.yaml", []byte(text)); err != nil {
				t.Fatal(err)
			}
		}
		rules, err := app.LoadRules(c)
		if err != nil {
			t.Fatal(err)
		}
		return rules.Version
	}
	builtin, one, same, other := version(""), version("tenants: []\n"), version("tenants: []\n"), version("# tenants\n")
	if one != same || slices.Contains([]string{builtin, other}, one) || strings.Contains(builtin, "+") {
		t.Errorf("%q, %q, %q, %q", builtin, one, same, other)
	}
}

func TestStores(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "new folder", "a.db")
	if s, err := app.OpenExistingStore(t.Context(), path); err == nil {
		t.Error(errors.Join(errors.New("a store that is not there was opened"), s.Close()))
	}
	s, err := app.OpenStore(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if s, err = app.OpenExistingStore(t.Context(), path); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestOnly(t *testing.T) {
	t.Parallel()
	rules, err := app.LoadRules(&config.Config{})
	if err != nil {
		t.Fatal(err)
	}
	if all := rules.Only(nil); len(all.Rules) != len(rules.Rules) {
		t.Errorf("all are %d of %d", len(all.Rules), len(rules.Rules))
	}
	if one := rules.Only([]string{consumerToken}); len(one.Rules) != 1 || one.Rules[0].ID != consumerToken {
		t.Errorf("one is %d rules", len(one.Rules))
	}
}

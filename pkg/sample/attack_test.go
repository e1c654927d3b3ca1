package sample_test

import (
	"crypto/sha1"
	"encoding/hex"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/assay-sec/assay/pkg/config"
	"github.com/assay-sec/assay/pkg/pipeline"
	"github.com/assay-sec/assay/pkg/reference"
	"github.com/assay-sec/assay/pkg/rule"
	"github.com/assay-sec/assay/pkg/rules"
	"github.com/assay-sec/assay/pkg/sample/made"
)

// bundledSeed is what the bundled logs are made with: whose mailbox is whose stands in their configuration.
const bundledSeed = 558

// knowing is the configuration of the bundled logs with all that rules can be told.
func knowing(t *testing.T) *config.Config {
	t.Helper()
	c := bundledConfig(t)
	own := c.Reference.Tenants[made.TenantID]
	own.IDP = []reference.IdentityProvider{{Issuer: made.STS, Certs: []string{made.SigningCertificate}}}
	own.OWAResources = []string{"outlook.office.com"}
	own.TokenTypes, own.AuthTypes = []string{"V1AppActAs"}, []string{"Bearer"}
	own.RiskLevels = []string{"high"}
	own.DeviceCodeApps, own.FICs = []string{made.DeviceCodeApp}, []string{made.FIC}
	own.GuestOIDs, own.VIPs = []string{made.PersonalGuest}, append(own.VIPs, "eee0e12f-2bdf-4988-8c54-9650b16721a8")
	own.WorkloadApps = []reference.WorkloadApp{
		{AppID: made.Documents, Workloads: []string{"SharePoint", "OneDrive"}}, {AppID: made.Chats, Workloads: []string{"MicrosoftTeams"}},
	}
	user, mailbox := made.Delegation(bundledSeed)
	own.Delegates = []reference.Delegate{{User: user, Mailbox: mailbox}}
	own.UTICoverage, own.GraphUTICoverage = map[string]float64{}, map[string]float64{}
	for _, app := range append(own.MailClients, reference.MailClient{AppID: made.Chats}) {
		own.UTICoverage[app.AppID], own.GraphUTICoverage[app.AppID] = 0.999, 0.999
	}
	own.UTICoverage[made.Uncovered], own.GraphUTICoverage[made.Uncovered] = 0.8, 0.5
	own.VPNOK = []string{made.Traveller}
	own.MaxKeyAge = 10 * 365 * 24 * time.Hour
	c.Reference.Tenants[made.TenantID] = own
	c.Reference.AutonomousSystems = append(c.Reference.AutonomousSystems, reference.AutonomousSystem{Number: 64499, Class: "vpn", Name: "a VPN"})
	c.Reference.Networks = []reference.Network{
		{Prefix: made.VPN, Number: 64499}, {Prefix: "198.51.100.0/24", Number: 64500}, {Prefix: "203.0.113.0/24", Number: 64501},
	}
	sum := sha1.Sum([]byte(made.Certificate))
	c.Reference.TrustedCertificates = append(c.Reference.TrustedCertificates, hex.EncodeToString(sum[:]))
	// Readings of the keys documents around the days in question.
	for day := 12; day <= 17; day++ {
		c.Reference.Fetches = append(c.Reference.Fetches, reference.Fetch{
			Document: "common", At: time.Date(2023, 6, day, 0, 0, 0, 0, time.UTC),
			KIDs: []string{"DqUu8gf-nAgcyjP3-SuplNAXAnc", "-KI3Q9nNR7bRofxmeZoXqbHZGew", "bW8ZcMjBCnJZS-ibX5UQDNStvx4", "1LTMzakihiRla_8z2BEJVXeWMqo"},
		})
	}
	return c
}

// Every attack fires, in each log, the rules that are named for it, and no other rule with strong evidence.
func TestAttacksFireTheirRules(t *testing.T) {
	t.Parallel()
	made := made.Attacks(bundledSeed)
	for _, attack := range rules.Attacks() {
		records := made[attack.ID]
		for _, trace := range attack.Traces {
			t.Run(attack.ID+"/"+string(trace.Log), func(t *testing.T) {
				t.Parallel()
				if len(records[string(trace.Log)]) == 0 {
					t.Fatal("there are no records")
				}
				strength := fired(t, records[string(trace.Log)])
				for _, id := range trace.Rules {
					if _, ok := strength[id]; !ok {
						t.Errorf("%s does not fire", id)
					}
				}
				for id, s := range strength {
					if !slices.Contains(trace.Rules, id) && s == rule.Strong {
						t.Errorf("%s fires, too, with strong evidence", id)
					}
				}
			})
		}
	}
	t.Run("silent", func(t *testing.T) {
		t.Parallel()
		for id, s := range fired(t, made["enterprise-key"]["silent"]) {
			t.Errorf("%s (%s) fires for a forger who makes no mistake", id, s)
		}
	})
	for id, logs := range made {
		known := map[string]bool{"silent": true}
		for _, a := range rules.Attacks() {
			for _, trace := range a.Traces {
				if a.ID == id {
					known[string(trace.Log)] = true
				}
			}
		}
		for log := range maps.Keys(logs) {
			if !known[log] {
				t.Errorf("%s leaves records in %s, for which no rule is named", id, log)
			}
		}
	}
}

// Every variant of an intrusion like that of Storm-0558 fires the rules that are said to find it, and no other rule with strong evidence.
func TestVariantsOfStorm0558FireTheirRules(t *testing.T) {
	t.Parallel()
	records := made.Storm0558(bundledSeed)
	for _, v := range rules.Storm0558() {
		lines, ok := records[v.ID]
		if !ok {
			t.Errorf("nobody made records of %s", v.ID)
		}
		delete(records, v.ID)
		if len(lines) == 0 {
			continue
		}
		strength := fired(t, lines)
		found := 0
		for id, s := range strength {
			if slices.Contains(v.Rules, id) {
				found++
			} else if s == rule.Strong || v.Blind != "" {
				t.Errorf("%s: %s fires, too (%s)", v.ID, id, s)
			}
		}
		// Documents are of several kinds, each found by a rule of its own.
		if v.ID == "documents" && found == 0 || v.ID != "documents" && found != len(v.Rules) {
			t.Errorf("%s: %v fire, want %v", v.ID, strength, v.Rules)
		}
	}
	for id := range records {
		t.Errorf("there is no variant %s", id)
	}
}

// fired returns the strength of each rule that fires on the records, those that observe included.
func fired(t *testing.T, records []string) map[string]rule.Strength {
	t.Helper()
	r := detectLines(t, knowing(t), records)
	out := map[string]rule.Strength{}
	for _, a := range r.Alerts {
		out[a.Alert.Rule.ID] = max(out[a.Alert.Rule.ID], a.Alert.Strength)
	}
	return out
}

// detectLines runs the records, each a line, through the whole path. All of them have to be evaluated.
func detectLines(t *testing.T, c *config.Config, records []string) *pipeline.Report {
	t.Helper()
	file := filepath.Join(t.TempDir(), "records.ndjson")
	if err := os.WriteFile(file, []byte(strings.Join(records, "\n")+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	r := detect(t, c, file)
	if r.Evaluated != int64(len(records)) {
		t.Errorf("%d of %d records were evaluated: %v", r.Evaluated, len(records), r.Examples)
	}
	return r
}

package rules_test

import (
	"testing"
	"time"

	"github.com/assay-sec/assay/pkg/event"
	"github.com/assay-sec/assay/pkg/reference"
	"github.com/assay-sec/assay/pkg/rule"
	"github.com/assay-sec/assay/pkg/rules"
)

// TestKnobsTurn: case files run with the defaults, so that the knobs are tried here.
func TestKnobsTurn(t *testing.T) {
	const tenant = "5f0e7c1a-93b2-4d86-8a41-c6d2e9f0b714"
	ref, err := reference.New(reference.Source{Tenants: map[string]reference.TenantSource{tenant: {Domains: []reference.Domain{
		{Name: "contoso.example", AuthType: "Managed"},
		{Name: "sts.contoso.example", AuthType: "Federated", FederatedIdpMfaBehavior: "acceptIfMfaDoneByFederatedIdp"},
	}}}})
	if err != nil {
		t.Fatal(err)
	}
	at := time.Date(2025, 10, 27, 7, 9, 33, 0, time.UTC)
	opened := func(age time.Duration) *event.Event {
		ev := &event.Event{Kind: event.Audit, Tenant: tenant, Time: event.Of(at)}
		ev.Audit.RecordType, ev.Audit.MailAccessType = event.Of[int64](50), event.Of("Bind")
		ev.Token.IssuedAt = event.Of(at.Add(-age))
		return ev
	}
	golden := func(user string) *event.Event {
		ev := &event.Event{Kind: event.SignIn, Category: "SignInLogs", Tenant: tenant, Time: event.Of(at)}
		ev.Actor.Name, ev.Actor.Type = event.Of(user), event.Of("Member")
		ev.App.ID, ev.App.Resource = event.Of("c44b4083-3bb0-49c1-b47d-974e53cbdf3c"), event.Of("797f4846-ba00-4fd7-ba43-dac1f8f63013")
		s := &ev.SignIn
		s.ErrorCode, s.IncomingTokenTypes = event.Of[int64](0), event.Of([]string{"saml11"})
		s.AdditionalDetails = event.Of("MFA requirement satisfied by claim provided by external provider")
		s.MFADetail, s.AuthSteps, s.SessionBinding = event.Of(false), event.Of[int64](0), event.Of("unbound")
		return ev
	}
	for _, c := range []struct {
		rule, knob, value string
		ev                *event.Event
		before, after     string // the leg that fires, "" for none
	}{
		{"mailbox-token-over-age", "maxAge", "20h", opened(21 * time.Hour), "", "over-any-lifetime"},
		{"mailbox-token-over-age", "strongAge", "72h", opened(50 * time.Hour), "bind-over-two-days", "over-any-lifetime"},
		{"mailbox-token-issued-in-future", "skew", "10m", opened(-6 * time.Minute), "issued-after-use", ""},
		{"signin-golden-saml-pattern", "strict", "true", golden("adele@sts.contoso.example"), "", "strict"},
		{"signin-federated-mfa-not-trusted", "externalMethods", "true", golden("adele@contoso.example"), "managed-domain", ""},
	} {
		t.Run(c.rule+" "+c.knob, func(t *testing.T) {
			for want, settings := range map[string]rules.Settings{
				"before " + c.before: nil,
				"after " + c.after:   {c.rule: {Knobs: map[string]string{c.knob: c.value}}},
			} {
				all, err := rules.Catalogue(ref, settings)
				if err != nil {
					t.Fatal(err)
				}
				got := "before "
				if settings != nil {
					got = "after "
				}
				for _, r := range all {
					if v := r.Verdict(c.ev); r.ID == c.rule && v.Truth == rule.True {
						got += v.Leg.ID
					}
				}
				if got != want {
					t.Errorf("%q, want %q", got, want)
				}
			}
		})
	}
}

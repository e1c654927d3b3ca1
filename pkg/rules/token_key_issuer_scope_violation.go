package rules

import (
	"slices"
	"strings"

	"github.com/assay-sec/assay/pkg/event"
	"github.com/assay-sec/assay/pkg/reference"
	"github.com/assay-sec/assay/pkg/rule"
)

// tokenKeyIssuerScopeViolation finds a token whose key is published for another issuer than the token names. It is the
// check that Exchange did not make in 2023: a key of personal accounts signed tokens of work accounts.
func tokenKeyIssuerScopeViolation(ref *reference.Data, _ *knobs) *rule.Rule {
	return &rule.Rule{
		ID:      "token-key-issuer-scope-violation",
		Title:   "Token signed with a key that is published for another issuer",
		Version: 1,
		Kinds:   []event.Kind{event.TokenObserved},
		Scope:   rule.All(seenByOwn(), rule.Not(sample(ref))),
		Legs: []rule.Leg{{
			ID:       "consumer-key-enterprise-token",
			Why:      "a signing key of personal Microsoft accounts signed a token of a work or school tenant, as in Storm-0558",
			When:     keyed(ref, "a consumer key signed a token of another tenant", consumerKeyEnterpriseToken),
			Severity: rule.Critical,
			Strength: rule.Strong,
		}, {
			ID:       "tenant-key-consumer-token",
			Why:      "a signing key of work and school tenants signed a token of a personal Microsoft account",
			When:     keyed(ref, "a tenants' key signed a consumer token", tenantKeyConsumerToken),
			Severity: rule.Critical,
			Strength: rule.Strong,
		}, {
			ID:       "foreign-issuer",
			Why:      "the token's issuer is not the one that its signing key is published for",
			When:     keyed(ref, "the issuer is not the key's", foreignIssuer(ref)),
			Severity: rule.Critical,
			Strength: rule.Strong,
		}, {
			ID:       "other-cloud",
			Why:      "the token's signing key belongs to another cloud than its issuer",
			When:     keyed(ref, "the issuer's cloud is not the key's", otherCloud(ref)),
			Severity: rule.Critical,
			Strength: rule.Strong,
		}},
		Key:   keyBySigningKey(),
		Stage: rule.Enabled,
		Doc: rule.Doc{
			Proves: "Every key of Microsoft's version 2.0 keys document is published for one issuer: personal accounts, or the tenant in whose name " +
				"the token is. No Microsoft system signs otherwise. A token that breaks this was made with a stolen key, or not by Microsoft.",
			Evades: "A stolen key of the right class: a tenants' key for a tenant's token. See token-kid-not-published and the rules on mailbox records.",
			FalsePositives: []string{
				"Keys of Entra External ID and B2C have documents of their own: give them as keys with their issuer. Tokens of hosts " +
					"in issuerHosts with the form own are compared only with keys whose issuer is given.",
				"An observer that logs the kid of another token than the claims.",
			},
			Runbook: []string{
				"Accepted: treat as an intrusion with a stolen signing key. Take the application, or its sign-in, out of service until its " +
					"validation checks the key's issuer (ValidateIssuerSigningKey, or Microsoft.Identity.Web of today).",
				"Find everything that the token's oid and app did in the application, and revoke what was granted.",
				"Search all other token observations for the same kid; every audience that accepted it is in the same position.",
				"Search mailbox audit and Graph activity for the source address, the app and the user from a day before the first record on.",
				"Call Microsoft's security response (https://msrc.microsoft.com/report) with kid, issuer, time and correlation ids, without the token itself.",
				"Rejected only: the validator works; keep the records and hunt for the address elsewhere.",
			},
			Attack:  []string{"T1606", "T1550.001"},
			Sources: []string{identityPlatform, issuerValidator, storm0558Analysis},
		},
	}
}

// keyed asks about a token and the published key that it names. A kid that is not in the history leaves it Unknown: the
// history is not complete.
func keyed(ref *reference.Data, text string, holds func(*event.Event, *reference.Key, *rule.Trace) rule.Truth) rule.Predicate {
	needs := []string{event.TokenKeyID.Path, event.TokenIssuer.Path, "reference:keys"}
	return rule.Func(text, needs, func(ev *event.Event, tr *rule.Trace) rule.Truth {
		kid, iss := &ev.Token.KeyID, &ev.Token.Issuer
		switch {
		case !kid.OK() || kid.V == "":
			return tr.Lacking(event.TokenKeyID.Path)
		case !iss.OK() || iss.V == "":
			return tr.Lacking(event.TokenIssuer.Path)
		}
		k, ok := ref.Key(kid.V)
		if !ok || k.Scope == "" && k.Issuer == "" {
			return tr.Lacking("reference:keys")
		}
		t := holds(ev, k, tr)
		if tr.KeepsFacts() {
			tr.Add(event.TokenKeyID.Path, kid.V, "is published for", publishedFor(k), rule.True)
			tr.Add(event.TokenIssuer.Path, iss.V, "→ "+text, "", t)
		}
		return t
	})
}

func publishedFor(k *reference.Key) string {
	s := k.Issuer
	if s == "" {
		s = k.Scope
	}
	if k.Cloud != "" {
		s += " in " + k.Cloud
	}
	return s
}

// consumerKeyEnterpriseToken asks both the issuer and the tid claim: a forger has to write a tenant in one of them.
func consumerKeyEnterpriseToken(ev *event.Event, k *reference.Key, _ *rule.Trace) rule.Truth {
	if k.Scope != reference.ConsumersScope {
		return rule.False
	}
	tid := &ev.Token.Tenant
	return truth(!isConsumers(parseIssuer(ev.Token.Issuer.V).tenant) || tid.OK() && tid.V != "" && !isConsumers(tid.V))
}

func tenantKeyConsumerToken(ev *event.Event, k *reference.Key, _ *rule.Trace) rule.Truth {
	if k.Scope != reference.TenantsScope {
		return rule.False
	}
	return truth(isConsumers(parseIssuer(ev.Token.Issuer.V).tenant) || ev.Token.Tenant.OK() && isConsumers(ev.Token.Tenant.V))
}

// foreignIssuer compares the issuer with the key's, in which {tenantid} stands for the tid of the token. Issuers of version 1.0
// name the same tenant on another host, so the tenant is what is compared on Microsoft's own hosts.
func foreignIssuer(ref *reference.Data) func(*event.Event, *reference.Key, *rule.Trace) rule.Truth {
	return func(ev *event.Event, k *reference.Key, tr *rule.Trace) rule.Truth {
		iss, tid := ev.Token.Issuer.V, &ev.Token.Tenant
		is := parseIssuer(iss)
		host, known := ref.IssuerHost(is.host)
		exact := k.Issuer != "" && k.Scope == "" && !strings.Contains(k.Issuer, "{tenantid}")
		switch {
		case exact:
			of := parseIssuer(k.Issuer)
			if known && host.Form != reference.OwnIssuer && of.tenant != "" {
				return truth(!sameGUID(is.tenant, of.tenant))
			}
			return truth(!strings.EqualFold(strings.TrimSuffix(iss, "/"), k.Issuer))
		case k.Scope == reference.ConsumersScope:
			return rule.False // the first leg's business
		case !known:
			return rule.True // an Entra ID key, and an issuer that is not Entra ID
		case host.Form == reference.OwnIssuer:
			return tr.Lacking("reference:keys")
		case is.tenant == "":
			return rule.True
		case !tid.OK() || tid.V == "":
			return tr.Lacking(event.TokenTenant.Path)
		}
		return truth(!sameGUID(is.tenant, tid.V))
	}
}

func otherCloud(ref *reference.Data) func(*event.Event, *reference.Key, *rule.Trace) rule.Truth {
	return func(ev *event.Event, k *reference.Key, _ *rule.Trace) rule.Truth {
		host, known := ref.IssuerHost(parseIssuer(ev.Token.Issuer.V).host)
		return truth(k.Cloud != "" && known && len(host.Clouds) > 0 && !slices.Contains(host.Clouds, k.Cloud))
	}
}

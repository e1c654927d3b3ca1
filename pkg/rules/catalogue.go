// Package rules is the built-in catalogue: one file a rule, each written like the rule's description, with its case file
// in cases/.
//
// A rule here is data made for one snapshot of reference data and one set of settings. The package is pure: no I/O, no
// clock, no globals that change. How predicates and engine work is the business of package rule.
package rules

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/assay-sec/assay/pkg/reference"
	"github.com/assay-sec/assay/pkg/rule"
)

// constructor makes one rule for the reference data. It reads its knobs with the methods of knobs, which also
// makes them known.
type constructor func(ref *reference.Data, k *knobs) *rule.Rule

// catalogue lists every built-in rule in the order of its documents.
var catalogue = []constructor{
	// Tokens, as one's own applications and gateways and the Azure Activity log see them.
	tokenKIDKnownBad,
	tokenKeyIssuerScopeViolation,
	tokenKIDNotPublished,
	tokenSignedByExpiredCertificate,
	tokenAlgUnexpected,
	tokenIssuerTenantMismatch,
	tokenTenantNotAllowed,
	tokenVersionShapeMismatch,
	tokenLifetimeExcessive,
	tokenTimeAnomaly,
	tokenUTIMissingOrMalformed,
	tokenConsumerSubjectInEnterprise,
	tokenActorOrUnsignedImpersonation,

	// Mailbox audit.
	mailboxConsumerTenantToken,
	mailboxTokenTenantMismatch,
	mailboxOwnerLogonWithForeignOID,
	mailboxTokenOverAge,
	mailboxTokenIssuedInFuture,
	mailboxUTIMalformed,
	mailboxUTIMissing,
	mailboxUnexpectedClientApp,
	mailboxClientAppProtocolMismatch,
	mailboxScriptedClient,
	mailboxAppOnlyUnlistedApp,
	mailboxSyncByUnexpectedClient,
	mailboxAccessThrottled,
	mailboxNonownerOrExternal,
	owaTokenRenewalAnomaly,
	mailboxAuthTypeUnlisted,
	mailboxAuditTampering,

	// Every log.
	iocIP,
	iocUserAgent,
	hostingOrAnonymizerSourceForMailbox,

	// Sign-ins.
	signinFederatedTokenForManagedDomain,
	signinFederationIssuerMismatch,
	signinGoldenSAMLPattern,
	signinFederatedMFANotTrusted,
	signinDeviceCodeOrTransfer,
	signinCrossTenantToExchange,
	signinFirstPartyAppNonstandardClient,
	signinUnboundTokenSensitive,
	signinRecordIntegrity,
	spSigninToMailUnlisted,

	// SAML assertions, as one's own service providers see them.
	samlAssertionAnomaly,

	// Microsoft Graph activity.
	graphTokenTimeAnomaly,
	graphMailAccessUnlistedApp,
	graphSigninActivityIDInvalid,
	graphConsumerIDP,

	// Risk and directory audit.
	riskTokenIssuerAnomaly,
	riskAnomalousToken,
	auditFederationTrustChanged,
	auditActorTokenImpersonation,
}

// Catalogue returns the built-in rules for the reference data and the settings. An error names every setting that
// does not fit.
func Catalogue(ref *reference.Data, settings Settings) ([]*rule.Rule, error) {
	var errs []error
	known := map[string]bool{}
	out := make([]*rule.Rule, 0, len(catalogue))
	for _, construct := range catalogue {
		r, _, err := build(construct, ref, settings)
		if err != nil {
			errs = append(errs, err)
		}
		known[r.ID] = true
		out = append(out, r)
	}
	combine(out)
	for _, id := range slices.Sorted(maps.Keys(settings)) {
		if !known[id] {
			errs = append(errs, fmt.Errorf("rules.%s: there is no such rule", id))
		}
	}
	return out, errors.Join(errs...)
}

// Knobs returns the knobs of every rule that has any, by rule id.
func Knobs(ref *reference.Data) map[string][]Knob {
	out := map[string][]Knob{}
	for _, construct := range catalogue {
		if r, knobs, _ := build(construct, ref, nil); len(knobs) > 0 {
			out[r.ID] = knobs
		}
	}
	return out
}

func build(construct constructor, ref *reference.Data, settings Settings) (*rule.Rule, []Knob, error) {
	// The id is known only once the rule is made, and the rule only once its knobs are: so make it with the defaults first.
	id := construct(ref, &knobs{}).ID
	s := settings[id]
	k := &knobs{values: s.Knobs}
	r := construct(ref, k)
	if s.Stage != nil {
		r.Stage, r.StageReason = *s.Stage, "set in the configuration"
	}
	if s.Severity != nil {
		for i := range r.Legs {
			r.Legs[i].Severity = *s.Severity
		}
	}
	return r, k.declared, errors.Join(k.mistakes("rules." + id)...)
}

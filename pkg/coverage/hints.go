package coverage

import (
	"maps"
	"slices"
	"strings"

	"github.com/assay-sec/assay/pkg/rules"
)

// hint says what would let a field be decided that a log lacked.
type hint struct {
	of     rules.Log
	feed   string   // of this feed alone, whatever the case; "": of any
	fields []string // or their beginnings, where they end in a full stop
	say    string
}

// names reports whether the hint is about the field.
func (h *hint) names(field string) bool {
	return slices.ContainsFunc(h.fields, func(f string) bool { return f == field || strings.HasSuffix(f, ".") && strings.HasPrefix(field, f) })
}

var fieldHints = []hint{
	{
		rules.MailboxLog, "OfficeActivity",
		[]string{"token.", "audit.authType", "audit.tokenType", "audit.resourceUrl"},
		"the table OfficeActivity has no columns for the facts of a token: stream CloudAppEvents from Defender XDR (Defender for Cloud Apps, in E5), or read " +
			"the Management Activity API (no licence of its own)",
	},
	{
		rules.MailboxLog, "",
		[]string{"token."},
		"audit records without token facts: aggregated and background records have none; others have them since linkable identifiers came (2024 and later)",
	},
	{
		rules.MailboxLog, "",
		[]string{"audit.authType", "audit.tokenType"},
		"AuthType and TokenType stand in newer audit records only, and in no OfficeActivity",
	},
	{
		rules.DocumentLog, "",
		[]string{"token.", "app.id"},
		"SharePoint, OneDrive and Teams records say of the token what AppAccessContext holds; what a browser did has no client application",
	},
	{
		rules.SignInLog, "",
		[]string{"signIn.riskEventTypes", "signIn.riskState", "signIn.riskLevelDuringSignIn", "risk."},
		"risk stands in sign-ins and risk events with Entra ID P2 only; without it the level is \"hidden\" or missing",
	},
	{
		rules.SignInLog, "",
		[]string{
			"signIn.incomingTokenType", "signIn.authenticationProtocol", "signIn.originalTransferMethod", "signIn.crossTenantAccessType", "signIn.homeTenantId",
			"signIn.signInSessionStatus", "signIn.tokenIssuerType", "signIn.tokenIssuerName", "signIn.authenticationDetails.count", "signIn.mfaDetail",
			"app.ownerTenantId", "actor.type", "token.uti",
		},
		"sign-ins without protocol, incoming token or tenants: exports of the portal and Microsoft Graph version 1.0 leave them out; stream the diagnostic " +
			"setting, or read the beta version",
	},
	{
		rules.GraphLog, "",
		[]string{"token.idtyp", "token.idp", "token.uti", "token.iat"},
		"Graph calls without C_Idtyp, idp or token id: the Log Analytics table leaves some out, and calls of Microsoft's own applications have none; stream " +
			"the diagnostic setting to the hub",
	},
	{
		rules.TokenLog, "",
		[]string{"token.", "observed."},
		"token observations without header or claims: let the observer report all of both, and whether it accepted the token (never the signature)",
	},
}

// hints says what would make the missing fields visible, and which reference data nobody has given.
func (m *Measure) hints() []string {
	said := make([]bool, len(fieldHints))
	wanted := map[string]bool{}
	for at, c := range m.counts {
		for field := range c.Missing {
			if name, ok := strings.CutPrefix(field, "reference:"); ok {
				wanted[name] = true
				continue
			}
			for i, h := range fieldHints {
				if h.of == partOf(at.log) && (h.feed == "" || strings.EqualFold(h.feed, at.feed)) && h.names(field) {
					said[i] = true
					break
				}
			}
		}
	}
	var out []string
	for i, h := range fieldHints {
		if said[i] {
			out = append(out, h.say)
		}
	}
	learned := []string{"mailClients", "appOnlyMailApps", "partnerTenants", "delegates", "utiCoverage", "graphUtiCoverage"}
	var learn, say []string
	for _, name := range slices.Sorted(maps.Keys(wanted)) {
		switch {
		case name == "keys":
			out = append(out, "tokens under keys that are not in the history: assay keys import takes copies of keys documents, and the function app reads them hourly")
		case name == "fetches":
			out = append(out, "whether a key was published is known only between two readings of the keys document: the function app makes one an hour")
		case slices.Contains(learned, name):
			learn = append(learn, name)
		default:
			say = append(say, name)
		}
	}
	if len(learn) > 0 {
		out = append(out, "the configuration does not say, and assay learn proposes: "+strings.Join(learn, ", "))
	}
	if len(say) > 0 {
		out = append(out, "the configuration does not say, and only you know: "+strings.Join(say, ", ")+" (assay config init)")
	}
	return out
}

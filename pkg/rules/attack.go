package rules

// Log is a kind of log that may hold the traces of an attack.
type Log string

// The logs.
const (
	TokenLog    Log = "token telemetry" // of one's own applications, gateways and service providers
	MailboxLog  Log = "mailbox audit"
	DocumentLog Log = "document and chat audit"
	GraphLog    Log = "Graph activity"
	SignInLog   Log = "sign-in, risk and directory"
)

// Logs lists the logs.
func Logs() []Log { return []Log{TokenLog, MailboxLog, DocumentLog, GraphLog, SignInLog} }

// Attack is one way to use a token that the holder should not have, and what it leaves in each log.
type Attack struct {
	ID     string
	Name   string
	Traces []Trace
	// Blind says what leaves no trace that a rule on one record could tell, or is empty.
	Blind string
}

// Trace is the rules that an attack's records in one log are apt to fire.
type Trace struct {
	Log   Log
	Rules []string
	Note  string // under which condition, or is empty
}

// Attacks lists what the catalogue is there for. Tests make the records of each of them.
func Attacks() []Attack {
	return []Attack{
		{
			ID: "consumer-key", Name: "consumer signing key, enterprise data (Storm-0558)",
			Traces: []Trace{
				{TokenLog, []string{
					"token-kid-known-bad", "token-key-issuer-scope-violation", "token-signed-by-expired-certificate", "token-tenant-not-allowed",
				}, ""},
				{MailboxLog, []string{
					"mailbox-unexpected-client-app", "mailbox-client-app-protocol-mismatch", "mailbox-consumer-tenant-token", "mailbox-token-over-age",
					"mailbox-token-issued-in-future", "mailbox-uti-malformed", "owa-token-renewal-anomaly", "ioc-ip",
				}, "mailbox-consumer-tenant-token only if the forger leaves the consumer tenant in the token"},
				{DocumentLog, []string{
					"mailbox-consumer-tenant-token", "mailbox-token-tenant-mismatch", "mailbox-token-over-age", "mailbox-token-issued-in-future",
					"mailbox-uti-malformed", "mailbox-unexpected-client-app", "mailbox-owner-logon-with-foreign-oid",
				}, "SharePoint, OneDrive and Teams take the same tokens as mailboxes do"},
				{GraphLog, []string{"graph-token-time-anomaly", "graph-mail-access-unlisted-app", "graph-signin-activity-id-invalid"}, "only if Graph was used"},
			},
			Blind: "sign-in logs: nobody signs in",
		},
		{
			ID: "enterprise-key", Name: "stolen enterprise signing key",
			Traces: []Trace{
				{TokenLog, []string{"token-kid-not-published", "token-signed-by-expired-certificate"}, "only once the key has been withdrawn or has expired"},
				{MailboxLog, []string{"mailbox-unexpected-client-app", "mailbox-client-app-protocol-mismatch", "mailbox-owner-logon-with-foreign-oid"}, ""},
				{GraphLog, []string{"graph-mail-access-unlisted-app"}, ""},
			},
			Blind: "a forger who writes every claim as Entra ID would, with a client that you expect: only the logs of issued tokens tell (assay replay --join issuance)",
		},
		{
			ID: "golden-saml", Name: "Golden SAML",
			Traces: []Trace{
				{TokenLog, []string{"saml-assertion-anomaly"}, "at service providers of your own; not with the stolen key, ordinary times and lifetimes"},
				{MailboxLog, []string{"mailbox-unexpected-client-app"}, ""},
				{SignInLog, []string{
					"signin-federated-token-for-managed-domain", "signin-federation-issuer-mismatch", "signin-golden-saml-pattern",
					"signin-federated-mfa-not-trusted", "risk-token-issuer-anomaly", "audit-federation-trust-changed",
				}, ""},
			},
			Blind: "an assertion signed with the stolen key of a federation whose second factor counts",
		},
		{
			ID: "rogue-federation", Name: "rogue federation or federated credential",
			Traces: []Trace{
				{SignInLog, []string{"audit-federation-trust-changed", "signin-federated-token-for-managed-domain", "sp-signin-to-mail-unlisted"}, ""},
			},
		},
		{
			ID: "replayed-token", Name: "stolen or replayed genuine token",
			Traces: []Trace{
				{TokenLog, []string{"token-tenant-not-allowed"}, "only of another tenant"},
				{MailboxLog, []string{"mailbox-unexpected-client-app", "mailbox-client-app-protocol-mismatch", "mailbox-scripted-client", "ioc-ip"}, ""},
				{GraphLog, []string{"graph-mail-access-unlisted-app"}, ""},
				{SignInLog, []string{
					"signin-device-code-or-transfer", "signin-first-party-app-nonstandard-client", "signin-unbound-token-sensitive", "risk-anomalous-token",
				}, ""},
			},
			Blind: "a genuine token in the client that it was issued to, from an ordinary address",
		},
		{
			ID: "actor-token", Name: "actor token (CVE-2025-55241)",
			Traces: []Trace{
				{TokenLog, []string{"token-actor-or-unsigned-impersonation"}, ""},
				{MailboxLog, []string{"mailbox-token-tenant-mismatch", "mailbox-owner-logon-with-foreign-oid", "mailbox-auth-type-unlisted"}, ""},
				{SignInLog, []string{"audit-actor-token-impersonation"}, ""},
			},
			Blind: "what is read of the directory with it: Azure AD Graph logged no reads",
		},
		{
			ID: "algorithm-confusion", Name: "alg none or HMAC in an application of your own",
			Traces: []Trace{
				{TokenLog, []string{"token-alg-unexpected", "token-issuer-tenant-mismatch"}, ""},
			},
		},
	}
}

// Variant is one way in which the holder of a stolen consumer signing key may go about it, for whoever asks after an intrusion like that of
// Storm-0558 whether it would have been seen.
type Variant struct {
	ID    string
	Name  string
	Log   Log      // that holds the trace; empty where none does
	Rules []string // of which each finds it
	Blind string   // why no rule does, where there is none
}

// Storm0558 lists the variants. Tests make the records of each of them.
func Storm0558() []Variant {
	return []Variant{
		{ID: "own-application", Name: "a token under the stolen key at an application or gateway of yours", Log: TokenLog, Rules: []string{
			"token-kid-known-bad", "token-key-issuer-scope-violation", "token-signed-by-expired-certificate",
		}},
		{ID: "own-application-other-key", Name: "the same under another consumer key, of which nobody knows yet", Log: TokenLog, Rules: []string{
			"token-key-issuer-scope-violation",
		}},
		{ID: "personal-account", Name: "a personal account's token where only work accounts have any business", Log: TokenLog, Rules: []string{"token-tenant-not-allowed"}},
		{ID: "consumer-tenant", Name: "mail read with the consumer tenant left in the token", Log: MailboxLog, Rules: []string{
			"mailbox-consumer-tenant-token", "mailbox-token-tenant-mismatch",
		}},
		{ID: "unknown-application", Name: "mail read under an application that you do not use", Log: MailboxLog, Rules: []string{"mailbox-unexpected-client-app"}},
		{ID: "borrowed-application", Name: "mail read under an application of yours, over a protocol that is not its", Log: MailboxLog, Rules: []string{
			"mailbox-client-app-protocol-mismatch",
		}},
		{ID: "other-object", Name: "mail read with a token for somebody else than the mailbox's owner", Log: MailboxLog, Rules: []string{"mailbox-owner-logon-with-foreign-oid"}},
		{ID: "old-token", Name: "a token renewed for weeks, which keeps its first issue time", Log: MailboxLog, Rules: []string{"mailbox-token-over-age"}},
		{ID: "future-token", Name: "a token that says it will be issued later", Log: MailboxLog, Rules: []string{"mailbox-token-issued-in-future"}},
		{ID: "invented-id", Name: "a token id that Entra ID would not write", Log: MailboxLog, Rules: []string{"mailbox-uti-malformed"}},
		{ID: "no-id", Name: "no token id, where the client's records have one", Log: MailboxLog, Rules: []string{"mailbox-uti-missing"}},
		{ID: "renewal", Name: "a token renewed through Outlook on the web (GetAccessTokenForResource)", Log: MailboxLog, Rules: []string{"owa-token-renewal-anomaly"}},
		{ID: "published-address", Name: "mail read from an address that Microsoft published", Log: MailboxLog, Rules: []string{"ioc-ip"}},
		{ID: "documents", Name: "documents or chats opened with such a token", Log: DocumentLog, Rules: []string{
			"mailbox-consumer-tenant-token", "mailbox-token-tenant-mismatch", "mailbox-token-over-age", "mailbox-token-issued-in-future", "mailbox-uti-malformed",
		}},
		{ID: "graph-application", Name: "mail read through Graph under an application that you do not use", Log: GraphLog, Rules: []string{"graph-mail-access-unlisted-app"}},
		{ID: "graph-token", Name: "Microsoft Graph called with a token of an impossible age or id", Log: GraphLog, Rules: []string{
			"graph-token-time-anomaly", "graph-signin-activity-id-invalid",
		}},
		{ID: "perfect", Name: "a forgery without a fault: application, protocol, age, id and address fit", Blind: "nothing in the record itself " +
			"is wrong: only that Entra ID issued no token with this id tells (assay replay --join issuance)"},
		{ID: "sign-in", Name: "a sign-in", Blind: "nobody signs in: the token was never issued"},
	}
}

package rules

// Log is a kind of log that may hold the traces of an attack.
type Log string

// The logs.
const (
	TokenLog   Log = "token telemetry" // of one's own applications, gateways and service providers
	MailboxLog Log = "mailbox audit"
	GraphLog   Log = "Graph activity"
	SignInLog  Log = "sign-in, risk and directory"
)

// Logs lists the logs.
func Logs() []Log { return []Log{TokenLog, MailboxLog, GraphLog, SignInLog} }

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
			Blind: "a forger who writes every claim as Entra ID would, with a client that you expect: only the log of issued tokens could tell",
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

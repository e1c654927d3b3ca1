package corpus

// The names of people stand in for the scripts that a directory holds: Latin, and those that the logs write as \uXXXX.
var (
	asciiNames = []string{
		"Alex Wilber", "Megan Bowen", "Adele Vance", "Lee Gu", "Diego Siciliani", "Pradeep Gupta", "Nestor Wilke",
		"Isaiah Langer", "Grady Archie", "Joni Sherman", "Lidia Holloway", "Patti Fernandez",
	}
	otherNames = []string{
		"Zo\u00eb M\u00fcller", "Andr\u00e9 Lef\u00e8vre", "S\u00f8ren \u00c5kesson", "\u0410\u043d\u043d\u0430 \u041f\u0435\u0442\u0440\u043e\u0432\u0430",
		"\u7530\u4e2d \u4e00\u90ce", "\u0393\u03b9\u03ce\u03c1\u03b3\u03bf\u03c2 \u0391.", "\u738b\u5c0f\u660e", "Fran\u00e7ois \U0001f4e7",
	}
	// Applications of Microsoft have the ids of its documentation; the others get one of chance.
	knownApps = []application{
		{"00000002-0000-0ff1-ce00-000000000000", "Office 365 Exchange Online"},
		{"1fec8e78-bce4-4aaf-ab1b-5451cc387264", "Microsoft Teams"},
		{"4765445b-32c6-49b0-83e6-1d93765276ca", "OfficeHome"},
		{"27922004-5251-4030-b22d-91ecd9a37ea4", "Outlook Mobile"},
		{"38aa3b87-a06d-4817-b275-7a316988d93b", "Windows Sign In"},
		{"00000003-0000-0000-c000-000000000000", "Microsoft Graph"},
		{"04b07795-8ddb-461a-bbee-02f9e1bf7b46", "Microsoft Azure CLI"},
		{"c44b4083-3bb0-49c1-b47d-974e53cbdf3c", "Azure Portal"},
		{"08e18876-6177-487e-b8b5-cf950c1e598c", "SharePoint Online Web Client Extensibility"},
		{"9199bf20-a13f-4107-85dc-02114787ef48", "One Outlook Web"},
		{"29d9ed98-a469-4536-ade2-f981bc1d605e", "Microsoft Authentication Broker"},
		{"", "Contoso Expenses"},
	}
	// The clients that read mail, by whether they come through Microsoft Graph.
	restClients = []application{
		{"1fec8e78-bce4-4aaf-ab1b-5451cc387264", "Microsoft Teams"},
		{"9199bf20-a13f-4107-85dc-02114787ef48", "One Outlook Web"},
	}
	webClients = []application{
		{"00000002-0000-0ff1-ce00-000000000000", "Office 365 Exchange Online"},
		{"9199bf20-a13f-4107-85dc-02114787ef48", "One Outlook Web"},
	}
	policyNames = []string{
		"Require MFA for all users", "Block legacy authentication", "Require compliant device for Exchange Online",
		"Require MFA for administrators", "Block access from outside the EU", "Session: sign-in frequency 12 hours",
		"Microsoft-managed: Multifactor authentication for per-user multifactor authentication users",
		"Require terms of use", "Token protection for Windows (report-only)", "Guests: require MFA",
		"B\u00fcro Z\u00fcrich: trusted network", "Block device code flow", "Require app protection policy",
		"Azure management: phishing-resistant MFA", "Risky sign-ins: require password change", "CAE strict location",
	}
	grants     = []string{"Mfa", "Block", "RequireCompliantDevice", "RequireApprovedApp"}
	clients    = []string{"Browser", "Mobile Apps and Desktop clients", "Exchange ActiveSync"}
	userAgents = []string{
		"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/122.0.0.0 Safari/537.36 Edg/122.0.0.0",
		"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.3 Safari/605.1.15",
		"Mozilla/5.0 (iPhone; CPU iPhone OS 17_3_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148",
		"Microsoft Office/16.0 (Windows NT 10.0; Microsoft Outlook 16.0.17231; Pro)",
		"Dalvik/2.1.0 (Linux; U; Android 14; Pixel 8 Build/UQ1A.240205.004)",
	}
	places = [][3]string{
		{"Frankfurt Am Main", "Hessen", "DE"},
		{"M\u00fcnchen", "Bayern", "DE"},
		{"Wien", "Wien", "AT"},
		{"Z\u00fcrich", "Z\u00fcrich", "CH"},
		{"Lyon", "Auvergne-Rh\u00f4ne-Alpes", "FR"},
		{"Leeds", "England", "GB"},
	}
	scopeLists = []string{
		`["User.Read"]`,
		`["Calendars.ReadWrite","Contacts.ReadWrite","Files.ReadWrite.All","Mail.ReadWrite","User.Read"]`,
		`["EAS.AccessAsUser.All","EWS.AccessAsUser.All","Group.ReadWrite.All","Notes.ReadWrite","People.Read"]`,
		`["user_impersonation"]`,
	}
	folders  = []string{`\Inbox`, `\Sent Items`, `\Archive\2026`, `\Posteingang`, `\Bo` + "\u00ee" + `te de r` + "\u00e9" + `ception`}
	failures = []struct {
		code   int
		reason string
	}{
		{50126, "Error validating credentials due to invalid username or password."},
		{50076, "Due to a configuration change made by your administrator, or because you moved to a new location, you must use multi-factor authentication to access the resource."},
		{53003, "Access has been blocked by Conditional Access policies. The access policy does not allow token issuance."},
		{700082, "The refresh token has expired due to inactivity."},
	}
)

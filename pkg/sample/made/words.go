package made

// The people are invented.
var (
	names = []string{
		"Amara Okafor", "Jonas Lindqvist", "Renée Vidal", "Tomás Herrera", "Priya Raman", "Milan Dvořák",
		"Keiko Arai", "Samuel Adeyemi", "Ines Castro", "Björn Hallgren", "Leila Haddad", "Marek Novák",
		"Chen Yulan", "Fatou Diallo", "Owen Fairweather", "Zoë Brandt", "Ravi Menon", "Elif Kaya",
		"Grace Nakamura", "Piotr Zielinski", "Hana Suleiman", "Lars Østby", "Noor Rahman", "Sofia Marchetti",
	}
	guestNames = []string{"Dana Whitlock", "Ivo Petrov", "Carla Mendes"}

	browsers = []string{
		"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/114.0.0.0 Safari/537.36 Edg/114.0.1823.43",
		"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/114.0.0.0 Safari/537.36",
		"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/16.5 Safari/605.1.15",
		"Mozilla/5.0 (X11; Linux x86_64; rv:109.0) Gecko/20100101 Firefox/114.0",
		"Mozilla/5.0 (iPhone; CPU iPhone OS 16_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/16.5 Mobile/15E148 Safari/604.1",
	}
	places = [][3]string{
		{"Rotterdam", "Zuid-Holland", "NL"}, {"Graz", "Steiermark", "AT"}, {"Malmö", "Skåne", "SE"}, {"Porto", "Porto", "PT"},
	}
	subjects = []string{"\\Inbox", "\\Sent Items", "\\Archive", "\\Posteingang", "\\Boîte de réception", "\\Drafts"}
	failures = []struct {
		code   int
		reason string
	}{
		{50126, "Error validating credentials due to invalid username or password."},
		{50076, "Due to a configuration change made by your administrator, or because you moved to a new location, you must use multi-factor authentication to access the resource."},
		{50097, "Device authentication is required."},
		{53003, "Access has been blocked by Conditional Access policies. The access policy does not allow token issuance."},
		{65001, "The user or administrator has not consented to use the application."},
		{700082, "The refresh token has expired due to inactivity."},
		{50057, "User account is disabled. The account has been disabled by an administrator."},
	}
	// unread are categories of diagnostic settings that tell nothing of tokens.
	unread = []string{"ProvisioningLogs", "RiskyUsers", "B2CRequestLogs", "NetworkAccessTrafficLogs"}
)

// app is a client application as sign-in logs name it.
type app struct{ id, name string }

var (
	userApps = []app{
		{"4765445b-32c6-49b0-83e6-1d93765276ca", "OfficeHome"},
		{"1fec8e78-bce4-4aaf-ab1b-5451cc387264", "Microsoft Teams"},
		{"d3590ed6-52b3-4102-aeff-aad2292ab01c", "Microsoft Office"},
		{"27922004-5251-4030-b22d-91ecd9a37ea4", "Outlook Mobile"},
		{"9199bf20-a13f-4107-85dc-02114787ef48", "One Outlook Web"},
		{"c44b4083-3bb0-49c1-b47d-974e53cbdf3c", "Azure Portal"},
		{"04b07795-8ddb-461a-bbee-02f9e1bf7b46", "Microsoft Azure CLI"},
		{"29d9ed98-a469-4536-ade2-f981bc1d605e", "Microsoft Authentication Broker"},
		{CRMApp, "Fabrikam CRM"},
	}
	resources = []app{
		{exchange, "Office 365 Exchange Online"},
		{graph, "Microsoft Graph"},
		{"00000003-0000-0ff1-ce00-000000000000", "Office 365 SharePoint Online"},
		{azureManager, "Windows Azure Service Management API"},
		{"00000002-0000-0000-c000-000000000000", "Windows Azure Active Directory"},
		{"4765445b-32c6-49b0-83e6-1d93765276ca", "OfficeHome"},
	}
	services = []app{
		{ArchiveApp, "Fabrikam Mail Archive"},
		{ordersApp, "Fabrikam Orders"},
		{"a3475900-ccec-4a69-98f5-a65cd5dc5306", "Partner Centre Sync"},
	}
)

// mailClient is a program that reads mail: its app id, the API in front of the mailbox, how it names itself there.
type mailClient struct {
	app, name, frontend, info string
	sync, cae                 bool
}

var mailClients = []mailClient{
	{"9199bf20-a13f-4107-85dc-02114787ef48", "One Outlook Web", exchange, "Client=OWA;Action=ViaProxy", false, true},
	{"00000002-0000-0ff1-ce00-000000000000", "Office 365 Exchange Online", exchange, "Client=OWA;Action=ViaProxy", false, true},
	{"27922004-5251-4030-b22d-91ecd9a37ea4", "Outlook Mobile", exchange, "Client=OutlookService;Outlook-iOS/2.0;", false, false},
	{"27922004-5251-4030-b22d-91ecd9a37ea4", "Outlook Mobile", exchange, "Client=OutlookService;Outlook-Android/2.0;", false, false},
	{"d3590ed6-52b3-4102-aeff-aad2292ab01c", "Microsoft Office", exchange, "Client=MSExchangeRPC", true, true},
	{CRMApp, "Fabrikam CRM", graph, "Client=REST;Client=RESTSystem;;", false, false},
}

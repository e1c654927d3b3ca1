package bench

import (
	"crypto/sha256"
	"fmt"
	"strings"

	"github.com/assay-sec/assay/pkg/app"
	"github.com/assay-sec/assay/pkg/bench/corpus"
	"github.com/assay-sec/assay/pkg/config"
	"github.com/assay-sec/assay/pkg/decode"
	"github.com/assay-sec/assay/pkg/envelope"
	"github.com/assay-sec/assay/pkg/event"
	"github.com/assay-sec/assay/pkg/normalize"
	"github.com/assay-sec/assay/pkg/rule"
	"github.com/assay-sec/assay/pkg/sigma"
)

// sigmaRules are selections in the manner of public rules for these services: one field or a few, mostly compared whole, some with
// wildcards, some with an exception. An entry is `source: selection; selection…`, and | in a selection parts its items; a last
// selection that begins with ! is an exception. Each {a b c} makes a rule of each of its words.
var sigmaRules = []string{
	"azure/signinlogs: ResultType: {50053 50126 50057 53003 50074 500121 50034 50055 50076 700016 50158 53000 53001 65001 50079 50097 50105 50125 50129 50131 50132 50133 50140 50144}",
	"azure/signinlogs: properties.authenticationProtocol: {deviceCode ropc}",
	"azure/signinlogs: AppId: {1b730954-1685-4b74-9bfd-dac224a7b894 04b07795-8ddb-461a-bbee-02f9e1bf7b46 14d82eec-204b-4c2f-b7e8-296a70dab67e} | ResultType: 0; !ResourceDisplayName: Windows Azure Active Directory",
	"azure/signinlogs: ClientAppUsed: [IMAP4, POP3, SMTP, 'Authenticated SMTP', 'Exchange ActiveSync', 'Other clients']",
	"azure/signinlogs: AuthenticationRequirement: singleFactorAuthentication | Status: Success | RiskState: {atRisk confirmedCompromised}",
	"azure/signinlogs: ConditionalAccessStatus: failure | ResultDescription|contains: {Blocked interrupted}",
	"azure/signinlogs: userAgent|contains: {azurehound bav2ropc python-requests axios/ fasthttp aadinternals}",
	"azure/signinlogs: DeviceDetail.isCompliant: false | ResourceDisplayName: {Exchange SharePoint}",
	"azure/signinlogs: UserType: Guest | ResourceTenantId|fieldref|neq: HomeTenantId",
	"azure/signinlogs: Location: {KP IR RU} | ResultType: 0",
	"azure/signinlogs: IPAddress|cidr: {198.51.100.0/24 203.0.113.0/24}",
	"azure/signinlogs: UserPrincipalName|startswith: {admin root svc-} | createdDateTime|hour|gte: 22",
	"azure/signinlogs: AppDisplayName|endswith: {PowerShell CLI}",
	"azure/auditlogs: OperationName: {Consent_to_application Add_owner_to_application Add_service_principal Add_member_to_role Update_application Delete_application Disable_account Add_user Invite_external_user Reset_user_password Update_policy Delete_policy Add_policy Hard_delete_user Disable_Strong_Authentication Set_federation_settings_on_domain Add_unverified_domain Update_authorization_policy Register_device Delete_device Add_group Delete_group Add_member_to_group}",
	"azure/auditlogs: Category: Policy | OperationName: {Add_policy Update_policy} | Result: success; !InitiatedBy|contains: robot@",
	"azure/auditlogs: LoggedByService: {PIM Core_Directory} | properties.targetResources.modifiedProperties.newValue|contains: {Global RoleManagement}",
	"azure/auditlogs: properties.message|startswith: {Bulk Restore Export}",
	"azure/riskdetection: riskEventType: {anonymizedIPAddress leakedCredentials maliciousIPAddress passwordSpray suspiciousBrowser unfamiliarFeatures unlikelyTravel tokenIssuerAnomaly anomalousToken impossibleTravel newCountry riskyIPAddress mcasSuspiciousInboxManipulationRules suspiciousInboxForwarding malwareInfectedIPAddress nationStateIP suspiciousAPITraffic anomalousUserActivity attackerinTheMiddle}",
	"m365/exchange: eventSource: Exchange | Operation: {New-InboxRule Set-Mailbox New-TransportRule Add-MailboxPermission Remove-MailboxPermission Set-AdminAuditLogConfig Disable-AntiPhishRule Remove-AntiPhishRule Set-InboxRule New-ManagementRoleAssignment Add-FederatedDomain Set-MailboxJunkEmailConfiguration Set-OwaMailboxPolicy UpdateInboxRules SendAs HardDelete} | Parameters|contains: '@'",
	"m365/exchange: Operation: MailItemsAccessed | ClientInfoString|contains: {python curl powershell go-http} | ResultStatus: Succeeded",
	"m365/exchange: Operation: MailItemsAccessed | UserType|neq: 0 | MailAccessType: Sync",
	"m365/threat_management: eventSource: SecurityComplianceCenter | eventName: {Suspicious_inbox_forwarding Log_on_from_a_risky_IP_address Impossible_travel_activity Unusual_volume_of_file_deletion Activity_from_infrequent_country Potential_ransomware_activity User_restricted_from_sending_email eDiscovery_search_started} | status: success",
	"m365/audit: Operation: {Disable_Strong_Authentication. Add_federated_domain. FileDownloaded FileDeleted SearchQueryPerformed Set-PartnerOfRecord} | Workload: {AzureActiveDirectory SharePoint}",
	"m365/sharepoint: Operation: FileDownloaded | UserAgent|contains: {rclone megasync python}",
	"m365/teams: Operation: {MemberAdded AppInstalled} | TeamName|exists: true",
}

// SigmaRuleCount is how many rules SigmaRules returns.
const SigmaRuleCount = 150

// SigmaRules returns 150 Sigma rules.
func SigmaRules() []sigma.File {
	var out []sigma.File
	for _, entry := range sigmaRules {
		source, selections, _ := strings.Cut(entry, ": ")
		product, service, _ := strings.Cut(source, "/")
		for _, s := range alternatives(selections) {
			if len(out) == SigmaRuleCount {
				return out
			}
			var b strings.Builder
			fmt.Fprintf(&b, "title: Rule %d\nlogsource: {product: %s, service: %s}\ndetection:\n  selection:\n", len(out)+1, product, service)
			condition := "selection"
			chosen, exception, excepted := strings.Cut(s, "; !")
			for item := range strings.SplitSeq(chosen, " | ") {
				if !strings.HasPrefix(item, "!") {
					fmt.Fprintf(&b, "    %s\n", item)
				}
			}
			if excepted {
				fmt.Fprintf(&b, "  filter:\n    %s\n", exception)
				condition += " and not filter"
			}
			fmt.Fprintf(&b, "  condition: %s\nlevel: medium\n", condition)
			out = append(out, sigma.File{Name: fmt.Sprintf("rule-%d.yml", len(out)+1), Text: []byte(b.String())})
		}
	}
	return out
}

// alternatives writes out every {a b}; an underscore in a word is a blank.
func alternatives(s string) []string {
	before, rest, more := strings.Cut(s, "{")
	if !more {
		return []string{s}
	}
	words, after, _ := strings.Cut(rest, "}")
	var out []string
	for _, tail := range alternatives(after) {
		for w := range strings.FieldsSeq(words) {
			out = append(out, before+strings.ReplaceAll(w, "_", " ")+tail)
		}
	}
	return out
}

// Names of the contenders of SigmaContenders.
const (
	recordSHA256 = "sha256 of the record"
	catalogue    = "the catalogue"
	withSigma    = "the catalogue and 150 Sigma rules"
	decoded      = "decoding and normalising"
	decodedMore  = "the same with what Sigma rules ask for"
)

// SigmaTargets bound what the evaluation of all rules on an event may cost, times the SHA-256 of its record, and what it costs
// to keep the values that only Sigma rules read.
func SigmaTargets() []Target {
	return []Target{
		{"the catalogue: times sha256 of the record", catalogue, recordSHA256, 1.5, false},
		{"the catalogue and 150 Sigma rules: times sha256 of the record", withSigma, recordSHA256, 4, false},
		{"decoding for Sigma rules: times without", decodedMore, decoded, 1.2, false},
	}
}

// SigmaContenders evaluate the catalogue, and the catalogue with 150 Sigma rules, on so many decoded events.
func SigmaContenders(records int) ([]Contender, error) {
	builtin, err := app.LoadRules(&config.Config{})
	if err != nil {
		return nil, fmt.Errorf("load the rules: %w", err)
	}
	set := sigma.Compile(SigmaRules(), sigma.Options{})
	if err := set.Err(); err != nil {
		return nil, fmt.Errorf("compile the Sigma rules: %w", err)
	}
	if len(set.Rules) != SigmaRuleCount {
		return nil, fmt.Errorf("there are %d Sigma rules", len(set.Rules))
	}
	plain := normalize.New(decode.Scanner{}, "")
	more, err := plain.With(set.Extras, set.Record)
	if err != nil {
		return nil, fmt.Errorf("prepare the normalizer: %w", err)
	}
	bodies := corpus.Records(Seed, records)
	events, err := normalised(more, bodies)
	if err != nil {
		return nil, err
	}
	evaluation := func(name string, rules []*rule.Rule) (Contender, error) {
		engine, err := rule.NewEngine(rules)
		if err != nil {
			return Contender{}, fmt.Errorf("load %s: %w", name, err)
		}
		var s rule.Scratch
		verdicts := 0
		return Contender{name, records, func() error {
			for _, ev := range events {
				engine.Eval(ev, &s, func(*rule.Verdict) { verdicts++ })
			}
			return nil
		}}, nil
	}
	alone, err := evaluation(catalogue, builtin.Rules)
	if err != nil {
		return nil, err
	}
	all, err := evaluation(withSigma, append(builtin.Rules, set.Rules...))
	if err != nil {
		return nil, err
	}
	reading := func(name string, n *normalize.Normalizer) Contender {
		var s normalize.Scratch
		var ev event.Event
		return Contender{name, records, func() error {
			for _, body := range bodies {
				if r := n.Normalize(&envelope.Record{Body: body}, &s, &ev); r.Outcome != normalize.Normalised {
					return fmt.Errorf("normalise a record: %s", r.Detail)
				}
			}
			return nil
		}}
	}
	texts := make([][]byte, len(bodies))
	for i, b := range bodies {
		texts[i] = []byte(b)
	}
	return []Contender{
		{recordSHA256, records, func() error {
			for _, b := range texts {
				sha256.Sum256(b)
			}
			return nil
		}},
		alone, all, reading(decoded, plain), reading(decodedMore, more),
	}, nil
}

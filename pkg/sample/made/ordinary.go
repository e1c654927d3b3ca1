package made

import (
	"errors"
	"path/filepath"
	"strings"
)

// The columns of the CSV exports, as Log Analytics names them.
var (
	signInColumns = strings.Split("TenantId,SourceSystem,TimeGenerated [UTC],OperationName,OperationVersion,Category,ResultType,"+
		"ResultSignature,DurationMs,Level,AADTenantId,Id,CreatedDateTime [UTC],UserDisplayName,UserPrincipalName,UserId,AppId,"+
		"AppDisplayName,IPAddress,Status,ClientAppUsed,UserAgent,DeviceDetail,LocationDetails,MfaDetail,CorrelationId,"+
		"ConditionalAccessStatus,ConditionalAccessPolicies,OriginalRequestId,IsInteractive,TokenIssuerName,TokenIssuerType,"+
		"AuthenticationProcessingDetails,RiskLevelDuringSignIn,RiskState,RiskEventTypes_V2,ResourceDisplayName,ResourceIdentity,"+
		"ResourceTenantId,HomeTenantId,AuthenticationDetails,UserType,AutonomousSystemNumber,CrossTenantAccessType,"+
		"UniqueTokenIdentifier,IncomingTokenType,AuthenticationProtocol,OriginalTransferMethod,SessionId,"+
		"TokenProtectionStatusDetails,Type", ",")
	officeColumns = strings.Split("TenantId,TimeGenerated [UTC],OfficeWorkload,Operation,OrganizationId,RecordType,ResultStatus,"+
		"UserKey,UserType,UserId,ClientIP,OfficeId,SourceRecordId,OfficeTenantId,SourceSystem,OfficeObjectId,AppId,ClientAppId,"+
		"ClientInfoString,ExternalAccess,MailboxGuid,MailboxOwnerUPN,OriginatingServer,Logon_Type,InternalLogonType,"+
		"OperationProperties,Folders,Parameters,Client_IPAddress,Type", ",")
)

// exported turns a row into the cells of an export: times in the American form under a name that says UTC.
func exported(o object, at string) object {
	out := make(object, len(o))
	for i, m := range o {
		if m.name == "TimeGenerated" || m.name == "CreatedDateTime" {
			m.name += " [UTC]"
			m.value = at
		}
		out[i] = m
	}
	return out
}

// Ordinary writes the ordinary days of the organisation into the folder: n records in all, spread over every feed and
// every spelling. Nothing in them is worth an alert of high severity.
func Ordinary(dir string, seed uint64, n int) (err error) {
	t := New(seed, n)
	var files []*file
	open := func(name string, s shape, columns ...string) *file {
		if err != nil {
			return nil
		}
		var f *file
		if f, err = create(filepath.Join(dir, name), s, columns...); err == nil {
			files = append(files, f)
		}
		return f
	}
	var (
		hub        = open("entra-signins.ndjson.gz", lines)
		mixed      = open("entra-batches.json", batches)
		portal     = open("portal-signins.json", pretty)
		signIns    = open("log-analytics-signins.csv", table, signInColumns...)
		rows       = open("log-analytics-rows.json", lines)
		api        = open("management-activity.json", array)
		purview    = open("purview-audit.csv", table, purviewColumns...)
		office     = open("log-analytics-office.csv", table, officeColumns...)
		defender   = open("defender-stream.json", batches)
		calls      = open("graph-activity.json", batches)
		activities = open("azure-activity.json", batches)
		tokens     = open("token-observations.ndjson", lines)
		graphRisks = open("graph-risk-detections.json", pretty)
	)
	if err != nil {
		return err
	}
	for range n {
		switch k := t.rnd.IntN(100); {
		case k < 30:
			hub.add(t.signIn().diagnostic())
		case k < 46:
			mixed.add(t.mixed())
		case k < 49:
			if s := t.signIn(); s.interactive {
				portal.add(s.properties())
			} else {
				hub.add(s.diagnostic())
			}
		case k < 53:
			if s := t.signIn(); s.interactive {
				signIns.add(exported(s.row(), american(s.at)))
			} else {
				rows.add(s.row())
			}
		case k < 58:
			rows.add(t.anyRow())
		case k < 70:
			api.add(t.anyAudit().management())
		case k < 75:
			purview.line(t.anyAudit().purview())
		case k < 79:
			a := t.anyAudit()
			office.add(exported(a.row(), american(a.at)))
		case k < 86:
			if t.one(10) {
				defender.add(t.device())
			} else {
				defender.add(t.anyAudit().defender(t.one(2)))
			}
		case k < 92:
			calls.add(t.call().diagnostic())
		case k < 94:
			activities.add(t.activity())
		case k < 99:
			tokens.add(t.token().observation())
		default:
			graphRisks.add(t.risk().resource())
		}
	}
	for _, f := range files {
		err = errors.Join(err, f.close())
	}
	return err
}

// mixed makes a record of any category of diagnostic settings.
func (t *Tenant) mixed() object {
	switch k := t.rnd.IntN(20); {
	case k < 8:
		return t.serviceSignIn().diagnostic()
	case k < 10:
		return t.adfsSignIn().diagnostic()
	case k < 14:
		return t.change().diagnostic()
	case k < 16:
		return t.risk().diagnostic()
	case k < 18:
		return t.call().diagnostic()
	default:
		return t.unread()
	}
}

// anyRow makes a row of any table but those of sign-ins of people.
func (t *Tenant) anyRow() object {
	switch t.rnd.IntN(4) {
	case 0:
		return t.serviceSignIn().row()
	case 1:
		return t.anyAudit().row()
	case 2:
		return t.call().row()
	default:
		return t.change().row()
	}
}

func (t *Tenant) anyAudit() audit {
	switch k := t.rnd.IntN(20); {
	case k < 11:
		return t.mailAccess()
	case k < 13:
		return t.archiveRun()
	case k < 15:
		return t.otherMail()
	case k < 16:
		return t.renewal()
	case k < 17:
		return t.administration()
	default:
		return t.document()
	}
}

// unread makes a diagnostic record of a category that no rule reads.
func (t *Tenant) unread() object {
	return record("time", digits(t.now()), "resourceId", "/tenants/"+TenantID+"/providers/Microsoft.aadiam",
		"operationName", "Provision", "operationVersion", "1.0", "category", pick(t, unread), "tenantId", TenantID,
		"resultSignature", "None", "durationMs", 0, "correlationId", t.guid(), "Level", 4, "properties", record("id", t.guid()))
}

// device makes a record of Defender that is about a device, not about a token.
func (t *Tenant) device() object {
	at := t.now()
	return record("time", digits(at.Add(4*60e9)), "tenantId", TenantID, "operationName", "Publish",
		"category", "AdvancedHunting-DeviceLogonEvents", "properties", record("ActionType", "LogonSuccess", "Timestamp", digits(at),
			"DeviceName", "ws-"+t.opaque(5), "AccountName", account(t.someone().name)), "Tenant", "DefaultTenant")
}

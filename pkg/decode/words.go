package decode

// The words that Log Analytics and some exports write for the numbers of the Management Activity API schema.
var (
	RecordTypes = map[string]int64{
		"ExchangeAdmin": 1, "ExchangeItem": 2, "ExchangeItemGroup": 3, "SharePoint": 4, "SharePointFileOperation": 6,
		"OneDrive": 7, "AzureActiveDirectory": 8, "AzureActiveDirectoryAccountLogon": 9, "DataCenterSecurityCmdlet": 10,
		"ComplianceDLPSharePoint": 11, "ComplianceDLPExchange": 13, "SharePointSharingOperation": 14,
		"AzureActiveDirectoryStsLogon": 15, "SecurityComplianceCenterEOPCmdlet": 18, "ExchangeAggregatedOperation": 19,
		"PowerBIAudit": 20, "Discovery": 24, "MicrosoftTeams": 25, "ThreatIntelligence": 28, "MailSubmission": 29,
		"MicrosoftFlow": 30, "SharePointListOperation": 36, "SharePointCommentOperation": 37,
		"SecurityComplianceAlerts": 40, "ExchangeItemAggregated": 50, "SharePointListItemOperation": 54,
		"SharePointContentTypeOperation": 55, "SharePointFieldOperation": 56, "MicrosoftTeamsAdmin": 57,
		"ExchangeSearch": 101, "OWAAuth": 275,
	}
	UserTypes = map[string]int64{
		"Regular": 0, "Reserved": 1, "Admin": 2, "DcAdmin": 3, "DCAdmin": 3, "System": 4, "Application": 5,
		"ServicePrincipal": 6, "CustomPolicy": 7, "SystemPolicy": 8, "PartnerTechnician": 9, "Guest": 10,
	}
	LogonTypes = map[string]int64{
		"Owner": 0, "Admin": 1, "Delegated": 2, "Delegate": 2, "Transport": 3, "SystemService": 4, "BestAccess": 5,
		"DelegatedAdmin": 6,
	}
)

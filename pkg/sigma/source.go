package sigma

import (
	"maps"
	"slices"
	"sync"

	"github.com/assay-sec/assay/pkg/event"
	"github.com/assay-sec/assay/pkg/rule"
)

// source is what a logsource stands for.
type source struct {
	kind  event.Kind
	names names
	scope rule.Predicate // nil: every event of the kind
}

// sources are the log sources that Assay reads, by product and service, or category. The sign-ins are those of all
// categories, as in Elastic's signinlogs; a rule that means one asks for its Category. They are made when the first rule is read: most
// processes read none.
var sources = sync.OnceValue(func() map[string]source {
	all := map[string]source{
		"azure/signinlogs":                        {kind: event.SignIn, names: signInNames()},
		"azure/auditlogs":                         {kind: event.DirectoryChange, names: directoryNames()},
		"azure/riskdetection":                     {kind: event.Risk, names: riskNames()},
		"azure/graphactivitylogs":                 {kind: event.GraphActivity, names: graphNames()},
		"azure/microsoftgraphactivitylogs":        {kind: event.GraphActivity, names: graphNames()},
		"m365/audit":                              {kind: event.Audit, names: auditNames()},
		"m365/exchange":                           {kind: event.Audit, names: auditNames(), scope: rule.EqFold(event.Workload, "Exchange")},
		"m365/sharepoint":                         {kind: event.Audit, names: auditNames(), scope: rule.InFold(event.Workload, "SharePoint", "OneDrive")},
		"m365/onedrive":                           {kind: event.Audit, names: auditNames(), scope: rule.EqFold(event.Workload, "OneDrive")},
		"m365/teams":                              {kind: event.Audit, names: auditNames(), scope: rule.EqFold(event.Workload, "MicrosoftTeams")},
		"m365/threat_management":                  {kind: event.Audit, names: alertNames()},
		"m365/threat_detection":                   {kind: event.Audit, names: alertNames()},
		"assay/" + event.SignIn.String():          {kind: event.SignIn, names: signInNames()},
		"assay/" + event.Audit.String():           {kind: event.Audit, names: auditNames()},
		"assay/" + event.GraphActivity.String():   {kind: event.GraphActivity, names: graphNames()},
		"assay/" + event.TokenObserved.String():   {kind: event.TokenObserved, names: tokenNames()},
		"assay/" + event.Risk.String():            {kind: event.Risk, names: riskNames()},
		"assay/" + event.DirectoryChange.String(): {kind: event.DirectoryChange, names: directoryNames()},
	}
	all["m365"] = all["m365/audit"]
	return all
})

// unread says why rules for a log source that they are often written for cannot be read.
var unread = map[string]string{
	"azure/activitylogs": "the Azure Activity log is read for the tokens in it alone",
	"azure/pim":          "alerts of Privileged Identity Management are in no log that Assay reads",
}

func sourceNames() []string { return slices.Sorted(maps.Keys(sources())) }

// user is what alerts of a rule are grouped by unless it says otherwise.
var user = firstOf{text{event.ActorName}, text{event.ActorID}, text{event.TokenObjectID}, text{event.TokenSubject}}

package normalize

import (
	"strings"

	"github.com/assay-sec/assay/pkg/decode"
	"github.com/assay-sec/assay/pkg/event"
)

// tables maps log categories of diagnostic settings and tables of Log Analytics, in lower case, to what they hold.
// KindNone means: known, and no rule reads it.
var tables = map[string]event.Kind{
	"signinlogs":                             event.SignIn,
	"noninteractiveusersigninlogs":           event.SignIn,
	"serviceprincipalsigninlogs":             event.SignIn,
	"managedidentitysigninlogs":              event.SignIn,
	"adfssigninlogs":                         event.SignIn,
	"microsoftserviceprincipalsigninlogs":    event.SignIn,
	"aadnoninteractiveusersigninlogs":        event.SignIn,
	"aadserviceprincipalsigninlogs":          event.SignIn,
	"aadmanagedidentitysigninlogs":           event.SignIn,
	"aadmicrosoftserviceprincipalsigninlogs": event.SignIn,
	"userriskevents":                         event.Risk,
	"serviceprincipalriskevents":             event.Risk,
	"aaduserriskevents":                      event.Risk,
	"aadserviceprincipalriskevents":          event.Risk,
	"auditlogs":                              event.DirectoryChange,
	"microsoftgraphactivitylogs":             event.GraphActivity,
	"aadgraphactivitylogs":                   event.GraphActivity,
	"azureadgraphactivitylogs":               event.GraphActivity,
	"officeactivity":                         event.Audit,
}

// recognise tells what a record is from the names that it holds, most telling first. ok is false for a record of no
// known shape.
func recognise(v *decode.Values) (kind event.Kind, category string, ok bool) {
	if k := v.Get(decode.SlotKind); k.Kind == decode.String {
		switch k.Text {
		case "token-observation":
			return event.TokenObserved, k.Text, true
		case "saml-observation":
			return event.AssertionObserved, k.Text, true
		}
	}
	if v.Get(decode.SlotAuditData).Kind == decode.String {
		return event.Audit, auditCategory(v), true
	}
	for _, slot := range [...]decode.Slot{decode.SlotTableType, decode.SlotCategory} {
		name := v.Get(slot).Text
		if name == "" {
			continue
		}
		if k, known := lookupTable(name); known {
			return k, name, true
		}
		if strings.HasPrefix(name, "AdvancedHunting-") {
			if hasAuditRecord(v) {
				return event.Audit, name, true
			}
			return event.KindNone, name, true
		}
	}
	if v.Get(decode.SlotClaimsObject).Kind == decode.Object && v.Get(decode.SlotIdentity).Kind == decode.Object {
		return event.TokenObserved, "AzureActivity", true
	}
	if v.Get(decode.SlotActionType).Kind == decode.String {
		if hasAuditRecord(v) {
			return event.Audit, "CloudAppEvents", true
		}
		return event.KindNone, "Defender " + v.Get(decode.SlotActionType).Text, true
	}
	if isScalar(v, decode.SlotRecordType) && isScalar(v, decode.SlotOperation) {
		return event.Audit, auditCategory(v), true
	}
	if (v.Get(decode.SlotRiskEventType).Kind == decode.String) && v.Get(decode.SlotRiskState).Kind == decode.String &&
		v.Get(decode.SlotActivityDateTime).Kind != decode.Absent {
		return event.Risk, "riskDetection", true
	}
	if v.Get(decode.SlotInitiatedBy).Kind != decode.Absent &&
		(v.Get(decode.SlotActivityDisplayName).Kind == decode.String || v.Get(decode.SlotOperationName).Kind == decode.String) {
		return event.DirectoryChange, "directoryAudit", true
	}
	if v.Get(decode.SlotCreatedDateTime).Kind == decode.String && v.Get(decode.SlotConditionalAccessStatus).Kind != decode.Absent {
		return event.SignIn, "signIn", true
	}
	// A diagnostic record of a category that nobody reads.
	if c := v.Get(decode.SlotCategory).Text; c != "" && v.Get(decode.SlotOperationName).Kind == decode.String {
		return event.KindNone, c, true
	}
	if t := v.Get(decode.SlotTableType).Text; t != "" && v.Get(decode.SlotTimeGenerated).Kind == decode.String {
		return event.KindNone, t, true
	}
	return event.KindNone, "", false
}

// lookupTable finds a table by its name, whatever the case, without allocating.
func lookupTable(name string) (event.Kind, bool) {
	var low [48]byte
	if len(name) > len(low) {
		return event.KindNone, false
	}
	for i := range len(name) {
		c := name[i]
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		low[i] = c
	}
	k, ok := tables[string(low[:len(name)])]
	return k, ok
}

func hasAuditRecord(v *decode.Values) bool {
	k := v.Get(decode.SlotRawEventData)
	return k.Kind == decode.Object || k.Kind == decode.String && k.Text != ""
}

func isScalar(v *decode.Values, s decode.Slot) bool {
	k := v.Get(s).Kind
	return k == decode.String || k == decode.Number
}

// auditCategory names an audit record by its workload.
func auditCategory(v *decode.Values) string {
	if w := v.Get(decode.SlotWorkload).Text; w != "" {
		return w
	}
	return "Audit"
}

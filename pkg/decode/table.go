package decode

import (
	"fmt"
	"strings"
)

// Level is a place in a record where wanted names stand.
type Level uint8

// The levels. Object is called with Root, or with the level of a value that was JSON in a string.
const (
	none           Level = iota
	Root                 // the record itself
	Properties           // .properties of a diagnostic record
	RawEvent             // the audit record in Defender's RawEventData
	AppContext           // AppAccessContext of an audit record
	SignInStatus         // status of a sign-in
	Protection           // tokenProtectionStatusDetails of a sign-in
	ActivityCaller       // identity of an Azure Activity record
	Claims               // the claims of a token
	Header               // the header of a token
	Validation           // what the observer of a token decided
	Observer             // who observed a token
	Request              // the request that carried a token
	Initiator            // initiatedBy of a directory change
	InitiatorUser        // initiatedBy.user
	InitiatorApp         // initiatedBy.app
	Pair                 // a name and a value: cmdlet parameters, modified properties
	Target               // an element of targetResources
	Assertion            // what a SAML observation says of the assertion
	Signature            // what a SAML observation says of its signature
	numLevels
)

var levelPrefix = map[string]Level{
	"": Root, "properties": Properties, "raw": RawEvent, "ctx": AppContext, "status": SignInStatus,
	"protection": Protection, "caller": ActivityCaller, "claims": Claims, "header": Header, "validation": Validation,
	"observer": Observer, "request": Request, "initiator": Initiator, "user": InitiatorUser, "app": InitiatorApp,
	"pair": Pair, "target": Target, "assertion": Assertion, "signature": Signature,
}

// field is a row of the table: the slot, the level below it if its value is an object to descend into, and the
// spellings, best first. A spelling is a name at the root, or "level:name".
type field struct {
	slot      Slot
	child     Level
	spellings []string
}

type entry struct {
	slot  Slot
	rank  uint8
	child Level
}

// index builds the lookup from the table. Two fields that claim one name at one level are a mistake in the table.
func index(fields []field) [numLevels]map[string]entry {
	var ix [numLevels]map[string]entry
	for l := range ix {
		ix[l] = map[string]entry{}
	}
	for _, f := range fields {
		for rank, spelling := range f.spellings {
			l, name := place(spelling)
			if rank >= maxSpellings {
				panic(fmt.Sprintf("decode table: slot %d has more than %d spellings", f.slot, maxSpellings))
			}
			if old, taken := ix[l][name]; taken {
				panic(fmt.Sprintf("decode table: %q at level %d is claimed by slots %d and %d", name, l, old.slot, f.slot))
			}
			ix[l][name] = entry{f.slot, uint8(rank), f.child}
		}
	}
	return ix
}

// place returns the level and the name of a spelling.
func place(spelling string) (Level, string) {
	// Claim names are URIs that hold colons: only a known prefix is a level.
	if p, rest, ok := strings.Cut(spelling, ":"); ok && levelPrefix[p] != none {
		return levelPrefix[p], rest
	}
	return Root, spelling
}

func title(name string) string { return strings.ToUpper(name[:1]) + name[1:] }

// signIn spells a sign-in field: in a diagnostic record's properties, at the root of a Graph signIn, as a Log Analytics
// column, as that table's dynamic column in a CSV export, and in the lower case that some collectors write.
func signIn(name string) []string {
	up := title(name)
	out := []string{"properties:" + name, name}
	if up != name {
		out = append(out, up, "properties:"+up)
	}
	if low := strings.ToLower(name); low != name && low != up {
		out = append(out, low)
	}
	return out
}

// audit spells a field of the Management Activity API: in Defender's RawEventData, at the root, and in lower case.
func audit(name string) []string {
	out := []string{"raw:" + name, name}
	if low := strings.ToLower(name); low != name {
		out = append(out, "raw:"+low, low)
	}
	return out
}

func all(lists ...[]string) []string {
	var out []string
	for _, l := range lists {
		for _, s := range l {
			if !contains(out, s) {
				out = append(out, s)
			}
		}
	}
	return out
}

func contains[T comparable](list []T, s T) bool {
	for _, x := range list {
		if x == s {
			return true
		}
	}
	return false
}

func one(names ...string) []string { return names }

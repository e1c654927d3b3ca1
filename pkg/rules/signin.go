package rules

import (
	"strings"

	"github.com/assay-sec/assay/pkg/event"
	"github.com/assay-sec/assay/pkg/reference"
	"github.com/assay-sec/assay/pkg/rule"
)

// The log categories of users' sign-ins, as diagnostic settings, Log Analytics and Microsoft Graph name them. Service
// principals and managed identities do not sign in through a federation, and ADFSSignInLogs can be written by anybody who
// registers a health agent.
var (
	interactiveSignIns = []string{"SignInLogs", "signIn"} // Log Analytics: SigninLogs
	userSignIns        = []string{"SignInLogs", "signIn", "NonInteractiveUserSignInLogs", "AADNonInteractiveUserSignInLogs"}
)

// homeUser holds for users of the tenant that they sign in to. A guest's token comes from a federation of the home
// tenant, or of the guest's own, about which the tenant's domains say nothing.
func homeUser() rule.Predicate { return notGuest }

var notGuest = rule.Func("the user is not a guest", []string{event.ActorType.Path},
	func(ev *event.Event, tr *rule.Trace) rule.Truth {
		home, homeOK := guidOf(&ev.SignIn.HomeTenant)
		here, hereOK := guidOf(&ev.SignIn.ResourceTenant)
		known := homeOK && hereOK
		t := rule.True
		switch {
		case strings.EqualFold(ev.Actor.Type.V, "guest"), strings.Contains(ev.Actor.Name.V, "#EXT#"), known && home != here:
			t = rule.False
		case !known && (!ev.Actor.Type.OK() || ev.Actor.Type.V == ""):
			t = tr.Lacking(event.ActorType.Path)
		}
		if tr.KeepsFacts() {
			tr.Add(event.ActorType.Path, rule.Show(&ev.Actor.Type), "is not a guest of", rule.Show(&ev.SignIn.ResourceTenant), t)
		}
		return t
	})

// Domains as the reference data has them.
const (
	managed              = "Managed"                 // authType: Entra ID checks the password
	federated            = "Federated"               // authType: an identity provider of the customer does
	rejectMFAByFederated = "rejectMfaByFederatedIdp" // federatedIdpMfaBehavior
	domains              = "reference:domains"       // what the blind-spot report says is missing
)

// userDomain asks holds about the domain of the user's name. It is Unknown where the name has no domain or the reference
// data does not have it; holds returns Unknown, having said what it lacks, where it does not have the property asked for.
func userDomain(ref *reference.Data, op, operand string, holds func(*reference.Domain, *event.Event, *rule.Trace) rule.Truth) rule.Predicate {
	needs := []string{event.ActorName.Path, domains}
	return rule.Func("the domain of "+event.ActorName.Path+" "+op+" "+operand, needs, func(ev *event.Event, tr *rule.Trace) rule.Truth {
		name := &ev.Actor.Name
		t := rule.Unknown
		at := strings.LastIndexByte(name.V, '@')
		if !name.OK() || at < 0 {
			tr.Lacking(event.ActorName.Path)
		} else if d, ok, known := ref.Tenant(ev.Tenant).Domain(name.V[at+1:]); !known || !ok {
			tr.Lacking(domains)
		} else {
			t = holds(d, ev, tr)
		}
		if tr.KeepsFacts() {
			tr.Add(event.ActorName.Path, rule.Show(name), "has a domain that "+op, operand, t)
		}
		return t
	})
}

// managedDomain holds where Entra ID itself checks the password of the user's domain.
func managedDomain(ref *reference.Data) rule.Predicate {
	return userDomain(ref, "is", managed, func(d *reference.Domain, _ *event.Event, _ *rule.Trace) rule.Truth {
		return truth(strings.EqualFold(d.AuthType, managed))
	})
}

// mfaRejectingDomain holds where Entra ID does not take the word of the domain's identity provider for a second factor.
// With the other two behaviours, and where none is set, it does (internalDomainFederation, Microsoft Graph).
func mfaRejectingDomain(ref *reference.Data) rule.Predicate {
	return userDomain(ref, "is federated with", rejectMFAByFederated, func(d *reference.Domain, _ *event.Event, _ *rule.Trace) rule.Truth {
		return truth(strings.EqualFold(d.AuthType, federated) && strings.EqualFold(d.FederatedIdpMfaBehavior, rejectMFAByFederated))
	})
}

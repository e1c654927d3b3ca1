package config

import (
	"slices"
	"strings"

	"github.com/assay-sec/assay/pkg/reference"
)

// reference returns the readers of the keys that override reference data. The keys have the names of package
// reference, which are the ones that the blind-spot report asks for.
func (c *Config) reference() map[string]func(value) {
	r := &c.Reference
	known := map[string]func(value){
		"badKeys":             each(&r.BadKeys, badKey),
		"badIps":              each(&r.BadIPs, badIP),
		"badUserAgents":       each(&r.BadUserAgents, value.phrase),
		"keys":                each(&r.Keys, key),
		"fetches":             each(&r.Fetches, fetch),
		"issuerHosts":         each(&r.IssuerHosts, issuerHost),
		"knownMailClients":    mailClients(&r.KnownMailClients),
		"mailFrontends":       each(&r.MailFrontends, value.guid),
		"firstPartyTenants":   each(&r.FirstPartyTenants, value.guid),
		"s2sAppIds":           each(&r.S2SAppIDs, value.guid),
		"placeholderUtis":     each(&r.PlaceholderUTIs, value.tokenID),
		"sampleAudiences":     each(&r.SampleAudiences, value.phrase),
		"sampleTenants":       each(&r.SampleTenants, value.guid),
		"trustedCertificates": each(&r.TrustedCertificates, value.sha1),
		"autonomousSystems":   each(&r.AutonomousSystems, autonomousSystem),
		"networks":            each(&r.Networks, network),
		"defaults":            func(v value) { v.keys(tenant(&r.Defaults)) },
		"tenants":             c.tenants,
	}
	for name := range tenant(&reference.TenantSource{}) {
		known[name] = func(v value) { v.fail("stands under defaults or under a tenant, not at the top") }
	}
	return known
}

func (c *Config) tenants(v value) {
	c.Reference.Tenants = map[string]reference.TenantSource{}
	c.Names = map[string]string{}
	v.list(func(item value) {
		var id, name string
		var t reference.TenantSource
		known := tenant(&t)
		known["id"] = into(&id, value.guid)
		known["name"] = into(&name, value.phrase)
		item.keys(known)
		item.require("id")
		if id == "" {
			return
		}
		if _, twice := c.Reference.Tenants[id]; twice {
			item.fail("the tenant %s stands twice", id)
		}
		c.Reference.Tenants[id] = t
		if name != "" {
			c.Names[id] = name
		}
	})
}

func tenant(t *reference.TenantSource) map[string]func(value) {
	return map[string]func(value){
		"tenantIds":        each(&t.TenantIDs, value.guid),
		"partnerTenants":   each(&t.PartnerTenants, value.guid),
		"domains":          unique(&t.Domains, "domain", domain, func(d reference.Domain) string { return d.Name }),
		"mailClients":      mailClients(&t.MailClients),
		"appOnlyMailApps":  unique(&t.AppOnlyMailApps, "app", appOnlyMailApp, func(a reference.AppOnlyMailApp) string { return a.AppID }),
		"workloadApps":     unique(&t.WorkloadApps, "app", workloadApp, func(a reference.WorkloadApp) string { return a.AppID }),
		"scriptedOk":       each(&t.ScriptedOK, value.guid),
		"mailboxOid":       table(&t.MailboxOID, value.guid),
		"vips":             each(&t.VIPs, value.phrase),
		"guestOids":        each(&t.GuestOIDs, value.guid),
		"allowMsaGuests":   into(&t.AllowMSAGuests, value.flag),
		"apps":             unique(&t.Apps, "audience", app, func(a reference.App) string { return strings.ToLower(a.Audience) }),
		"delegates":        each(&t.Delegates, delegate),
		"utiCoverage":      table(&t.UTICoverage, value.share),
		"graphUtiCoverage": table(&t.GraphUTICoverage, value.share),
		"riskLevels":       each(&t.RiskLevels, func(v value) (string, bool) { return v.word("low", "medium", "high", "hidden", "none") }),
		"owaResources":     each(&t.OWAResources, value.host),
		"tokenTypes":       each(&t.TokenTypes, value.phrase),
		"authTypes":        each(&t.AuthTypes, value.phrase),
		"deviceCodeApps":   each(&t.DeviceCodeApps, value.guid),
		"fics":             each(&t.FICs, value.guid),
		"testObservers":    each(&t.TestObservers, value.phrase),
		"idp":              unique(&t.IDP, "issuer", identityProvider, func(p reference.IdentityProvider) string { return p.Issuer }),
		"vpnOk":            each(&t.VPNOK, value.phrase),
		"maxKeyAge":        into(&t.MaxKeyAge, value.duration),
	}
}

func badKey(v value) (k reference.BadKey, ok bool) {
	v.keys(map[string]func(value){
		"kid":    into(&k.KID, value.phrase),
		"sha1":   into(&k.SHA1, value.sha1),
		"sha256": into(&k.SHA256, value.sha256),
		"from":   into(&k.From, value.date),
		"source": into(&k.Source, value.phrase),
		"note":   into(&k.Note, value.phrase),
	})
	v.requireOne("kid", "sha1", "sha256")
	return k, true
}

func badIP(v value) (a reference.BadIP, ok bool) {
	v.keys(map[string]func(value){
		"ip":     into(&a.IP, value.addr),
		"kind":   into(&a.Kind, func(v value) (string, bool) { return v.word("proxy", "token-panel", "tor", "vps") }),
		"first":  into(&a.First, value.date),
		"last":   into(&a.Last, value.date),
		"source": into(&a.Source, value.phrase),
	})
	v.require("ip", "first", "last")
	if a.First != "" && a.Last != "" && a.Last < a.First {
		v.fail("ends on %s, before it begins on %s", a.Last, a.First)
	}
	return a, true
}

func key(v value) (k reference.Key, ok bool) {
	v.keys(map[string]func(value){
		"kid":       into(&k.KID, value.phrase),
		"issuer":    into(&k.Issuer, value.issuer),
		"scope":     into(&k.Scope, func(v value) (string, bool) { return v.word(reference.ConsumersScope, reference.TenantsScope) }),
		"cloud":     into(&k.Cloud, value.phrase),
		"sha1":      into(&k.SHA1, value.sha1),
		"notBefore": into(&k.NotBefore, value.instant),
		"notAfter":  into(&k.NotAfter, value.instant),
		"firstSeen": into(&k.FirstSeen, value.instant),
		"lastSeen":  into(&k.LastSeen, value.instant),
	})
	v.require("kid")
	if !k.NotAfter.IsZero() && k.NotAfter.Before(k.NotBefore) {
		v.fail("the certificate ends before it begins")
	}
	return k, true
}

func fetch(v value) (f reference.Fetch, ok bool) {
	v.keys(map[string]func(value){
		"document": into(&f.Document, func(v value) (string, bool) {
			if v.node.Value == "common" || v.node.Value == "organizations" || v.node.Value == "consumers" {
				return v.node.Value, true
			}
			return v.guid()
		}),
		"at":   into(&f.At, value.instant),
		"kids": each(&f.KIDs, value.phrase),
	})
	v.require("document", "at", "kids")
	if f.KIDs != nil && len(f.KIDs) == 0 {
		v.fail("has no kids: a document without keys was not read successfully")
	}
	return f, true
}

func issuerHost(v value) (h reference.IssuerHost, ok bool) {
	v.keys(map[string]func(value){
		"host":   into(&h.Host, value.host),
		"form":   into(&h.Form, func(v value) (string, bool) { return v.word("v1", "v2", "own") }),
		"clouds": each(&h.Clouds, value.phrase),
	})
	v.require("host", "form")
	return h, true
}

func autonomousSystem(v value) (s reference.AutonomousSystem, ok bool) {
	v.keys(map[string]func(value){
		"asn": into(&s.Number, value.asn),
		"class": into(&s.Class, func(v value) (string, bool) {
			return v.word(reference.HostingClass, reference.VPNClass, reference.TorClass)
		}),
		"name": into(&s.Name, value.phrase),
	})
	v.require("asn", "class")
	return s, true
}

func network(v value) (n reference.Network, ok bool) {
	v.keys(map[string]func(value){
		"prefix": into(&n.Prefix, value.prefix),
		"asn":    into(&n.Number, value.asn),
	})
	v.require("prefix", "asn")
	return n, true
}

func identityProvider(v value) (p reference.IdentityProvider, ok bool) {
	v.keys(map[string]func(value){
		"issuer":  into(&p.Issuer, value.phrase),
		"certs":   each(&p.Certs, value.thumbprint),
		"maxLife": into(&p.MaxLife, value.duration),
	})
	v.require("issuer", "certs")
	return p, true
}

func mailClients(dst *[]reference.MailClient) func(value) {
	return unique(dst, "app", mailClient, func(c reference.MailClient) string { return c.AppID })
}

func mailClient(v value) (c reference.MailClient, ok bool) {
	v.keys(map[string]func(value){
		"appId":      into(&c.AppID, value.guid),
		"name":       into(&c.Name, value.phrase),
		"clientInfo": each(&c.ClientInfo, value.pattern),
		"maxAge":     into(&c.MaxAge, value.duration),
		"source":     into(&c.Source, value.phrase),
	})
	v.require("appId")
	return c, true
}

func app(v value) (a reference.App, ok bool) {
	v.keys(map[string]func(value){
		"audience": into(&a.Audience, value.phrase),
		"allowedTenants": each(&a.AllowedTenants, func(v value) (string, bool) {
			if v.node.Value == "any" {
				return "any", true
			}
			return v.guid()
		}),
		"maxLife":     into(&a.MaxLife, value.duration),
		"allowedAlgs": each(&a.AllowedAlgs, value.phrase),
		"entraOnly":   into(&a.EntraOnly, value.flag),
	})
	v.require("audience")
	// The word covers work and school tenants; that of personal accounts has to be named beside it.
	if slices.Contains(a.AllowedTenants, "any") && slices.ContainsFunc(a.AllowedTenants, func(id string) bool {
		return id != "any" && id != reference.ConsumerTenant
	}) {
		v.fail(`allows "any" tenant and names some: only one of them can be meant`)
	}
	return a, true
}

func domain(v value) (d reference.Domain, ok bool) {
	v.keys(map[string]func(value){
		"name":      into(&d.Name, value.host),
		"authType":  into(&d.AuthType, func(v value) (string, bool) { return v.word("Managed", "Federated") }),
		"issuerUri": into(&d.IssuerURI, value.phrase),
		"federatedIdpMfaBehavior": into(&d.FederatedIdpMfaBehavior, func(v value) (string, bool) {
			return v.word("acceptIfMfaDoneByFederatedIdp", "enforceMfaByFederatedIdp", "rejectMfaByFederatedIdp")
		}),
	})
	v.require("name", "authType")
	if d.AuthType == "Managed" && (d.IssuerURI != "" || d.FederatedIdpMfaBehavior != "") {
		v.fail("is managed, so it has neither issuerUri nor federatedIdpMfaBehavior")
	}
	return d, true
}

func appOnlyMailApp(v value) (a reference.AppOnlyMailApp, ok bool) {
	v.keys(map[string]func(value){
		"appId":     into(&a.AppID, value.guid),
		"mailboxes": each(&a.Mailboxes, value.phrase),
	})
	v.require("appId")
	return a, true
}

func workloadApp(v value) (a reference.WorkloadApp, ok bool) {
	v.keys(map[string]func(value){
		"appId":     into(&a.AppID, value.guid),
		"workloads": each(&a.Workloads, func(v value) (string, bool) { return v.word("SharePoint", "OneDrive", "MicrosoftTeams") }),
	})
	v.require("appId")
	return a, true
}

func delegate(v value) (d reference.Delegate, ok bool) {
	v.keys(map[string]func(value){
		"user":    into(&d.User, value.phrase),
		"mailbox": into(&d.Mailbox, value.guid),
	})
	v.require("user", "mailbox")
	return d, true
}

// unique returns a reader of a list in which no two items have the same name.
func unique[T any](dst *[]T, what string, read func(value) (T, bool), name func(T) string) func(value) {
	return func(v value) {
		lines := map[string]int{}
		each(dst, func(item value) (T, bool) {
			x, ok := read(item)
			if n := name(x); n != "" {
				if line, twice := lines[n]; twice {
					item.fail("the %s %s stands twice: first on line %d", what, bound(n), line)
				} else {
					lines[n] = item.node.Line
				}
			}
			return x, ok
		})(v)
	}
}

// table returns a reader of a mapping from GUIDs.
func table[T any](dst *map[string]T, read func(value) (T, bool)) func(value) {
	return func(v value) {
		m := map[string]T{}
		v.entries(func(key, val value) {
			id, okID := key.guid()
			x, okX := read(val)
			if !okID || !okX {
				return
			}
			if _, twice := m[id]; twice {
				key.fail("stands twice, in upper and lower case")
			}
			m[id] = x
		})
		if !v.null() {
			*dst = m
		}
	}
}

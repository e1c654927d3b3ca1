package reference

import (
	"cmp"
	"maps"
	"strconv"
)

// merge returns a with b laid over it, see Source. It changes neither.
func merge(a, b Source) Source {
	m := Source{
		BadKeys:             over(a.BadKeys, b.BadKeys, func(k BadKey) string { return k.KID + " " + k.SHA1 + " " + k.SHA256 }),
		BadIPs:              over(a.BadIPs, b.BadIPs, func(i BadIP) string { return i.IP }),
		BadUserAgents:       over(a.BadUserAgents, b.BadUserAgents, itself),
		Keys:                over(a.Keys, b.Keys, func(k Key) string { return k.KID }),
		Fetches:             append(a.Fetches[:len(a.Fetches):len(a.Fetches)], b.Fetches...),
		IssuerHosts:         over(a.IssuerHosts, b.IssuerHosts, func(h IssuerHost) string { return h.Host }),
		KnownMailClients:    over(a.KnownMailClients, b.KnownMailClients, func(c MailClient) string { return c.AppID }),
		MailFrontends:       over(a.MailFrontends, b.MailFrontends, itself),
		FirstPartyTenants:   over(a.FirstPartyTenants, b.FirstPartyTenants, itself),
		S2SAppIDs:           over(a.S2SAppIDs, b.S2SAppIDs, itself),
		PlaceholderUTIs:     over(a.PlaceholderUTIs, b.PlaceholderUTIs, itself),
		SampleAudiences:     over(a.SampleAudiences, b.SampleAudiences, itself),
		SampleTenants:       over(a.SampleTenants, b.SampleTenants, itself),
		TrustedCertificates: over(a.TrustedCertificates, b.TrustedCertificates, itself),
		AutonomousSystems: over(a.AutonomousSystems, b.AutonomousSystems,
			func(s AutonomousSystem) string { return strconv.FormatInt(s.Number, 10) }),
		Networks: overKnown(a.Networks, b.Networks, func(n Network) string { return n.Prefix }),
		Defaults: layer(a.Defaults, b.Defaults),
		Tenants:  maps.Clone(a.Tenants),
	}
	for id, t := range b.Tenants {
		if m.Tenants == nil {
			m.Tenants = map[string]TenantSource{}
		}
		m.Tenants[lower(id)] = layer(m.Tenants[lower(id)], t)
	}
	return m
}

func itself(s string) string { return s }

// over appends b to a. An element of b that names the same thing as one of a takes its place.
func over[T any](a, b []T, name func(T) string) []T {
	out := append([]T(nil), a...)
	at := make(map[string]int, len(out))
	for i, x := range out {
		at[name(x)] = i
	}
	for _, x := range b {
		if i, ok := at[name(x)]; ok {
			out[i] = x
			continue
		}
		at[name(x)] = len(out)
		out = append(out, x)
	}
	return out
}

// overKnown is over for a list that is not known while it is nil.
func overKnown[T any](a, b []T, name func(T) string) []T {
	if a == nil && b == nil {
		return nil
	}
	return append([]T{}, over(a, b, name)...)
}

// layer returns base with everything that t knows in its place.
func layer(base, t TenantSource) TenantSource {
	return TenantSource{
		TenantIDs:        either(t.TenantIDs, base.TenantIDs),
		PartnerTenants:   either(t.PartnerTenants, base.PartnerTenants),
		Domains:          either(t.Domains, base.Domains),
		MailClients:      either(t.MailClients, base.MailClients),
		AppOnlyMailApps:  either(t.AppOnlyMailApps, base.AppOnlyMailApps),
		WorkloadApps:     either(t.WorkloadApps, base.WorkloadApps),
		ScriptedOK:       either(t.ScriptedOK, base.ScriptedOK),
		MailboxOID:       eitherMap(t.MailboxOID, base.MailboxOID),
		VIPs:             either(t.VIPs, base.VIPs),
		GuestOIDs:        either(t.GuestOIDs, base.GuestOIDs),
		AllowMSAGuests:   t.AllowMSAGuests || base.AllowMSAGuests,
		Apps:             either(t.Apps, base.Apps),
		Delegates:        either(t.Delegates, base.Delegates),
		UTICoverage:      eitherMap(t.UTICoverage, base.UTICoverage),
		GraphUTICoverage: eitherMap(t.GraphUTICoverage, base.GraphUTICoverage),
		RiskLevels:       either(t.RiskLevels, base.RiskLevels),
		OWAResources:     either(t.OWAResources, base.OWAResources),
		TokenTypes:       either(t.TokenTypes, base.TokenTypes),
		AuthTypes:        either(t.AuthTypes, base.AuthTypes),
		DeviceCodeApps:   either(t.DeviceCodeApps, base.DeviceCodeApps),
		FICs:             either(t.FICs, base.FICs),
		TestObservers:    either(t.TestObservers, base.TestObservers),
		IDP:              either(t.IDP, base.IDP),
		VPNOK:            either(t.VPNOK, base.VPNOK),
		MaxKeyAge:        cmp.Or(t.MaxKeyAge, base.MaxKeyAge),
	}
}

func either[T any](own, base []T) []T {
	if own != nil {
		return own
	}
	return base
}

func eitherMap[K comparable, V any](own, base map[K]V) map[K]V {
	if own != nil {
		return own
	}
	return base
}

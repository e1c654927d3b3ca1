package made

import (
	"strconv"
	"time"
)

// token is the fact that a relying party met a token: header and claims, never the signature.
type token struct {
	at                       time.Time
	id, observer, kind       string
	tenant                   string // the observer's
	result, fault            string
	address, agent, host     string
	path, algorithm, keyID   string
	version, issuer          string
	audience, tid, oid, sub  string
	issued                   time.Time
	life                     time.Duration
	uti, session, app, scope string
	name                     string
	roles                    list
}

// Keys that Microsoft published in the summer of 2023 (a copy of 2023-07-26): two for tenants. The consumers' one is the
// successor of the stolen key.
const (
	tenantKey   = "DqUu8gf-nAgcyjP3-SuplNAXAnc"
	tenantKey2  = "-KI3Q9nNR7bRofxmeZoXqbHZGew"
	consumerKey = "bW8ZcMjBCnJZS-ibX5UQDNStvx4"
	stolenKey   = "1LTMzakihiRla_8z2BEJVXeWMqo"
)

func issuerV1(tid string) string { return "https://sts.windows.net/" + tid + "/" }
func issuerV2(tid string) string { return "https://login.microsoftonline.com/" + tid + "/v2.0" }

// token makes what the organisation's gateway saw of an ordinary token.
func (t *Tenant) token() token {
	who, at := t.someone(), t.now()
	k := token{
		at: at, id: t.guid(), observer: "apim-prod", kind: "apim", tenant: TenantID, result: "accepted",
		address: pick(t, who.addresses), agent: pick(t, browsers), host: "api.fabrikam.example", path: "/orders",
		algorithm: "RS256", keyID: pick(t, []string{tenantKey, tenantKey2}), version: "2.0", issuer: issuerV2(TenantID),
		audience: OrdersAPI, tid: TenantID, oid: who.oid, sub: t.opaque(43), life: t.between(60*time.Minute, 90*time.Minute),
		uti: tokenID(t.request()), session: t.guid(), app: ordersApp, scope: "Orders.Read", name: who.upn,
	}
	k.issued = at.Add(-t.between(5*time.Minute, k.life)).Truncate(time.Second)
	switch t.rnd.IntN(8) {
	case 0: // an older client, whose tokens have the first version's form
		k.version, k.issuer = "1.0", issuerV1(TenantID)
	case 1: // a program
		k.scope, k.roles, k.session, k.app, k.name = "", list{"Orders.Process"}, "", services[1].id, ""
	case 2: // a token that came too late
		k.result, k.fault = "rejected", "IDX10223: Lifetime validation failed. The token is expired."
		k.issued = at.Add(-k.life - t.between(10*time.Minute, 3*time.Hour)).Truncate(time.Second)
	case 3: // a shopper with a personal account
		k.tid, k.issuer, k.keyID = consumerTenant, issuerV2(consumerTenant), consumerKey
		k.audience, k.app, k.path, k.scope = ShopAPI, shopApp, "/shop/basket", "Shop.Read"
		k.oid = "00000000-0000-0000-" + t.guid()[19:]
		k.name = ""
	case 4: // continuous access evaluation: a token for a day
		k.life = t.between(20*time.Hour, 28*time.Hour)
		k.issued = at.Add(-t.between(5*time.Minute, 20*time.Hour)).Truncate(time.Second)
	}
	return k
}

// observation is a token in Assay's own envelope for relying parties.
func (k token) observation() object {
	validation := record("result", k.result, "error", k.fault, "signaturePresent", true, "segments", 3)
	header := record("alg", k.algorithm, "typ", "JWT", "kid", k.keyID)
	if k.version == "1.0" {
		header = header.with("x5t", k.keyID)
	}
	claims := record("iss", k.issuer, "aud", k.audience, "tid", k.tid, "oid", k.oid, "sub", k.sub, "iat", k.issued.Unix(),
		"nbf", k.issued.Unix(), "exp", k.issued.Add(k.life+5*time.Minute).Unix(), "ver", k.version, "uti", k.uti)
	if k.version == "1.0" {
		claims = claims.with("appid", k.app, "appidacr", "0")
	} else {
		claims = claims.with("azp", k.app, "azpacr", "0")
	}
	if k.scope != "" {
		claims = claims.with("scp", k.scope, "idtyp", "user")
	} else {
		claims = claims.with("roles", k.roles, "idtyp", "app")
	}
	if k.session != "" {
		claims = claims.with("sid", k.session)
	}
	if k.name != "" {
		claims = claims.with("preferred_username", k.name)
	}
	return record("kind", "token-observation", "schemaVersion", 1, "id", k.id, "time", digits(k.at), "tenantId", k.tenant,
		"observer", record("name", k.observer, "type", k.kind),
		"request", record("ip", k.address, "userAgent", k.agent, "method", "GET", "host", k.host, "path", k.path),
		"validation", validation, "header", header, "claims", claims)
}

// activity makes an ordinary record of the Azure Activity log, which holds the claims of the caller's token.
func (t *Tenant) activity() object {
	who, at := t.someone(), t.now()
	issued := at.Add(-t.between(5*time.Minute, 60*time.Minute)).Unix()
	second := func(plus int64) string { return strconv.FormatInt(issued+plus, 10) }
	claims := record("aud", "https://management.core.windows.net/", "iss", issuerV1(TenantID), "iat", second(0), "nbf", second(0),
		"exp", second(3900+t.rnd.Int64N(1800)), "appid", userApps[5].id, "appidacr", "2", "ipaddr", who.addresses[0], "name", who.name,
		"http://schemas.microsoft.com/identity/claims/objectidentifier", who.oid,
		"http://schemas.microsoft.com/identity/claims/scope", "user_impersonation",
		"http://schemas.xmlsoap.org/ws/2005/05/identity/claims/nameidentifier", t.opaque(43),
		"http://schemas.microsoft.com/identity/claims/tenantid", TenantID,
		"http://schemas.xmlsoap.org/ws/2005/05/identity/claims/upn", who.upn, "uti", tokenID(t.request()), "ver", "1.0")
	scope := "/subscriptions/" + workshopID + "/resourceGroups/rg-orders/providers/Microsoft.Web/sites/orders"
	return record("time", digits(at), "resourceId", scope, "operationName", "MICROSOFT.WEB/SITES/RESTART/ACTION", "category", "Action",
		"resultType", "Success", "resultSignature", "Succeeded.OK", "durationMs", 641, "callerIpAddress", who.addresses[0],
		"correlationId", t.guid(), "identity", record("authorization", record("scope", scope,
			"action", "Microsoft.Web/sites/restart/action"), "claims", claims), "level", "Information", "location", "westeurope",
		"tenantId", TenantID)
}

package corpus

import (
	"strconv"
	"time"
)

// SignIn returns a sign-in as diagnostic settings send it to Event Hubs: 3.5 to 7.5 KB, 4.6 KB on average, much of it
// Conditional Access policies.
func (g *Generator) SignIn() string {
	at := g.tick()
	who, app, resource := pick(g, g.people), pick(g, g.apps), pick(g, g.apps)
	interactive := g.rnd.IntN(3) == 0
	failed := g.rnd.IntN(12) == 0
	address, correlation, id := g.ip(), g.guid(), g.request()
	category := "NonInteractiveUserSignInLogs"
	if interactive {
		category = "SignInLogs"
	}
	result, reason, details := "0", "Other.", "MFA requirement satisfied by claim in the token"
	if failed {
		f := pick(g, failures)
		result, reason, details = strconv.Itoa(f.code), f.reason, ""
	}

	var w writer
	w.Grow(8 << 10)
	w.in("", "{}", func() {
		w.str("time", at.Add(90*time.Second).Format("2006-01-02T15:04:05.0000000Z"))
		w.str("resourceId", "/tenants/"+g.tenant+"/providers/Microsoft.aadiam")
		w.str("operationName", "Sign-in activity")
		w.str("operationVersion", "1.0")
		w.str("category", category)
		w.str("tenantId", g.tenant)
		w.str("resultType", result)
		w.str("resultSignature", "None")
		if failed {
			w.str("resultDescription", reason)
		}
		w.num("durationMs", 0)
		w.str("callerIpAddress", address)
		w.str("correlationId", correlation)
		w.str("identity", who.name)
		w.num("Level", 4)
		w.str("location", "DE")
		w.in("properties", "{}", func() {
			w.str("id", id)
			w.str("createdDateTime", at.Format("2006-01-02T15:04:05.0000000+00:00"))
			w.str("userDisplayName", who.name)
			w.str("userPrincipalName", who.upn)
			w.str("userId", who.id)
			w.str("appId", app.id)
			w.str("appDisplayName", app.name)
			w.str("ipAddress", address)
			w.in("status", "{}", func() {
				w.raw("errorCode", result)
				if failed {
					w.str("failureReason", reason)
				} else {
					w.str("additionalDetails", details)
				}
			})
			w.str("clientAppUsed", pick(g, clients))
			w.str("userAgent", pick(g, userAgents))
			g.device(&w)
			g.location(&w)
			w.raw("mfaDetail", "{}")
			w.str("correlationId", correlation)
			w.str("conditionalAccessStatus", pick(g, []string{"success", "success", "notApplied"}))
			w.in("appliedConditionalAccessPolicies", "[]", func() { g.policies(&w) })
			w.raw("authenticationContextClassReferences", "[]")
			w.str("originalRequestId", id)
			w.flag("isInteractive", interactive)
			w.str("tokenIssuerName", "")
			w.str("tokenIssuerType", "AzureAD")
			g.processing(&w)
			w.in("networkLocationDetails", "[]", func() {
				if g.rnd.IntN(2) == 0 {
					w.in("", "{}", func() {
						w.str("networkType", "trustedNamedLocation")
						w.in("networkNames", "[]", func() { w.comma(); w.quote("Head office Z\u00fcrich") })
					})
				}
			})
			w.str("clientCredentialType", "none")
			w.num("processingTimeInMilliseconds", 40+g.rnd.IntN(400))
			w.str("riskDetail", "none")
			w.str("riskLevelAggregated", "none")
			w.str("riskLevelDuringSignIn", "none")
			w.str("riskState", "none")
			w.raw("riskEventTypes", "[]")
			w.raw("riskEventTypes_v2", "[]")
			w.str("resourceDisplayName", resource.name)
			w.str("resourceId", resource.id)
			w.str("resourceTenantId", g.tenant)
			w.str("homeTenantId", g.tenant)
			w.str("tenantId", g.tenant)
			g.authentication(&w, at, failed)
			w.in("authenticationRequirementPolicies", "[]", func() {
				w.in("", "{}", func() {
					w.str("requirementProvider", "multiConditionalAccess")
					w.str("detail", "Conditional Access")
				})
			})
			w.raw("sessionLifetimePolicies", "[]")
			w.str("authenticationRequirement", "multiFactorAuthentication")
			w.str("servicePrincipalId", "")
			w.str("userType", "Member")
			w.flag("flaggedForReview", false)
			w.flag("isTenantRestricted", false)
			w.num("autonomousSystemNumber", 64496+g.rnd.IntN(16))
			w.str("crossTenantAccessType", "none")
			w.raw("privateLinkDetails", "{}")
			w.str("ssoExtensionVersion", "")
			w.str("uniqueTokenIdentifier", tokenID(id))
			w.raw("authenticationStrengths", "[]")
			w.str("incomingTokenType", pick(g, []string{"none", "primaryRefreshToken", "refreshToken"}))
			w.str("authenticationProtocol", "none")
			w.raw("appServicePrincipalId", "null")
			w.str("resourceServicePrincipalId", resource.id)
			w.num("rngcStatus", 0)
			w.str("signInTokenProtectionStatus", "none")
			w.in("tokenProtectionStatusDetails", "{}", func() {
				w.str("signInSessionStatus", "unbound")
				w.num("signInSessionStatusCode", 1002)
			})
			w.str("originalTransferMethod", "none")
			w.flag("isThroughGlobalSecureAccess", false)
			w.raw("conditionalAccessAudiences", `["`+resource.id+`"]`)
			w.str("sessionId", g.guid())
			w.str("appOwnerTenantId", "f8cdef31-a31e-4b4a-93e4-5f571e91255a")
			w.str("resourceOwnerTenantId", "f8cdef31-a31e-4b4a-93e4-5f571e91255a")
		})
	})
	return w.String()
}

func (g *Generator) device(w *writer) {
	w.in("deviceDetail", "{}", func() {
		if g.rnd.IntN(2) == 0 {
			w.str("deviceId", "")
			w.str("operatingSystem", "Windows10")
			w.str("browser", "Edge 122.0.0")
			return
		}
		w.str("deviceId", g.guid())
		w.str("displayName", "LAPTOP-"+g.token(8))
		w.str("operatingSystem", "Windows10")
		w.str("browser", "Edge 122.0.0")
		w.flag("isCompliant", true)
		w.flag("isManaged", true)
		w.str("trustType", "Azure AD joined")
	})
}

func (g *Generator) location(w *writer) {
	place := pick(g, places)
	w.in("location", "{}", func() {
		w.str("city", place[0])
		w.str("state", place[1])
		w.str("countryOrRegion", place[2])
		w.in("geoCoordinates", "{}", func() {
			w.raw("latitude", strconv.FormatFloat(45+10*g.rnd.Float64(), 'f', -1, 64))
			w.raw("longitude", strconv.FormatFloat(5+10*g.rnd.Float64(), 'f', -1, 64))
		})
	})
}

func (g *Generator) policies(w *writer) {
	n := g.rnd.IntN(5)
	if g.rnd.IntN(10) == 0 {
		n += 6
	}
	first := g.rnd.IntN(len(g.rules))
	for i := range n {
		p := g.rules[(first+i)%len(g.rules)]
		w.in("", "{}", func() {
			w.str("id", p.id)
			w.str("displayName", p.name)
			w.in("enforcedGrantControls", "[]", func() { w.comma(); w.quote(p.grant) })
			w.raw("enforcedSessionControls", "[]")
			if g.rnd.IntN(3) == 0 {
				w.str("result", "success")
				w.num("conditionsSatisfied", 3)
				w.num("conditionsNotSatisfied", 0)
				return
			}
			w.str("result", pick(g, []string{"notApplied", "notEnabled"}))
			w.num("conditionsSatisfied", g.rnd.IntN(4))
			w.num("conditionsNotSatisfied", 1<<g.rnd.IntN(5))
		})
	}
}

// processing writes the list whose values are JSON in strings.
func (g *Generator) processing(w *writer) {
	scopes := scopeLists[g.rnd.IntN(len(scopeLists))]
	w.in("authenticationProcessingDetails", "[]", func() {
		for _, kv := range [...][2]string{
			{"Legacy TLS (TLS 1.0, 1.1, 3DES)", "False"},
			{"Oauth Scope Info", scopes},
			{"Is CAE Token", pick(g, []string{"True", "False"})},
		} {
			w.in("", "{}", func() {
				w.str("key", kv[0])
				w.str("value", kv[1])
			})
		}
	})
}

func (g *Generator) authentication(w *writer, at time.Time, failed bool) {
	methods := [...][3]string{
		{"Password", "Password in the cloud", "Correct password"},
		{"Previously satisfied", "", "MFA requirement satisfied by claim in the token"},
		{"Mobile app notification", "Authenticator", "MFA completed in Azure AD"},
	}
	w.in("authenticationDetails", "[]", func() {
		for i := range 1 + g.rnd.IntN(2) {
			m := methods[(i+g.rnd.IntN(2))%len(methods)]
			w.in("", "{}", func() {
				w.str("authenticationStepDateTime", at.Format("2006-01-02T15:04:05.0000000+00:00"))
				w.str("authenticationMethod", m[0])
				if m[1] != "" {
					w.str("authenticationMethodDetail", m[1])
				}
				w.flag("succeeded", !failed)
				w.str("authenticationStepResultDetail", m[2])
				w.str("authenticationStepRequirement", "Primary authentication")
				w.num("StatusSequence", i)
				w.num("RequestSequence", 1)
			})
		}
	})
}

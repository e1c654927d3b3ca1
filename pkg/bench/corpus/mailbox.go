package corpus

import "fmt"

// MailItemsAccessed returns a mail access as the Management Activity API gives it: 1.5 to 5 KB, 2.7 KB on average, much
// of it message ids.
func (g *Generator) MailItemsAccessed() string {
	at := g.tick()
	who, app := pick(g, g.people), pick(g, webClients)
	address := g.ip()
	rest := g.rnd.IntN(3) == 0
	if rest {
		app = pick(g, restClients)
	}
	if g.rnd.IntN(45) == 0 {
		app = g.apps[len(g.apps)-1]
	}

	var w writer
	w.Grow(6 << 10)
	w.in("", "{}", func() {
		w.in("AppAccessContext", "{}", func() {
			w.str("AADSessionId", g.guid())
			w.str("APIId", "00000003-0000-0000-c000-000000000000")
			w.str("ClientAppId", app.id)
			w.str("ClientAppName", app.name)
			w.str("IssuedAtTime", at.Add(-1800e9).Format("2006-01-02T15:04:05"))
			w.str("UniqueTokenId", tokenID(g.request()))
		})
		w.str("CreationTime", at.Format("2006-01-02T15:04:05"))
		w.str("Id", g.guid())
		w.str("Operation", "MailItemsAccessed")
		w.str("OrganizationId", g.tenant)
		w.num("RecordType", 50)
		w.str("ResultStatus", "Succeeded")
		w.str("UserKey", who.key)
		w.num("UserType", 0)
		w.num("Version", 1)
		w.str("Workload", "Exchange")
		w.str("UserId", who.upn)
		if rest {
			w.str("AppId", "00000003-0000-0000-c000-000000000000")
			w.str("ClientAppId", app.id)
			w.str("ClientIPAddress", address)
			w.str("ClientInfoString", "Client=REST;Client=RESTSystem;;")
		} else {
			w.str("ClientIPAddress", address)
			w.str("ClientInfoString", "Client=OWA;Action=ViaProxy")
		}
		w.flag("ExternalAccess", false)
		w.num("InternalLogonType", 0)
		w.num("LogonType", 0)
		w.str("LogonUserSid", who.sid)
		w.str("MailboxGuid", who.mailbox)
		w.str("MailboxOwnerSid", who.sid)
		w.str("MailboxOwnerUPN", who.upn)
		w.in("OperationProperties", "[]", func() {
			for _, kv := range [...][2]string{{"MailAccessType", "Bind"}, {"IsThrottled", "False"}} {
				w.in("", "{}", func() { w.str("Name", kv[0]); w.str("Value", kv[1]) })
			}
		})
		w.str("OrganizationName", "contoso.example")
		w.str("OriginatingServer", fmt.Sprintf("%s (15.20.4200.000)\r\n", g.token(12)))
		if rest {
			w.str("SessionId", g.guid())
		}
		w.str("TokenObjectId", who.id)
		w.str("TokenTenantId", g.tenant)
		count := g.folders(&w)
		w.num("OperationCount", count)
	})
	return w.String()
}

// folders writes what was read, and returns the number of messages.
func (g *Generator) folders(w *writer) int {
	count := 0
	w.in("Folders", "[]", func() {
		for range 1 + g.rnd.IntN(3) {
			w.in("", "{}", func() {
				w.in("FolderItems", "[]", func() {
					for range 1 + g.rnd.IntN(7) {
						count++
						server := g.token(14)
						w.in("", "{}", func() {
							w.str("InternetMessageId", "<"+server+g.token(24)+"@"+server+".eurprd01.prod.outlook.com>")
							w.num("SizeInBytes", 4000+g.rnd.IntN(300_000))
						})
					}
				})
				w.str("Id", "LgAAAAC"+g.token(57))
				w.str("Path", pick(g, folders))
			})
		}
	})
	return count
}

package config

import "strings"

// hubs reads which tenants may send to which event hub. A hub that is not named takes records of every tenant, so a name binds in
// whatever case Azure, which does not tell cases apart, and the settings have it.
func (c *Config) hubs(v value) {
	c.Hubs = map[string][]string{}
	v.entries(func(key, val value) {
		var tenants []string
		val.keys(map[string]func(value){"tenants": each(&tenants, value.guid)})
		val.require("tenants")
		if tenants != nil && len(tenants) == 0 {
			val.fail("names no tenant: delete the hub if it may bring records of all")
		}
		if len(tenants) > 0 {
			name := strings.ToLower(key.node.Value)
			if c.Hubs[name] != nil {
				key.fail("is bound already, in another case")
			}
			c.Hubs[name] = tenants
		}
	})
}

package config

import (
	"regexp"
	"strings"
	"testing"
)

// The start is right as it is written, and when all that is commented out is taken in.
func TestStart(t *testing.T) {
	c, err := Parse("assay.yaml", []byte(Start(contoso)))
	if err != nil {
		t.Fatal(err)
	}
	if c.Tenant() != contoso {
		t.Errorf("the tenant is %q", c.Tenant())
	}
	var lines []string
	comment := regexp.MustCompile(`^( *)# ( *(?:- )?[a-zA-Z-]+: ?.*|  - \{.*)$`)
	_, body, _ := strings.Cut(Start(""), "\n\ntenants:\n")
	for line := range strings.Lines("tenants:\n" + body) {
		line = strings.TrimSuffix(line, "\n")
		if m := comment.FindStringSubmatch(line); m != nil {
			line = m[1] + m[2]
		}
		lines = append(lines, line)
	}
	c, err = Parse("assay.yaml", []byte(strings.Join(lines, "\n")))
	if err != nil {
		t.Fatal(err)
	}
	of := c.Reference.Tenants["00000000-0000-0000-0000-000000000000"]
	if len(of.Domains) != 1 || len(of.MailClients) != 1 || len(of.AppOnlyMailApps) != 1 || len(of.PartnerTenants) != 1 || len(of.Delegates) != 1 ||
		len(of.Apps) != 1 || len(of.VIPs) != 1 || len(c.Rules) != 1 || len(c.Suppressions) != 1 || len(c.Subscriptions) != 1 {
		t.Errorf("not all of the comments are read: %+v", c)
	}
}

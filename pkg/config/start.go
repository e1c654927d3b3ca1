package config

import (
	_ "embed" // for the start
	"strings"
)

//go:embed start.yaml
var start string

// Start returns a document to begin with: all of it comments, but for the tenant, whose id is put in its place if there is one.
func Start(tenant string) string {
	if tenant == "" {
		return start
	}
	return strings.Replace(start, "id: 00000000-0000-0000-0000-000000000000 # yours: Entra admin centre, Overview", "id: "+tenant, 1)
}

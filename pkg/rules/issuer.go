package rules

import (
	"strings"

	"github.com/assay-sec/assay/pkg/event"
	"github.com/assay-sec/assay/pkg/reference"
)

// issuer is what the text of an iss claim says. Its parts alias the text.
type issuer struct {
	host    string
	tenant  string // the tenant in the path, "" if there is none
	version string // reference.V1Issuer or reference.V2Issuer by the form of the path, else ""
}

// parseIssuer takes an issuer apart. An issuer that is not of one of Entra ID's two forms, to the byte, has no version:
// https://HOST/{tid}/ of version 1.0 tokens and https://HOST/{tid}/v2.0 of version 2.0 tokens (access token claims
// reference, Microsoft identity platform).
func parseIssuer(iss string) issuer {
	scheme, rest, found := strings.Cut(iss, "://")
	if !found {
		return issuer{}
	}
	var is issuer
	var path string
	is.host, path, _ = strings.Cut(rest, "/")
	// B2C puts a word before the tenant: https://HOST/tfp/{tid}/{policy}/v2.0/.
	if after, b2c := strings.CutPrefix(path, "tfp/"); b2c {
		path = after
		scheme = "tfp"
	}
	first, tail, slash := strings.Cut(path, "/")
	if _, err := event.ParseGUID(first); err != nil {
		return is
	}
	is.tenant = first
	if scheme != "https" || !slash {
		return is
	}
	switch tail {
	case "":
		is.version = reference.V1Issuer
	case "v2.0":
		is.version = reference.V2Issuer
	}
	return is
}

// sameGUID compares two GUIDs whatever the case. A text that is no GUID equals none.
func sameGUID(a, b string) bool {
	x, err := event.ParseGUID(a)
	if err != nil {
		return false
	}
	y, err := event.ParseGUID(b)
	return err == nil && x == y
}

func isConsumers(tenant string) bool { return sameGUID(tenant, reference.ConsumerTenant) }

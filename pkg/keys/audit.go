package keys

import (
	"strings"
	"time"

	"github.com/assay-sec/assay/pkg/reference"
)

// Verdict says what trusting a key means.
type Verdict string

// The verdicts, the gravest first.
const (
	Stolen    Verdict = "stolen"    // known to be in the wrong hands: whoever has it can make tokens that the application takes
	Altered   Verdict = "altered"   // the kid of a published key over another certificate: somebody has put it there
	Withdrawn Verdict = "withdrawn" // published once, and no longer
	Expired   Verdict = "expired"   // its certificate has ended; Microsoft withdraws keys long before
	Published Verdict = "published" // in a document around that time
	Unknown   Verdict = "unknown"   // in no document that was read
)

// Trusted is what is known of one key that a cache or a copy of a keys document trusts.
type Trusted struct {
	reference.Key
	Verdict Verdict
	Bad     *reference.BadKey // of Stolen
	Note    string
}

// Dangerous reports whether the key must not be trusted.
func (t *Trusted) Dangerous() bool {
	return t.Verdict == Stolen || t.Verdict == Altered || t.Verdict == Withdrawn || t.Verdict == Expired
}

// Audit says of each key of a document, which somebody trusts at the time, what is known of it.
func Audit(d *Document, ref *reference.Data, at time.Time) []Trusted {
	out := make([]Trusted, len(d.Keys))
	for i, k := range d.Keys {
		out[i] = Judge(k, ref, at)
	}
	return out
}

// Judge says what is known of one key at the time.
func Judge(k reference.Key, ref *reference.Data, at time.Time) Trusted {
	t := Trusted{Key: k}
	known, ok := ref.Key(k.KID)
	if ok {
		t.Key = *known
	}
	bad, stolen := ref.BadKey(k.KID)
	if !stolen && k.SHA1 != "" {
		bad, stolen = ref.BadKey(k.SHA1)
	}
	tenant := ""
	if t.Scope == reference.ConsumersScope {
		tenant = reference.ConsumerTenant
	}
	p := ref.Published(k.KID, tenant, at)
	switch {
	case stolen:
		t.Verdict, t.Bad = Stolen, bad
	case ok && k.SHA1 != "" && known.SHA1 != "" && !strings.EqualFold(k.SHA1, known.SHA1):
		t.Verdict, t.Note = Altered, "a key of this id was published with the certificate "+known.SHA1+", but this one has "+k.SHA1
	case p == reference.Withdrawn:
		t.Verdict = Withdrawn
	case !t.NotAfter.IsZero() && t.NotAfter.Before(at):
		t.Verdict = Expired
	case p == reference.Published:
		t.Verdict = Published
	default:
		t.Verdict = Unknown
		if ok {
			t.Note = "published once; the documents were not read around this time, so whether it still is, is not known"
		}
	}
	return t
}

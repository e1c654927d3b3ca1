// Package config reads assay.yaml, the one document in which the people who run Assay say what is theirs: tenants and their
// names, allowlists, domains, indicators of their own, the stage, severity and thresholds of rules, what pages nobody, who is told of alerts, and how long they are kept.
//
// It is strict. A key that it does not know is a mistake and not a no-op, because a misspelt allowlist is a silent hole; and
// all mistakes are told at once, each with file, line, column and field. A document with a mistake changes
// nothing. example.yaml holds every key. The package reads text and gives values; what the values do is the business of
// packages reference and rules.
package config

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/assay-sec/assay/pkg/notify"
	"github.com/assay-sec/assay/pkg/reference"
	"github.com/assay-sec/assay/pkg/rules"
	"github.com/assay-sec/assay/pkg/suppress"
)

// Config is what one document says. The zero value is the built-in default: nothing is overridden.
type Config struct {
	// Hash is the SHA-256 of the document, in hex, as sha256sum prints it; "" where there is none.
	Hash string
	// Reference overrides reference data, see reference.New.
	Reference reference.Source
	// Rules changes rules, see rules.Catalogue.
	Rules rules.Settings
	// Names are the tenants' names for people, by tenant id.
	Names map[string]string
	// Hubs are the tenants, by lower-case id, that may send to an event hub, by the hub's lower-case name.
	Hubs map[string][]string
	// Subscriptions say who hears of which alerts.
	Subscriptions []notify.Subscription
	// Suppressions say which findings page nobody.
	Suppressions []suppress.Suppression
	// Retention is how long what belongs to a day is kept; 0: the document does not say.
	Retention time.Duration
	// Sigma are rules of one's own.
	Sigma Sigma
	// AlertURL is the address of an alert for people, with {id} in it; "" where there is none.
	AlertURL string
	// ReplayURL is the address of a replay for people, with {id} in it; "" where there is none.
	ReplayURL string

	expiries []expiry // of the suppressions
	settle   []func() // what can be judged only when all of the document is read
}

// Load reads the document in the file. Its error is a Problems where the file can be read and the document is wrong.
func Load(file string) (*Config, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, fmt.Errorf("read the configuration: %w", err)
	}
	defer f.Close() //nolint:errcheck // nothing was written
	text, err := io.ReadAll(io.LimitReader(f, MaxSize+1))
	if err != nil {
		return nil, fmt.Errorf("read the configuration: %w", err)
	}
	return Parse(file, text)
}

// Parse reads the document, which problems call by the name of the file. Its error is a Problems.
func Parse(file string, text []byte) (*Config, error) {
	sum := sha256.Sum256(text)
	c := &Config{Hash: hex.EncodeToString(sum[:])}
	d := &document{file: file}
	if root, ok := d.parse(text); ok {
		root.keys(c.readers())
		for _, judge := range c.settle {
			judge()
		}
	}
	if len(d.problems) == 0 {
		c.compile(d)
	}
	if err := d.err(); err != nil {
		return nil, err
	}
	return c, nil
}

// readers returns the readers of the keys at the top.
func (c *Config) readers() map[string]func(value) {
	known := c.reference()
	known["rules"] = c.rules
	known["hubs"] = c.hubs
	known["sigma"] = c.sigma
	known["subscriptions"] = c.subscriptions
	known["suppressions"] = c.suppressions
	known["retention"] = into(&c.Retention, value.days)
	known["alertUrl"] = into(&c.AlertURL, func(v value) (string, bool) { return v.page("https://assay.contoso.example/alerts/{id}") })
	known["replayUrl"] = into(&c.ReplayURL, func(v value) (string, bool) { return v.page("https://assay.contoso.example/replays/{id}") })
	return known
}

// compile makes sure that who uses the configuration will not find a mistake in it that its reader has missed.
func (c *Config) compile(d *document) {
	ref, err := reference.New(c.Reference)
	if err == nil {
		_, err = rules.Catalogue(ref, c.Rules)
	}
	if err != nil {
		d.add(Problem{Text: err.Error()})
	}
}

// Tenant returns the id of the only tenant of the document, or "" where there is none or more than one.
func (c *Config) Tenant() string {
	if len(c.Reference.Tenants) != 1 {
		return ""
	}
	for id := range c.Reference.Tenants {
		return id
	}
	return ""
}

package config

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/assay-sec/assay/pkg/alert"
	"github.com/assay-sec/assay/pkg/event"
	"github.com/assay-sec/assay/pkg/suppress"
)

// suppressions reads which findings page nobody. Everything that makes one answerable is mandatory, and one that would match
// whatever a rule finds is a mistake: a rule that nobody wants to hear of is switched to observe, where that can be seen.
func (c *Config) suppressions(v value) {
	known := ruleIDs(suppressible())
	fields := map[string]bool{}
	for _, f := range event.TextFields() {
		fields[f.Path] = true
	}
	names := map[string]int{}
	v.list(func(item value) {
		var s suppress.Suppression
		var expires value
		item.keys(map[string]func(value){
			"name":   into(&s.Name, value.slug),
			"rules":  some(&s.Rules, func(v value) (string, bool) { return c.ruleID(v, known) }),
			"match":  func(v value) { s.Match = match(v, fields) },
			"reason": into(&s.Reason, value.phrase),
			"owner":  into(&s.Owner, value.phrase),
			"expires": func(v value) {
				if day, ok := v.date(); ok {
					s.Expires, expires = alert.Day(day), v
				}
			},
		})
		item.require("name", "rules", "match", "reason", "owner", "expires")
		if s.Name != "" {
			if line, twice := names[s.Name]; twice {
				item.fail("the suppression %s stands twice: first on line %d", s.Name, line)
			}
			names[s.Name] = item.node.Line
		}
		if s.Expires != "" {
			c.expiries = append(c.expiries, expiry{s.Suppression, expires})
		}
		c.Suppressions = append(c.Suppressions, s)
	})
}

func match(v value, known map[string]bool) (m suppress.Match) {
	before := v.doc.count()
	v.keys(map[string]func(value){
		"tenants":   some(&m.Tenants, value.guid),
		"users":     some(&m.Users, value.literal),
		"apps":      some(&m.Apps, value.guid),
		"mailboxes": some(&m.Mailboxes, value.literal),
		"addresses": some(&m.Addresses, value.network),
		"fields": func(v value) {
			v.members(known, "field", func(path string, val value) {
				f := suppress.Field{Path: path}
				some(&f.Values, value.beginning)(val)
				m.Fields = append(m.Fields, f)
			})
		},
	})
	if v.doc.count() == before && len(m.Users)+len(m.Apps)+len(m.Mailboxes)+len(m.Addresses)+len(m.Fields) == 0 {
		v.fail("matches everything that the rules find: name the users, apps, mailboxes, addresses or fields that are ordinary, or set the stage of a rule")
	}
	return m
}

// some returns a reader of a list that has to say something.
func some[T any](dst *[]T, read func(value) (T, bool)) func(value) {
	return func(v value) {
		each(dst, read)(v)
		if v.null() || v.node.Kind == yaml.SequenceNode && len(v.node.Content) == 0 {
			v.fail("is empty: say what is meant, or delete it")
		}
	}
}

// literal reads a text that stands for itself.
func (v value) literal() (string, bool) {
	return parsed(v, "a text without *", func(s string) (string, error) {
		if strings.Contains(s, "*") {
			return "", errPlain
		}
		return s, nil
	})
}

// leastBeginning is how many bytes stand before a * at least.
const leastBeginning = 4

// beginning reads a text, or one that ends in * and stands for all that begin as it does.
func (v value) beginning() (string, bool) {
	return parsed(v, "a text, or the beginning of one and a *", func(s string) (string, error) {
		switch begin, ok := strings.CutSuffix(s, "*"); {
		case strings.Contains(begin, "*"):
			return "", errors.New("* may stand at its end alone")
		case ok && len(strings.TrimSpace(begin)) < leastBeginning:
			return "", fmt.Errorf("at least %d characters stand before *", leastBeginning)
		}
		return s, nil
	})
}

// The widest networks of a suppression, in bits.
const (
	widest4 = 16
	widest6 = 32
)

// network reads an IP address or a network that is not too wide to be somebody's.
func (v value) network() (netip.Prefix, bool) {
	return parsed(v, "an IP address or a network such as 192.0.2.0/24", func(s string) (netip.Prefix, error) {
		if a, err := netip.ParseAddr(s); err == nil && a.Zone() == "" {
			a = a.Unmap()
			return netip.PrefixFrom(a, a.BitLen()), nil
		}
		p, err := netip.ParsePrefix(s)
		if err != nil || p.Addr().Is4In6() {
			return p, errPlain
		}
		widest := widest4
		if p.Addr().Is6() {
			widest = widest6
		}
		if p.Bits() < widest {
			return p, fmt.Errorf("it is too wide: at least /%d is wanted", widest)
		}
		return p.Masked(), nil
	})
}

// Bounds of retention, in days.
const (
	leastRetention = 1
	mostRetention  = 3650
)

// days reads a whole number of days.
func (v value) days() (time.Duration, bool) {
	n, ok := v.whole("a whole number of days", leastRetention, mostRetention)
	return time.Duration(n) * 24 * time.Hour, ok
}

// expiry is where a suppression says when it ends.
type expiry struct {
	alert.Suppression
	at value
}

// Expired returns the suppressions that hold for no event of today.
func (c *Config) Expired(now time.Time) []alert.Suppression {
	var out []alert.Suppression
	for _, s := range c.Suppressions {
		if s.Expires < alert.DayOf(now) {
			out = append(out, s.Suppression)
		}
	}
	return out
}

// Warnings tells what of the document is right and yet wants attention: suppressions that no longer hold, or will not in that
// time. They stand in the order of the document.
func (c *Config) Warnings(now time.Time, soon time.Duration) Problems {
	today := alert.DayOf(now)
	var out Problems
	for _, e := range c.expiries {
		var text string
		switch {
		case e.Expires < today:
			text = fmt.Sprintf("the suppression %s expired with %s and holds for no later event: delete it, or let %s decide anew", e.Name, e.Expires, e.Owner)
		case e.Expires < alert.DayOf(now.Add(soon)):
			text = fmt.Sprintf("the suppression %s expires with %s: ask %s whether it is still needed", e.Name, e.Expires, e.Owner)
		default:
			continue
		}
		out = append(out, Problem{File: e.at.doc.file, Line: e.at.node.Line, Column: e.at.node.Column, Field: e.at.path, Text: text})
	}
	return out
}

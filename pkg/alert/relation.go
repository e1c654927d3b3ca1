package alert

import (
	"slices"
	"strings"
)

// Relation says that another alert is about the same token, session or mailbox.
type Relation struct {
	Alert  *Alert
	Shares []string // of token, session, mailbox
}

// Shares names what two subjects have in common of token, session and mailbox. An id that neither has is not in common.
func (s *Subject) Shares(other *Subject) []string {
	var out []string
	if s.TokenID != "" && s.TokenID == other.TokenID {
		out = append(out, "token")
	}
	if s.Session != "" && strings.EqualFold(s.Session, other.Session) {
		out = append(out, "session")
	}
	if s.Mailbox != "" && strings.EqualFold(s.Mailbox, other.Mailbox) {
		out = append(out, "mailbox")
	}
	return out
}

// Related reports what the alert shares with any of the subjects, which are those of another alert and its findings.
func (a *Alert) Related(about []Subject) []string {
	var out []string
	for _, name := range []string{"token", "session", "mailbox"} {
		for i := range about {
			if slices.Contains(a.Subject.Shares(&about[i]), name) {
				out = append(out, name)
				break
			}
		}
	}
	return out
}

// About returns the subjects of the alert and of those of its findings that kept their evidence, each once.
func About(a *Alert, findings []Finding) []Subject {
	seen := map[Subject]bool{}
	var out []Subject
	add := func(s Subject) {
		s = Subject{TokenID: s.TokenID, Session: s.Session, Mailbox: s.Mailbox}
		if s != (Subject{}) && !seen[s] {
			seen[s] = true
			out = append(out, s)
		}
	}
	add(a.Subject)
	for i := range findings {
		add(findings[i].Subject)
	}
	return out
}

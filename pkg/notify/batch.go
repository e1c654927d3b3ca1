package notify

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/assay-sec/assay/pkg/alert"
	"github.com/assay-sec/assay/pkg/rule"
)

// Bounds of messages.
const (
	settle    = 30 * time.Second // how long a new alert waits for others like it
	gather    = 10 * time.Minute // how long a late alert waits for others
	late      = 24 * time.Hour   // age of the last event at which an alert pages nobody any more
	backlog   = 5 * time.Minute  // after which what could not go out by itself goes into a digest, however grave
	maxDigest = 1000             // alerts in one message
)

// batch is deliveries that go out as one message.
type batch struct {
	key     string // of a message that went out, or was about to, before; "" of a fresh one
	form    Form
	members []Delivery
}

func (b *batch) severity() rule.Severity {
	s := rule.Info
	for i := range b.members {
		s = max(s, b.members[i].Severity)
	}
	return s
}

func (b *batch) created() time.Time {
	t := b.members[0].Created
	for i := range b.members {
		if b.members[i].Created.Before(t) {
			t = b.members[i].Created
		}
	}
	return t
}

// waits tells for how long the batch has been due.
func (b *batch) waits(now time.Time) time.Duration {
	due := b.members[0].Due
	for i := range b.members {
		if b.members[i].Due.Before(due) {
			due = b.members[i].Due
		}
	}
	return now.Sub(due)
}

// messageKey returns the key of the message: that of its first attempt, else one made of its deliveries.
func (b *batch) messageKey() string {
	if b.key != "" {
		return b.key
	}
	if b.form == Single {
		return b.members[0].ID
	}
	ids := make([]string, len(b.members))
	for i := range b.members {
		ids[i] = b.members[i].ID
	}
	slices.Sort(ids)
	return digest(append([]string{string(b.form)}, ids...)...)
}

// arrange makes batches of what is due, the gravest first. What went out together once stays together, under its key: a
// receiver that has seen the key will not look again, so none of it may go out while another part is under way.
func arrange(unsent []Delivery, now time.Time) []batch {
	var out []batch
	repeated := map[string]int{}
	waiting := map[string]bool{}
	for i := range unsent {
		if d := &unsent[i]; d.Key != "" && d.Due.After(now) {
			waiting[d.Key] = true
		}
	}
	var lates, news []Delivery
	for _, d := range unsent {
		ready := !d.Due.After(now)
		switch {
		case d.State == Claimed && !ready: // somebody is at it
		case d.Key != "" && !waiting[d.Key]:
			i, known := repeated[d.Key]
			if !known {
				i = len(out)
				repeated[d.Key] = i
				out = append(out, batch{key: d.Key, form: d.Form})
			}
			out[i].members = append(out[i].members, d)
		case d.Key != "":
		case d.Late:
			lates = append(lates, d)
		case d.Change == New:
			news = append(news, d)
		case ready:
			out = append(out, batch{form: Single, members: []Delivery{d}})
		}
	}
	if slices.ContainsFunc(lates, func(d Delivery) bool { return !d.Due.After(now) }) {
		for part := range slices.Chunk(lates, maxDigest) {
			out = append(out, batch{form: Digest, members: part})
		}
	}
	for _, group := range related(news) {
		if group = together(group, now); len(group) > 0 {
			form := Bundle
			if len(group) == 1 {
				form = Single
			}
			out = append(out, batch{form: form, members: group})
		}
	}
	order(out)
	return out
}

// order sorts batches: the gravest first, then the oldest.
func order(batches []batch) {
	slices.SortStableFunc(batches, func(x, y batch) int {
		return cmp.Or(-cmp.Compare(x.severity(), y.severity()), x.created().Compare(y.created()),
			strings.Compare(x.members[0].ID, y.members[0].ID))
	})
}

// together returns what goes out now of deliveries that are related: nothing before the first of them is due, then all that
// were made within the time that it waited.
func together(group []Delivery, now time.Time) []Delivery {
	slices.SortFunc(group, func(x, y Delivery) int {
		return cmp.Or(x.Created.Compare(y.Created), strings.Compare(x.ID, y.ID))
	})
	if group[0].Due.After(now) {
		return nil
	}
	end := group[0].Created.Add(settle)
	n := 0
	for n < len(group) && n < maxDigest && !group[n].Created.After(end) {
		n++
	}
	return group[:n]
}

// related groups deliveries whose alerts share something, be it by way of others.
func related(ds []Delivery) [][]Delivery {
	parent := make([]int, len(ds))
	var find func(int) int
	find = func(i int) int {
		if parent[i] != i {
			parent[i] = find(parent[i])
		}
		return parent[i]
	}
	first := map[string]int{}
	for i := range ds {
		parent[i] = i
		for _, r := range ds[i].Related {
			if j, ok := first[r]; ok {
				parent[find(i)] = find(j)
			} else {
				first[r] = i
			}
		}
	}
	at := map[int]int{}
	var groups [][]Delivery
	for i := range ds {
		g, ok := at[find(i)]
		if !ok {
			g = len(groups)
			at[find(i)] = g
			groups = append(groups, nil)
		}
		groups[g] = append(groups[g], ds[i])
	}
	return groups
}

// relations returns hashes of what the alert has in common with others of its tenant.
func relations(a *alert.Alert) []string {
	var out []string
	for _, r := range [][2]string{
		{"token", a.Subject.TokenID}, {"session", a.Subject.Session}, {"mailbox", a.Subject.Mailbox}, {"user", a.Subject.User},
	} {
		if r[1] != "" {
			out = append(out, digest(a.Tenant, r[0], strings.ToLower(r[1])))
		}
	}
	return out
}

// allot cuts the batches to what may go out now. Where they are more than the budget, the gravest go out by themselves, and
// what is left of the fresh ones as one digest. Where some have waited so long that the budget has not been enough for
// minutes, or the receiver too slow, all of the fresh ones do: people are to hear late of many rather than of few.
func allot(batches []batch, budget int, now time.Time) []batch {
	switch {
	case budget <= 0:
		return nil
	case len(batches) <= budget:
		return batches
	}
	behind := slices.ContainsFunc(batches, func(b batch) bool { return b.key == "" && b.waits(now) > backlog })
	var out []batch
	var rest []Delivery
	for _, b := range batches {
		switch {
		case (b.key != "" || !behind) && len(out) < budget-1:
			out = append(out, b)
		case b.key == "":
			rest = append(rest, b.members...)
		}
	}
	form := Digest
	if len(rest) == 1 {
		form = Single
	}
	for part := range slices.Chunk(rest, maxDigest) {
		if len(out) < budget {
			out = append(out, batch{form: form, members: part})
		}
	}
	order(out)
	return out
}

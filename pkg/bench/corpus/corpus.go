// Package corpus makes records in the shape of Microsoft's logs, for benchmarks: diagnostic records of sign-ins and
// MailItemsAccessed records of the Management Activity API. Names, order, types and sizes follow published records; the
// values are invented, in ordinary relations: token ids are encoded request ids, mail clients speak their own protocols. One
// mail access in 45 is by an application that nobody expects. The same seed gives the same bytes.
//
// It does not make records that prove anything about a rule: those are the case files of package rules. It does not
// know how a transport is read.
package corpus

import (
	"bufio"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"
)

// Generator makes records. It is not safe for concurrent use.
type Generator struct {
	rnd    *rand.Rand
	tenant string
	people []person
	apps   []application
	rules  []policy
	at     time.Time
	n      int
}

type person struct {
	id, name, upn, mailbox, sid, key string
}

type application struct{ id, name string }

type policy struct{ id, name, grant string }

// New returns a generator of the records of one invented tenant.
func New(seed uint64) *Generator {
	g := &Generator{
		rnd: rand.New(rand.NewPCG(seed, 0x9e3779b97f4a7c15)),
		at:  time.Date(2026, 3, 2, 6, 0, 0, 0, time.UTC),
	}
	g.tenant = g.guid()
	for i := range 400 {
		g.people = append(g.people, g.person(i))
	}
	for _, a := range knownApps {
		if a.id == "" {
			a.id = g.guid()
		}
		g.apps = append(g.apps, a)
	}
	for i, name := range policyNames {
		g.rules = append(g.rules, policy{g.guid(), name, grants[i%len(grants)]})
	}
	return g
}

// Next returns the next record: sign-ins and mail accesses in turn.
func (g *Generator) Next() string {
	g.n++
	if g.n%2 == 1 {
		return g.SignIn()
	}
	return g.MailItemsAccessed()
}

// Records returns n records of a new generator.
func Records(seed uint64, n int) []string {
	g := New(seed)
	out := make([]string, n)
	for i := range out {
		out[i] = g.Next()
	}
	return out
}

// WriteNDJSON writes n records of a new generator, one a line.
func WriteNDJSON(w io.Writer, seed uint64, n int) error {
	b := bufio.NewWriterSize(w, 1<<16)
	g := New(seed)
	for i := range n {
		b.WriteString(g.Next())
		if err := b.WriteByte('\n'); err != nil {
			return fmt.Errorf("write record %d: %w", i+1, err)
		}
	}
	if err := b.Flush(); err != nil {
		return fmt.Errorf("write records: %w", err)
	}
	return nil
}

// person makes a user. A third of the names are written in scripts that the logs escape.
func (g *Generator) person(i int) person {
	name := asciiNames[g.rnd.IntN(len(asciiNames))]
	if i%3 == 0 {
		name = otherNames[g.rnd.IntN(len(otherNames))]
	}
	account := "user" + strconv.Itoa(i)
	return person{
		id: g.guid(), name: name, upn: account + "@contoso.example", mailbox: g.guid(),
		sid: fmt.Sprintf("S-1-5-21-%d-%d-%d-%d", g.rnd.Uint32(), g.rnd.Uint32(), g.rnd.Uint32(), g.rnd.IntN(1<<25)),
		key: fmt.Sprintf("1003200%09X", g.rnd.Uint64()>>28),
	}
}

// tick moves the clock of the tenant and returns it.
func (g *Generator) tick() time.Time {
	g.at = g.at.Add(time.Duration(20+g.rnd.IntN(900)) * time.Millisecond)
	return g.at.Add(time.Duration(g.rnd.IntN(1_000_000)) * 100)
}

func (g *Generator) guid() string {
	const hex = "0123456789abcdef"
	var b [36]byte
	hi, lo := g.rnd.Uint64(), g.rnd.Uint64()
	for i := range b {
		switch i {
		case 8, 13, 18, 23:
			b[i] = '-'
		default:
			b[i] = hex[lo&15]
			lo = lo>>4 | hi<<60
			hi >>= 4
		}
	}
	return string(b[:])
}

// request returns the id of a sign-in as Entra ID makes them: a GUID of version 4 whose last byte is small.
func (g *Generator) request() string {
	id := []byte(g.guid())
	id[14], id[19], id[34], id[35] = '4', "89ab"[g.rnd.IntN(4)], '0', "012"[g.rnd.IntN(3)]
	return string(id)
}

// tokenID spells a sign-in's id as the id of its token: base64url of the GUID's bytes in little-endian order.
func tokenID(id string) string {
	b, err := hex.DecodeString(strings.ReplaceAll(id, "-", ""))
	if err != nil || len(b) != 16 {
		panic("corpus: not a GUID: " + id)
	}
	b[0], b[1], b[2], b[3] = b[3], b[2], b[1], b[0]
	b[4], b[5], b[6], b[7] = b[5], b[4], b[7], b[6]
	return base64.RawURLEncoding.EncodeToString(b)
}

// token returns a random word of the URL-safe base64 alphabet.
func (g *Generator) token(n int) string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	b := make([]byte, n)
	for i := range b {
		b[i] = alphabet[g.rnd.IntN(len(alphabet))]
	}
	return string(b)
}

func (g *Generator) ip() string {
	if g.rnd.IntN(5) == 0 {
		return fmt.Sprintf("2001:db8:%x:%x::%x", g.rnd.IntN(1<<16), g.rnd.IntN(1<<16), g.rnd.IntN(1<<16))
	}
	nets := [...]string{"192.0.2.", "198.51.100.", "203.0.113."}
	return nets[g.rnd.IntN(len(nets))] + strconv.Itoa(g.rnd.IntN(256))
}

func pick[T any](g *Generator, list []T) T { return list[g.rnd.IntN(len(list))] }

// writer builds compact JSON with names in the order they are given.
type writer struct {
	strings.Builder
	started bool // something stands before the next member or element
}

func (w *writer) comma() {
	if w.started {
		w.WriteByte(',')
	}
	w.started = true
}

func (w *writer) name(s string) {
	w.comma()
	w.WriteByte('"')
	w.WriteString(s)
	w.WriteString(`":`)
}

// str writes a string member as Microsoft's serialisers do: all that is not ASCII as \uXXXX.
func (w *writer) str(name, value string) {
	w.name(name)
	w.quote(value)
}

func (w *writer) quote(s string) {
	const hex = "0123456789abcdef"
	unit := func(u rune) {
		w.WriteString(`\u`)
		for shift := 12; shift >= 0; shift -= 4 {
			w.WriteByte(hex[u>>shift&15])
		}
	}
	w.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			w.WriteByte('\\')
			w.WriteByte(byte(r))
		case r == '\n':
			w.WriteString(`\n`)
		case r == '\r':
			w.WriteString(`\r`)
		case r >= 1<<16:
			unit(0xd800 + (r-1<<16)>>10)
			unit(0xdc00 + (r-1<<16)&0x3ff)
		case r < ' ' || r > '~':
			unit(r)
		default:
			w.WriteByte(byte(r))
		}
	}
	w.WriteByte('"')
}

// raw writes a member whose value is JSON already.
func (w *writer) raw(name, json string) {
	w.name(name)
	w.WriteString(json)
}

func (w *writer) num(name string, n int) { w.raw(name, strconv.Itoa(n)) }

func (w *writer) flag(name string, b bool) { w.raw(name, strconv.FormatBool(b)) }

// in writes an object or array member; with an empty name, an element or the record itself.
func (w *writer) in(name, brackets string, fill func()) {
	if name != "" {
		w.name(name)
	} else {
		w.comma()
	}
	w.WriteByte(brackets[0])
	w.started = false
	fill()
	w.WriteByte(brackets[1])
	w.started = true
}

// Package made makes logs: the ordinary days of an invented organisation, and two intrusions into it, spelt as each
// of Microsoft's feeds spells them. What happened is a fact (a sign-in, a mail access, a call, a token); a
// feed's file turns facts into records. The same seed gives the same bytes.
//
// Names, order and types of the records follow published schemas and samples; every value is invented. It knows
// nothing of Assay's own packages, so it cannot agree with them by construction.
package made

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"
)

// The organisation: Fabrikam, and what stands in its configuration.
const (
	TenantID   = "8f1d6c3a-52e7-4b90-9c0e-6a4d17f2b385"
	Domain     = "fabrikam.example"      // managed: Entra ID itself signs people in
	Federated  = "labs.fabrikam.example" // federated with the organisation's own AD FS
	STS        = "http://sts.labs.fabrikam.example/adfs/services/trust"
	PartnerID  = "3c9e5b7d-0f24-4e6a-8d13-b5a7c2e90f46" // a partner with delegated rights
	PartnerDom = "northwind.example"
	Workspace  = "d41f8a06-7b5c-49e2-a3f8-2c6b90e7d154" // of Log Analytics; never the tenant

	workshopID = "55b0e9a4-1c7f-4d38-9e62-80a3d7c4f91b" // the subscription whose activity is logged
)

// The applications that the organisation runs itself.
const (
	OrdersAPI  = "api://orders.fabrikam.example"
	ShopAPI    = "api://shop.fabrikam.example" // accepts personal accounts too
	ArchiveApp = "b7a1f0c2-3d84-4e59-8a6b-91c5e2d70f38"
	CRMApp     = "e02c7d95-6f1a-4b3e-9d48-7a5b13c8f064"
	ordersApp  = "19d3a7e6-b42c-4f80-a5d9-c86e013b7f52"
	shopApp    = "6e5f2b81-c09d-47a3-b16e-d4a8935c7e20"
)

// Microsoft's own identifiers, from its documentation.
const (
	consumerTenant = "9188040d-6c67-4c5b-b112-36a304b66dad"
	microsoftApps  = "f8cdef31-a31e-4b4a-93e4-5f571e91255a"
	exchange       = "00000002-0000-0ff1-ce00-000000000000"
	graph          = "00000003-0000-0000-c000-000000000000"
	azureManager   = "797f4846-ba00-4fd7-ba43-dac1f8f63013"
)

// Tenant makes facts and tells them apart by their time. It is not safe for concurrent use.
type Tenant struct {
	rnd    *rand.Rand
	people []person
	guests []person
	clock  time.Time
	step   time.Duration
}

type person struct {
	name, upn, oid, puid, sid, mailbox string
	home                               string // the tenant that the person belongs to
	federated, guest                   bool
	addresses                          []string
	device                             string
}

// Start is when the made days begin: a Monday in the month in which the intrusion of 2023 was noticed.
var start = time.Date(2023, 6, 12, 5, 30, 0, 0, time.UTC)

// span is how long they last: five working days.
const span = 4*24*time.Hour + 14*time.Hour

// New returns an organisation whose facts, n of them, spread over five days.
func New(seed uint64, n int) *Tenant {
	t := &Tenant{rnd: rand.New(rand.NewPCG(seed, 0x5851f42d4c957f2d)), clock: start, step: span / time.Duration(max(n, 1))}
	for i, name := range names {
		t.people = append(t.people, t.person(name, i))
	}
	for i, name := range guestNames {
		p := t.person(name, i)
		p.home, p.guest, p.federated = PartnerID, true, false
		p.upn = account(name) + "_" + PartnerDom + "#EXT#@fabrikam.onmicrosoft.com"
		t.guests = append(t.guests, p)
	}
	return t
}

// story returns the same organisation with luck of its own, so that no two stories share an id.
func story(seed, number uint64) *Tenant {
	t := New(seed, 1)
	t.rnd = rand.New(rand.NewPCG(seed, number))
	return t
}

func (t *Tenant) person(name string, i int) person {
	p := person{
		name: name, oid: t.guid(), mailbox: t.guid(), home: TenantID, device: t.guid(), federated: i%6 == 5,
		puid: fmt.Sprintf("10032001%08X", t.rnd.Uint32()),
		sid:  fmt.Sprintf("S-1-5-21-%d-%d-%d-%d", t.rnd.Uint32(), t.rnd.Uint32(), t.rnd.Uint32(), 1_000_000+t.rnd.IntN(9_000_000)),
		addresses: []string{
			fmt.Sprintf("198.51.100.%d", 10+i), // at work
			fmt.Sprintf("203.0.113.%d", 20+2*i),
			fmt.Sprintf("2001:db8:%x:%x::%x", 0x40+i, t.rnd.IntN(1<<16), 1+t.rnd.IntN(1<<12)),
		},
	}
	domain := Domain
	if p.federated {
		domain = Federated
	}
	p.upn = account(name) + "@" + domain
	return p
}

// account makes the local part of an address of a name.
func account(name string) string {
	plain := strings.NewReplacer("é", "e", "ë", "e", "á", "a", "ř", "r", "ü", "ue", "ö", "oe", "ø", "o", "č", "c", " ", ".", "'", "").Replace(strings.ToLower(name))
	return strings.ReplaceAll(plain, "..", ".")
}

// now moves the clock on and returns it, with the seven digits that the logs keep.
func (t *Tenant) now() time.Time {
	t.clock = t.clock.Add(t.step/2 + time.Duration(t.rnd.Int64N(int64(t.step)+1)))
	return t.clock.Truncate(100 * time.Nanosecond)
}

func (t *Tenant) someone() *person { return &t.people[t.rnd.IntN(len(t.people))] }

func (t *Tenant) one(in int) bool { return t.rnd.IntN(in) == 0 }

func (t *Tenant) between(low, high time.Duration) time.Duration {
	return low + time.Duration(t.rnd.Int64N(int64(high-low)))
}

func pick[T any](t *Tenant, list []T) T { return list[t.rnd.IntN(len(list))] }

// guid returns a random GUID of version 4, which is what Entra ID makes.
func (t *Tenant) guid() string {
	var b [16]byte
	binary.LittleEndian.PutUint64(b[:8], t.rnd.Uint64())
	binary.LittleEndian.PutUint64(b[8:], t.rnd.Uint64())
	b[6] = b[6]&0x0f | 0x40
	b[8] = b[8]&0x3f | 0x80
	return text(b)
}

// request returns the id of a sign-in, whose last byte is small in all published samples.
func (t *Tenant) request() string {
	id := t.guid()
	return id[:34] + fmt.Sprintf("%02x", t.rnd.IntN(3))
}

func text(b [16]byte) string {
	h := hex.EncodeToString(b[:])
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
}

// tokenID spells a sign-in's id as its token's id: base64url of the GUID's bytes in little-endian order.
func tokenID(id string) string {
	b, err := hex.DecodeString(strings.ReplaceAll(id, "-", ""))
	if err != nil || len(b) != 16 {
		panic("made: not a GUID: " + id)
	}
	b[0], b[1], b[2], b[3] = b[3], b[2], b[1], b[0]
	b[4], b[5], b[6], b[7] = b[5], b[4], b[7], b[6]
	return base64.RawURLEncoding.EncodeToString(b)
}

// oldTokenID spells it as logs did until 2022: base64 of the GUID's text.
func oldTokenID(id string) string { return base64.StdEncoding.EncodeToString([]byte(id)) }

func base64Of(text string) string { return base64.StdEncoding.EncodeToString([]byte(text)) }

// opaque returns a random word, as message and server ids are.
func (t *Tenant) opaque(n int) string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
	b := make([]byte, n)
	for i := range b {
		b[i] = alphabet[t.rnd.IntN(len(alphabet))]
	}
	return string(b)
}

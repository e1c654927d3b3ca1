package reference_test

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"

	"github.com/assay-sec/assay/pkg/reference"
)

// The table must answer as a search of all networks for the longest one that holds the address.
func TestNetworksFindTheLongestPrefix(t *testing.T) {
	t.Parallel()
	rnd := rand.New(rand.NewPCG(1, 2))
	for range 50 {
		var list []reference.Network
		prefixes := map[netip.Prefix]int64{}
		for i := range 40 {
			// Few first bytes and all lengths, so that networks lie in and beside one another.
			a := netip.AddrFrom4([4]byte{byte(rnd.IntN(3)), byte(rnd.IntN(2) * 255), byte(rnd.IntN(256)), byte(rnd.IntN(256))})
			bits := rnd.IntN(33)
			if i%4 == 3 {
				a, bits = netip.AddrFrom16([16]byte{0x20, byte(rnd.IntN(3)), byte(rnd.IntN(256))}), rnd.IntN(129)
			}
			p, err := a.Prefix(bits)
			if err != nil {
				t.Fatal(err)
			}
			if _, twice := prefixes[p]; twice {
				continue
			}
			prefixes[p] = int64(i + 1)
			list = append(list, reference.Network{Prefix: p.String(), Number: int64(i + 1)})
		}
		d, err := reference.New(reference.Source{Networks: list})
		if err != nil {
			t.Fatal(err)
		}
		for range 500 {
			a := netip.AddrFrom4([4]byte{byte(rnd.IntN(4)), byte(rnd.IntN(2) * 255), byte(rnd.IntN(256)), byte(rnd.IntN(256))})
			if rnd.IntN(4) == 0 {
				a = netip.AddrFrom16([16]byte{0x20, byte(rnd.IntN(4)), byte(rnd.IntN(256)), 0, 1})
			}
			want, longest := int64(0), -1
			for p, n := range prefixes {
				if p.Contains(a) && p.Bits() > longest {
					want, longest = n, p.Bits()
				}
			}
			if got, known := d.ASN(a); !known || got != want {
				t.Fatalf("%s: AS%d, want AS%d of %v", a, got, want, prefixes)
			}
		}
	}
}

func TestNetworksAreNotKnownUntilGiven(t *testing.T) {
	t.Parallel()
	a := netip.MustParseAddr("192.0.2.1")
	d, err := reference.New()
	if err != nil {
		t.Fatal(err)
	}
	if _, known := d.ASN(a); known {
		t.Error("the built-in data knows networks")
	}
	if s, ok := d.AutonomousSystem(16276); !ok || s.Class != reference.HostingClass {
		t.Errorf("AS16276 is %+v", s)
	}
	if d, err = d.With(reference.Source{Networks: []reference.Network{}}); err != nil {
		t.Fatal(err)
	}
	if n, known := d.ASN(a); n != 0 || !known {
		t.Errorf("an empty table gives AS%d, %v", n, known)
	}
	_, err = reference.New(reference.Source{
		Networks:          []reference.Network{{Prefix: "192.0.2.1/24", Number: 1}, {Prefix: "192.0.2.0/24"}},
		AutonomousSystems: []reference.AutonomousSystem{{Number: 1 << 40, Class: "bad"}},
	})
	for _, want := range []string{"networks[0].prefix", "networks[1].asn", "autonomousSystems[0].class", "autonomousSystems[0].asn"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("no word of %s in %v", want, err)
		}
	}
}

func TestSAMLIssuerSigns(t *testing.T) {
	t.Parallel()
	const one, two = "a9993e364706816aba3e25717850c26c9cd0d89d", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
	foreign1, foreign2 := strings.Repeat("0", 40), strings.Repeat("0", 64)
	for _, c := range []struct {
		certs      []string
		sha1, sha2 string
		signs      bool
		known      bool
	}{
		{[]string{one}, one, "", true, true},
		{[]string{two}, "", two, true, true},
		{[]string{one}, foreign1, "", false, true},
		{[]string{one}, foreign1, foreign2, false, true},
		{[]string{two}, one, "", false, false}, // listed by the other digest: nobody can tell
		{[]string{one, two}, foreign1, "", false, false},
		{[]string{one, two}, foreign1, foreign2, false, true},
		{[]string{one, two}, "", two, true, true},
		{[]string{one}, "", "", false, false},
		{[]string{one}, "no digest", "", false, false},
	} {
		d, err := reference.New(reference.Source{Defaults: reference.TenantSource{
			IDP: []reference.IdentityProvider{{Issuer: "http://sts", Certs: c.certs}},
		}})
		if err != nil {
			t.Fatal(err)
		}
		i, ok, known := d.Tenant("any").SAMLIssuer("http://sts")
		if !ok || !known {
			t.Fatal("the issuer is not known")
		}
		if signs, known := i.Signs(c.sha1, c.sha2); signs != c.signs || known != c.known {
			t.Errorf("%s: signs %v, known %v", fmt.Sprint(c), signs, known)
		}
	}
}

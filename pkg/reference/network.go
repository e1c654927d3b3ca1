package reference

import (
	"net/netip"
	"slices"
)

// The classes of autonomous systems.
const (
	HostingClass = "hosting"
	VPNClass     = "vpn"
	TorClass     = "tor"
)

// AutonomousSystem returns what is known of the system with the number.
func (d *Data) AutonomousSystem(number int64) (s *AutonomousSystem, ok bool) {
	s, ok = d.systems[number]
	return s, ok
}

// ASN returns the number of the system that the address belongs to, or 0 for an address in none of the networks. known is
// false if no networks are given.
func (d *Data) ASN(a netip.Addr) (number int64, known bool) {
	if d.networks == nil {
		return 0, false
	}
	return d.networks.find(a), true
}

// networks is a table of networks that finds the longest prefix that holds an address. It is ranges that do not overlap,
// so that a look-up is one binary search however many networks there are.
type networks struct{ from []boundary }

// boundary says to which system the addresses from one on belong; 0: to none.
type boundary struct {
	addr   netip.Addr
	number int64
}

func (n *networks) find(a netip.Addr) int64 {
	i, exact := slices.BinarySearchFunc(n.from, a.Unmap(), func(b boundary, a netip.Addr) int { return b.addr.Compare(a) })
	if exact {
		return n.from[i].number
	}
	if i == 0 || n.from[i-1].addr.BitLen() != a.Unmap().BitLen() {
		return 0
	}
	return n.from[i-1].number
}

func (b *builder) systems(list []AutonomousSystem) map[int64]*AutonomousSystem {
	out := make(map[int64]*AutonomousSystem, len(list))
	for i := range list {
		field, s := at("autonomousSystems", i), list[i]
		if s.Class != HostingClass && s.Class != VPNClass && s.Class != TorClass {
			b.fail(field+".class", "%q is none of %s, %s, %s", s.Class, HostingClass, VPNClass, TorClass)
		}
		if b.asn(field+".asn", s.Number) {
			out[s.Number] = &s
		}
	}
	return out
}

func (b *builder) asn(field string, n int64) bool {
	if n < 1 || n > 1<<32-1 {
		b.fail(field, "%d is not the number of an autonomous system", n)
		return false
	}
	return true
}

func (b *builder) networks(list []Network) *networks {
	if list == nil {
		return nil
	}
	type network struct {
		netip.Prefix
		number int64
	}
	var all []network
	for i, n := range list {
		field := at("networks", i)
		p, err := netip.ParsePrefix(n.Prefix)
		if err != nil || p.Masked() != p || p.Addr().Is4In6() {
			b.fail(field+".prefix", "%q is not a network such as 192.0.2.0/24", n.Prefix)
			continue
		}
		if b.asn(field+".asn", n.Number) {
			all = append(all, network{p, n.Number})
		}
	}
	// Outer networks before the inner ones that begin at the same address.
	slices.SortFunc(all, func(x, y network) int {
		if c := x.Addr().Compare(y.Addr()); c != 0 {
			return c
		}
		return x.Bits() - y.Bits()
	})
	t := &networks{}
	mark := func(a netip.Addr, number int64) {
		if last := len(t.from) - 1; last >= 0 && t.from[last].addr == a {
			t.from[last].number = number // an inner network that begins or ends where the outer one does
			return
		}
		t.from = append(t.from, boundary{a, number})
	}
	var open []network // those that hold the address that the sweep has reached, outermost first
	leave := func() {
		n := open[len(open)-1]
		open = open[:len(open)-1]
		outer := int64(0)
		if len(open) > 0 {
			outer = open[len(open)-1].number
		}
		if next := last(n.Prefix).Next(); next.IsValid() {
			mark(next, outer)
		}
	}
	for _, n := range all {
		for len(open) > 0 && !open[len(open)-1].Contains(n.Addr()) {
			leave()
		}
		mark(n.Addr(), n.number)
		open = append(open, n)
	}
	for len(open) > 0 {
		leave()
	}
	return t
}

// last returns the last address of the network.
func last(p netip.Prefix) netip.Addr {
	a := p.Addr().AsSlice()
	for bit := p.Bits(); bit < len(a)*8; bit++ {
		a[bit/8] |= 0x80 >> (bit % 8)
	}
	end, _ := netip.AddrFromSlice(a)
	return end
}

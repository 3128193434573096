package pool

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"

	"github.com/easyflake/easyflake/layout"
)

// NodeFromPrivateIPv4 returns the low bits of a private IPv4 address, as many as
// the layout has for nodes: with 16 the last two bytes, as Sonyflake has it. The
// addresses are those of [PrivateIPv4], or given by hand; those that are not
// private (RFC 1918) do not count.
//
// Two hosts of one network differ in the bits that their network leaves to hosts.
// So these must fit: with 8 node bits the network must be a /24 or smaller. All
// processes that share a namespace of IDs must be in one such network, one on each
// host. An interface often knows less than its administrator: where several
// networks of /24 make up a /16 with different last two bytes, 16 node bits do;
// where every host says /32, as many pods do, the size is not known, and has to be
// given: netip.PrefixFrom(address, 16).
//
// An address that goes to another host while this process lives, or that two hosts
// have behind different routers, breaks A4 of the guarantee.
func NodeFromPrivateIPv4(addresses []netip.Prefix, l layout.Layout) (int64, error) {
	const source = "private IPv4 address"
	var private []netip.Prefix
	for _, p := range addresses {
		if a := p.Addr(); a.Is4() && a.IsPrivate() {
			private = append(private, p)
		}
	}
	switch {
	case len(private) == 0:
		among := ""
		if len(addresses) > 0 {
			among = " among " + list(addresses)
		}
		return 0, &NodeSourceError{source, "", "there is none (10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16)" + among + "; number the node by hand, or lease it from a pool"}
	case len(private) > 1:
		return 0, &NodeSourceError{source, "", fmt.Sprintf("there are %d, %s; name the interface whose address no other host has", len(private), list(private))}
	}
	p := private[0]
	fail := func(reason string) (int64, error) { return 0, &NodeSourceError{source, p.String(), reason} }
	host := 32 - p.Bits()
	switch {
	case !p.IsValid():
		return fail("its network's length is not valid; give one from /8 to /30")
	case host < 2:
		return fail(fmt.Sprintf("a /%d does not say how large the network is; give the address with its network's length", p.Bits()))
	case host > l.NodeBits():
		return fail(fmt.Sprintf("a /%d leaves %d bits to hosts and the layout has %d for nodes, so that two hosts could get one number; choose a layout with more node bits, or lease nodes from a pool", p.Bits(), host, l.NodeBits()))
	}
	b := p.Addr().As4()
	return int64(binary.BigEndian.Uint32(b[:])) & l.MaxNode(), nil
}

func list(addresses []netip.Prefix) string {
	var s []string
	for _, p := range addresses {
		s = append(s, p.String())
	}
	return strings.Join(s, ", ")
}

// PrivateIPv4 returns the private IPv4 addresses of this machine's interfaces that
// are up, each with the length of its network, without those that only this
// machine sees; of all interfaces, or of those that are named.
func PrivateIPv4(interfaces ...string) ([]netip.Prefix, error) {
	all, err := net.Interfaces()
	if err != nil {
		return nil, fmt.Errorf("pool: listing the network interfaces: %w", err)
	}
	for _, name := range interfaces {
		if !slices.ContainsFunc(all, func(i net.Interface) bool { return i.Name == name }) {
			var names []string
			for _, i := range all {
				names = append(names, i.Name)
			}
			return nil, &NodeSourceError{"private IPv4 address", "", fmt.Sprintf("there is no interface %q; there are %s", name, strings.Join(names, ", "))}
		}
	}
	var found []netip.Prefix
	for _, i := range all {
		if i.Flags&net.FlagUp == 0 || i.Flags&net.FlagLoopback != 0 || len(interfaces) > 0 && !slices.Contains(interfaces, i.Name) {
			continue
		}
		addresses, err := i.Addrs()
		if err != nil {
			return nil, fmt.Errorf("pool: listing the addresses of interface %s: %w", i.Name, err)
		}
		for _, a := range addresses {
			if p, err := netip.ParsePrefix(a.String()); err == nil && p.Addr().Is4() && p.Addr().IsPrivate() {
				found = append(found, p)
			}
		}
	}
	return found, nil
}

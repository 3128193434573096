package fuzz

import (
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/easyflake/easyflake/pool"
	"github.com/easyflake/easyflake/pool/grpcpool/poolv1"
)

// A script is a list of calls of callSize bytes each: what, by whom and where, with
// which token, and two numbers.
const (
	callSize = 5
	mostSize = 40 * callSize
)

// What a script can do.
const (
	doAcquire = iota
	doRenew
	doRelease
	doRevoke
	doRetire
	doPass
	doList
	doRenewAgain
	doAcceptClock
	doAcquireLegacy
	numDoings
)

// FuzzNodePoolCalls carries out scripts of calls that are well-formed, and often
// right, at one server: leases are acquired, renewed, given back, revoked and retired
// by several clients while time passes. It looks for two of them that may stamp one
// tick of a node, and for a lease that behaves otherwise than was granted.
func FuzzNodePoolCalls(f *testing.F) {
	call := func(do, caller, space, token, a, b byte) []byte {
		return []byte{do, caller + space*numCallers, token, a, b}
	}
	join := func(calls ...[]byte) []byte {
		var script []byte
		for _, c := range calls {
			script = append(script, c...)
		}
		return script
	}
	acquire := call(doAcquire, admin, 1, 1, 0, 0)
	for _, exclusive := range []bool{true, false} {
		f.Add(exclusive, join(acquire, call(doRenew, admin, 1, 1, 0, 0), call(doRelease, admin, 1, 1, 5, 0), call(doAcquire, admin, 1, 2, 0, 0)))
		f.Add(exclusive, join(acquire, call(doRenew, admin, 1, 1, 0, 0), call(doRenewAgain, admin, 1, 1, 0, 0), call(doRenewAgain, admin, 1, 1, 1, 0)))
		f.Add(exclusive, join(acquire, call(doAcquire, admin, 1, 2, 0, 0), call(doPass, 0, 0, 0, 11, 0), call(doAcquire, admin, 1, 2, 0, 0), call(doRenew, admin, 1, 1, 0, 0)))
		f.Add(exclusive, join(acquire, call(doRevoke, admin, 1, 0, 7, 0), call(doRenew, admin, 1, 1, 0, 0), call(doPass, 0, 0, 0, 200, 0), call(doAcquire, admin, 1, 3, 0, 0), call(doRetire, admin, 1, 0, 7, 0), call(doList, admin, 1, 0, 0, 0)))
		f.Add(exclusive, join(acquire, call(doRelease, admin, 1, 1, 255, 255), call(doAcquire, admin, 1, 2, 0, 0), call(doRelease, admin, 1, 2, 0, 0), call(doRelease, admin, 1, 2, 0, 0), call(doAcquire, admin, 1, 1, 0, 0)))
		f.Add(exclusive, join(call(doAcquireLegacy, 0, 0, 9, 0, 0), call(doAcquire, worker, 0, 1, 0, 0), call(doAcquire, worker, 0, 2, 0, 0), call(doAcquire, worker, 0, 3, 0, 0), call(doAcquire, worker, 0, 4, 0, 0), call(doAcceptClock, admin, 0, 0, 0, 0)))
		// A store that has forgotten: a window is shown that it does not know.
		f.Add(exclusive, join(acquire, call(doRenew, admin, 1, 1, 0, 200), call(doAcquire, admin, 1, 2, 0, 0), call(doPass, 0, 0, 0, 250, 0), call(doAcquire, admin, 1, 2, 0, 0)))
	}
	f.Fuzz(func(t *testing.T, exclusive bool, script []byte) {
		if len(script) > mostSize {
			return
		}
		p := &play{site: newSite(t, exclusive), leases: make(map[party]pool.Grant), nonces: make(map[party]uint8)}
		for ; len(script) >= callSize; script = script[callSize:] {
			p.step(script[:callSize])
		}
		mine := p.leases[party{theSpaces()[0], tokenOf(1)}]
		if mine.Token.IsZero() {
			mine = pool.Grant{Namespace: theSpaces()[0], Token: tokenOf(1)}
		}
		p.works(mine)
	})
}

// party is a client of a namespace.
type party struct {
	space string
	token pool.Token
}

// play is a script that is carried out.
type play struct {
	*site

	leases map[party]pool.Grant // what each client was granted last
	nonces map[party]uint8      // how often each has renewed
	renews map[party]*poolv1.RenewRequest
}

func (p *play) step(c []byte) {
	p.Helper()
	caller, space := c[1]%numCallers, theSpaces()[int(c[1]/numCallers)%len(theSpaces())]
	who := party{space, tokenOf(c[2] % 16)}
	lease := p.leases[who]
	all := methods()
	send := func(i int, request, reply proto.Message) bool {
		err := p.ask(caller, all[i].name, request, reply)
		if err != nil {
			p.refusedCall(all[i], err)
		}
		return err == nil
	}
	node := int64(c[3])
	switch c[0] % numDoings {
	case doAcquire:
		var g poolv1.Grant
		if send(0, &poolv1.AcquireRequest{Namespace: space, Layout: p.spaces[space].String(), Token: who.token[:]}, &g) {
			p.leases[who] = p.granted(space, who.token, &g)
		}
	case doRenew:
		// Mostly what was granted; b makes it another's, or more than was granted.
		p.nonces[who]++
		nonce := tokenOf(200 + p.nonces[who]%50)
		r := &poolv1.RenewRequest{
			Namespace: space, Node: lease.Node, Token: who.token[:], Nonce: nonce[:],
			Revision: lease.Revision + uint64(c[3]%4), Until: lease.Until + int64(c[4])*1000,
		}
		p.renew(who, r, send)
	case doRenewAgain:
		if r := p.renews[who]; r != nil {
			p.renew(who, r, send)
		}
	case doRelease:
		last := lease.From - 1 + int64(c[3])*int64(1+c[4])
		r := &poolv1.ReleaseRequest{Namespace: space, Node: lease.Node, Token: who.token[:], Last: last}
		if send(2, r, &poolv1.ReleaseReply{}) {
			if last < lease.From-1 || last >= lease.Until {
				p.Fatalf("%+v is given back at %d", lease, last)
			}
			p.held.sealed(pool.Release{Namespace: space, Node: lease.Node, Token: who.token, Last: last})
			delete(p.leases, who)
		}
	case doRevoke:
		send(4, &poolv1.RevokeRequest{Namespace: space, Node: node}, &poolv1.RevokeReply{})
	case doRetire:
		send(5, &poolv1.RetireRequest{Namespace: space, Node: node}, &poolv1.RetireReply{})
	case doPass:
		p.pass(time.Duration(c[3])*time.Second + time.Duration(c[4])*time.Millisecond)
	case doList:
		send(3, &poolv1.ListRequest{Namespace: space}, &poolv1.ListReply{})
	case doAcceptClock:
		send(8, &poolv1.AcceptClockRequest{Namespace: space}, &poolv1.AcceptClockReply{})
	case doAcquireLegacy:
		if g, err := p.local.AcquireLegacy(p.Context(), space, who.token); err == nil {
			if g.Node < 8 || g.Node > 9 {
				p.Fatalf("%+v is not a node for streams", g)
			}
			p.held.granted(p, g)
			p.leases[who] = g
		}
	}
}

func (p *play) renew(who party, r *poolv1.RenewRequest, send func(i int, request, reply proto.Message) bool) {
	p.Helper()
	if p.renews == nil {
		p.renews = make(map[party]*poolv1.RenewRequest)
	}
	p.renews[who] = r
	var g poolv1.Grant
	if !send(1, r, &g) {
		return
	}
	lease := p.leases[who]
	grant := p.granted(who.space, who.token, &g)
	if grant.Node != lease.Node || grant.From != lease.From || grant.Until < lease.Until {
		p.Fatalf("%+v is renewed to %+v", lease, grant)
	}
	p.leases[who] = grant
}

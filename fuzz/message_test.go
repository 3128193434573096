package fuzz

import (
	"context"
	"math"
	"slices"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/easyflake/easyflake/layout"
	"github.com/easyflake/easyflake/pool"
	"github.com/easyflake/easyflake/pool/grpcpool/poolv1"
	"github.com/easyflake/easyflake/pool/grpcpool/sequencepb"
)

// longestMessage stays below what a server takes, which is another refusal.
const longestMessage = 60 << 10

// FuzzNodePoolMessage sends arbitrary bytes as the message of any method, by any
// caller, to a server at which somebody has a lease. It looks for a panic, for a
// refusal that is not one of those documented, for a caller who may do more than the
// policy says, and for anything that the message has broken: afterwards all lists
// can be read, and nobody is granted what somebody else may have stamped.
func FuzzNodePoolMessage(f *testing.F) {
	space, l := theSpaces()[0], layout.Default().String()
	token, nonce := tokenOf(1), tokenOf(2)
	seeds := []proto.Message{
		&poolv1.AcquireRequest{Namespace: space, Layout: l, Token: token[:]},
		&poolv1.AcquireRequest{Namespace: theSpaces()[1], Layout: l, Token: nonce[:]},
		&poolv1.AcquireRequest{Namespace: space, Layout: "twitter", Token: nonce[:]},
		&poolv1.AcquireRequest{Namespace: "defaults", Layout: l, Token: nonce[:]},
		&poolv1.AcquireRequest{Namespace: space, Layout: "node=", Token: nonce[:3]},
		&poolv1.AcquireRequest{Namespace: space, Layout: l, Token: make([]byte, 16)},
		&poolv1.RenewRequest{Namespace: space, Token: token[:], Nonce: nonce[:], Node: 1, Until: 7},
		&poolv1.RenewRequest{Namespace: space, Token: token[:], Nonce: nonce[:], Node: math.MinInt64, Until: math.MaxInt64, Revision: math.MaxUint64},
		&poolv1.RenewRequest{Namespace: space, Token: token[:], Nonce: nonce[:], Node: 1, Until: 1 << 47},
		&poolv1.RenewRequest{Namespace: space},
		&poolv1.ReleaseRequest{Namespace: space, Token: token[:], Node: 1, Last: math.MaxInt64},
		&poolv1.ReleaseRequest{Namespace: space, Token: token[:1], Node: 1, Last: math.MinInt64},
		&poolv1.ListRequest{Namespace: space}, &poolv1.ListRequest{Namespace: "."}, &poolv1.ListRequest{},
		&poolv1.RevokeRequest{Namespace: space, Node: 1}, &poolv1.RevokeRequest{Namespace: space, Node: 6}, &poolv1.RevokeRequest{Namespace: space, Node: -1},
		&poolv1.RetireRequest{Namespace: space, Node: 1}, &poolv1.RetireRequest{Namespace: space, Node: 8}, &poolv1.RetireRequest{Namespace: space, Node: math.MaxInt64},
		&poolv1.NamespacesRequest{}, &poolv1.AcceptClockRequest{Namespace: space}, &poolv1.CreateNamespaceRequest{},
		&poolv1.CreateNamespaceRequest{Namespace: &poolv1.Namespace{Name: "new", Layout: l, Floor: math.MaxInt64, Ranges: []*poolv1.Range{
			{First: 0, Last: 100, Floor: 1}, {First: 101, Last: 255, Use: poolv1.Range_LEGACY},
		}, Terms: &poolv1.Terms{Skew: 1e9, FirstWindow: 10e9, Window: 60e9, Horizon: 120e9}}},
		&poolv1.CreateNamespaceRequest{Namespace: &poolv1.Namespace{Name: "huge", Layout: "unit=1h,node=45,sequence=0", Ranges: []*poolv1.Range{
			{First: 0, Last: 1<<45 - 1, Use: 0},
		}, Terms: &poolv1.Terms{FirstWindow: 3 * 3600e9, Window: 3 * 3600e9, Horizon: 3 * 3600e9}}},
		&poolv1.CreateNamespaceRequest{Namespace: &poolv1.Namespace{Name: "later", Layout: "node=20,sequence=0", Ranges: []*poolv1.Range{
			{First: 0, Last: 1<<20 - 1, Floor: 1 << 40},
		}, Terms: &poolv1.Terms{Skew: 1e9, FirstWindow: 10e9, Window: 60e9, Horizon: 120e9}}},
		&poolv1.CreateNamespaceRequest{Namespace: &poolv1.Namespace{Name: ".", Layout: l}},
		&poolv1.CreateNamespaceRequest{Namespace: &poolv1.Namespace{Name: "a b", Layout: l, Ranges: []*poolv1.Range{{Use: 300}, {Use: -1}}}},
	}
	for _, m := range seeds {
		data, err := proto.Marshal(m)
		if err != nil {
			f.Fatal(err)
		}
		for i, to := range methods() {
			if proto.MessageName(to.request()) == proto.MessageName(m) {
				for caller := range uint8(numCallers) {
					f.Add(caller%2 == 0, uint8(i), caller, data)
				}
			}
		}
	}
	f.Add(true, uint8(0), uint8(admin), []byte("\x0a\x02\xff\xff"))
	f.Add(true, uint8(1), uint8(admin), []byte("\x0a"))
	f.Fuzz(func(t *testing.T, exclusive bool, which, caller uint8, message []byte) {
		if len(message) > longestMessage {
			return
		}
		s := newSite(t, exclusive)
		mine := s.lease(worker, theSpaces()[0], tokenOf(1))
		s.lease(admin, theSpaces()[1], tokenOf(2))

		all := methods()
		m := all[int(which)%len(all)]
		request := m.request()
		wrong := proto.Unmarshal(message, request)
		replies, err := s.call(caller, m.name, message)
		switch {
		case err == nil && wrong != nil:
			s.Fatalf("%s: what is no message (%v) was served", m.name, wrong)
		case err == nil && !slices.Contains(m.callers, caller%numCallers):
			s.Fatalf("%s: caller %d was served", m.name, caller%numCallers)
		case err == nil:
			s.served(request, replies)
		case wrong != nil && status.Code(err) == codes.Internal: // gRPC's own
		default:
			s.refusedCall(m, err)
		}
		s.works(mine)
	})
}

// lease leases a node, as a caller.
func (s *site) lease(caller uint8, space string, token pool.Token) pool.Grant {
	s.Helper()
	var g poolv1.Grant
	r := &poolv1.AcquireRequest{Namespace: space, Layout: s.spaces[space].String(), Token: token[:]}
	if err := s.ask(caller, poolv1.NodePool_Acquire_FullMethodName, r, &g); err != nil {
		s.Fatal(err)
	}
	return s.granted(space, token, &g)
}

// granted notes a grant.
func (s *site) granted(space string, token pool.Token, g *poolv1.Grant) pool.Grant {
	s.Helper()
	grant := pool.Grant{Namespace: space, Node: g.GetNode(), Token: token, From: g.GetFrom(), Until: g.GetUntil(), Revision: g.GetRevision(), Now: g.GetNow()}
	if grant.From < 0 || grant.From >= grant.Until {
		s.Fatalf("%+v has no ticks", grant)
	}
	s.held.granted(s, grant)
	return grant
}

// served takes note of what a request has done.
func (s *site) served(request proto.Message, replies [][]byte) {
	s.Helper()
	one := func() *poolv1.Grant {
		var g poolv1.Grant
		if len(replies) != 1 {
			s.Fatalf("%d replies", len(replies))
		}
		s.read(replies, &g)
		return &g
	}
	switch r := request.(type) {
	case *poolv1.AcquireRequest:
		s.granted(r.GetNamespace(), pool.Token(r.GetToken()), one())
	case *poolv1.RenewRequest:
		if g := s.granted(r.GetNamespace(), pool.Token(r.GetToken()), one()); g.Node != r.GetNode() {
			s.Fatalf("node %d was renewed, and it is %d", r.GetNode(), g.Node)
		}
	case *poolv1.ReleaseRequest:
		s.held.sealed(pool.Release{Namespace: r.GetNamespace(), Node: r.GetNode(), Token: pool.Token(r.GetToken()), Last: r.GetLast()})
	}
}

// works makes sure that a server still does all that it is for, and for an input that
// did nothing to a lease, that it is as it was.
func (s *site) works(mine pool.Grant) {
	s.Helper()
	var known poolv1.NamespacesReply
	if err := s.ask(admin, poolv1.NodePool_Namespaces_FullMethodName, &poolv1.NamespacesRequest{}, &known); err != nil {
		s.Fatal(err)
	}
	if len(known.GetNamespaces()) < len(s.spaces) {
		s.Fatalf("%d namespaces of %d", len(known.GetNamespaces()), len(s.spaces))
	}
	for _, ns := range known.GetNamespaces() {
		if _, ok := s.spaces[ns.GetName()]; !ok {
			l, err := layout.Parse(ns.GetLayout())
			if err != nil {
				s.Fatalf("namespace %q has the layout %q: %v", ns.GetName(), ns.GetLayout(), err)
			}
			s.spaces[ns.GetName()] = l
		}
	}
	r := &poolv1.RenewRequest{Namespace: mine.Namespace, Node: mine.Node, Token: mine.Token[:], Revision: mine.Revision, Until: mine.Until, Nonce: mine.Token[:]}
	var g poolv1.Grant
	if err := s.ask(worker, poolv1.NodePool_Renew_FullMethodName, r, &g); err == nil {
		s.granted(mine.Namespace, mine.Token, &g)
	} else {
		s.refusedCall(methods()[1], err)
	}
	for i, ns := range known.GetNamespaces() {
		space := ns.GetName()
		for round := range uint8(2) {
			token := tokenOf(100 + 10*round + uint8(i))
			if g, err := s.local.Acquire(s.Context(), space, s.spaces[space], token); err == nil {
				s.held.granted(s, g)
			}
		}
		var list poolv1.ListReply
		if err := s.ask(admin, poolv1.NodePool_List_FullMethodName, &poolv1.ListRequest{Namespace: space}, &list); err != nil {
			s.Fatalf("the list of %q: %v", space, err)
		}
		last := int64(-1)
		for _, n := range list.GetNodes() {
			if n.GetUnusable() != "" || n.GetNode() <= last || len(n.GetHolder()) > len("01234567…") {
				s.Fatalf("in the list of %q: %v", space, n)
			}
			last = n.GetNode()
		}
	}
	s.pass(3 * time.Minute) // past all windows
	for i, ns := range known.GetNamespaces() {
		if g, err := s.local.Acquire(s.Context(), ns.GetName(), s.spaces[ns.GetName()], tokenOf(140+uint8(i))); err == nil {
			s.held.granted(s, g)
		}
	}
}

// FuzzLegacyMessage sends arbitrary bytes as the message by which EasyFlake for
// Python asks for a number. It looks for a panic, a code that Python's client does
// not know what to do with, a number that is not for it, and one lent twice.
func FuzzLegacyMessage(f *testing.F) {
	for _, bits := range []int32{8, 0, -8, 10, math.MaxInt32, math.MinInt32} {
		data, err := proto.Marshal(&sequencepb.SequenceRequest{Bits: bits})
		if err != nil {
			f.Fatal(err)
		}
		for caller := range uint8(numCallers) {
			f.Add(true, false, caller, data)
			f.Add(false, true, caller, data)
		}
	}
	f.Add(true, false, uint8(stranger), []byte("\x08"))
	f.Add(true, false, uint8(stranger), []byte("\x08\x08\x12\x03abc\x08\x88\x00"))
	f.Fuzz(func(t *testing.T, exclusive, taken bool, caller uint8, message []byte) {
		if len(message) > longestMessage {
			return
		}
		s := newSite(t, exclusive)
		if taken {
			for i := range uint8(2) {
				if _, err := s.local.AcquireLegacy(t.Context(), theSpaces()[0], tokenOf(50+i)); err != nil {
					t.Fatal(err)
				}
			}
		}
		var r sequencepb.SequenceRequest
		wrong := proto.Unmarshal(message, &r)
		number, end, err := s.stream(caller, message)
		defer end()
		code := status.Code(err)
		var want codes.Code
		switch {
		case caller%numCallers != stranger:
			want = codes.PermissionDenied
		case wrong != nil:
			want = codes.Internal // gRPC's own
		case int(r.GetBits()) != layout.Default().NodeBits():
			want = codes.InvalidArgument
		case taken:
			want = codes.OutOfRange
		}
		if code != want {
			t.Fatalf("number %d, %v, and not %v", number, err, want)
		}
		if err != nil {
			return
		}
		if number < 8 || number > 9 {
			t.Fatalf("number %d is lent, which is not for streams", number)
		}
		good, wrong := proto.Marshal(&sequencepb.SequenceRequest{Bits: 8})
		if wrong != nil {
			t.Fatal(wrong)
		}
		other, end, err := s.stream(stranger, good)
		defer end()
		if err != nil || other == number || other < 8 || other > 9 {
			t.Fatalf("beside %d, %d is lent (%v)", number, other, err)
		}
	})
}

// stream opens a legacy stream, and returns its number, and what ends it. Whoever
// has to wait for a number finds the time come.
func (s *site) stream(caller uint8, message []byte) (number int64, end func(), err error) {
	s.Helper()
	ctx, cancel := context.WithCancel(s.as(caller))
	waited := make(chan struct{})
	asked, done := context.WithCancel(ctx)
	before := s.numbers.Sleepers()
	go func() {
		defer close(waited)
		if s.numbers.BlockUntil(asked, before+1) == nil {
			s.numbers.Advance(2 * time.Second)
		}
	}()
	defer func() {
		done()
		<-waited
	}()
	stream, err := s.open(ctx, sequencepb.Sequence_LiveStream_FullMethodName, message)
	if err != nil {
		return 0, cancel, err
	}
	var data []byte
	if err := stream.RecvMsg(&data); err != nil {
		return 0, cancel, err
	}
	var reply sequencepb.SequenceReply
	s.read([][]byte{data}, &reply)
	return reply.GetSequence(), cancel, nil
}

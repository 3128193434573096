package pool

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/easyflake/easyflake/layout"
)

// Records are stored as JSON, so that an operator can read them with the engine's
// own tools. Only what reads exactly as it would be written is accepted. Unknown
// fields and versions are refused, since a newer program may have given them a
// meaning that must not be ignored; and so are records with a field missing, which
// would be taken for 0, or given twice: an until that is too low is granted again.

const recordVersion = 1

type namespaceJSON struct {
	Version     int           `json:"v"`
	Layout      layout.Layout `json:"layout"`
	Ranges      []rangeJSON   `json:"ranges"`
	Skew        time.Duration `json:"skew_ns"`
	FirstWindow time.Duration `json:"first_window_ns"`
	Window      time.Duration `json:"window_ns"`
	Horizon     time.Duration `json:"horizon_ns"`
	Floor       int64         `json:"floor"`
}

type rangeJSON struct {
	First int64  `json:"first"`
	Last  int64  `json:"last"`
	Use   string `json:"use"`
	Floor int64  `json:"floor,omitempty"`
}

type nodeJSON struct {
	Version  int           `json:"v"`
	Token    *Token        `json:"token,omitempty"`
	From     int64         `json:"from"`
	Until    int64         `json:"until"`
	Before   int64         `json:"before"`
	Highest  int64         `json:"highest"`
	Window   time.Duration `json:"window_ns"`
	Revision uint64        `json:"revision"`
	Nonce    *Token        `json:"nonce,omitempty"`
	Revoked  bool          `json:"revoked,omitempty"`
	Retired  bool          `json:"retired,omitempty"`
}

func encodeNamespace(n *Namespace) ([]byte, error) {
	r := namespaceJSON{
		Version:     recordVersion,
		Layout:      n.Layout,
		Skew:        n.Terms.Skew,
		FirstWindow: n.Terms.FirstWindow,
		Window:      n.Terms.Window,
		Horizon:     n.Terms.Horizon,
		Floor:       n.Floor,
	}
	for _, x := range n.Ranges {
		r.Ranges = append(r.Ranges, rangeJSON{x.First, x.Last, x.Use.String(), x.Floor})
	}
	return json.Marshal(r) //nolint:wrapcheck // cannot fail on a valid namespace
}

func decodeNamespace(name string, data []byte) (*Namespace, error) {
	what := fmt.Sprintf("namespace %q", name)
	var r namespaceJSON
	if err := decodeStrict(data, &r); err != nil {
		return nil, &RecordError{what, err.Error()}
	}
	n := &Namespace{
		Name:   name,
		Layout: r.Layout,
		Terms:  Terms{Skew: r.Skew, FirstWindow: r.FirstWindow, Window: r.Window, Horizon: r.Horizon},
		Floor:  r.Floor,
	}
	for _, x := range r.Ranges {
		use, err := parseUse(x.Use)
		if err != nil {
			return nil, &RecordError{what, err.Error()}
		}
		n.Ranges = append(n.Ranges, Range{First: x.First, Last: x.Last, Use: use, Floor: x.Floor})
	}
	if err := n.Validate(); err != nil {
		return nil, &RecordError{what, err.Error()}
	}
	if n.Floor < 0 || slices.ContainsFunc(n.Ranges, func(r Range) bool { return r.Floor < 0 }) {
		return nil, &RecordError{what, "a negative floor"}
	}
	if again, err := encodeNamespace(n); err != nil || !bytes.Equal(again, data) {
		return nil, &RecordError{what, errNotAsWritten.Error()}
	}
	return n, nil
}

func parseUse(s string) (Use, error) {
	for u := Leased; u <= Legacy; u++ {
		if u.String() == s {
			return u, nil
		}
	}
	return 0, fmt.Errorf("unknown use %q of a node range", s)
}

func encodeNode(n *Node) ([]byte, error) {
	r := nodeJSON{
		Version:  recordVersion,
		From:     n.From,
		Until:    n.Until,
		Before:   n.Before,
		Highest:  n.Highest,
		Window:   n.Window,
		Revision: n.Revision,
		Revoked:  n.Revoked,
		Retired:  n.Retired,
	}
	if !n.Token.IsZero() {
		r.Token = &n.Token
	}
	if !n.Nonce.IsZero() {
		r.Nonce = &n.Nonce
	}
	return json.Marshal(r) //nolint:wrapcheck // cannot fail
}

func decodeNode(ns *Namespace, number int64, data []byte) (Node, error) {
	what := fmt.Sprintf("node %d of namespace %q", number, ns.Name)
	var r nodeJSON
	if err := decodeStrict(data, &r); err != nil {
		return Node{}, &RecordError{what, err.Error()}
	}
	n := Node{
		Number:   number,
		From:     r.From,
		Until:    r.Until,
		Before:   r.Before,
		Highest:  r.Highest,
		Window:   r.Window,
		Revision: r.Revision,
		Revoked:  r.Revoked,
		Retired:  r.Retired,
	}
	if r.Token != nil {
		n.Token = *r.Token
	}
	if r.Nonce != nil {
		n.Nonce = *r.Nonce
	}
	end := ns.Layout.MaxTick() + 1
	switch {
	case n.Until < 0 || n.From < 0 || n.Before < 0 || n.Window < 0:
		return Node{}, &RecordError{what, "a negative tick or window"}
	case n.Until > n.Highest || n.Before > n.Highest || n.Highest > end:
		return Node{}, &RecordError{what, fmt.Sprintf("ticks out of order: until %d and before %d must be at most highest %d, and that at most %d", n.Until, n.Before, n.Highest, end)}
	case !n.Token.IsZero() && n.From >= n.Until:
		return Node{}, &RecordError{what, fmt.Sprintf("a lease without ticks, [%d, %d)", n.From, n.Until)}
	}
	if again, err := encodeNode(&n); err != nil || !bytes.Equal(again, data) {
		return Node{}, &RecordError{what, errNotAsWritten.Error()}
	}
	return n, nil
}

var errNotAsWritten = errors.New("not a record as this program writes it: damaged, or edited by hand")

// decodeStrict reads exactly one JSON value, with known fields only.
func decodeStrict(data []byte, into any) error {
	var version struct {
		Number int `json:"v"`
	}
	if json.Unmarshal(data, &version) == nil && version.Number > recordVersion {
		return fmt.Errorf("its version is %d, this program knows %d; use a newer one", version.Number, recordVersion)
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return fmt.Errorf("not a record of ours: %w", err)
	}
	return nil
}

package sim

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/easyflake/easyflake/pool"
)

// The records are read here by other code than the pool's, and no field is passed
// over: one that had another name, or none, would be taken for 0, and every check of
// it would pass.

// nodeRecord is what the store has of a node.
type nodeRecord struct {
	Version  int        `json:"v"`
	Token    pool.Token `json:"token"`
	From     int64      `json:"from"`
	Until    int64      `json:"until"`
	Before   int64      `json:"before"`
	Highest  int64      `json:"highest"`
	Window   int64      `json:"window_ns"`
	Revision uint64     `json:"revision"`
	Nonce    pool.Token `json:"nonce"`
	Revoked  bool       `json:"revoked"`
	Retired  bool       `json:"retired"`
}

// namespaceRecord is what the store has of the namespace.
type namespaceRecord struct {
	Version     int             `json:"v"`
	Layout      json.RawMessage `json:"layout"`
	Ranges      json.RawMessage `json:"ranges"`
	Skew        int64           `json:"skew_ns"`
	FirstWindow int64           `json:"first_window_ns"`
	Window      int64           `json:"window_ns"`
	Horizon     int64           `json:"horizon_ns"`
	Floor       *int64          `json:"floor"`
}

func readNode(value []byte) (r nodeRecord, err error) {
	err = readRecord(value, &r, &r.Version)
	if err == nil && !r.Token.IsZero() && (r.From >= r.Until || r.Until > r.Highest) {
		err = fmt.Errorf("a lease of [%d, %d), with %d as the highest tick", r.From, r.Until, r.Highest)
	}
	return r, err
}

func readNamespace(value []byte) (r namespaceRecord, err error) {
	if err = readRecord(value, &r, &r.Version); err == nil && r.Floor == nil {
		err = errors.New("it has no floor")
	}
	return r, err
}

func readRecord(value []byte, into any, version *int) error {
	d := json.NewDecoder(bytes.NewReader(value))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return err //nolint:wrapcheck // the caller says what it is about
	}
	if *version != 1 {
		return fmt.Errorf("its version is %d", *version)
	}
	return nil
}

package generator

import "github.com/easyflake/easyflake/layout"

// Generator makes IDs. All generators of this package are safe for concurrent
// use; what each promises about order stands at its type.
type Generator interface {
	// Next returns a new ID, or an error and no ID.
	Next() (layout.ID, error)
}

var (
	_ Generator = (*Mutex)(nil)
	_ Generator = (*Atomic)(nil)
	_ Generator = (*Sharded)(nil)
)

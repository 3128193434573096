package layout

import (
	"database/sql/driver"
	"errors"
	"fmt"
	"math"
)

// Value returns the ID as an int64, for a BIGINT column.
func (id ID) Value() (driver.Value, error) {
	if id < 0 {
		return nil, errNegative(id)
	}
	return int64(id), nil
}

// Scan reads an ID from a database: an integer, or text in decimal. Bytes are
// text too, as most drivers deliver numbers and strings; they are never the
// binary form. NULL is an error: scan columns that can be NULL into a
// sql.Null[layout.ID].
func (id *ID) Scan(src any) error {
	switch v := src.(type) {
	case int64:
		if v < 0 {
			return errNegative(ID(v))
		}
		*id = ID(v)
		return nil
	case uint64: // MySQL's driver delivers BIGINT UNSIGNED so
		if v > math.MaxInt64 {
			return &FieldError{"id", v, "must be at most 9223372036854775807 (63 bits)"}
		}
		*id = ID(v)
		return nil
	case string:
		return id.set(parse(Decimal, v))
	case []byte:
		if v == nil {
			return errNull
		}
		return id.UnmarshalText(v)
	case nil:
		return errNull
	}
	return fmt.Errorf("layout: cannot scan a %T into an ID: it must be an integer or decimal text", src)
}

var errNull = errors.New("layout: cannot scan NULL into an ID: use sql.Null[layout.ID]")

// Package layout gives meaning to 64-bit, time-sortable IDs: which bits are the
// time, which the node, which the sequence.
//
// A [Layout] is that meaning: an epoch, a unit of time, three widths and the
// order of the fields (the bit picture is at the type). It is a small comparable
// value without a pointer in it, made by [New] from a [Config], by [Default], by
// [EasyFlake] from the arguments of the Python package, by [ByName] from the
// name of a known system, or by [Parse] from its canonical text:
//
//	epoch=2023-02-08T12:24:00Z,unit=1ms,time=47,node=8,sequence=8
//
// An [ID] is a plain int64 that knows how to be written and read, not what it
// says: decoding is the layout's, [Layout.Decompose]. An [Encoding] writes IDs
// shorter than in decimal, fixed in width and sorting like the numbers. A
// [Window] says which ticks a node may stamp.
//
// # Units
//
// A tick is one unit of time, counted from the epoch; tick 0 begins at the
// epoch. A tick lasts from its start up to, but not including, the start of the
// next one, and the time of an ID is the start of its tick. Times are computed
// in seconds and nanoseconds, so that they stay exact past 2262, where int64
// nanoseconds end, and past the year 9999, where RFC 3339 does.
//
// # Clocks
//
// Nothing in this package reads a clock. [Layout.Check] judges how much life is
// left at the time it is given; decoding never asks.
//
// # Errors
//
// What is out of range gets a [*FieldError], text that is no ID a [*ParseError],
// a name that is no preset an [*UnknownPresetError]. Times and ticks that a
// layout cannot express get [ErrBeforeEpoch] or [ErrPastEnd]. A life that is over
// or nearly so gets a [*LifeError], two layouts that get in each other's way an
// [*OverlapError].
package layout

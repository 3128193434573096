package layout

import (
	"fmt"
	"math"
	"strconv"
	"time"
)

// maxTimeScale is EasyFlake's finest time scale: ticks of 10^-6 s.
const maxTimeScale = 6

// EasyFlake returns the layout that EasyFlake for Python has with the same
// arguments, so that both decode each other's IDs:
//
//	Go             Python          Python's default
//	nodeIDBits     node_id_bits    8
//	sequenceBits   sequence_bits   8
//	epoch          epoch           1675859040, in Unix seconds
//	timeScale      time_scale      3: a tick is 10^-timeScale seconds, 0 to 6
//
// The time takes the bits that are left of 63.
//
// As in Python, the epoch is multiplied by 10^timeScale in float64, and what is
// less than a tick is cut off. A float64 holds today's Unix seconds to about
// 2·10^-7 s. So an epoch such as 1675859040.123 gives that very millisecond at
// scale 3, but at scales 5 and 6 decimal digits can come out one tick early,
// here exactly when they do in Python.
//
// Arguments that EasyFlake refuses, and epochs that [New] does, get a
// [*FieldError]: for the field "node bits", "sequence bits", "epoch" or "time
// scale".
func EasyFlake(nodeIDBits, sequenceBits int, epoch float64, timeScale int) (Layout, error) {
	if timeScale < 0 || timeScale > maxTimeScale {
		return Layout{}, &FieldError{"time scale", timeScale, fmt.Sprintf("must be between 0 and %d", maxTimeScale)}
	}
	if nodeIDBits < 1 {
		return Layout{}, &FieldError{"node bits", nodeIDBits, "must be at least 1"}
	}
	if sequenceBits < 1 {
		return Layout{}, &FieldError{"sequence bits", sequenceBits, "must be at least 1"}
	}
	const maxEpoch = 9214646400 // 2262-01-01, past which New takes no epoch
	if !(epoch >= 0 && epoch < maxEpoch) {
		given := strconv.FormatFloat(epoch, 'f', -1, 64)
		return Layout{}, &FieldError{"epoch", given, "must be Unix seconds between 0 (1970-01-01) and 9214646399 (2261-12-31)"}
	}
	scale := int64(math.Pow10(timeScale))
	unit := time.Second / time.Duration(scale)
	ticks := int64(epoch * float64(scale))
	return New(Config{
		Epoch:        time.Unix(ticks/scale, ticks%scale*int64(unit)),
		Unit:         unit,
		NodeBits:     nodeIDBits,
		SequenceBits: sequenceBits,
	})
}

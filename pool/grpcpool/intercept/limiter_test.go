package intercept

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"google.golang.org/grpc/codes"
)

// However many kinds there are, what is remembered has an end; those that came too
// late share what is left.
func TestLimiterIsBounded(t *testing.T) {
	l := newLimiter(1, time.Second)
	l.most = 10
	passed := 0
	for i := range 1000 {
		if _, ok := l.allow(kind{fmt.Sprint(i), codes.Internal}, 0); ok {
			passed++
		}
	}
	assert.Equal(t, 11, passed)
	assert.Len(t, l.buckets, 11)
	assert.Equal(t, uint64(989), l.suppressed())
}

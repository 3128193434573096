//go:build !amd64

package clock

func rdtsc() uint64 { return 0 }

func counterFault() string { return "this build has no time stamp counter: it is for amd64 only" }

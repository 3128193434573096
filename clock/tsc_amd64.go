package clock

import (
	"os"
	"strings"
)

// rdtsc returns the CPU's time stamp counter, in cycles.
//
//go:noescape
func rdtsc() uint64

//go:noescape
func cpuid(leaf uint32) (eax, ebx, ecx, edx uint32)

// counterFault says why the time stamp counter must not be used as a clock, or
// "" where it may be. Two witnesses are needed: the CPU, that the counter runs
// at one rate whatever its power state (Intel SDM vol. 3B, "Invariant TSC":
// CPUID.80000007H:EDX[8]), and the operating system, that it found the counters
// of all CPUs in step and keeps its own time by them.
func counterFault() string {
	const (
		extended = 0x8000_0000
		power    = 0x8000_0007
	)
	if most, _, _, _ := cpuid(extended); most < power {
		return "the CPU does not say whether its time stamp counter is invariant"
	}
	if _, _, _, edx := cpuid(power); edx&(1<<8) == 0 {
		return "the CPU's time stamp counter is not invariant"
	}
	const file = "/sys/devices/system/clocksource/clocksource0/current_clocksource"
	source, err := os.ReadFile(file)
	if err != nil {
		return "the operating system does not say by which counter it keeps time"
	}
	if s := strings.TrimSpace(string(source)); s != "tsc" {
		return "the operating system keeps time by " + s + ", not by the time stamp counter"
	}
	return ""
}

// This file has no code. It lets floor_test.go declare functions without a body,
// which the linker finds in the runtime.

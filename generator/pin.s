// This file has no code. It lets pin.go declare functions without a body, which
// the linker finds in the runtime.

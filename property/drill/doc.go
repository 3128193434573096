// Package drill breaks real engines under real load: two pool servers on one engine,
// each a process, and clients that make IDs all the time. An engine's processes are
// killed, stopped and restarted meanwhile, and so is a server. All IDs are then looked
// through for equal ones, and the longest time that a client was without an ID is
// told for each of these steps. Where nothing is lost it must be below two seconds, and
// no client may have an error:
//
//	go test ./property/drill -drill -v -timeout 30m
//
// It takes minutes and is no part of go test ./...; docs/operating.md has what it
// said.
package drill

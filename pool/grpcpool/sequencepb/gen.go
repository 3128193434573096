// Package sequencepb is the protocol that EasyFlake for Python speaks with its own
// server, generated from sequence.proto.
package sequencepb

// The versions of the generators stand in .ci/run, which checks that what is
// committed is what they make.
//
//go:generate protoc --go_out=. --go_opt=paths=source_relative --go-grpc_out=. --go-grpc_opt=paths=source_relative sequence.proto

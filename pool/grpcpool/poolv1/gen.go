// Package poolv1 is the network protocol of EasyFlake's node pools, generated from
// pool.proto.
package poolv1

// The versions of the generators stand in .ci/run, which checks that what is
// committed is what they make.
//
//go:generate protoc --go_out=. --go_opt=paths=source_relative --go-grpc_out=. --go-grpc_opt=paths=source_relative pool.proto

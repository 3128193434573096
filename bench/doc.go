// Package bench holds the benchmarks of this project and of the hardware floors
// that it is measured against, in loops of the same kind, so that one run gives
// figures that can be compared:
//
//	go test -run '^$' -bench . -cpu 1,2 -count 10 ./bench | go tool benchstat -
//
// Each name is made of name=value parts, which benchstat can put into columns:
//
//	go tool benchstat -col /gen -filter '.name:Next' -
package bench

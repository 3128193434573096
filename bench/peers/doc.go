// Package peers measures this project beside the libraries that people use for the
// same, and beside what the hardware allows, in loops of the same kind. It is a
// module of its own, so that none of them is a dependency of the project:
//
//	cd bench/peers
//	for i in $(seq 10); do go test -run '^$' -bench 'Next|Fill|Goroutines|Sequence|Latency' -benchtime 100ms -cpu 1,2 -timeout 0; done | tee bench.txt
//	go test -run '^$' -bench 'Fairness|Saturate' -benchtime 1s -cpu 1,2 -count 3 -timeout 0 | tee long.txt
//	for i in $(seq 3); do (cd ../.. && go test -run '^$' -bench Pool -benchtime 100ms -timeout 0 ./bench); done | tee pools.txt
//	go run ./report -out ../../docs -readme ../../README.md bench.txt long.txt pools.txt
//
// That takes half an hour of a quiet machine. Ten runs of all, and not all of each ten
// times, so that what disturbs the machine for a while disturbs no benchmark for all
// of its runs. Fairness and saturation are judged over many ticks and many of the
// scheduler's time slices, and so take longer.
//
// Each name is made of name=value parts. The layout says what is compared:
//
//	own    each at its default: what its layout's ceiling allows
//	wide   the sequence wide open: what the code costs
//	none   no sequence that could run out, and so only one form
//
// Rows of own and wide are never compared with each other; those of none go with
// both. What has a sequence that cannot be widened (godruoyi, sno) is in own only.
package peers

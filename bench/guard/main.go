// Program guard judges the output of this project's benchmarks: whether what makes
// IDs allocates, and whether it takes much longer than it did, in multiples of what
// it is made of and what was measured in the same run:
//
//	go test -run '^$' -bench '^BenchmarkFloor$|^Benchmark(Next|Fill)$/././layout=wide' -cpu 1,2 -count 5 ./bench > bench.txt
//	go run ./bench/guard -baseline bench/guard/baseline.txt bench.txt
//
// With -update it writes the baseline instead. Of several runs the best counts, which
// other work on the machine disturbs least. The margin is wide all the same, for the
// multiples differ from one processor to the next: what it finds is a system call, a
// clock that is read twice. A lock that all share, or a cache line, hides in that margin
// where there are two processors; it is found by comparing Sharded there with itself on
// one and with Mutex, in the same run. What costs a nanosecond or two is for benchstat
// and a person to find.
//
// What is measured and what the baseline has must be the same: a benchmark that is new is
// not judged before the baseline has it, and one that is gone is missed, but for those of
// the processor's counter where that is no clock.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
)

func main() {
	err := run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	if errors.Is(err, flag.ErrHelp) {
		return
	}
	if err != nil {
		_, _ = fmt.Fprintln(os.Stderr, "guard:", err)
		os.Exit(1) //nolint:forbidigo // only main ends the process
	}
}

func run(args []string, stdin io.Reader, stdout, stderr io.Writer) error {
	flags := flag.NewFlagSet("guard", flag.ContinueOnError)
	flags.SetOutput(stderr)
	baseline := flags.String("baseline", "bench/guard/baseline.txt", "the `file` with the multiples to compare with")
	margin := flags.Float64("margin", 2.5, "how many `times` as long as in the baseline is too long")
	update := flags.Bool("update", false, "write the baseline instead of comparing with it")
	flags.Usage = func() {
		_, _ = fmt.Fprintln(stderr, "usage: guard [-baseline FILE] [-margin TIMES] [-update] [FILE]")
		flags.PrintDefaults()
	}
	if err := flags.Parse(args); err != nil {
		return err
	}
	in, name := stdin, "standard input"
	if flags.NArg() > 0 {
		f, err := os.Open(flags.Arg(0))
		if err != nil {
			return fmt.Errorf("reading benchmarks: %w", err)
		}
		defer f.Close() //nolint:errcheck // read only
		in, name = f, flags.Arg(0)
	}
	found, err := read(in, name)
	if err != nil {
		return err
	}
	if *update {
		return writeBaseline(*baseline, found)
	}
	limits, err := readBaseline(*baseline)
	if err != nil {
		return err
	}
	return judge(stdout, found, limits, *margin)
}

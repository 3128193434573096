// Program report turns the output of this module's benchmarks into a page of
// Markdown and its pictures:
//
//	go run ./report -out ../../docs -readme ../../README.md bench.txt
//
// It writes benchmarks.md and benchmarks-*.svg into the folder, and some figures into
// the README. Without a file it reads its standard input. What was not measured is left out of the page.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

func main() {
	err := run(os.Args[1:], os.Stdin, os.Stderr)
	if errors.Is(err, flag.ErrHelp) {
		return
	}
	if err != nil {
		_, _ = fmt.Fprintln(os.Stderr, "report:", err)
		os.Exit(1) //nolint:forbidigo // only main ends the process
	}
}

func run(args []string, stdin io.Reader, stderr io.Writer) error {
	flags := flag.NewFlagSet("report", flag.ContinueOnError)
	flags.SetOutput(stderr)
	out := flags.String("out", ".", "the `folder` to write to")
	readme := flags.String("readme", "", "also put figures into this `file`, between two lines that are there for it")
	flags.Usage = func() {
		_, _ = fmt.Fprintln(stderr, "usage: report [-out FOLDER] [-readme FILE] [FILE ...]")
		flags.PrintDefaults()
	}
	if err := flags.Parse(args); err != nil {
		return err
	}
	m, err := newMeasurements()
	if err != nil {
		return err
	}
	if flags.NArg() == 0 {
		if err := m.read(stdin, "standard input"); err != nil {
			return err
		}
	}
	for _, name := range flags.Args() {
		if err := m.readFile(name); err != nil {
			return err
		}
	}
	if len(m.list) == 0 {
		return errors.New("no benchmark in what was read; give it the output of: " + command)
	}
	pictures, err := m.pictures()
	if err != nil {
		return err
	}
	for _, p := range pictures {
		if err := writeFile(*out, p.file, p.svg); err != nil {
			return err
		}
	}
	if *readme != "" {
		if err := m.writeReadme(*readme); err != nil {
			return err
		}
	}
	return writeFile(*out, "benchmarks.md", []byte(m.markdown()))
}

func (m *measurements) readFile(name string) error {
	f, err := os.Open(name)
	if err != nil {
		return fmt.Errorf("reading benchmarks: %w", err)
	}
	if err := errors.Join(m.read(f, name), f.Close()); err != nil {
		return fmt.Errorf("reading benchmarks: %w", err)
	}
	return nil
}

func writeFile(folder, name string, data []byte) error {
	//nolint:gosec // a page for everyone to read
	if err := os.WriteFile(filepath.Join(folder, name), data, 0o644); err != nil {
		return fmt.Errorf("writing the report: %w", err)
	}
	return nil
}

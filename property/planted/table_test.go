package planted

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// The table's place in the document.
const (
	tableBegins = "<!-- planted bugs: written by go test ./property/planted -all -update -->\n"
	tableEnds   = "<!-- end of the planted bugs -->"
)

// row is a line of the table.
type row struct {
	*bug
	catch
}

const heading = "| bug | what goes wrong | caught by `go test` | s |\n|---|---|---|---|\n"

// String returns the row in Markdown.
func (r row) String() string {
	return fmt.Sprintf("| %s | %s | %#q | %.1f |\n", r.name, escaped(r.what), escaped(string(r.by)), r.took.Seconds())
}

// table returns the table in Markdown: of the bugs that were caught now, and else what
// an older one says.
func table(bugs []bug, rows []row, older string) string {
	var b strings.Builder
	b.WriteString(heading)
	for _, x := range bugs {
		if i := slices.IndexFunc(rows, func(r row) bool { return r.name == x.name }); i >= 0 {
			b.WriteString(rows[i].String())
			continue
		}
		for line := range strings.Lines(older) {
			if strings.HasPrefix(line, "| "+x.name+" |") {
				b.WriteString(line)
			}
		}
	}
	return b.String()
}

func escaped(s string) string { return strings.ReplaceAll(s, "|", `\|`) }

func document(root string) string { return filepath.Join(root, "docs", "guarantees.md") }

var errNoTable = errors.New("docs/guarantees.md has no place for the table of planted bugs")

// split cuts the document at its table.
func split(text string) (before, table, after string, err error) {
	text = strings.ReplaceAll(text, "\r\n", "\n")
	before, rest, begins := strings.Cut(text, tableBegins)
	table, after, ends := strings.Cut(rest, tableEnds)
	if !begins || !ends {
		return "", "", "", errNoTable
	}
	return before, table, after, nil
}

// write writes what was caught into the document.
func write(root string, bugs []bug, rows []row) error {
	text, err := os.ReadFile(document(root))
	if err != nil {
		return err
	}
	before, older, after, err := split(string(text))
	if err != nil {
		return err
	}
	return os.WriteFile(document(root), []byte(before+tableBegins+table(bugs, rows, older)+tableEnds+after), 0o600)
}

// TestTableIsComplete asserts that the document lists the bugs that there are, each
// with a test that may catch it.
func TestTableIsComplete(t *testing.T) {
	bugs, err := readBugs()
	require.NoError(t, err)
	text, err := os.ReadFile(document(newLab(t).root))
	require.NoError(t, err)
	_, table, _, err := split(string(text))
	require.NoError(t, err)

	lines := strings.Split(strings.TrimSpace(table), "\n")[2:]
	require.Len(t, lines, len(bugs), "run go test ./property/planted -all -update -timeout 60m")
	for i, b := range bugs {
		cells := strings.Split(strings.ReplaceAll(lines[i], `\|`, "\x00"), " | ")
		require.Len(t, cells, 4, lines[i])
		by := command(strings.ReplaceAll(strings.Trim(cells[2], "`"), "\x00", "|"))
		require.Equal(t, "| "+b.name, cells[0])
		require.Equal(t, b.what, strings.ReplaceAll(cells[1], "\x00", "|"), b.name)
		require.Contains(t, b.tests, by, b.name)
	}
}

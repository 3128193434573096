package planted

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// bug is one file of testdata.
type bug struct {
	name  string
	what  string
	quick bool
	tests []command
	edits []edit
}

// edit replaces lines of a file by others.
type edit struct {
	file     string // from the root of the module, with slashes
	old, new []string
}

// command is a go test command: a package, and flags.
type command string

// suffix ends the names of the files.
const suffix = ".bug"

// readBugs returns all bugs, in the order of their names.
func readBugs() ([]bug, error) {
	files, err := filepath.Glob(filepath.Join("testdata", "*"+suffix))
	if err != nil {
		return nil, err
	}
	var bugs []bug
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		b, err := parse(string(text))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		b.name = strings.TrimSuffix(filepath.Base(file), suffix)
		bugs = append(bugs, b)
	}
	return bugs, nil
}

// parse reads what a file says; see the package's comment.
func parse(text string) (bug, error) {
	var b bug
	for number, line := range strings.Split(text, "\n") {
		line = strings.TrimSuffix(line, "\r")
		editing := len(b.edits) > 0
		var now *edit
		if editing {
			now = &b.edits[len(b.edits)-1]
		}
		test, isTest := strings.CutPrefix(line, "go test ")
		file, isEdit := strings.CutPrefix(line, "--- ")
		switch {
		case isEdit:
			b.edits = append(b.edits, edit{file: file})
		case line == "":
		case editing && line[0] == '-':
			now.old = append(now.old, line[1:])
		case editing && line[0] == '+':
			now.new = append(now.new, line[1:])
		case editing && line[0] == ' ':
			now.old, now.new = append(now.old, line[1:]), append(now.new, line[1:])
		case editing:
			return b, fmt.Errorf("line %d is none of an edit: begin it with -, + or a space", number+1)
		case isTest:
			b.tests = append(b.tests, command(test))
		case line == "quick":
			b.quick = true
		case b.what == "":
			b.what = line
		default:
			return b, fmt.Errorf("line %d is neither a test nor an edit", number+1)
		}
	}
	err := b.check()
	return b, err
}

func (b *bug) check() error {
	switch {
	case b.what == "":
		return errors.New("it does not say what goes wrong")
	case len(b.tests) == 0:
		return errors.New("it names no test to catch it")
	case len(b.edits) == 0:
		return errors.New("it edits nothing")
	}
	for _, c := range b.tests {
		// No pattern: what runs here must not run here again.
		if p := c.pkg(); !strings.HasPrefix(p, "./") || strings.Contains(p, "...") || p == "./property/planted" {
			return fmt.Errorf("%q is no single package of this module, or this one", p)
		}
	}
	for _, e := range b.edits {
		switch {
		case strings.HasSuffix(e.file, "_test.go"):
			return fmt.Errorf("%s is a test, not what is tested", e.file)
		case len(e.old) == 0 || slices.Equal(e.old, e.new):
			return fmt.Errorf("an edit of %s changes nothing", e.file)
		}
	}
	return nil
}

// pkg is the package that a command tests.
func (c command) pkg() string { return strings.Fields(string(c))[0] }

// flags returns a command's flags: for building, and as the test's program takes them.
func (c command) flags() (build, run []string) {
	for _, f := range strings.Fields(string(c))[1:] {
		switch f {
		case "-race":
			build = append(build, f)
			continue
		case "-run", "-skip", "-short", "-cpu":
			f = "-test." + f[1:]
		}
		run = append(run, f)
	}
	return build, run
}

// plant returns the files that a bug edits, by their paths, as they are with it.
func (b *bug) plant(root string) (map[string]string, error) {
	files := make(map[string]string)
	for _, e := range b.edits {
		path := filepath.Join(root, filepath.FromSlash(e.file))
		if _, there := files[path]; !there {
			text, err := os.ReadFile(path)
			if err != nil {
				return nil, err
			}
			files[path] = string(text)
		}
		text, err := e.apply(files[path])
		if err != nil {
			return nil, err
		}
		files[path] = text
	}
	return files, nil
}

// apply makes an edit, whose place must be found exactly once.
func (e *edit) apply(text string) (string, error) {
	lines := strings.Split(text, "\n")
	at, found := 0, 0
	for i := range len(lines) - len(e.old) + 1 {
		if slices.EqualFunc(lines[i:i+len(e.old)], e.old, func(a, b string) bool {
			return strings.TrimSpace(a) == strings.TrimSpace(b)
		}) {
			at = i
			found++
		}
	}
	if found != 1 {
		return "", fmt.Errorf("%s has %d places where it says the following, not 1; bring the bug up to date\n%s", e.file, found, strings.Join(e.old, "\n"))
	}
	return strings.Join(slices.Replace(lines, at, at+len(e.old), e.new...), "\n"), nil
}

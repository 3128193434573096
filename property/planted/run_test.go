package planted

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// budget bounds what a test may take. One that is not over by then has caught nothing.
const budget = 5 * time.Minute

// What can come of a bug that is not caught.
var (
	errBuild    = errors.New("it does not build")
	errSurvived = errors.New("no test has caught it")
	errUnclean  = errors.New("its test fails without it, too")
)

// lab builds and runs tests, with a bug or without.
type lab struct {
	root string // the module's
	dir  string // for what is built
	room chan struct{}

	mu     sync.Mutex // owns the maps
	clean  map[command]func() error
	builds map[string]func() (string, error)
}

// newLab returns a lab in which two tests run at a time.
func newLab(t *testing.T) *lab {
	t.Helper()
	root, err := filepath.Abs(filepath.Join("..", ".."))
	if err != nil {
		t.Fatal(err)
	}
	return &lab{
		root:   root,
		dir:    t.TempDir(),
		room:   make(chan struct{}, 2),
		clean:  make(map[command]func() error),
		builds: make(map[string]func() (string, error)),
	}
}

// catch is how a bug was caught.
type catch struct {
	by   command
	took time.Duration // of the test, without building it
	said string
}

// judge plants a bug and runs its tests, up to the first that catches it.
func (l *lab) judge(ctx context.Context, b *bug) (catch, error) {
	l.room <- struct{}{}
	defer func() { <-l.room }()
	dir, err := os.MkdirTemp(l.dir, "bug")
	if err != nil {
		return catch{}, err
	}
	overlay, err := l.overlay(dir, b)
	if err != nil {
		return catch{}, err
	}
	var last string
	for i, c := range b.tests {
		if err := l.passes(ctx, c); err != nil {
			return catch{}, err
		}
		program, err := l.build(ctx, filepath.Join(dir, "test"+strconv.Itoa(i)), c, overlay)
		if err != nil {
			return catch{}, err
		}
		begun := time.Now()
		out, err := l.run(ctx, program, c)
		took := time.Since(begun)
		if ctx.Err() != nil {
			return catch{}, ctx.Err()
		}
		if caught(out, err) {
			return catch{c, took, said(out)}, nil
		}
		last = fmt.Sprintf("go test %s: %v\n%s", c, err, tail(out))
	}
	return catch{}, fmt.Errorf("%w; the last one says: %s", errSurvived, last)
}

// overlay writes the edited files and returns the file that go test is to be given.
func (l *lab) overlay(dir string, b *bug) (string, error) {
	files, err := b.plant(l.root)
	if err != nil {
		return "", err
	}
	replace := make(map[string]string)
	for path, text := range files {
		to := filepath.Join(dir, strconv.Itoa(len(replace))+filepath.Base(path))
		if err := os.WriteFile(to, []byte(text), 0o600); err != nil {
			return "", err
		}
		replace[path] = to
	}
	data, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return "", err
	}
	overlay := filepath.Join(dir, "overlay.json")
	return overlay, os.WriteFile(overlay, data, 0o600)
}

// build builds a test's program.
func (l *lab) build(ctx context.Context, to string, c command, overlay string) (string, error) {
	flags, _ := c.flags()
	// Nobody debugs it: without what is only for that, it is linked sooner.
	args := append([]string{"test", "-c", "-vet=off", "-ldflags=-s -w", "-o", to}, flags...)
	if overlay != "" {
		args = append(args, "-overlay", overlay)
	}
	cmd := exec.CommandContext(ctx, "go", append(args, c.pkg())...)
	cmd.Dir = l.root
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w: %w\n%s", errBuild, err, out)
	}
	return to, nil
}

// run runs a test's program, as go test would.
func (l *lab) run(ctx context.Context, program string, c command) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, budget+10*time.Second)
	defer cancel()
	_, flags := c.flags()
	cmd := exec.CommandContext(ctx, program, append([]string{"-test.timeout", budget.String()}, flags...)...)
	cmd.Dir = filepath.Join(l.root, filepath.FromSlash(c.pkg()))
	cmd.WaitDelay = time.Second
	together(cmd)
	out, err := cmd.CombinedOutput()
	alone(cmd)
	return string(out), err
}

// caught reports whether a test has failed, by more than running out of time.
func caught(out string, err error) bool {
	exit, ended := errors.AsType[*exec.ExitError](err)
	return ended && exit.ExitCode() > 0 && !strings.Contains(out, "panic: test timed out after")
}

// passes returns an error if a command does not pass without a bug, or runs nothing.
func (l *lab) passes(ctx context.Context, c command) error {
	l.mu.Lock()
	clean := l.clean[c]
	if clean == nil {
		clean = sync.OnceValue(func() error {
			program, err := l.cleanBuild(ctx, c)
			if err != nil {
				return err
			}
			out, err := l.run(ctx, program, c)
			if err != nil {
				return fmt.Errorf("%w: go test %s: %w\n%s", errUnclean, c, err, tail(out))
			}
			if strings.Contains(out, "no tests to run") {
				return fmt.Errorf("go test %s: there is no such test", c)
			}
			return nil
		})
		l.clean[c] = clean
	}
	l.mu.Unlock()
	return clean()
}

// cleanBuild builds a test's program without a bug, once for each package.
func (l *lab) cleanBuild(ctx context.Context, c command) (string, error) {
	flags, _ := c.flags()
	key := strings.Join(append(flags, c.pkg()), " ")
	l.mu.Lock()
	build := l.builds[key]
	if build == nil {
		to := filepath.Join(l.dir, "clean"+strconv.Itoa(len(l.builds)))
		build = sync.OnceValues(func() (string, error) { return l.build(ctx, to, c, "") })
		l.builds[key] = build
	}
	l.mu.Unlock()
	return build()
}

// said returns what tells best what a test has found: a seed and what was wrong with
// it, a panic, or else the case that failed.
func said(out string) (best string) {
	for line := range strings.SplitSeq(out, "\n") {
		if at := strings.Index(line, "seed "); at >= 0 && strings.Contains(line, "_test.go:") {
			return line[at:]
		}
		if strings.HasPrefix(line, "panic: ") || strings.HasPrefix(line, "fatal error: ") {
			return line
		}
		if _, name, found := strings.Cut(line, "--- FAIL: "); found {
			best = name
		}
	}
	return best
}

// tail returns the end of what a test has printed.
func tail(out string) string {
	const most = 4000
	return out[max(0, len(out)-most):]
}

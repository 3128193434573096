package peers

import (
	"context"
	"fmt"
	"io"
	"os/exec"
	"runtime"
	"strings"
)

// describe says in the output of benchmarks what was measured, in lines that benchfmt
// reads as configuration.
func describe(w io.Writer) {
	_, _ = fmt.Fprintf(w, "go: %s\ncpus: %d\nmodules: %s\n", runtime.Version(), runtime.NumCPU(), strings.Join(modules(), " "))
	if c := commit(context.Background()); c != "" {
		_, _ = fmt.Fprintf(w, "commit: %s\n", c)
	}
}

// commit names the last commit that changed what is compiled, and says whether that has
// changed since; empty where there is no git, or no repository of it. A commit of words
// alone does not come between two runs.
func commit(ctx context.Context) string {
	// A checkout may belong to another user than the one who measures.
	git := func(args ...string) (string, error) {
		out, err := exec.CommandContext(ctx, "git", append([]string{"-c", "safe.directory=*"}, args...)...).Output()
		return strings.TrimSpace(string(out)), err
	}
	compiled := []string{"--", ":/*.go", ":/*.s", ":/*.mod", ":/*.sum"}
	name, err := git(append([]string{"log", "-1", "--abbrev=12", "--format=%h"}, compiled...)...)
	if err != nil || name == "" {
		return ""
	}
	changed, err := git(append([]string{"status", "--porcelain"}, compiled...)...)
	switch {
	case err != nil:
		return name + ", perhaps with changes"
	case changed != "":
		return name + ", with changes"
	}
	return name
}

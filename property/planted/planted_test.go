package planted

import (
	"flag"
	"io/fs"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

var (
	all    = flag.Bool("all", false, "plant all bugs, not only the quick ones")
	only   = flag.String("bug", "", "plant the bugs whose whole names this regular expression matches")
	update = flag.Bool("update", false, "write what was caught into the table of docs/guarantees.md")
)

// TestPlantedBugs plants one bug after the other, and sees that each is caught.
func TestPlantedBugs(t *testing.T) {
	bugs, err := readBugs()
	require.NoError(t, err)
	require.GreaterOrEqual(t, len(bugs), 25)
	wanted, err := regexp.Compile("^(" + *only + ")$")
	require.NoError(t, err)
	l := newLab(t)
	dependsOn(t, l.root)

	var mu sync.Mutex // owns rows
	var rows []row
	t.Run("bug", func(t *testing.T) {
		for _, b := range bugs {
			switch {
			case *only != "" && !wanted.MatchString(b.name), *only == "" && !*all && !b.quick:
				continue
			}
			t.Run(b.name, func(t *testing.T) {
				t.Parallel()
				c, err := l.judge(t.Context(), &b)
				if err != nil {
					t.Fatalf("%s\n%v", b.what, err)
				}
				t.Logf("%s\nCaught in %.1f s by go test %s\n%s", b.what, c.took.Seconds(), c.by, c.said)
				mu.Lock()
				defer mu.Unlock()
				rows = append(rows, row{&b, c})
			})
		}
	})
	if t.Failed() {
		return
	}
	require.NotEmpty(t, rows, "there is no bug of that name")
	t.Logf("%d bugs, all caught\n\n%s", len(rows), table(bugs, rows, ""))
	if *update {
		require.NoError(t, write(l.root, bugs, rows))
	}
}

// dependsOn has go test know that the result depends on all of the module: what is
// tested here is tested by other programs, of which it knows nothing, and it would
// report an old result for what has changed since.
func dependsOn(t *testing.T, root string) {
	t.Helper()
	require.NoError(t, filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() && path != root && strings.HasPrefix(d.Name(), ".") {
			return fs.SkipDir
		}
		return err
	}))
}

// TestBugsHaveTheirPlace asserts that the source still says what each bug changes,
// those that are not quick included.
func TestBugsHaveTheirPlace(t *testing.T) {
	bugs, err := readBugs()
	require.NoError(t, err)
	for _, b := range bugs {
		if _, err := b.plant(newLab(t).root); err != nil {
			t.Errorf("%s: %v", b.name, err)
		}
	}
}

// TestJudge asserts that only what a test notices counts as caught.
func TestJudge(t *testing.T) {
	const test = "./layout -run TestParseID$"
	l := newLab(t)
	same := edit{"layout/doc.go", []string{"package layout"}, []string{"package layout", "const planted = 1"}}
	worse := edit{"layout/doc.go", []string{"package layout"}, []string{"package layout", "const planted int = \"\""}}
	lost := edit{"layout/doc.go", []string{"package planted"}, []string{"package layout"}}
	for _, c := range []struct {
		name string
		test command
		edit edit
		want error
		says string
	}{
		{"a harmless edit", test, same, errSurvived, "PASS"},
		{"one that does not build", test, worse, errBuild, "cannot use"},
		{"one that has lost its place", test, lost, nil, "has 0 places"},
		{"no test", "./layout -run TestNone$", same, nil, "there is no such test"},
		{"a test that fails anyway", "./layout -run TestParseID$ -none", same, errUnclean, "not defined"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := l.judge(t.Context(), &bug{tests: []command{c.test}, edits: []edit{c.edit}})
			require.ErrorContains(t, err, c.says)
			if c.want != nil {
				require.ErrorIs(t, err, c.want)
			}
		})
	}
	failed := exec.CommandContext(t.Context(), "go", "no-such-command").Run()
	require.True(t, caught("FAIL", failed))
	require.False(t, caught("panic: test timed out after 3m0s", failed), "time has run out")
	require.False(t, caught("PASS", nil))
}

// TestApply asserts that an edit is made in the one place that it is meant for.
func TestApply(t *testing.T) {
	e := edit{"f.go", []string{"a()", "b()"}, []string{"c()"}}
	text, err := e.apply("x()\n\ta()\n\tb()\ny()\n")
	require.NoError(t, err)
	require.Equal(t, "x()\nc()\ny()\n", text)
	for _, text := range []string{"", "a()\n", "a()\nx()\nb()\n", "a()\nb()\na()\nb()\n"} {
		_, err := e.apply(text)
		require.ErrorContains(t, err, "f.go has", "%q", text)
	}
}

// TestParse asserts that a file that is not one is refused.
func TestParse(t *testing.T) {
	const good = "What.\n\ngo test ./layout -run X\nquick\n\n--- layout/id.go\n-\told\n \tkept\n+\tnew\n"
	b, err := parse(good)
	require.NoError(t, err)
	require.Equal(t, bug{
		what:  "What.",
		quick: true,
		tests: []command{"./layout -run X"},
		edits: []edit{{"layout/id.go", []string{"\told", "\tkept"}, []string{"\tkept", "\tnew"}}},
	}, b)
	for _, c := range []struct{ old, new, says string }{
		{"What.\n", "", "does not say"},
		{"go test ./layout -run X\n", "", "no test"},
		{"./layout ", "./... ", "no single package"},
		{"./layout ", "./property/planted ", "or this one"},
		{"-\told\n \tkept\n", "", "an edit of layout/id.go changes"},
		{"--- layout/id.go\n-\told\n \tkept\n+\tnew\n", "", "edits nothing"},
		{"id.go", "id_test.go", "is a test"},
		{"quick\n", "slow\n", "line 4 is neither"},
		{"+\tnew", "new", "line 9 is none"},
	} {
		_, err := parse(strings.Replace(good, c.old, c.new, 1))
		require.ErrorContains(t, err, c.says, "%q for %q", c.new, c.old)
	}
}

package main

import (
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/easyflake/easyflake/layout"
)

// shell finds a shell or skips the test. In CI on Linux, which installs them, there
// must be one.
func shell(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil && os.Getenv("CI") == "true" && runtime.GOOS == "linux" {
		t.Fatalf("there is no %s on this machine: install it", name)
	}
	if err != nil {
		t.Skipf("there is no %s on this machine", name)
	}
	return path
}

func TestCompletionScriptsParse(t *testing.T) {
	for _, name := range []string{"bash", "zsh", "fish"} {
		t.Run(name, func(t *testing.T) {
			script := output(t, "completion", name)
			for _, p := range layout.Presets() {
				assert.Contains(t, script, p.Name)
			}
			c := exec.CommandContext(t.Context(), shell(t, name), "-n")
			c.Stdin = strings.NewReader(script)
			out, err := c.CombinedOutput()
			assert.NoError(t, err, "%s", out)
		})
	}
}

const completionAsk = `
COMP_WORDS=("$@")
COMP_CWORD=$(($# - 1))
_easyflake_cli
echo "${COMPREPLY[*]}"
`

func TestBashCompletes(t *testing.T) {
	bash := shell(t, "bash")
	script := output(t, "completion", "bash") + completionAsk
	for _, test := range []struct {
		words []string
		want  string
	}{
		{[]string{""}, "next decode layout grpc lease store namespace secret completion version"},
		{[]string{"n"}, "next namespace"},
		{[]string{"le"}, "lease"},
		{[]string{"lease", "re"}, "revoke retire"},
		{[]string{"namespace", "create", "--fi"}, "--first-window"},
		{[]string{"namespace", "create", "x", "--layout", "dis"}, "discord"},
		{[]string{"lease", "list", "--pool", ""}, ""},
		{[]string{"next", "--po"}, "--pool"},
		{[]string{"--no-color", "ver"}, "version"},
		{[]string{"next", "--l"}, "--layout"},
		{[]string{"next", "--layout", "son"}, "sonyflake sonyflake2"},
		{[]string{"next", "--layout", "=", "dis"}, "discord"},
		{[]string{"next", "--strategy", "="}, "mutex atomic sharded"},
		{[]string{"next", "-n", ""}, ""},
		{[]string{"next", "-n", "5", "--format", "base"}, "base32 base36 base58 base62"},
		{[]string{"layout", "l"}, "list leaf"},
		{[]string{"layout", "list", "--j"}, "--json"},
		{[]string{"layout", "check", "twitter", "j"}, "js53"},
		{[]string{"layout", "check", "--at", ""}, ""},
		{[]string{"completion", ""}, "bash zsh fish"},
	} {
		args := append([]string{"-c", script, "bash", appName}, test.words...)
		out, err := exec.CommandContext(t.Context(), bash, args...).CombinedOutput()
		require.NoError(t, err, "%s", out)
		assert.Equal(t, test.want, strings.TrimSpace(string(out)), "%q", test.words)
	}
}

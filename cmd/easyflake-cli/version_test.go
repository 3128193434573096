package main

import (
	"fmt"
	"runtime"
	"runtime/debug"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestVersion(t *testing.T) {
	platform := fmt.Sprintf("%s %s/%s", runtime.Version(), runtime.GOOS, runtime.GOARCH)
	for _, test := range []struct {
		info *debug.BuildInfo
		want string
	}{
		{nil, "easyflake-cli (unknown) " + platform + "\n"},
		{&debug.BuildInfo{Main: debug.Module{Version: "v1.2.3"}}, "easyflake-cli v1.2.3 " + platform + "\n"},
		{&debug.BuildInfo{Main: debug.Module{Version: "(devel)"}, Settings: []debug.BuildSetting{
			{Key: "vcs.revision", Value: "0123456789abcdef0123456789abcdef01234567"}, {Key: "vcs.modified", Value: "true"},
		}}, "easyflake-cli (devel) (0123456789ab, modified) " + platform + "\n"},
	} {
		for _, args := range []string{"version", "--version"} {
			r := newTrial(t, args)
			r.buildInfo = func() (*debug.BuildInfo, bool) { return test.info, test.info != nil }
			require.Equal(t, statusOK, r.run())
			assert.Equal(t, test.want, r.out.String())
		}
	}
}

func TestVersionJSON(t *testing.T) {
	v := objects(t, output(t, "version", "--json"))[0]
	assert.Equal(t, map[string]any{"version": "(unknown)", "go": runtime.Version(), "os": runtime.GOOS, "arch": runtime.GOARCH}, v)
}

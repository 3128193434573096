package main

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func ownNumber() string { return strconv.Itoa(os.Getpid()) + "\n" }

func TestPIDFileHasTheNumberAndGoesAway(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pid")
	p, err := takePIDFile(path)
	require.NoError(t, err)
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	assert.Equal(t, ownNumber(), string(text))
	require.NoError(t, p.release())
	assert.NoFileExists(t, path)
}

func TestPIDFileRefusesASecondHolder(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pid")
	p, err := takePIDFile(path)
	require.NoError(t, err)
	_, err = takePIDFile(path)
	require.ErrorContains(t, err, "belongs to a running server, process "+strconv.Itoa(os.Getpid()))
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	assert.Equal(t, ownNumber(), string(text))
	require.NoError(t, p.release())
	p, err = takePIDFile(path)
	require.NoError(t, err)
	require.NoError(t, p.release())
}

// TestPIDFileTakesOverWhatIsStale, also with the number of a process that runs:
// the lock decides.
func TestPIDFileTakesOverWhatIsStale(t *testing.T) {
	for name, text := range map[string]string{
		"empty":              "",
		"a longer number":    "99999999999999\n",
		"a running process":  strconv.Itoa(os.Getppid()) + "\n",
		"without a line end": "12",
		"NULs":               "\x00\x00\x00\x00",
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "pid")
			require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
			p, err := takePIDFile(path)
			require.NoError(t, err)
			got, err := os.ReadFile(path)
			require.NoError(t, err)
			assert.Equal(t, ownNumber(), string(got))
			require.NoError(t, p.release())
			assert.NoFileExists(t, path)
		})
	}
}

func TestPIDFileLeavesOtherFilesAlone(t *testing.T) {
	for _, text := range []string{"# a configuration\n", "12 men\n", strings.Repeat("7", maxPIDFile+1)} {
		path := filepath.Join(t.TempDir(), "pid")
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
		_, err := takePIDFile(path)
		require.ErrorContains(t, err, "has something else in it")
		got, err := os.ReadFile(path)
		require.NoError(t, err)
		assert.Equal(t, text, string(got))
	}
}

func TestPIDFileInNoFolder(t *testing.T) {
	folder := t.TempDir()
	_, err := takePIDFile(filepath.Join(folder, "missing", "pid"))
	require.ErrorContains(t, err, "create "+filepath.Join(folder, "missing"))
	_, err = takePIDFile(folder)
	require.ErrorContains(t, err, "is a folder")
}

// TestPIDFileOfNobody is what a command without --pid-file has.
func TestPIDFileOfNobody(t *testing.T) {
	var p *pidFile
	require.NoError(t, p.release())
}

package main

import (
	"errors"
	"path/filepath"
)

// stateFolder returns where this user's own state belongs on an operating system.
// XDG_STATE_HOME is heeded on all but Windows, for those who have set it.
func stateFolder(goos string, getenv func(string) string) (string, error) {
	if goos == "windows" {
		local := getenv("LocalAppData")
		if !filepath.IsAbs(local) {
			return "", errors.New("there is no folder for this user's node numbers: set LocalAppData, or name a pool with --pool file:PATH")
		}
		return filepath.Join(local, "easyflake"), nil
	}
	// Its specification has relative paths ignored.
	if state := getenv("XDG_STATE_HOME"); filepath.IsAbs(state) {
		return filepath.Join(state, "easyflake"), nil
	}
	home := getenv("HOME")
	if !filepath.IsAbs(home) {
		return "", errors.New("there is no folder for this user's node numbers: set HOME or XDG_STATE_HOME to an absolute path, or name a pool with --pool file:PATH")
	}
	if goos == "darwin" {
		return filepath.Join(home, "Library", "Application Support", "easyflake"), nil
	}
	return filepath.Join(home, ".local", "state", "easyflake"), nil
}

// ownPool returns the pool that a user has without asking for one.
func (w *world) ownPool() (poolValue, error) {
	folder, err := stateFolder(w.goos, w.getenv)
	return poolValue{scheme: schemeFile, path: filepath.Join(folder, "nodes")}, err
}

package etcdtest

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
)

// build returns the path of an etcd, which it makes unless it has done so before.
// What it is made of is in the name of its folder.
func build() (string, error) {
	dir, err := sources()
	if err != nil {
		return "", err
	}
	host, err := goEnv(dir, "GOHOSTOS", "GOHOSTARCH", "GOVERSION")
	if err != nil {
		return "", err
	}
	made := fmt.Appendln(nil, host)
	for _, name := range []string{"go.mod", "go.sum", "main.go"} {
		data, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			return "", err
		}
		made = fmt.Appendf(made, "%d %s\n", len(data), data)
	}
	sum := sha256.Sum256(made)
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	to := filepath.Join(cache, "easyflake-ci", "etcd-"+hex.EncodeToString(sum[:8]))
	program := filepath.Join(to, "etcd")
	if host[0] == "windows" {
		program += ".exe"
	}
	if _, err := os.Stat(program); err == nil {
		return program, nil
	}
	if err := os.MkdirAll(to, 0o700); err != nil {
		return "", err
	}
	// Renamed when it is complete, for another test may be at it as well.
	dirty, err := os.MkdirTemp(to, "new-")
	if err != nil {
		return "", err
	}
	defer func() { _ = os.RemoveAll(dirty) }()
	fresh := filepath.Join(dirty, filepath.Base(program))
	// For this machine, also where the tests are for another.
	cmd := exec.Command("go", "build", "-trimpath", "-o", fresh, ".")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOOS="+host[0], "GOARCH="+host[1], "GOFLAGS=-buildvcs=false", "GOWORK=off", "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building etcd: %w\n%s", err, bytes.TrimSpace(out))
	}
	return program, os.Rename(fresh, program)
}

// sources returns the folder of the server's module: beside this file.
func sources() (string, error) {
	_, file, _, ok := runtime.Caller(0)
	if !ok {
		return "", errors.New("the caller's file is not known")
	}
	dir := filepath.Join(filepath.Dir(file), "server")
	if _, err := os.Stat(dir); err == nil {
		return dir, nil
	}
	// With -trimpath the file's name is not one.
	out, err := exec.Command("go", "list", "-f", "{{.Dir}}", "github.com/easyflake/easyflake/pool/etcdstore/etcdtest").Output()
	if err != nil {
		return "", fmt.Errorf("finding the sources of the server: %w", err)
	}
	return filepath.Join(strings.TrimSpace(string(out)), "server"), nil
}

func goEnv(dir string, names ...string) ([]string, error) {
	cmd := exec.Command("go", append([]string{"env"}, names...)...)
	cmd.Dir = dir
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("asking go for %s: %w", strings.Join(names, ", "), err)
	}
	values := strings.Fields(string(out))
	if len(values) != len(names) {
		return nil, fmt.Errorf("go env says %q", values)
	}
	return values, nil
}

package main

import (
	"encoding/json"
	"fmt"
	"runtime"

	"github.com/alecthomas/kong"
)

// versionCmd prints what the program was built from.
type versionCmd struct {
	JSON bool `name:"json" help:"Print JSON."`
}

// version is what is known of the build; unknown fields are empty.
type version struct {
	Version  string `json:"version"`
	Revision string `json:"revision,omitempty"`
	Time     string `json:"time,omitempty"`
	Modified bool   `json:"modified,omitempty"`
	Go       string `json:"go"`
	OS       string `json:"os"`
	Arch     string `json:"arch"`
}

// Run prints the version.
func (c *versionCmd) Run(w *world) error {
	v := versionOf(w)
	if c.JSON {
		return w.printJSON(v)
	}
	return w.print(v.line())
}

// versionFlag does the same, where a user would look for it first.
type versionFlag bool

// BeforeReset prints the version, before anything that is missing from the
// command line is asked for.
func (versionFlag) BeforeReset(k *kong.Kong, w *world) error {
	v := versionOf(w)
	if err := w.print(v.line()); err != nil {
		return err
	}
	k.Exit(statusOK)
	return nil
}

func (v *version) line() string {
	text := appName + " " + v.Version
	if v.Revision != "" {
		text += fmt.Sprintf(" (%.12s", v.Revision)
		if v.Modified {
			text += ", modified"
		}
		text += ")"
	}
	return fmt.Sprintf("%s %s %s/%s\n", text, v.Go, v.OS, v.Arch)
}

func versionOf(w *world) version {
	v := version{Version: "(unknown)", Go: runtime.Version(), OS: runtime.GOOS, Arch: runtime.GOARCH}
	info, ok := w.buildInfo()
	if !ok {
		return v
	}
	if info.Main.Version != "" {
		v.Version = info.Main.Version
	}
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			v.Revision = s.Value
		case "vcs.time":
			v.Time = s.Value
		case "vcs.modified":
			v.Modified = s.Value == "true"
		}
	}
	return v
}

// printJSON prints an object on a line of its own.
func (w *world) printJSON(v any) error {
	line, err := marshal(v)
	if err != nil {
		return err
	}
	return w.print(line)
}

func marshal(v any) (string, error) {
	out, err := json.Marshal(v)
	if err != nil {
		return "", fmt.Errorf("writing JSON: %w", err)
	}
	return string(out) + "\n", nil
}

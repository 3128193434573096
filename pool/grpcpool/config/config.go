package config

import (
	"errors"
	"path/filepath"

	"github.com/easyflake/easyflake/pool"
	"github.com/easyflake/easyflake/pool/grpcpool/access"
)

// Config is what a file says, checked as a whole.
type Config struct {
	Namespaces []pool.Namespace
	// Access is nil where the file has no such part.
	Access *access.Config
	// Files are those that this was read from: to be watched for changes.
	Files []string
}

// Policy builds what Access says; without it, [access.Open].
func (c *Config) Policy() (*access.Policy, error) {
	if c.Access == nil {
		return access.Open(), nil
	}
	return access.New(*c.Access)
}

// Load reads a file, and those that it names.
func Load(path string) (*Config, error) {
	data, err := ReadFile(path)
	if err != nil {
		return nil, err
	}
	return Parse(data, path, ReadFile)
}

// Parse reads a configuration from the contents of the file of this name. Other
// files that it names are read by read; their paths are relative to the file's
// folder. The error joins a [*KeyError] for each thing that is wrong, or what read
// returned.
func Parse(data []byte, name string, read func(path string) ([]byte, error)) (*Config, error) {
	d := &decoder{file: name, read: read}
	root := d.document(data)
	c := &Config{Files: []string{name}}
	if root != nil && len(d.wrong) == 0 {
		d.config(root, c)
	}
	if len(d.wrong) > 0 {
		return nil, errors.Join(d.wrong...)
	}
	return c, nil
}

// beside returns a path of the file as seen from here.
func beside(file, path string) string {
	if filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(filepath.Dir(file), path)
}

func (d *decoder) config(root *node, c *Config) {
	d.mapping(root, []key{
		{"namespaces", func(n *node) { c.Namespaces = d.namespaces(n) }},
		{"access", func(n *node) { c.Access = d.access(n, c) }},
	})
}

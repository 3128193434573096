package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// decoder reads YAML nodes, and goes on after what is wrong.
type decoder struct {
	file  string
	read  func(path string) ([]byte, error)
	wrong []error
}

// node is a YAML node and the way to it.
type node struct {
	*yaml.Node
	path string
}

// key is a key of a mapping, and what to do with its value.
type key struct {
	name string
	take func(*node)
}

const (
	maxProblems = 16 // are reported together
	maxDepth    = 16 // of nodes; the file needs 8
	maxShown    = 40 // bytes of a value in a message
)

func (d *decoder) fail(n *node, reason string) { d.failAt(n.Line, n.path, reason, nil) }

func (d *decoder) failAt(line int, path, reason string, cause error) {
	d.add(&KeyError{File: d.file, Line: line, Key: path, Reason: reason, Err: cause})
}

func (d *decoder) add(err error) {
	if len(d.wrong) < maxProblems {
		d.wrong = append(d.wrong, err)
	}
}

// document returns the one document of the data, nil for an empty one or after an
// error.
func (d *decoder) document(data []byte) *node {
	if len(data) > maxFile {
		d.failAt(0, "", fmt.Sprintf("is longer than %d bytes; is it the right file?", maxFile), nil)
		return nil
	}
	reader := yaml.NewDecoder(bytes.NewReader(data))
	var doc, second yaml.Node
	err := decode(reader, &doc)
	if errors.Is(err, io.EOF) {
		return nil
	}
	if err == nil {
		switch next := decode(reader, &second); {
		case next == nil:
			d.failAt(second.Line, "", "begins a second document; a configuration is one", nil)
			return nil
		case !errors.Is(next, io.EOF):
			err = next
		}
	}
	if err != nil {
		line, reason := syntax(err)
		d.failAt(line, "", reason, nil)
		return nil
	}
	if doc.Kind != yaml.DocumentNode || len(doc.Content) != 1 {
		return nil
	}
	root := &node{doc.Content[0], ""}
	if !d.plain(root.Node, 1) {
		return nil
	}
	if root.Tag == "!!null" {
		return nil // nothing but comments
	}
	return root
}

// decode keeps a fault of the library's parser from ending a server that is told to
// read its configuration again.
func decode(r *yaml.Decoder, n *yaml.Node) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("yaml: cannot be read: %v", p)
		}
	}()
	return r.Decode(n)
}

// syntax takes the line out of the parser's message.
func syntax(err error) (line int, reason string) {
	reason = strings.TrimPrefix(err.Error(), "yaml: ")
	if rest, ok := strings.CutPrefix(reason, "line "); ok {
		if number, text, ok := strings.Cut(rest, ": "); ok {
			if n, err := strconv.Atoi(number); err == nil {
				return n, "is no YAML: " + text
			}
		}
	}
	return 0, "is no YAML: " + reason
}

// plain refuses anchors and aliases, by which a small file becomes a large one, and
// what is nested too deep. Aliases are not followed.
func (d *decoder) plain(n *yaml.Node, depth int) bool {
	switch {
	case n.Kind == yaml.AliasNode || n.Anchor != "":
		d.failAt(n.Line, "", "anchors and aliases (& and *) are not allowed; put text that begins so in quotes", nil)
		return false
	case depth > maxDepth:
		d.failAt(n.Line, "", "is nested too deep", nil)
		return false
	}
	for _, c := range n.Content {
		if !d.plain(c, depth+1) {
			return false
		}
	}
	return true
}

// mapping hands out the values of a mapping that has only these keys. It returns
// which there were.
func (d *decoder) mapping(n *node, keys []key) map[string]*node {
	if n.Kind != yaml.MappingNode || n.ShortTag() != "!!map" {
		d.fail(n, "must be keys and values, not "+describe(n.Node))
		return nil
	}
	seen := make(map[string]*node)
	for i := 0; i+1 < len(n.Content); i += 2 {
		k, v := n.Content[i], n.Content[i+1]
		path := k.Value
		if n.path != "" {
			path = n.path + "." + k.Value
		}
		at := &node{v, path}
		take := find(keys, k)
		switch {
		case take == nil:
			d.failAt(k.Line, n.path, unknown(k, keys), nil)
		case seen[k.Value] != nil:
			d.failAt(k.Line, path, fmt.Sprintf("is given twice, first in line %d", seen[k.Value].Line), nil)
		default:
			seen[k.Value] = at
			take(at)
		}
	}
	return seen
}

func find(keys []key, k *yaml.Node) func(*node) {
	for _, known := range keys {
		if k.Kind == yaml.ScalarNode && k.ShortTag() == "!!str" && k.Value == known.name {
			return known.take
		}
	}
	return nil
}

func unknown(k *yaml.Node, keys []key) string {
	names := make([]string, len(keys))
	for i := range keys {
		names[i] = keys[i].name
	}
	if k.Kind != yaml.ScalarNode {
		return "a key must be one of " + strings.Join(names, ", ")
	}
	return fmt.Sprintf("unknown key %q; the nearest is %q", shorten(k.Value), nearest(k.Value, names))
}

// list hands out the items of a list.
func (d *decoder) list(n *node, take func(i int, item *node)) {
	if n.Kind != yaml.SequenceNode || n.ShortTag() != "!!seq" {
		d.fail(n, "must be a list, not "+describe(n.Node))
		return
	}
	for i, c := range n.Content {
		take(i, &node{c, fmt.Sprintf("%s[%d]", n.path, i)})
	}
}

// text returns text that is not empty.
func (d *decoder) text(n *node) (string, bool) {
	switch {
	case n.Kind != yaml.ScalarNode || n.ShortTag() != "!!str":
		d.fail(n, "must be text, not "+describe(n.Node)+"; put text that looks like something else in quotes")
		return "", false
	case n.Value == "":
		d.fail(n, "must not be empty")
		return "", false
	}
	return n.Value, true
}

func (d *decoder) duration(n *node) time.Duration {
	if n.Kind == yaml.ScalarNode && n.ShortTag() == "!!str" {
		if v, err := time.ParseDuration(n.Value); err == nil {
			return v
		}
	}
	d.fail(n, "must be a duration with its unit, such as 10s or 2m, not "+describe(n.Node))
	return 0
}

func (d *decoder) positive(n *node) int {
	if n.Kind == yaml.ScalarNode && n.ShortTag() == "!!int" {
		if v, err := strconv.ParseInt(n.Value, 10, 32); err == nil && v > 0 {
			return int(v)
		}
	}
	d.fail(n, "must be a whole number from 1 on, not "+describe(n.Node)+"; leave it out for no limit")
	return 0
}

// describe says what somebody has written instead.
func describe(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "keys and values"
	case yaml.SequenceNode:
		return "a list"
	case yaml.ScalarNode:
		if n.ShortTag() == "!!null" {
			return "nothing"
		}
		if n.ShortTag() == "!!str" {
			return strconv.Quote(shorten(n.Value))
		}
		return shorten(n.Value)
	}
	return "this"
}

func shorten(s string) string {
	if len(s) <= maxShown {
		return s
	}
	return strings.ToValidUTF8(s[:maxShown], "") + "…"
}

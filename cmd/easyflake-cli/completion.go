package main

import (
	"reflect"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
)

// completionCmd prints a script that makes a shell complete this program's
// command lines. The script is made from the same grammar that parses them.
type completionCmd struct {
	Shell string `arg:"" enum:"bash,zsh,fish" help:"bash, zsh or fish."`
}

// Help is printed below the usage.
func (*completionCmd) Help() string {
	return `
To have it in every new shell:

    # bash, in ~/.bashrc
    source <(easyflake-cli completion bash)

    # zsh, in ~/.zshrc, below compinit
    source <(easyflake-cli completion zsh)

    # fish
    easyflake-cli completion fish > ~/.config/fish/completions/easyflake-cli.fish
`
}

// Run prints the script.
func (c *completionCmd) Run(w *world, parser *kong.Kong) error {
	root := completionOf(parser.Model.Node, nil)
	switch c.Shell {
	case "bash":
		return w.print(bashCompletion(root))
	case "zsh":
		return w.print(zshCompletion(root))
	}
	return w.print(fishCompletion(root))
}

// completion is what a shell has to know of a command.
type completion struct {
	path     []string // the words that lead to it
	help     string
	flags    []completionFlag
	args     []completionArg
	children []*completion
	fallback *completion // the child that runs if none is named
}

type completionFlag struct {
	long, short string // without dashes; short may be empty
	help        string
	takesValue  bool
	values      []string // that it can have, where they are known
}

type completionArg struct {
	name   string
	values []string
	many   bool
}

func completionOf(node *kong.Node, path []string) *completion {
	c := &completion{path: path, help: node.Help}
	for _, group := range node.AllFlags(true) {
		for _, f := range group {
			flag := completionFlag{long: f.Name, help: f.Help, takesValue: !f.IsBool(), values: valuesOf(f.Value)}
			if f.Short != 0 {
				flag.short = string(f.Short)
			}
			c.flags = append(c.flags, flag)
		}
	}
	for _, arg := range node.Positional {
		c.args = append(c.args, completionArg{arg.Name, valuesOf(arg), arg.IsCumulative()})
	}
	for _, child := range node.Children {
		if child.Hidden {
			continue
		}
		sub := completionOf(child, append(slices.Clip(path), child.Name))
		c.children = append(c.children, sub)
		if child == node.DefaultCmd {
			c.fallback = sub
		}
	}
	if c.fallback != nil {
		c.flags, c.args = c.fallback.flags, c.fallback.args
	}
	return c
}

func valuesOf(v *kong.Value) []string {
	if v.Enum != "" {
		return v.EnumSlice()
	}
	target := v.Target
	if target.Kind() == reflect.Pointer && target.IsNil() { // a flag that may be left out
		target = reflect.New(target.Type().Elem()).Elem()
	}
	if known, ok := reflect.TypeAssert[interface{ completions() []string }](target); ok {
		return known.completions()
	}
	return nil
}

// all returns c and everything below it.
func (c *completion) all() []*completion {
	list := []*completion{c}
	for _, child := range c.children {
		list = append(list, child.all()...)
	}
	return list
}

func (c *completion) name() string { return c.path[len(c.path)-1] }

func (c *completion) childNames() []string {
	var names []string
	for _, child := range c.children {
		names = append(names, child.name())
	}
	return names
}

// options are the flag as it is typed, the long form last.
func (f *completionFlag) options() []string {
	if f.short == "" {
		return []string{"--" + f.long}
	}
	return []string{"-" + f.short, "--" + f.long}
}

// quoted returns s as one word of a shell.
func quoted(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

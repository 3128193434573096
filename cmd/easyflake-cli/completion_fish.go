package main

import (
	"fmt"
	"strings"
)

// fishCompletion returns a script of complete commands.
func fishCompletion(root *completion) string {
	var b strings.Builder
	fmt.Fprintf(&b, "# fish completion for %[1]s\n\ncomplete -c %[1]s -f\n", appName)
	for _, c := range root.all() {
		here := fishCondition(c)
		b.WriteByte('\n')
		for _, child := range c.children {
			fmt.Fprintf(&b, "complete -c %s -n %s -a %s -d %s\n", appName, quoted(here), child.name(), quoted(child.help))
		}
		for _, arg := range c.args {
			if len(arg.values) > 0 {
				fmt.Fprintf(&b, "complete -c %s -n %s -a %s\n", appName, quoted(here), quoted(strings.Join(arg.values, " ")))
			}
			break // the ones after it have the same
		}
		for _, f := range c.flags {
			fmt.Fprintf(&b, "complete -c %s -n %s -l %s", appName, quoted(here), f.long)
			if f.short != "" {
				b.WriteString(" -s " + f.short)
			}
			if f.takesValue {
				b.WriteString(" -x")
			}
			if len(f.values) > 0 {
				b.WriteString(" -a " + quoted(strings.Join(f.values, " ")))
			}
			fmt.Fprintf(&b, " -d %s\n", quoted(f.help))
		}
	}
	return b.String()
}

// fishCondition holds where the words so far lead to this command, and to none
// below it.
func fishCondition(c *completion) string {
	if len(c.path) == 0 {
		return "__fish_use_subcommand"
	}
	var conditions []string
	for _, word := range c.path {
		conditions = append(conditions, "__fish_seen_subcommand_from "+word)
	}
	if len(c.children) > 0 {
		conditions = append(conditions, "not __fish_seen_subcommand_from "+strings.Join(c.childNames(), " "))
	}
	return strings.Join(conditions, "; and ")
}

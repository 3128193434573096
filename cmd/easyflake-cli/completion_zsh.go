package main

import (
	"fmt"
	"strconv"
	"strings"
)

// zshCompletion returns a script with a function for each command. It can be
// sourced, or put into a file _easyflake-cli on fpath.
func zshCompletion(root *completion) string {
	var b strings.Builder
	fmt.Fprintf(&b, "#compdef %s\n", appName)
	for _, c := range root.all() {
		fmt.Fprintf(&b, "\n%s() {\n", zshFunction(c))
		if len(c.children) > 0 {
			zshBranch(&b, c)
		} else {
			zshArguments(&b, c)
		}
		b.WriteString("}\n")
	}
	fmt.Fprintf(&b, `
if [[ $funcstack[1] == %[1]s ]]; then
    %[1]s "$@"
else
    compdef %[1]s %[2]s
fi
`, zshFunction(root), appName)
	return b.String()
}

func zshFunction(c *completion) string {
	return strings.Join(append([]string{"_easyflake-cli"}, c.path...), "_")
}

// zshBranch completes the name of a command, or leaves the rest to the command
// that has been named.
func zshBranch(b *strings.Builder, c *completion) {
	b.WriteString(`    while (( CURRENT > 2 )) && [[ $words[2] == -* ]]; do
        words[2]=()
        (( CURRENT-- ))
    done
    if (( CURRENT == 2 )) && [[ $words[2] != -* ]]; then
        local -a commands=(
`)
	for _, child := range c.children {
		fmt.Fprintf(b, "            %s\n", quoted(child.name()+":"+child.help))
	}
	b.WriteString("        )\n        _describe -t commands command commands\n")
	if c.fallback != nil {
		fmt.Fprintf(b, "        %s\n", zshFunction(c.fallback))
	}
	b.WriteString("        return\n    fi\n    case $words[2] in\n")
	for _, child := range c.children {
		fmt.Fprintf(b, "    %s) shift words; (( CURRENT-- )); %s; return ;;\n", child.name(), zshFunction(child))
	}
	b.WriteString("    esac\n")
	zshArguments(b, c)
}

func zshArguments(b *strings.Builder, c *completion) {
	b.WriteString("    _arguments -s")
	for _, f := range c.flags {
		help := quoted("[" + zshEscape(f.help) + "]")
		value, plus, equals := "", "", ""
		if f.takesValue { // -n5 as well as -n 5
			value, plus, equals = quoted(":value:"+zshValues(f.values)), "+", "="
		}
		if f.short == "" {
			fmt.Fprintf(b, " \\\n        --%s%s%s%s", f.long, equals, help, value)
			continue
		}
		fmt.Fprintf(b, " \\\n        '(-%[1]s --%[2]s)'{-%[1]s%[3]s,--%[2]s%[4]s}%[5]s%[6]s", f.short, f.long, plus, equals, help, value)
	}
	for i, arg := range c.args {
		place := strconv.Itoa(i + 1)
		if arg.many {
			place = "*"
		}
		fmt.Fprintf(b, " \\\n        %s", quoted(place+":"+arg.name+":"+zshValues(arg.values)))
	}
	b.WriteByte('\n')
}

func zshValues(values []string) string {
	if len(values) == 0 {
		return " "
	}
	return "(" + strings.Join(values, " ") + ")"
}

func zshEscape(s string) string {
	return strings.NewReplacer("[", `\[`, "]", `\]`, ":", `\:`).Replace(s)
}

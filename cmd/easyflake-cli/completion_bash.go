package main

import (
	"fmt"
	"strings"
)

// bashCompletion returns a script for bash 3.2 and later. It needs no other
// package.
func bashCompletion(root *completion) string {
	var steps, valued, values, flags, words strings.Builder
	for _, c := range root.all() {
		path := strings.Join(c.path, " ")
		for _, child := range c.children {
			fmt.Fprintf(&steps, "            %s) path=%s ;;\n", quoted(path+"/"+child.name()), quoted(strings.Join(child.path, " ")))
		}
		var options []string
		for _, f := range c.flags {
			options = append(options, "--"+f.long)
			if !f.takesValue {
				continue
			}
			var patterns []string
			for _, option := range f.options() {
				patterns = append(patterns, quoted(path+" "+option))
			}
			pattern := strings.Join(patterns, " | ")
			fmt.Fprintf(&valued, "            %s) flag=$word ;;\n", pattern)
			if len(f.values) > 0 {
				fmt.Fprintf(&values, "        %s) list=%s ;;\n", pattern, quoted(strings.Join(f.values, " ")))
			}
		}
		fmt.Fprintf(&flags, "        %s) list=%s ;;\n", quoted(path), quoted(strings.Join(options, " ")))
		next := c.childNames()
		for _, arg := range c.args {
			next = append(next, arg.values...)
			break // the ones after it have the same
		}
		if len(next) > 0 {
			fmt.Fprintf(&words, "        %s) list=%s ;;\n", quoted(path), quoted(strings.Join(next, " ")))
		}
	}
	return fmt.Sprintf(`# bash completion for %[1]s

_easyflake_cli() {
    local cur=${COMP_WORDS[COMP_CWORD]} path= flag= list= word i
    # Which command this is, and whether its last word is a flag without its value.
    for ((i = 1; i < COMP_CWORD; i++)); do
        word=${COMP_WORDS[i]}
        if [[ $word == = ]]; then
            continue # bash takes --flag=value for three words
        elif [[ -n $flag ]]; then
            flag=
        elif [[ $word == -* ]]; then
            case "$path $word" in
%[2]s            esac
        else
            case "$path/$word" in
%[3]s            esac
        fi
    done
    [[ $cur == = ]] && cur=
    if [[ -n $flag ]]; then
        case "$path $flag" in
%[4]s        esac
    elif [[ $cur == -* ]]; then
        case $path in
%[5]s        esac
    else
        case $path in
%[6]s        esac
    fi
    COMPREPLY=($(compgen -W "$list" -- "$cur"))
}

complete -F _easyflake_cli %[1]s
`, appName, &valued, &steps, &values, &flags, &words)
}

// Package redacted makes of an engine's URL what may be shown to anybody.
package redacted

import (
	"slices"
	"strings"
)

// URL returns a URL without the password and without the parameters, of which some are
// secret too, but one; the scheme and a colon where it cannot be told what is secret, the
// first one if it has none of these. It need not be a valid one.
func URL(address, parameter string, schemes ...string) string {
	own, rest, _ := strings.Cut(address, "://")
	if !slices.Contains(schemes, own) { // whatever that is, it may have the password in it
		return schemes[0] + ":"
	}
	// A password may have any character in it, if somebody forgot to escape them: what
	// follows the last @ is none of it.
	user := ""
	if at := strings.LastIndexByte(rest, '@'); at >= 0 {
		if strings.Contains(rest[:at], "?") { // it may be in a parameter's password
			return own + ":"
		}
		user, _, _ = strings.Cut(rest[:at], ":")
		if user != "" {
			user += "@"
		}
		rest = rest[at+1:]
	}
	rest, _, _ = strings.Cut(rest, "#")
	rest, parameters, _ := strings.Cut(rest, "?")
	shown := ""
	for p := range strings.SplitSeq(parameters, "&") {
		if parameter != "" && strings.HasPrefix(p, parameter+"=") {
			shown = "?" + p
		}
	}
	return own + "://" + user + rest + shown
}

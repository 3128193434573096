package pool

import (
	"strings"

	"github.com/easyflake/easyflake/layout"
)

// NodeFromHostName returns the ordinal at the end of a host name, as Kubernetes
// names the pods of a StatefulSet: 3 for "web-3" and for "web-3.web.prod.svc". The
// name is [os.Hostname]'s.
//
// Kubernetes lets no two pods of a StatefulSet with one ordinal live at a time,
// unless somebody forces a deletion: then A4 of the guarantee is broken. Two
// StatefulSets have the same ordinals and must not share a namespace of IDs; nor
// must two containers of one pod, or two processes in one.
//
// It refuses names that end in a number and mean something else: those of a
// Deployment's pods, whose random end may be all digits, and those that hold an
// IPv4 address, as in EC2.
func NodeFromHostName(name string, l layout.Layout) (int64, error) {
	const source = "host name"
	fail := func(reason string) (int64, error) { return 0, &NodeSourceError{source, name, reason} }
	label, _, _ := strings.Cut(name, ".")
	parts := strings.Split(label, "-")
	last := parts[len(parts)-1]
	switch {
	case len(parts) < 2 || parts[0] == "" || last == "" || strings.Trim(last, "0123456789") != "":
		return fail(`it does not end in a hyphen and an ordinal, as "web-3" does; run the pods in a StatefulSet, or set an environment variable`)
	case address(parts):
		return fail("it ends in an address, not in an ordinal: hosts of other networks have the same end; lease nodes from a pool, or set an environment variable")
	case ofDeployment(parts):
		return fail("it is the name of a Deployment's pod, whose end is random; run the pods in a StatefulSet, or lease nodes from a pool")
	}
	return number(source, name, last, l)
}

// address reports whether the last four parts could be those of an IPv4 address.
func address(parts []string) bool {
	if len(parts) < 4 {
		return false
	}
	for _, p := range parts[len(parts)-4:] {
		if p == "" || len(p) > 3 || strings.Trim(p, "0123456789") != "" {
			return false
		}
	}
	return true
}

// ofDeployment reports whether a name is made like "web-7d4b9c6f5d-24567": the
// hash of a template and five characters, both of the alphabet that Kubernetes
// takes random names from (k8s.io/apimachinery/pkg/util/rand), which has no vowels
// and no 0, 1 and 3.
func ofDeployment(parts []string) bool {
	const alphabet = "bcdfghjklmnpqrstvwxz2456789"
	if len(parts) < 3 {
		return false
	}
	hash, end := parts[len(parts)-2], parts[len(parts)-1]
	return len(end) == 5 && len(hash) >= 6 && len(hash) <= 10 &&
		strings.Trim(hash+end, alphabet) == ""
}

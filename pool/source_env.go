package pool

import "github.com/easyflake/easyflake/layout"

// NodeFromEnv returns the node number in an environment variable, written in
// decimal. lookup is [os.LookupEnv], or what stands for it in a test.
//
// In Kubernetes, the variable can be the pod's index in its StatefulSet, label
// apps.kubernetes.io/pod-index by the downward API. See [NodeFromHostName] for
// what that is worth.
func NodeFromEnv(lookup func(name string) (value string, ok bool), name string, l layout.Layout) (int64, error) {
	source := "environment variable " + name
	value, ok := lookup(name)
	switch {
	case !ok:
		return 0, &NodeSourceError{source, "", "it is not set; set it to a node number that no other live process has"}
	case value == "":
		return 0, &NodeSourceError{source, "", "it is empty; set it to a node number that no other live process has"}
	}
	return number(source, value, value, l)
}

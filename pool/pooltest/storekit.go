package pooltest

import (
	"fmt"

	"github.com/easyflake/easyflake/pool"
)

func describe(w pool.Write) string {
	if w.OfNamespace {
		return fmt.Sprintf("namespace %q at revision %d", w.Namespace, w.NamespaceRevision)
	}
	return fmt.Sprintf("node %d at revision %d, of %q at revision %d", w.Node, w.NodeRevision, w.Namespace, w.NamespaceRevision)
}

func short(value []byte) string {
	if len(value) > 40 {
		return fmt.Sprintf("%d bytes, %q…", len(value), value[:40])
	}
	return fmt.Sprintf("%q", value)
}

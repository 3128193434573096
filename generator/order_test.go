package generator

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A stamp reads the word first and the window then; the other way around, both may
// change in between, and the swap succeeds under a window that is over. The gap is
// a single instruction wide, so that TestRaceOfATornStamp meets it in some runs
// only: this reads the source. Atomic operations are not reordered, neither by the
// compiler nor by the CPU.
func TestStampsReadTheWordBeforeTheWindow(t *testing.T) {
	entries, err := os.ReadDir(".")
	require.NoError(t, err)
	var stamps int
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), ".go") || strings.HasSuffix(e.Name(), "_test.go") {
			continue
		}
		files := token.NewFileSet()
		file, err := parser.ParseFile(files, e.Name(), nil, parser.SkipObjectResolution)
		require.NoError(t, err)
		for _, d := range file.Decls {
			f, ok := d.(*ast.FuncDecl)
			if !ok || f.Body == nil {
				continue
			}
			word, window, swap := callOf(f.Body, "value", "Load"), callOf(f.Body, "window", "Load"), callOf(f.Body, "value", "CompareAndSwap")
			if !swap.IsValid() {
				continue
			}
			stamps++
			assert.True(t, word.IsValid() && window.IsValid(), "%s: a stamp needs both the word and the window", files.Position(f.Pos()))
			assert.Less(t, word, window, "%s: the window is read before the word", files.Position(f.Pos()))
			assert.Less(t, window, swap, "%s: the word is swapped before the window is read", files.Position(f.Pos()))
		}
	}
	require.Equal(t, 2, stamps, "Atomic.Next and atomicWord.reserve; is there a new stamp, or did one go?")
}

// callOf returns where a body first calls a method of a field.
func callOf(body *ast.BlockStmt, field, method string) (at token.Pos) {
	ast.Inspect(body, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok || at.IsValid() {
			return true
		}
		called, ok := call.Fun.(*ast.SelectorExpr)
		if !ok || called.Sel.Name != method {
			return true
		}
		if of, ok := called.X.(*ast.SelectorExpr); ok && of.Sel.Name == field {
			at = called.Sel.Pos()
		}
		return true
	})
	return at
}

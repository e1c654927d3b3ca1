// Package architecture checks what no compiler checks: that imports point one way, that the packages which decide stay
// pure, and that the tree holds only what belongs to it. It holds tests alone.
package architecture

import (
	"bytes"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
)

const module = "github.com/assay-sec/assay/"

// layers are the packages from the top down. A package imports packages of the layers below its own, and of its own
// layer only its subpackages. A package that stands in no layer belongs to the layer of its nearest parent folder.
var layers = [][]string{
	{"functions", "pkg/bench", "pkg/sample", "pkg/internal"},
	{"pkg/cli"},
	{"pkg/app"},
	{"pkg/api"},
	{"pkg/ingest", "pkg/devhost", "pkg/casefile", "pkg/telemetry", "pkg/smoke"},
	{"pkg/store/sqlite", "pkg/store/cosmos", "pkg/store/storetest"},
	{"pkg/replay/archive", "pkg/replay/capture", "pkg/replay/eventhubs", "pkg/replay/files"},
	{"pkg/replay/blobs"},
	{"pkg/replay"},
	{"pkg/pipeline", "pkg/keys", "pkg/coverage"},
	{"pkg/config"},
	{"pkg/notify/teams", "pkg/notify/webhook", "pkg/notify/keyvault", "pkg/notify/notifytest"},
	{"pkg/notify/outbound"},
	{"pkg/notify"},
	{"pkg/store"},
	{"pkg/access", "pkg/issuance", "pkg/learn", "pkg/rules", "pkg/sigma", "pkg/suppress"},
	{"pkg/alert"},
	{"pkg/reference"},
	{"pkg/rule"},
	{"pkg/normalize"},
	{"pkg/envelope", "pkg/decode", "pkg/azfunc"},
	{"pkg/event", "pkg/sample/made", "pkg/bench/corpus"},
}

// pure packages decide. They do no I/O and read no clock, so the same record always gets the same answer.
var pure = []string{"pkg/event", "pkg/rule", "pkg/rules", "pkg/sigma", "pkg/alert", "pkg/suppress", "pkg/learn", "pkg/issuance"}

// impure is what pure packages may not import.
var impure = []string{"os", "net", "net/http", "net/rpc", "database/sql", "log", "log/slog", "syscall", "os/exec"}

// clock is what pure packages may not call of package time.
var clock = []string{"Now", "Since", "Until", "After", "AfterFunc", "Sleep", "Tick", "NewTicker", "NewTimer"}

// leaves are implementations behind an interface. Only the wiring imports them.
var (
	leaves = []string{"pkg/config/reload/blob", "pkg/store/sqlite", "pkg/store/cosmos", "pkg/notify/teams", "pkg/notify/webhook", "pkg/notify/keyvault", "pkg/replay/archive", "pkg/replay/capture", "pkg/replay/eventhubs", "pkg/replay/files"}
	wiring = []string{"pkg/app", "pkg/cli"}
)

// topLevel is all that the repository's root may hold; dot-files come on top.
var topLevel = []string{
	"functions", "pkg", "infra", "host.json", "local.settings.sample.json", "go.mod", "go.sum", "Makefile", "README.md",
	"LICENSE", "SECURITY.md", "CONTRIBUTING.md",
	"bin", "dist", // built, and ignored by git
}

// source is one Go package of the tree, tests left out.
type source struct {
	dir     string // relative to the root, with slashes
	files   map[string]*ast.File
	imports map[string][]string // import path to the files that import it
	set     *token.FileSet
}

func TestImportsPointDownwards(t *testing.T) {
	t.Parallel()
	for _, p := range packages(t) {
		own := layer(p.dir)
		if own < 0 {
			t.Errorf("%s stands in no layer: give it one", p.dir)
			continue
		}
		for path, files := range p.imports {
			to, ours := strings.CutPrefix(path, module)
			if !ours || strings.HasPrefix(to, p.dir+"/") {
				continue
			}
			if below := layer(to); below <= own && !strings.HasPrefix(p.dir, to+"/") {
				t.Errorf("%s imports %s, which is not below it (%s)", p.dir, to, strings.Join(files, ", "))
			}
		}
	}
}

// The diagram in pkg/README.md has a line for each layer, in the same order.
func TestReadmeDrawsTheLayers(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(filepath.Join(root(t), "pkg", "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	next := 0
	for line := range strings.Lines(string(text)) {
		if next == len(layers) {
			break
		}
		var names []string
		for _, dir := range layers[next] {
			if dir != "pkg/sample/made" && dir != "pkg/bench/corpus" { // data for programs, at the bottom only for its imports
				names = append(names, strings.TrimPrefix(dir, "pkg/"))
			}
		}
		if drawing := strings.Join(names, " · "); strings.TrimSpace(line) == drawing || strings.HasPrefix(line, drawing+"  ") {
			next++
		}
	}
	if next < len(layers) {
		t.Errorf("pkg/README.md does not draw the layer %v", layers[next])
	}
}

func TestFunctionHandlersKnowNothingOfSecurity(t *testing.T) {
	t.Parallel()
	for _, p := range packages(t) {
		if p.dir != "pkg/azfunc" {
			continue
		}
		for path := range p.imports {
			if strings.HasPrefix(path, module) {
				t.Errorf("%s imports %s: the custom-handler contract stands alone", p.dir, path)
			}
		}
	}
}

func TestOnlyTheWiringImportsImplementations(t *testing.T) {
	t.Parallel()
	for _, p := range packages(t) {
		for path := range p.imports {
			to := strings.TrimPrefix(path, module)
			if slices.Contains(leaves, to) && !slices.ContainsFunc(append(wiring, to), within(p.dir)) {
				t.Errorf("%s imports %s: only %v choose implementations", p.dir, to, wiring)
			}
		}
	}
}

// A pure package may not reach I/O through a package of ours either.
func TestDecidingPackagesArePure(t *testing.T) {
	t.Parallel()
	all := map[string]source{}
	for _, p := range packages(t) {
		all[p.dir] = p
	}
	for dir := range all {
		if !slices.ContainsFunc(pure, within(dir)) || strings.Contains(dir, "/internal") {
			continue
		}
		seen := map[string]bool{}
		var visit func(at, via string)
		visit = func(at, via string) {
			if seen[at] {
				return
			}
			seen[at] = true
			for path := range all[at].imports {
				if slices.Contains(impure, path) {
					t.Errorf("%s imports %s%s", dir, path, via)
				}
				if to, ours := strings.CutPrefix(path, module); ours {
					visit(to, " through "+to)
				}
			}
		}
		visit(dir, "")
		for name, file := range all[dir].files {
			ast.Inspect(file, func(n ast.Node) bool {
				sel, ok := n.(*ast.SelectorExpr)
				if !ok {
					return true
				}
				if x, ok := sel.X.(*ast.Ident); ok && x.Name == "time" && slices.Contains(clock, sel.Sel.Name) {
					t.Errorf("%s calls time.%s: event times are all that a rule knows", name, sel.Sel.Name)
				}
				return true
			})
		}
	}
}

// Package variables are errors, catalogues and compiled patterns. Once set they stay: nothing assigns to them or to their
// elements.
func TestNoPackageVariableChanges(t *testing.T) {
	t.Parallel()
	for _, p := range packages(t) {
		files := make([]*ast.File, 0, len(p.files))
		for _, f := range p.files {
			files = append(files, f)
		}
		// Imports stay unresolved, which the types of our own names do not need.
		info := &types.Info{Uses: map[*ast.Ident]types.Object{}}
		conf := types.Config{Error: func(error) {}, Importer: nowhere{}}
		pkg, _ := conf.Check(p.dir, p.set, files, info)
		global := func(e ast.Expr) string {
			for {
				switch x := e.(type) {
				case *ast.IndexExpr:
					e = x.X
				case *ast.SelectorExpr:
					e = x.X
				case *ast.ParenExpr:
					e = x.X
				case *ast.Ident:
					if v, ok := info.Uses[x].(*types.Var); ok && v.Parent() == pkg.Scope() {
						return v.Name()
					}
					return ""
				default:
					return ""
				}
			}
		}
		check := func(at token.Pos, e ast.Expr) {
			if name := global(e); name != "" {
				t.Errorf("%s changes the package variable %s", p.set.Position(at), name)
			}
		}
		for _, f := range files {
			ast.Inspect(f, func(n ast.Node) bool {
				switch n := n.(type) {
				case *ast.AssignStmt:
					for _, e := range n.Lhs {
						check(n.Pos(), e)
					}
				case *ast.IncDecStmt:
					check(n.Pos(), n.X)
				case *ast.CallExpr:
					if f, ok := n.Fun.(*ast.Ident); ok && len(n.Args) > 0 && (f.Name == "delete" || f.Name == "clear") {
						check(n.Pos(), n.Args[0])
					}
				}
				return true
			})
		}
	}
}

// nowhere finds no import.
type nowhere struct{}

func (nowhere) Import(string) (*types.Package, error) { return nil, errors.New("not needed") }

func TestNothingHappensBeforeMain(t *testing.T) {
	t.Parallel()
	for _, p := range packages(t) {
		for name, file := range p.files {
			for _, d := range file.Decls {
				if f, ok := d.(*ast.FuncDecl); ok && f.Recv == nil && f.Name.Name == "init" {
					t.Errorf("%s has an init function", name)
				}
			}
		}
	}
}

func TestEveryPackageSaysWhatItIs(t *testing.T) {
	t.Parallel()
	for _, p := range packages(t) {
		documented := false
		for name, file := range p.files {
			if file.Doc == nil {
				continue
			}
			if documented {
				t.Errorf("%s: the package is documented in more than one file", name)
			}
			documented = true
		}
		if !documented {
			t.Errorf("%s has no package comment", p.dir)
		}
	}
}

func TestRootHoldsOnlyWhatBelongsThere(t *testing.T) {
	t.Parallel()
	entries, err := os.ReadDir(root(t))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), ".") && !slices.Contains(topLevel, e.Name()) {
			t.Errorf("%s has no place at the top level", e.Name())
		}
	}
}

// What must not stand in a file, in two pieces so that this file does not hold it.
var (
	machinePaths  = []string{"/wo" + "rk/", "/fa" + "rm/", "/ro" + "ot/"}
	registryHosts = []string{"proxy." + "golang.org", "sum." + "golang.org", "registry." + "npmjs", "deb." + "debian.", "py" + "pi.org"}
	leftOpen      = []string{"TO" + "DO", "FIX" + "ME"}
	emptyFolders  = regexp.MustCompile(`(^|/)(testdata/fuzz|node_modules)(/|$)`)
)

func TestFilesNameNoMachineAndLeaveNothingOpen(t *testing.T) {
	t.Parallel()
	walk(t, func(name string, d fs.DirEntry) {
		if !d.Type().IsRegular() || path.Ext(name) == ".gz" { // a link to a folder of packages is not ours
			return
		}
		text, err := os.ReadFile(filepath.Join(root(t), filepath.FromSlash(name)))
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range machinePaths {
			// A path is of a machine only if it begins here: "a/b/c" is not b's.
			for rest := text; ; {
				i := bytes.Index(rest, []byte(p))
				if i < 0 {
					break
				}
				if i == 0 || !pathByte(rest[i-1]) {
					t.Errorf("%s holds a path of one machine: %s", name, p)
				}
				rest = rest[i+1:]
			}
		}
		for _, h := range registryHosts {
			if bytes.Contains(text, []byte(h)) {
				t.Errorf("%s holds the host of a package registry: %s", name, h)
			}
		}
		if path.Ext(name) != ".go" {
			return
		}
		for _, m := range leftOpen {
			if bytes.Contains(text, []byte(m)) {
				t.Errorf("%s leaves something open: %s", name, m)
			}
		}
	})
}

func pathByte(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte("_./-", c) >= 0
}

func TestNoFolderIsEmpty(t *testing.T) {
	t.Parallel()
	walk(t, func(name string, d fs.DirEntry) {
		if !d.IsDir() || emptyFolders.MatchString(name) {
			return
		}
		entries, err := os.ReadDir(filepath.Join(root(t), filepath.FromSlash(name)))
		if err != nil {
			t.Fatal(err)
		}
		if len(entries) == 0 {
			t.Errorf("%s is empty", name)
		}
	})
}

// Every module that our files import, tests included, has a row in CONTRIBUTING.md.
func TestEveryDependencyIsAccountedFor(t *testing.T) {
	t.Parallel()
	read := func(name string) string {
		text, err := os.ReadFile(filepath.Join(root(t), name))
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	page := read("CONTRIBUTING.md")
	var modules []string
	for _, m := range regexp.MustCompile(`(?m)^(?:require )?\t?([\w.-]+\.[a-z]+/\S+) v\S+`).FindAllStringSubmatch(read("go.mod"), -1) {
		modules = append(modules, m[1])
	}
	imported := map[string]bool{}
	walk(t, func(name string, d fs.DirEntry) {
		if d.IsDir() || path.Ext(name) != ".go" {
			return
		}
		file, err := parser.ParseFile(token.NewFileSet(), filepath.Join(root(t), filepath.FromSlash(name)), nil, parser.ImportsOnly)
		if err != nil {
			t.Fatal(err)
		}
		for _, i := range file.Imports {
			to, err := strconv.Unquote(i.Path.Value)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range modules {
				if to == m || strings.HasPrefix(to, m+"/") {
					imported[m] = true
				}
			}
		}
	})
	if len(imported) == 0 {
		t.Fatal("found no import of a module in go.mod")
	}
	for m := range imported {
		if !strings.Contains(page, "| "+m+" |") {
			t.Errorf("CONTRIBUTING.md does not say why we need %s", m)
		}
	}
}

// layer returns the place of the package's layer, counted from the top, or -1.
func layer(dir string) int {
	for ; dir != "."; dir = path.Dir(dir) {
		for i, l := range layers {
			if slices.Contains(l, dir) {
				return i
			}
		}
	}
	return -1
}

// within tells whether dir is the given folder or lies below it.
func within(dir string) func(string) bool {
	return func(folder string) bool { return dir == folder || strings.HasPrefix(dir, folder+"/") }
}

// packages returns the Go packages of the tree without their tests. They are parsed once.
func packages(t *testing.T) []source {
	t.Helper()
	all, err := parsed()
	if err != nil {
		t.Fatal(err)
	}
	return all
}

var parsed = sync.OnceValues(func() ([]source, error) {
	top, err := top()
	if err != nil {
		return nil, err
	}
	byDir := map[string]source{}
	set := token.NewFileSet()
	err = visit(top, func(name string, d fs.DirEntry) error {
		if d.IsDir() || path.Ext(name) != ".go" || strings.HasSuffix(name, "_test.go") || strings.Contains(name, "/testdata/") {
			return nil
		}
		file, err := parser.ParseFile(set, filepath.Join(top, filepath.FromSlash(name)), nil, parser.ParseComments)
		if err != nil {
			return err
		}
		dir := path.Dir(name)
		p, ok := byDir[dir]
		if !ok {
			p = source{dir: dir, files: map[string]*ast.File{}, imports: map[string][]string{}, set: set}
			byDir[dir] = p
		}
		p.files[name] = file
		for _, i := range file.Imports {
			to, err := strconv.Unquote(i.Path.Value)
			if err != nil {
				return err
			}
			p.imports[to] = append(p.imports[to], path.Base(name))
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	if len(byDir) == 0 {
		return nil, errors.New("found no package")
	}
	return slices.SortedFunc(maps.Values(byDir), func(a, b source) int { return strings.Compare(a.dir, b.dir) }), nil
})

// walk visits the files and folders of the tree. Names are relative, with slashes.
func walk(t *testing.T, each func(name string, d fs.DirEntry)) {
	t.Helper()
	err := visit(root(t), func(name string, d fs.DirEntry) error {
		each(name, d)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// visit leaves out what git does not keep.
func visit(top string, each func(name string, d fs.DirEntry) error) error {
	return filepath.WalkDir(top, func(file string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(top, file)
		if err != nil {
			return err
		}
		if d.IsDir() && slices.Contains([]string{".git", "bin", "dist", "node_modules"}, d.Name()) {
			return fs.SkipDir
		}
		if rel == "." || rel == ".git" { // a file, where the folder is a worktree
			return nil
		}
		return each(filepath.ToSlash(rel), d)
	})
}

func root(t *testing.T) string {
	t.Helper()
	dir, err := top()
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// top returns the folder that holds go.mod.
func top() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); !errors.Is(err, fs.ErrNotExist) {
			return dir, err
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", errors.New("found no go.mod above the test")
		}
		dir = parent
	}
}

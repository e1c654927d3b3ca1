// Command bundle assembles the folder that the Functions host starts from, its script root: host.json, the executable
// under the name that host.json gives it, and a folder with a function.json for each function. The host looks for functions
// in the direct sub-folders of the script root alone, so the tree itself cannot be one.
//
// With -zip it also writes the folder as an archive for deployment: entries relative to the script root, sorted, of one
// fixed time, the executable marked as such. The same files give the same bytes. With -settings it copies a file of app
// settings into the folder, for a local host; such a folder is never archived.
//
// It does not build the executable and does not deploy.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
)

func main() {
	var b bundle
	flag.StringVar(&b.tree, "tree", ".", "the `folder` with host.json and functions/")
	flag.StringVar(&b.settings, "settings", "", "copy this `file` to local.settings.json, unless there is one")
	archive := flag.String("zip", "", "write the folder to this `file`, too")
	flag.Usage = func() {
		fmt.Fprintln(os.Stderr, "usage: bundle [-tree FOLDER] [-zip FILE | -settings FILE] EXECUTABLE FOLDER")
		flag.PrintDefaults()
	}
	flag.Parse()
	if flag.NArg() != 2 {
		flag.Usage()
		os.Exit(1)
	}
	b.executable, b.folder = flag.Arg(0), flag.Arg(1)
	if err := run(&b, *archive); err != nil {
		fmt.Fprintln(os.Stderr, "bundle:", err)
		os.Exit(1)
	}
}

func run(b *bundle, archive string) error {
	if archive != "" && b.settings != "" {
		return errors.New("app settings do not belong into an archive: use -zip or -settings, not both")
	}
	entries, err := b.assemble()
	if err != nil || archive == "" {
		return err
	}
	return writeZip(archive, b.folder, entries)
}

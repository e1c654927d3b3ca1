// Command generate writes the made part of the bundled logs into a folder. It always writes the same bytes.
package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/assay-sec/assay/pkg/sample/made"
)

// What the bundled logs are made with. The seeds mean nothing; they only must stay.
const (
	seed    = 558
	records = 2400
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: generate FOLDER")
		os.Exit(1)
	}
	if err := generate(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "generate:", err)
		os.Exit(1)
	}
}

func generate(dir string) error {
	return errors.Join(
		made.Ordinary(filepath.Join(dir, "ordinary"), seed, records),
		made.Intrusion(filepath.Join(dir, "storm-0558"), seed),
		made.GoldenSAML(filepath.Join(dir, "golden-saml"), seed),
		made.Damaged(filepath.Join(dir, "damaged"), seed),
	)
}

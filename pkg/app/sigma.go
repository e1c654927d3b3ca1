package app

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/assay-sec/assay/pkg/config"
	"github.com/assay-sec/assay/pkg/rule"
	"github.com/assay-sec/assay/pkg/rules"
	"github.com/assay-sec/assay/pkg/sigma"
)

// casesFolder is the name of folders among Sigma rules that hold their case files, and no rules.
const casesFolder = "cases"

// maxRuleFile bounds what is read of one file of Sigma rules, in bytes. The compiler refuses what is larger than its own bound.
const maxRuleFile = 8 << 20

// ReadSigma compiles the Sigma rules in files and folders, under the configuration's placeholders. In a folder, and below it,
// they are *.yml and *.yaml. An error means that a file could not be read; mistakes in rules are in the set.
func ReadSigma(paths []string, c *config.Config, builtin []*rule.Rule) (*sigma.Set, error) {
	files, err := sigmaFiles(paths)
	if err != nil {
		return nil, fmt.Errorf("read Sigma rules: %w", err)
	}
	o := sigma.Options{Placeholders: c.Sigma.Placeholders}
	for _, r := range builtin {
		o.Taken = append(o.Taken, r.ID)
	}
	return sigma.Compile(files, o), nil
}

func sigmaFiles(paths []string) ([]sigma.File, error) {
	var files []sigma.File
	var errs []error
	for _, root := range paths {
		found := 0
		err := filepath.WalkDir(root, func(name string, entry fs.DirEntry, err error) error {
			switch {
			case err != nil:
				return err
			case entry.IsDir() && name != root && (entry.Name() == casesFolder || entry.Name()[0] == '.'):
				return fs.SkipDir
			case entry.IsDir() || name != root && !slices.Contains([]string{".yml", ".yaml"}, filepath.Ext(name)):
				return nil
			}
			found++
			text, err := readBounded(name)
			files = append(files, sigma.File{Name: filepath.ToSlash(name), Text: text})
			return err
		})
		if err == nil && found == 0 {
			err = fmt.Errorf("%s holds no rules (*.yml, *.yaml)", root)
		}
		errs = append(errs, err)
	}
	return files, errors.Join(errs...)
}

// CaseFolders returns the folders among Sigma rules that hold their case files.
func CaseFolders(paths []string) ([]string, error) {
	var folders []string
	for _, root := range paths {
		err := filepath.WalkDir(root, func(name string, entry fs.DirEntry, err error) error {
			if err != nil || !entry.IsDir() || entry.Name() != casesFolder {
				return err
			}
			folders = append(folders, name)
			return fs.SkipDir
		})
		if err != nil {
			return nil, fmt.Errorf("look for case files: %w", err)
		}
	}
	return folders, nil
}

func readBounded(name string) ([]byte, error) {
	f, err := os.Open(name) // #nosec G304 -- the user names the files
	if err != nil {
		return nil, err
	}
	defer f.Close() //nolint:errcheck // nothing was written
	return io.ReadAll(io.LimitReader(f, maxRuleFile))
}

// add puts the Sigma rules behind the built-in ones, and what they need.
func (r *Rules) add(s *sigma.Set, settings rules.Settings) error {
	if len(s.Documents) == 0 {
		return nil
	}
	known := map[string]bool{}
	for _, x := range s.Rules {
		known[x.ID] = true
		set := settings[x.ID]
		if set.Stage != nil {
			x.Stage, x.StageReason = *set.Stage, "set in the configuration"
		}
		if set.Severity != nil {
			for i := range x.Legs {
				x.Legs[i].Severity = *set.Severity
			}
		}
	}
	r.Problems = s.Problems()
	for _, id := range slices.Sorted(maps.Keys(settings)) {
		if !known[id] && len(r.Problems) == 0 { // it may be one with a mistake
			return fmt.Errorf("sigma.settings.%s: there is no such Sigma rule", id)
		}
	}
	r.Rules, r.own = append(r.Rules, s.Rules...), len(s.Rules)
	r.Extras, r.Record = s.Extras, s.Record
	r.Version += "+sigma:" + s.Hash[:12]
	return nil
}

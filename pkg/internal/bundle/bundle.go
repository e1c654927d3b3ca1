package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
)

// Files of a function app.
const (
	hostFile     = "host.json"
	functionFile = "function.json"
	settingsFile = "local.settings.json"
)

// executableSetting replaces the name of the executable that host.json gives.
const executableSetting = "AzureFunctionsJobHost__customHandler__description__defaultExecutablePath"

// bundle is what is to be assembled.
type bundle struct {
	tree       string // holds host.json and functions/
	executable string
	folder     string // becomes the script root
	settings   string // becomes local.settings.json; empty: none
}

// entry is a file of the script root.
type entry struct {
	name string // relative, with slashes
	mode fs.FileMode
}

// assemble fills the folder and returns what it put there, by name. What a former run left is removed, local settings and
// stores of alerts stay.
func (b *bundle) assemble() ([]entry, error) {
	name, err := b.executableName()
	if err != nil {
		return nil, err
	}
	functions, err := filepath.Glob(filepath.Join(b.tree, "functions", "*", functionFile))
	if err != nil {
		return nil, fmt.Errorf("look for functions: %w", err)
	}
	if len(functions) == 0 {
		return nil, fmt.Errorf("there is no function below %s", filepath.Join(b.tree, "functions"))
	}
	if err := b.clear(name); err != nil {
		return nil, err
	}
	files := map[entry]string{
		{hostFile, 0o644}: filepath.Join(b.tree, hostFile),
		{name, 0o755}:     b.executable,
	}
	for _, f := range functions {
		files[entry{path.Join(filepath.Base(filepath.Dir(f)), functionFile), 0o644}] = f
	}
	var out []entry
	for e, from := range files {
		if err := install(from, filepath.Join(b.folder, filepath.FromSlash(e.name)), e.mode); err != nil {
			return nil, err
		}
		out = append(out, e)
	}
	slices.SortFunc(out, func(x, y entry) int { return strings.Compare(x.name, y.name) })
	return out, b.copySettings(name)
}

// clear removes the functions and the executable of a former run: a function that is gone from the tree would live on.
func (b *bundle) clear(executable string) error {
	old, err := filepath.Glob(filepath.Join(b.folder, "*", functionFile))
	if err != nil {
		return fmt.Errorf("look for what a former run left: %w", err)
	}
	for _, f := range old {
		if err := os.RemoveAll(filepath.Dir(f)); err != nil {
			return fmt.Errorf("remove what a former run left: %w", err)
		}
	}
	for _, f := range []string{hostFile, executable} {
		if err := os.Remove(filepath.Join(b.folder, f)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("remove what a former run left: %w", err)
		}
	}
	return nil
}

// executableName reads from host.json what the host is going to start. It has to be a bare name: Core Tools mark an entry as
// executable only if it equals the name, and "./assay" does not.
func (b *bundle) executableName() (string, error) {
	file := filepath.Join(b.tree, hostFile)
	text, err := os.ReadFile(file)
	if err != nil {
		return "", fmt.Errorf("read host.json: %w", err)
	}
	var host struct {
		CustomHandler struct {
			Description struct {
				DefaultExecutablePath string `json:"defaultExecutablePath"`
			} `json:"description"`
		} `json:"customHandler"`
	}
	if err := json.Unmarshal(text, &host); err != nil {
		return "", fmt.Errorf("read %s: %w", file, err)
	}
	name := host.CustomHandler.Description.DefaultExecutablePath
	if name == "" || name != filepath.Base(name) || strings.ContainsAny(name, `/\%`) {
		return "", fmt.Errorf("%s: customHandler.description.defaultExecutablePath is %q, but is to be a bare name", file, name)
	}
	if filepath.Ext(b.executable) == ".exe" {
		name += ".exe"
	}
	return name, nil
}

// copySettings copies the settings unless the folder has some: they may have been changed. On Windows the executable has
// another name than in host.json.
func (b *bundle) copySettings(executable string) error {
	to := filepath.Join(b.folder, settingsFile)
	if _, err := os.Stat(to); b.settings == "" || err == nil {
		return nil
	}
	text, err := os.ReadFile(b.settings)
	if err != nil {
		return fmt.Errorf("read the app settings: %w", err)
	}
	if runtime.GOOS == "windows" {
		var doc map[string]any
		if err := json.Unmarshal(text, &doc); err != nil {
			return fmt.Errorf("read %s: %w", b.settings, err)
		}
		values, ok := doc["Values"].(map[string]any)
		if !ok {
			return fmt.Errorf("%s has no Values", b.settings)
		}
		values[executableSetting] = executable
		if text, err = json.MarshalIndent(doc, "", "  "); err != nil {
			return fmt.Errorf("write the app settings: %w", err)
		}
	}
	if err := os.WriteFile(to, text, 0o600); err != nil {
		return fmt.Errorf("write the app settings: %w", err)
	}
	return nil
}

func install(from, to string, mode fs.FileMode) (err error) {
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil { //nolint:gosec // there is no secret in it
		return fmt.Errorf("make the folder of %s: %w", to, err)
	}
	src, err := os.Open(from)
	if err != nil {
		return fmt.Errorf("copy a file: %w", err)
	}
	defer func() { err = errors.Join(err, src.Close()) }()
	dst, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, mode)
	if err != nil {
		return fmt.Errorf("copy %s: %w", from, err)
	}
	_, err = io.Copy(dst, src)
	if err = errors.Join(err, dst.Close(), os.Chmod(to, mode)); err != nil { // the mode whatever the umask is
		return fmt.Errorf("copy %s: %w", from, err)
	}
	return nil
}

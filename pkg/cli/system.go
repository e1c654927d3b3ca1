package cli

import (
	"cmp"
	"crypto/rand"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"golang.org/x/term"
)

// System is what surrounds one invocation. Tests hand in their own.
type System struct {
	Name    string // how the program was called, for hints
	Version string

	In       io.Reader
	Out, Err io.Writer

	InTerminal  bool // a person types the standard input
	OutTerminal Terminal
	ErrTerminal Terminal

	Getenv func(string) string
	OS     string // as runtime.GOOS names it
	Home   func() (string, error)

	Executable func() (string, error) // path of this program

	Now    func() time.Time
	Random io.Reader // of the ids of runs
}

// Process returns the surroundings of the running process.
func Process(version string) System {
	return System{
		Name: os.Args[0], Version: cmp.Or(version, "unreleased"),
		In: os.Stdin, Out: os.Stdout, Err: os.Stderr,
		InTerminal:  term.IsTerminal(int(os.Stdin.Fd())),
		OutTerminal: terminalOf(os.Stdout), ErrTerminal: terminalOf(os.Stderr),
		Getenv: os.Getenv, OS: runtime.GOOS, Home: os.UserHomeDir, Executable: os.Executable, Now: time.Now, Random: rand.Reader,
	}
}

func terminalOf(f *os.File) Terminal {
	if !term.IsTerminal(int(f.Fd())) {
		return Terminal{}
	}
	t := Terminal{Interactive: true, Color: os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"}
	if runtime.GOOS == "windows" && os.Getenv("WT_SESSION") == "" && os.Getenv("TERM") == "" {
		t.Color = false // the old console shows the sequences themselves
	}
	if width, _, err := term.GetSize(int(f.Fd())); err == nil {
		t.Width = width
	}
	return t
}

// defaultStore is the path of the store where no flag names one: in the folder where programs of this user keep state.
func (s *System) defaultStore() (string, error) {
	var folder string
	switch s.OS {
	case "windows":
		folder = s.Getenv("LocalAppData")
	case "darwin":
	default:
		// The specification asks to ignore a relative path.
		if folder = s.Getenv("XDG_STATE_HOME"); !filepath.IsAbs(folder) {
			folder = ""
		}
	}
	if folder == "" {
		home, err := s.Home()
		if err != nil {
			return "", fmt.Errorf("find the folder of the store (name one with --store): %w", err)
		}
		switch s.OS {
		case "windows":
			folder = filepath.Join(home, "AppData", "Local")
		case "darwin":
			folder = filepath.Join(home, "Library", "Application Support")
		default:
			folder = filepath.Join(home, ".local", "state")
		}
	}
	return filepath.Join(folder, "assay", "assay.db"), nil
}

// newRunID names a run: when it began, and chance.
func (s *System) newRunID() (string, error) {
	var chance [4]byte
	if _, err := io.ReadFull(s.Random, chance[:]); err != nil {
		return "", fmt.Errorf("name the run: %w", err)
	}
	return fmt.Sprintf("local-%s-%x", s.Now().UTC().Format("20060102T150405Z"), chance), nil
}

// command writes a command line of this program as a person can type it again.
func (s *System) command(args ...string) string {
	name := "assay"
	if strings.ContainsAny(s.Name, `/\`) {
		name = s.Name
	}
	words := append([]string{name}, args...)
	for i, w := range words {
		words[i] = quote(w)
	}
	return strings.Join(words, " ")
}

// quote quotes a word for a shell where it needs it.
func quote(w string) string {
	safe := func(r rune) bool {
		return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || strings.ContainsRune("-_./:,=@%+", r)
	}
	if w != "" && strings.IndexFunc(w, func(r rune) bool { return !safe(r) }) < 0 {
		return w
	}
	return "'" + strings.ReplaceAll(w, "'", `'\''`) + "'"
}

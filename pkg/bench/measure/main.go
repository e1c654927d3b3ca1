//go:build unix

// Command measure says how fast Assay is, against naive decoding and against a Python script with the same predicates, and with
// -soak whether its memory stays flat on a long input.
//
// The figure is CPU time of user and system as the kernel counts it, so that other work on the machine disturbs
// less. Contenders run in turn, round after round; medians are compared. Read the ratios, not the absolutes.
package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/assay-sec/assay/pkg/bench"
	"github.com/assay-sec/assay/pkg/bench/corpus"
)

const (
	seed   = bench.Seed
	folder = "bin/bench"

	baseline = "pkg/bench/baseline.py"
)

func main() {
	rounds := flag.Int("rounds", 5, "how often each contender runs")
	records := flag.Int("records", 275_000, "how many records the file has that whole processes read; a gigabyte by default")
	again := flag.Int("replay", 0, "instead, replay so many records out of Capture, and a tenth of them")
	soak := flag.Float64("soak", 0, "instead, run so many gigabytes through assay")
	flag.Parse()
	if flag.NArg() != 1 {
		fmt.Fprintln(os.Stderr, "usage: measure [-rounds N] [-records N] [-replay N] [-soak GB] ASSAY")
		os.Exit(1)
	}
	run := func() error { return all(flag.Arg(0), *records, *rounds) }
	if *again > 0 {
		run = func() error { return replays(flag.Arg(0), *again, *rounds) }
	}
	if *soak > 0 {
		run = func() error { return endure(flag.Arg(0), *soak) }
	}
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "measure:", err)
		os.Exit(1)
	}
}

// all prints the tables of all contenders.
func all(assay string, records, rounds int) error {
	fmt.Printf("%s/%s, %s, %d CPUs, %s\n", runtime.GOOS, runtime.GOARCH, processor(), runtime.NumCPU(), runtime.Version())
	path, size, err := write(records)
	if err != nil {
		return err
	}
	fmt.Printf("%d records, half sign-ins, half mail accesses, %.1f MB, seed %d; CPU time, median (best) of %d interleaved rounds\n\n",
		records, float64(size)/1e6, seed, rounds)

	// Programs go first: a child's peak memory begins with that of its parent, which the records in memory would raise.
	detect := []string{"detect", "--store", "none", "--output", "json", path}
	contenders := []contender{(&finders{}).run("assay, all rules", assay, detect...)}
	programs := &finders{}
	if python, version := interpreter(); python != "" {
		rules, err := exec.CommandContext(context.Background(), python, baseline, "--rules").Output() // #nosec G204 -- our script
		if err != nil {
			return fmt.Errorf("ask %s for its rules: %w", baseline, err)
		}
		same := append(slices.Clone(detect), "--rule", strings.TrimSpace(string(rules)))
		contenders = []contender{
			programs.run(version, python, baseline, path),
			programs.run("assay, the same rules", assay, same...),
			contenders[0],
		}
	} else {
		fmt.Println("skipped: there is no python3 to compare with")
	}
	fmt.Printf("whole process, %d workers in assay\n", runtime.NumCPU())
	if _, err := compare(rounds, records, size, contenders); err != nil {
		return err
	}
	if programs.told {
		fmt.Printf("  with the same rules each found %d matches\n", programs.findings)
	}
	return inMemory(rounds)
}

// finders are programs that read the same records and have to find the same.
type finders struct {
	findings int64
	told     bool
}

var findingsOf = regexp.MustCompile(`"(?:findings|matches)":\s*(\d+)`)

// run measures a program that prints, last, a JSON object whose first number of findings is that of all.
func (f *finders) run(name, path string, args ...string) contender {
	return contender{name, func() (time.Duration, int64, error) {
		var out bytes.Buffer
		used, peak, err := run(nil, &out, path, args...)
		if err != nil {
			return 0, 0, err
		}
		summary := out.Bytes()
		if last := bytes.LastIndex(summary, []byte("\n{")); last >= 0 { // behind the records that were found
			summary = summary[last:]
		}
		m := findingsOf.FindSubmatch(summary)
		if m == nil {
			return 0, 0, fmt.Errorf("%s does not say what it found", name)
		}
		n, err := strconv.ParseInt(string(m[1]), 10, 64)
		if err != nil {
			return 0, 0, fmt.Errorf("read the findings of %s: %w", name, err)
		}
		if f.told && n != f.findings {
			return 0, 0, fmt.Errorf("%s found %d, another %d: they do not do the same work", name, n, f.findings)
		}
		f.findings, f.told = n, true
		return used, peak, nil
	}}
}

// contender is one way to do the work. It returns its peak memory in bytes, or 0.
type contender struct {
	name string
	run  func() (used time.Duration, peak int64, err error)
}

// run runs a program and returns its CPU time and its peak memory in bytes.
func run(in io.Reader, out io.Writer, path string, args ...string) (time.Duration, int64, error) {
	var stderr strings.Builder
	cmd := exec.CommandContext(context.Background(), path, args...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = in, out, &stderr
	if err := cmd.Run(); err != nil {
		return 0, 0, fmt.Errorf("run %s: %w: %s", filepath.Base(path), err, strings.TrimSpace(stderr.String()))
	}
	state := cmd.ProcessState
	peak := int64(0)
	if u, ok := state.SysUsage().(*syscall.Rusage); ok {
		peak = u.Maxrss // kilobytes, but bytes on macOS
		if runtime.GOOS != "darwin" {
			peak <<= 10
		}
	}
	return state.UserTime() + state.SystemTime(), peak, nil
}

// compare runs the contenders in turn, prints a line for each, and returns their medians. Ratios are to the first.
func compare(rounds, records int, size int64, all []contender) ([]time.Duration, error) {
	used, peaks := make([][]time.Duration, len(all)), make([]int64, len(all))
	for range rounds {
		for i, c := range all {
			d, peak, err := c.run()
			if err != nil {
				return nil, err
			}
			used[i], peaks[i] = append(used[i], d), max(peaks[i], peak)
		}
	}
	fmt.Printf("  %-42s %10s %10s %8s %7s %9s\n", "", "µs/record", "(best)", "MB/s", "ratio", "peak MB")
	base := median(used[0])
	medians := make([]time.Duration, len(all))
	for i, c := range all {
		m := median(used[i])
		medians[i] = m
		perRecord := func(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1e3 / float64(records) }
		peak := ""
		if peaks[i] > 0 {
			peak = fmt.Sprintf("%9.0f", float64(peaks[i])/1e6)
		}
		fmt.Printf("  %-42s %10.2f %10.2f %8.0f %6.1fx %s\n", c.name, perRecord(m), perRecord(slices.Min(used[i])),
			float64(size)/1e6/m.Seconds(), float64(base)/float64(m), peak)
	}
	return medians, nil
}

func median(d []time.Duration) time.Duration {
	d = slices.Clone(d)
	slices.Sort(d)
	return d[len(d)/2]
}

// write writes the corpus into a file and returns its path and size.
func write(records int) (string, int64, error) {
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return "", 0, fmt.Errorf("make a folder for the corpus: %w", err)
	}
	path := filepath.Join(folder, "corpus.ndjson")
	f, err := os.Create(path)
	if err != nil {
		return "", 0, fmt.Errorf("write the corpus: %w", err)
	}
	if err := errors.Join(corpus.WriteNDJSON(f, seed, records), f.Close()); err != nil {
		return "", 0, fmt.Errorf("write the corpus: %w", err)
	}
	info, err := os.Stat(path)
	if err != nil {
		return "", 0, fmt.Errorf("write the corpus: %w", err)
	}
	return path, info.Size(), nil
}

// endure pipes new records into assay until gigabytes have passed, and prints its peak memory beside that of a tenth.
func endure(assay string, gigabytes float64) error {
	for _, share := range []float64{0.1, 1} {
		bytes := int64(gigabytes * share * 1e9)
		r, w := io.Pipe()
		go func() { w.CloseWithError(pour(w, bytes)) }()
		began := time.Now()
		cpu, peak, err := run(r, io.Discard, assay, "detect", "--store", "none", "--output", "jsonl", "-")
		if err != nil {
			return err
		}
		fmt.Printf("%6.2f GB: %s, %s of CPU time, peak memory %.0f MB\n", float64(bytes)/1e9,
			time.Since(began).Round(time.Second), cpu.Round(time.Second), float64(peak)/1e6)
	}
	return nil
}

// pour writes whole records until so many bytes have passed.
func pour(w io.Writer, bytes int64) error {
	b := bufio.NewWriterSize(w, 1<<20)
	g := corpus.New(seed)
	for n := int64(0); n < bytes; {
		m, err := b.WriteString(g.Next() + "\n")
		if err != nil {
			return fmt.Errorf("pour records: %w", err)
		}
		n += int64(m)
	}
	return b.Flush()
}

// processor names the CPU where the system tells.
func processor() string {
	text, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return "unknown CPU"
	}
	for line := range strings.Lines(string(text)) {
		if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return "unknown CPU"
}

// interpreter finds Python and says which it is.
func interpreter() (path, version string) {
	path, err := exec.LookPath("python3")
	if err != nil {
		return "", ""
	}
	out, err := exec.CommandContext(context.Background(), path, "--version").Output()
	if err != nil {
		return "", ""
	}
	return path, strings.TrimSpace(string(out))
}

//go:build unix

package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/hamba/avro/v2/ocf"

	"github.com/assay-sec/assay/pkg/bench/corpus/captured"
)

// replays prints what a replay of the records out of Capture costs beside what assay detect costs on them as a file, and its peak
// memory beside that of a tenth of the records.
func replays(assay string, records, rounds int) error {
	root := filepath.Join(folder, "blobs")
	defer os.RemoveAll(root) //nolint:errcheck // some gigabytes that are nobody's trouble
	address, connection, stop, err := captured.Serve(root)
	if err != nil {
		return err
	}
	err = os.Setenv("ASSAY_BLOBS", connection)
	for _, n := range []int{records / 10, records} {
		if err == nil {
			err = replay(assay, root, address, n, rounds)
		}
	}
	return errors.Join(err, stop())
}

func replay(assay, root, address string, records, rounds int) error {
	path, size, err := write(records)
	if err != nil {
		return err
	}
	fmt.Printf("%d records, %.1f MB, seed %d, into a new store each time; CPU time, median (best) of %d interleaved rounds\n", records, float64(size)/1e6, seed, rounds)
	if err := os.RemoveAll(root); err != nil {
		return fmt.Errorf("clear the blobs: %w", err)
	}
	for _, codec := range []ocf.CodecName{ocf.Null, ocf.Deflate} {
		if err := captured.Write(filepath.Join(root, string(codec)), codec, seed, records); err != nil {
			return err
		}
	}
	all := &finders{}
	store := filepath.Join(folder, "store.db")
	fresh := func(name, command string, args ...string) contender {
		c := all.run(name, assay, append([]string{command, "--store", store, "--output", "json"}, args...)...)
		return contender{name, func() (time.Duration, int64, error) {
			for _, suffix := range []string{"", "-wal", "-shm"} {
				_ = os.Remove(store + suffix)
			}
			return c.run()
		}}
	}
	of := func(source string) []string {
		return append([]string{"--reason", "measure"}, append(captured.Window(), source)...)
	}
	contenders := []contender{
		fresh("assay detect", "detect", path),
		fresh("assay replay of the same file", "replay", of(path)...),
		fresh("assay replay of Capture, Avro", "replay", of(address+"/null/"+captured.Hub)...),
		fresh("assay replay of Capture, AvroDeflate", "replay", of(address+"/deflate/"+captured.Hub)...),
	}
	used, err := compare(rounds, records, size, contenders)
	if err != nil {
		return err
	}
	for i := range contenders[1:] {
		ratio, met := float64(used[i+1])/float64(used[0]), "met"
		if ratio > captured.MaxReplay {
			met = "MISSED"
		}
		fmt.Printf("  %s costs %.2f ≤ %.1f times assay detect  %s\n", contenders[i+1].name, ratio, captured.MaxReplay, met)
	}
	return nil
}

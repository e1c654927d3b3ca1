package main

import (
	"archive/zip"
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"
)

// entryTime is when every entry was changed last: the first moment that an archive can tell.
var entryTime = time.Date(1980, time.January, 1, 0, 0, 0, 0, time.UTC)

// writeZip writes the entries of the folder. Their modes are kept: of all hosting plans only some mark the executable
// themselves.
func writeZip(file, folder string, entries []entry) (err error) {
	out, err := os.Create(file)
	if err != nil {
		return fmt.Errorf("write the archive: %w", err)
	}
	defer func() {
		if err = errors.Join(err, out.Close()); err != nil {
			err = fmt.Errorf("write the archive: %w", err)
		}
	}()
	buffer := bufio.NewWriter(out)
	archive := zip.NewWriter(buffer)
	for _, e := range entries {
		header := &zip.FileHeader{Name: e.name, Method: zip.Deflate, Modified: entryTime}
		header.SetMode(e.mode)
		w, err := archive.CreateHeader(header)
		if err != nil {
			return err
		}
		if err := copyInto(w, filepath.Join(folder, filepath.FromSlash(e.name))); err != nil {
			return err
		}
	}
	return errors.Join(archive.Close(), buffer.Flush())
}

func copyInto(w io.Writer, file string) error {
	src, err := os.Open(file)
	if err != nil {
		return err
	}
	_, err = io.Copy(w, src)
	return errors.Join(err, src.Close())
}

package reload

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/assay-sec/assay/pkg/config"
)

// File is a Document in a file of this machine. It keeps no good one beside it: who starts Assay here sees what is wrong.
type File string

var _ Document = File("")

// Name returns the path.
func (f File) Name() string { return string(f) }

// Read reads the file, unless its time and size are still the known ones.
func (f File) Read(_ context.Context, known Revision) ([]byte, Revision, error) {
	file, err := os.Open(string(f))
	if err != nil {
		return nil, Revision{}, plain(err)
	}
	defer file.Close() //nolint:errcheck // nothing was written
	info, err := file.Stat()
	if err != nil {
		return nil, Revision{}, plain(err)
	}
	r := Revision{Tag: fmt.Sprintf("%d-%d", info.ModTime().UnixNano(), info.Size()), Modified: info.ModTime()}
	if r.Tag == known.Tag {
		return nil, r, ErrUnchanged
	}
	text, err := io.ReadAll(io.LimitReader(file, config.MaxSize+1))
	return text, r, err
}

// plain leaves out the path, which the name of the document tells.
func plain(err error) error {
	if path := (*fs.PathError)(nil); errors.As(err, &path) {
		return path.Err
	}
	return err
}

// Good returns ErrNoGood.
func (File) Good(context.Context) ([]byte, error) { return nil, ErrNoGood }

// KeepGood does nothing.
func (File) KeepGood(context.Context, []byte, Revision) error { return nil }

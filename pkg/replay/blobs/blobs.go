// Package blobs lists and opens the blobs of a container of Azure Storage, for the sources of replays that stand in blobs.
package blobs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"
)

// Container is a container of blobs.
type Container struct{ client *container.Client }

// Open returns the container at the address. It reaches no network.
func Open(address string, c azcore.TokenCredential) (*Container, error) {
	client, err := container.NewClient(address, c, nil)
	if err != nil {
		return nil, fmt.Errorf("open a container of blobs: %w", err)
	}
	return &Container{client}, nil
}

// OpenEmulator returns a container of an emulator, by its connection string.
func OpenEmulator(connection, name string) (*Container, error) {
	client, err := container.NewClientFromConnectionString(connection, name, nil)
	if err != nil {
		return nil, errors.New("open a container of blobs: the connection string is not usable") // the cause may quote it
	}
	return &Container{client}, nil
}

// Blob is a blob that was listed.
type Blob struct {
	Name string
	Size int64
}

// List yields the blobs whose name begins with prefix, by name.
func (c *Container) List(ctx context.Context, prefix string) iter.Seq2[Blob, error] {
	return func(yield func(Blob, error) bool) {
		pages := c.client.NewListBlobsFlatPager(&container.ListBlobsFlatOptions{Prefix: &prefix})
		for pages.More() {
			page, err := pages.NextPage(ctx)
			if err != nil {
				yield(Blob{}, fmt.Errorf("list blobs: %w", err))
				return
			}
			for _, b := range page.Segment.BlobItems {
				found := Blob{Name: *b.Name}
				if b.Properties != nil && b.Properties.ContentLength != nil {
					found.Size = *b.Properties.ContentLength
				}
				if !yield(found, nil) {
					return
				}
			}
		}
	}
}

// Read reads a blob from an offset on, count bytes or, with 0, to its end. Behind its end there is nothing. A connection that
// breaks is taken up where it was.
func (c *Container) Read(ctx context.Context, name string, offset, count int64) (io.ReadCloser, error) {
	resp, err := c.client.NewBlobClient(name).DownloadStream(ctx, &blob.DownloadStreamOptions{Range: blob.HTTPRange{Offset: offset, Count: count}})
	if refused := (*azcore.ResponseError)(nil); errors.As(err, &refused) && refused.StatusCode == http.StatusRequestedRangeNotSatisfiable {
		return io.NopCloser(strings.NewReader("")), nil
	}
	if err != nil {
		return nil, fmt.Errorf("read blob %s: %w", name, err)
	}
	return resp.NewRetryReader(ctx, nil), nil
}

// Counted counts what is read, and remembers what ended it.
type Counted struct {
	io.Reader
	N   int64
	Err error // nil, too, at a plain end
}

// Read implements io.Reader.
func (c *Counted) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	c.N += int64(n)
	if err != nil && !errors.Is(err, io.EOF) {
		c.Err = err
	}
	return n, err
}

// Package blob keeps the configuration in Azure Blob Storage: the document, and beside it, under the same name with ".good" behind
// it, the last text that an instance has proved good.
//
// It knows storage, not what the document says. An identity reads and writes; a connection string is for an emulator alone.
package blob

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/streaming"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
	azblob "github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blockblob"

	"github.com/assay-sec/assay/pkg/config"
	"github.com/assay-sec/assay/pkg/config/reload"
)

// Options say where the document is and who asks.
type Options struct {
	URL      string // https://ACCOUNT.blob.core.windows.net/CONTAINER/assay.yaml
	ClientID string // of a user-assigned managed identity; empty: the system-assigned one

	// Emulator is the connection string of an emulator on this machine, which may speak plain HTTP.
	Emulator string

	// Credential and Transport replace those of the SDK; nil: the usual ones.
	Credential azcore.TokenCredential
	Transport  policy.Transporter
}

// Document is a reload.Document in a blob.
type Document struct {
	name           string
	document, good *blockblob.Client
}

var _ reload.Document = (*Document)(nil)

// suffix names the blob of the last good document.
const suffix = ".good"

// modified is the key of the metadata of the last good document that tells when its text was written.
const modified = "assaymodified"

// maxTries bounds how often a write is tried again that others were faster with.
const maxTries = 4

// New returns the document. It reaches no network. No error holds what could be a secret.
func New(o Options) (*Document, error) {
	u, err := url.Parse(o.URL)
	switch {
	case err != nil || u.Host == "" || len(u.Path) < 2:
		return nil, errors.New("open the configuration: it is no URL of a blob")
	case u.RawQuery != "" || u.User != nil || u.Fragment != "":
		return nil, errors.New("open the configuration: its URL holds more than the place of a blob; a signature (SAS) is a secret: use an identity")
	case o.Emulator != "" && !local(u.Hostname()):
		return nil, errors.New("open the configuration: a connection string is for an emulator on this machine only; use an identity")
	case u.Scheme != "https" && (o.Emulator == "" || u.Scheme != "http"):
		return nil, errors.New("open the configuration: the scheme of its URL is to be https")
	}
	options := &blockblob.ClientOptions{}
	options.Transport = o.Transport
	// The next look comes within a minute: one more try is enough.
	options.Retry = policy.RetryOptions{MaxRetries: 1, RetryDelay: time.Second, TryTimeout: 5 * time.Second}
	client, err := clients(o, options)
	if err != nil {
		return nil, fmt.Errorf("open the configuration: %w", err)
	}
	d := &Document{name: u.String()}
	if d.document, err = client(u.String()); err != nil {
		return nil, fmt.Errorf("open the configuration: %w", err)
	}
	u.Path += suffix
	if d.good, err = client(u.String()); err != nil {
		return nil, fmt.Errorf("open the configuration: %w", err)
	}
	return d, nil
}

func local(host string) bool {
	a, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && a.IsLoopback()
}

// clients returns what makes the client of a blob.
func clients(o Options, options *blockblob.ClientOptions) (func(url string) (*blockblob.Client, error), error) {
	if o.Emulator != "" {
		key, err := sharedKey(o.Emulator)
		if err != nil {
			return nil, err
		}
		return func(url string) (*blockblob.Client, error) {
			return blockblob.NewClientWithSharedKeyCredential(url, key, options)
		}, nil
	}
	credential := o.Credential
	if credential == nil {
		identity := &azidentity.ManagedIdentityCredentialOptions{}
		if o.ClientID != "" {
			identity.ID = azidentity.ClientID(o.ClientID)
		}
		var err error
		if credential, err = azidentity.NewManagedIdentityCredential(identity); err != nil {
			return nil, err
		}
	}
	return func(url string) (*blockblob.Client, error) { return blockblob.NewClient(url, credential, options) }, nil
}

// Name returns the blob's URL.
func (d *Document) Name() string { return d.name }

// Read asks for the blob if its ETag is no longer the known one.
func (d *Document) Read(ctx context.Context, known reload.Revision) ([]byte, reload.Revision, error) {
	o := &azblob.DownloadStreamOptions{}
	if known.Tag != "" {
		tag := azcore.ETag(known.Tag)
		o.AccessConditions = &azblob.AccessConditions{ModifiedAccessConditions: &azblob.ModifiedAccessConditions{IfNoneMatch: &tag}}
	}
	// The SDK takes 304 for a success, and tells of it in no other way.
	var answer *http.Response
	text, r, err := read(policy.WithCaptureResponse(ctx, &answer), d.document, o)
	if status(err) == http.StatusNotModified || err == nil && answer != nil && answer.StatusCode == http.StatusNotModified {
		return nil, known, reload.ErrUnchanged
	}
	return text, r, err
}

// Good returns the last good text.
func (d *Document) Good(ctx context.Context) ([]byte, error) {
	text, _, err := read(ctx, d.good, nil)
	if status(err) == http.StatusNotFound {
		return nil, reload.ErrNoGood
	}
	return text, err
}

func read(ctx context.Context, client *blockblob.Client, o *azblob.DownloadStreamOptions) ([]byte, reload.Revision, error) {
	resp, err := client.DownloadStream(ctx, o)
	if err != nil {
		return nil, reload.Revision{}, outline(err)
	}
	defer resp.Body.Close() //nolint:errcheck // nothing was written
	text, err := io.ReadAll(io.LimitReader(resp.Body, config.MaxSize+1))
	if err != nil {
		return nil, reload.Revision{}, fmt.Errorf("read the blob: %w", err)
	}
	var r reload.Revision
	if resp.ETag != nil {
		r.Tag = string(*resp.ETag)
	}
	if resp.LastModified != nil {
		r.Modified = resp.LastModified.UTC()
	}
	return text, r, nil
}

// KeepGood writes the text beside the document, unless the one that is there was written later: an instance may be slow to
// prove what others have left behind.
func (d *Document) KeepGood(ctx context.Context, text []byte, r reload.Revision) error {
	for try := 0; ; try++ {
		conditions := &azblob.ModifiedAccessConditions{}
		whatever := azcore.ETagAny
		kept, err := d.good.GetProperties(ctx, nil)
		switch {
		case status(err) == http.StatusNotFound:
			conditions.IfNoneMatch = &whatever
		case err != nil:
			return outline(err)
		default:
			if at, ok := metadata(kept.Metadata); ok && at.After(r.Modified) {
				return nil
			}
			conditions.IfMatch = kept.ETag
		}
		stamp := r.Modified.UTC().Format(time.RFC3339)
		_, err = d.good.Upload(ctx, streaming.NopCloser(bytes.NewReader(text)), &blockblob.UploadOptions{
			Metadata:         map[string]*string{modified: &stamp},
			AccessConditions: &azblob.AccessConditions{ModifiedAccessConditions: conditions},
		})
		switch s := status(err); {
		case err == nil:
			return nil
		case (s == http.StatusPreconditionFailed || s == http.StatusConflict) && try < maxTries:
			// Somebody else was faster: look again.
		default:
			return outline(err)
		}
	}
}

// metadata returns when the kept text was written. Keys come back in the case of HTTP headers.
func metadata(m map[string]*string) (time.Time, bool) {
	for key, value := range m {
		if http.CanonicalHeaderKey(key) == http.CanonicalHeaderKey(modified) && value != nil {
			at, err := time.Parse(time.RFC3339, *value)
			return at, err == nil
		}
	}
	return time.Time{}, false
}

// status returns the HTTP status of the error, or 0.
func status(err error) int {
	if answer := (*azcore.ResponseError)(nil); errors.As(err, &answer) {
		return answer.StatusCode
	}
	return 0
}

// failure is an error of the service without its pages of headers.
type failure struct{ err *azcore.ResponseError }

func (f failure) Error() string {
	return fmt.Sprintf("the storage account answers %d %s", f.err.StatusCode, f.err.ErrorCode)
}
func (f failure) Unwrap() error { return f.err }

func outline(err error) error {
	if answer := (*azcore.ResponseError)(nil); errors.As(err, &answer) {
		return failure{answer}
	}
	return err
}

//go:build peers

package peers

import (
	"errors"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob"

	"github.com/assay-sec/assay/pkg/config/reload"
	"github.com/assay-sec/assay/pkg/config/reload/blob"
)

// The configuration in a container of Azurite: read, asked for again, changed, and kept beside itself.
func TestConfigurationInABlob(t *testing.T) {
	t.Parallel()
	a := StartAzurite(t)
	client, err := azblob.NewClientFromConnectionString(a.ConnectionString, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := client.CreateContainer(t.Context(), "config", nil); err != nil {
		t.Fatal(err)
	}
	put := func(text string) {
		t.Helper()
		if _, err := client.UploadBuffer(t.Context(), "config", "assay.yaml", []byte(text), nil); err != nil {
			t.Fatal(err)
		}
	}
	d, err := blob.New(blob.Options{URL: a.BlobURL + "/config/assay.yaml", Emulator: a.ConnectionString})
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := d.Read(t.Context(), reload.Revision{}); err == nil || err.Error() != "the storage account answers 404 BlobNotFound" {
		t.Errorf("without the document: %v", err)
	}
	if _, err := d.Good(t.Context()); !errors.Is(err, reload.ErrNoGood) {
		t.Errorf("none is kept: %v", err)
	}
	put("tenants: []\n")
	text, first, err := d.Read(t.Context(), reload.Revision{})
	if err != nil || string(text) != "tenants: []\n" || first.Tag == "" || first.Modified.IsZero() {
		t.Fatalf("%q, %+v, %v", text, first, err)
	}
	if _, _, err := d.Read(t.Context(), first); !errors.Is(err, reload.ErrUnchanged) {
		t.Errorf("unchanged: %v", err)
	}
	put("tenants: [] # changed\n")
	text, second, err := d.Read(t.Context(), first)
	if err != nil || string(text) != "tenants: [] # changed\n" || second.Tag == first.Tag {
		t.Errorf("changed: %q, %+v, %v", text, second, err)
	}
	second.Modified = first.Modified.Add(time.Minute) // a service's clock goes by the second
	for _, c := range []struct {
		text string
		at   reload.Revision
		want string
	}{{"one", first, "one"}, {"two", second, "two"}, {"one", first, "two"}, {"three", second, "three"}} {
		if err := d.KeepGood(t.Context(), []byte(c.text), c.at); err != nil {
			t.Fatal(err)
		}
		if got, err := d.Good(t.Context()); err != nil || string(got) != c.want {
			t.Errorf("after %q, %q is kept, want %q, %v", c.text, got, c.want, err)
		}
	}
}

//go:build peers

package peers

import (
	"net/http"
	"testing"
)

func TestMain(m *testing.M) { Main(m) }

// What a test builds on: both services answer, with an error of their own for a request without credentials.
func TestAzuriteAnswers(t *testing.T) {
	t.Parallel()
	a := StartAzurite(t)
	for _, url := range []string{a.BlobURL, a.QueueURL} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url+"?comp=list", nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		if err := resp.Body.Close(); err != nil {
			t.Fatal(err)
		}
		if resp.StatusCode != http.StatusForbidden || resp.Header.Get("x-ms-error-code") == "" {
			t.Errorf("%s answers %s, error code %q", url, resp.Status, resp.Header.Get("x-ms-error-code"))
		}
	}
}

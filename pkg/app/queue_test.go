package app

import (
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
)

// A message is not shown before its time.
func TestAMessageWaitsForWholeSeconds(t *testing.T) {
	t.Parallel()
	shown := make(chan string, 1)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		shown <- r.URL.Query().Get("visibilitytimeout")
		w.Header().Set("Content-Type", "application/xml")
		w.WriteHeader(http.StatusCreated)
		_, _ = io.WriteString(w, "<QueueMessagesList/>")
	}))
	t.Cleanup(server.Close)
	q, err := openQueue(func(string) string {
		return "DefaultEndpointsProtocol=http;AccountName=devstoreaccount1;AccountKey=bG9jYWw=;QueueEndpoint=" + server.URL + "/devstoreaccount1;"
	})
	if err != nil {
		t.Fatal(err)
	}
	for after, want := range map[time.Duration]string{
		0: "0", time.Millisecond: "1", time.Second: "1", 289*time.Second + time.Nanosecond: "290", 48 * time.Hour: "86400",
	} {
		if err := enqueueText(t.Context(), q, "{}", after); err != nil {
			t.Fatal(err)
		}
		if got := <-shown; got != want {
			t.Errorf("after %v: %s seconds, want %s", after, got, want)
		}
	}
}

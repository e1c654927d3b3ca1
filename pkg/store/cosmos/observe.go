package cosmos

import (
	"context"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
)

// Request is a request to the account that has ended.
type Request struct {
	Operation string // read, create, upsert, replace, delete, query, batch, or other
	Container string // empty: the account itself
	Status    int    // of HTTP; 0: there was no answer
	Charge    float64
	Began     time.Time
}

// observer tells of every request of the SDK.
type observer struct {
	tell func(context.Context, Request)
	now  func() time.Time
}

// Do implements policy.Policy.
func (o observer) Do(r *policy.Request) (*http.Response, error) {
	raw := r.Raw()
	q := Request{Operation: operationOf(raw), Began: o.now()}
	if parts := strings.Split(raw.URL.Path, "/"); len(parts) > 4 && parts[3] == "colls" {
		q.Container = parts[4]
	}
	resp, err := r.Next()
	if resp != nil {
		q.Status = resp.StatusCode
		q.Charge, _ = strconv.ParseFloat(resp.Header.Get("x-ms-request-charge"), 64)
	}
	o.tell(raw.Context(), q)
	return resp, err
}

// operationOf names what the request asks for.
func operationOf(r *http.Request) string {
	is := func(header string) bool { return strings.EqualFold(r.Header.Get(header), "true") }
	switch {
	case is("x-ms-documentdb-isquery") || r.Header.Get("Content-Type") == "application/query+json":
		return "query"
	case is("x-ms-cosmos-is-batch-request"):
		return "batch"
	case is("x-ms-documentdb-is-upsert"):
		return "upsert"
	case !strings.Contains(r.URL.Path, "/docs"):
		return "other"
	}
	switch r.Method {
	case http.MethodGet:
		return "read"
	case http.MethodPost:
		return "create"
	case http.MethodPut:
		return "replace"
	case http.MethodDelete:
		return "delete"
	}
	return "other"
}

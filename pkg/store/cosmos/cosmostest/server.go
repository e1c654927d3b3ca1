// Package cosmostest is a stand-in for the gateway of Azure Cosmos DB (SQL API), written from the REST API's
// documentation and from what the SDK sends, to be driven by the real SDK in tests and by local development.
//
// It answers what a store of documents needs: point reads and writes with ETags, queries scoped to a partition by header,
// simple queries across partitions, atomic batches with 207 and 424, TTL, 404, 409, 412, 413, 429, the signature of a
// master key, the empty body under "Prefer: return=minimal", and the change feed of a container. Faults can be injected
// before and after an operation takes effect. It does not model request units (its charges are rough), consistency
// levels, indexing, or several regions. What only this server has confirmed is not confirmed by Azure.
package cosmostest

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Key is the master key that the server accepts. It is no secret: the server holds test data.
const Key = "Y29zbW9zdGVzdCBtYXN0ZXIga2V5LCBub3QgYSBzZWNyZXQ="

// defaultMaxItem and maxBatch are the service's limits, in bytes; maxOps is that of a batch's operations.
const (
	defaultMaxItem = 2 << 20
	maxBatch       = 2 << 20
	maxOps         = 100
)

// Server is a running stand-in with one account.
type Server struct {
	http *httptest.Server
	now  func() time.Time

	mu         sync.Mutex
	containers map[string]*container // by "db/container"
	clock      int64                 // logical sequence number of the last write
	fault      func(Request) *Fault
	served     map[string]int // requests by operation
	maxItem    int            // bytes
}

// Request is what a fault is decided on.
type Request struct {
	Operation string // account, container, ranges, create, upsert, replace, read, delete, query, batch, feed
	Container string
	Partition string // as in the header: a JSON array
	ID        string
}

// Fault replaces the server's answer.
type Fault struct {
	Status     int
	Substatus  int           // 0: none
	RetryAfter time.Duration // of a 429
	// After lets the operation take effect first: the client cannot know that it did.
	After bool
	// Drop closes the connection instead of answering.
	Drop bool
}

// Start returns a server with the given containers, each as "database/container" with its partition key path
// ("/pk"). now is the clock for _ts and TTL. The caller closes it.
func Start(containers map[string]string, now func() time.Time) *Server {
	s := &Server{now: now, containers: map[string]*container{}, served: map[string]int{}, maxItem: defaultMaxItem}
	for name, key := range containers {
		s.containers[name] = newContainer(key)
	}
	s.http = httptest.NewServer(s)
	return s
}

// URL is the account's endpoint, on plain HTTP.
func (s *Server) URL() string { return s.http.URL }

// Close stops the server.
func (s *Server) Close() { s.http.Close() }

// Inject sets the function that decides on faults; nil means none.
func (s *Server) Inject(fault func(Request) *Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fault = fault
}

// LimitItem sets the size in bytes above which an item is refused with 413; the service's own limit is two megabytes.
func (s *Server) LimitItem(bytes int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.maxItem = bytes
}

// Documents returns the documents of a container, named as in Start, in the order of their creation. They are not to be changed.
func (s *Server) Documents(container string) []map[string]any {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.containers[container]
	if c == nil {
		return nil
	}
	c.expire(s.now())
	var out []map[string]any
	for _, d := range c.ordered() {
		out = append(out, d.fields)
	}
	return out
}

// Served returns how often an operation was asked for.
func (s *Server) Served(operation string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.served[operation]
}

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(io.LimitReader(r.Body, 8<<20))
	if err != nil {
		answer(w, http.StatusBadRequest, problem("the body could not be read"))
		return
	}
	kind, link := resource(r)
	if !signed(r, kind, link) {
		answer(w, http.StatusUnauthorized, problem("the input authorization token can't serve the request"))
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()

	partition, err := canonicalKey(r.Header.Get("x-ms-documentdb-partitionkey"))
	if err != nil {
		answer(w, http.StatusBadRequest, problem("the partition key is no JSON array"))
		return
	}
	req := Request{Partition: partition}
	name, id := names(r)
	req.Container, req.ID = name, id
	c := s.containers[name]
	switch {
	case kind == "" && r.Method == http.MethodGet:
		req.Operation = "account"
	case kind == "colls" && r.Method == http.MethodGet:
		req.Operation = "container"
	case kind == "pkranges":
		req.Operation = "ranges"
	case kind == "docs":
		req.Operation = documentOperation(r, id)
	}
	s.served[req.Operation]++
	var f *Fault
	if s.fault != nil {
		f = s.fault(req)
	}
	if f != nil && !f.After {
		f.write(w)
		return
	}
	out := s.serve(req, c, r, body)
	if f != nil {
		f.write(w)
		return
	}
	out.write(w, r)
}

// canonicalKey rewrites a partition key so that equal keys are equal texts; "" for none.
func canonicalKey(header string) (string, error) {
	if header == "" {
		return "", nil
	}
	var key []any
	if err := json.Unmarshal([]byte(header), &key); err != nil {
		return "", err
	}
	text, err := json.Marshal(key)
	return string(text), err
}

// documentOperation names what a request to documents asks for.
func documentOperation(r *http.Request, id string) string {
	truthy := func(h string) bool { return strings.EqualFold(r.Header.Get(h), "true") }
	switch {
	case r.Method == http.MethodPost && truthy("x-ms-documentdb-query"),
		r.Method == http.MethodPost && strings.HasPrefix(r.Header.Get("Content-Type"), "application/query+json"):
		return "query"
	case r.Method == http.MethodPost && truthy("x-ms-cosmos-is-batch-request"):
		return "batch"
	case r.Method == http.MethodPost && truthy("x-ms-documentdb-is-upsert"):
		return "upsert"
	case r.Method == http.MethodPost:
		return "create"
	case r.Method == http.MethodPut:
		return "replace"
	case r.Method == http.MethodDelete:
		return "delete"
	case r.Method == http.MethodGet && id == "" && r.Header.Get("A-IM") != "":
		return "feed"
	case r.Method == http.MethodGet && id != "":
		return "read"
	}
	return "unsupported"
}

func (f *Fault) write(w http.ResponseWriter) {
	if f.Drop {
		panic(http.ErrAbortHandler)
	}
	if f.RetryAfter > 0 {
		w.Header().Set("x-ms-retry-after-ms", strconv.FormatInt(f.RetryAfter.Milliseconds(), 10))
	}
	if f.Substatus != 0 {
		w.Header().Set("x-ms-substatus", strconv.Itoa(f.Substatus))
	}
	answer(w, f.Status, problem("injected fault"))
}

// response is an answer in the making.
type response struct {
	status  int
	body    any
	etag    string
	charge  float64
	header  map[string]string
	isWrite bool
}

func (o response) write(w http.ResponseWriter, r *http.Request) {
	if o.etag != "" {
		w.Header().Set("Etag", o.etag)
	}
	for k, v := range o.header {
		w.Header().Set(k, v)
	}
	w.Header().Set("x-ms-request-charge", strconv.FormatFloat(o.charge, 'f', 2, 64))
	w.Header().Set("x-ms-session-token", "0:1")
	if o.isWrite && o.status < 300 && strings.EqualFold(r.Header.Get("Prefer"), "return=minimal") {
		o.body = nil
	}
	answer(w, o.status, o.body)
}

func answer(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	if body == nil || status == http.StatusNoContent || status == http.StatusNotModified {
		return
	}
	_ = json.NewEncoder(w).Encode(body) //nolint:errchkjson // a lost answer is the client's business
}

func problem(message string) any { return map[string]string{"code": "Error", "message": message} }

func fail(status int, format string, args ...any) response {
	return response{status: status, body: problem(fmt.Sprintf(format, args...)), charge: 1}
}

// resource returns the type and the link that a request is signed over.
func resource(r *http.Request) (kind, link string) {
	path := strings.Trim(r.URL.EscapedPath(), "/")
	if path == "" {
		return "", ""
	}
	parts := strings.Split(path, "/")
	for i := range parts {
		if u, err := url.PathUnescape(parts[i]); err == nil {
			parts[i] = u
		}
	}
	if len(parts)%2 == 1 {
		return parts[len(parts)-1], strings.Join(parts[:len(parts)-1], "/")
	}
	return parts[len(parts)-2], strings.Join(parts, "/")
}

// names returns the container as "db/container" and the document's id of a path.
func names(r *http.Request) (name, id string) {
	parts := strings.Split(strings.Trim(r.URL.EscapedPath(), "/"), "/")
	if len(parts) >= 4 {
		name = parts[1] + "/" + parts[3]
	}
	if len(parts) == 6 {
		id, _ = url.PathUnescape(parts[5])
	}
	return name, id
}

// signed checks the signature of the master key ("Access control in the Azure Cosmos DB SQL API", REST API documentation).
func signed(r *http.Request, kind, link string) bool {
	auth, err := url.QueryUnescape(r.Header.Get("Authorization"))
	if err != nil {
		return false
	}
	key, err := base64.StdEncoding.DecodeString(Key)
	if err != nil {
		return false
	}
	mac := hmac.New(sha256.New, key)
	_, _ = fmt.Fprintf(mac, "%s\n%s\n%s\n%s\n\n", strings.ToLower(r.Method), strings.ToLower(kind), link, strings.ToLower(r.Header.Get("x-ms-date")))
	want := "type=master&ver=1.0&sig=" + base64.StdEncoding.EncodeToString(mac.Sum(nil))
	return hmac.Equal([]byte(want), []byte(auth))
}

func (s *Server) serve(req Request, c *container, r *http.Request, body []byte) response {
	switch req.Operation {
	case "account":
		region := []any{map[string]string{"name": "Local", "databaseAccountEndpoint": s.http.URL + "/"}}
		return response{status: 200, body: map[string]any{
			"id": "local", "_rid": "local", "writableLocations": region, "readableLocations": region,
			"enableMultipleWriteLocations": false,
			"userConsistencyPolicy":        map[string]string{"defaultConsistencyLevel": "Session"},
		}}
	case "":
		return fail(http.StatusNotFound, "no such resource")
	}
	if c == nil {
		out := fail(http.StatusNotFound, "there is no container %s", req.Container)
		out.header = map[string]string{"x-ms-substatus": "1003"}
		return out
	}
	c.expire(s.now())
	switch req.Operation {
	case "container":
		return response{status: 200, etag: `"1"`, body: map[string]any{
			"id": strings.Split(req.Container, "/")[1], "_rid": "AAAA", "_self": "dbs/a/colls/b/",
			"partitionKey": map[string]any{"paths": []string{c.keyPath}, "kind": "Hash", "version": 2}, "defaultTtl": -1,
		}}
	case "ranges":
		// The SDK reads the ranges as a feed: once there is no news, it has them all.
		if r.Header.Get("If-None-Match") != "" {
			return response{status: http.StatusNotModified, etag: `"1"`}
		}
		return response{status: 200, etag: `"1"`, body: map[string]any{"_rid": "AAAA", "_count": 1, "PartitionKeyRanges": []any{
			map[string]any{"id": "0", "_rid": "AAAA", "_etag": `"1"`, "minInclusive": "", "maxExclusive": "FF", "ridPrefix": 0, "status": "online", "throughputFraction": 1, "parents": []string{}},
		}}}
	case "query":
		return s.query(req, c, r, body)
	case "batch":
		return s.batch(req, c, body)
	case "feed":
		return s.feed(req, c, r)
	case "unsupported":
		return fail(http.StatusMethodNotAllowed, "the server does not know this request")
	}
	op := operation{Kind: req.Operation, ID: req.ID, IfMatch: r.Header.Get("If-Match"), Body: body}
	return c.apply(s, req.Partition, op)
}

// pageSize is how many documents a page holds that does not ask for a number.
const pageSize = 100

func (s *Server) query(req Request, c *container, r *http.Request, body []byte) response {
	var in struct {
		Query      string `json:"query"`
		Parameters []struct {
			Name  string `json:"name"`
			Value any    `json:"value"`
		} `json:"parameters"`
	}
	if err := json.Unmarshal(body, &in); err != nil {
		return fail(http.StatusBadRequest, "the query is not JSON")
	}
	q, err := parseQuery(in.Query)
	if err != nil {
		return fail(http.StatusBadRequest, "%v", err)
	}
	params := map[string]any{}
	for _, p := range in.Parameters {
		params[p.Name] = p.Value
	}
	across := req.Partition == "" || req.Partition == "[]"
	if across && !strings.EqualFold(r.Header.Get("x-ms-documentdb-query-enablecrosspartition"), "true") {
		return fail(http.StatusBadRequest, "a query across partitions must say so")
	}
	if across && q.needsOnePartition() {
		return fail(http.StatusBadRequest, "the gateway cannot serve this query across partitions")
	}
	var docs []map[string]any
	for _, d := range c.ordered() {
		if across || d.partition == req.Partition {
			docs = append(docs, d.fields)
		}
	}
	rows := q.run(docs, params)
	from, _ := strconv.Atoi(r.Header.Get("x-ms-continuation"))
	most := pageSize
	if n, err := strconv.Atoi(r.Header.Get("x-ms-max-item-count")); err == nil && n > 0 {
		most = n
	}
	from = min(from, len(rows))
	to := min(from+most, len(rows))
	out := response{status: 200, charge: 2.5 + float64(to-from)/4, header: map[string]string{"x-ms-item-count": strconv.Itoa(to - from)}}
	if to < len(rows) {
		out.header["x-ms-continuation"] = strconv.Itoa(to)
	}
	out.body = map[string]any{"_rid": "AAAA", "Documents": rows[from:to], "_count": to - from}
	return out
}

// batch applies the operations of one partition, all or none.
func (s *Server) batch(req Request, c *container, body []byte) response {
	var ops []struct {
		Kind    string          `json:"operationType"`
		ID      string          `json:"id"`
		IfMatch string          `json:"ifMatch"`
		Body    json.RawMessage `json:"resourceBody"`
	}
	if err := json.Unmarshal(body, &ops); err != nil {
		return fail(http.StatusBadRequest, "the batch is not JSON")
	}
	if len(ops) == 0 || len(ops) > maxOps {
		return fail(http.StatusBadRequest, "a batch holds 1 to %d operations", maxOps)
	}
	if len(body) > maxBatch {
		return fail(http.StatusRequestEntityTooLarge, "the batch is larger than %d bytes", maxBatch)
	}
	before := c.snapshot()
	results := make([]map[string]any, len(ops))
	failed := -1
	for i, op := range ops {
		out := c.apply(s, req.Partition, operation{Kind: strings.ToLower(op.Kind), ID: op.ID, IfMatch: op.IfMatch, Body: op.Body})
		results[i] = map[string]any{"statusCode": out.status, "requestCharge": out.charge, "eTag": out.etag}
		if op.Kind == "Read" {
			results[i]["resourceBody"] = out.body
		}
		if out.status >= 300 {
			failed = i
			break
		}
	}
	if failed < 0 {
		return response{status: 200, body: results, charge: 6 * float64(len(ops))}
	}
	c.restore(before) // the clock goes on, so that no ETag comes back
	for i := range results {
		if i != failed {
			results[i] = map[string]any{"statusCode": http.StatusFailedDependency, "requestCharge": 0}
		}
	}
	return response{status: http.StatusMultiStatus, body: results, charge: 1}
}

// feed answers the documents that changed since the ETag in If-None-Match, latest versions only: of the partition in the
// header, or of all.
func (s *Server) feed(req Request, c *container, r *http.Request) response {
	since, _ := strconv.ParseInt(strings.Trim(r.Header.Get("If-None-Match"), `"`), 10, 64)
	most := pageSize
	if n, err := strconv.Atoi(r.Header.Get("x-ms-max-item-count")); err == nil && n > 0 {
		most = n
	}
	docs := c.ordered()
	slices.SortFunc(docs, func(a, b *document) int { return int(a.lsn - b.lsn) })
	var out []any
	last := since
	for _, d := range docs {
		if d.lsn > since && len(out) < most && (req.Partition == "" || req.Partition == "[]" || d.partition == req.Partition) {
			out = append(out, d.fields)
			last = d.lsn
		}
	}
	if len(out) < most {
		last = max(last, s.clock) // whatever else was written was not of this container, or is gone
	}
	etag := `"` + strconv.FormatInt(last, 10) + `"`
	if len(out) == 0 {
		return response{status: http.StatusNotModified, etag: etag, charge: 1}
	}
	return response{status: 200, etag: etag, charge: 2, body: map[string]any{"_rid": "AAAA", "Documents": out, "_count": len(out)}}
}

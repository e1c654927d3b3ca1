package cosmostest

import (
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// container holds documents by partition and id.
type container struct {
	keyPath string
	docs    map[string]*document
}

// document is one stored version. It is never changed once stored, so a snapshot is a copy of the map.
type document struct {
	partition string // the key as a JSON array, as the header writes it
	id        string
	fields    map[string]any // with the system properties
	etag      string
	lsn       int64
	born      int64 // lsn of its creation: the order of queries without ORDER BY
	expires   time.Time
}

func newContainer(keyPath string) *container {
	return &container{keyPath: keyPath, docs: map[string]*document{}}
}

func (c *container) snapshot() map[string]*document    { return maps.Clone(c.docs) }
func (c *container) restore(docs map[string]*document) { c.docs = docs }

// ordered returns the documents in the order of their creation.
func (c *container) ordered() []*document {
	return slices.SortedFunc(maps.Values(c.docs), func(a, b *document) int { return int(a.born - b.born) })
}

// expire drops what has outlived its TTL.
func (c *container) expire(now time.Time) {
	for k, d := range c.docs {
		if !d.expires.IsZero() && !now.Before(d.expires) {
			delete(c.docs, k)
		}
	}
}

// operation is one point operation, alone or in a batch.
type operation struct {
	Kind    string // create, upsert, replace, read, delete
	ID      string
	IfMatch string
	Body    []byte
}

func (c *container) apply(s *Server, partition string, op operation) response {
	if op.Kind == "read" || op.Kind == "delete" {
		return c.readOrDelete(partition, op)
	}
	if len(op.Body) > s.maxItem {
		return fail(http.StatusRequestEntityTooLarge, "the item is larger than %d bytes", s.maxItem)
	}
	var doc map[string]any
	if err := json.Unmarshal(op.Body, &doc); err != nil {
		return fail(http.StatusBadRequest, "the item is not a JSON object")
	}
	id, _ := doc["id"].(string)
	if id == "" || strings.ContainsAny(id, `/\?#`) || len(id) > 1023 {
		return fail(http.StatusBadRequest, "the item has no usable id")
	}
	own, err := json.Marshal([]any{doc[strings.TrimPrefix(c.keyPath, "/")]})
	if err != nil || string(own) != partition {
		out := fail(http.StatusBadRequest, "the partition key %s of the item is not the one of the header, %s", own, partition)
		out.header = map[string]string{"x-ms-substatus": "1001"}
		return out
	}
	if op.Kind == "replace" && op.ID != id {
		return fail(http.StatusBadRequest, "the item's id is not the one of the path")
	}
	key := partition + "\x00" + id
	old := c.docs[key]
	switch {
	case op.Kind == "create" && old != nil:
		return fail(http.StatusConflict, "the id exists")
	case op.Kind == "replace" && old == nil:
		return fail(http.StatusNotFound, "the id does not exist")
	case old != nil && op.IfMatch != "" && op.IfMatch != "*" && op.IfMatch != old.etag:
		return fail(http.StatusPreconditionFailed, "the item has changed")
	}
	now := s.now()
	s.clock++
	d := &document{partition: partition, id: id, lsn: s.clock, born: s.clock, etag: `"` + strconv.FormatInt(s.clock, 16) + `"`}
	if old != nil {
		d.born = old.born
	}
	if ttl, ok := doc["ttl"].(float64); ok && ttl > 0 {
		d.expires = now.Add(time.Duration(ttl) * time.Second)
	}
	doc["_etag"], doc["_ts"], doc["_rid"], doc["_self"] = d.etag, float64(now.Unix()), "AAAA", "dbs/a/colls/b/docs/c/"
	d.fields = doc
	c.docs[key] = d
	status := http.StatusCreated
	if old != nil {
		status = http.StatusOK
	}
	return response{status: status, body: doc, etag: d.etag, charge: 5 + float64(len(op.Body))/1024, isWrite: true}
}

func (c *container) readOrDelete(partition string, op operation) response {
	key := partition + "\x00" + op.ID
	d := c.docs[key]
	switch {
	case d == nil:
		return fail(http.StatusNotFound, "the id does not exist")
	case op.IfMatch != "" && op.IfMatch != "*" && op.IfMatch != d.etag:
		return fail(http.StatusPreconditionFailed, "the item has changed")
	case op.Kind == "delete":
		delete(c.docs, key)
		return response{status: http.StatusNoContent, charge: 5}
	}
	return response{status: 200, body: d.fields, etag: d.etag, charge: 1}
}

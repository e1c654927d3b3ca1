// Package captured makes files as Event Hubs Capture writes them, of the records of the corpus, and serves them as Azure Storage
// serves blobs, so that the cost of a replay can be measured where no storage is. It knows the two calls that a replay makes,
// and answers nothing else. Whether a replay reads what the real ones write is tested against Azurite, elsewhere.
package captured

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/hamba/avro/v2/ocf"

	"github.com/assay-sec/assay/pkg/bench/corpus"
)

// Schema is that of the files of Capture ("Exploring captured Avro files in Azure Event Hubs", Microsoft Learn).
const Schema = `{"type":"record","name":"EventData","namespace":"Microsoft.ServiceBus.Messaging","fields":[
{"name":"SequenceNumber","type":"long"},{"name":"Offset","type":"string"},{"name":"EnqueuedTimeUtc","type":"string"},
{"name":"SystemProperties","type":{"type":"map","values":["long","double","string","bytes"]}},
{"name":"Properties","type":{"type":"map","values":["long","double","string","bytes","null"]}},
{"name":"Body","type":["null","bytes"]}]}`

// event is a record of a file.
type event struct {
	SequenceNumber   int64
	Offset           string
	EnqueuedTimeUtc  string
	SystemProperties map[string]any
	Properties       map[string]any
	Body             []byte
}

// The hub whose files Write makes.
const (
	Hub        = "namespace/hub"
	partitions = 4
	fileBytes  = 64 << 20 // of bodies in a file; the limit of Capture can be set from 10 to 500 MB
)

// MaxReplay is how many times the CPU time of assay detect a replay of the same records out of Capture may cost.
const MaxReplay = 1.7

// Window returns the flags of a window that has all records.
func Window() []string { return []string{"--from", "2026-03-01", "--to", "2026-04-01"} }

// Begin is the time in the name of the first file.
var Begin = time.Date(2026, 3, 2, 6, 0, 0, 0, time.UTC)

// Write writes the first so many records of the corpus as messages of 1 to 20 records into files of Capture below root.
func Write(root string, codec ocf.CodecName, seed uint64, records int) error {
	g := corpus.New(seed)
	messages := 0
	var open [partitions]*file
	for left := records; left > 0; messages++ {
		p := messages % partitions
		if open[p] != nil && open[p].size >= fileBytes {
			if err := open[p].close(); err != nil {
				return err
			}
			open[p] = nil
		}
		if open[p] == nil {
			var err error
			if open[p], err = create(root, codec, p, messages/partitions); err != nil {
				return err
			}
		}
		n := min(1+messages*7%20, left)
		left -= n
		body := []byte(`{"records":[`)
		for i := range n {
			if i > 0 {
				body = append(body, ',')
			}
			body = append(body, g.Next()...)
		}
		if err := open[p].add(int64(messages/partitions), append(body, "]}"...)); err != nil {
			return err
		}
	}
	for _, f := range open {
		if f != nil {
			if err := f.close(); err != nil {
				return err
			}
		}
	}
	return nil
}

// WriteFile writes a captured file of these bodies.
func WriteFile(path string, codec ocf.CodecName, bodies ...string) error {
	f, err := createAt(path, codec)
	for i, body := range bodies {
		if err == nil {
			err = f.add(int64(i), []byte(body))
		}
	}
	if err != nil {
		return err
	}
	return f.close()
}

type file struct {
	f    *os.File
	enc  *ocf.Encoder
	size int
}

func create(root string, codec ocf.CodecName, partition, sequence int) (*file, error) {
	at := Begin.Add(time.Duration(sequence) * time.Second)
	return createAt(filepath.Join(root, Hub, strconv.Itoa(partition), at.Format("2006/01/02/15/04/05")+".avro"), codec)
}

func createAt(path string, codec ocf.CodecName) (*file, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
		return nil, fmt.Errorf("make a captured file: %w", err)
	}
	f, err := os.Create(path)
	if err != nil {
		return nil, fmt.Errorf("make a captured file: %w", err)
	}
	enc, err := ocf.NewEncoder(Schema, f, ocf.WithCodec(codec))
	if err != nil {
		return nil, errors.Join(fmt.Errorf("make a captured file: %w", err), f.Close())
	}
	return &file{f: f, enc: enc}, nil
}

func (f *file) add(sequence int64, body []byte) error {
	at := Begin.Add(time.Duration(sequence) * time.Second)
	err := f.enc.Encode(event{
		SequenceNumber: sequence, Offset: strconv.FormatInt(sequence*4096, 10), EnqueuedTimeUtc: at.Format("1/2/2006 3:04:05 PM"),
		SystemProperties: map[string]any{"x-opt-enqueued-time": at.UnixMilli(), "x-opt-sequence-number-epoch": int64(-1)},
		Properties:       map[string]any{}, Body: body,
	})
	if err != nil {
		return fmt.Errorf("write a captured file: %w", err)
	}
	f.size += len(body)
	return nil
}

func (f *file) close() error {
	if err := errors.Join(f.enc.Close(), f.f.Close()); err != nil {
		return fmt.Errorf("end a captured file: %w", err)
	}
	return nil
}

// Serve serves the folders below root as containers of an account, on 127.0.0.1, until stop is called. It returns the address of
// the account, and a connection string for it.
func Serve(root string) (address, connection string, stop func() error, err error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // it ends with the process
	if err != nil {
		return "", "", nil, fmt.Errorf("serve blobs: %w", err)
	}
	server := &http.Server{Handler: account(root), ReadHeaderTimeout: time.Minute}
	go server.Serve(ln) //nolint:errcheck // stop ends it
	address = "http://" + ln.Addr().String() + "/account"
	return address, "DefaultEndpointsProtocol=http;AccountName=account;AccountKey=a2V5;BlobEndpoint=" + address + ";", server.Close, nil
}

type account string

// listed is the answer of List Blobs, as far as a replay reads it.
type listed struct {
	XMLName xml.Name `xml:"EnumerationResults"`
	Blobs   []blob   `xml:"Blobs>Blob"`
	Next    string   `xml:"NextMarker"`
}

type blob struct {
	Name string `xml:"Name"`
	Size int64  `xml:"Properties>Content-Length"`
}

// ServeHTTP implements http.Handler.
func (a account) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	path := filepath.Join(string(a), filepath.FromSlash(strings.TrimPrefix(filepath.Clean(r.URL.Path), "/account/")))
	if r.URL.Query().Get("comp") != "list" {
		if part := r.Header.Get("X-Ms-Range"); part != "" {
			r.Header.Set("Range", part)
		}
		w.Header().Set("ETag", `"0x1"`)
		http.ServeFile(w, r, path)
		return
	}
	var out listed
	prefix := r.URL.Query().Get("prefix")
	err := filepath.WalkDir(path, func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		name, err := filepath.Rel(path, p)
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err == nil && strings.HasPrefix(filepath.ToSlash(name), prefix) {
			out.Blobs = append(out.Blobs, blob{filepath.ToSlash(name), info.Size()})
		}
		return err
	})
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/xml")
	_ = xml.NewEncoder(w).Encode(out)
}

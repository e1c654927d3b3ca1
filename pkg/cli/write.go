package cli

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"unicode/utf8"

	"github.com/assay-sec/assay/pkg/alert"
)

// eventSource names this installation in CloudEvents: a command line has no address.
const eventSource = "urn:assay:local"

// writeAlerts writes the alerts for programs: as one document, an alert a line, or a CloudEvent a line. summary is of a
// run; nil where there was none.
func writeAlerts(w io.Writer, form string, alerts []alert.Alert, document func(*alert.Alert) alertDocument, summary *summary) error {
	switch form {
	case formJSON:
		docs := make([]alertDocument, len(alerts))
		for i := range alerts {
			docs[i] = document(&alerts[i])
		}
		if summary != nil {
			return writeJSON(w, "  ", runDocument{Alerts: docs, Summary: *summary})
		}
		return writeJSON(w, "  ", listDocument{Alerts: docs})
	case formLines:
		return writeLines(w, alerts, func(a *alert.Alert) (any, error) { return document(a), nil })
	default:
		return writeLines(w, alerts, func(a *alert.Alert) (any, error) { return a.CloudEvent(eventSource) })
	}
}

// listDocument is what `assay alerts list --output json` writes.
type listDocument struct {
	Alerts []alertDocument `json:"alerts"`
}

func writeLines(w io.Writer, alerts []alert.Alert, document func(*alert.Alert) (any, error)) error {
	out := bufio.NewWriter(w)
	for i := range alerts {
		doc, err := document(&alerts[i])
		if err != nil {
			return err
		}
		if err := writeJSON(out, "", doc); err != nil {
			return err
		}
	}
	if err := out.Flush(); err != nil {
		return fmt.Errorf("write the output: %w", err)
	}
	return nil
}

// writeJSON writes a document and ends the line.
func writeJSON(w io.Writer, indent string, doc any) error {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", indent)
	if err := enc.Encode(doc); err != nil {
		return fmt.Errorf("write the output as JSON: %w", err)
	}
	if _, err := w.Write(printable(b.Bytes())); err != nil {
		return fmt.Errorf("write the output: %w", err)
	}
	return nil
}

// printable escapes in a JSON text what JSON itself lets through and a terminal may obey or hide: C1 controls, changes of
// direction, invisible characters. The text means the same afterwards.
func printable(text []byte) []byte {
	var out []byte
	done := 0
	for i := 0; i < len(text); {
		r, n := utf8.DecodeRune(text[i:])
		if r >= 0x7f && !strconv.IsPrint(r) {
			out = append(out, text[done:i]...)
			if r > 0xffff {
				r -= 0x10000
				out = fmt.Appendf(out, `\u%04x\u%04x`, 0xd800+r>>10, 0xdc00+r&0x3ff)
			} else {
				out = fmt.Appendf(out, `\u%04x`, r)
			}
			done = i + n
		}
		i += n
	}
	return append(out, text[done:]...)
}

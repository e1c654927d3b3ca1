package cli

import (
	"bytes"
	"crypto/sha256"
	"encoding/csv"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/assay-sec/assay/pkg/alert"
	"github.com/assay-sec/assay/pkg/issuance"
	"github.com/assay-sec/assay/pkg/replay"
)

// caseFile is an export as JSON.
type caseFile struct {
	Replay *replay.Status `json:"replay"` // with who asked for it, and why
	Alerts []foundAlert   `json:"alerts"`
	// Issuance says what a join knew: without it, nobody can tell what an orphan is worth.
	Issuance *issuance.Summary `json:"issuance,omitempty"`
}

// writeExport writes what was found, with the evidence and its hashes, and returns the SHA-256 of the file.
func (r *replaying) writeExport(doc *replayDocument, found []foundAlert) (string, error) {
	var out bytes.Buffer
	switch ext := strings.ToLower(filepath.Ext(r.export.path)); ext {
	case ".json":
		if found == nil {
			found = []foundAlert{}
		}
		if err := writeJSON(&out, "  ", caseFile{doc.Replay, found, doc.Issuance}); err != nil {
			return "", err
		}
	case ".csv":
		if err := writeCSV(&out, doc.Replay.ID, found); err != nil {
			return "", err
		}
	default:
		return "", fmt.Errorf("--export %s: the name is to end in .csv or .json", r.export.path)
	}
	if err := os.WriteFile(r.export.path, out.Bytes(), 0o600); err != nil {
		return "", fmt.Errorf("write the export: %w", err)
	}
	h := sha256.Sum256(out.Bytes())
	return hex.EncodeToString(h[:]), nil
}

// columns of an export as CSV: a finding a row.
var exportColumns = []string{
	"alert", "rule", "title", "why", "severity", "strength", "tenant", "key", "time (UTC)", "user", "mailbox", "app", "address", "session", "token",
	"finding", "event", "place", "found by", "facts", "record SHA-256", "record",
}

func writeCSV(out *bytes.Buffer, run string, found []foundAlert) error {
	w := csv.NewWriter(out)
	rows := [][]string{exportColumns}
	for i := range found {
		a := &found[i].Alert
		for _, f := range found[i].Findings {
			rows = append(rows, exportRow(a, &f, run))
		}
	}
	for _, row := range rows {
		for i, cell := range row {
			row[i] = harmless(cell)
		}
		if err := w.Write(row); err != nil {
			return fmt.Errorf("write the export: %w", err)
		}
	}
	w.Flush()
	if err := w.Error(); err != nil {
		return fmt.Errorf("write the export: %w", err)
	}
	return nil
}

func exportRow(a *alert.Alert, f *alert.Finding, run string) []string {
	facts := make([]string, len(f.Facts))
	for i, x := range f.Facts {
		facts[i] = strings.TrimSpace(fmt.Sprintf("%s = %s (%s %s): %s", x.Field, x.Value, x.Op, x.Operand, x.Truth))
	}
	s := f.Subject
	record := string(f.Record)
	if record == "" {
		record = f.RecordCut
	}
	return []string{
		string(a.ID), a.Rule.ID, a.Rule.Title, a.Rule.Why, f.Severity.String(), f.Strength.String(), a.Tenant, a.Key,
		f.At.UTC().Format(time.RFC3339Nano), s.User, s.Mailbox, s.App, s.Address, s.Session, s.TokenID,
		string(f.ID), string(f.EventID), f.Place, run, strings.Join(facts, "\n"), f.RecordHash, record,
	}
}

// harmless returns a cell that no spreadsheet takes for a formula: one that begins as they do gets an apostrophe in front. Characters that a
// spreadsheet passes over before it decides are looked behind.
func harmless(cell string) string {
	start := strings.TrimLeft(cell, " \t\r\n\u00a0\ufeff\u200b")
	if start != "" && strings.ContainsRune("=+-@|%＝＋－＠", []rune(start)[0]) || cell != "" && strings.ContainsRune("\t\r\n", rune(cell[0])) {
		return "'" + cell
	}
	return cell
}

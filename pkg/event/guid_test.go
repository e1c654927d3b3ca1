package event

import (
	"bytes"
	"encoding/base64"
	"math/rand/v2"
	"strings"
	"testing"
)

func TestParseTokenID(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		// Real pairs of uniqueTokenIdentifier and request id, in both encodings of 2021 to 2025.
		{"xMFjTVvJPE2OChJx_YE-AA", "4d63c1c4-c95b-4d3c-8e0a-1271fd813e00"},
		{"-_WUD4M1Rkyb-gOQwZiIAA", "0f94f5fb-3583-4c46-9bfa-0390c1988800"},
		{"OTMzZjIwYzAtZWZkZi00NzdmLTk1ODYtZTVjYzU2NmQyZTAw", "933f20c0-efdf-477f-9586-e5cc566d2e00"},
		{"933f20c0-efdf-477f-9586-e5cc566d2e00", "933f20c0-efdf-477f-9586-e5cc566d2e00"},
		{"933F20C0-EFDF-477F-9586-E5CC566D2E00", "933f20c0-efdf-477f-9586-e5cc566d2e00"},
		// Azure AD Graph writes the padding; some collectors use the other alphabet.
		{"nCIzipjKBXc87y9rpX8dAA==", "8a33229c-ca98-7705-3cef-2f6ba57f1d00"},
		{"+/WUD4M1Rkyb+gOQwZiIAA", "0f94f5fb-3583-4c46-9bfa-0390c1988800"},
	} {
		g, err := ParseTokenID(c.text)
		if err != nil || g.String() != c.want {
			t.Errorf("%s: got %s, %v, want %s", c.text, g, err, c.want)
		}
	}
	for _, text := range []string{
		"", "=", "AAAA", strings.Repeat("A", 21), strings.Repeat("A", 23), "xMFjTVvJPE2OChJx_YE-A!", "xMFjTVvJPE2OChJx_YE-AA===",
		"xMFjTVvJPE2OChJx_YE-AB",               // unused bits that are not zero: a second text of the same id
		strings.Repeat("A", 48),                // base64, but not of a GUID's text
		"933f20c0_efdf-477f-9586-e5cc566d2e00", // no GUID
		"gggggggg-efdf-477f-9586-e5cc566d2e00", // masked by a publisher of samples
		" 33f20c0-efdf-477f-9586-e5cc566d2e00",
	} {
		if g, err := ParseTokenID(text); err == nil {
			t.Errorf("%q was read as %s", text, g)
		}
	}
}

func TestGUIDShape(t *testing.T) {
	g, err := ParseGUID("933f20c0-efdf-477f-9586-e5cc566d2e00")
	if err != nil || g.Version() != 4 || g.Uniform() {
		t.Errorf("version %d, uniform %v, %v", g.Version(), g.Uniform(), err)
	}
	if !(GUID{}).Uniform() {
		t.Error("the nil GUID is uniform")
	}
}

// decodeBase64 reads what the strict encodings of package base64 read.
func TestDecodeBase64(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	alphabet := "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_+/AAAAAAAAAAAAAAAA"
	read := 0
	for n := range 50 {
		for range 2000 {
			text := make([]byte, n)
			for i := range text {
				text[i] = alphabet[r.IntN(len(alphabet)-18*r.IntN(2))]
			}
			if n > 0 && r.IntN(8) == 0 {
				text[r.IntN(n)] = "=!\n\x00\xff"[r.IntN(5)]
			}
			s := string(text)
			enc := base64.RawURLEncoding.Strict()
			if strings.ContainsAny(s, "+/") {
				enc = base64.RawStdEncoding.Strict()
			}
			for _, size := range []int{16, 36} {
				got := make([]byte, size)
				want, err := enc.DecodeString(s)
				good := err == nil && len(want) == size && !strings.Contains(s, "\n")
				if ok := decodeBase64(got, s); ok != good || ok && !bytes.Equal(got, want) {
					t.Fatalf("%q: %t and %x, want %t and %x", s, ok, got, good, want)
				} else if ok {
					read++
				}
			}
		}
	}
	if read < 100 {
		t.Errorf("%d texts were read: the test tests little", read)
	}
}

// Whatever is read as a token id in its compact form is written back to the same text.
func FuzzParseTokenID(f *testing.F) {
	f.Add("xMFjTVvJPE2OChJx_YE-AA")
	f.Add("OTMzZjIwYzAtZWZkZi00NzdmLTk1ODYtZTVjYzU2NmQyZTAw")
	f.Add("nCIzipjKBXc87y9rpX8dAA==")
	f.Fuzz(func(t *testing.T, s string) {
		g, err := ParseTokenID(s)
		if err != nil {
			return
		}
		again, err := ParseGUID(g.String())
		if err != nil || again != g {
			t.Fatalf("%q: %s does not read back: %v", s, g, err)
		}
		if t2 := strings.TrimRight(s, "="); len(t2) == 22 {
			le := fromLittleEndian([16]byte(g))
			if got := base64.RawURLEncoding.EncodeToString(le[:]); got != strings.NewReplacer("+", "-", "/", "_").Replace(t2) {
				t.Fatalf("%q is written back as %q", s, got)
			}
		}
	})
}

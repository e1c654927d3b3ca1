package app

import (
	"strings"
	"testing"
	"time"
)

func TestOpenBackend(t *testing.T) {
	t.Parallel()
	const emulator = "AccountEndpoint=http://127.0.0.1:8081/;AccountKey=c2VjcmV0;"
	identity := map[string]string{
		"ASSAY_STORE": "cosmos", "AlertStore__accountEndpoint": "https://account.documents.azure.com:443/",
		"AlertStore__credential": "managedidentity", "AlertStore__clientId": "11111111-2222-4333-8444-555555555555",
	}
	with := func(changes ...string) map[string]string {
		m := map[string]string{}
		for k, v := range identity {
			m[k] = v
		}
		for i := 0; i < len(changes); i += 2 {
			m[changes[i]] = changes[i+1]
		}
		return m
	}
	for name, c := range map[string]struct {
		settings map[string]string
		fails    string // what the error mentions; "": none
	}{
		"nothing":                      {map[string]string{}, "ASSAY_STORE"},
		"an unknown store":             {map[string]string{"ASSAY_STORE": "mongo"}, "ASSAY_STORE"},
		"sqlite":                       {map[string]string{"ASSAY_STORE": "sqlite::memory:"}, ""},
		"managed identity":             {with(), ""},
		"a system-assigned identity":   {with("AlertStore__clientId", "", "ASSAY_DATABASE", "alerts"), ""},
		"no endpoint":                  {with("AlertStore__accountEndpoint", ""), "AlertStore__accountEndpoint"},
		"plain HTTP":                   {with("AlertStore__accountEndpoint", "http://account/"), "https"},
		"another credential":           {with("AlertStore__credential", ""), "AlertStore__credential"},
		"a key in the cloud":           {with("AlertStore", emulator), "emulator only"},
		"an emulator":                  {with("AlertStore", emulator, "ASSAY_COSMOS_EMULATOR", "true"), ""},
		"an emulator without settings": {with("ASSAY_COSMOS_EMULATOR", "true"), "AlertStore"},
		"an emulator with a bad key":   {with("ASSAY_COSMOS_EMULATOR", "true", "AlertStore", "AccountEndpoint=http://h;AccountKey=!c2VjcmV0"), "key"},
	} {
		b, err := openBackend(t.Context(), func(k string) string { return c.settings[k] }, nil, nil, time.Now)
		switch {
		case c.fails == "" && err != nil:
			t.Errorf("%s: %v", name, err)
		case c.fails != "" && (err == nil || !strings.Contains(err.Error(), c.fails)):
			t.Errorf("%s: the error is %v, want one about %s", name, err, c.fails)
		case err != nil && strings.Contains(err.Error(), "c2VjcmV0"):
			t.Errorf("%s: the error holds the key: %v", name, err)
		}
		if err == nil {
			if err := b.Close(); err != nil {
				t.Error(err)
			}
		}
	}
}

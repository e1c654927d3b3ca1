package notifytest

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
)

// Vault is a server that speaks the part of Key Vault's REST interface that reads secrets, over TLS and with its challenge
// (Microsoft Learn, "Authentication, requests and responses" and "Get Secret"). It answers under every name of a vault.
type Vault struct {
	Client *http.Client // whose connections all lead to the server

	mu       sync.Mutex
	secrets  map[string]string // by host and path
	status   int               // answered to who has a token; 0: as Key Vault would
	scopes   []string
	requests int
}

const vaultToken = "t0ken-0f-the-identity"

// NewVault starts a vault without secrets.
func NewVault(t *testing.T) *Vault {
	t.Helper()
	v := &Vault{secrets: map[string]string{}}
	server := httptest.NewTLSServer(v)
	t.Cleanup(server.Close)
	// The SDK calls the vault by its name, so that it compares the challenge with it as it does in Azure.
	roots := x509.NewCertPool()
	roots.AddCert(server.Certificate())
	config := &tls.Config{RootCAs: roots, ServerName: "example.com", MinVersion: tls.VersionTLS12} // the certificate's name
	transport := &http.Transport{TLSClientConfig: config, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "tcp", server.Listener.Addr().String())
	}}
	t.Cleanup(transport.CloseIdleConnections)
	v.Client = &http.Client{Transport: transport}
	return v
}

// Set keeps the value under the id of a secret. "" deletes it.
func (v *Vault) Set(id, value string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if id = strings.TrimPrefix(id, "https://"); value == "" {
		delete(v.secrets, id)
	} else {
		v.secrets[id] = value
	}
}

// Fail makes the vault answer with the status from now on; 0 ends that.
func (v *Vault) Fail(status int) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.status = status
}

// Reads tells how many requests with a token there were, and Scopes for what tokens were asked.
func (v *Vault) Reads() int {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.requests
}

// Scopes returns the scopes of the tokens that were asked for.
func (v *Vault) Scopes() []string {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.scopes
}

// GetToken implements azcore.TokenCredential.
func (v *Vault) GetToken(_ context.Context, o policy.TokenRequestOptions) (azcore.AccessToken, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.scopes = append(v.scopes, o.Scopes...)
	return azcore.AccessToken{Token: vaultToken, ExpiresOn: time.Now().Add(time.Hour)}, nil
}

// ServeHTTP implements http.Handler.
func (v *Vault) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	v.mu.Lock()
	defer v.mu.Unlock()
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	refuse := func(status int, code string) {
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(map[string]any{"error": map[string]string{"code": code, "message": hostile + r.Host + r.URL.Path}}) // a test's
	}
	if r.Header.Get("Authorization") != "Bearer "+vaultToken {
		w.Header().Set("WWW-Authenticate", `Bearer authorization="https://login.windows.net/3c6b4e1a-6a4f-4bde-9a3b-0d7b3b3f1e11", resource="https://vault.azure.net"`)
		refuse(http.StatusUnauthorized, "Unauthorized")
		return
	}
	v.requests++
	value, known := v.secrets[r.Host+strings.TrimSuffix(r.URL.Path, "/")]
	switch {
	case r.Method != http.MethodGet || r.URL.Query().Get("api-version") == "":
		refuse(http.StatusBadRequest, "BadParameter")
	case v.status != 0:
		refuse(v.status, "Failed")
	case !known:
		refuse(http.StatusNotFound, "SecretNotFound")
	default:
		_ = json.NewEncoder(w).Encode(map[string]any{ // a test's
			"value": value, "id": "https://" + r.Host + r.URL.Path, "attributes": map[string]any{"enabled": true, "created": 1767225600, "updated": 1767225600},
		})
	}
}

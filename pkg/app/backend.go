package app

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"time"

	"github.com/assay-sec/assay/pkg/store"
	"github.com/assay-sec/assay/pkg/store/cosmos"
	"github.com/assay-sec/assay/pkg/store/sqlite"
)

// The app settings that say where alerts are kept. Those of Cosmos DB have the form that the Functions host reads for
// connections, so that a trigger can share them.
const (
	SettingStore       = "ASSAY_STORE"           // "sqlite:" and a path, or "cosmos"
	settingDatabase    = "ASSAY_DATABASE"        // of Cosmos DB; empty: assay
	settingEmulator    = "ASSAY_COSMOS_EMULATOR" // "true": settingAccount is an emulator's connection string
	settingAccount     = "AlertStore"            // AccountEndpoint=…;AccountKey=…, for an emulator only
	settingEndpoint    = "AlertStore__accountEndpoint"
	settingCredential  = "AlertStore__credential" //nolint:gosec // the name of a setting; its value is managedidentity
	settingIdentity    = "AlertStore__clientId"   // of a user-assigned identity; empty: the system-assigned one
	managedIdentity    = "managedidentity"
	defaultDatabase    = "assay"
	sqliteScheme       = "sqlite:" // precedes the path in SettingStore
	storeCosmos        = "cosmos"
	accountEndpointKey = "AccountEndpoint="
	accountKeyKey      = "AccountKey="
)

// Backend is a store of alerts and of small documents.
type Backend interface {
	store.Store
	store.State
	store.Collections
}

// OpenExistingBackend opens the embedded store at the path, which must be there, or, for "cosmos", the one that the app
// settings describe. getenv reads a setting.
func OpenExistingBackend(ctx context.Context, path string, getenv func(string) string, now func() time.Time) (Backend, error) {
	if path == storeCosmos {
		return openCosmos(getenv, nil, nil, now)
	}
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("there is no store at %s yet: assay detect makes it", path)
	}
	return sqlite.Open(ctx, path)
}

// MemoryBackend returns a store that keeps nothing after it is closed.
func MemoryBackend(ctx context.Context) (Backend, error) { return sqlite.Open(ctx, sqlite.Memory) }

// openBackend opens the store that the settings name. It reaches no network. retention is how long things are kept, as the
// configuration in use says; observe, if any, is told of requests to Cosmos DB.
func openBackend(ctx context.Context, getenv func(string) string, retention func() time.Duration, observe func(context.Context, cosmos.Request),
	now func() time.Time,
) (Backend, error) {
	setting := getenv(SettingStore)
	if path, ok := strings.CutPrefix(setting, sqliteScheme); ok && path != "" {
		return sqlite.OpenWith(ctx, path, sqlite.Options{Retention: retention, Now: now})
	}
	if setting != storeCosmos {
		return nil, fmt.Errorf("%s is %q, but is to be %s and a path, or %s", SettingStore, setting, sqliteScheme, storeCosmos)
	}
	return openCosmos(getenv, retention, observe, now)
}

func openCosmos(getenv func(string) string, retention func() time.Duration, observe func(context.Context, cosmos.Request),
	now func() time.Time,
) (Backend, error) {
	o, err := cosmosOptions(getenv)
	if err != nil {
		return nil, err
	}
	o.Now, o.Retention, o.Observe = now, retention, observe
	return cosmos.New(o)
}

// cosmosOptions reads the settings of the Cosmos DB store. No error holds the value of a setting that can be a secret.
func cosmosOptions(getenv func(string) string) (cosmos.Options, error) {
	o := cosmos.Options{Database: getenv(settingDatabase)}
	if o.Database == "" {
		o.Database = defaultDatabase
	}
	connection := getenv(settingAccount)
	if !strings.EqualFold(getenv(settingEmulator), "true") {
		switch {
		case connection != "":
			return o, fmt.Errorf("%s holds a connection string, which is for an emulator only (%s=true): set %s and %s=%s",
				settingAccount, settingEmulator, settingEndpoint, settingCredential, managedIdentity)
		case getenv(settingEndpoint) == "":
			return o, fmt.Errorf("%s is %s, but %s is not set", SettingStore, storeCosmos, settingEndpoint)
		case !strings.EqualFold(getenv(settingCredential), managedIdentity):
			return o, fmt.Errorf("%s is to be %s", settingCredential, managedIdentity)
		}
		o.Endpoint, o.ClientID = getenv(settingEndpoint), getenv(settingIdentity)
		return o, nil
	}
	o.Emulator = true
	for part := range strings.SplitSeq(connection, ";") {
		if v, ok := strings.CutPrefix(part, accountEndpointKey); ok {
			o.Endpoint = v
		}
		if v, ok := strings.CutPrefix(part, accountKeyKey); ok {
			o.Key = v
		}
	}
	if o.Endpoint == "" || o.Key == "" {
		return o, errors.New(settingAccount + " is to be an emulator's connection string, " +
			accountEndpointKey + "…;" + accountKeyKey + "…")
	}
	return o, nil
}

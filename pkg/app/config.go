package app

import (
	"strings"

	"github.com/assay-sec/assay/pkg/config/reload"
	"github.com/assay-sec/assay/pkg/config/reload/blob"
)

// openConfig returns the document that the settings name, or nil. It reaches no network.
func openConfig(getenv func(string) string) (reload.Document, error) {
	place := getenv(SettingConfig)
	switch {
	case place == "":
		return nil, nil //nolint:nilnil // no document is named, and that is no error
	case strings.Contains(place, "://"):
		return blob.New(blob.Options{URL: place, ClientID: getenv(settingIdentity), Emulator: getenv(settingConfigStore)})
	}
	return reload.File(place), nil
}

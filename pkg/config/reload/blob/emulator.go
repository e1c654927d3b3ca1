package blob

import (
	"errors"
	"strings"

	azblob "github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blob"
)

// sharedKey reads the account and key of an emulator's connection string. No error holds it.
func sharedKey(connection string) (*azblob.SharedKeyCredential, error) {
	var name, key string
	for part := range strings.SplitSeq(connection, ";") {
		if v, ok := strings.CutPrefix(part, "AccountName="); ok {
			name = v
		}
		if v, ok := strings.CutPrefix(part, "AccountKey="); ok {
			key = v
		}
	}
	if name == "" || key == "" {
		return nil, errors.New("the connection string of the emulator lacks AccountName or AccountKey")
	}
	credential, err := azblob.NewSharedKeyCredential(name, key)
	if err != nil {
		return nil, errors.New("the account key of the emulator is not base64")
	}
	return credential, nil
}

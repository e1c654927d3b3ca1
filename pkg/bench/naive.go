package bench

import (
	stdjson "encoding/json"
	"fmt"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// What a program does without a decoder of its own: it peels one layer after the other into values of their own, and
// reads each record into a struct of the fields that rules need. No rule is evaluated, so it does less than Path.

// StandardLayers reads a payload of the form corpus.Doubled with encoding/json and returns the number of records.
func StandardLayers(payload []byte) (records int, err error) {
	var text string
	if err := stdjson.Unmarshal(payload, &text); err != nil {
		return 0, fmt.Errorf("read the payload: %w", err)
	}
	var messages []string
	if err := stdjson.Unmarshal([]byte(text), &messages); err != nil {
		return 0, fmt.Errorf("read the messages: %w", err)
	}
	for _, m := range messages {
		var message struct {
			Records []stdjson.RawMessage `json:"records"`
		}
		if err := stdjson.Unmarshal([]byte(m), &message); err != nil {
			return records, fmt.Errorf("read a message: %w", err)
		}
		for _, raw := range message.Records {
			var r record
			if err := stdjson.Unmarshal(raw, &r); err != nil {
				return records, fmt.Errorf("read a record: %w", err)
			}
			records++
		}
	}
	return records, nil
}

// V2Layers is StandardLayers with encoding/json/v2, which reads through jsontext.
func V2Layers(payload []byte) (records int, err error) {
	var text string
	if err := json.Unmarshal(payload, &text); err != nil {
		return 0, fmt.Errorf("read the payload: %w", err)
	}
	var messages []string
	if err := json.Unmarshal([]byte(text), &messages); err != nil {
		return 0, fmt.Errorf("read the messages: %w", err)
	}
	for _, m := range messages {
		var message struct {
			Records []jsontext.Value `json:"records"`
		}
		if err := json.Unmarshal([]byte(m), &message); err != nil {
			return records, fmt.Errorf("read a message: %w", err)
		}
		for _, raw := range message.Records {
			var r record
			if err := json.Unmarshal(raw, &r); err != nil {
				return records, fmt.Errorf("read a record: %w", err)
			}
			records++
		}
	}
	return records, nil
}

// record has the fields of sign-ins and mail accesses that rules of Assay read.
type record struct {
	Time          string     `json:"time"`
	Category      string     `json:"category"`
	OperationName string     `json:"operationName"`
	TenantID      string     `json:"tenantId"`
	CallerIP      string     `json:"callerIpAddress"`
	Properties    properties `json:"properties"`

	AppAccessContext struct {
		AADSessionID  string `json:"AADSessionId"`
		APIID         string `json:"APIId"`
		ClientAppID   string `json:"ClientAppId"`
		IssuedAtTime  string `json:"IssuedAtTime"`
		UniqueTokenID string `json:"UniqueTokenId"`
	} `json:"AppAccessContext"`
	CreationTime        string `json:"CreationTime"`
	ID                  string `json:"Id"`
	Operation           string `json:"Operation"`
	OrganizationID      string `json:"OrganizationId"`
	RecordType          int64  `json:"RecordType"`
	UserType            int64  `json:"UserType"`
	Workload            string `json:"Workload"`
	UserID              string `json:"UserId"`
	AppID               string `json:"AppId"`
	ClientAppID         string `json:"ClientAppId"`
	ClientIPAddress     string `json:"ClientIPAddress"`
	ClientInfoString    string `json:"ClientInfoString"`
	ExternalAccess      bool   `json:"ExternalAccess"`
	LogonType           int64  `json:"LogonType"`
	MailboxGUID         string `json:"MailboxGuid"`
	MailboxOwnerUPN     string `json:"MailboxOwnerUPN"`
	OperationCount      int64  `json:"OperationCount"`
	TokenObjectID       string `json:"TokenObjectId"`
	TokenTenantID       string `json:"TokenTenantId"`
	OperationProperties []struct {
		Name  string `json:"Name"`
		Value string `json:"Value"`
	} `json:"OperationProperties"`
}

type properties struct {
	ID                string `json:"id"`
	CreatedDateTime   string `json:"createdDateTime"`
	UserPrincipalName string `json:"userPrincipalName"`
	UserID            string `json:"userId"`
	UserType          string `json:"userType"`
	AppID             string `json:"appId"`
	AppDisplayName    string `json:"appDisplayName"`
	IPAddress         string `json:"ipAddress"`
	Status            struct {
		ErrorCode         int64  `json:"errorCode"`
		AdditionalDetails string `json:"additionalDetails"`
	} `json:"status"`
	UserAgent              string           `json:"userAgent"`
	MFADetail              map[string]any   `json:"mfaDetail"`
	TokenIssuerName        string           `json:"tokenIssuerName"`
	TokenIssuerType        string           `json:"tokenIssuerType"`
	ClientCredentialType   string           `json:"clientCredentialType"`
	RiskLevelDuringSignIn  string           `json:"riskLevelDuringSignIn"`
	RiskState              string           `json:"riskState"`
	RiskEventTypes         []string         `json:"riskEventTypes_v2"`
	ResourceID             string           `json:"resourceId"`
	ResourceTenantID       string           `json:"resourceTenantId"`
	HomeTenantID           string           `json:"homeTenantId"`
	AuthenticationDetails  []map[string]any `json:"authenticationDetails"`
	AuthenticationProtocol string           `json:"authenticationProtocol"`
	IncomingTokenType      string           `json:"incomingTokenType"`
	UniqueTokenIdentifier  string           `json:"uniqueTokenIdentifier"`
	SessionID              string           `json:"sessionId"`
	CrossTenantAccessType  string           `json:"crossTenantAccessType"`
}

package webhook

import (
	"net/http"
	"testing"
	"time"

	"github.com/assay-sec/assay/pkg/notify"
)

// The values are the example of the Standard Webhooks specification and of the tests of its libraries.
func TestSignatureOfTheSpecification(t *testing.T) {
	t.Parallel()
	key, err := ParseKey(notify.NewSecret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"))
	if err != nil {
		t.Fatal(err)
	}
	n := &Notifier{keys: [][]byte{key}, now: func() time.Time { return time.Unix(1614265330, 0) }}
	header := http.Header{}
	n.sign(header, "msg_p5jXN8AQM9LWM0D4loKWxJek", []byte(`{"test": 2432232314}`))
	//nolint:staticcheck // the specification writes the names in lower case, and so do we
	if got := header["webhook-signature"]; len(got) != 1 || got[0] != "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=" {
		t.Errorf("%q", got)
	}
}

package decode

import (
	"errors"
	"strings"
	"testing"
)

func TestExtras(t *testing.T) {
	t.Parallel()
	w, slots, err := Want(
		SignInExtra("clientAppUsed"), SignInExtra("deviceDetail"), AuditExtra("Operation"),
		Spelled("result", "ResultType", "status:errorCode", "outcome"), SignInExtra("clientAppUsed"),
	)
	if err != nil {
		t.Fatal(err)
	}
	eachDecoder(t, func(t *testing.T, d Decoder) {
		for _, c := range []struct {
			text string
			want [5]string
		}{
			{`{"properties":{"clientAppUsed":"Browser","deviceDetail":{"os":"x"}}}`, [5]string{"Browser", `{"os":"x"}`, "", "", "Browser"}},
			{`{"ClientAppUsed":"Browser","Operation":"Send"}`, [5]string{"Browser", "", "Send", "", "Browser"}},
			{`{"DeviceDetail_string":"{}","clientappused":"a","ResultType":"1","outcome":"2"}`, [5]string{"a", "{}", "", "1", "a"}},
			{`{"outcome":"2"}`, [5]string{"", "", "", "2", ""}},
			{`{"status":{"errorCode":3},"clientAppUsed":null}`, [5]string{"", "", "", "3", ""}},
		} {
			var v Values
			v.Want(w)
			v.Want(w)
			for range 2 {
				v.Reset()
				if err := d.Object(c.text, Root, &v); err != nil {
					t.Fatalf("%s: %v", c.text, err)
				}
				for i := range slots {
					if got := v.First(slots[i]).Text; got != c.want[i] {
						t.Errorf("%s: extra %d is %q, want %q", c.text, i, got, c.want[i])
					}
				}
			}
			v.Reset()
			for i := range slots {
				if got := v.First(slots[i]); got.Kind != Absent {
					t.Errorf("%s: extra %d is %v after a reset", c.text, i, got)
				}
			}
		}
		var v Values
		v.Want(w)
		if err := d.Object(`{"clientAppUsed":"a","clientAppUsed":"b"}`, Root, &v); !errors.Is(err, ErrDuplicate) {
			t.Errorf("an extra that stands twice: %v", err)
		}
		if err := d.Object(`{"clientAppUsed":"a","clientAppUsed":"b"}`, Root, new(Values)); err != nil {
			t.Errorf("without the extra: %v", err)
		}
	})
}

func TestExtrasThatCannotBe(t *testing.T) {
	t.Parallel()
	if _, _, err := Want(Spelled("x")); err == nil {
		t.Error("an extra without a spelling")
	}
	if _, _, err := Want(Spelled("x", strings.Split("abcdefghijklmnopq", "")...)); err == nil {
		t.Error("an extra with too many spellings")
	}
}

func TestWalk(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ text, want string }{
		{`{"a":1,"b":"x\ny","c":{"d":[]},"e":null,"\u0066":true}`, "a=1;b=x\ny;c={\"d\":[]};e=;f=;"},
		{` [ "a" , 2, {"b":3} ] `, `=a;=2;={"b":3};`},
		{`{}`, ""},
		{`[]`, ""},
		{"", ""},
		{`"a"`, ""},
		{`{"a":1`, "a=1;"},
		{`{"a":1,"b"`, "a=1;"},
		{`{"a" 1}`, ""},
		{`{a:1}`, ""},
		{`[1,]`, "=1;"},
		{`[1}`, "=1;"},
		{`[`, ""},
	} {
		var b strings.Builder
		for e := Walk(c.text); e.Next(); {
			b.WriteString(e.Name + "=" + e.Value.Text + ";")
		}
		if b.String() != c.want {
			t.Errorf("%s: %q, want %q", c.text, b.String(), c.want)
		}
	}
}

// What a walk yields is what the strict decoders accept.
func FuzzWalk(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, s string) {
		n := 0
		for e := Walk(s); e.Next(); {
			n++
		}
		all, err := elements(Scanner{}, s)
		if err == nil && len(all) != n {
			t.Fatalf("walked over %d elements of %d in %q", n, len(all), s)
		}
	})
}

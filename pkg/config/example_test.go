package config

import (
	"os"
	"reflect"
	"regexp"
	"strings"
	"testing"
)

// The example is the document of the configuration: it has to be right, and to hold every key that there is.
func TestExample(t *testing.T) {
	c, err := Load("example.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if c.Names[contoso] != "Contoso" || len(c.Rules) != 2 || len(c.Hubs) != 1 || len(c.Subscriptions) != 3 || c.AlertURL == "" {
		t.Errorf("%+v", c)
	}
	if len(c.Sigma.Rules) != 1 || c.Sigma.Rules[0] != "sigma" || len(c.Sigma.Placeholders["admins"]) != 1 || c.Sigma.Settings["inbox-rule-forwards"].Severity == nil {
		t.Errorf("%+v", c.Sigma)
	}
	text, err := os.ReadFile("example.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for key := range keysOf(reflect.TypeOf(c.Reference), map[string]bool{"id": true, "name": true, "stage": true, "severity": true, "knobs": true}) {
		if !regexp.MustCompile(`(?m)(^|[\s{,-])` + regexp.QuoteMeta(key) + `:`).Match(text) {
			t.Errorf("the example lacks the key %s", key)
		}
	}
	// What is written has to arrive: a reader that forgets its value would leave a field at zero.
	mustBeSet(t, "reference", reflect.ValueOf(c.Reference), map[string]bool{
		// Each stands in the example, but means the same as if it did not.
		"allowMsaGuests": true,
	})
}

// keysOf adds the YAML keys of a struct and of all below it.
func keysOf(typ reflect.Type, keys map[string]bool) map[string]bool {
	for typ.Kind() == reflect.Slice || typ.Kind() == reflect.Map || typ.Kind() == reflect.Pointer {
		typ = typ.Elem()
	}
	if typ.Kind() != reflect.Struct || typ.PkgPath() == "time" {
		return keys
	}
	for i := range typ.NumField() {
		key, _, _ := strings.Cut(typ.Field(i).Tag.Get("yaml"), ",")
		if key != "" {
			keys[key] = true
		}
		keysOf(typ.Field(i).Type, keys)
	}
	return keys
}

// mustBeSet fails for each field that is at its zero value in all items of the list that it stands in, tenants taken
// together.
func mustBeSet(t *testing.T, path string, v reflect.Value, except map[string]bool) {
	t.Helper()
	set := map[string]bool{}
	all := map[string]bool{}
	var visit func(path string, v reflect.Value)
	visit = func(path string, v reflect.Value) {
		switch v.Kind() {
		case reflect.Slice:
			for i := range v.Len() {
				visit(path, v.Index(i))
			}
		case reflect.Map:
			for _, k := range v.MapKeys() {
				visit(path, v.MapIndex(k))
			}
		case reflect.Struct:
			for i := range v.NumField() {
				key, _, _ := strings.Cut(v.Type().Field(i).Tag.Get("yaml"), ",")
				if key == "" || except[key] {
					continue
				}
				// Defaults and tenants have the same keys: one place is enough.
				below := strings.NewReplacer(".defaults", ".tenant", ".tenants", ".tenant").Replace(path + "." + key)
				all[below] = true
				if f := v.Field(i); !f.IsZero() {
					set[below] = true
					visit(below, f)
				}
			}
		default:
		}
	}
	visit(path, v)
	for below := range all {
		if !set[below] {
			t.Errorf("%s of the example did not arrive", below)
		}
	}
}

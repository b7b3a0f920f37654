package proxy

import (
	"reflect"
	"testing"
)

// TestConsoleHasNoEntry: what holds for databases that the configuration does not name holds for neither name of the console.
func TestConsoleHasNoEntry(t *testing.T) {
	cfg := Default()
	cfg.Databases = map[string]Database{AnyDatabase: {MaxClients: 1}, "app": {MaxClients: 2}}
	for name, want := range map[string]Database{"other": {MaxClients: 1}, "app": {MaxClients: 2}, Consoles[0]: {}, Consoles[1]: {}} {
		if got := cfg.entryOf(name); !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v, want %+v", name, got, want)
		}
	}
}

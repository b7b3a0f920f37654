package pgtest

import "testing"

// TestFreeAddressGivesNoneTwice: who asks for several before the first is opened would have one address for two.
func TestFreeAddressGivesNoneTwice(t *testing.T) {
	given := map[string]bool{}
	for range 1000 {
		addr, err := FreeAddress()
		if err != nil {
			t.Fatal(err)
		}
		if given[addr] {
			t.Fatalf("%s twice", addr)
		}
		given[addr] = true
	}
}

package proof

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

func TestOf(t *testing.T) {
	key, challenge := make([]byte, 32), []byte("challenge")
	got := Of(key, "node-1", challenge)
	if !bytes.Equal(got, Of(key, "node-1", challenge)) {
		t.Error("the same proof differs")
	}
	for _, other := range [][]byte{
		Of(bytes.Repeat([]byte{1}, 32), "node-1", challenge),
		Of(key, "node-2", challenge),
		Of(key, "node-1", []byte("another")),
	} {
		if bytes.Equal(got, other) {
			t.Error("another proof is the same")
		}
	}
}

func TestNodeNameLeadsToNoOtherFolder(t *testing.T) {
	for name, want := range map[string]bool{
		"node-1": true, "a.example": true, "": false, "..": false, "../key": false, "a/b": false, ".hidden": false, "A": false,
	} {
		if NodeName.MatchString(name) != want {
			t.Errorf("%q: want %t", name, want)
		}
	}
}

func TestReadKey(t *testing.T) {
	path := filepath.Join(t.TempDir(), "key")
	for length, want := range map[int]bool{31: false, 32: true, 4096: true, 4097: false} {
		if err := os.WriteFile(path, make([]byte, length), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := ReadKey(path); (err == nil) != want {
			t.Errorf("%d bytes: %v", length, err)
		}
	}
	if _, err := ReadKey(path + ".absent"); err == nil {
		t.Error("a file that is not there was read")
	}
}
